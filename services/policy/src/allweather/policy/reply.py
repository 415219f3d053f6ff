"""Where the outcome of a request goes: to the HTTP door that waits, or to a topic that the tenant may name.

Three conventions are understood for topics: ours, Spring Kafka's and FastStream's, in this order.
"""

import base64
from typing import Final
from uuid import UUID

from allweather.contracts import headers, topics
from allweather.contracts.ids import DoorAddress
from allweather.contracts.slip import ReplyAddress
from allweather.dialects.invalid import Invalid, quoted
from allweather.policy.given import Given
from allweather.policy.invalid import Faults

MAX_ECHO: Final = 4096
"""Bytes of one correlation header: it travels with the request through every hop."""

_TOPIC_HEADERS: Final = (headers.REPLY_TOPIC, headers.SPRING_REPLY_TOPIC, headers.FASTSTREAM_REPLY_TO)
_MAX_PARTITION: Final = 1 << 31


def address(given: Given, tenant: str, request: UUID, secret: bytes, faults: Faults) -> ReplyAddress:
    """Where to reply. Whatever is wrong with what the record asks for, the tenant's default topic gets the answer."""
    echo = faults.guard(lambda: _echo(given), ())
    door = DoorAddress.verify(given.text(headers.DOOR) or "", request, secret)
    if door is not None:
        return ReplyAddress(topic=topics.DOOR, partition=door.partition, door=door.door, echo=echo)
    topic = faults.guard(lambda: _topic(given, tenant), None)
    return ReplyAddress(
        topic=topic or topics.replies(tenant),
        partition=faults.guard(lambda: _partition(given), None) if topic else None,
        echo=echo,
    )


def _topic(given: Given, tenant: str) -> str | None:
    for name in _TOPIC_HEADERS:
        value = given.raw(name)
        if not value:
            continue
        topic = value.decode(errors="replace")
        if not topics.may_reply_to(tenant, topic):
            default = topics.replies(tenant)
            allowed = f"{default} or {default.removesuffix('.v1')}.<name>.v1"
            raise Invalid("reply_topic_not_allowed", f"{quoted(topic)} is not a reply topic of yours: {allowed}.", name)
        return topic
    return None


def _partition(given: Given) -> int | None:
    spring = given.raw(headers.SPRING_REPLY_PARTITION)
    ours = given.raw(headers.REPLY_PARTITION)
    if ours is not None:
        return _decimal(ours)
    if spring is None:
        return None
    if len(spring) != 4 or spring[0] & 0x80:
        name = headers.SPRING_REPLY_PARTITION
        raise Invalid("invalid_header", f"{name} is a 4-byte big-endian partition number.", name)
    return int.from_bytes(spring, "big")


def _decimal(value: bytes) -> int:
    if value.isdigit() and len(value) <= 10 and int(value) < _MAX_PARTITION:
        return int(value)
    name = headers.REPLY_PARTITION
    raise Invalid("invalid_header", f"{name} is a partition number in decimal digits.", name)


def _echo(given: Given) -> tuple[tuple[str, str], ...]:
    """The correlation headers, opaque: whatever bytes they hold, the reply carries the same."""
    found = ((name, given.raw(name)) for name in headers.ECHOED)
    present = [(name, value) for name, value in found if value is not None]
    for name, value in present:
        if len(value) > MAX_ECHO:
            raise Invalid("invalid_header", f"{name} is longer than {MAX_ECHO} bytes.", name)
    return tuple((name, base64.b64encode(value).decode()) for name, value in present)
