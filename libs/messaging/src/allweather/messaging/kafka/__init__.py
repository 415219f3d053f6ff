"""The real broker."""

from allweather.messaging.kafka.broker import KafkaBroker
from allweather.messaging.kafka.settings import Connection

__all__ = ["Connection", "KafkaBroker"]
