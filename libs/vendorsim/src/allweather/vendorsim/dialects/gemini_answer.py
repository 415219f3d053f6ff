"""The answer of Gemini, whole and in chunks."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache

from allweather.vendorsim.answers import Answer, Ask, Finish
from allweather.vendorsim.catalogue import Model
from allweather.vendorsim.dialects.gemini_history import OWNER
from allweather.vendorsim.dialects.odds import logprob
from allweather.vendorsim.sealing import seal
from allweather.vendorsim.wire import FrameKind, Json, Ticket, members

_FINISH_REASONS = {Finish.LENGTH: "MAX_TOKENS", Finish.FILTERED: "SAFETY", Finish.FAILED: "MALFORMED_FUNCTION_CALL"}
_TOKENS_A_CHUNK = 12
_BLOCKED = [{"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": True}]

Chunk = tuple[FrameKind, Json, int]


def settled(answer: Answer) -> Answer:
    """Let a call that is cut off or malformed go: Gemini sends whole calls or none."""
    if not answer.calls:
        return answer
    if "malformed" in answer.marks:
        return Answer(Finish.FAILED, reasoning_tokens=answer.reasoning_tokens)
    if not any(call.cut for call in answer.calls):
        return answer
    return Answer(
        answer.finish,
        answer.pieces,
        calls=tuple(call for call in answer.calls if not call.cut),
        reasoning_tokens=answer.reasoning_tokens,
        tool_tokens=answer.tool_tokens,
        topic=answer.topic,
    )


class Telling:
    """Says the answers to one request."""

    def __init__(self, payload: Json, ask: Ask, model: Model, ticket: Ticket, cached: int) -> None:
        config = members(payload.get("generationConfig"))
        self._shows_thoughts = bool(members(config.get("thinkingConfig")).get("includeThoughts"))
        self._logprobs = (config.get("logprobs") or 0) if config.get("responseLogprobs") else None
        self._ask = ask
        self._model = model
        self._ticket = ticket
        self._cached = cached

    def whole(self, answers: Sequence[Answer]) -> Json:
        """Return one response with every candidate."""
        if answers[0].finish is Finish.REFUSED:
            return self._blocked()
        candidates = [self._candidate(number, self._parts(answer), answer) for number, answer in enumerate(answers)]
        for candidate, answer in zip(candidates, answers, strict=True):
            if self._logprobs is not None:
                candidate |= _odds(answer.pieces, self._logprobs)
        return self._response(candidates, self._usage(answers))

    def chunks(self, answers: Sequence[Answer]) -> Iterator[Chunk]:
        """Yield the responses of a stream; the finish reason of a text comes in one of its own."""
        if answers[0].finish is Finish.REFUSED:
            yield FrameKind.FINISH, self._blocked(), 0
            return
        for number, answer in enumerate(answers):
            yield from self._chunks(number, answer, answers[: number + 1])

    def _chunks(self, number: int, answer: Answer, begun: Sequence[Answer]) -> Iterator[Chunk]:
        *before, current = begun
        if self._shows_thoughts and answer.reasoning_tokens:
            part = {"text": "".join(answer.thought), "thought": True}
            usage = self._usage([*before, Answer(Finish.STOP, reasoning_tokens=answer.reasoning_tokens)])
            yield FrameKind.CONTENT, self._response([self._candidate(number, [part])], usage), answer.reasoning_tokens
        for start in range(0, len(answer.pieces), _TOKENS_A_CHUNK):
            pieces = answer.pieces[start : start + _TOKENS_A_CHUNK]
            said = Answer(Finish.STOP, answer.pieces[: start + len(pieces)], reasoning_tokens=answer.reasoning_tokens)
            candidate = self._candidate(number, [{"text": "".join(pieces)}])
            if self._logprobs is not None:
                candidate |= _odds(pieces, self._logprobs)
            yield FrameKind.CONTENT, self._response([candidate], self._usage([*before, said])), len(pieces)
        last = [{"text": "", "thoughtSignature": self._signature(number)}] if answer.pieces and not answer.calls else []
        parts = self._calls(number, answer) if answer.calls else last
        usage = self._usage([*before, current])
        yield FrameKind.FINISH, self._response([self._candidate(number, parts, answer)], usage), answer.tool_tokens

    def _parts(self, answer: Answer, number: int = 0) -> list[Json]:
        parts: list[Json] = []
        if self._shows_thoughts and answer.reasoning_tokens:
            parts.append({"text": "".join(answer.thought), "thought": True})
        if answer.pieces:
            signed = {} if answer.calls else {"thoughtSignature": self._signature(number)}
            parts.append({"text": answer.text, **signed})
        return [*parts, *self._calls(number, answer)]

    def _calls(self, number: int, answer: Answer) -> list[Json]:
        """Return the calls; the first one carries the signature, and only some models give ids."""
        parts: list[Json] = []
        for place, call in enumerate(answer.calls):
            made: Json = {"name": call.name, "args": json.loads(call.arguments)}
            if "pro" in self._model.id:
                made = {"id": f"call_{int(self._ticket.hex(8, f'call/{number}/{place}'), 16) % 1_000_000:06d}", **made}
            parts.append({"functionCall": made, **({} if place else {"thoughtSignature": self._signature(number)})})
        return parts

    def _signature(self, number: int) -> str:
        return seal(OWNER, self._ticket.token(16, f"thought/{number}"), self._model.id)

    def _candidate(self, number: int, parts: list[Json], ended: Answer | None = None) -> Json:
        candidate: Json = {"content": {"role": "model", "parts": parts} if parts else {"role": "model"}}
        if number:
            candidate["index"] = number
        if ended is not None:
            candidate["finishReason"] = _FINISH_REASONS.get(ended.finish, "STOP")
            if ended.finish is Finish.FILTERED:
                candidate["safetyRatings"] = _BLOCKED
            if ended.finish is Finish.FAILED:
                candidate["finishMessage"] = "Malformed function call: the model has produced invalid content."
        return candidate

    def _response(self, candidates: list[Json], usage: Json) -> Json:
        return {"candidates": candidates, "usageMetadata": usage, **self._tail()}

    def _blocked(self) -> Json:
        """Return the answer to a blocked prompt: HTTP 200, and no candidates."""
        count = self._ask.input_tokens
        usage = {"promptTokenCount": count, "totalTokenCount": count, "trafficType": "ON_DEMAND"}
        feedback = {"blockReason": "PROHIBITED_CONTENT", "blockReasonMessage": "The prompt was blocked."}
        return {"promptFeedback": feedback, "usageMetadata": usage, **self._tail()}

    def _usage(self, answers: Sequence[Answer]) -> Json:
        visible = sum(len(answer.pieces) + answer.tool_tokens for answer in answers)
        thoughts = sum(answer.reasoning_tokens for answer in answers)
        usage: Json = {"promptTokenCount": self._ask.input_tokens, "candidatesTokenCount": visible}
        if self._cached:
            usage["cachedContentTokenCount"] = self._cached
        if thoughts:
            usage["thoughtsTokenCount"] = thoughts
        return {**usage, "totalTokenCount": self._ask.input_tokens + visible + thoughts, "trafficType": "ON_DEMAND"}

    def _tail(self) -> Json:
        second, rest = divmod(self._ticket.wall, 1)
        created = f"{_timestamp(int(second))}.{int(rest * 1_000_000):06d}Z"
        return {"modelVersion": self._model.id, "createTime": created, "responseId": self._ticket.token(22, "id")}


@lru_cache(maxsize=256)
def _timestamp(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _odds(pieces: Sequence[str], top: int) -> Json:
    """Tell how likely the tokens were, and the likeliest in their places."""
    chosen = [{"token": piece, "tokenId": sum(piece.encode()), "logProbability": logprob(piece)} for piece in pieces]
    others = [
        {"candidates": [each, *({**each, "token": f"{each['token']}~{place}"} for place in range(1, top))]}
        for each in chosen
    ]
    average = sum(map(logprob, pieces)) / max(1, len(pieces))
    return {
        "avgLogprobs": average,
        "logprobsResult": {"chosenCandidates": chosen, "topCandidates": others if top else []},
    }
