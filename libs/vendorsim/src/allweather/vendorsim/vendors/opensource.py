"""An open model on vLLM's OpenAI-compatible server, started with `--api-key`."""

from collections.abc import Iterator
from http import HTTPStatus

from allweather.vendorsim.answers import Answer, Ask, Finish, compose
from allweather.vendorsim.catalogue import OPENSOURCE, Model
from allweather.vendorsim.dialects import chat
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
    Target,
    Ticket,
    bearer,
    encode,
    items,
    json_object,
    revoked,
)

_JSON: Headers = [(b"content-type", b"application/json")]
_OPERATIONS: dict[tuple[str, str], Operation] = {
    ("POST", "v1/chat/completions"): "chat",
    ("GET", "v1/models"): "models",
    ("GET", "health"): "health",
}
_UNAUTHORIZED = Problem(401, "Unauthorized", code=401)


class OpenSource:
    name = "open-source"

    def read(self, request: Request) -> Call:
        operation = _OPERATIONS.get((request.method, request.path), "unknown")
        payload = json_object(request.body) if operation == "chat" else None
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
        problem = _misaddressed(call) or _check(call.payload or {})
        if problem is not None:
            return self.render(problem, call, ticket)
        return self._answer(call, call.payload or {}, ticket)

    def problem(self, failure: Failure, _call: Call, /) -> Problem:
        if failure.kind == "auth":
            return _UNAUTHORIZED
        phrase = _phrase(failure.status)
        kind = failure.code or ("InternalServerError" if failure.status == 500 else phrase)
        return Problem(failure.status, failure.message or phrase, kind, failure.status, retry_after=failure.retry_after)

    def render(self, problem: Problem, _call: Call, _ticket: Ticket, /) -> Reply:
        retry = [] if problem.retry_after is None else [(b"retry-after", str(round(problem.retry_after)).encode())]
        return Reply(problem.status, [*_JSON, *retry], encode(_error(problem)))

    def interrupt(self, problem: Problem, _ticket: Ticket, /) -> list[Frame]:
        return [Frame(FrameKind.END, chat.sse(_error(problem))), chat.DONE]

    def _answer(self, call: Call, payload: Json, ticket: Ticket) -> Reply | Stream:
        model = OPENSOURCE[str(payload["model"])]
        ask = chat.read_ask(payload, model.id)
        if (problem := _too_long(ask, model)) is not None:
            return self.render(problem, call, ticket)
        answer = _in_words(compose(ask))
        usage = chat.usage_of(ask, answer)
        if call.streaming:
            headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
            return Stream(headers, _frames(payload, ask, answer, model, ticket), usage)
        return Reply(200, _JSON, encode(_completion(payload, ask, answer, model, ticket)), usage)


def _in_words(answer: Answer) -> Answer:
    """A bare model has no filter: it declines in plain text, with finish reason `stop`."""
    if answer.finish is Finish.REFUSED:
        return Answer(Finish.STOP, chat.REFUSAL_PIECES)
    return Answer(Finish.STOP, answer.pieces) if answer.finish is Finish.FILTERED else answer


def _completion(payload: Json, ask: Ask, answer: Answer, model: Model, ticket: Ticket) -> Json:
    message: Json = {
        "refusal": None,
        "annotations": None,
        "audio": None,
        "function_call": None,
        "tool_calls": chat.tool_calls(answer, _tool_id(ticket)),
        "reasoning": None,
    }
    finish = chat.finish_reason(answer, forced=chat.forced_by_name(payload))
    body = chat.completion(answer, _head(ticket, model), message, finish, _usage(ask, answer))
    body["choices"][0] |= {"stop_reason": answer.stop_sequence, "token_ids": None}
    nothing = dict.fromkeys(("service_tier", "system_fingerprint", "prompt_logprobs", "prompt_token_ids"))
    return {**body, **nothing, "kv_transfer_params": None}


def _frames(payload: Json, ask: Ask, answer: Answer, model: Model, ticket: Ticket) -> Iterator[Frame]:
    head = _head(ticket, model)
    finish = chat.finish_reason(answer, forced=chat.forced_by_name(payload))
    for kind, chunk, tokens in chat.chunks(answer, head, {}, finish, _tool_id(ticket)):
        if kind is FrameKind.FINISH:
            chunk["choices"][0]["stop_reason"] = answer.stop_sequence
        yield Frame(kind, chat.sse(chunk), tokens)
    if chat.includes_usage(payload):
        kind, chunk, tokens = chat.usage_chunk(head, _usage(ask, answer))
        yield Frame(kind, chat.sse(chunk), tokens)
    yield chat.DONE


def _head(ticket: Ticket, model: Model) -> Json:
    return {"id": f"chatcmpl-{ticket.hex(32, 'id')}", "created": int(ticket.wall), "model": model.id}


def _tool_id(ticket: Ticket) -> str:
    return f"chatcmpl-tool-{ticket.hex(32, 'tool')}"


def _usage(ask: Ask, answer: Answer) -> Json:
    spent = chat.usage_of(ask, answer)
    return {
        "prompt_tokens": spent.input_tokens,
        "total_tokens": sum(spent),
        "completion_tokens": spent.output_tokens,
        "prompt_tokens_details": None,
    }


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
        for model in OPENSOURCE.values()
    ]


def _misaddressed(call: Call) -> Problem | None:
    if call.operation == "unknown":
        return Problem(404, "Not Found", "Not Found", code=404)
    if call.payload is None:
        text = "[{'type': 'json_invalid', 'loc': ('body', 0), 'msg': 'JSON decode error', 'input': {}}]"
        return Problem(400, text, "Bad Request", code=400)
    model = call.target.model
    if model is None or model in OPENSOURCE:
        return None
    return Problem(404, f"The model `{model}` does not exist.", "NotFoundError", 404, "model")


def _check(payload: Json) -> Problem | None:
    """Check the little that vLLM checks: members it does not know are ignored."""
    for name in ("messages", "model"):
        if payload.get(name) is None:
            text = f"[{{'type': 'missing', 'loc': ('body', '{name}'), 'msg': 'Field required'}}]"
            return Problem(400, text, "Bad Request", code=400)
    if not items(payload["messages"]):
        return Problem(400, "list object has no element 0", "BadRequestError", code=400)
    return None


def _too_long(ask: Ask, model: Model) -> Problem | None:
    wanted = ask.max_tokens or 0
    if ask.input_tokens + wanted <= model.window:
        return None
    text = (
        f"This model's maximum context length is {model.window} tokens. However, you requested "
        f"{ask.input_tokens + wanted} tokens ({ask.input_tokens} in the messages, {wanted} in the completion). Please "
        "reduce the length of the messages or completion."
    )
    return Problem(400, text, "BadRequestError", 400)


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
