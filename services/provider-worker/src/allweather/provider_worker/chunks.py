"""Chat completions as vendors write them, whole and in chunks, as events. Lenient: servers differ, and change."""

import hashlib
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from allweather.contracts.answers import (
    Begun,
    CallArguments,
    CallBegun,
    Counted,
    Event,
    Finished,
    Refused,
    Said,
    Thought,
    Weighed,
)
from allweather.contracts.conversation import Finish
from allweather.contracts.slip import Usage
from allweather.dialects.lenient import Json, child, children, count, text

FINISHES: Final = {
    "stop": Finish.STOP,
    "eos_token": Finish.STOP,
    "stop_sequence": Finish.STOP,
    "length": Finish.LENGTH,
    "tool_calls": Finish.TOOL_CALLS,
    "function_call": Finish.TOOL_CALLS,
    "content_filter": Finish.FILTERED_OUTPUT,
}
UNKNOWN: Final = Finish.LENGTH
"""A reason added since: the answer is not known to be complete, so it is not shown as such."""


def usage(completion: Json) -> Usage | None:
    """The counts of a completion or chunk, None where it has none. Servers leave out or null what they do not count."""
    counts = child(completion, "usage")
    if not counts:
        return None
    prompt, output = child(counts, "prompt_tokens_details"), child(counts, "completion_tokens_details")
    return Usage(
        input_tokens=count(counts, "prompt_tokens"),
        output_tokens=count(counts, "completion_tokens"),
        cached_input_tokens=count(prompt, "cached_tokens"),
        cache_write_tokens=count(prompt, "cache_write_tokens"),
        reasoning_tokens=count(output, "reasoning_tokens"),
    )


class ChunkReader:
    """Reads the chunks of one answer."""

    def __init__(self, received_at_ms: int) -> None:
        self._created = received_at_ms // 1000
        self._id = ""
        self._begun = False
        self._calls: dict[tuple[int, int], bool] = {}
        self._refused: set[int] = set()

    def read(self, chunk: Json) -> list[Event]:
        """What the chunk says."""
        events: list[Event] = []
        if not self._begun and (chunk.get("choices") or text(chunk, "id")):
            self._begun, self._id = True, text(chunk, "id")
            events.append(Begun(self._id, text(chunk, "model"), count(chunk, "created") or self._created))
        for choice in children(chunk, "choices"):
            self._choice(choice, child(choice, "delta"), events)
        counted = usage(chunk)
        if counted is not None:
            events.append(Counted(counted))
        return events

    def completion(self, whole: Json) -> list[Event]:
        """What a whole completion says."""
        created = count(whole, "created") or self._created
        self._id = text(whole, "id")
        events: list[Event] = [Begun(self._id, text(whole, "model"), created)]
        for choice in children(whole, "choices"):
            self._choice(choice, child(choice, "message"), events)
        counted = usage(whole)
        return events if counted is None else [*events, Counted(counted)]

    def _choice(self, choice: Json, said: Json, events: list[Event]) -> None:
        index = count(choice, "index")
        if said:
            events += self._said(said, index)
        logprobs = children(child(choice, "logprobs"), "content")
        if logprobs:
            events.append(Weighed(tuple(logprobs), index))
        reason = text(choice, "finish_reason")
        if reason:
            events.append(Finished(self._finish(reason, index), choice=index))

    def _said(self, said: Json, index: int) -> Iterator[Event]:
        thought = text(said, "reasoning") or text(said, "reasoning_content")
        if thought:
            yield Thought(thought, choice=index)
        content = said.get("content")
        if isinstance(content, str):
            if content:
                yield Said(content, index)
        elif content:
            yield from _listed(said, index)
        refusal = text(said, "refusal")
        if refusal:
            self._refused.add(index)
            yield Refused(refusal, index)
        for place, call in enumerate(children(said, "tool_calls")):
            yield from self._call(call, place, index)

    def _call(self, call: Json, place: int, index: int) -> Iterator[Event]:
        """A call, or a piece of one: only the first piece names it. Some servers number none, and send each whole."""
        function = child(call, "function")
        number = count(call, "index") if "index" in call else self._unnumbered(call, place, index)
        if (index, number) not in self._calls:
            self._calls[index, number] = True
            yield CallBegun(number, text(call, "id") or self._id_of(number, index), text(function, "name"), index)
        arguments = _arguments(function.get("arguments"))
        if arguments:
            yield CallArguments(number, arguments, index)

    def _unnumbered(self, call: Json, place: int, index: int) -> int:
        known = sum(1 for choice, _ in self._calls if choice == index)
        return known if text(child(call, "function"), "name") else max(known - 1, place)

    def _id_of(self, number: int, index: int) -> str:
        """The id of a call to which the server gives none: the same whenever the answer is read."""
        return f"call_{hashlib.sha256(f'{self._id}/{index}/{number}'.encode()).hexdigest()[:24]}"

    def _finish(self, reason: str, index: int) -> Finish:
        """By what was said rather than by the reason: a forced call ends with `stop`, and a refusal does too."""
        if index in self._refused:
            return Finish.FILTERED_OUTPUT
        finish = FINISHES.get(reason, UNKNOWN)
        called = any(choice == index for choice, _ in self._calls)
        return Finish.TOOL_CALLS if called and finish is Finish.STOP else finish


def _listed(said: Json, index: int) -> Iterator[Event]:
    """Content as a list of parts, thoughts among them, as Mistral writes it."""
    for part in children(said, "content"):
        if part.get("type") == "thinking":
            yield Thought("".join(text(piece, "text") for piece in children(part, "thinking")), choice=index)
        elif text(part, "text"):
            yield Said(text(part, "text"), index)


def _arguments(value: Any) -> str:
    """The arguments as text; some servers write the object itself."""
    return msgspec.json.encode(value).decode() if isinstance(value, dict) else value if isinstance(value, str) else ""
