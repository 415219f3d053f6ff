"""The measurements, each by itself: what is sent, and which figures come of it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench import batch, kafka, load, profile
from bench.batch import Batched
from bench.load import Load, Loaded
from bench.measure import Usage, memory_mb
from bench.profile import Profile
from bench.report import Figures
from bench.system import UPSTREAM, Bench

_PATH: Final = "/v1/chat/completions"
_CONCURRENT: Final = 64
_PER_SECOND: Final = 50
_UNANSWERED: Final = 500
_IDLE_S: Final = 20.0
_WARM_UP_S: Final = 40.0
"""The broker's second compiler is done with most of it by then."""
_PLAIN: Final = "All engines"
_STREAMED: Final = "[DONE]"
_PROFILED: Final = ("ingest", "policy", "router", "provider-worker.open-source", "audit-sink")


@dataclass(frozen=True, slots=True)
class Spent:
    """What a stretch of work cost, until the last record of it was audited."""

    by_process: Mapping[str, float]
    """Seconds."""
    requests: int

    @property
    def ms_by_process(self) -> dict[str, float]:
        return {name: seconds * 1000 / max(1, self.requests) for name, seconds in self.by_process.items()}

    @property
    def ms_per_request(self) -> float:
        return sum(self.ms_by_process.values())


@dataclass(slots=True)
class Run:
    """One run: the system, how long to measure, and the figures so far."""

    bench: Bench
    seconds: float
    report: Callable[[str], None]
    figures: Figures
    profile_into: Path | None = None
    profiles: dict[str, Mapping[str, Profile]] = field(default_factory=dict[str, Mapping[str, Profile]])
    """Of each measurement that was profiled, by process."""
    _direct: Loaded | None = None

    async def warm_up(self) -> None:
        """Connections, pools and compiled code are there before anything is measured."""
        self.report(f"warming up ({_WARM_UP_S:g} s)")
        await load.send(self._load(self.bench.url, seconds=_WARM_UP_S))
        await load.send(self._load(self.bench.url, seconds=_WARM_UP_S / 2, stream=True))
        await self.bench.quiet()

    async def idle(self) -> None:
        """What all of it costs while nobody asks."""
        self.report(f"idle ({_IDLE_S:g} s)")
        spent = await self._spent("idle", asyncio.sleep(_IDLE_S))
        self.figures.idle_cores_by_process = {name: s / _IDLE_S for name, s in spent.by_process.items()}
        self.figures.idle_cores = sum(spent.by_process.values()) / _IDLE_S

    async def latency(self) -> None:
        """What is added to a direct call, one request every 20 ms."""
        direct = await self._direct_call()
        self.report(f"HTTP door at {_PER_SECOND} requests/s ({self.seconds:g} s)")
        through = self._load(self.bench.url, rate=_PER_SECOND)
        spent, loaded = await self._loaded("latency", self._profiled("latency", load.send(through)))
        self.figures.added_p50_ms = _added(loaded.latency_ms.p50, direct.latency_ms.p50)
        self.figures.added_p99_ms = _added(loaded.latency_ms.p99, direct.latency_ms.p99)
        self.figures.cpu_ms_per_request_at_50 = spent.ms_per_request
        self.figures.cpu_ms_by_process_at_50 = spent.ms_by_process

    async def saturation(self) -> None:
        """As many requests as the machine answers to 64 callers."""
        self.report(f"HTTP door, {_CONCURRENT} concurrent ({self.seconds:g} s)")
        through = self._load(self.bench.url)
        spent, loaded = await self._loaded("saturation", self._profiled("saturation", load.send(through)))
        self.figures.saturation_rps = loaded.completed / self.seconds
        self.figures.saturation_p50_ms, self.figures.saturation_p99_ms = loaded.latency_ms.p50, loaded.latency_ms.p99
        self.figures.cpu_ms_per_request, self.figures.cpu_ms_by_process = spent.ms_per_request, spent.ms_by_process
        self.figures.generator_cpu_ms_per_request = loaded.cpu_s * 1000 / max(1, loaded.completed)

    async def kafka(self) -> None:
        """The same through the Kafka door."""
        direct = await self._direct_call()
        self.report(f"Kafka door at {_PER_SECOND} requests/s ({self.seconds:g} s)")
        spent, loaded = await self._loaded("kafka latency", kafka.steady(self.bench, self.seconds, _PER_SECOND))
        self.figures.kafka_added_p50_ms = _added(loaded.latency_ms.p50, direct.latency_ms.p50)
        self.figures.kafka_added_p99_ms = _added(loaded.latency_ms.p99, direct.latency_ms.p99)
        self.figures.kafka_cpu_ms_per_request_at_50 = spent.ms_per_request
        self.report(f"Kafka door, {_UNANSWERED} unanswered ({self.seconds:g} s)")
        spent, loaded = await self._loaded("kafka", kafka.backlog(self.bench, self.seconds, _UNANSWERED))
        self.figures.kafka_saturation_rps = loaded.completed / self.seconds
        self.figures.kafka_cpu_ms_per_request = spent.ms_per_request

    async def streams(self) -> None:
        """Streams of 20 events: the first chunk at a low rate, then as many as the machine carries."""
        half = self.seconds / 2
        self.report(f"streams, directly and through the door ({half:g} s each)")
        direct = await load.send(self._load(self.bench.upstream_url, seconds=half, rate=_PER_SECOND // 2, stream=True))
        through = self._load(self.bench.url, seconds=half, rate=_PER_SECOND // 2, stream=True)
        _, loaded = await self._loaded("first chunk", load.send(through))
        self.figures.direct_first_chunk_ms = direct.first_chunk_ms.p50
        self.figures.added_first_chunk_ms = _added(loaded.first_chunk_ms.p50, direct.first_chunk_ms.p50)
        self.report(f"streams, {_CONCURRENT} concurrent ({self.seconds:g} s)")
        spent, loaded = await self._loaded("streams", load.send(self._load(self.bench.url, stream=True)))
        self.figures.streams_per_s = loaded.completed / self.seconds
        self.figures.saturation_first_chunk_ms = loaded.first_chunk_ms.p50
        self.figures.cpu_ms_per_stream = spent.ms_per_request

    async def batch(self) -> None:
        """The largest batch there can be."""
        self.report(f"a batch of {batch.LINES:,} lines")
        found: list[Batched] = []

        async def work() -> None:
            found.append(await batch.run(self.bench))

        spent, (went,) = await self._spent("batch", work()), found
        figures = self.figures
        figures.batch_lines, figures.batch_seconds = batch.LINES, went.seconds
        figures.batch_lines_per_s = batch.LINES / went.seconds
        figures.batch_cpu_ms_per_line = spent.ms_per_request
        figures.batch_most_open, figures.batch_lost = went.most_open, went.lost
        figures.batch_doubled, figures.batch_adds_up = went.doubled, went.adds_up
        figures.failed += went.failed

    def memory(self) -> None:
        """What every process holds once the load is over."""
        self.figures.rss_mb = memory_mb(self.bench.pids())

    async def _direct_call(self) -> Loaded:
        if self._direct is None:
            self.report(f"the upstream itself at {_PER_SECOND} requests/s ({self.seconds / 2:g} s)")
            direct = self._load(self.bench.upstream_url, seconds=self.seconds / 2, rate=_PER_SECOND)
            self._direct = await load.send(direct)
            spread = self._direct.latency_ms
            self.figures.direct_p50_ms, self.figures.direct_p99_ms = spread.p50, spread.p99
        return self._direct

    async def _loaded(self, name: str, work: Awaitable[Loaded]) -> tuple[Spent, Loaded]:
        found: list[Loaded] = []

        async def keep() -> None:
            found.append(await work)

        spent = await self._spent(name, keep(), lambda: found[0].cpu_s)
        self.figures.failed += found[0].failed
        return spent, found[0]

    async def _spent(self, name: str, work: Awaitable[None], generator: Callable[[], float] = lambda: 0.0) -> Spent:
        settled, began, before = await self.bench.outcomes(), time.perf_counter(), self.bench.reading()
        await work
        await self.bench.quiet()
        usage, took = Usage.between(before, self.bench.reading()), time.perf_counter() - began
        self.figures.other_cores[name] = max(0.0, usage.elsewhere - generator()) / took
        spent = {part: seconds for part, seconds in usage.by_process.items() if part != UPSTREAM}
        return Spent(spent, await self.bench.outcomes() - settled)

    async def _profiled(self, name: str, work: Awaitable[Loaded]) -> Loaded:
        if self.profile_into is None:
            return await work
        pids = self.bench.pids()
        async with asyncio.TaskGroup() as group:
            working = group.create_task(_awaited(work))
            chosen = {name: pids[name] for name in _PROFILED}
            self.profiles[name] = await profile.record(chosen, self.seconds - 1, self.profile_into / name)
        return working.result()

    def _load(self, url: str, *, seconds: float | None = None, rate: int | None = None, stream: bool = False) -> Load:
        return Load(
            url=url + _PATH,
            key=self.bench.key,
            body=load.body(stream=stream),
            expect=_STREAMED if stream else _PLAIN,
            seconds=seconds or self.seconds,
            connections=_CONCURRENT,
            rate=rate,
        )


async def _awaited(work: Awaitable[Loaded]) -> Loaded:
    return await work


def _added(through: float | None, direct: float | None) -> float | None:
    return None if through is None or direct is None else through - direct
