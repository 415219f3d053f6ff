"""In which ways a tenant's application asks, by turns."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol
from uuid import UUID

from openai import AsyncOpenAI

from allweather.contracts import headers
from allweather.drills.clients import HttpClient, KafkaClient, SubmittingClient
from allweather.drills.journal import Journal
from allweather.drills.load import Send, both_doors
from allweather.drills.tickets import Ticket
from allweather.messaging import Publisher

Ways = Callable[[Publisher, AsyncOpenAI, str, Journal], Sequence[Send]]
"""The ways of a tenant, of whom these are: what publishes, what calls the door, its name and its journal."""

_LATER: Final = "7200"
"""A deadline in seconds that no outage of a trial reaches."""
_PUBLISHED: Final = {headers.PRIORITY: "interactive", headers.DEADLINE: _LATER}
_SUBMITTED: Final = {"x-allweather-priority": "interactive", "x-allweather-deadline": _LATER}
_CALLED: Final = {"x-allweather-deadline": _LATER}


class _Client(Protocol):
    async def send(self, key: str, body: dict[str, Any]) -> UUID: ...


def half_through_each_door(publisher: Publisher, sdk: AsyncOpenAI, tenant: str, journal: Journal) -> Sequence[Send]:
    """Interactive requests over HTTP, whose callers wait, and bulk ones through Kafka."""
    return both_doors(KafkaClient(publisher, tenant, journal), HttpClient(sdk, tenant, journal))


def either_class_through_either_door(
    publisher: Publisher, sdk: AsyncOpenAI, tenant: str, journal: Journal
) -> Sequence[Send]:
    """Of ten requests six are interactive (three are handed in, two published, one caller waits) and four are bulk."""
    bulk = _asking(KafkaClient(publisher, tenant, journal))
    published = _asking(KafkaClient(publisher, tenant, journal, _PUBLISHED))
    submitted = _asking(SubmittingClient(sdk, tenant, journal, _SUBMITTED))
    waiting = _asking(HttpClient(sdk, tenant, journal, _CALLED))
    return bulk, submitted, published, bulk, submitted, waiting, bulk, submitted, published, bulk


def _asking(client: _Client) -> Send:
    def ask(key: str, ticket: Ticket) -> Awaitable[object]:
        return client.send(key, ticket.body())

    return ask
