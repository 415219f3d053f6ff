"""A whole router in one process, without its loops: every call is one batch or one turn."""

from allweather.contracts import topics
from allweather.contracts.config import Configuration
from allweather.failpoints import OFF, Failpoints
from allweather.messaging import MemoryBroker, Message, Record, TopicPartition
from allweather.router.breaker import BreakerSettings
from allweather.router.handlers import DecideSteps, Steps
from allweather.router.health import HealthBoard
from allweather.router.outbox import Outbox
from allweather.router.release import ParkedRequests, Release
from allweather.router.space import ParkingSpace
from allweather.router.testing.records import T0
from allweather.runtime.clock import FixedClock
from allweather.runtime.payloads import MemoryPayloads

SECRET = b"no secret of anybody, and long enough"
PARTITIONS = 2


class World:
    """The router of one process after another, over tables and topics that outlive them."""

    def __init__(self, steps: Steps, parked: ParkedRequests, config: Configuration) -> None:
        self.config = config
        self.steps, self.parked = steps, parked
        self.clock = FixedClock(T0)
        self.payloads = MemoryPayloads()
        self.broker = MemoryBroker(dict.fromkeys(_topics(config), PARTITIONS))
        self.assignment = frozenset(TopicPartition(topics.RESULTS, n) for n in range(PARTITIONS))
        self.start()

    def start(self, failpoints: Failpoints = OFF) -> DecideSteps:
        """The router of a new process, which remembers nothing."""
        self.board = HealthBoard(self.config, BreakerSettings())
        self.space = ParkingSpace(self.config)
        outbox = Outbox(self.broker.partitions, SECRET)
        self.router = DecideSteps(
            self.config, self.steps, self.board, self.space, self.payloads, outbox, self.clock, failpoints
        )
        self.release = Release(
            self.parked, self.board, self.payloads, self.broker, self.clock, lambda: self.assignment, failpoints
        )
        return self.router

    async def record(self, message: Message) -> Record:
        """The message as a new record of its topic."""
        await self.broker.publish([message])
        return max((r for r in self.broker.records(message.topic) if r.key == message.key), key=lambda r: r.offset)

    async def handle(self, *messages: Message) -> list[Message]:
        """What the router publishes for one batch of new records."""
        return await self.redeliver(*[await self.record(message) for message in messages])

    async def redeliver(self, *records: Record) -> list[Message]:
        """What the router publishes for one batch of records."""
        return list((await self.router(records)).messages)

    def published(self, topic: str) -> list[Record]:
        """What the release loop has written to a topic."""
        return self.broker.records(topic)


def _topics(config: Configuration) -> list[str]:
    own = [topics.CLEARED, topics.RESULTS, topics.PARKED, topics.DOOR]
    return own + [topics.dispatch(v.id) for v in config.vendors] + [topics.replies(t.id) for t in config.tenants]
