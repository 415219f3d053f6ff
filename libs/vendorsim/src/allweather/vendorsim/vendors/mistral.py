"""Mistral: Chat Completions of its own kind."""

from allweather.vendorsim.catalogue import MISTRAL
from allweather.vendorsim.dialects import chat_answer, mistral_chat
from allweather.vendorsim.wire import (
    Call,
    Failure,
    Frame,
    FrameKind,
    Headers,
    Json,
    Operation,
    Problem,
    Reply,
    Request,
    Stream,
    Streamed,
    Target,
    Ticket,
    Whole,
    ascii_header,
    bearer,
    encode,
    json_object,
    revoked,
)

_OPERATIONS: dict[tuple[str, str], Operation] = {
    ("POST", "v1/chat/completions"): "chat",
    ("GET", "v1/models"): "models",
}
_UNAUTHORIZED = Problem(401, "Unauthorized")
_TYPES = {429: ("rate_limited", "1300"), 503: ("service_unavailable", "3000")}


class Mistral:
    name = "mistral"

    def read(self, request: Request) -> Call:
        operation = _OPERATIONS.get((request.method, request.path), "unknown")
        payload = json_object(request.body) if operation == "chat" else None
        target = Target(self.name, model=mistral_chat.wants(payload))
        return Call(request, target, operation, payload, bool(payload and payload.get("stream")))

    def respond(self, call: Call, ticket: Ticket) -> Reply | Stream:
        key = bearer(call.request)
        if key is None or revoked(key):
            return self.render(_UNAUTHORIZED, call, ticket)
        if call.operation == "models":
            return Reply(200, _headers(ticket), encode({"object": "list", "data": _cards(ticket)}))
        match _misaddressed(call) or mistral_chat.answer(call.payload or {}, ticket):
            case Whole(body=body, usage=usage):
                return Reply(200, _headers(ticket), body, usage)
            case Streamed(frames=frames, usage=usage):
                headers = [*_headers(ticket)[1:], (b"content-type", b"text/event-stream; charset=utf-8")]
                return Stream(headers, frames, usage)
            case problem:
                return self.render(problem, call, ticket)

    def problem(self, failure: Failure, _call: Call, /) -> Problem:
        if failure.kind == "auth":
            return _UNAUTHORIZED
        kind, code = _TYPES.get(failure.status, ("internal_server_error", "1000"))
        message = failure.message or ("Rate limit exceeded" if failure.status == 429 else "Internal server error")
        return Problem(failure.status, message, kind, failure.code or code, retry_after=failure.retry_after)

    def render(self, problem: Problem, _call: Call, ticket: Ticket, /) -> Reply:
        retry = [] if problem.retry_after is None else [ascii_header("retry-after", round(problem.retry_after))]
        return Reply(problem.status, [*_headers(ticket), *retry], encode(_error(problem)))

    def interrupt(self, problem: Problem, _call: Call, _ticket: Ticket, _sent: int, /) -> list[Frame]:
        return [Frame(FrameKind.END, chat_answer.sse(_error(problem)))]


def _headers(ticket: Ticket) -> Headers:
    return [(b"content-type", b"application/json"), (b"mistral-correlation-id", ticket.uuid("request").encode())]


def _cards(ticket: Ticket) -> list[Json]:
    return [
        {
            "id": model.id,
            "object": "model",
            "created": int(ticket.wall),
            "owned_by": "mistralai",
            "max_context_length": model.window,
        }
        for model in MISTRAL.values()
    ]


def _misaddressed(call: Call) -> Problem | None:
    if call.operation == "unknown":
        return Problem(404, "Not Found")
    if call.payload is None:
        return Problem(400, "Request body is not valid JSON", "invalid_request_error", "1100")
    model = call.target.model
    if model is None or model in MISTRAL:
        return None
    return Problem(400, f"Invalid model: {model}", "invalid_model", "1500")


def _error(problem: Problem) -> Json:
    """Three forms: a mere `detail` of whoever stands before the models, a list of faults, and the vendor's own."""
    if problem.status in (401, 404):
        return {"detail": problem.message}
    told = {"object": "error", "message": problem.message, "type": problem.type, "param": None, "code": problem.code}
    return {**told, **problem.more, "raw_status_code": problem.status}
