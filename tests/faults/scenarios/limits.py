"""Records at the edge of what a topic takes."""

import asyncio
from uuid import UUID

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError
from lab.lab import Lab
from lab.scenario import Scenario

from allweather.contracts import headers, ids, topics
from allweather.contracts.model import digest
from allweather.drills.journal import now_ms
from allweather.drills.stage import TENANT
from allweather.drills.tickets import all_tickets
from allweather.messaging.lanes import LIMITS

_GOOD = 1_000
_FRAMING = 512
"""More than what lies around a value in a batch of one record."""


async def one_byte_too_many(lab: Lab) -> None:
    """An application's own producer finds the edge: one byte more is refused with a reason, and spoils nothing."""
    producer = AIOKafkaProducer(
        bootstrap_servers=lab.stage.system.end_points.kafka, max_request_size=2 * LIMITS["public"], acks="all"
    )
    async with producer:
        accepted, largest = await _edge(lab, producer)
        lab.figures.note("largest_value_bytes", largest)
        refused = not await _sent(lab, producer, largest + 1, f"more-{largest + 1}")  # as long a key as above
        lab.figures.require("one byte more is refused by the broker", kept=refused)
    good = [lab.stage.kafka.send(f"after-{n}", all_tickets()[n % 100].body()) for n in range(_GOOD)]
    sent = [*accepted, *await asyncio.gather(*good)]
    left = await lab.until_settled(sent, 60)
    lab.figures.note("good_ones_after_it", len(good))
    lab.figures.at_most("unsettled", len(left), 0)
    lab.figures.within("takeover_s", await lab.takeover(now_ms()), 20.0)


async def _edge(lab: Lab, producer: AIOKafkaProducer) -> tuple[list[UUID], int]:
    """The largest value that the topic takes, by halving; with the requests that were accepted on the way."""
    low, high = LIMITS["public"] - _FRAMING, LIMITS["public"]
    accepted: list[UUID] = []
    while high - low > 1:
        middle = (low + high) // 2
        if request := await _sent(lab, producer, middle, f"edge-{middle}"):
            accepted.append(request)
            low = middle
        else:
            high = middle
    return accepted, low


async def _sent(lab: Lab, producer: AIOKafkaProducer, size: int, key: str) -> UUID | None:
    """The request, or None when the broker found its record too large."""
    value = _value(size)
    request = ids.request_id(TENANT, key)
    lab.stage.journal.sending(request, TENANT, "kafka", digest(value))
    try:
        await producer.send_and_wait(topics.requests(TENANT), value, headers=[(headers.CE_ID, key.encode())])  # pyright: ignore[reportUnknownMemberType] -- the client carries no types
    except MessageSizeTooLargeError:
        lab.stage.journal.told(request, "refused")
        return None
    lab.stage.journal.told(request, "accepted")
    return request


def _value(size: int) -> bytes:
    """A chat request of exactly so many bytes."""
    text = "The weather is fine. " * (size // 21)
    bare = len(msgspec.json.encode(_body("")))
    return msgspec.json.encode(_body(text[: size - bare].ljust(size - bare)))


def _body(text: str) -> dict[str, object]:
    return {"model": "triage", "messages": [{"role": "user", "content": text}], "max_tokens": 16}


SCENARIOS = (Scenario("record-too-large", "a record one byte over the limit, then 1,000 good ones", one_byte_too_many),)
