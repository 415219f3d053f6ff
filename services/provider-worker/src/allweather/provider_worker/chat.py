"""The caller's dialect, OpenAI Chat Completions: reading a request, rendering completions and chunks.

Used by vendors whose own format differs from it; the others pass the caller's words on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from allweather.contracts.failures import FailureKind
from allweather.contracts.slip import Usage
from allweather.dialects.lenient import Json, child, children, count, parse_object, text
from allweather.provider_worker.wire import Answer, Chunk, failed


class TextPart(msgspec.Struct, tag_field="type", tag="text"):
    text: str


class Message(msgspec.Struct):
    role: str
    content: str | list[TextPart] | None = None

    @property
    def text(self) -> str:
        """The text, parts joined as the caller wrote them."""
        content = self.content or ""
        return content if isinstance(content, str) else "".join(part.text for part in content)


class Schema(msgspec.Struct):
    schema: Json


class ResponseFormat(msgspec.Struct):
    """What the answer should look like; a schema comes with the type `json_schema` only."""

    type: str
    json_schema: Schema | None = None

    def __post_init__(self) -> None:
        if self.type == "json_schema" and self.json_schema is None:
            raise ValueError("`response_format` of the type 'json_schema' needs a `json_schema`")

    @property
    def schema(self) -> Json | None:
        return None if self.json_schema is None else self.json_schema.schema


class ChatRequest(msgspec.Struct):
    """The fields that every translator reads; a vendor's own table says what becomes of the others."""

    messages: list[Message]
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: str | list[str] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    response_format: ResponseFormat | None = None

    @property
    def output_limit(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens

    @property
    def schema(self) -> Json | None:
        """The JSON Schema that the answer has to follow."""
        return self.response_format and self.response_format.schema

    @property
    def wants_json(self) -> bool:
        """Whether the answer has to be JSON, with a schema or without."""
        return self.response_format is not None and self.response_format.type != "text"

    @property
    def stops(self) -> list[str]:
        return [self.stop] if isinstance(self.stop, str) else self.stop or []

    @property
    def instructions(self) -> str:
        """System and developer messages in their order, wherever they stand in the conversation."""
        return "\n\n".join(m.text for m in self.messages if m.role in _INSTRUCTING)

    @property
    def turns(self) -> list[Message]:
        """What user and assistant said. Raises `Failed` for roles that need tools."""
        turns = [m for m in self.messages if m.role not in _INSTRUCTING]
        for turn in turns:
            if turn.role not in _SPEAKING:
                raise failed(FailureKind.INVALID, f"Messages of the role {turn.role!r} are not supported here.")
        return turns


_INSTRUCTING = frozenset({"system", "developer"})
_SPEAKING = frozenset({"user", "assistant"})


def read(body: Json) -> ChatRequest:
    """The request in a body that has been checked for what it may contain. Raises `Failed` (invalid)."""
    try:
        return msgspec.convert(body, ChatRequest)
    except msgspec.ValidationError as error:
        raise failed(FailureKind.INVALID, f"The request is malformed: {error}.") from None


@dataclass(frozen=True, slots=True)
class Head:
    """What every chunk of an answer repeats."""

    id: str
    model: str
    created: int

    def chunk(self, delta: Json, finish_reason: str | None = None) -> Chunk:
        return self._chunk([{"index": 0, "delta": delta, "finish_reason": finish_reason}])

    def usage_chunk(self, usage: Usage) -> Chunk:
        """The last chunk of a stream, which carries nothing but the totals."""
        return self._chunk([]) | {"usage": render_usage(usage)}

    def _chunk(self, choices: Sequence[Json]) -> Chunk:
        return {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        }

    def completion(self, message: Json, finish_reason: str, usage: Usage | None) -> Json:
        return {
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": None, "refusal": None} | message,
                    "logprobs": None,
                    "finish_reason": finish_reason,
                }
            ],
        } | ({"usage": render_usage(usage)} if usage else {})


def render_usage(usage: Usage) -> Json:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_input_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def read_usage(completion: Json) -> Usage | None:
    """The counts of a completion or chunk, None where it has none. Servers leave out or null what they do not count."""
    usage = child(completion, "usage")
    prompt, output = child(usage, "prompt_tokens_details"), child(usage, "completion_tokens_details")
    if not usage:
        return None
    return Usage(
        input_tokens=count(usage, "prompt_tokens"),
        output_tokens=count(usage, "completion_tokens"),
        cached_input_tokens=count(prompt, "cached_tokens"),
        cache_write_tokens=count(prompt, "cache_write_tokens"),
        reasoning_tokens=count(output, "reasoning_tokens"),
    )


def answer(completion: Json, rendered: bytes | None = None) -> Answer:
    """The answer in a completion, with the vendor's own bytes where they are already what the caller expects.

    Raises `Failed` when it has no choice with a finish reason: what was cut is not an answer.
    """
    choices = children(completion, "choices")
    reasons = [text(choice, "finish_reason") for choice in choices]
    if not all(reasons) or not reasons:
        raise failed(FailureKind.UNAVAILABLE, "The answer ends without a finish reason.", code="no_finish_reason")
    return Answer(
        rendered=msgspec.json.encode(completion) if rendered is None else rendered,
        finish_reason="content_filter" if any(map(_withheld, choices)) else reasons[0],
        usage=read_usage(completion),
        served_model=text(completion, "model") or None,
    )


def as_chunk(answer: Answer) -> Chunk:
    """The whole answer as one chunk, for a stream that never was one."""
    completion = parse_object(answer.rendered) or {}
    choices = [
        {"index": count(choice, "index"), "delta": child(choice, "message"), "finish_reason": choice["finish_reason"]}
        for choice in children(completion, "choices")
    ]
    return completion | {"object": "chat.completion.chunk", "choices": choices}


def _withheld(choice: Json) -> bool:
    """Whether this choice was refused: OpenAI says so in two ways."""
    return choice.get("finish_reason") == "content_filter" or bool(child(choice, "message").get("refusal"))


def has_content(chunk: Chunk) -> bool:
    """Whether the chunk shows the caller anything; a role alone does not."""
    deltas = (child(choice, "delta") for choice in children(chunk, "choices"))
    return any(value for delta in deltas for name, value in delta.items() if name != "role")


def for_caller(chunk: Chunk, *, include_usage: bool) -> Chunk | None:
    """The chunk as the caller asked for it; None for the usage chunk of a caller who did not ask.

    We always ask the vendor for usage, so its stream has it: once at the end and as null everywhere else.
    """
    if include_usage:
        return chunk if "usage" in chunk else chunk | {"usage": None}
    if not chunk.get("choices"):
        return None
    return {name: value for name, value in chunk.items() if name != "usage"}
