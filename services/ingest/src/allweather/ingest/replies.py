"""Outcomes as they reach the door: from a reply record, or from the router's view."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from allweather.contracts import headers
from allweather.contracts.failures import OutcomeKind
from allweather.contracts.records import Settled
from allweather.messaging import Record

_SHOWN: Final = {
    headers.OUTCOME: "x-allweather-outcome",
    headers.MODEL: "x-allweather-model",
    headers.DEPLOYMENT: "x-allweather-deployment",
    headers.PROCESSED_IN: "x-allweather-region",
    headers.ATTEMPTS: "x-allweather-attempts",
    headers.COST: "x-allweather-cost-usd",
}
"""Reply header -> HTTP header."""


class Reply(msgspec.Struct, frozen=True):
    """The outcome of a request: its exact bytes, and what is said beside them."""

    status: int
    body: bytes
    said: Mapping[str, str]
    """Reply headers by name, as `contracts.headers` has them."""

    @property
    def outcome(self) -> str:
        return self.said.get(headers.OUTCOME, "")

    @property
    def call_id(self) -> str | None:
        """The vendor call whose content this is."""
        return self.said.get(headers.CALL_ID)

    @property
    def is_answer(self) -> bool:
        """Whether the body is a model's answer, a refusal by it included."""
        return self.status < 400

    @property
    def http_headers(self) -> list[tuple[str, str]]:
        """What an HTTP caller is told beside the body. Only a full parking lot is worth an automatic retry."""
        told = shown(self.said)
        if self.outcome == OutcomeKind.OVER_LIMIT:
            return [*told, ("retry-after", "10")]
        return told if self.is_answer else [*told, ("x-should-retry", "false")]


def shown(said: Mapping[str, str]) -> list[tuple[str, str]]:
    """The HTTP headers of what record headers say."""
    return [(shown, said[name]) for name, shown in _SHOWN.items() if said.get(name)]


def said_in(record: Record) -> dict[str, str]:
    """The headers of a record as text."""
    return {name: value.decode("latin-1") for name, value in record.headers if value is not None}


def of_record(record: Record) -> Reply | None:
    """The reply in a record of the door topic, None when it has no readable status."""
    said = said_in(record)
    status = said.get(headers.STATUS, "")
    if not (status.isascii() and status.isdigit() and 200 <= int(status) <= 599):
        return None
    return Reply(int(status), record.value or b"", said)


def of_row(settled: str, reply: bytes) -> Reply:
    """The reply in a row of the router's view."""
    stored = Settled.from_json(settled)
    said: dict[str, Any] = {
        headers.OUTCOME: stored.outcome.value,
        headers.MODEL: stored.model,
        headers.DEPLOYMENT: stored.deployment,
        headers.PROCESSED_IN: stored.processed_in,
        headers.ATTEMPTS: stored.attempts,
        headers.COST: stored.cost_usd,
        headers.CALL_ID: stored.call_id,
    }
    return Reply(stored.status, reply, {name: str(value) for name, value in said.items() if value is not None})
