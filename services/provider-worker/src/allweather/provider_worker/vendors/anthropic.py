"""Anthropic Messages, versions 2023-06-01 and 2026-10-21 (which refuses sampling parameters)."""

from collections.abc import Iterator, Mapping, Sequence
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
from allweather.contracts.config import Deployment
from allweather.contracts.conversation import REDACTED, Conversation, Finish, Opaque, unseal
from allweather.contracts.failures import FailureKind
from allweather.contracts.slip import Capability, Dialect, Parameter, Usage
from allweather.dialects.lenient import Json, child, children, count, parse_object, text
from allweather.provider_worker import anthropic_body, parameters
from allweather.provider_worker.anthropic_body import LEAST_BUDGET, ORIGIN
from allweather.provider_worker.failures import by_status
from allweather.provider_worker.forwarding import addressed, mend, raw
from allweather.provider_worker.parameters import NATIVE, TRANSLATED, Fate, emulated, hint
from allweather.provider_worker.rates import RateHeaders, retry_after_ms
from allweather.provider_worker.reading import complete
from allweather.provider_worker.wire import (
    Failed,
    Failure,
    HttpRequest,
    HttpResponse,
    Native,
    ServerSentEvent,
    StreamReader,
    Target,
    failed,
)

API_VERSION = "2023-06-01"
WITHOUT_SAMPLING = "2026-10-21"
"""From this version on."""
DEFAULT_MAX_TOKENS = 16_384
"""The vendor wants a limit; a plain call that may write more than 21,333 tokens could run into its ten minutes."""

SAMPLING: Final = (Parameter.TEMPERATURE, Parameter.TOP_P, Parameter.TOP_K)
PARAMETERS: Final[Mapping[str, Fate]] = {
    **parameters.BASE,
    **dict.fromkeys((*SAMPLING, Parameter.STOP, Parameter.MANY_STOPS), TRANSLATED),
    **dict.fromkeys((Parameter.IMAGE_URLS, Parameter.DOCUMENTS, Parameter.DOCUMENT_URLS), TRANSLATED),
    **dict.fromkeys((Parameter.TOOL_IMAGES, Parameter.SERIAL_TOOLS), TRANSLATED),
    Parameter.NATIVE: NATIVE,
    Parameter.ALLOWED_TOOLS: emulated("the other tools are not offered"),
    "others": NATIVE,
    "user": emulated("as a digest in `metadata.user_id`: the vendor asks for no personal data"),
    "instructions": emulated("gathered in `system`, wherever they stand in the conversation"),
    "max_output_tokens": emulated(f"required here: {DEFAULT_MAX_TOKENS} where none is given; at most the model's own"),
    "thinking": emulated("an effort becomes a budget where the model has no efforts, and the other way round"),
    "seed": hint("left out: best effort by OpenAI's own definition"),
}

FINISHES = {
    "end_turn": Finish.STOP,
    "stop_sequence": Finish.STOP,
    "max_tokens": Finish.LENGTH,
    "tool_use": Finish.TOOL_CALLS,
    "refusal": Finish.FILTERED_OUTPUT,
    "pause_turn": Finish.PAUSED,
    "model_context_window_exceeded": Finish.CONTEXT_FULL,
}
UNKNOWN = Finish.LENGTH
"""A reason added since: the answer is not known to be complete, so it is not shown as such."""
DECLINED = "The model declined to answer."

SPEND_LIMITS = frozenset({"enforced_spend_limit_reached", "contract_spend_limit_reached"})


class _Messages:
    api_headers: Mapping[str, str] = {"version": "anthropic-version", "betas": "anthropic-beta"}

    def forward(self, body: bytes, target: Target, *, stream: bool) -> HttpRequest:
        changed = addressed(body, target.deployment.model, stream=stream)
        if b'"aw1.' in body:
            mend(changed, "messages", _without_foreign)
        thinks = b'"enabled"' in bytes(changed.get("thinking", b""))
        if thinks and _begun_elsewhere(msgspec.json.decode(changed["messages"])):
            changed["thinking"] = raw({"type": "disabled"})
        return _post(target, msgspec.json.encode(changed))

    def answer(self, response: HttpResponse) -> Answer:
        body = parse_object(response.body)
        if response.status != 200:
            raise Failed(_failure(body or {}, response))
        if body is None:
            raise failed(FailureKind.UNAVAILABLE, "The answer is not a JSON object.", code="malformed_answer")
        if body.get("type") == "error":
            raise Failed(_failure(body, response))
        return complete(_whole(body, response.received_at_ms))

    def stream(self, received_at_ms: int) -> StreamReader:
        return _Stream(received_at_ms)


class Anthropic(_Messages):
    capabilities = frozenset(Capability) - {Capability.EMBEDDINGS}
    parameters = PARAMETERS
    embedder = None  # it has no such model
    rate_headers = RateHeaders(
        requests="anthropic-ratelimit-requests-{what}", tokens="anthropic-ratelimit-tokens-{what}"
    )

    def __init__(self) -> None:
        self.natives: Mapping[Dialect, Native] = {Dialect.ANTHROPIC_MESSAGES: _Messages()}

    def authorization(self, secret: str) -> Mapping[str, str]:
        return {"x-api-key": secret}

    def unsupported(self, conversation: Conversation, deployment: Deployment) -> str | None:
        return (
            parameters.check(conversation, deployment, PARAMETERS)
            or _sampling(conversation, deployment)
            or _of_thinking(conversation, deployment)
        )

    def request(self, conversation: Conversation, target: Target, *, stream: bool) -> HttpRequest:
        deployment = target.deployment
        limit = min(conversation.max_output_tokens or DEFAULT_MAX_TOKENS, deployment.max_output_tokens)
        body = anthropic_body.body(conversation, deployment.model, limit)
        return _post(target, msgspec.json.encode(body | ({"stream": True} if stream else {})))


def _post(target: Target, body: bytes) -> HttpRequest:
    headers = {"anthropic-version": target.deployment.api_version or API_VERSION}
    return HttpRequest(f"{target.endpoint.rstrip('/')}/v1/messages", body, headers)


def _sampling(conversation: Conversation, deployment: Deployment) -> str | None:
    if (deployment.api_version or API_VERSION) < WITHOUT_SAMPLING:
        return None
    given = {"temperature": conversation.temperature, "top_p": conversation.top_p, "top_k": conversation.top_k}
    return next((name for name, value in given.items() if value is not None), None)


def _of_thinking(conversation: Conversation, deployment: Deployment) -> str | None:
    """What cannot be had while the model thinks."""
    if not anthropic_body.thinks(conversation):
        return None
    if conversation.temperature not in (None, 1):
        return "temperature"
    if not anthropic_body.thinks_in_budget(deployment.model):
        return None
    if conversation.max_output_tokens is not None and conversation.max_output_tokens <= LEAST_BUDGET:
        return "max_output_tokens"
    forced = conversation.tool_choice and conversation.tool_choice.mode in ("required", "named")
    return "tool_choice" if conversation.tools and forced else None


def _without_foreign(messages: list[Json]) -> Iterator[Json]:
    """The messages without the thoughts of other vendors, which this one would refuse."""
    for message in messages:
        if isinstance(message.get("content"), list):
            kept = [block for block in children(message, "content") if not _is_foreign(block)]
            if kept:
                yield message | {"content": kept}
        else:
            yield message


def _begun_elsewhere(messages: list[Json]) -> bool:
    """Whether a tool loop is open that another vendor began, whose ids are others: its thoughts would be missed."""
    if len(messages) < 2 or not any(block.get("type") == "tool_result" for block in children(messages[-1], "content")):
        return False
    called = [text(block, "id") for block in children(messages[-2], "content") if block.get("type") == "tool_use"]
    return any(not name.startswith("toolu_") for name in called)


def _is_foreign(block: Json) -> bool:
    return unseal(text(block, "signature")) is not None or unseal(text(block, "data")) is not None


def _whole(message: Json, received_at_ms: int) -> Iterator[Event]:
    yield Begun(text(message, "id"), text(message, "model"), received_at_ms // 1000)
    for index, block in enumerate(children(message, "content")):
        yield from _begun(index, block)
        if block.get("type") == "tool_use":
            yield CallArguments(index, msgspec.json.encode(child(block, "input")).decode())
    yield from _stopped(message)
    yield Counted(_usage(child(message, "usage")))


def _begun(index: int, block: Json) -> Iterator[Event]:
    """What a block says as it begins: most of it when it comes whole, little when it is streamed."""
    match block.get("type"):
        case "text":
            yield from (Said(words) for words in [text(block, "text")] if words)
        case "tool_use":
            yield CallBegun(index, text(block, "id"), text(block, "name"))
        case "thinking":
            yield from _thought(text(block, "thinking"), text(block, "signature"))
        case "redacted_thinking":
            yield Thought("", text(block, "data"), ORIGIN, REDACTED)
        case _:
            yield Item(Opaque(ORIGIN, block))


def _thought(words: str, signature: str) -> Iterator[Event]:
    if words or signature:
        yield Thought(words, signature, ORIGIN if signature else None)


def _stopped(said: Json) -> Iterator[Event]:
    """The end of the message: why it stopped, and in a refusal what is said about it."""
    reason = text(said, "stop_reason")
    if reason == "refusal":
        details = child(said, "stop_details")
        yield Refused(text(details, "explanation") or DECLINED, category=text(details, "category"))
    if reason:
        yield Finished(FINISHES.get(reason, UNKNOWN), text(said, "stop_sequence") or None)


def _usage(usage: Json) -> Usage:
    """Anthropic counts cached input beside the rest; here it is contained in the total, as everywhere else."""
    read, written = count(usage, "cache_read_input_tokens"), count(usage, "cache_creation_input_tokens")
    return Usage(
        input_tokens=count(usage, "input_tokens") + read + written,
        output_tokens=count(usage, "output_tokens"),
        cached_input_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=count(child(usage, "output_tokens_details"), "thinking_tokens"),
    )


class _Stream:
    def __init__(self, received_at_ms: int) -> None:
        self.ended = self.aside = False
        self._created = received_at_ms // 1000
        self._usage: Json = {}
        self._silent: set[int] = set()
        """Calls of which no argument has come yet."""

    def read(self, event: ServerSentEvent) -> Sequence[Event]:
        data = parse_object(event.data)
        if data is None:
            raise failed(FailureKind.UNAVAILABLE, "The stream holds an event that is not JSON.", code="malformed_chunk")
        kind = text(data, "type")
        self.aside = kind == "ping"
        self.ended = self.ended or kind == "message_stop"
        return tuple(self._read(kind, data))

    def _read(self, kind: str, data: Json) -> Iterator[Event]:
        match kind:
            case "content_block_delta":
                yield from self._said(count(data, "index"), child(data, "delta"))
            case "content_block_start":
                yield from self._started(count(data, "index"), child(data, "content_block"))
            case "content_block_stop":
                if count(data, "index") in self._silent:
                    yield CallArguments(count(data, "index"), "{}")
            case "message_start":
                message = child(data, "message")
                self._usage = child(message, "usage")
                yield Begun(text(message, "id"), text(message, "model"), self._created, _usage(self._usage))
            case "message_delta":
                yield from self._stopped(child(data, "delta"), child(data, "usage"))
            case "error":
                raise Failed(_failure(data, HttpResponse(200, {}, b"")))
            case _:  # pings, the end, and events added since
                return

    def _started(self, index: int, block: Json) -> Iterator[Event]:
        if block.get("type") == "tool_use":
            self._silent.add(index)
        yield from _begun(index, block)

    def _said(self, index: int, delta: Json) -> Iterator[Event]:
        match delta.get("type"):
            case "text_delta":
                yield from (Said(words) for words in [text(delta, "text")] if words)
            case "input_json_delta":
                if text(delta, "partial_json"):
                    self._silent.discard(index)
                    yield CallArguments(index, text(delta, "partial_json"))
            case "thinking_delta":
                yield from _thought(text(delta, "thinking"), "")
            case "signature_delta":
                yield from _thought("", text(delta, "signature"))
            case _:  # citations, and pieces added since
                return

    def _stopped(self, delta: Json, usage: Json) -> Iterator[Event]:
        """The end of the message: its counts are cumulative, those that it repeats replace the first ones."""
        self._usage = self._usage | {name: value for name, value in usage.items() if value is not None}
        yield from _stopped(delta)
        yield Counted(_usage(self._usage))


_STATUS_OF = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The status of an error that comes in an open stream, where HTTP has already said 200."""

UNSUPPORTED_PHRASES = (
    "does not support assistant message prefill",
    "must end with a user message",
    "Extra inputs are not permitted",
)
"""Under HTTP 400: this model cannot be asked so, another may."""


def _failure(body: Json, response: HttpResponse) -> Failure:
    error = child(body, "error")
    code = text(child(error, "details"), "error_code") or text(error, "type")
    status = response.status if response.status != 200 else _STATUS_OF.get(text(error, "type"), 500)
    message = text(error, "message") or f"HTTP {status} without a message."
    kind = _kind(code, status, message)
    said = "The vendor rejected the credential." if kind is FailureKind.AUTH_FAILED else message
    return Failure(kind, said, code or None, retry_after_ms(response.headers, response.received_at_ms))


def _kind(code: str, status: int, message: str) -> FailureKind:
    if code in SPEND_LIMITS:
        return FailureKind.QUOTA_EXHAUSTED
    if status == 400 and message.startswith("prompt is too long"):
        return FailureKind.TOO_LONG
    if status == 400 and any(phrase in message for phrase in UNSUPPORTED_PHRASES):
        return FailureKind.UNSUPPORTED
    return by_status(status)
