"""Mistral: nearly Chat Completions, and strict about the rest: unknown members, ids of calls, the order of messages."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from allweather.contracts.answers import Answer, Event
from allweather.contracts.config import Deployment
from allweather.contracts.conversation import (
    Conversation,
    Image,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
)
from allweather.contracts.failures import FailureKind
from allweather.contracts.slip import Capability, Dialect, Parameter
from allweather.dialects.lenient import Json, child, children, parse_object, text
from allweather.provider_worker import chat_body, openai_wire, parameters
from allweather.provider_worker.parameters import TRANSLATED, Fate, emulated, hint
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

CHAT: Final = "/v1/chat/completions"
PARAMETERS: Final[Mapping[str, Fate]] = {
    **parameters.BASE,
    **dict.fromkeys(
        (
            *(Parameter.TEMPERATURE, Parameter.STOP, Parameter.CHOICES, Parameter.IMAGE_URLS, Parameter.JSON_OBJECT),
            *(Parameter.PRESENCE_PENALTY, Parameter.FREQUENCY_PENALTY, Parameter.SERIAL_TOOLS),
        ),
        TRANSLATED,
    ),
    "seed": TRANSLATED,
    "parallel_tools": TRANSLATED,
    Parameter.TOP_P: emulated("left out at temperature 0, where it changes nothing and is refused"),
    Parameter.ALLOWED_TOOLS: emulated("the other tools are not offered"),
    "turns": emulated(
        "calls of others get ids of nine letters; what a user says right after results of tools stands in the last one"
    ),
    "thinking": emulated("there are two efforts: any but `none` and `minimal` is `high`"),
    "user": hint("left out: for the vendor's own books"),
}
NATIVES: Final[Mapping[Dialect, Native]] = {}
"""It refuses members of Chat Completions that it does not know, and answers with lists where a text is expected."""

CODES: Final[Mapping[str, FailureKind]] = {
    "1300": FailureKind.RATE_LIMITED,
    "1500": FailureKind.MISCONFIGURED,  # no such model, under HTTP 400
    "invalid_model": FailureKind.MISCONFIGURED,
    "extra_forbidden": FailureKind.UNSUPPORTED,
    "invalid_request_message_order": FailureKind.UNSUPPORTED,
}
TOO_LONG: Final = re.compile(r"too large for model with \d+ maximum context length")
CALL_ID: Final = re.compile(r"[a-zA-Z0-9]{9}")


class Mistral:
    capabilities = frozenset(Capability) - {Capability.EMBEDDINGS}
    parameters = PARAMETERS
    natives = NATIVES
    embedder = None  # `mistral-embed` is not taken up yet
    rate_headers = None  # they do not say when a limit is reset

    def authorization(self, secret: str) -> Mapping[str, str]:
        return {"authorization": f"Bearer {secret}"}

    def unsupported(self, conversation: Conversation, deployment: Deployment) -> str | None:
        shown = any(_shows_after_results(turn.parts) for turn in conversation.turns)
        return Parameter.TOOL_IMAGES if shown else parameters.check(conversation, deployment, PARAMETERS)

    def request(self, conversation: Conversation, target: Target, *, stream: bool) -> HttpRequest:
        body = _body(_offered(conversation), target.deployment.model)
        url = openai_wire.join(target.endpoint, CHAT)
        return HttpRequest(url, msgspec.json.encode(body | ({"stream": True} if stream else {})))

    def answer(self, response: HttpResponse) -> Answer:
        body = parse_object(response.body) or {}
        if response.status != 200:
            raise Failed(_failure(body, response))
        _look(body)
        return openai_wire.answer(response, CODES)

    def stream(self, received_at_ms: int) -> StreamReader:
        return _Stream(received_at_ms)


class _Stream(openai_wire.ChatStream):
    """Also of errors in the vendor's own form, which have no wrapper."""

    def __init__(self, received_at_ms: int) -> None:
        super().__init__(received_at_ms, CODES)

    def read(self, event: ServerSentEvent) -> Sequence[Event]:
        chunk = parse_object(event.data) or {}
        if chunk.get("object") == "error":
            raise Failed(_failure(chunk, HttpResponse(200, {}, b"")))
        return super().read(event)

    def look(self, chunk: Json) -> None:
        _look(chunk)


def _look(answer: Json) -> None:
    """Raise `Failed` when the vendor has given up."""
    if any(text(choice, "finish_reason") == "error" for choice in children(answer, "choices")):
        raise failed(FailureKind.UNAVAILABLE, "The vendor broke the answer off.", code="error")


def _shows_after_results(parts: Sequence[object]) -> bool:
    return any(isinstance(p, ToolResult) for p in parts) and any(isinstance(p, Image) for p in parts)


def _offered(conversation: Conversation) -> Conversation:
    """The conversation with those tools only that may be called: there is no word for a choice among some."""
    choice = conversation.tool_choice
    if choice is None or not choice.allowed:
        return conversation
    tools = tuple(t for t in conversation.tools if isinstance(t, Tool) and t.name in choice.allowed)
    return msgspec.structs.replace(conversation, tools=tools, tool_choice=ToolChoice(choice.mode))


def _body(conversation: Conversation, model: str) -> Json:
    plain = msgspec.structs.replace(conversation, thinking=None, user="")
    body = chat_body.body(plain, model, (), limit="max_tokens")
    body["messages"] = list(_in_order(body["messages"]))
    if conversation.seed is not None:
        body["random_seed"] = body.pop("seed")
    if body.get("tool_choice") == "required":
        body["tool_choice"] = "any"
    if conversation.temperature == 0:
        body.pop("top_p", None)
    if conversation.thinking is not None:
        body["reasoning_effort"] = _effort(conversation.thinking)
    return body


def _effort(thinking: Thinking) -> str:
    return "none" if thinking.effort in ("none", "minimal") else "high"


def _in_order(messages: Sequence[Json]) -> Iterator[Json]:
    """The messages as they may follow each other: a user after a tool is refused, and so is a model at the end."""
    kept: list[Json] = []
    for message in map(_renamed, messages):
        if message["role"] == "user" and kept and kept[-1]["role"] == "tool":
            kept[-1]["content"] += "\n\n" + _words(message["content"])
        else:
            kept.append(message)
    if kept and kept[-1]["role"] == "assistant" and not kept[-1].get("tool_calls"):
        kept[-1]["prefix"] = True
    return iter(kept)


def _words(content: str | list[Json]) -> str:
    return content if isinstance(content, str) else "\n\n".join(text(part, "text") for part in content)


def _renamed(message: Json) -> Json:
    """The message with ids that are taken here, and with a refusal among its words."""
    named: Json = {name: value for name, value in message.items() if name != "refusal"}
    if message.get("refusal"):
        named["content"] = (message.get("content") or "") + message["refusal"]
    if "tool_call_id" in named:
        named["tool_call_id"] = short_id(named["tool_call_id"])
    if "tool_calls" in named:
        calls: list[Any] = named["tool_calls"]
        named["tool_calls"] = [call | {"id": short_id(call["id"])} for call in calls]
    return named


def short_id(name: str) -> str:
    """The id of a call as it is taken here: nine letters and digits, the same for the same call."""
    return name if CALL_ID.fullmatch(name) else hashlib.sha256(name.encode()).hexdigest()[:9]


def _failure(body: Json, response: HttpResponse) -> Failure:
    """The failure that an error stands for, in any of the vendor's three forms."""
    said = _said(body)
    failure = openai_wire.failure(said, response, CODES)
    if failure.kind is FailureKind.INVALID and TOO_LONG.search(failure.message):
        return replace(failure, kind=FailureKind.TOO_LONG)
    return failure


def _said(body: Json) -> Json:
    """The error with a sentence for a message: `detail` is a text, or a list of what is wrong with which member."""
    detail = child(body, "message").get("detail") or body.get("detail")
    if isinstance(detail, str):
        return {"message": detail}
    listed = children({"": detail}, "")
    if not listed:
        return body
    first = listed[0]
    place = ".".join(str(step) for step in first.get("loc", ()) if step != "body")
    return {"message": f"{place}: {text(first, 'msg')}", "code": text(first, "type")}
