"""OpenAI: `/v1/chat/completions`, plain and streamed, and `/v1/models`."""

from collections.abc import Iterator

from allweather.vendorsim.answers import Answer, Ask, compose
from allweather.vendorsim.catalogue import OPENAI, Model
from allweather.vendorsim.dialects import chat, gpt
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
    ascii_header,
    bearer,
    encode,
    json_object,
    revoked,
)

_INVALID = "invalid_request_error"
_KEYS_PAGE = "You can find your API key at https://platform.openai.com/account/api-keys."
_BILLING = (
    "For more information on this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors."
)
_RELEASED = 1765313051

_STATUS: dict[int, Problem] = {
    400: Problem(400, "The request could not be understood.", _INVALID),
    403: Problem(403, "You are not allowed to sample from this model", _INVALID),
    404: Problem(404, "The model `gpt-5.2` does not exist or you do not have access.", _INVALID, "model_not_found"),
    408: Problem(408, "Request timed out.", "timeout"),
    409: Problem(409, "The resource was changed by another request.", "conflict"),
    413: Problem(413, "The request is too large.", _INVALID),
    422: Problem(422, "The request was well-formed but could not be processed.", _INVALID),
    500: Problem(500, "The server had an error while processing your request. Sorry about that!", "server_error"),
    502: Problem(502, "Bad gateway.", "server_error"),
    503: Problem(
        503, "The server is overloaded or not ready yet.", "service_unavailable_error", "server_is_overloaded"
    ),
    504: Problem(504, "The server took too long to answer.", "server_error"),
}  # fmt: skip
_QUOTA = "You exceeded your current quota, please check your plan and billing details. " + _BILLING


class OpenAI:
    name = "openai"

    def read(self, request: Request) -> Call:
        operation = _operation(request)
        payload = json_object(request.body) if operation == "chat" else None
        model = payload.get("model") if payload else None
        target = Target(self.name, model=model if isinstance(model, str) else None)
        return Call(request, target, operation, payload, bool(payload and payload.get("stream")))

    def respond(self, call: Call, ticket: Ticket) -> Reply | Stream:
        problem = _unauthorized(call.request)
        if problem is None and call.operation == "models":
            return self._models(call, ticket)
        if problem is None:
            problem = _misaddressed(call) or gpt.check(call.payload or {})
        if problem is not None:
            return self.render(problem, call, ticket)
        return self._answer(call, call.payload or {}, ticket)

    def problem(self, failure: Failure, call: Call, /) -> Problem:
        if failure.kind == "auth":
            return _incorrect_key(bearer(call.request) or "")
        if failure.kind == "quota":
            return Problem(429, failure.message or _QUOTA, "insufficient_quota", failure.code or "insufficient_quota")
        if failure.status == 429:
            return _rate_limited(failure, call)
        known = _STATUS.get(failure.status, Problem(failure.status, "The request failed.", "server_error"))
        return Problem(
            failure.status,
            failure.message or known.message,
            known.type,
            failure.code or known.code,
            retry_after=failure.retry_after,
        )

    def render(self, problem: Problem, _call: Call, ticket: Ticket, /) -> Reply:
        headers = [*_headers(ticket), (b"content-type", b"application/json"), *_retry_headers(problem)]
        return Reply(problem.status, headers, encode(_error(problem)))

    def interrupt(self, problem: Problem, _ticket: Ticket, /) -> list[Frame]:
        return [Frame(FrameKind.END, chat.sse(_error(problem)))]

    def _models(self, call: Call, ticket: Ticket) -> Reply:
        cards = [{"id": name, "object": "model", "created": _RELEASED, "owned_by": "system"} for name in OPENAI]
        headers = [*_headers(ticket), (b"content-type", b"application/json")]
        wanted = call.request.path.removeprefix("v1/models").strip("/")
        if not wanted:
            return Reply(200, headers, encode({"object": "list", "data": cards}))
        card = next((card for card in cards if card["id"] == wanted), None)
        if card is None:
            return self.render(_no_model(wanted), call, ticket)
        return Reply(200, headers, encode(card))

    def _answer(self, call: Call, payload: Json, ticket: Ticket) -> Reply | Stream:
        model = OPENAI[str(payload["model"])]
        ask = gpt.read_ask(payload, model)
        if (problem := gpt.check_length(ask, model)) is not None:
            return self.render(problem, call, ticket)
        answer = compose(ask)
        usage = chat.usage_of(ask, answer)
        if call.streaming:
            headers = [*_headers(ticket), (b"content-type", b"text/event-stream; charset=utf-8")]
            return Stream(headers, _frames(payload, ask, answer, model, ticket), usage)
        headers = [*_headers(ticket), (b"content-type", b"application/json")]
        return Reply(200, headers, encode(_completion(payload, ask, answer, model, ticket)), usage)


def _completion(payload: Json, ask: Ask, answer: Answer, model: Model, ticket: Ticket) -> Json:
    message = gpt.message(answer, f"call_{ticket.token(24, 'tool')}")
    finish = chat.finish_reason(answer, forced=chat.forced_by_name(payload))
    return chat.completion(answer, gpt.head(ticket, model), message, finish, gpt.usage(ask, answer))


def _frames(payload: Json, ask: Ask, answer: Answer, model: Model, ticket: Ticket) -> Iterator[Frame]:
    head = gpt.head(ticket, model)
    with_usage = chat.includes_usage(payload)
    if with_usage:
        head["usage"] = None
    finish = chat.finish_reason(answer, forced=chat.forced_by_name(payload))
    tool_id = f"call_{ticket.token(24, 'tool')}"
    for number, (kind, chunk, tokens) in enumerate(chat.chunks(answer, head, {"refusal": None}, finish, tool_id)):
        chunk["obfuscation"] = gpt.padding(ticket, number)
        yield Frame(kind, chat.sse(chunk), tokens)
    if with_usage:
        kind, chunk, tokens = chat.usage_chunk(head, gpt.usage(ask, answer))
        yield Frame(kind, chat.sse({**chunk, "obfuscation": ""}), tokens)
    yield chat.DONE


def _operation(request: Request) -> Operation:
    if request.method == "POST" and request.path == "v1/chat/completions":
        return "chat"
    if request.method == "GET" and (request.path == "v1/models" or request.path.startswith("v1/models/")):
        return "models"
    return "unknown"


def _unauthorized(request: Request) -> Problem | None:
    key = bearer(request)
    if key is None:
        text = (
            "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer "
            "auth (i.e. Authorization: Bearer YOUR_KEY). You can obtain an API key from "
            "https://platform.openai.com/account/api-keys."
        )
        return Problem(401, text, _INVALID)
    return _incorrect_key(key) if revoked(key) else None


def _incorrect_key(key: str) -> Problem:
    shown = f"{key[:8]}{'*' * 12}{key[-4:]}" if len(key) > 16 else "*" * 8
    return Problem(401, f"Incorrect API key provided: {shown}. {_KEYS_PAGE}", _INVALID, "invalid_api_key")


def _misaddressed(call: Call) -> Problem | None:
    if call.operation == "unknown":
        return Problem(404, f"Invalid URL ({call.request.method} /{call.request.path})", _INVALID)
    if call.payload is None:
        text = "We could not parse the JSON body of your request. The OpenAI API expects a JSON payload."
        return Problem(400, text, _INVALID)
    if call.target.model is None:
        return Problem(400, "you must provide a model parameter", _INVALID)
    return None if call.target.model in OPENAI else _no_model(call.target.model)


def _no_model(name: str) -> Problem:
    text = f"The model `{name}` does not exist or you do not have access to it."
    return Problem(404, text, _INVALID, "model_not_found")


def _rate_limited(failure: Failure, call: Call) -> Problem:
    if failure.code == "slow_down":
        text = "Your requests are growing too fast. Please slow down, and increase your request rate gradually."
        return Problem(429, failure.message or text, "rate_limit_error", "slow_down", retry_after=failure.retry_after)
    hint = "" if failure.retry_after is None else f" Please try again in {_duration(failure.retry_after)}."
    text = (
        f"Rate limit reached for {call.target.model or 'gpt-5.2'} in organization org-allweather on requests per min "
        f"(RPM): Limit 60000, Used 60000, Requested 1.{hint} Visit https://platform.openai.com/account/rate-limits to "
        "learn more."
    )
    code = failure.code or "rate_limit_exceeded"
    return Problem(429, failure.message or text, "requests", code, retry_after=failure.retry_after)


def _error(problem: Problem) -> Json:
    told = {"message": problem.message, "type": problem.type, "param": problem.param, "code": problem.code}
    return {"error": {**told, **problem.more}}


def _headers(ticket: Ticket) -> Headers:
    allowance = ticket.allowance
    reset = _duration(allowance.reset_seconds)
    return [
        (b"openai-version", b"2020-10-01"),
        (b"openai-organization", b"allweather"),
        (b"openai-project", b"proj_allweather"),
        (b"openai-processing-ms", b"12"),
        ascii_header("x-request-id", f"req_{ticket.hex(32, 'request')}"),
        ascii_header("x-ratelimit-limit-requests", allowance.limit_requests),
        ascii_header("x-ratelimit-limit-tokens", allowance.limit_tokens),
        ascii_header("x-ratelimit-remaining-requests", allowance.remaining_requests),
        ascii_header("x-ratelimit-remaining-tokens", allowance.remaining_tokens),
        ascii_header("x-ratelimit-reset-requests", reset),
        ascii_header("x-ratelimit-reset-tokens", reset),
    ]


def _retry_headers(problem: Problem) -> Headers:
    if problem.retry_after is None:
        return []
    milliseconds = round(problem.retry_after * 1000)
    return [ascii_header("retry-after", -(-milliseconds // 1000)), ascii_header("retry-after-ms", milliseconds)]


def _duration(seconds: float) -> str:
    """Write a duration as Go does: `12ms`, `1.5s`, `6m0s`."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    minutes, rest = divmod(seconds, 60)
    text = f"{rest:.3f}".rstrip("0").rstrip(".")
    hours, minutes = divmod(int(minutes), 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{text}s"
