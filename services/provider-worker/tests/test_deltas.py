"""Deltas of one call: held until there is content, then sent in order, at most every 25 ms."""

import asyncio
import hashlib
import json
from collections.abc import Sequence

import pytest

from allweather.contracts.records import Delta
from allweather.messaging.testing import eventually
from allweather.provider_worker.chat import Head, has_content
from allweather.provider_worker.deltas import DeltasLost, DeltaStream
from allweather.provider_worker.wire import Chunk

HEAD = Head("msg_1", "gpt-5.2", 1_795_000_000)
ROLE = HEAD.chunk({"role": "assistant", "content": ""})
END = HEAD.chunk({}, "stop")
USAGE: Chunk = HEAD.chunk({}) | {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}


class Caller:
    """Remembers the deltas that reached it; can be out of reach."""

    def __init__(self, *, away: bool = False) -> None:
        self.values: list[bytes] = []
        self.away = away

    @property
    def deltas(self) -> list[Delta]:
        return [Delta.model_validate_json(value) for value in self.values]

    async def send(self, deltas: Sequence[tuple[int, bytes]]) -> None:
        if self.away:
            raise DeltasLost("away")
        assert [sequence for sequence, _ in deltas] == [
            Delta.model_validate_json(value).sequence for _, value in deltas
        ]
        self.values += [value for _, value in deltas]


def said(text: str) -> Chunk:
    return HEAD.chunk({"content": text})


def add(stream: DeltaStream, *chunks: Chunk) -> None:
    for chunk in chunks:
        stream.add(chunk, has_content(chunk))


def texts(deltas: Sequence[Delta]) -> list[str]:
    events = [json.loads(event) for delta in deltas for event in delta.events]
    return [choice["delta"].get("content", "") for event in events for choice in event["choices"]]


async def test_role_alone_is_held_back() -> None:
    caller = Caller()
    stream = DeltaStream(caller, "c1", include_usage=False)

    add(stream, ROLE)
    await stream.abandon()

    assert caller.values == []
    assert not stream.released
    assert stream.digest is None


async def test_first_content_leaves_at_once_with_what_was_held() -> None:
    """Nobody has to wait for a timer to see the first words."""
    caller = Caller()
    stream = DeltaStream(caller, "c1", include_usage=False)

    add(stream, ROLE, said("It "))

    await eventually(lambda: bool(caller.values))
    assert texts(caller.deltas) == ["", "It "]
    assert stream.released
    await stream.abandon()


async def test_further_content_is_gathered() -> None:
    caller = Caller()
    stream = DeltaStream(caller, "c1", include_usage=False)

    add(stream, said("It "), said("leaks"), said("."))

    await eventually(lambda: len(caller.values) == 2)
    assert [texts([delta]) for delta in caller.deltas] == [["It "], ["leaks", "."]]
    await stream.finish()


async def test_finished_stream_has_left_completely_and_in_order() -> None:
    caller = Caller()
    stream = DeltaStream(caller, "c1", include_usage=False)
    for word in ("It ", "leaks", " since ", "Monday"):
        add(stream, said(word))
        await eventually(lambda: True)
    add(stream, END)

    await stream.finish()

    assert "".join(texts(caller.deltas)) == "It leaks since Monday"
    assert [delta.sequence for delta in caller.deltas] == list(range(stream.count))
    assert {delta.call_id for delta in caller.deltas} == {"c1"}
    assert stream.digest == hashlib.sha256(b"".join(caller.values)).hexdigest()


async def test_abandoned_stream_does_not_show_what_was_held() -> None:
    caller = Caller()
    stream = DeltaStream(caller, "c1", include_usage=False)

    add(stream, said("It "), said("leaks"))
    await stream.abandon()

    assert texts(caller.deltas) == ["It "]
    assert stream.count == 1


@pytest.mark.parametrize("include_usage", [False, True])
async def test_usage_is_shown_to_those_who_asked(include_usage: bool) -> None:
    """As OpenAI does: at the end, and as null everywhere else."""
    caller = Caller()
    stream = DeltaStream(caller, "c1", include_usage=include_usage)

    add(stream, said("It"), END, USAGE)
    await stream.finish()

    events = [json.loads(event) for delta in caller.deltas for event in delta.events]
    if include_usage:
        assert [event["usage"] for event in events] == [None, None, USAGE["usage"]]
    else:
        assert len(events) == 2
        assert not any("usage" in event for event in events)


async def test_lost_deltas_end_the_stream_and_say_so() -> None:
    """The call goes on, for the sake of its answer."""
    stream = DeltaStream(Caller(away=True), "c1", include_usage=False)

    add(stream, said("It "))
    await eventually(lambda: stream.lost)
    add(stream, said("leaks"))
    await stream.finish()

    assert stream.lost
    assert stream.count == 1


async def test_cancelled_call_leaves_nothing_behind() -> None:
    """No timer and no task of its own."""
    stream = DeltaStream(Caller(), "c1", include_usage=False)
    add(stream, said("It "), said("leaks"))
    assert len(asyncio.all_tasks()) == 2

    stream.stop()

    await eventually(lambda: len(asyncio.all_tasks()) == 1)
    assert stream.count == 1
