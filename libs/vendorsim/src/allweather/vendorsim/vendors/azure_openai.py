"""Azure OpenAI: one resource per region, chat completions by deployment (classic) and by body (v1)."""

from collections.abc import Iterator

from allweather.vendorsim.answers import Answer, Ask, Finish, compose
from allweather.vendorsim.catalogue import AZURE_DEPLOYMENTS, AZURE_REGIONS, Model
from allweather.vendorsim.dialects import chat, gpt
from allweather.vendorsim.wire import (
    Call,
    Failure,
    Frame,
    FrameKind,
    Headers,
    Json,
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
_LONG_WAIT = 86400
"""Seconds a deployment without quota tells its callers to wait."""
_DENIED = (
    "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an "
    "active subscription and use a correct regional API endpoint for your resource."
)
_NO_DEPLOYMENT = (
    "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, "
    "please wait a moment and try again."
)
_FILTERED = (
    "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify "
    "your prompt and retry. To learn more about our content filtering policies please read our documentation: "
    "https://go.microsoft.com/fwlink/?linkid=2198766"
)
_TEXTS = {
    400: "The request could not be understood.",
    403: "Public access is disabled. Please configure private endpoint.",
    404: "Resource not found",
    408: "Operation timed out.",
    500: "The server had an error while processing your request. Sorry about that!",
    503: "The service is temporarily unable to process your request. Please try again later.",
}
_SAFE: Json = {name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")}
_SAFE_PROMPT: Json = {"jailbreak": {"filtered": False, "detected": False}, **_SAFE}
_SAFE_ANSWER: Json = {
    **_SAFE,
    "protected_material_code": {"filtered": False, "detected": False},
    "protected_material_text": {"filtered": False, "detected": False},
}
_VIOLENT: Json = {"violence": {"filtered": True, "severity": "medium"}}
_PROMPT_RESULTS = [{"prompt_index": 0, "content_filter_results": _SAFE_PROMPT}]


class AzureOpenAI:
    name = "azure-openai"

    def read(self, request: Request) -> Call:
        region, _, path = request.path.partition("/")
        deployment = _deployment_in(path)
        known = request.method == "POST" and (deployment is not None or path == "openai/v1/chat/completions")
        payload = json_object(request.body) if known else None
        if known and deployment is None and payload is not None:
            deployment = str(payload.get("model"))
        model = AZURE_DEPLOYMENTS.get(deployment or "")
        target = Target(self.name, region, deployment, model.id if model else None)
        return Call(request, target, "chat" if known else "unknown", payload, bool(payload and payload.get("stream")))

    def respond(self, call: Call, ticket: Ticket) -> Reply | Stream:
        problem = _unauthorized(call.request) or _misaddressed(call) or gpt.check(call.payload or {})
        if problem is not None:
            return self.render(problem, call, ticket)
        return self._answer(call, call.payload or {}, ticket)

    def problem(self, failure: Failure, call: Call, /) -> Problem:
        if failure.kind == "auth":
            return Problem(401, _DENIED, code="401")
        if failure.kind == "quota" or failure.status == 429:
            return _rate_limited(failure, call)
        text = failure.message or _TEXTS.get(failure.status, "The request failed.")
        code = failure.code or str(failure.status)
        return Problem(failure.status, text, code=code, retry_after=failure.retry_after)

    def render(self, problem: Problem, call: Call, ticket: Ticket, /) -> Reply:
        headers = [*_headers(call, ticket), (b"content-type", b"application/json"), *_retry_headers(problem)]
        return Reply(problem.status, headers, encode(_error(problem)))

    def interrupt(self, problem: Problem, _ticket: Ticket, /) -> list[Frame]:
        return [Frame(FrameKind.END, chat.sse(_error(problem)))]

    def _answer(self, call: Call, payload: Json, ticket: Ticket) -> Reply | Stream:
        model = AZURE_DEPLOYMENTS[str(call.target.deployment)]
        ask = gpt.read_ask(payload, model)
        answer = compose(ask)
        problem = _refused() if answer.finish is Finish.REFUSED else gpt.check_length(ask, model)
        if problem is not None:
            return self.render(problem, call, ticket)
        headers = [*_headers(call, ticket), (b"x-ms-rai-invoked", b"true")]
        usage = chat.usage_of(ask, answer)
        if call.streaming:
            headers.append((b"content-type", b"text/event-stream; charset=utf-8"))
            return Stream(headers, _frames(payload, ask, answer, model, ticket), usage)
        headers.append((b"content-type", b"application/json"))
        return Reply(200, headers, encode(_completion(payload, ask, answer, model, ticket)), usage)


def _completion(payload: Json, ask: Ask, answer: Answer, model: Model, ticket: Ticket) -> Json:
    message = gpt.message(answer, f"call_{ticket.token(24, 'tool')}")
    finish = chat.finish_reason(answer, forced=chat.forced_by_name(payload))
    body = chat.completion(answer, gpt.head(ticket, model), message, finish, gpt.usage(ask, answer))
    body["choices"][0]["content_filter_results"] = _judged(answer)
    return {**body, "prompt_filter_results": _PROMPT_RESULTS}


def _frames(payload: Json, ask: Ask, answer: Answer, model: Model, ticket: Ticket) -> Iterator[Frame]:
    first = {"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": _PROMPT_RESULTS}
    yield Frame(FrameKind.FRAMING, chat.sse(first))
    head = gpt.head(ticket, model)
    with_usage = chat.includes_usage(payload)
    if with_usage:
        head["usage"] = None
    finish = chat.finish_reason(answer, forced=chat.forced_by_name(payload))
    tool_id = f"call_{ticket.token(24, 'tool')}"
    for number, (kind, chunk, tokens) in enumerate(chat.chunks(answer, head, {"refusal": None}, finish, tool_id)):
        filtered = kind is FrameKind.FINISH and answer.finish is Finish.FILTERED
        chunk["choices"][0]["content_filter_results"] = _judged(answer) if filtered else _verdict_on(kind)
        chunk["obfuscation"] = gpt.padding(ticket, number)
        yield Frame(kind, chat.sse(chunk), tokens)
    if with_usage:
        kind, chunk, tokens = chat.usage_chunk(head, gpt.usage(ask, answer))
        yield Frame(kind, chat.sse({**chunk, "obfuscation": ""}), tokens)
    yield chat.DONE


def _verdict_on(kind: FrameKind) -> Json:
    return _SAFE if kind is FrameKind.CONTENT else {}


def _judged(answer: Answer) -> Json:
    return {**_SAFE_ANSWER, **_VIOLENT} if answer.finish is Finish.FILTERED else _SAFE_ANSWER


def _deployment_in(path: str) -> str | None:
    """Return the deployment that a classic path names."""
    match path.split("/"):
        case ["openai", "deployments", deployment, "chat", "completions"]:
            return deployment
        case _:
            return None


def _unauthorized(request: Request) -> Problem | None:
    key = request.headers.get("api-key") or bearer(request)
    return Problem(401, _DENIED, code="401") if key is None or revoked(key) else None


def _misaddressed(call: Call) -> Problem | None:
    classic = "/deployments/" in call.request.path
    unversioned = classic and not call.request.query.get("api-version")
    if call.operation == "unknown" or call.target.region not in AZURE_REGIONS or unversioned:
        return Problem(404, "Resource not found", code="404")
    if call.target.deployment is not None and call.target.deployment not in AZURE_DEPLOYMENTS:
        return Problem(404, _NO_DEPLOYMENT, _INVALID, "DeploymentNotFound")
    if call.payload is None:
        return Problem(400, "The request body is not valid JSON.", _INVALID)
    return None


def _refused() -> Problem:
    """Return the answer to a prompt that the content filter stops."""
    found = {**_SAFE_PROMPT, **_VIOLENT}
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": found}
    more = {"status": 400, "innererror": inner}
    return Problem(400, _FILTERED, None, "content_filter", "prompt", more)


def _rate_limited(failure: Failure, call: Call) -> Problem:
    retry_after = _LONG_WAIT if failure.kind == "quota" and failure.retry_after is None else failure.retry_after
    version = call.request.query.get("api-version")
    wait = f" Please retry after {round(retry_after or 1)} seconds."
    if version is None:
        text = failure.message or f"Your requests have exceeded the call rate limit of this deployment.{wait}"
        more = {"details": text}
        return Problem(429, text, code=failure.code or "RateLimitReached", more=more, retry_after=retry_after)
    text = (
        f"Requests to the ChatCompletions_Create Operation under Azure OpenAI API version {version} have exceeded "
        f"token rate limit of your current OpenAI S0 pricing tier.{wait} Please contact Azure support service if you "
        "would like to further increase the default rate limit."
    )
    return Problem(429, failure.message or text, code=failure.code or "429", retry_after=retry_after)


def _error(problem: Problem) -> Json:
    """Render as Azure does: errors of the gateway have a code and no type, errors of the model all four members."""
    if problem.type is None and problem.param is None:
        return {"error": {"code": problem.code, "message": problem.message, **problem.more}}
    if problem.code == "DeploymentNotFound":
        return {"error": {"type": problem.type, "code": problem.code, "message": problem.message}}
    told = {"message": problem.message, "type": problem.type, "param": problem.param, "code": problem.code}
    return {"error": {**told, **problem.more}}


def _headers(call: Call, ticket: Ticket) -> Headers:
    allowance = ticket.allowance
    asked = call.request.headers.get("x-ms-client-request-id")
    headers = [
        ascii_header("apim-request-id", ticket.uuid("apim")),
        ascii_header("x-ms-client-request-id", asked or ticket.uuid("client")),
        ascii_header("x-ms-region", AZURE_REGIONS.get(call.target.region or "", "Unknown")),
        ascii_header("x-request-id", ticket.uuid("request")),
        (b"azureml-model-session", b"d001-20261101000000"),
    ]
    milliseconds = round(allowance.reset_seconds * 1000)
    for what, limit, remaining in (
        ("requests", allowance.limit_requests, allowance.remaining_requests),
        ("tokens", allowance.limit_tokens, allowance.remaining_tokens),
    ):
        headers += [
            ascii_header(f"x-ratelimit-limit-{what}", limit),
            ascii_header(f"x-ratelimit-remaining-{what}", remaining),
            ascii_header(f"x-ratelimit-reset-{what}", milliseconds),
            ascii_header(f"x-ratelimit-renewalperiod-{what}", 60),
        ]
    return headers


def _retry_headers(problem: Problem) -> Headers:
    """Azure rounds seconds up and tells milliseconds apart; it was seen to say 1 and 0 in one answer."""
    if problem.retry_after is None:
        return []
    milliseconds = round(problem.retry_after * 1000)
    return [ascii_header("retry-after", -(-milliseconds // 1000)), ascii_header("retry-after-ms", milliseconds)]
