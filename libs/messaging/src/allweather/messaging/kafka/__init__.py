"""The real broker."""

from allweather.messaging.kafka.broker import KafkaBroker, open_broker
from allweather.messaging.kafka.settings import Connection

__all__ = ["Connection", "KafkaBroker", "open_broker"]
