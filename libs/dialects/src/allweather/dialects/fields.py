"""What becomes of each field of a dialect's request, as a table: nothing is lost without a word."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one field."""

    what: str
    asks_nothing: tuple[Any, ...] = ()
    """Values that ask for what happens anyway."""


READ: Final = Fate("read into the canonical conversation")
HINT: Final = Fate("best effort by definition, or about the vendor's own books: left out of translations")
OURS: Final = Fate("asked of Allweather, which does it whoever answers")


def native(*asks_nothing: Any) -> Fate:
    """Without an equal elsewhere: such a request goes to vendors that speak the dialect."""
    return Fate("only vendors that speak the dialect", asks_nothing)


def others(body: bytes, table: Mapping[str, Fate]) -> tuple[str, ...]:
    """The fields of a body that only a vendor of the dialect can understand. Null is as good as not given."""
    unread = [(name, value) for name, value in _fields.decode(body).items() if table.get(name) is not READ]
    return tuple(name for name, value in unread if _is_other(value, table.get(name, _UNKNOWN))) if unread else ()


def _is_other(value: msgspec.Raw, fate: Fate) -> bool:
    if fate is HINT or fate is OURS:
        return False
    decoded = msgspec.json.decode(value)
    return decoded is not None and decoded not in fate.asks_nothing


_UNKNOWN: Final = native()
_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
