"""The record of every call received: the proof of what was asked of the vendors."""

import os
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from allweather.vendorsim.wire import Call, Usage, encode

_KEPT_CALLS = 20_000
_KEPT_SECONDS = 3600
_LAST_BLOCK = 65_536


class CallRecord(msgspec.Struct, kw_only=True):
    """One call. Written when it arrives, and again when it has ended."""

    number: int
    received_wall: float
    """Seconds since 1970."""
    received_monotonic: float
    """CLOCK_MONOTONIC, which all processes of a host share."""
    vendor: str
    region: str | None
    deployment: str | None
    model: str | None
    operation: str
    streaming: bool
    client_request_id: str | None
    """`x-client-request-id`, on Azure also `x-ms-client-request-id`."""
    attempt: str | None
    """`x-allweather-attempt`."""
    digest: str
    """`sha256:` of the request body."""
    fault: str | None = None
    status: int | None = None
    """The HTTP status sent; none when the call was refused, hung, or is still being answered."""
    client_left: bool = False
    chunks: int = 0
    """Pieces of the body that were sent."""
    input_tokens: int = 0
    output_tokens: int = 0
    """Tokens of the whole answer, also when it was not delivered whole: vendors bill what they made."""
    ended_monotonic: float | None = None

    @property
    def outcome(self) -> str:
        """The status, or what came in its place."""
        return str(self.status) if self.status is not None else self.fault or "none"


class Second(msgspec.Struct):
    """Calls of one second (since 1970) by target and outcome."""

    second: int
    calls: dict[str, dict[str, int]]


class Stats(msgspec.Struct):
    in_flight: dict[str, int]
    max_in_flight: dict[str, int]
    totals: dict[str, dict[str, int]]
    """Ended calls by target and outcome."""
    seconds: list[Second]


class CallLog:
    """Keeps the last calls in memory, and all of them in a file if one is given.

    The file is appended to, a line when a call arrives and another when it has ended, each in a single write: what was
    received before the program was killed is there. Numbers go on where the file ends.
    """

    def __init__(self, path: Path | None) -> None:
        self._file = None if path is None else _opened(path)
        self._number = 0 if path is None else _last_number(path)
        self._in_flight: Counter[str] = Counter()
        self.forget()

    @property
    def last_number(self) -> int:
        return self._number

    def received(self, call: Call, digest: str, wall: float, monotonic: float) -> CallRecord:
        self._number += 1
        headers, target = call.request.headers, call.target
        record = CallRecord(
            number=self._number,
            received_wall=wall,
            received_monotonic=monotonic,
            vendor=target.vendor,
            region=target.region,
            deployment=target.deployment,
            model=target.model,
            operation=call.operation,
            streaming=call.streaming,
            client_request_id=headers.get("x-client-request-id") or headers.get("x-ms-client-request-id"),
            attempt=headers.get("x-allweather-attempt"),
            digest=digest,
        )
        self._calls.append(record)
        name = target.name
        self._in_flight[name] += 1
        self._max_in_flight[name] = max(self._max_in_flight[name], self._in_flight[name])
        self._write(record)
        return record

    def ended(self, record: CallRecord, name: str, usage: Usage, monotonic: float) -> None:
        record.ended_monotonic = monotonic
        record.input_tokens, record.output_tokens = usage
        self._in_flight[name] -= 1
        self._totals[name][record.outcome] += 1
        self._count(int(record.received_wall), name, record.outcome)
        self._write(record)

    def since(self, number: int) -> list[CallRecord]:
        """Return the calls kept in memory with a greater number, in order."""
        return [record for record in self._calls if record.number > number]

    def forget(self) -> None:
        """Empty memory and statistics; the file and the numbers go on."""
        self._calls: deque[CallRecord] = deque(maxlen=_KEPT_CALLS)
        self._max_in_flight: Counter[str] = Counter(self._in_flight)
        self._totals: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._seconds: dict[int, defaultdict[str, Counter[str]]] = {}

    def stats(self) -> Stats:
        seconds = [Second(second, _plain(calls)) for second, calls in sorted(self._seconds.items())]
        in_flight = {name: count for name, count in self._in_flight.items() if count}
        return Stats(in_flight, dict(self._max_in_flight), _plain(self._totals), seconds)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)

    def _count(self, second: int, name: str, outcome: str) -> None:
        if second not in self._seconds:
            self._seconds[second] = defaultdict(Counter)
            while len(self._seconds) > _KEPT_SECONDS:
                del self._seconds[next(iter(self._seconds))]
        self._seconds[second][name][outcome] += 1

    def _write(self, record: CallRecord) -> None:
        # Straight to the page cache: a few microseconds, and nothing is lost when this process is killed.
        if self._file is not None:
            os.write(self._file, encode(record) + b"\n")


def read_log(path: Path) -> dict[int, CallRecord]:
    """Return the calls in a log by number, each as last written; a line cut off by a crash is left out."""
    return {record.number: record for record in _records(path.read_bytes().splitlines())}


def _records(lines: Iterable[bytes]) -> Iterator[CallRecord]:
    decoder = msgspec.json.Decoder(CallRecord)
    for line in lines:
        try:
            yield decoder.decode(line)
        except msgspec.DecodeError:
            continue


def _opened(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)


def _last_number(path: Path) -> int:
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - _LAST_BLOCK))
        return max((record.number for record in _records(log.read().splitlines())), default=0)


def _plain(counters: dict[str, Counter[str]] | defaultdict[str, Any]) -> dict[str, dict[str, int]]:
    return {name: dict(counts) for name, counts in counters.items()}
