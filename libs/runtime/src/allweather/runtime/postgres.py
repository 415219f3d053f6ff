"""Postgres for correctness: a pool that is waited for, and one way to run work on it.

Work that finds Postgres unusable (away, restarting, full, locked) raises `DependencyAway`: nothing is wrong with the
work, the same work may succeed later. Everything else that Postgres says is a bug and is raised as it is.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import asyncpg
from asyncpg import exceptions
from asyncpg.pool import PoolConnectionProxy
from pydantic import SecretStr

if TYPE_CHECKING:
    Connection: TypeAlias = PoolConnectionProxy[asyncpg.Record]
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
else:  # asyncpg's classes are generic for type checkers only
    Connection, Pool = PoolConnectionProxy, asyncpg.Pool

log = logging.getLogger(__name__)

CLOSE_LIMIT_S = 5.0
_VANISHED = {"tcp_keepalives_idle": "5", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "2"}
"""A client whose machine is gone says no goodbye, and what it held would stay locked until its transaction times out:
the server asks after 5 s of silence, and gives up 10 s later."""

T = TypeVar("T")

Work = Callable[[Connection], Awaitable[T]]


class DependencyAway(Exception):
    """Something that this service needs cannot be used now; the same work may succeed later."""


AWAY_ERRORS: tuple[type[Exception], ...] = (
    OSError,
    TimeoutError,
    exceptions.PostgresConnectionError,
    exceptions.OperatorInterventionError,  # shutting down, starting up, statement cancelled by its time limit
    exceptions.InsufficientResourcesError,  # disk full, too many connections, out of memory
    exceptions.TransactionRollbackError,  # deadlock, serialization failure
    exceptions.LockNotAvailableError,
    exceptions.ReadOnlySQLTransactionError,  # a replica after a failover
    exceptions.PostgresIOError,
)


class Postgres:
    """A pool of connections, and the line between `Postgres is away` and `our statement is wrong`."""

    def __init__(
        self,
        pool: Pool,
        *,
        away: type[Exception] = DependencyAway,
        on_away: Callable[[], None] = lambda: None,
    ) -> None:
        self.pool = pool
        self._away = away
        self._on_away = on_away
        self._at_hand: Connection | None = None
        """Kept for the next work: a way through the pool and back costs a task, and more than a statement does."""

    async def run(self, work: Work[T]) -> T:
        """The result of `work` on a connection, outside any transaction: each statement is its own.

        `work` must be idempotent: when the connection turns out to be stale it is run once more on a new one.
        Raises `away` when Postgres cannot be used.
        """
        try:
            try:
                return await self._once(work)
            except exceptions.PostgresConnectionError:
                return await self._once(work)
        except AWAY_ERRORS as error:
            self._on_away()
            raise self._away(f"postgres: {type(error).__name__}") from error

    async def transact(self, work: Work[T]) -> T:
        """`run` inside one transaction, which is rolled back when `work` raises."""

        async def in_transaction(connection: Connection) -> T:
            async with connection.transaction():
                return await work(connection)

        return await self.run(in_transaction)

    async def ping(self) -> None:
        """Raise unless Postgres answers."""
        await self.run(lambda connection: connection.execute("SELECT 1"))

    async def close(self) -> None:
        """Wait for the work that is under way, then close every connection."""
        await asyncio.gather(self.pool.close(), self._let_go())

    async def _once(self, work: Work[T]) -> T:
        if self._at_hand is not None and _lost(self._at_hand):
            await self._let_go()
        connection = self._taken() or await self.pool.acquire()
        try:
            result = await _worked(work, connection)
        except BaseException:
            await self.pool.release(connection)
            raise
        if self._may_keep(connection):
            self._at_hand = connection
        else:
            await self.pool.release(connection)
        return result

    def _taken(self) -> Connection | None:
        connection, self._at_hand = self._at_hand, None
        return connection

    async def _let_go(self) -> None:
        connection = self._taken()
        if connection is not None:
            await self.pool.release(connection)

    def _may_keep(self, connection: Connection) -> bool:
        """Whether nobody waits for it, and the pool has nothing to put right in it."""
        if self._at_hand is not None or _lost(connection) or connection.is_in_transaction():
            return False
        pool = self.pool
        spare = pool.get_idle_size() > 0 or pool.get_size() < pool.get_max_size()
        return spare and not pool.is_closing()


async def _worked(work: Work[T], connection: Connection) -> T:
    """The result of `work`; a connection that breaks during it is said to have broken."""
    try:
        return await work(connection)
    except exceptions.InterfaceError as error:
        if _lost(connection):
            raise exceptions.ConnectionDoesNotExistError("closed during the work") from error
        raise
    except exceptions.InternalClientError as error:  # asyncpg has lost count of what the server answers to
        connection.terminate()
        raise exceptions.ConnectionDoesNotExistError("broke during the work") from error


@asynccontextmanager
async def open_postgres(
    dsn: SecretStr,
    *,
    name: str,
    connections: int = 4,
    statement_timeout_s: float = 10.0,
    away: type[Exception] = DependencyAway,
    on_away: Callable[[], None] = lambda: None,
) -> AsyncGenerator[Postgres]:
    """Postgres at `dsn` as the application `name`, closed with the block.

    Opening waits until Postgres is there. `away` is the error that `run` raises when it cannot be used, so that a
    service can hand in what its consumer understands as `try this record again`.
    """
    pool = asyncpg.create_pool(
        dsn.get_secret_value(),
        min_size=0,
        max_size=connections,
        timeout=5.0,
        command_timeout=statement_timeout_s + 1.0,
        max_inactive_connection_lifetime=0.0,
        reset=_as_it_is,
        server_settings={
            "application_name": name,
            "statement_timeout": f"{statement_timeout_s * 1000:.0f}",
            "idle_in_transaction_session_timeout": "60000",
            **_VANISHED,
        },
    )
    await pool
    postgres = Postgres(pool, away=away, on_away=on_away)
    try:
        await _answering(pool)
        yield postgres
    finally:
        await _closed(postgres)


async def _as_it_is(_connection: object) -> None:
    """A connection goes back to the pool without the usual `RESET ALL`, which is one more round trip for each use.

    An open transaction is rolled back all the same; beyond one, no work of ours changes a session.
    """


def _lost(connection: Connection) -> bool:
    """Whether the connection broke, after which asyncpg complains that it is used wrongly."""
    try:
        return connection.is_closed()
    except exceptions.InterfaceError:  # the pool has already taken it back
        return True


async def _answering(pool: Pool) -> None:
    """Return once Postgres answers."""
    pause = 0.1
    while True:
        try:
            await pool.execute("SELECT 1")
            return
        except AWAY_ERRORS as error:
            log.warning("waiting for postgres", extra={"error": type(error).__name__})
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5.0)


async def _closed(postgres: Postgres) -> None:
    """Close gracefully, but never wait long for a server that is gone."""
    try:
        async with asyncio.timeout(CLOSE_LIMIT_S):
            await postgres.close()
    except TimeoutError:
        postgres.pool.terminate()
