"""Feeds batches to the pipeline: never too many lines at once, and whoever dies, another one goes on.

A line's request id follows from its batch and number. So nothing is remembered of a line: what was published once is
the same request when it is published again, and whether it is settled is looked up.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, Protocol
from uuid import UUID

import msgspec

from allweather.contracts import headers, ids
from allweather.contracts.model import digest, iso_time
from allweather.ingest.acceptance import Acceptance
from allweather.ingest.adapters.library import Library
from allweather.ingest.batches import lines
from allweather.ingest.batches.batch import MESSAGES, MOST_LINES, Batch, share
from allweather.ingest.batches.files import File, Writing, numbered
from allweather.ingest.batches.lines import Fault, Line
from allweather.ingest.cancellation import cancelled
from allweather.ingest.replies import Reply
from allweather.ingest.submission import Submission
from allweather.messaging import MessagingError
from allweather.runtime.clock import Clock
from allweather.runtime.payloads import Payloads
from allweather.runtime.postgres import DependencyAway
from allweather.telemetry.metrics import REQUESTS_ACCEPTED, Door

log = logging.getLogger(__name__)

LOOK_S: Final = 1.0
AT_ONCE: Final = 200
"""Lines that are published, or looked up with their answers, together."""
QUICK_S: Final = 0.1
SLOW_S: Final = 2.0


class Outcomes(Protocol):
    """What the router says of requests. Every call raises `DependencyAway` when that cannot be known now."""

    async def codes(self, requests: Collection[UUID]) -> Mapping[UUID, int]:
        """The HTTP status of the outcomes of those requests that have one."""
        ...

    async def outcomes(self, requests: Collection[UUID]) -> Mapping[UUID, Reply]:
        """The outcomes themselves."""
        ...


@dataclass(frozen=True, slots=True)
class Means:
    """What a feeder works with."""

    library: Library
    outcomes: Outcomes
    payloads: Payloads
    acceptance: Acceptance
    clock: Clock
    holder: str


async def feed_batches(means: Means, every: float = LOOK_S) -> None:
    """Feed whatever batch nobody feeds, until cancelled; then let others go on."""
    busy: set[UUID] = set()

    async def feed(batch: Batch) -> None:
        await _feed(means, batch)
        busy.discard(batch.id)

    try:
        async with asyncio.TaskGroup() as group:
            while True:
                with suppress(DependencyAway):
                    while batch := await means.library.take(means.holder, busy):
                        busy.add(batch.id)
                        group.create_task(feed(batch))
                await asyncio.sleep(every)
    finally:
        with suppress(DependencyAway):
            await means.library.give_back(means.holder)


async def _feed(means: Means, batch: Batch) -> None:
    """Feed one batch until it has ended or is another's. What is away is waited for: the lease may lapse meanwhile."""
    try:
        await Feeder(means, batch).run()
    except (DependencyAway, MessagingError, OSError) as error:
        log.warning("a batch waits", extra={"batch": str(batch.id), "reason": type(error).__name__})
    except Exception:
        log.exception("a batch cannot be fed", extra={"batch": str(batch.id)})


class Feeder:
    """One batch on its way."""

    def __init__(self, means: Means, batch: Batch) -> None:
        self._means = means
        self._batch = batch
        self._open: dict[UUID, int] = {}
        """Lines that are published and not settled, by their requests."""
        self._completed = self._failed = 0
        self._submitted = batch.submitted
        self._cancelled = False
        self._reach = means.acceptance.failpoints.reach

    async def run(self) -> None:
        """Bring the batch to its end."""
        if self._batch.status == "validating" and not await self._validated():
            return
        await self._recall()
        pause = QUICK_S
        while not self._all_settled:
            moved = await self._settle() + await self._submit()
            if not await self._saved():
                return
            self._reach("batch.after-progress")
            pause = QUICK_S if moved else min(pause * 2, SLOW_S)
            await asyncio.sleep(pause)
        await self._finish()

    @property
    def _ends_early(self) -> bool:
        """Whether no further line is to be published."""
        batch = self._batch
        return batch.status == "cancelling" or self._means.clock.now_ms() >= batch.expires_at_ms

    @property
    def _all_settled(self) -> bool:
        return not self._open and (self._submitted >= self._batch.total or self._ends_early)

    # The file

    async def _validated(self) -> bool:
        """Whether the file is a batch; if not, the batch has ended."""
        total, faults = await self._read_through()
        now = self._means.clock.now_ms()
        if faults:
            told = msgspec.json.encode(faults).decode()
            await self._means.library.end(
                replace(self._batch, status="failed", ended_at_ms=now, faults=told, total=total)
            )
            return False
        begun = await self._means.library.advance(self._batch, "in_progress", total, now)
        self._batch = begun or self._batch
        self._reach("batch.after-validation")
        return begun is not None

    async def _read_through(self) -> tuple[int, list[object]]:
        names: set[str] = set()
        faults: list[object] = []
        total = 0
        async for number, text in self._lines():
            total = number + 1
            try:
                line = lines.read(self._batch.endpoint, number, text)
                if line.custom_id in names:
                    raise Fault(number, "duplicate_custom_id", "'custom_id' is used more than once.", "custom_id")
                names.add(line.custom_id)
            except Fault as fault:
                faults.append(fault.told)
            if total > MOST_LINES or len(faults) >= lines.MOST_FAULTS:
                break
            if not number % AT_ONCE:
                await asyncio.sleep(0)
        if total == 0 or total > MOST_LINES:
            what = f"A batch has 1 to {MOST_LINES} requests."
            faults.append({"code": "invalid_number_of_requests", "line": None, "message": what, "param": None})
        return total, faults

    async def _lines(self, first: int = 0) -> AsyncGenerator[tuple[int, bytes]]:
        parts = await self._means.library.parts(self._batch.input_file)
        async for each in numbered(self._means.payloads, parts, first):
            yield each

    # Lines under way

    async def _recall(self) -> None:
        """Find out which of the lines that were published before are still open."""
        for first in range(0, self._submitted, 1000):
            some = range(first, min(first + 1000, self._submitted))
            self._open |= {self._request(number): number for number in some}
            await self._settle()

    async def _settle(self) -> int:
        """Take out the lines that have been settled; returns how many."""
        if not self._open:
            return 0
        found = await self._means.outcomes.codes(list(self._open))
        for request, status in found.items():
            del self._open[request]
            self._completed += status < 400
            self._failed += status >= 400
        return len(found)

    async def _submit(self) -> int:
        """Publish more lines, as many as may be under way; returns how many."""
        if self._ends_early:
            return await self._cancel_open()
        library, acceptance = self._means.library, self._means.acceptance
        room = share(await library.running(self._batch.tenant)) - len(self._open)
        room = min(room, AT_ONCE, self._batch.total - self._submitted)
        if room <= 0 or acceptance.parking.full(self._batch.tenant) is not None:
            return 0
        some: list[Line] = []
        async for number, text in self._lines(self._submitted):
            some.append(lines.read(self._batch.endpoint, number, text))
            if len(some) == room:
                break
        await _together(map(self._publish, some))
        self._reach("batch.after-lines")
        self._open |= {self._request(line.number): line.number for line in some}
        self._submitted += len(some)
        return len(some)

    async def _publish(self, line: Line) -> None:
        batch, acceptance = self._batch, self._means.acceptance
        submission = Submission(
            tenant=batch.tenant,
            request_id=self._request(line.number),
            key=batch.key(line.number),
            key_is_minted=False,
            body=line.body,
            body_digest=digest(line.body),
            hints={
                headers.DIALECT: batch.dialect.encode(),
                headers.PRIORITY: b"bulk",
                headers.DEADLINE: iso_time(batch.expires_at_ms).encode(),
            },
            correlation=b"",
            accepted_at_ms=self._means.clock.now_ms(),
        )
        if submission.is_large:
            await acceptance.keep_body(line.body)
        await acceptance.publish(submission.message(acceptance.door, acceptance.secret))
        self._reach("batch.after-line")
        REQUESTS_ACCEPTED.inc(Door("http", batch.tenant))

    async def _cancel_open(self) -> int:
        """Ask once for the end of what is still open; a batch that expires need not: its lines expire with it."""
        if self._cancelled or self._batch.status != "cancelling":
            return 0
        now = self._means.clock.now_ms()
        publish = self._means.acceptance.publish
        await _together(publish(cancelled(request, self._batch.tenant, now)) for request in self._open)
        self._cancelled = True
        return len(self._open)

    async def _saved(self) -> bool:
        """Whether this batch is still ours to feed."""
        progress = (self._submitted, self._completed, self._failed)
        saved = await self._means.library.save(self._batch, self._means.holder, *progress)
        self._batch = saved or self._batch
        return saved is not None

    def _request(self, number: int) -> UUID:
        return ids.request_id(self._batch.tenant, self._batch.key(number))

    # The end

    async def _finish(self) -> None:
        """Write the files, and that the batch has ended. Done twice, it is the same twice."""
        self._reach("batch.before-files")
        output, errors = Writing(self._means.payloads), Writing(self._means.payloads)
        results: dict[str, int] = {}
        some: list[Line] = []
        async for number, text in self._lines():
            some.append(lines.read(self._batch.endpoint, number, text))
            if len(some) == AT_ONCE or number + 1 == self._batch.total:
                await self._write(some, output, errors, results)
                some.clear()
                if not await self._saved():
                    return
        answers = await self._file(output, "output")
        self._reach("batch.after-output")
        faults = await self._file(errors, "error")
        self._reach("batch.before-end")
        await self._end(answers, faults, results)

    async def _write(self, some: list[Line], output: Writing, errors: Writing, results: dict[str, int]) -> None:
        found = await self._means.outcomes.outcomes([self._request(line.number) for line in some])
        for line in some:
            request = self._request(line.number)
            public = ids.public_id(request, self._batch.tenant, self._means.acceptance.secret)
            word, told = lines.result(self._batch, line, found.get(request), public)
            results[word] = results.get(word, 0) + 1
            in_output = word == "succeeded" or self._batch.endpoint == MESSAGES
            await (output if in_output else errors).add(msgspec.json.encode(told) + b"\n")

    async def _file(self, writing: Writing, which: str) -> UUID | None:
        count = await writing.end()
        if not writing.size:
            return None
        batch, name = self._batch, self._batch.file("output" if which == "output" else "error")
        purpose = "message_batch" if batch.endpoint == MESSAGES else "batch_output"
        file = File(
            id=name,
            tenant=batch.tenant,
            purpose=purpose,
            name=f"batch_{batch.id.hex}_{which}.jsonl",
            bytes=writing.size,
            lines=count,
            created_at_ms=self._means.clock.now_ms(),
        )
        await self._means.library.keep_file(file, writing.parts)
        return name

    async def _end(self, output: UUID | None, error: UUID | None, results: dict[str, int]) -> None:
        batch = self._batch
        expired = results.get("expired", 0) > 0
        status = "cancelled" if batch.cancelled_at_ms else "expired" if expired else "completed"
        await self._means.library.end(
            replace(
                batch,
                status=status,
                ended_at_ms=self._means.clock.now_ms(),
                completed=results.get("succeeded", 0),
                failed=results.get("errored", 0),
                output_file=output,
                error_file=error,
                results=msgspec.json.encode(results).decode(),
            )
        )


async def _together(work: Iterable[Awaitable[None]]) -> None:
    """Do it in portions, so that a batch does not crowd out those who wait."""
    remaining = iter(work)
    while portion := list(islice(remaining, AT_ONCE)):
        await asyncio.gather(*portion)
