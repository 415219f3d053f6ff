"""The memory broker keeps the promises of every broker."""

from collections.abc import Awaitable, Callable

import pytest

from allweather.messaging import Broker, MemoryBroker
from allweather.messaging.suite import BrokerSuite


class TestMemoryBroker(BrokerSuite):
    @pytest.fixture
    async def broker(self) -> MemoryBroker:
        return MemoryBroker()

    @pytest.fixture
    async def create(self, broker: MemoryBroker) -> Callable[[str, int], Awaitable[None]]:
        async def create(topic: str, partitions: int) -> None:
            broker.create(topic, partitions)

        return create

    @pytest.mark.xfail(strict=True, reason="it has no sessions: a member that leaves has left")
    async def test_restart_of_a_static_member_disturbs_nobody(self, broker: Broker, wide: str, name: str) -> None:
        await super().test_restart_of_a_static_member_disturbs_nobody(broker, wide, name)
