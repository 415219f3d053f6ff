"""OpenAI: chat completions and models."""

from allweather.vendorsim.catalogue import OPENAI
from allweather.vendorsim.dialects import chat_answer, gpt_chat
from allweather.vendorsim.memory import PromptCache
from allweather.vendorsim.vendors import openai_words as words
from allweather.vendorsim.wire import (
    Call,
    Failure,
    Frame,
    FrameKind,
    Operation,
    Outcome,
    Problem,
    Reply,
    Request,
    Stream,
    Streamed,
    Target,
    Ticket,
    Whole,
    encode,
    json_object,
)

_RELEASED = 1765313051


class OpenAI:
    name = "openai"

    def __init__(self) -> None:
        self._cache = PromptCache()

    def read(self, request: Request) -> Call:
        operation = _operation(request)
        payload = json_object(request.body) if operation == "chat" else None
        model = payload.get("model") if payload else None
        target = Target(self.name, model=model if isinstance(model, str) else None)
        return Call(request, target, operation, payload, bool(payload and payload.get("stream")))

    def respond(self, call: Call, ticket: Ticket) -> Reply | Stream:
        outcome = words.unauthorized(call.request) or self._outcome(call, ticket)
        match outcome:
            case Whole(body=body, usage=usage, content_type=content_type):
                return Reply(200, [*words.headers(ticket), (b"content-type", content_type)], body, usage)
            case Streamed(frames=frames, usage=usage):
                headers = [*words.headers(ticket), (b"content-type", b"text/event-stream; charset=utf-8")]
                return Stream(headers, frames, usage)
            case problem:
                return self.render(problem, call, ticket)

    def problem(self, failure: Failure, call: Call, /) -> Problem:
        return words.problem_of(failure, call)

    def render(self, problem: Problem, _call: Call, ticket: Ticket, /) -> Reply:
        headers = [*words.headers(ticket), (b"content-type", b"application/json"), *words.retry_headers(problem)]
        return Reply(problem.status, headers, encode(words.error(problem)))

    def interrupt(self, problem: Problem, _call: Call, _ticket: Ticket, _sent: int, /) -> list[Frame]:
        return [Frame(FrameKind.END, chat_answer.sse(words.error(problem)))]

    def _outcome(self, call: Call, ticket: Ticket) -> Outcome:
        match call.operation:
            case "chat":
                return self._chat(call, ticket)
            case "models":
                return _models(call.request)
            case _:
                return words.wrong_url(call.request)

    def _chat(self, call: Call, ticket: Ticket) -> Outcome:
        if call.payload is None:
            return words.not_json()
        if call.target.model is None:
            return words.no_model_given()
        model = OPENAI.get(call.target.model)
        if model is None:
            return words.no_model(call.target.model)
        return gpt_chat.answer(call.payload, model, ticket, self._cache)


def _operation(request: Request) -> Operation:
    if request.method == "POST" and request.path == "v1/chat/completions":
        return "chat"
    if request.method == "GET" and (request.path == "v1/models" or request.path.startswith("v1/models/")):
        return "models"
    return "unknown"


def _models(request: Request) -> Outcome:
    cards = [{"id": name, "object": "model", "created": _RELEASED, "owned_by": "system"} for name in OPENAI]
    wanted = request.path.removeprefix("v1/models").strip("/")
    if not wanted:
        return Whole(encode({"object": "list", "data": cards}))
    card = next((card for card in cards if card["id"] == wanted), None)
    return words.no_model(wanted) if card is None else Whole(encode(card))
