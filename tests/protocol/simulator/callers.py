"""Callers of the HTTP doors: they wait for their answer, some of them word by word, and ask again when in doubt."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final
from uuid import UUID

import msgspec
from simulator.front import Exchange, Front
from simulator.net import Net
from simulator.settings import KEY

PATH: Final = "/v1/chat/completions"
DONE: Final = b"data: [DONE]\n\n"
MOST_TRIES: Final = 8
REFUSALS: Final = frozenset(
    {"outcome_unknown", "unavailable", "pending", "parked_limit_reached", "idempotency_conflict"}
)
"""Codes of what a door says by itself: none of them is an outcome."""


@dataclass
class Visit:
    """One caller with one request, until it has an answer, gives up or leaves."""

    key: str
    request_id: UUID
    body: bytes
    hints: dict[str, str]
    streams: bool
    leaves_after: float | None
    exchanges: list[Exchange] = field(default_factory=list[Exchange])
    over: bool = False

    async def take_place(self, net: Net, front: Front, doors: Sequence[str]) -> None:
        """Ask, and ask again under the same key while nobody can say what became of the request."""
        told = {"authorization": f"Bearer {KEY}", "idempotency-key": self.key, **self.hints}
        for _ in range(MOST_TRIES):
            exchange = Exchange(PATH, told, self.body)
            if front.ask(net.chance.one_of(doors), exchange):
                self.exchanges.append(exchange)
                if self.leaves_after is not None:
                    net.later(self.leaves_after, exchange.hang_up)
                await exchange.end(net)
                if self.leaves_after is not None or (exchange.whole and exchange.status != 503):
                    break
            net.seen["asked again"] += 1
            await asyncio.sleep(net.chance.between(0.3, 5))
        self.over = True


@dataclass(frozen=True)
class Shown:
    """What a caller has seen of a streamed answer."""

    exchange: Exchange

    @cached_property
    def _events(self) -> Sequence[dict[str, Any]]:
        parts = self.exchange.received.split(b"\n\n")
        return [msgspec.json.decode(part[6:]) for part in parts if part.startswith(b"data: {")]

    @property
    def text(self) -> str:
        choices = (choice for event in self._events for choice in event.get("choices", ()))
        return "".join(choice["delta"].get("content") or "" for choice in choices)

    @property
    def complete(self) -> bool:
        """Whether it was told that this is all of the answer."""
        return DONE in self.exchange.received

    @property
    def error(self) -> dict[str, Any] | None:
        """The error that it was told at the end."""
        return self._events[-1].get("error") if self._events else None


def content(completion: bytes) -> str:
    """The text of a whole answer."""
    (choice,) = msgspec.json.decode(completion)["choices"]
    return choice["message"]["content"]


def code(exchange: Exchange) -> str | None:
    """The code of an error that is the whole response."""
    return msgspec.json.decode(exchange.received).get("error", {}).get("code")
