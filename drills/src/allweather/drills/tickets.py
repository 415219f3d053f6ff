"""The requests of the story: a customer-care desk that has its tickets triaged by a model, on a peak afternoon."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

INSTRUCTION = (
    "You triage tickets of Brava, a maker of kitchen appliances. Answer with one JSON object: category (delivery, "
    "repair, refund, billing, account, privacy, safety, question, praise), urgency (low, normal, high, critical), "
    "language (ISO 639-1) and summary (one English sentence without personal data)."
)


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a customer wrote."""

    id: str
    language: str
    text: str
    personal: bool

    def body(self, *, stream: bool = False) -> dict[str, Any]:
        """The chat request that has this ticket triaged; `triage` is a route, not a vendor's model."""
        messages = [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": self.text}]
        return {"model": "triage", "messages": messages, "max_tokens": 300} | ({"stream": True} if stream else {})


@cache
def all_tickets() -> tuple[Ticket, ...]:
    """The hundred tickets of the afternoon."""
    text = files("allweather.drills").joinpath("data/tickets.yaml").read_text(encoding="utf-8")
    return tuple(Ticket(t["id"], t["lang"], t["text"], t.get("personal", False)) for t in yaml.safe_load(text))
