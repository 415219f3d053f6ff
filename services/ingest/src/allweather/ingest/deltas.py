"""Pieces of a streamed answer as the worker published them."""

import msgspec

from allweather.contracts import records
from allweather.ingest import replies
from allweather.messaging import Record


class Delta(records.Delta, frozen=True, kw_only=True):
    """A piece, and what its record says beside it."""

    told: tuple[tuple[str, str], ...] = ()
    """HTTP headers that say who answers, with the first delta of a call."""


def read(record: Record) -> Delta | None:
    """The delta in a record, None when it is unreadable: its stream then has a gap, which is dealt with as such."""
    try:
        delta = Delta.from_json(record.value or b"")
    except ValueError:
        return None
    if delta.sequence > 0:
        return delta
    return msgspec.structs.replace(delta, told=tuple(replies.shown(replies.said_in(record))))
