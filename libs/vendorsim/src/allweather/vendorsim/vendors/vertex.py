"""Vertex AI Gemini: generateContent, streamGenerateContent, and the OAuth token endpoint."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import msgspec

from allweather.vendorsim.answers import Answer, Ask, Finish, Tool, compose, estimate, pick_tool
from allweather.vendorsim.catalogue import VERTEX, VERTEX_LOCATIONS, Model
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
    Usage,
    ascii_header,
    bearer,
    encode,
    items,
    json_object,
    members,
    revoked,
)

_PATH = re.compile(
    r"v1(?:beta1)?/projects/(?P<project>[^/]+)/locations/(?P<location>[^/]+)/publishers/google/models/"
    r"(?P<model>[^/:]+):(?P<verb>generateContent|streamGenerateContent)"
)
_STATUSES = {
    400: ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    401: ("UNAUTHENTICATED", ""),
    403: ("PERMISSION_DENIED", "Permission 'aiplatform.endpoints.predict' denied on resource (or it may not exist)."),
    404: ("NOT_FOUND", "Requested entity was not found."),
    409: ("ABORTED", "The operation was aborted."),
    499: ("CANCELLED", "The operation was cancelled."),
    500: ("INTERNAL", "Internal error encountered."),
    502: ("UNAVAILABLE", "Bad gateway."),
    503: ("UNAVAILABLE", "The service is currently unavailable."),
    504: ("DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
}
_UNAUTHENTICATED = (
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
    "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
)
_EXHAUSTED = (
    "Resource exhausted. Please try again later. Please refer to "
    "https://cloud.google.com/vertex-ai/generative-ai/docs/error-code-429 for more details."
)
_QUOTA = (
    "Quota exceeded for aiplatform.googleapis.com/generate_content_requests_per_minute_per_project_per_base_model "
    "with base model: {model}. Please submit a quota increase request."
)
_FINISH_REASONS = {Finish.LENGTH: "MAX_TOKENS", Finish.FILTERED: "SAFETY"}
_THOUGHTS = {"MINIMAL": 0, "LOW": 16, "MEDIUM": 32, "HIGH": 64}
_TOKENS_A_CHUNK = 12
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class Vertex:
    name = "vertex"

    def read(self, request: Request) -> Call:
        if request.method == "POST" and request.path == "oauth2/token":
            return Call(request, Target(self.name), "token", None)
        found = _PATH.fullmatch(request.path)
        if found is None or request.method != "POST":
            return Call(request, Target(self.name), "unknown", None)
        target = Target(self.name, found["location"], model=found["model"])
        operation: Operation = "chat"
        return Call(request, target, operation, json_object(request.body), found["verb"] == "streamGenerateContent")

    def respond(self, call: Call, ticket: Ticket) -> Reply | Stream:
        if call.operation == "token":
            return _token(call.request, ticket)
        problem = _unauthorized(call.request) or _misaddressed(call) or _check(call.payload or {})
        if problem is not None:
            return self.render(problem, call, ticket)
        return self._answer(call, call.payload or {}, ticket)

    def problem(self, failure: Failure, call: Call, /) -> Problem:
        if failure.kind == "auth":
            return _unauthenticated("ACCESS_TOKEN_TYPE_UNSUPPORTED")
        if failure.kind == "quota" or failure.status == 429:
            text = _QUOTA.format(model=call.target.model) if failure.kind == "quota" else _EXHAUSTED
            code = failure.code or "RESOURCE_EXHAUSTED"
            return Problem(429, failure.message or text, code, retry_after=failure.retry_after)
        status, text = _STATUSES.get(failure.status, ("UNKNOWN", "Unknown error."))
        return Problem(failure.status, failure.message or text, failure.code or status, retry_after=failure.retry_after)

    def render(self, problem: Problem, call: Call, ticket: Ticket, /) -> Reply:
        error = _error(problem)
        headers = _headers(ticket)
        if problem.retry_after is not None:
            headers.append(ascii_header("retry-after", round(problem.retry_after)))
        # On the stream endpoint an error is an array of one, whatever `alt` says.
        return Reply(problem.status, headers, _pretty([error] if call.streaming else error))

    def interrupt(self, problem: Problem, _ticket: Ticket, /) -> list[Frame]:
        """In mid-stream the error comes without `data:`, as JSON over several lines."""
        return [Frame(FrameKind.END, _pretty(_error(problem)).replace(b"\n", b"\r\n") + b"\r\n\r\n")]

    def _answer(self, call: Call, payload: Json, ticket: Ticket) -> Reply | Stream:
        model = VERTEX[str(call.target.model)]
        ask = _read_ask(payload, model)
        if ask.input_tokens > model.window:
            text = (
                f"The input token count ({ask.input_tokens}) exceeds the maximum number of tokens allowed "
                f"({model.window})."
            )
            return self.render(Problem(400, text, "INVALID_ARGUMENT"), call, ticket)
        answer = compose(ask)
        usage = Usage(ask.input_tokens, answer.tokens)
        if not call.streaming:
            return Reply(200, _headers(ticket), _pretty(_whole(ask, answer, model, ticket)), usage)
        chunks = _chunks(ask, answer, model, ticket)
        if call.request.query.get("alt") != "sse":
            return Reply(200, _headers(ticket), _pretty([chunk for _, chunk, _ in chunks]), usage)
        headers = [*_headers(ticket)[1:], (b"content-type", b"text/event-stream")]
        return Stream(headers, _frames(chunks), usage)


def _read_ask(payload: Json, model: Model) -> Ask:
    contents = [members(each) for each in items(payload["contents"])]
    turns = [(str(each.get("role", "user")), _text_of(each)) for each in contents]
    system = _text_of(members(payload.get("systemInstruction")))
    config = members(payload.get("generationConfig"))
    tools = items(payload.get("tools"))
    schemas = estimate(encode(tools).decode()) if tools else 0
    level = str(members(config.get("thinkingConfig")).get("thinkingLevel", "MEDIUM")).upper()
    return Ask(
        model=model.id,
        system=system,
        conversation="\n".join(f"{role}: {text}" for role, text in turns),
        question=next((text for role, text in reversed(turns) if role == "user" and text), ""),
        input_tokens=estimate(system) + sum(estimate(text) + 1 for _, text in turns) + schemas,
        max_tokens=config.get("maxOutputTokens"),
        stop=[str(each) for each in items(config.get("stopSequences"))],
        schema=members(config.get("responseJsonSchema") or config.get("responseSchema")) or None,
        wants_json=config.get("responseMimeType") == "application/json",
        tool=_tool(payload, tools, turns[-1][1]),
        reasoning_tokens=_THOUGHTS.get(level, 32),
    )


def _text_of(content: Json) -> str:
    return "\n".join(str(members(part).get("text", "")) for part in items(content.get("parts")))


def _tool(payload: Json, tools: list[Any], turn: str) -> Tool | None:
    config = members(members(payload.get("toolConfig")).get("functionCallingConfig"))
    if config.get("mode") == "NONE":
        return None
    declared = [members(each) for tool in tools for each in items(members(tool).get("functionDeclarations"))]
    known = [
        Tool(str(each.get("name")), members(each.get("parametersJsonSchema") or each.get("parameters")))
        for each in declared
    ]
    allowed = items(config.get("allowedFunctionNames"))
    required = config.get("mode") == "ANY"
    return pick_tool(known, named=str(allowed[0]) if required and allowed else None, required=required, turn=turn)


def _whole(ask: Ask, answer: Answer, model: Model, ticket: Ticket) -> Json:
    if answer.finish is Finish.REFUSED:
        return _blocked(ask, model, ticket)
    parts = [_part(answer, ticket)] if answer.tool or answer.pieces else []
    return _response(parts, _FINISH_REASONS.get(answer.finish, "STOP"), _usage(ask, answer), model, ticket)


def _part(answer: Answer, ticket: Ticket) -> Json:
    if answer.tool is None:
        return {"text": answer.text}
    call = {"name": answer.tool.name, "args": answer.tool.arguments}
    return {"functionCall": call, "thoughtSignature": ticket.token(44, "thought")}


def _chunks(ask: Ask, answer: Answer, model: Model, ticket: Ticket) -> Iterator[tuple[FrameKind, Json, int]]:
    """Yield the chunks; the finish reason comes in one of its own, with an empty text and the thought signature."""
    if answer.finish is Finish.REFUSED:
        yield FrameKind.FINISH, _blocked(ask, model, ticket), 0
        return
    if answer.tool is not None:
        yield FrameKind.FINISH, _whole(ask, answer, model, ticket), answer.tool_tokens
        return
    for start in range(0, len(answer.pieces), _TOKENS_A_CHUNK):
        pieces = answer.pieces[start : start + _TOKENS_A_CHUNK]
        usage = {**_usage(ask, answer), "candidatesTokenCount": start + len(pieces)}
        usage["totalTokenCount"] = ask.input_tokens + answer.reasoning_tokens + start + len(pieces)
        yield FrameKind.CONTENT, _response([{"text": "".join(pieces)}], None, usage, model, ticket), len(pieces)
    last = [{"text": "", "thoughtSignature": ticket.token(44, "thought")}] if answer.pieces else []
    reason = _FINISH_REASONS.get(answer.finish, "STOP")
    yield FrameKind.FINISH, _response(last, reason, _usage(ask, answer), model, ticket), 0


def _frames(chunks: Iterator[tuple[FrameKind, Json, int]]) -> Iterator[Frame]:
    for kind, chunk, tokens in chunks:
        yield Frame(kind, b"data: %b\r\n\r\n" % encode(chunk), tokens)


def _response(parts: list[Json], finish: str | None, usage: Json, model: Model, ticket: Ticket) -> Json:
    content: Json = {"role": "model", "parts": parts} if parts else {"role": "model"}
    candidate: Json = {"content": content}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "usageMetadata": usage, **_tail(model, ticket)}


def _blocked(ask: Ask, model: Model, ticket: Ticket) -> Json:
    """Return the answer to a blocked prompt: HTTP 200, and no candidates."""
    usage = {"promptTokenCount": ask.input_tokens, "totalTokenCount": ask.input_tokens, "trafficType": "ON_DEMAND"}
    feedback = {"blockReason": "PROHIBITED_CONTENT", "blockReasonMessage": "The prompt was blocked."}
    return {"promptFeedback": feedback, "usageMetadata": usage, **_tail(model, ticket)}


def _usage(ask: Ask, answer: Answer) -> Json:
    visible = len(answer.pieces) + answer.tool_tokens
    usage: Json = {"promptTokenCount": ask.input_tokens, "candidatesTokenCount": visible}
    if answer.reasoning_tokens:
        usage["thoughtsTokenCount"] = answer.reasoning_tokens
    return {**usage, "totalTokenCount": ask.input_tokens + answer.tokens, "trafficType": "ON_DEMAND"}


def _tail(model: Model, ticket: Ticket) -> Json:
    created = datetime.fromtimestamp(ticket.wall, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {"modelVersion": model.id, "createTime": created, "responseId": ticket.token(22, "id")}


def _token(request: Request, ticket: Ticket) -> Reply:
    """Exchange a signed assertion for an access token; the signature is not verified."""
    form = parse_qs(request.body.decode("latin-1"))
    assertion = (form.get("assertion") or [""])[0]
    headers = _headers(ticket)
    if form.get("grant_type") != [_GRANT]:
        told = {"error": "unsupported_grant_type", "error_description": "Invalid grant_type"}
        return Reply(400, headers, _pretty(told))
    if assertion.count(".") != 2:
        told = {"error": "invalid_grant", "error_description": "Bad Request: the assertion is not a signed JWT."}
        return Reply(400, headers, _pretty(told))
    granted = {"access_token": f"ya29.{ticket.token(60, 'access')}", "expires_in": 3599, "token_type": "Bearer"}
    return Reply(200, headers, _pretty(granted))


def _unauthorized(request: Request) -> Problem | None:
    token = bearer(request)
    if token is None:
        return _unauthenticated("CREDENTIALS_MISSING")
    return _unauthenticated("ACCESS_TOKEN_TYPE_UNSUPPORTED") if revoked(token) else None


def _unauthenticated(reason: str) -> Problem:
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}
    return Problem(401, _UNAUTHENTICATED, "UNAUTHENTICATED", more={"details": [info]})


def _misaddressed(call: Call) -> Problem | None:
    if call.operation == "unknown":
        return Problem(404, f"The requested URL /{call.request.path} was not found.", "NOT_FOUND")
    model, location = call.target.model, call.target.region
    if model not in VERTEX or location not in VERTEX_LOCATIONS:
        text = (
            f"Publisher Model `{call.request.path.partition('/')[2].partition(':')[0]}` was not found or your project "
            "does not have access to it. Please ensure you are using a valid model version."
        )
        return Problem(404, text, "NOT_FOUND")
    if call.payload is None:
        return Problem(400, "Invalid JSON payload received. Unexpected token.", "INVALID_ARGUMENT")
    return None


def _check(payload: Json) -> Problem | None:
    contents = items(payload.get("contents"))
    if not contents:
        return Problem(400, "at least one contents field is required", "INVALID_ARGUMENT")
    for content in contents:
        if members(content).get("role", "user") not in ("user", "model"):
            return Problem(400, "Please use a valid role: user, model.", "INVALID_ARGUMENT")
    return None


def _error(problem: Problem) -> Json:
    told = {"code": problem.status, "message": problem.message, "status": problem.type}
    return {"error": {**told, **problem.more}}


def _pretty(value: object) -> bytes:
    """Write JSON as Google's front ends do: indented, with a final newline."""
    return msgspec.json.format(encode(value), indent=2) + b"\n"


def _headers(ticket: Ticket) -> Headers:
    return [
        (b"content-type", b"application/json; charset=UTF-8"),
        (b"vary", b"Origin, X-Origin, Referer"),
        ascii_header("x-cloud-trace-context", ticket.hex(32, "trace")),
    ]
