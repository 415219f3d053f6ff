"""Deltas of one call: held until there is content, then sent in order, at most every 25 ms."""

import asyncio
import hashlib
import json
from collections.abc import Sequence

from allweather.contracts.records import Delta
from allweather.messaging.testing import eventually
from allweather.provider_worker.deltas import DeltasLost, DeltaStream

Chunk = tuple[str, bool]
"""A payload, and whether there is content in it."""


def chunk(delta: dict[str, str], finish_reason: str | None = None) -> Chunk:
    payload = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}
    return json.dumps(payload), "role" not in delta and bool(delta)


ROLE = chunk({"role": "assistant", "content": ""})
END = chunk({}, "stop")


class Caller:
    """Remembers the deltas that reached it; can be out of reach."""

    def __init__(self, *, away: bool = False) -> None:
        self.values: list[bytes] = []
        self.away = away

    @property
    def deltas(self) -> list[Delta]:
        return [Delta.from_json(value) for value in self.values]

    async def send(self, deltas: Sequence[tuple[int, bytes]]) -> None:
        if self.away:
            raise DeltasLost("away")
        assert [sequence for sequence, _ in deltas] == [Delta.from_json(value).sequence for _, value in deltas]
        self.values += [value for _, value in deltas]


def said(text: str) -> Chunk:
    return chunk({"content": text})


def add(stream: DeltaStream, *chunks: Chunk) -> None:
    for payload, has_content in chunks:
        stream.add(payload, has_content)


def texts(deltas: Sequence[Delta]) -> list[str]:
    events = [json.loads(event) for delta in deltas for event in delta.events]
    return [choice["delta"].get("content", "") for event in events for choice in event["choices"]]


async def test_role_alone_is_held_back() -> None:
    caller = Caller()
    stream = DeltaStream(caller, "c1")

    add(stream, ROLE)
    await stream.abandon()

    assert caller.values == []
    assert not stream.released
    assert stream.digest is None


async def test_first_content_leaves_at_once_with_what_was_held() -> None:
    """Nobody has to wait for a timer to see the first words."""
    caller = Caller()
    stream = DeltaStream(caller, "c1")

    add(stream, ROLE, said("It "))

    await eventually(lambda: bool(caller.values))
    assert texts(caller.deltas) == ["", "It "]
    assert stream.released
    await stream.abandon()


async def test_further_content_is_gathered() -> None:
    caller = Caller()
    stream = DeltaStream(caller, "c1")

    add(stream, said("It "), said("leaks"), said("."))

    await eventually(lambda: len(caller.values) == 2)
    assert [texts([delta]) for delta in caller.deltas] == [["It "], ["leaks", "."]]
    await stream.finish()


async def test_finished_stream_has_left_completely_and_in_order() -> None:
    caller = Caller()
    stream = DeltaStream(caller, "c1")
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
    stream = DeltaStream(caller, "c1")

    add(stream, said("It "), said("leaks"))
    await stream.abandon()

    assert texts(caller.deltas) == ["It "]
    assert stream.count == 1


async def test_lost_deltas_end_the_stream_and_say_so() -> None:
    """The call goes on, for the sake of its answer."""
    stream = DeltaStream(Caller(away=True), "c1")

    add(stream, said("It "))
    await eventually(lambda: stream.lost)
    add(stream, said("leaks"))
    await stream.finish()

    assert stream.lost
    assert stream.count == 1


async def test_cancelled_call_leaves_nothing_behind() -> None:
    """No timer and no task of its own."""
    stream = DeltaStream(Caller(), "c1")
    add(stream, said("It "), said("leaks"))
    assert len(asyncio.all_tasks()) == 2

    stream.stop()

    await eventually(lambda: len(asyncio.all_tasks()) == 1)
    assert stream.count == 1
