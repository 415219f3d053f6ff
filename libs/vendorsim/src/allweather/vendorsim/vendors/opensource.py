"""Open models on vLLM's OpenAI-compatible servers, started with `--api-key`: one that talks, one that embeds."""

from collections.abc import Collection, Mapping
from http import HTTPStatus

from allweather.vendorsim.catalogue import OPENSOURCE, OPENSOURCE_EMBEDDERS
from allweather.vendorsim.dialects import chat_answer, vllm, vllm_embeddings
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
    bearer,
    encode,
    json_object,
    revoked,
)

_JSON: Headers = [(b"content-type", b"application/json")]
_OPERATIONS: dict[tuple[str, str], Operation] = {
    ("POST", "v1/chat/completions"): "chat",
    ("POST", "v1/embeddings"): "embeddings",
    ("GET", "v1/models"): "models",
    ("GET", "health"): "health",
}
_SERVED: Mapping[Operation, Collection[str]] = {"chat": OPENSOURCE, "embeddings": OPENSOURCE_EMBEDDERS}
_UNAUTHORIZED = Problem(401, "Unauthorized", code=401)


class OpenSource:
    name = "open-source"

    def read(self, request: Request) -> Call:
        operation = _OPERATIONS.get((request.method, request.path), "unknown")
        payload = json_object(request.body) if operation in _SERVED else None
        model = payload.get("model") if payload else None
        target = Target(self.name, model=model if isinstance(model, str) else None)
        return Call(request, target, operation, payload, bool(payload and payload.get("stream")))

    def respond(self, call: Call, ticket: Ticket) -> Reply | Stream:
        if call.operation == "health":
            return Reply(200, [], b"")
        if call.request.path.startswith("v1/") and ((key := bearer(call.request)) is None or revoked(key)):
            return self.render(_UNAUTHORIZED, call, ticket)
        if call.operation == "models":
            return Reply(200, _JSON, encode({"object": "list", "data": _cards(ticket)}))
        answer = vllm_embeddings.answer if call.operation == "embeddings" else vllm.answer
        match _misaddressed(call) or answer(call.payload or {}, ticket):
            case Whole(body=body, usage=usage):
                return Reply(200, _JSON, body, usage)
            case Streamed(frames=frames, usage=usage):
                return Stream([(b"content-type", b"text/event-stream; charset=utf-8")], frames, usage)
            case problem:
                return self.render(problem, call, ticket)

    def problem(self, failure: Failure, _call: Call, /) -> Problem:
        if failure.kind == "auth":
            return _UNAUTHORIZED
        phrase = _phrase(failure.status)
        kind = failure.code or ("InternalServerError" if failure.status == 500 else phrase)
        return Problem(failure.status, failure.message or phrase, kind, failure.status, retry_after=failure.retry_after)

    def render(self, problem: Problem, _call: Call, _ticket: Ticket, /) -> Reply:
        retry = [] if problem.retry_after is None else [(b"retry-after", str(round(problem.retry_after)).encode())]
        return Reply(problem.status, [*_JSON, *retry], encode(_error(problem)))

    def interrupt(self, problem: Problem, _call: Call, _ticket: Ticket, _sent: int, /) -> list[Frame]:
        return [Frame(FrameKind.END, chat_answer.sse(_error(problem))), chat_answer.DONE]


def _cards(ticket: Ticket) -> list[Json]:
    return [
        {
            "id": model.id,
            "object": "model",
            "created": int(ticket.wall),
            "owned_by": "vllm",
            "root": model.id,
            "parent": None,
            "max_model_len": model.window,
            "permission": [],
        }
        for model in (*OPENSOURCE.values(), *OPENSOURCE_EMBEDDERS.values())
    ]


def _misaddressed(call: Call) -> Problem | None:
    if call.operation == "unknown":
        return Problem(404, "Not Found", "Not Found", code=404)
    if call.payload is None:
        text = "[{'type': 'json_invalid', 'loc': ('body', 0), 'msg': 'JSON decode error', 'input': {}}]"
        return Problem(400, text, "Bad Request", code=400)
    model = call.target.model
    if model in _SERVED[call.operation] or (model is None and call.operation == "chat"):
        return None
    return Problem(404, f"The model `{model}` does not exist.", "NotFoundError", 404, "model")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Internal Server Error"


def _error(problem: Problem) -> Json:
    if problem.status == 401:
        return {"error": "Unauthorized"}
    told = {"message": problem.message, "type": problem.type, "param": problem.param, "code": problem.code}
    return {"error": {**told, **problem.more}}
