"""Put a record aside that can never be handled, and only that record."""

import asyncio
import logging
import struct
import traceback
from collections.abc import Callable, Sequence

from allweather.contracts import topics
from allweather.messaging.delivery import REASON
from allweather.messaging.errors import (
    ConsumerStopped,
    DeadLetterLimit,
    MalformedInput,
    MessagingError,
    PermanentError,
    TransientError,
)
from allweather.messaging.lanes import lane_of
from allweather.messaging.metrics import Metrics, NoMetrics
from allweather.messaging.middleware.dead_letter_limit import RecentDeadLetters
from allweather.messaging.types import AfterAck, BatchHandler, Headers, Message, Middleware, Outputs, Record

log = logging.getLogger(__name__)

OutcomeFor = Callable[[Record, str], Sequence[Message]]

_FRAMES = 8
_PAUSE = 0.05


def no_outcome(record: Record, reason: str) -> Sequence[Message]:  # noqa: ARG001 - the shape of the hook
    """For topics whose records nobody waits for."""
    return ()


def dead_letter(
    *,
    group: str,
    outcome_for: OutcomeFor = no_outcome,
    deliveries: int = 5,
    recent: RecentDeadLetters | None = None,
    metrics: Metrics | None = None,
) -> Middleware:
    """Isolate the records of a failed batch, and replace each that can never succeed by its dead letter.

    `PermanentError` is final at once; any other exception is a bug, and final after so many `deliveries`. The good
    records of the batch are handled a second time, one by one: handlers are idempotent. `outcome_for` answers a
    request whose id can be read. Raises `DeadLetterLimit` instead when too many of the last internal records fail.
    """

    def wrap(handler: BatchHandler) -> BatchHandler:
        return _Isolation(
            handler, group, outcome_for, deliveries, recent or RecentDeadLetters(), metrics or NoMetrics()
        ).handle

    return wrap


class _Isolation:
    def __init__(
        self,
        handler: BatchHandler,
        group: str,
        outcome_for: OutcomeFor,
        deliveries: int,
        recent: RecentDeadLetters,
        metrics: Metrics,
    ) -> None:
        self._handler, self._group, self._outcome_for = handler, group, outcome_for
        self._deliveries, self._recent, self._metrics = deliveries, recent, metrics

    async def handle(self, records: Sequence[Record]) -> Outputs:
        try:
            outputs = await self._handler(records)
        except (TransientError, ConsumerStopped):
            raise
        except PermanentError as error:
            return self._put_aside(records[0], error) if len(records) == 1 else await self._one_by_one(records)
        except Exception:  # noqa: BLE001 - a bug; which record it belongs to is found out next
            return await self._one_by_one(records)
        self._recent.passed(sum(map(_counts, records)))
        return outputs

    async def _one_by_one(self, records: Sequence[Record]) -> Outputs:
        return joined([await self._alone(record) for record in records])

    async def _alone(self, record: Record) -> Outputs:
        delivery = 1
        while True:
            try:
                outputs = await self._handler([record])
            except (TransientError, ConsumerStopped):
                raise
            except PermanentError as error:
                return self._put_aside(record, error)
            except Exception as bug:
                log.exception("group %s: delivery %d of %s failed", self._group, delivery, where(record))
                if delivery == self._deliveries:
                    return self._put_aside(record, bug)
                delivery += 1
                await asyncio.sleep(_PAUSE)
            else:
                self._recent.passed(_counts(record))
                return outputs

    def _put_aside(self, record: Record, error: Exception) -> Outputs:
        reason = error.reason if isinstance(error, PermanentError) else f"bug: {type(error).__name__}"
        log.error("group %s: dead letter: %s: %s", self._group, where(record), reason)
        if _counts(record) and not isinstance(error, MalformedInput) and self._recent.failed():
            raise DeadLetterLimit(
                f"group {self._group}: {self._recent}; the last one: {where(record)}: {reason}"
            ) from error
        self._metrics.count("messaging.dead_letters", topic=record.topic)
        return Outputs((letter(record, error, reason, group=self._group), *self._outcome_for(record, reason)))


def letter(record: Record, error: Exception, reason: str, *, group: str) -> Message:
    """The record verbatim, and beside it where it was and why it failed; nothing of it is quoted."""
    return Message(
        topics.dead_letters(record.topic),
        record.value,
        record.key,
        (*record.headers, *_origin(record, group), *_cause(error), (REASON, reason.encode())),
    )


def joined(outputs: Sequence[Outputs]) -> Outputs:
    """All messages, and all `after_ack`s one after another."""
    calls = [each.after_ack for each in outputs if each.after_ack is not None]
    return Outputs([message for each in outputs for message in each.messages], _in_turn(calls) if calls else None)


def where(record: Record) -> str:
    return f"{record.topic}[{record.partition}]@{record.offset}"


def _in_turn(calls: Sequence[AfterAck]) -> AfterAck:
    async def run() -> None:
        for call in calls:
            await call()

    return run


def _counts(record: Record) -> bool:
    return lane_of(record.topic) == "internal"


def _origin(record: Record, group: str) -> Headers:
    """As Spring Kafka writes them, so that its tools and users' habits fit: numbers are big-endian."""
    return (
        ("kafka_dlt-original-topic", record.topic.encode()),
        ("kafka_dlt-original-partition", struct.pack(">i", record.partition)),
        ("kafka_dlt-original-offset", struct.pack(">q", record.offset)),
        ("kafka_dlt-original-timestamp", struct.pack(">q", record.timestamp_ms)),
        ("kafka_dlt-original-timestamp-type", b"CreateTime"),
        ("kafka_dlt-original-consumer-group", group.encode()),
    )


def _cause(error: Exception) -> Headers:
    kind = type(error)
    # Only our own errors promise to quote nothing of the record; a stranger's text may be the payload itself.
    message = str(error) if isinstance(error, MessagingError) else ""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    stack = "\n".join(f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames)
    return (
        ("kafka_dlt-exception-fqcn", f"{kind.__module__}.{kind.__qualname__}".encode()),
        ("kafka_dlt-exception-message", message.encode()),
        ("kafka_dlt-exception-stacktrace", stack.encode()),
    )
