"""How far a request is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from allweather.contracts import headers
from allweather.ingest.replies import Reply

State = Literal["pending", "parked", "settled", "cancelling"]


@dataclass(frozen=True, slots=True)
class Status:
    """The state of a request, with its outcome once it is settled."""

    state: State
    reply: Reply | None = None
    dispatched: bool = False
    """Whether a vendor is being asked at this moment."""

    @property
    def details(self) -> dict[str, Any]:
        """What is said of an outcome beside the response itself."""
        said: Mapping[str, str] = self.reply.said if self.reply else {}
        shown: dict[str, Any] = {
            "model": said.get(headers.MODEL),
            "deployment": said.get(headers.DEPLOYMENT),
            "region": said.get(headers.PROCESSED_IN),
            "attempts": int(said.get(headers.ATTEMPTS, "0")),
            "cost_usd": float(said[headers.COST]) if headers.COST in said else None,
        }
        return {name: value for name, value in shown.items() if value is not None}
