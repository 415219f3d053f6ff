"""What a schedule has seen of the life cycle, so that many of them show what they have not."""

from collections import Counter
from collections.abc import Iterable

from simulator.callers import Shown, Visit
from simulator.front import Exchange
from simulator.tables import Tables
from simulator.topics import Topics

from allweather.contracts import headers
from allweather.contracts.records import Settled
from allweather.messaging import Record
from allweather.router.steps import OUTCOME_POSITION


def count(topics: Topics, tables: Tables, seen: Counter[str]) -> None:
    """Add every step, outcome and record to what was seen; records that were written twice by themselves."""
    for row in tables.steps.values():
        seen[f"step: {row.step.split('-')[0]}"] += 1
        if row.position == OUTCOME_POSITION:
            seen[f"outcome: {Settled.from_json(row.decision).outcome}"] += 1
    known = set[str]()
    for records in topics.records.values():
        for record in records:
            event = record.text(headers.CE_ID) or ""
            seen[f"record: {kind(record)}{' again' if event in known else ''}"] += 1
            known.add(event)


def count_told(asked: Iterable[tuple[Visit, Exchange]], seen: Counter[str]) -> None:
    """Add what every HTTP caller was told."""
    for visit, exchange in asked:
        if not exchange.whole:
            seen["http: broken off"] += 1
        elif exchange.status != 200:
            seen[f"http: {exchange.status}"] += 1
        elif visit.streams:
            seen[f"stream: {'complete' if Shown(exchange).complete else 'typed error'}"] += 1
        else:
            seen["http: answered"] += 1


def kind(record: Record) -> str:
    """What a record is, in a word."""
    return (record.text(headers.CE_TYPE) or "submitted").removeprefix("ai.request.")
