"""Anthropic Messages: `/v1/messages`, plain and streamed."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from allweather.vendorsim.answers import Answer, Ask, Finish, Tool, compose, estimate, pick_tool
from allweather.vendorsim.catalogue import ANTHROPIC, Model
from allweather.vendorsim.dialects.messages import check, check_length, check_version
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
    Usage,
    ascii_header,
    bearer,
    encode,
    items,
    json_object,
    members,
    revoked,
)

_TYPES = {
    400: ("invalid_request_error", "The request was not understood."),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "Your organization's billing details need attention."),
    403: ("permission_error", "Your API key does not have permission to use the specified resource."),
    404: ("not_found_error", "Not Found"),
    408: ("timeout_error", "Request timed out."),
    409: ("conflict_error", "The resource was changed by another request."),
    413: ("request_too_large", "Request exceeds the maximum size"),
    500: ("api_error", "Internal server error"),
    502: ("api_error", "Bad gateway"),
    503: ("api_error", "Service temporarily unavailable"),
    504: ("timeout_error", "Request timed out. Consider streaming long requests."),
    529: ("overloaded_error", "Overloaded"),
}
_STOP_REASONS = {
    Finish.STOP: "end_turn",
    Finish.STOP_SEQUENCE: "stop_sequence",
    Finish.LENGTH: "max_tokens",
    Finish.TOOL: "tool_use",
    Finish.REFUSED: "refusal",
    Finish.FILTERED: "refusal",
}
_MOST_BYTES = 32 * 1024 * 1024
_TOKENS_A_DELTA = 4
_THOUGHT = "The customer's message has to be sorted and answered."
_FINAL = (400, 401, 402, 403, 404, 413)
"""Statuses that come with `x-should-retry: false`."""


class Anthropic:
    name = "anthropic"

    def read(self, request: Request) -> Call:
        known = request.method == "POST" and request.path == "v1/messages"
        payload = json_object(request.body) if known else None
        model = payload.get("model") if payload else None
        target = Target(self.name, model=model if isinstance(model, str) else None)
        return Call(request, target, "chat" if known else "unknown", payload, bool(payload and payload.get("stream")))

    def respond(self, call: Call, ticket: Ticket) -> Reply | Stream:
        problem = _unauthorized(call.request) or _misaddressed(call) or check_version(call.request)
        if problem is None and call.payload is not None:
            problem = check(call.payload, call.request.headers["anthropic-version"])
        if problem is not None:
            return self.render(problem, call, ticket)
        return self._answer(call, call.payload or {}, ticket)

    def problem(self, failure: Failure, _call: Call, /) -> Problem:
        if failure.kind == "quota":
            code = failure.code or "enforced_spend_limit_reached"
            text = failure.message or "You have reached your monthly spend limit. Access returns next month."
            return Problem(429, text, "rate_limit_error", more={"details": {"error_code": code}})
        if failure.status == 429:
            return _rate_limited(failure)
        kind, text = _TYPES.get(failure.status, ("api_error", "The request failed."))
        return Problem(failure.status, failure.message or text, failure.code or kind, retry_after=failure.retry_after)

    def render(self, problem: Problem, _call: Call, ticket: Ticket, /) -> Reply:
        headers = [*_identity(ticket), (b"content-type", b"application/json")]
        if problem.status in _FINAL:
            headers.append((b"x-should-retry", b"false"))
        if problem.status == 429:
            headers += _limits(ticket)
        if problem.retry_after is not None:
            headers.append(ascii_header("retry-after", -(-round(problem.retry_after * 1000) // 1000)))
        return Reply(problem.status, headers, encode(_error(problem, ticket)))

    def interrupt(self, problem: Problem, ticket: Ticket, /) -> list[Frame]:
        return [_event(FrameKind.END, _error(problem, ticket))]

    def _answer(self, call: Call, payload: Json, ticket: Ticket) -> Reply | Stream:
        model = ANTHROPIC[str(payload["model"])]
        ask = _read_ask(payload, model)
        if (problem := check_length(ask, model)) is not None:
            return self.render(problem, call, ticket)
        answer = compose(ask)
        headers = [*_identity(ticket), *_limits(ticket)]
        if (
            ticket.digest[0] % 8 == 0
        ):  # now and then it comes with good answers too: clients must read it on errors only
            headers.append((b"retry-after", b"30"))
        usage = Usage(ask.input_tokens, answer.tokens)
        blocks = _blocks(payload, answer, ticket)
        if call.streaming:
            headers += [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
            return Stream(headers, _frames(_message(ask, answer, model, [], ticket), answer, blocks, ask), usage)
        headers.append((b"content-type", b"application/json"))
        return Reply(200, headers, encode(_message(ask, answer, model, blocks, ticket)), usage)


def _read_ask(payload: Json, model: Model) -> Ask:
    messages = items(payload["messages"])
    turns = [(str(members(each).get("role")), _text_of(members(each).get("content"))) for each in messages]
    system = _text_of(payload.get("system"))
    conversation = "\n".join(f"{role}: {text}" for role, text in turns)
    tools = items(payload.get("tools"))
    schemas = estimate(encode(tools).decode()) if tools else 0
    output_format = members(members(payload.get("output_config")).get("format"))
    thinks = members(payload.get("thinking")).get("type") in ("enabled", "adaptive")
    return Ask(
        model=model.id,
        system=system,
        conversation=conversation,
        question=next((text for role, text in reversed(turns) if role == "user" and text), ""),
        input_tokens=estimate(system) + sum(estimate(text) + 4 for _, text in turns) + schemas + 3,
        max_tokens=payload["max_tokens"],
        stop=[str(each) for each in items(payload.get("stop_sequences"))],
        schema=members(output_format.get("schema")) or None,
        wants_json=output_format.get("type") == "json_schema",
        tool=_tool(payload, tools, turns[-1][1]),
        reasoning_tokens=16 if thinks else 0,
    )


def _text_of(content: object) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(str(members(block).get("text", "")) for block in items(content))


def _tool(payload: Json, tools: list[Any], turn: str) -> Tool | None:
    choice = members(payload.get("tool_choice"))
    if choice.get("type") == "none":
        return None
    known = [Tool(str(members(each).get("name")), members(members(each).get("input_schema"))) for each in tools]
    return pick_tool(known, named=choice.get("name"), required=choice.get("type") == "any", turn=turn)


def _blocks(payload: Json, answer: Answer, ticket: Ticket) -> list[Json]:
    """Return the content blocks; a refusal of the prompt has none."""
    blocks: list[Json] = []
    if answer.reasoning_tokens and answer.finish is not Finish.REFUSED:
        shown = members(payload.get("thinking")).get("display") != "omitted"
        signature = ticket.token(64, "signature")
        blocks.append({"type": "thinking", "thinking": _THOUGHT if shown else "", "signature": signature})
    if answer.tool is not None:
        tool_id = f"toolu_{ticket.token(24, 'tool')}"
        blocks.append({"type": "tool_use", "id": tool_id, "name": answer.tool.name, "input": answer.tool.arguments})
    elif answer.pieces:
        blocks.append({"type": "text", "text": answer.text})
    return blocks


def _message(ask: Ask, answer: Answer, model: Model, blocks: list[Json], ticket: Ticket) -> Json:
    return {
        "model": model.id,
        "id": f"msg_01{ticket.token(22, 'id')}",
        "type": "message",
        "role": "assistant",
        "content": blocks,
        **_ending(answer),
        "usage": {
            **_input_usage(ask),
            "output_tokens": answer.tokens,
            "service_tier": "standard",
            "inference_geo": "not_available" if model.id.startswith("claude-haiku") else "global",
        },
    }


def _ending(answer: Answer) -> Json:
    details = None
    if answer.finish in (Finish.REFUSED, Finish.FILTERED):
        text = "This request was declined by the safety classifier."
        details = {"type": "refusal", "category": "policy", "explanation": text}
    reason = _STOP_REASONS[answer.finish]
    return {"stop_reason": reason, "stop_sequence": answer.stop_sequence, "stop_details": details}


def _input_usage(ask: Ask) -> Json:
    return {
        "input_tokens": ask.input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
    }


def _frames(message: Json, answer: Answer, blocks: list[Json], ask: Ask) -> Iterator[Frame]:
    ending = {name: message[name] for name in ("stop_reason", "stop_sequence", "stop_details")}
    message |= dict.fromkeys(ending)
    message["usage"]["output_tokens"] = 1
    yield _event(FrameKind.FRAMING, {"type": "message_start", "message": message})
    for index, block in enumerate(blocks):
        start = {"type": "content_block_start", "index": index, "content_block": _started(block)}
        yield _event(FrameKind.FRAMING, start)
        if index == 0:
            yield _event(FrameKind.FRAMING, {"type": "ping"})
        for delta, tokens in _deltas(block, answer):
            change = {"type": "content_block_delta", "index": index, "delta": delta}
            yield _event(FrameKind.CONTENT, change, tokens)
        yield _event(FrameKind.FRAMING, {"type": "content_block_stop", "index": index})
    usage = {**_input_usage(ask), "output_tokens": answer.tokens}
    yield _event(FrameKind.FINISH, {"type": "message_delta", "delta": ending, "usage": usage})
    yield _event(FrameKind.END, {"type": "message_stop"})


def _started(block: Json) -> Json:
    empty: dict[str, Json] = {
        "text": {"text": ""},
        "thinking": {"thinking": "", "signature": ""},
        "tool_use": {"input": {}},
    }
    return {**block, **empty[block["type"]]}


def _deltas(block: Json, answer: Answer) -> Iterator[tuple[Json, int]]:
    if block["type"] == "thinking":
        yield {"type": "thinking_delta", "thinking": block["thinking"]}, answer.reasoning_tokens
        yield {"type": "signature_delta", "signature": block["signature"]}, 0
    elif block["type"] == "tool_use":
        arguments = encode(block["input"]).decode() if block["input"] else ""
        for start in range(-12, len(arguments), 12):  # the first piece is empty, as on the wire
            yield {"type": "input_json_delta", "partial_json": arguments[max(start, 0) : start + 12]}, 3
    else:
        for start in range(0, len(answer.pieces), _TOKENS_A_DELTA):
            pieces = answer.pieces[start : start + _TOKENS_A_DELTA]
            yield {"type": "text_delta", "text": "".join(pieces)}, len(pieces)


def _event(kind: FrameKind, payload: Json, tokens: int = 0) -> Frame:
    body = encode(payload)
    padding = b" " * (len(body) % 16)  # Anthropic pads the JSON, so that the length of a token cannot be read off
    return Frame(kind, b"event: %b\ndata: %b%b\n\n" % (payload["type"].encode(), body, padding), tokens)


def _unauthorized(request: Request) -> Problem | None:
    key = request.headers.get("x-api-key") or bearer(request)
    if key is None:
        return Problem(401, "x-api-key header is required", "authentication_error")
    if not revoked(key):
        return None
    shown = "invalid x-api-key" if "x-api-key" in request.headers else "Invalid bearer token"
    return Problem(401, shown, "authentication_error")


def _misaddressed(call: Call) -> Problem | None:
    if call.operation == "unknown":
        return Problem(404, "Not Found", "not_found_error")
    if len(call.request.body) > _MOST_BYTES:
        return Problem(413, "Request exceeds the maximum size", "request_too_large")
    if call.payload is None:
        return Problem(400, "The request body is not valid JSON: expected a JSON object", "invalid_request_error")
    model = call.target.model
    return None if model is None or model in ANTHROPIC else Problem(404, f"model: {model}", "not_found_error")


def _rate_limited(failure: Failure) -> Problem:
    text = "This request would exceed your organization's rate limit of 60,000 requests per minute."
    more = {"details": {"error_code": failure.code}} if failure.code else {}
    return Problem(429, failure.message or text, "rate_limit_error", more=more, retry_after=failure.retry_after)


def _error(problem: Problem, ticket: Ticket) -> Json:
    told = {"type": problem.type, "message": problem.message, **problem.more}
    return {"type": "error", "error": told, "request_id": f"req_011{ticket.token(21, 'request')}"}


def _identity(ticket: Ticket) -> Headers:
    return [
        ascii_header("request-id", f"req_011{ticket.token(21, 'request')}"),
        ascii_header("anthropic-organization-id", "a11a11a1-0000-4000-8000-a11a11a11a11"),
    ]


def _limits(ticket: Ticket) -> Headers:
    allowance = ticket.allowance
    reset = datetime.fromtimestamp(ticket.wall + allowance.reset_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    headers: Headers = []
    for what in ("requests", "tokens", "input-tokens", "output-tokens"):
        of_requests = what == "requests"
        limit = allowance.limit_requests if of_requests else allowance.limit_tokens
        remaining = allowance.remaining_requests if of_requests else allowance.remaining_tokens
        headers += [
            ascii_header(f"anthropic-ratelimit-{what}-limit", limit),
            ascii_header(f"anthropic-ratelimit-{what}-remaining", remaining),
            ascii_header(f"anthropic-ratelimit-{what}-reset", reset),
        ]
    return headers
