"""The offline checker of the promises P1 to P6: evidence in, violations out. Pure, and it trusts nobody's counters.

Each function proves one promise and returns a sentence for every breach, naming the request.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from allweather.drills.evidence import Dispatched, Evidence, Outcome, Position

SETTLE_GRACE_MS: Final = 5_000
CALLS_PER_EPISODE: Final = 6


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that this run broke."""

    promise: str
    request_id: UUID | None
    what: str

    def __str__(self) -> str:
        return f"{self.promise} {self.request_id or '-'}: {self.what}"


def check(evidence: Evidence) -> list[Violation]:
    """Every breach of P1 to P6 that the evidence shows; empty when all were kept."""
    return [Violation(promise, request, what) for promise, proof in PROOFS.items() for request, what in proof(evidence)]


Breaches = Iterator[tuple[UUID | None, str]]


def every_accepted_request_has_one_outcome_in_time(e: Evidence) -> Breaches:
    """P1: exactly one outcome by the deadline + 5 s, and a reply that carries it."""
    outcomes = _by_request(e.outcomes)
    replied = {r.request_id for r in e.replies if not r.conflict}
    deadlines = {c.request_id: c.deadline_ms for c in e.cleared}
    for request in _accepted(e):
        if request not in outcomes:
            yield request, "was accepted and has no outcome"
            continue
        if request not in replied:
            yield request, "has an outcome and no reply was sent"
        late = outcomes[request].settled_at_ms - deadlines.get(request, 0) - SETTLE_GRACE_MS - e.away_ms
        if request in deadlines and late > 0:
            yield request, f"was settled {late} ms too late"


def the_outcome_is_decided_once(e: Evidence) -> Breaches:
    """P2: one row, every reply byte-identical with the same id, and what callers received is what was decided."""
    for request, count in Counter(o.request_id for o in e.outcomes).items():
        if count > 1:
            yield request, f"has {count} outcomes"
    outcomes = _by_request(e.outcomes)
    forms: dict[UUID, set[tuple[str, str]]] = defaultdict(set)
    for reply in e.replies:
        if not reply.conflict:
            forms[reply.request_id].add((reply.event_id, reply.digest))
    for request, seen in forms.items():
        if len(seen) > 1:
            yield request, f"was answered in {len(seen)} different ways"
        elif request not in outcomes:
            yield request, "was answered without an outcome row"
        elif next(iter(seen))[1] != outcomes[request].reply_digest:
            yield request, "was answered otherwise than its outcome row says"
    yield from _received_as_decided(e, outcomes)


def _received_as_decided(e: Evidence, outcomes: Mapping[UUID, Outcome]) -> Breaches:
    for received in e.received:
        decided = outcomes.get(received.request_id)
        if received.text is None or not received.complete:
            continue
        if decided is None:
            yield received.request_id, "its HTTP caller received an answer that was never decided"
        elif decided.text is not None and decided.text != received.text:
            yield received.request_id, "its HTTP caller received another answer than was decided"


def a_refused_request_has_no_outcome(e: Evidence) -> Breaches:
    """P3: nothing happens to what was refused at the door, and a key is one request whatever is sent under it."""
    accepted = _accepted(e)
    settled = {o.request_id for o in e.outcomes}
    for submission in e.submissions:
        if submission.state == "refused" and submission.request_id in settled - accepted:
            yield submission.request_id, "was refused at the door and has an outcome"
    bodies: dict[UUID, set[str]] = defaultdict(set)
    for submission in e.submissions:
        if submission.state == "accepted":
            bodies[submission.request_id].add(submission.body_digest)
    for request, digests in bodies.items():
        if len(digests) > 1:
            yield request, f"was accepted with {len(digests)} different bodies"


def every_call_was_dispatched_first(e: Evidence) -> Breaches:
    """P4: a durable dispatch record precedes each call, and the calls of an episode are bounded."""
    dispatched: dict[UUID | None, Dispatched] = {
        d.attempt_id: d for d in sorted(e.dispatched, key=lambda d: -d.timestamp_ms)
    }
    for call in e.calls:
        record = dispatched.get(call.attempt_id)
        if record is None:
            yield None, f"{call.vendor} was called for attempt {call.attempt_id}, which was never dispatched"
        elif record.timestamp_ms > call.at_ms + 1:
            yield record.request_id, f"{call.vendor} was called before its dispatch record was written"
    found = [dispatched[c.attempt_id] for c in e.calls if c.attempt_id in dispatched]
    calls = Counter((d.request_id, d.episode) for d in found)
    for (request, episode), count in calls.items():
        if count > CALLS_PER_EPISODE + e.worker_crashes:
            yield request, f"caused {count} calls in episode {episode}, with {e.worker_crashes} crashes"
    yield from _decided_differently(e)
    yield from _dispatched_after_the_outcome(e)
    extra = sum(count - 1 for count in Counter(c.attempt_id for c in e.calls).values())
    if extra > 64 * e.worker_crashes:
        yield None, f"{extra} calls were repeated, more than {e.worker_crashes} crashes with 64 calls in flight explain"


def _decided_differently(e: Evidence) -> Breaches:
    forms: dict[tuple[UUID, int], set[str]] = defaultdict(set)
    for dispatch in e.dispatched:
        forms[dispatch.request_id, dispatch.n].add(dispatch.digest)
    for (request, n), seen in forms.items():
        if len(seen) > 1:
            yield request, f"attempt {n} was dispatched in {len(seen)} different ways"


def _dispatched_after_the_outcome(e: Evidence) -> Breaches:
    answered: dict[UUID, int] = {}
    for reply in e.replies:
        if not reply.conflict:
            answered[reply.request_id] = min(reply.timestamp_ms, answered.get(reply.request_id, reply.timestamp_ms))
    first: dict[UUID, Dispatched] = {}
    for dispatch in sorted(e.dispatched, key=lambda d: d.timestamp_ms):
        first.setdefault(dispatch.attempt_id, dispatch)
    for dispatch in first.values():
        late = dispatch.timestamp_ms - answered.get(dispatch.request_id, dispatch.timestamp_ms)
        if late > 0:
            yield dispatch.request_id, f"attempt {dispatch.n} was dispatched {late} ms after the reply was sent"


def no_call_against_the_verdict(e: Evidence) -> Breaches:
    """P5: no call that the recorded verdict forbids, outside the permitted regions, or after the deadline."""
    verdicts = {c.request_id: c for c in sorted(e.cleared, key=lambda c: c.at, reverse=True)}
    dispatched = {d.attempt_id: d for d in e.dispatched}
    for call in e.calls:
        record = dispatched.get(call.attempt_id) if call.attempt_id else None
        if record is None:
            continue  # a breach of P4, reported there
        verdict = verdicts.get(record.request_id)
        if verdict is None or not verdict.permit:
            yield record.request_id, f"{record.vendor} was called without a permitting verdict"
            continue
        if verdict.regions is not None and record.processed_in not in verdict.regions:
            yield record.request_id, f"was processed in {record.processed_in}, permitted are {sorted(verdict.regions)}"
        if verdict.vendors is not None and record.vendor not in verdict.vendors:
            yield record.request_id, f"{record.vendor} was called, permitted are {sorted(verdict.vendors)}"
        if call.at_ms > verdict.deadline_ms + 1_000:
            yield (
                record.request_id,
                f"{record.vendor} was called {call.at_ms - verdict.deadline_ms} ms after the deadline",
            )


def a_commit_never_passes_unfinished_work(e: Evidence) -> Breaches:
    """P6: whatever lies below a committed offset has been carried out: its consequences are on their topics."""
    done = _Done.of(e)
    for position, request in e.submitted.items():
        if _passed(e, "policy", position) and request not in done.cleared:
            yield request, f"policy committed past {position} without a verdict record"
    for verdict in e.cleared:
        if _passed(e, "router", verdict.at) and not done.decided(verdict.request_id, 0):
            yield verdict.request_id, f"router committed past {verdict.at} without a decision"
    for result in e.resulted:
        if _passed(e, "router", result.at) and not done.decided(result.request_id, result.position + 1):
            yield result.request_id, f"router committed past {result.at} without a decision"
    for dispatch in e.dispatched:
        if _passed(e, f"provider-worker.{dispatch.vendor}", dispatch.at) and not done.attempted(dispatch):
            yield dispatch.request_id, f"worker committed past {dispatch.at} without a result"
    yield from _decided_but_not_carried_out(e, done)


def _decided_but_not_carried_out(e: Evidence, done: "_Done") -> Breaches:
    for step in e.steps:
        if not _passed(e, "router", step.cause) or step.request_id in done.settled:
            continue  # an outcome from elsewhere makes the step needless
        if step.label.startswith("attempt-") and (step.request_id, step.label) not in done.dispatched:
            yield step.request_id, f"{step.label} was decided by {step.cause}, committed, and never dispatched"
        if step.label.startswith("parked-") and step.request_id not in e.parked:
            yield step.request_id, f"{step.label} was decided by {step.cause}, committed, and never written"


@dataclass(frozen=True, slots=True)
class _Done:
    cleared: frozenset[UUID]
    taken: frozenset[tuple[UUID, int]]
    settled: frozenset[UUID]
    results: frozenset[UUID | None]
    dispatched: frozenset[tuple[UUID, str]]

    @classmethod
    def of(cls, e: Evidence) -> "_Done":
        return cls(
            cleared=frozenset(c.request_id for c in e.cleared),
            taken=frozenset((s.request_id, s.position) for s in e.steps),
            settled=frozenset(o.request_id for o in e.outcomes),
            results=frozenset(r.attempt_id for r in e.resulted),
            dispatched=frozenset((d.request_id, f"attempt-{d.n}") for d in e.dispatched),
        )

    def decided(self, request: UUID, position: int) -> bool:
        return (request, position) in self.taken or request in self.settled

    def attempted(self, dispatch: Dispatched) -> bool:
        return dispatch.attempt_id in self.results or dispatch.request_id in self.settled


def _passed(e: Evidence, group: str, at: Position) -> bool:
    return at.offset < e.committed.get((group, at.topic, at.partition), 0)


def _accepted(e: Evidence) -> set[UUID]:
    """Acknowledged to a client, or acknowledged by the broker on a request topic, which is the same promise."""
    acknowledged = {s.request_id for s in e.submissions if s.state == "accepted"}
    return acknowledged | set(e.submitted.values())


def _by_request(outcomes: Iterable[Outcome]) -> dict[UUID, Outcome]:
    return {o.request_id: o for o in outcomes}


PROOFS: Final[Mapping[str, Callable[[Evidence], Breaches]]] = {
    "P1": every_accepted_request_has_one_outcome_in_time,
    "P2": the_outcome_is_decided_once,
    "P3": a_refused_request_has_no_outcome,
    "P4": every_call_was_dispatched_first,
    "P5": no_call_against_the_verdict,
    "P6": a_commit_never_passes_unfinished_work,
}


def unfinished(e: Evidence) -> set[UUID]:
    """Accepted requests that have no outcome (yet)."""
    return _accepted(e) - {o.request_id for o in e.outcomes}
