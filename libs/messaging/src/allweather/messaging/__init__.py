"""Consume and publish Kafka records safely."""

from allweather.messaging.errors import (
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
from allweather.messaging.ports import Broker, Committed, GroupMember, GroupState, Publisher
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

__all__ = [
    "BatchHandler",
    "Broker",
    "Committed",
    "ConsumerStalled",
    "ConsumerStopped",
    "DeadLetterLimit",
    "Fenced",
    "GroupMember",
    "GroupState",
    "Headers",
    "MalformedInput",
    "Message",
    "MessageTooLarge",
    "MessagingError",
    "Middleware",
    "Outputs",
    "PermanentError",
    "PublishTimeout",
    "Publisher",
    "Record",
    "RecordHandler",
    "TopicPartition",
    "TransientError",
    "UnknownTopic",
]
