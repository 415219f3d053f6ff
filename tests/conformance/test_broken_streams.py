"""Streams of every vendor, cut, spoiled and padded anywhere: an answer is whole, or it is none."""

import asyncio
import functools
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from suite import doing, words
from suite.callers import CALLERS
from suite.callers.caller import Caller
from suite.lanes import ONE_OF_EACH, Lane
from suite.playing import PATIENCE
from suite.script import Script

from allweather.contracts.answers import Answer
from allweather.contracts.failures import FailureKind
from allweather.provider_worker.adapters.http import Incoming, TransportFailed
from allweather.provider_worker.asking import Asked, ask
from allweather.provider_worker.call import Call, Notes, VendorCall
from allweather.provider_worker.wire import Failed, Failure, HttpRequest
from allweather.vendorsim.direct import Direct
from allweather.vendorsim.wire import FrameKind, Stream

SCRIPTS: Final = (words.PLAIN[3], doing.TOOLS[1], doing.PARALLEL[0], doing.THINKING[4], words.TRUNCATION[0])
"""Words of many kinds, words and a call, two calls, a thought and a call, words that the limit cuts."""
NOISE: Final = (
    b": keep-alive\n\n",
    b"\n",
    b"\r\n",
    b'event: novel\ndata: {"type":"novel","new":[1]}\n\n',
    b"id: 7\nretry: 100\n\n",
)
"""What may stand between events and says nothing."""


@dataclass(frozen=True)
class Spoken:
    """A stream as a vendor sends it, undisturbed."""

    lane: Lane
    caller: Caller
    body: bytes
    frames: tuple[bytes, ...]
    last: int
    """The frame that says why the answer ends: nothing that is needed comes after it."""

    @property
    def asked(self) -> Asked:
        return ask(self.lane.translator, self.lane.target, self.caller.dialect, self.body, **STREAMED)

    @functools.cached_property
    def whole(self) -> "Heard":
        """What is made of it when nothing happens to it."""
        return heard(self, Wire(self.frames))

    def broken_off(self, sent: int) -> list[bytes]:
        """What the vendor says instead of the rest."""
        request = signed(self.lane, self.asked)
        return Direct().broken_off(request.url, request.headers, request.body, sent)


STREAMED: Final[dict[str, Any]] = {"stream": True, "include_usage": True}


def signed(lane: Lane, asked: Asked) -> HttpRequest:
    headers = {**asked.request.headers, **lane.translator.authorization("key")}
    return HttpRequest(asked.request.url, asked.request.body, headers)


def spoken(lane: Lane, caller: Caller, script: Script) -> Spoken:
    """The first answer of a script."""
    asking = msgspec.structs.replace(script.asking, stream=True)
    body = json.dumps(caller.body(asking, script.steps[:1])).encode()
    asked = ask(lane.translator, lane.target, caller.dialect, body, **STREAMED)
    request = signed(lane, asked)
    answer = Direct().answer(request.url, request.headers, request.body)
    assert isinstance(answer, Stream)
    frames = list(answer.frames)
    last = max(place for place, frame in enumerate(frames) if frame.kind is FrameKind.FINISH)
    return Spoken(lane, caller, body, tuple(frame.data for frame in frames), last)


@functools.cache
def one_of(lane: Lane, caller: Caller, number: int) -> Spoken:
    return spoken(lane, caller, SCRIPTS[number])


STREAMS: Final = st.builds(
    one_of, st.sampled_from(ONE_OF_EACH), st.sampled_from(CALLERS), st.sampled_from(range(len(SCRIPTS)))
)
CUTS: Final = st.lists(st.floats(0, 1), max_size=8)


@dataclass(frozen=True)
class Wire:
    """A connection on which these pieces come, and which then ends in order, or breaks."""

    pieces: Sequence[bytes]
    breaks: bool = False

    @asynccontextmanager
    async def send(self, request: HttpRequest) -> AsyncGenerator[Incoming]:
        yield _Arriving(list(self.pieces), breaks=self.breaks)


class _Arriving:
    def __init__(self, pieces: list[bytes], *, breaks: bool) -> None:
        self.status = 200
        self.headers: Mapping[str, str] = {"content-type": "text/event-stream"}
        self._pieces, self._breaks = [piece for piece in pieces if piece], breaks

    async def read(self) -> bytes:
        if self._pieces:
            return self._pieces.pop(0)
        if self._breaks:
            raise TransportFailed("the connection broke")
        return b""


@dataclass(frozen=True)
class Heard:
    """What was made of a stream: the answer or the failure, and what the caller was shown until then."""

    outcome: Answer | Failure
    shown: tuple[str, ...]


def heard(stream: Spoken, wire: Wire) -> Heard:
    shown: list[str] = []

    def show(payload: str, _has_content: bool) -> None:
        shown.append(payload)

    asked = stream.asked
    call = Call(asked.request, asked.format, asked.passing, asked.choices, show)
    try:
        answered = asyncio.run(VendorCall(wire, lambda: 0).answer(call, PATIENCE, Notes()))
        return Heard(answered.answer, tuple(shown))
    except Failed as error:
        return Heard(error.failure, tuple(shown))


def split(body: bytes, cuts: Sequence[float]) -> list[bytes]:
    """The bytes in pieces that end anywhere: within an event, a line, a character."""
    edges = [0, *sorted(round(cut * len(body)) for cut in cuts), len(body)]
    return [body[start:end] for start, end in pairwise(edges)]


def assert_none(found: Heard, stream: Spoken) -> None:
    """There is no answer, and the caller has seen nothing that the whole answer does not begin with."""
    assert isinstance(found.outcome, Failure)
    assert found.outcome.kind is FailureKind.UNAVAILABLE
    assert stream.whole.shown[: len(found.shown)] == found.shown


def assert_whole(found: Heard, stream: Spoken) -> None:
    """There is the answer; only its counts may be those that have come until then."""
    assert isinstance(found.outcome, Answer)
    assert isinstance(stream.whole.outcome, Answer)
    assert found.outcome.choices == stream.whole.outcome.choices


@settings(max_examples=300, deadline=None)
@given(STREAMS, st.floats(0, 1), CUTS, st.booleans())
def test_a_stream_that_ends_anywhere_is_whole_or_none(
    stream: Spoken, end: float, cuts: Sequence[float], breaks: bool
) -> None:
    """Once it has said why it ends, only the terminator and the counts are missing."""
    body = b"".join(stream.frames)
    before, until = (len(b"".join(stream.frames[:count])) for count in (stream.last, stream.last + 1))
    said = before + len(stream.frames[stream.last].rstrip())
    length = round(end * len(body))

    found = heard(stream, Wire(split(body[:length], cuts), breaks=breaks))

    if length >= until or (length >= said and not breaks):
        assert_whole(found, stream)
    elif length < said:
        assert_none(found, stream)


@settings(max_examples=120, deadline=None)
@given(STREAMS, st.floats(0, 1, exclude_max=True), CUTS)
def test_a_spoiled_event_is_none_of_an_answer(stream: Spoken, where: float, cuts: Sequence[float]) -> None:
    """What was in it is not known, so that the rest is no answer; after the end there is nothing to lose."""
    events = [place for place, frame in enumerate(stream.frames) if b"data: {" in frame]
    place = events[int(where * len(events))]
    frame = stream.frames[place].rstrip()
    spoiled = frame[: -(len(frame) - frame.index(b"data: {")) // 3] + b"\n\n"

    found = heard(stream, Wire(split(b"".join([*stream.frames[:place], spoiled, *stream.frames[place + 1 :]]), cuts)))

    (assert_whole if place > stream.last else assert_none)(found, stream)


@settings(max_examples=120, deadline=None)
@given(STREAMS, st.floats(0, 1), CUTS)
def test_an_error_in_mid_stream_is_no_end_of_an_answer(stream: Spoken, where: float, cuts: Sequence[float]) -> None:
    sent = round(where * len(stream.frames))

    found = heard(stream, Wire(split(b"".join([*stream.frames[:sent], *stream.broken_off(sent)]), cuts)))

    (assert_whole if sent > stream.last else assert_none)(found, stream)


@settings(max_examples=120, deadline=None)
@given(STREAMS, st.lists(st.tuples(st.floats(0, 1), st.sampled_from(NOISE)), max_size=4), CUTS)
def test_signs_of_life_and_unknown_events_change_nothing(
    stream: Spoken, noise: Sequence[tuple[float, bytes]], cuts: Sequence[float]
) -> None:
    """A caller who speaks the vendor's dialect is shown its unknown events too, and nothing else."""
    frames = list(stream.frames)
    for where, each in noise:
        frames.insert(round(where * stream.last), each)

    found = heard(stream, Wire(split(b"".join(frames), cuts)))

    assert found.outcome == stream.whole.outcome
    assert tuple(payload for payload in found.shown if "novel" not in payload) == stream.whole.shown


def test_the_end_of_one_of_two_answers_is_not_the_end() -> None:
    """Some servers send them one after the other."""
    two = next(each for each in words.PLAIN if each.asking.choices == 2)
    lane = next(lane for lane in ONE_OF_EACH if lane.vendor == "openai")
    stream = spoken(lane, CALLERS[0], two)
    first, second = (tuple(f for f in stream.frames if b'"choices":[{"index":%d' % n in f) for n in range(2))
    rest = tuple(frame for frame in stream.frames if frame not in first + second)
    in_turns = replace(stream, frames=first + second + rest)

    assert_none(heard(in_turns, Wire(first)), in_turns)
    assert_none(heard(in_turns, Wire(first + second[:-1], breaks=True)), in_turns)
    assert_whole(heard(in_turns, Wire(first + second)), in_turns)
