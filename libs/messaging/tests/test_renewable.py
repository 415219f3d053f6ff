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


async def test_a_discarded_client_is_made_anew_and_only_once() -> None:
    cluster = Cluster(away=0)
    one = Renewable(cluster.client)
    first = await one.get()

    assert one.discard(first)
    assert not one.discard(first)
    assert await one.get() is not first
    await one.close()
