"""A client that is made when it is needed, by one of all who wait for it."""

import asyncio

import pytest

from allweather.messaging.kafka import renewable
from allweather.messaging.kafka.renewable import Renewable

WAITING = 50


class Cluster:
    """Brokers that are away for so many tries."""

    def __init__(self, away: int) -> None:
        self.away, self.tries = away, 0

    def client(self) -> "Client":
        return Client(self)


class Client:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def start(self) -> None:
        self._cluster.tries += 1
        await asyncio.sleep(0)
        if self._cluster.tries <= self._cluster.away:
            raise TimeoutError("nobody answers")

    async def close(self) -> None: ...

    async def discard(self) -> None: ...


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewable, "_PAUSE", 0.001)


async def test_of_all_who_wait_for_a_cluster_one_tries_at_a_time() -> None:
    """Each trying for itself would keep a returning broker busy with connections that are closed at once."""
    cluster = Cluster(away=3)
    one = Renewable(cluster.client)

    clients = await asyncio.gather(*(one.get() for _ in range(WAITING)))

    assert cluster.tries == 4
    assert len(set(map(id, clients))) == 1


async def test_a_caller_whose_time_is_over_neither_ends_the_attempt_nor_waits_for_its_end() -> None:
    """A client takes seconds to let go of brokers that do not answer, and a door has promised its answer by then."""
    answering, ended = asyncio.Event(), asyncio.Event()

    class Slow(Client):
        async def start(self) -> None:
            try:
                await answering.wait()
            except asyncio.CancelledError:
                await asyncio.Event().wait()
            finally:
                ended.set()

    one = Renewable(lambda: Slow(Cluster(away=0)))
    early = asyncio.create_task(one.get())
    await asyncio.sleep(0)

    early.cancel()
    await asyncio.wait({early})
    assert early.cancelled()
    assert not ended.is_set()

    answering.set()
    assert await one.get()
    await one.close()


async def test_an_attempt_ends_when_nobody_wants_the_client_any_more() -> None:
    cluster = Cluster(away=1_000_000)
    one = Renewable(cluster.client)
    waiting = asyncio.create_task(one.get())
    await asyncio.sleep(0)

    await one.close()

    await asyncio.wait({waiting})
    assert waiting.cancelled()
    tries = cluster.tries
    await asyncio.sleep(0)
    assert cluster.tries == tries


async def test_what_is_no_absence_of_the_brokers_is_told_to_whoever_waits() -> None:
    class Wrong(Client):
        async def start(self) -> None:
            raise ValueError("no such mechanism")

    one = Renewable(lambda: Wrong(Cluster(away=0)))

    with pytest.raises(ValueError, match="mechanism"):
        await one.get()


async def test_a_discarded_client_is_made_anew_and_only_once() -> None:
    cluster = Cluster(away=0)
    one = Renewable(cluster.client)
    first = await one.get()

    assert one.discard(first)
    assert not one.discard(first)
    assert await one.get() is not first
    await one.close()
