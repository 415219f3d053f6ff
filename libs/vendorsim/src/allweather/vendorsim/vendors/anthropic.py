"""Anthropic: the Messages API, plain and streamed, counting tokens, Message Batches, models."""

from collections.abc import Mapping

from allweather.vendorsim.answers import compose
from allweather.vendorsim.catalogue import ANTHROPIC
from allweather.vendorsim.dialects import messages, messages_answer, messages_cache
from allweather.vendorsim.dialects.messages_batches import MessageBatches
from allweather.vendorsim.dialects.messages_read import read_ask
from allweather.vendorsim.memory import PromptCache
from allweather.vendorsim.vendors import anthropic_words as words
from allweather.vendorsim.wire import (
    Call,
    Failure,
    Frame,
    FrameKind,
    Headers,
    Json,
    Operation,
    Outcome,
    Problem,
    Reply,
    Request,
    Stream,
    Streamed,
    Target,
    Ticket,
    Usage,
    Whole,
    ascii_header,
    encode,
    json_object,
)

_MOST_BYTES: Mapping[Operation, int] = {"chat": 32 * 1024 * 1024, "batches": 256 * 1024 * 1024}
_FINAL = (400, 401, 402, 403, 404, 413)
"""Statuses that come with `x-should-retry: false`."""
_RELEASED = "2026-02-05T00:00:00Z"


class Anthropic:
    name = "anthropic"

    def __init__(self) -> None:
        self._cache = PromptCache()
        self._batches = MessageBatches(self._batched)

    def read(self, request: Request) -> Call:
        operation = _operation(request)
        payload = json_object(request.body) if request.method == "POST" and operation != "unknown" else None
        model = payload.get("model") if payload else None
        target = Target(self.name, model=model if isinstance(model, str) else None)
        return Call(request, target, operation, payload, bool(payload and payload.get("stream")))

    def respond(self, call: Call, ticket: Ticket) -> Reply | Stream:
        outcome = (
            words.unauthorized(call.request)
            or _misaddressed(call)
            or messages.check_version(call.request)
            or self._outcome(call, ticket)
        )
        match outcome:
            case Whole(body=body, usage=usage, content_type=content_type):
                return Reply(200, [*_headers(ticket), (b"content-type", content_type)], body, usage)
            case Streamed(frames=frames, usage=usage):
                headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
                return Stream([*_headers(ticket), *headers], frames, usage)
            case problem:
                return self.render(problem, call, ticket)

    def problem(self, failure: Failure, _call: Call, /) -> Problem:
        return words.problem_of(failure)

    def render(self, problem: Problem, _call: Call, ticket: Ticket, /) -> Reply:
        headers = [*words.identity(ticket), (b"content-type", b"application/json")]
        if problem.status in _FINAL:
            headers.append((b"x-should-retry", b"false"))
        if problem.status == 429:
            headers += words.limits(ticket)
        if problem.retry_after is not None:
            headers.append(ascii_header("retry-after", -(-round(problem.retry_after * 1000) // 1000)))
        return Reply(problem.status, headers, encode(words.error(problem, ticket)))

    def interrupt(self, problem: Problem, _call: Call, ticket: Ticket, _sent: int, /) -> list[Frame]:
        return [messages_answer.event(FrameKind.END, words.error(problem, ticket))]

    def _outcome(self, call: Call, ticket: Ticket) -> Outcome:
        version = call.request.headers["anthropic-version"]
        match call.operation:
            case "chat":
                return self._message(call.payload or {}, version, call.request.body, ticket)
            case "count_tokens":
                return _count(call.payload or {}, version)
            case "models":
                return _models(call.request.path.removeprefix("v1/models").strip("/"))
            case _:
                request = call.request
                path = request.path.removeprefix("v1/messages/batches")
                host = request.headers.get("host", "api.anthropic.com")
                return self._batches.answer(request.method, path, call.payload, host, ticket)

    def _message(self, payload: Json, version: str, body: bytes, ticket: Ticket) -> Outcome:
        if (problem := messages.check(payload, version)) is not None:
            return problem
        model = ANTHROPIC[str(payload["model"])]
        ask = read_ask(payload, model)
        answer = compose(ask)
        if (problem := messages.check_length(ask, model) or messages.check_health(answer)) is not None:
            return problem
        used = messages_cache.CacheUse(ask.input_tokens)
        if b"cache_control" in body:
            used = messages_cache.use(self._cache, payload, model, ask.input_tokens, ticket.wall)
        usage = Usage(ask.input_tokens, answer.tokens)
        if payload.get("stream"):
            return Streamed(messages_answer.frames(payload, answer, model, used, ticket), usage)
        return Whole(encode(messages_answer.message(payload, answer, model, used, ticket)), usage)

    def _batched(self, params: Json, ticket: Ticket) -> tuple[int, bytes]:
        """Answer one request of a batch."""
        body = encode({**params, "stream": False})
        headers = {"x-api-key": "of the batch", "anthropic-version": "2023-06-01"}
        reply = self.respond(self.read(Request("POST", "v1/messages", {}, headers, body)), ticket)
        return (reply.status, reply.body) if isinstance(reply, Reply) else (500, b"{}")


def _operation(request: Request) -> Operation:
    match (request.method, request.path.split("/")):
        case ("POST", ["v1", "messages"]):
            return "chat"
        case ("POST", ["v1", "messages", "count_tokens"]):
            return "count_tokens"
        case (_, ["v1", "messages", "batches", *_]):
            return "batches"
        case ("GET", ["v1", "models"] | ["v1", "models", _]):
            return "models"
        case _:
            return "unknown"


def _misaddressed(call: Call) -> Problem | None:
    if call.operation == "unknown":
        return Problem(404, "Not Found", "not_found_error")
    if len(call.request.body) > _MOST_BYTES.get(call.operation, _MOST_BYTES["chat"]):
        return Problem(413, "Request exceeds the maximum size", "request_too_large")
    if call.payload is None and call.operation in ("chat", "count_tokens"):
        return Problem(400, "The request body is not valid JSON: expected a JSON object", "invalid_request_error")
    model = call.target.model
    return None if model is None or model in ANTHROPIC else Problem(404, f"model: {model}", "not_found_error")


def _count(payload: Json, version: str) -> Outcome:
    if (problem := messages.check_count(payload, version)) is not None:
        return problem
    ask = read_ask(payload, ANTHROPIC[str(payload["model"])])
    return Whole(encode({"input_tokens": ask.input_tokens}))


def _models(wanted: str) -> Outcome:
    cards = [
        {
            "type": "model",
            "id": name,
            "display_name": name.replace("-", " ").title(),
            "created_at": _RELEASED,
            "max_input_tokens": model.window,
            "max_tokens": model.max_output,
        }
        for name, model in ANTHROPIC.items()
    ]
    if not wanted:
        page = {"data": cards, "has_more": False, "first_id": cards[0]["id"], "last_id": cards[-1]["id"]}
        return Whole(encode(page))
    card = next((card for card in cards if card["id"] == wanted), None)
    return Problem(404, f"model: {wanted}", "not_found_error") if card is None else Whole(encode(card))


def _headers(ticket: Ticket) -> Headers:
    headers = [*words.identity(ticket), *words.limits(ticket)]
    if ticket.digest[0] % 8 == 0:
        # Now and then it comes with good answers, too: clients must read it on errors only.
        headers.append((b"retry-after", b"30"))
    return headers
