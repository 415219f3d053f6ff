"""How an answer reaches the caller: in the vendor's own words where it speaks the caller's dialect, else in ours."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import msgspec

from allweather.contracts.answers import SHOWN, Answer, Event, events_of
from allweather.contracts.conversation import Origin
from allweather.contracts.slip import Dialect
from allweather.dialects.lenient import parse_object
from allweather.dialects.openai_responses.sealing import sealed_event, sealed_response
from allweather.dialects.registry import DIALECTS, Wire
from allweather.provider_worker.wire import ServerSentEvent


class Passing(Protocol):
    """Passes one answer on. Created for each call."""

    def pieces(self, event: ServerSentEvent, said: Sequence[Event]) -> Iterable[str]:
        """What the caller of a stream is sent of an event that was read as `said`."""
        ...

    def end(self) -> Iterable[str]:
        """What the caller of a stream is sent after the last event of a complete answer."""
        ...

    def in_one(self, answer: Answer) -> Iterable[str]:
        """What the caller of a stream is sent of an answer that came whole."""
        ...

    def whole(self, answer: Answer, response: bytes | None) -> bytes:
        """The answer as one body; `response` is the vendor's own, where it is an answer and came whole."""
        ...


def shows(events: Sequence[Event]) -> bool:
    """Whether any of them shows the caller something."""
    return any(map(_shown, events))


def _shown(event: Event) -> bool:
    return isinstance(event, SHOWN)


class Translated:
    """The answer in the caller's dialect, which the vendor does not speak."""

    def __init__(self, dialect: Dialect, body: bytes, *, include_usage: bool) -> None:
        self._wire, self._body, self._include_usage = DIALECTS[dialect], body, include_usage
        self._stream = self._wire.stream(body, include_usage)

    def pieces(self, event: ServerSentEvent, said: Sequence[Event]) -> Iterator[str]:  # noqa: ARG002 - not our words
        for each in said:
            yield from self._stream.payloads(each)

    def end(self) -> Iterable[str]:
        return self._stream.end()

    def in_one(self, answer: Answer) -> Iterator[str]:
        return _in_one(self._wire, answer, self._body, include_usage=self._include_usage)

    def whole(self, answer: Answer, response: bytes | None) -> bytes:  # noqa: ARG002 - not our words
        return self._wire.render(answer, self._body)


class Forwarded:
    """The vendor's own words, byte for byte, without what we alone have asked it for.

    Only encrypted reasoning is sealed under its `origin`: nobody else can read it, and it does not say whose it is.
    """

    def __init__(self, dialect: Dialect, body: bytes, *, include_usage: bool, origin: Origin | None = None) -> None:
        self._wire, self._body, self._include_usage = DIALECTS[dialect], body, include_usage
        self._asks_usage = dialect is Dialect.OPENAI_CHAT and not include_usage
        self._origin = origin
        self._payloads: list[str] = []

    def pieces(self, event: ServerSentEvent, said: Sequence[Event]) -> Iterable[str]:  # noqa: ARG002 - not our words
        payload = compact(event.data)
        if self._origin is not None:
            payload = sealed_event(payload, self._origin)
        self._payloads.append(payload)
        shown = without_usage(payload) if self._asks_usage else payload
        return () if shown is None else (shown,)

    def end(self) -> Iterable[str]:
        return ()

    def in_one(self, answer: Answer) -> Iterator[str]:
        return _in_one(self._wire, answer, self._body, include_usage=self._include_usage)

    def whole(self, answer: Answer, response: bytes | None) -> bytes:
        if response is not None:
            return response if self._origin is None else sealed_response(response, self._origin)
        if not self._payloads:
            return self._wire.render(answer, self._body)
        joining = self._wire.join()
        for payload in self._payloads:
            joining.add(payload)
        return joining.whole()


def _in_one(wire: Wire, answer: Answer, body: bytes, *, include_usage: bool) -> Iterator[str]:
    stream = wire.stream(body, include_usage)
    for event in events_of(answer):
        yield from stream.payloads(event)
    yield from stream.end()


def compact(payload: str) -> str:
    """The payload on one line, as nearly all vendors write it; others are written anew."""
    if "\n" in payload or '": ' in payload:
        return _written(parse_object(payload) or {})
    return payload.rstrip(" ")


def without_usage(payload: str) -> str | None:
    """The chunk for a caller who did not ask for the counts that we always ask for; None when it holds nothing else."""
    if '"usage"' not in payload:
        return payload
    chunk = parse_object(payload) or {}
    if not chunk.get("choices"):
        return None
    chunk.pop("usage", None)
    return _written(chunk)


def _written(chunk: dict[str, object]) -> str:
    return msgspec.json.encode(chunk).decode()
