"""Postgres as far as the protocol leans on it: a unique key, transactions, row locks, and what is visible when.

A row that is inserted but not committed is seen by nobody, yet holds its key: whoever inserts the same key waits until
it is committed (then theirs is skipped) or rolled back. A transaction whose client dies is rolled back; one whose
client stands still keeps its locks until the server ends it.
"""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, TypeVar

from simulator.loop import Process, SimLoop, State, current
from simulator.net import Net, Server

from allweather.messaging import TransientError

T = TypeVar("T")

DEADLOCK_S = 1.0
STATEMENT_S = 10.0
IDLE_S = 60.0
"""`idle_in_transaction_session_timeout`."""


class ConnectionCut(Exception):
    """The connection broke: what became of the statement is unknown."""


class StatementFailed(Exception):
    """Deadlock, or a statement that took too long: rolled back."""


class Transaction:
    """What one client has done and not yet committed."""

    def __init__(self, loop: SimLoop, owner: Process | None) -> None:
        self.owner = owner
        self.locks: set[Hashable] = set()
        self.on_commit: list[Callable[[], None]] = []
        self.ended: asyncio.Future[None] = loop.create_future()
        self.waits_for: Transaction | None = None

    @property
    def open(self) -> bool:
        return not self.ended.done()


class Postgres:
    """The server: locks by name, and transactions that hold them."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.server = Server("postgres", ConnectionCut, exposure=2)
        self.gradual = False
        """Whether statements that are running now let others come between their rows."""
        self._holders: dict[Hashable, Transaction] = {}
        self._open: dict[Transaction, None] = {}

    def begin(self, owner: Process | None) -> Transaction:
        transaction = Transaction(self.net.loop, owner)
        self._open[transaction] = None
        return transaction

    def commit(self, transaction: Transaction) -> None:
        """Everything that it did is visible from here on, all at once."""
        if not transaction.open:
            raise ConnectionCut
        for make_visible in transaction.on_commit:
            make_visible()
        self._end(transaction)

    def roll_back(self, transaction: Transaction) -> None:
        if transaction.open:
            self._end(transaction)

    def client_died(self, process: Process) -> None:
        """The server hears of it after what was sent before."""
        for transaction in [t for t in self._open if t.owner is process]:
            self.net.note("transaction of a dead client")
            self.net.later(self.net.chance.between(0, 0.1), self.roll_back, transaction)

    def client_stalled(self, process: Process) -> None:
        for transaction in [t for t in self._open if t.owner is process]:
            self.net.later(IDLE_S, self._end_idle, transaction)

    def holder(self, key: Hashable) -> Transaction | None:
        return self._holders.get(key)

    def lock(self, transaction: Transaction, key: Hashable) -> None:
        """Raises `StatementFailed` where the transaction was ended while this statement of it was running."""
        if not transaction.open:
            raise StatementFailed("the transaction is over")
        self._holders[key] = transaction
        transaction.locks.add(key)

    async def wait(self, transaction: Transaction, holder: Transaction) -> None:
        """Until `holder` has ended. Raises `StatementFailed` for a deadlock, and after the statement's time limit."""
        self.net.note("lock wait")
        transaction.waits_for = holder
        try:
            done, _ = await asyncio.wait({holder.ended}, timeout=DEADLOCK_S)
            if not done and _in_circle(transaction):
                self.net.note("deadlock")
                raise StatementFailed("deadlock")
            if not done:
                done, _ = await asyncio.wait({holder.ended}, timeout=STATEMENT_S - DEADLOCK_S)
            if not done:
                raise StatementFailed("statement timeout")
        finally:
            transaction.waits_for = None

    async def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """As `runtime.postgres.Postgres.run`: once more on a new connection, then `TransientError`."""
        try:
            try:
                return await work()
            except ConnectionCut:
                return await work()
        except (ConnectionCut, StatementFailed) as error:
            raise TransientError(f"postgres: {error!r}") from error

    async def query(self, find: Callable[[], T]) -> T:
        """What a read finds, at one moment."""

        async def once() -> T:
            return await self.net.call(self.server, find)

        return await self.run(once)

    async def statement(self, work: Callable[[Transaction], Coroutine[Any, Any, T]]) -> T:
        """A statement that is a transaction by itself: it takes its effect whatever becomes of its client."""

        async def once() -> T:
            return await self.net.call(self.server, lambda: self._alone(work))

        return await self.run(once)

    async def transact(self, work: Callable[[Transaction], Coroutine[Any, Any, T]]) -> T:
        """`work` of the client in one transaction; rolled back when it raises, or its client dies."""

        async def once() -> T:
            transaction = self.begin(current())
            try:
                found = await work(transaction)
                await self.net.call(self.server, lambda: self.commit(transaction))
            except BaseException:
                self.roll_back(transaction)
                raise
            return found

        return await self.run(once)

    async def within(self, transaction: Transaction, work: Callable[[], Any]) -> Any:
        """One statement of a client's transaction."""

        def effect() -> Any:
            if not transaction.open:
                raise ConnectionCut
            return work()

        return await self.net.call(self.server, effect)

    def _alone(self, work: Callable[[Transaction], Coroutine[Any, Any, T]]) -> Any:
        statement = self._committed(self.begin(None), work)
        self.gradual = bool(self._holders) or self.net.chance.happens(0.4)
        return statement if self.gradual else at_once(statement)

    async def _committed(self, transaction: Transaction, work: Callable[[Transaction], Coroutine[Any, Any, T]]) -> T:
        try:
            found = await work(transaction)
        except BaseException:
            self.roll_back(transaction)
            raise
        self.commit(transaction)
        return found

    def _end(self, transaction: Transaction) -> None:
        del self._open[transaction]
        for key in transaction.locks:
            del self._holders[key]
        transaction.ended.set_result(None)

    def _end_idle(self, transaction: Transaction) -> None:
        if transaction.open and transaction.owner is not None and transaction.owner.state is State.STOPPED:
            self.net.note("idle transaction ended")
            self.roll_back(transaction)


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that has nothing to wait for."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")


def _in_circle(transaction: Transaction) -> bool:
    holder = transaction.waits_for
    while holder is not None and holder is not transaction:
        holder = holder.waits_for
    return holder is transaction
