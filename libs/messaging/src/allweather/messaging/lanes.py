"""Public topics and internal ones never share a producer, nor a size limit."""

from functools import lru_cache
from typing import Final, Literal

from allweather.messaging.errors import MessageTooLarge
from allweather.messaging.types import Message

Lane = Literal["internal", "public"]

_PUBLIC = "ai.public."
_MIB = 1024 * 1024
LIMITS: Final[dict[Lane, int]] = {"internal": 4 * _MIB, "public": 2 * _MIB}
"""The largest record of a topic in bytes, as `infra/kafka/topics.yaml` configures it."""
DEAD_LETTER_ROOM: Final = 64 * 1024
"""What a dead letter may weigh more than its record: the headers that say why."""


@lru_cache(maxsize=4096)
def lane_of(topic: str) -> Lane:
    """`public` for topics that tenants read or write, where they can cause what they like."""
    return "public" if topic.startswith(_PUBLIC) else "internal"


@lru_cache(maxsize=4096)
def limit_of(topic: str) -> int:
    """The largest record that a topic takes: key, value, headers and their framing."""
    return LIMITS[lane_of(topic)] + (DEAD_LETTER_ROOM if topic.endswith(".dlq") else 0)


def size_of(message: Message) -> int:
    """At most so many bytes is a message to its topic: framing takes 100, and 10 a header; a character at most 4."""
    size = 100 + len(message.value or b"") + len(message.key or b"")
    for name, value in message.headers:
        size += 10 + 4 * len(name) + len(value or b"")
    return size


def check_size(message: Message) -> None:
    """Raise `MessageTooLarge` for a message that its topic would refuse."""
    size, limit = size_of(message), limit_of(message.topic)
    if size > limit:
        raise MessageTooLarge(message.topic, size, limit)
