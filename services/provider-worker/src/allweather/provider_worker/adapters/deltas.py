"""Deltas to the topic where the caller waits."""

from collections.abc import Sequence

from allweather.contracts import headers, topics
from allweather.contracts.config import Deployment
from allweather.contracts.records import EventType
from allweather.messaging import Message, MessagingError, Publisher
from allweather.provider_worker.deltas import DeltasLost
from allweather.provider_worker.results import event_headers
from allweather.provider_worker.work import Work
from allweather.runtime.clock import Clock

PUBLISH_TIMEOUT_S = 5.0


class KafkaDeltas:
    """The deltas of one call: to the partition of the HTTP door that waits, or to the tenant's own topic.

    The first one says in its headers who answers: a door tells its caller before there is an outcome.
    """

    def __init__(self, publisher: Publisher, clock: Clock, work: Work, call_id: str, deployment: Deployment) -> None:
        self._publisher, self._clock, self._work, self._call_id = publisher, clock, work, call_id
        self._answering = (
            (headers.MODEL, deployment.model.encode()),
            (headers.DEPLOYMENT, deployment.id.encode()),
            (headers.PROCESSED_IN, deployment.processed_in.encode()),
        )
        slip = work.slip
        at_door = slip.reply.door is not None
        self._topic = topics.DELTAS if at_door else topics.deltas(slip.tenant)
        self._partition = slip.reply.partition if at_door else None

    async def send(self, deltas: Sequence[tuple[int, bytes]]) -> None:
        messages = [self._message(sequence, value) for sequence, value in deltas]
        try:
            await self._publisher.publish(messages, timeout=PUBLISH_TIMEOUT_S)
        except MessagingError as error:
            raise DeltasLost(f"{self._topic}: {error}") from error

    def _message(self, sequence: int, value: bytes) -> Message:
        step = f"delta-{self._call_id}-{sequence}"
        slip, cause = self._work.slip, self._work.record
        given = (
            *event_headers(slip, EventType.DELTA, step, self._clock.now_ms(), cause=cause),
            (headers.CALL_ID, self._call_id.encode()),
            (headers.DELTA_SEQUENCE, str(sequence).encode()),
            *(self._answering if sequence == 0 else ()),
        )
        return Message(self._topic, value, cause.key, given, self._partition)
