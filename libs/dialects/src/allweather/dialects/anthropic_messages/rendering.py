"""Answers as Messages, whole and as the events of a stream."""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from allweather.contracts.answers import (
    Answer,
    Begun,
    CallArguments,
    CallBegun,
    Counted,
    Event,
    Finished,
    Item,
    Refused,
    Said,
    Thought,
)
from allweather.contracts.conversation import (
    REDACTED,
    Finish,
    Json,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    seal,
)
from allweather.contracts.slip import Dialect, Usage
from allweather.dialects.in_order import InOrder
from allweather.dialects.lenient import parse_object

REASONS: Final = {
    Finish.STOP: "end_turn",
    Finish.LENGTH: "max_tokens",
    Finish.CONTEXT_FULL: "model_context_window_exceeded",
    Finish.PAUSED: "pause_turn",
    Finish.TOOL_CALLS: "tool_use",
    Finish.FILTERED_OUTPUT: "refusal",
    Finish.FILTERED_INPUT: "refusal",
}

encode = msgspec.json.encode


def usage(counts: Usage) -> Json:
    """The counts: cached input stands beside the rest, not in it."""
    cached, written = counts.cached_input_tokens, counts.cache_write_tokens
    return {
        "input_tokens": max(0, counts.input_tokens - cached - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
        "output_tokens": counts.output_tokens,
        "output_tokens_details": {"thinking_tokens": counts.reasoning_tokens},
    }


def render(answer: Answer) -> bytes:
    """The answer as a `message`. This dialect knows one choice."""
    choice = answer.choices[0]
    message = _message(answer.id, answer.model, answer.usage or Usage())
    message["content"] = blocks(choice.parts)
    return encode(message | _stop(choice.finish, choice.stop, [p for p in choice.parts if isinstance(p, Refusal)]))


def blocks(parts: Sequence[Part]) -> list[Json]:
    """The parts as the content of an assistant's turn. A refusal has no block: it is a reason to stop."""
    return [block for block in map(_block, parts) if block is not None]


def _message(name: str, model: str, counts: Usage) -> Json:
    return {
        "id": name if name.startswith("msg_") else f"msg_{name}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage(counts),
    }


def _stop(finish: Finish, stop: str | None, refusals: Sequence[Refusal | Refused]) -> Json:
    said: Json = {"stop_reason": REASONS[finish], "stop_sequence": None}
    if stop is not None:
        said |= {"stop_reason": "stop_sequence", "stop_sequence": stop}
    if refusals:
        category = next((refusal.category for refusal in refusals if refusal.category), None)
        explanation = "".join(refusal.text for refusal in refusals)
        said["stop_details"] = {"type": "refusal", "category": category, "explanation": explanation}
        said["stop_reason"] = "refusal"
    return said


def _block(part: Part) -> Json | None:
    match part:
        case Text(text=text):
            return {"type": "text", "text": text}
        case ToolCall(id=name, name=function, arguments=arguments):
            return {"type": "tool_use", "id": name, "name": function, "input": parse_object(arguments) or {}}
        case Reasoning() if _is_hidden(part):
            return {"type": "redacted_thinking", "data": _token(part)}
        case Reasoning(text=text):
            return {"type": "thinking", "thinking": text, "signature": _token(part)}
        case Opaque(origin=origin, item=item) if origin.api == Dialect.ANTHROPIC_MESSAGES:
            return item
        case _:
            return None


def _token(thought: Reasoning) -> str:
    """Anthropic's own token as it is, another's with its origin: also a missing one, so that it is told apart."""
    return thought.token if _is_own(thought) else seal(thought)


def _is_own(thought: Reasoning) -> bool:
    return bool(thought.token and thought.origin and thought.origin.api == Dialect.ANTHROPIC_MESSAGES)


def _is_hidden(thought: Reasoning) -> bool:
    """Whether nothing of it is shown: Anthropic says so, of others there is a token without words."""
    return thought.id == REDACTED if _is_own(thought) else bool(thought.token and not thought.text)


class Events:
    """Renders the events of one answer as the payloads of its stream; `type` is also the name of the event."""

    def __init__(self) -> None:
        self._order = InOrder()
        self._index = -1
        self._open = ""
        """The type of the block that is being said."""
        self._signed = False
        """Whether the thought that is being said has its signature."""
        self._usage = Usage()
        self._finished: Finished | None = None
        self._refusals: list[Refused] = []

    def payloads(self, event: Event) -> Iterator[str]:
        """The events of the dialect that the event stands for, maybe none."""
        for next_one in self._order.take(event):
            yield from self._payloads(next_one)

    def end(self) -> Iterator[str]:
        """What comes after the last event."""
        yield from self._close()
        if self._finished is not None:
            delta = _stop(self._finished.finish, self._finished.stop, self._refusals)
            yield _payload("message_delta", delta=delta, usage=usage(self._usage))
            yield _payload("message_stop")

    def _payloads(self, event: Event) -> Iterator[str]:
        match event:
            case Said(text=text):
                if text:
                    yield from self._piece("text", {"text": ""}, {"type": "text_delta", "text": text})
            case CallArguments(text=text):
                yield self._delta({"type": "input_json_delta", "partial_json": text})
            case CallBegun(id=name, name=function):
                yield from self._close()
                yield self._start("tool_use", {"id": name, "name": function, "input": {}})
            case Thought():
                yield from self._thought(event)
            case Begun(id=name, model=model, usage=counts):
                self._usage = counts or self._usage
                yield _payload("message_start", message=_message(name, model, self._usage))
            case Counted(usage=counts):
                self._usage = counts
            case Finished():
                self._finished = event
            case Refused():
                self._refusals.append(event)
            case Item(opaque=opaque):
                yield from self._whole(_block(opaque))
            case _:  # log probabilities, which this dialect cannot ask for
                return

    def _thought(self, thought: Thought) -> Iterator[str]:
        sealed = Reasoning(thought.text, thought.token, thought.origin, thought.id)
        if _is_hidden(sealed) and (thought.id == REDACTED or self._open != "thinking"):
            yield from self._whole(_block(sealed))
            return
        if self._open != "thinking":
            yield from self._close()
            self._signed = False
            yield self._start("thinking", {"thinking": "", "signature": ""})
        if thought.text:
            yield self._delta({"type": "thinking_delta", "thinking": thought.text})
        if thought.token:
            yield self._sign(sealed)
            yield from self._close()

    def _piece(self, kind: str, empty: Json, delta: Json) -> Iterator[str]:
        """A piece of a block of that kind, which begins unless it is being said."""
        if self._open != kind:
            yield from self._close()
            yield self._start(kind, empty)
        yield self._delta(delta)

    def _whole(self, block: Json | None) -> Iterator[str]:
        if block is not None:
            yield from self._close()
            yield self._start(block["type"], block)
            yield from self._close()

    def _start(self, kind: str, block: Json) -> str:
        self._index, self._open = self._index + 1, kind
        return _payload("content_block_start", index=self._index, content_block={"type": kind, **block})

    def _delta(self, delta: Json) -> str:
        return _payload("content_block_delta", index=self._index, delta=delta)

    def _sign(self, thought: Reasoning) -> str:
        self._signed = True
        return self._delta({"type": "signature_delta", "signature": _token(thought)})

    def _close(self) -> Iterator[str]:
        if self._open == "thinking" and not self._signed:
            yield self._sign(Reasoning())
        if self._open:
            self._open = ""
            yield _payload("content_block_stop", index=self._index)


def _payload(kind: str, **fields: object) -> str:
    return encode({"type": kind, **fields}).decode()
