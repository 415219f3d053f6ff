"""Reading partitions over Kafka without a group."""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence

from allweather.messaging.errors import BrokerAway
from allweather.messaging.kafka import raw
from allweather.messaging.kafka.client import ClientError, ConsumerClient, decompress
from allweather.messaging.types import Record, TopicPartition

_AT_ONCE = 2000


class KafkaReader:
    """A consumer that is told what to read, and keeps the places itself."""

    def __init__(self, consumer: ConsumerClient) -> None:
        self._consumer = consumer
        self._partitions: frozenset[TopicPartition] = frozenset()

    async def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        try:
            kept = {at: await self._consumer.position(at) for at in self._partitions & positions.keys()}
            # From here to the end of the assignment nothing is awaited: the client forgets every place in between.
            self._consumer.assign({**positions, **kept})
        except ClientError as error:
            raise BrokerAway(f"assigning {sorted(positions)}: {error!r}") from error
        self._partitions = frozenset(positions)

    async def poll(self, *, timeout: float, max_records: int) -> Sequence[Record]:
        try:
            return await self._consumer.poll(timeout, max_records)
        except UnicodeDecodeError:
            return await read_past(self._consumer, self._partitions, max_records)
        except ClientError as error:
            raise BrokerAway(f"reading {sorted(self._partitions)}: {error!r}") from error

    def rest(self, seconds: float) -> None:
        self._consumer.rest(seconds)

    async def close(self) -> None:
        await self._consumer.close()

    async def read_up_to(self, ends: Mapping[TopicPartition, int]) -> AsyncGenerator[Record]:
        """Everything before `ends`; a partition's last offsets may hold no records, so its place decides."""
        waiting = set(ends)
        while waiting:
            for record in await self.poll(timeout=1.0, max_records=_AT_ONCE):
                if record.offset < ends.get(record.position, 0):  # what was empty may have grown since
                    yield record
            waiting = {at for at in waiting if await self._consumer.position(at) < ends[at]}


async def read_past(consumer: ConsumerClient, partitions: Collection[TopicPartition], max_records: int) -> list[Record]:
    """What comes next in the partitions when there is a header name among it that the client cannot read."""
    records: list[Record] = []
    for at in partitions:
        start = await consumer.position(at)
        data = await consumer.fetch_raw(at, start)
        found = list(raw.records(at, data, start, decompress))[:max_records]
        if found:
            consumer.seek(at, found[-1].offset + 1)
        records.extend(found)
    return records
