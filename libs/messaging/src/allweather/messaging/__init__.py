"""Consume and publish Kafka records safely."""

from allweather.messaging.consumers.concurrent import ConcurrentConsumer
from allweather.messaging.consumers.ordered import OrderedConsumer
from allweather.messaging.consumers.tail import TailConsumer
from allweather.messaging.consumers.work import Linger, Pace, Points
from allweather.messaging.errors import (
    BrokerAway,
    ConsumerStalled,
    ConsumerStopped,
    DeadLetterLimit,
    Fenced,
    MalformedInput,
    MessageTooLarge,
    MessagingError,
    PermanentError,
    PublishTimeout,
    TransientError,
    UnknownTopic,
)
from allweather.messaging.kafka.broker import KafkaBroker, open_broker
from allweather.messaging.kafka.settings import Connection
from allweather.messaging.memory.broker import MemoryBroker
from allweather.messaging.metrics import MetricName, Metrics, NoMetrics
from allweather.messaging.ports import Broker, Committed, GroupMember, GroupState, Publisher
from allweather.messaging.progress import note_progress
from allweather.messaging.types import (
    BatchHandler,
    Headers,
    Message,
    Middleware,
    Outputs,
    Record,
    RecordHandler,
    TopicPartition,
)
from allweather.messaging.window import stepping_aside

__all__ = [
    "BatchHandler",
    "Broker",
    "BrokerAway",
    "Committed",
    "ConcurrentConsumer",
    "Connection",
    "ConsumerStalled",
    "ConsumerStopped",
    "DeadLetterLimit",
    "Fenced",
    "GroupMember",
    "GroupState",
    "Headers",
    "KafkaBroker",
    "Linger",
    "MalformedInput",
    "MemoryBroker",
    "Message",
    "MessageTooLarge",
    "MessagingError",
    "MetricName",
    "Metrics",
    "Middleware",
    "NoMetrics",
    "OrderedConsumer",
    "Outputs",
    "Pace",
    "PermanentError",
    "Points",
    "PublishTimeout",
    "Publisher",
    "Record",
    "RecordHandler",
    "TailConsumer",
    "TopicPartition",
    "TransientError",
    "UnknownTopic",
    "note_progress",
    "open_broker",
    "stepping_aside",
]
