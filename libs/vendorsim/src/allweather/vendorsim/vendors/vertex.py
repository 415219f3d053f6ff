"""Vertex AI: Gemini plain and streamed, counting tokens, embeddings, and the OAuth token endpoint."""

import re
from collections.abc import Iterator, Mapping

from allweather.vendorsim.answers import Ask, variants
from allweather.vendorsim.catalogue import VERTEX, VERTEX_EMBEDDERS, VERTEX_LOCATIONS, Model
from allweather.vendorsim.dialects import gemini, gemini_answer, gemini_embedding
from allweather.vendorsim.dialects.gemini_read import read_ask
from allweather.vendorsim.dialects.prefixes import seen_share
from allweather.vendorsim.memory import PromptCache
from allweather.vendorsim.vendors import vertex_words as words
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
    Usage,
    Whole,
    ascii_header,
    encode,
    items,
    json_object,
    members,
)

_PATH = re.compile(
    r"v1(?:beta1)?/projects/(?P<project>[^/]+)/locations/(?P<location>[^/]+)/publishers/google/models/"
    r"(?P<model>[^/:]+):(?P<verb>\w+)"
)
_VERBS: Mapping[str, Operation] = {
    "generateContent": "chat",
    "streamGenerateContent": "chat",
    "countTokens": "count_tokens",
    "embedContent": "embeddings",
    "predict": "embeddings",
}
_LEAST_CACHED = 4096


class Vertex:
    name = "vertex"

    def __init__(self) -> None:
        self._cache = PromptCache()

    def read(self, request: Request) -> Call:
        if request.method == "POST" and request.path == "oauth2/token":
            return Call(request, Target(self.name), "token", None)
        found = _PATH.fullmatch(request.path)
        operation = _VERBS.get(found["verb"]) if found and request.method == "POST" else None
        if found is None or operation is None:
            return Call(request, Target(self.name), "unknown", None)
        target = Target(self.name, found["location"], model=found["model"])
        return Call(request, target, operation, json_object(request.body), found["verb"] == "streamGenerateContent")

    def respond(self, call: Call, ticket: Ticket) -> Reply | Stream:
        if call.operation == "token":
            return words.token(call.request, ticket)
        outcome = words.unauthorized(call.request) or _misaddressed(call) or self._outcome(call, ticket)
        match outcome:
            case Whole(body=body, usage=usage):
                return Reply(200, words.headers(ticket), words.indented(body), usage)
            case Streamed(frames=frames, usage=usage):
                return Stream([*words.headers(ticket)[1:], (b"content-type", b"text/event-stream")], frames, usage)
            case problem:
                return self.render(problem, call, ticket)

    def problem(self, failure: Failure, call: Call, /) -> Problem:
        return words.problem_of(failure, call)

    def render(self, problem: Problem, call: Call, ticket: Ticket, /) -> Reply:
        error = words.error(problem)
        headers = words.headers(ticket)
        if problem.retry_after is not None:
            headers.append(ascii_header("retry-after", round(problem.retry_after)))
        # On the stream endpoint an error is an array of one, whatever `alt` says.
        return Reply(problem.status, headers, words.pretty([error] if call.streaming else error))

    def interrupt(self, problem: Problem, _call: Call, _ticket: Ticket, _sent: int, /) -> list[Frame]:
        """In mid-stream the error comes without `data:`, as JSON over several lines."""
        return [Frame(FrameKind.END, words.pretty(words.error(problem)).replace(b"\n", b"\r\n") + b"\r\n\r\n")]

    def _outcome(self, call: Call, ticket: Ticket) -> Outcome:
        payload = call.payload or {}
        match call.operation:
            case "chat":
                return self._content(call, payload, VERTEX[str(call.target.model)], ticket)
            case "count_tokens":
                return _count(payload, VERTEX[str(call.target.model)])
            case _:
                model = VERTEX_EMBEDDERS[str(call.target.model)]
                older = call.request.path.endswith(":predict")
                embed = gemini_embedding.predict if older else gemini_embedding.embed_content
                return embed(payload, model)

    def _content(self, call: Call, payload: Json, model: Model, ticket: Ticket) -> Outcome:
        if (problem := gemini.check(payload, model)) is not None:
            return problem
        ask = read_ask(payload, model)
        count = members(payload.get("generationConfig")).get("candidateCount") or 1
        answers = [gemini_answer.settled(answer) for answer in variants(ask, count)]
        if (problem := gemini.check_length(ask, answers[0], model)) is not None:
            return problem
        cached = self._cached(payload, ask, ticket) if ask.input_tokens >= _LEAST_CACHED else 0
        telling = gemini_answer.Telling(payload, ask, model, ticket, cached)
        usage = Usage(ask.input_tokens, sum(answer.tokens for answer in answers))
        if not call.streaming:
            return Whole(encode(telling.whole(answers)), usage)
        if call.request.query.get("alt") != "sse":
            return Whole(encode([chunk for _, chunk, _ in telling.chunks(answers)]), usage)
        return Streamed(_frames(telling.chunks(answers)), usage)

    def _cached(self, payload: Json, ask: Ask, ticket: Ticket) -> int:
        """Return how much of the prompt Gemini has seen lately: it caches long prompts by itself."""
        begin = [ask.model, payload.get("systemInstruction"), payload.get("tools")]
        share = seen_share(self._cache, begin, items(payload["contents"]), ticket.wall)
        return int(ask.input_tokens * share)


def _frames(chunks: Iterator[gemini_answer.Chunk]) -> Iterator[Frame]:
    for kind, chunk, tokens in chunks:
        yield Frame(kind, b"data: %b\r\n\r\n" % encode(chunk), tokens)


def _count(payload: Json, model: Model) -> Outcome:
    if (problem := gemini.check(payload, model)) is not None:
        return problem
    tokens = read_ask(payload, model).input_tokens
    details = [{"modality": "TEXT", "tokenCount": tokens}]
    return Whole(encode({"totalTokens": tokens, "promptTokensDetails": details}))


def _misaddressed(call: Call) -> Problem | None:
    if call.operation == "unknown":
        return words.no_page(call.request)
    known = VERTEX_EMBEDDERS if call.operation == "embeddings" else VERTEX
    if call.target.model not in known or call.target.region not in VERTEX_LOCATIONS:
        return words.no_model(call.request)
    return words.not_json() if call.payload is None else None
