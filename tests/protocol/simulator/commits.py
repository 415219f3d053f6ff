"""P6, held at every commit: whatever lies below the committed offset, or is noted beside it, has been carried out."""

from collections import defaultdict
from collections.abc import Iterator
from uuid import UUID

from simulator.clients import POISON
from simulator.evidence import subject, told
from simulator.tables import Tables
from simulator.topics import Topics
from simulator.witness import Witness

from allweather.contracts import headers, ids, topics
from allweather.messaging import Record, TopicPartition
from allweather.messaging.offsets import read_note
from allweather.messaging.ports import Committed
from allweather.router.events import Cause
from allweather.router.steps import OUTCOME, OUTCOME_POSITION, VERDICT, Row


class Commits:
    """Told of every commit before it takes effect."""

    def __init__(self, records: Topics, tables: Tables, witness: Witness) -> None:
        self._topics, self._tables, self._witness = records, tables, witness
        self._finished: defaultdict[tuple[str, TopicPartition], set[int]] = defaultdict(set)
        self._events: set[str] = set()
        """`ce_id` of everything that is on a topic."""
        self._cleared: set[str] = set()
        """What the verdicts on their topic were caused by."""
        records.watchers.append(self._appended)

    def committing(self, group: str, at: TopicPartition, place: Committed) -> None:
        """`group` is about to store this place."""
        known = self._finished[group, at]
        passed = [*range(place.offset), *read_note(place)]
        for offset in passed:
            if offset not in known:
                known.add(offset)
                record = self._topics.records[at][offset]
                if not self._done(group, record, place):
                    self._witness.saw(
                        "P6", f"{group} commits past {at.topic}/{at.partition}/{offset}, which is not done"
                    )

    def _done(self, group: str, record: Record, place: Committed) -> bool:
        if group == "policy":
            return ids.position_key(record.topic, record.partition, record.offset) in self._cleared
        if group == "router":
            return self._decided(record)
        return self._attempted(record, place)

    def _decided(self, record: Record) -> bool:
        """Its step is taken and carried out; or it is another's; or it waits for the answer like others."""
        if record.value == POISON:
            return any(letter.value == POISON for letter in self._topics.of(topics.dead_letters(record.topic)))
        request, cause = subject(record), Cause(record.topic, record.partition, record.offset)
        rows = [row for row in self._rows(request) if row.cause == cause and row.decision]
        over = (request, OUTCOME_POSITION) in self._tables.steps
        if rows:
            return all(self._carried_out(row, over=over) for row in rows)
        if over and record.topic != topics.CLEARED:
            return True
        if record.topic == topics.CLEARED:
            conflict = ids.event_id(request, f"conflict/{ids.position_key(*cause)}")
            return cause in self._tables.waiters.get(request, ()) or conflict in self._events
        slip = told(record).slip
        return slip is not None and (request, slip.position + 1) in self._tables.steps

    def _carried_out(self, row: Row, *, over: bool) -> bool:
        """An outcome stops every other step, also one that was decided before it."""
        stopped = row.step == VERDICT or (over and row.step != OUTCOME)
        return stopped or ids.event_id(row.request_id, row.step) in self._events

    def _attempted(self, record: Record, place: Committed) -> bool:
        """Its result is published, or another record of the same attempt is still to be handled."""
        request, n = subject(record), told(record).step.n
        ends = f"attempted-{n}", f"lost-{n}", "dead-lettered"
        if {ids.event_id(request, end) for end in ends} & self._events:
            return True
        skipped = set(read_note(place))
        return any(
            twin.header(headers.CE_ID) == record.header(headers.CE_ID) and twin.offset not in skipped
            for twin in self._topics.records[record.position][place.offset :]
        )

    def _rows(self, request: UUID) -> Iterator[Row]:
        return (row for (of, _), row in self._tables.steps.items() if of == request)

    def _appended(self, record: Record, _sender: str) -> None:
        event = record.text(headers.CE_ID)
        if event is not None:
            self._events.add(event)
        if record.topic == topics.CLEARED:
            self._cleared.add(record.text(headers.CE_CAUSATION) or "")
