"""The memory broker keeps the promises of every broker."""

from collections.abc import Awaitable, Callable

import pytest

from allweather.messaging import MemoryBroker
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

    test_restart_of_a_static_member_disturbs_nobody = pytest.mark.xfail(
        strict=True, reason="it has no sessions, so a member that leaves has left"
    )(BrokerSuite.test_restart_of_a_static_member_disturbs_nobody)
