"""aiokafka's fetcher with a loop of our own, which can rest, and takes one turn for a fetch where aiokafka takes four.

aiokafka fetches as soon as it is polled. What it then has is old by the next poll, and all that comes meanwhile waits
for the poll after that: a consumer that polls less often gets older records, not larger batches. And after whatever has
happened, a drained partition or an answer, its loop waits anew for everything that may happen next, which costs a good
part of a hop where records come one by one. What is asked of the brokers, and what is made of their answers, stays
aiokafka's.
"""

import asyncio
import logging
from asyncio import Future, Task
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from aiokafka.consumer import consumer
from aiokafka.consumer.fetcher import Fetcher, FetchResult
from aiokafka.errors import KafkaError

log = logging.getLogger(__name__)

_library: Final[Any] = Fetcher
_FetchResult: Final[Any] = FetchResult
_TICK: Final = 0.001
"""uvloop's clock and timers know no less."""


def install() -> None:
    """Let every consumer of aiokafka fetch with this."""
    library: Any = consumer
    library.Fetcher = RestingFetcher


class RestingFetcher(_library):
    """The fetcher of one consumer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._rests_until = 0.0
        self._asking = False
        self._assignment: Any = None
        self._resumes: set[Future[None]] = set()
        super().__init__(*args, **kwargs)  # pyright: ignore[reportUnknownMemberType]

    def rest(self, seconds: float) -> None:
        """Fetch nothing for so long, from the turn of the event loop on in which this is called."""
        self._rests_until = self._loop.time() + seconds

    async def fetched_records(self, partitions: Any, timeout: float = 0, max_records: int | None = None) -> Any:
        """What has been fetched, of all partitions; waits so many seconds for something. Called by `getmany`."""
        assert not partitions, "partitions are chosen by pausing the others"
        until = self._loop.time() + timeout
        while True:
            if self._subscriptions.reassignment_in_progress:
                await self._subscriptions.wait_for_assignment()
            drained = self._drained(max_records)
            left = until - self._loop.time()
            if drained or left <= 0 or self._closed:
                return drained
            await self._news(left)

    def _drained(self, max_records: int | None) -> dict[Any, list[Any]]:
        """Takes out what is here, up to the first error, which is raised when it comes first."""
        drained: dict[Any, list[Any]] = {}
        for at in list(self._records):
            found: Any = self._records[at]
            if type(found) is not _FetchResult:
                if not drained:
                    self._take_out(at)
                    found.check_raise()
                break
            records: list[Any] = found.getall(max_records)
            if not found.has_more():
                self._take_out(at)
            if records:
                drained[at] = records
                if max_records is not None:
                    max_records -= len(records)
                    if not max_records:
                        break
        return drained

    def _take_out(self, at: Any) -> None:
        del self._records[at]
        if not self._asking:  # in the next turn: then it is known whether we rest
            self._asking = True
            self._loop.call_soon(self._ask)

    def _ask(self) -> None:
        """Have the loop ask for more, after the rest."""
        if self._loop.time() < self._rests_until:
            self._loop.call_at(self._rests_until, self._end_rest)
        else:
            self._end_rest()

    def _end_rest(self) -> None:
        self._asking, self._rests_until = False, 0.0  # the loop's clock may still say a little less
        if self._closed:  # a timer is not ended with its fetcher
            return
        if self._assignment is not None and self._assignment.active:
            self._begin()  # the loop itself need not wake for what nearly every turn is about
        else:
            self._wake()

    async def _news(self, seconds: float) -> None:
        """Return when something was fetched, or after so many seconds. Raises what the group's coordination says."""
        waiter = self._create_fetch_waiter()
        timer = self._loop.call_later(seconds, self._notify, waiter)
        try:
            await waiter
        finally:
            timer.cancel()

    async def _fetch_requests_routine(self) -> None:
        """Fetch for ever, from whatever is assigned."""
        try:
            while True:
                if self._assignment is None or not self._assignment.active:
                    await self._forget_all()
                    self._assignment = await self._assigned()
                    self._assignment.unassign_future.add_done_callback(self._wake)
                self._settle()
                self._wait_consume_future = self._loop.create_future()
                timer = self._loop.call_later(self._begin(), self._wake)
                await self._wait_consume_future
                timer.cancel()
        except asyncio.CancelledError:
            pass
        except Exception as error:
            log.exception("a consumer fetches no more")
            raise KafkaError("fetching has failed") from error

    async def _forget_all(self) -> None:
        for task in self._pending_tasks:
            task.cancel()
        if self._pending_tasks:
            await asyncio.wait(self._pending_tasks)
        self._pending_tasks.clear()
        self._records.clear()

    async def _assigned(self) -> Any:
        """The next assignment."""
        while True:
            subscription = self._subscriptions.subscription
            if subscription is not None and subscription.assignment is not None:
                return subscription.assignment
            try:
                await self._subscriptions.wait_for_assignment()
            except KafkaError:
                continue  # whoever polls hears of it

    def _settle(self) -> None:
        for task in [task for task in self._pending_tasks if task.done()]:
            self._pending_tasks.discard(task)
            task.result()  # an error is a bug

    def _begin(self) -> float:
        """Send what is due, and return after how many seconds to look again, unless something wakes us before."""
        rest = self._rests_until - self._loop.time()
        if rest > 0:
            return rest + _TICK
        fetches, lookups, wait, stale, resumes = self._get_actions_per_node(self._assignment)
        for node, request in fetches:
            self._start(self._found(self._proc_fetch_request, self._assignment, node, request), node)
        for node, partitions in lookups.items():
            self._start(self._found(self._update_fetch_positions, self._assignment, node, partitions), node)
        if stale:
            self._client.force_metadata_update().add_done_callback(self._wake)
        for resumed in self._resumes.symmetric_difference(resumes):
            (resumed.remove_done_callback if resumed in self._resumes else resumed.add_done_callback)(self._wake)
        self._resumes = set(resumes)
        return wait

    async def _found(self, work: Callable[..., Awaitable[bool]], *given: Any) -> bool:
        """Whether there is something to drain now, records or an error."""
        found = await work(*given)
        if found:
            for waiter in tuple(self._fetch_waiters):
                self._notify(waiter)
        return found

    def _start(self, work: Coroutine[Any, Any, Any], node: Any) -> None:
        task = asyncio.create_task(work)
        self._pending_tasks.add(task)
        self._in_flight.add(node)
        task.add_done_callback(lambda ended: self._ended(ended, node))

    def _ended(self, task: Task[Any], node: Any) -> None:
        self._in_flight.discard(node)
        if task.cancelled() or task.exception() is not None or not task.result():
            self._wake()  # else whoever drains what was found has the loop ask for more

    def _wake(self, *_: Any) -> None:
        self._notify(self._wait_consume_future)
