"""OpenAI: Chat Completions, Responses, Embeddings, Models, Files and Batches."""

from collections.abc import Sequence

from allweather.vendorsim.catalogue import OPENAI, OPENAI_EMBEDDERS
from allweather.vendorsim.dialects import chat_answer, embeddings, gpt_chat, responses_answer
from allweather.vendorsim.dialects.openai_batches import Batches
from allweather.vendorsim.dialects.openai_files import Files
from allweather.vendorsim.dialects.responses import House, Responses
from allweather.vendorsim.memory import PromptCache
from allweather.vendorsim.vendors import openai_words as words
from allweather.vendorsim.wire import (
    Call,
    Failure,
    Frame,
    FrameKind,
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
    Whole,
    encode,
    json_object,
)

_RELEASED = 1765313051
_HOUSE = House("openai")


class OpenAI:
    name = "openai"

    def __init__(self) -> None:
        self._cache = PromptCache()
        self._responses = Responses()
        self._files = Files()
        self._batches = Batches(self._files, self._batched)

    def read(self, request: Request) -> Call:
        operation = _operation(request)
        has_body = request.method == "POST" and operation not in ("unknown", "files")
        payload = json_object(request.body) if has_body else None
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

    def interrupt(self, problem: Problem, call: Call, ticket: Ticket, sent: int, /) -> list[Frame]:
        match call.operation:
            case "responses":
                model = OPENAI[str(call.target.model)]
                begun = responses_answer.skeleton(call.payload or {}, model, ticket, "in_progress")
            case "stored":
                begun = self._responses.kept(call.request.path.split("/")[2])
            case _:
                return [Frame(FrameKind.END, chat_answer.sse(words.error(problem)))]
        return responses_answer.interruption(problem, begun, sent, nested=ticket.digest[0] % 2 == 0)

    def _outcome(self, call: Call, ticket: Ticket) -> Outcome:
        match call.operation:
            case "chat" | "responses" | "embeddings" | "count_tokens":
                return self._modelled(call, ticket)
            case "unknown":
                return words.wrong_url(call.request)
            case _:
                return self._kept(call, ticket) or words.wrong_url(call.request)

    def _modelled(self, call: Call, ticket: Ticket) -> Outcome:
        """Answer what a model is needed for."""
        payload, name = call.payload, call.target.model
        if payload is None:
            return words.not_json()
        if name is None:
            return words.no_model_given()
        if call.operation == "embeddings":
            embedder = OPENAI_EMBEDDERS.get(name)
            return _no_embedder(name) if embedder is None else embeddings.answer(payload, embedder)
        model = OPENAI.get(name)
        if model is None:
            return words.no_model(name) if call.operation == "chat" else words.no_model_in_responses(name)
        match call.operation:
            case "chat":
                return gpt_chat.answer(payload, model, ticket, self._cache)
            case "responses":
                return self._responses.create(payload, model, _HOUSE, ticket)
            case _:
                return self._responses.count(payload, model, _HOUSE)

    def _kept(self, call: Call, ticket: Ticket) -> Outcome | None:
        """Answer what is about something that was made before; None when there is no such call."""
        request = call.request
        path = request.path.split("/")[2:]
        match call.operation:
            case "models":
                return _models(path)
            case "files":
                content_type = request.headers.get("content-type", "")
                return self._files.answer(request.method, path, request.body, content_type, ticket)
            case "batches":
                return self._batches.answer(request.method, path, call.payload, ticket)
            case _:
                name, *rest = path
                return self._responses.about(request.method, name, rest, request.query, ticket.wall)

    def _batched(self, url: str, body: Json, ticket: Ticket) -> tuple[int, str, Json]:
        """Answer one request of a batch."""
        headers = {"authorization": "Bearer of the batch"}
        request = Request("POST", url.lstrip("/"), {}, headers, encode({**body, "stream": False}))
        reply = self.respond(self.read(request), ticket)
        told = json_object(reply.body) if isinstance(reply, Reply) else None
        return (reply.status if isinstance(reply, Reply) else 500), f"req_{ticket.hex(32, 'request')}", told or {}


def _operation(request: Request) -> Operation:
    match (request.method, request.path.split("/")):
        case ("POST", ["v1", "chat", "completions"]):
            return "chat"
        case ("POST", ["v1", "responses"]):
            return "responses"
        case ("POST", ["v1", "embeddings"]):
            return "embeddings"
        case ("POST", ["v1", "responses", "input_tokens"]):
            return "count_tokens"
        case (_, ["v1", "responses", _, *_]):
            return "stored"
        case (_, ["v1", "files", *_]):
            return "files"
        case (_, ["v1", "batches", *_]):
            return "batches"
        case ("GET", ["v1", "models"] | ["v1", "models", _]):
            return "models"
        case _:
            return "unknown"


def _models(path: Sequence[str]) -> Outcome:
    cards = [
        {"id": name, "object": "model", "created": _RELEASED, "owned_by": "system"}
        for name in (*OPENAI, *OPENAI_EMBEDDERS)
    ]
    if not path:
        return Whole(encode({"object": "list", "data": cards}))
    card = next((card for card in cards if card["id"] == path[0]), None)
    return words.no_model(path[0]) if card is None else Whole(encode(card))


def _no_embedder(name: str) -> Problem:
    if name not in OPENAI:
        return words.no_model(name)
    return Problem(403, "You are not allowed to generate embeddings from this model", "invalid_request_error")
