"""The promises P1 to P5 and the rules R1 to R4, held against what a schedule left behind. P6 is held at each commit."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Final
from uuid import UUID

from simulator import at_doors
from simulator.clients import POISON
from simulator.evidence import Evidence, answers, subject, told
from simulator.vendors import Call
from simulator.witness import Violation

from allweather.contracts import headers, ids, topics
from allweather.contracts.records import EventType
from allweather.contracts.slip import Priority, Slip
from allweather.provider_worker.adapters.claims import LEASE_MS
from allweather.provider_worker.admission import MAX_QUEUE_AGE_MS
from allweather.router.routing import ATTEMPTS_A_GROUP, ATTEMPTS_AN_EPISODE
from allweather.router.steps import OUTCOME, OUTCOME_POSITION

SETTLE_GRACE_MS: Final = 60_000
"""After the last fault: a session (15 s) and a lease (15 s) lapse one after the other, a fleet is missed (10 s), and
what waited is let go."""

PROMPT_MS: Final = 5_000
"""After the deadline, when nothing is the matter."""

Breaches = Iterator[str]
ATTEMPTS: Final = ATTEMPTS_AN_EPISODE, ATTEMPTS_A_GROUP
"""As they are when the simulator is loaded: a test that takes the limits away does not take them away here."""


def every_submission_is_answered(e: Evidence) -> Breaches:
    """P1: each accepted request has one outcome, in time, and each submission of it a reply at its own address."""
    for request in sorted(e.topics.requested | {s.request_id for s in e.submissions}):
        outcome, verdict = e.outcomes.get(request), e.verdicts.get(request)
        if outcome is None or verdict is None:
            yield f"{request} was accepted and has no outcome"
        elif outcome.at_ms > (verdict.deadline_ms + PROMPT_MS if e.steady else _latest_ms(verdict, e)):
            yield f"{request} was settled {outcome.at_ms - verdict.deadline_ms} ms after its deadline"
    for s in e.submissions:
        if s.request_id in e.outcomes and not answers(s, e.replies.get(s.request_id, ())):
            yield f"{s.request_id} has an outcome, and {s.correlation.decode()} was not told"


def _latest_ms(verdict: Slip, e: Evidence) -> int:
    return max(verdict.deadline_ms, e.calm_ms) + SETTLE_GRACE_MS


def the_outcome_is_decided_once(e: Evidence) -> Breaches:
    """P2: every reply is the row's, byte for byte, under the same id."""
    for request, replies in e.replies.items():
        outcome = e.outcomes.get(request)
        event = ids.event_id(request, OUTCOME)
        for reply in replies:
            if reply.text(headers.CE_TYPE) == EventType.CONFLICTED:
                continue
            if outcome is None:
                yield f"{request} was answered and has no outcome"
            elif reply.value != outcome.reply or reply.text(headers.CE_ID) != event:
                yield f"{request} was answered otherwise than its outcome says"


def a_key_is_one_request(e: Evidence) -> Breaches:
    """P3: nothing has an outcome that nobody submitted; another body under the same key is told so, and only that."""
    known = {s.request_id for s in e.submissions} | {visit.request_id for visit in e.visits}
    for request in e.outcomes.keys() - known:
        yield f"{request} has an outcome, and nobody submitted it"
    for s in e.submissions:
        verdict = e.verdicts.get(s.request_id)
        if verdict is None:
            continue
        conflicts = verdict.body_digest not in ("", s.body_digest)
        for reply in answers(s, e.replies.get(s.request_id, ())):
            if (reply.text(headers.CE_TYPE) == EventType.CONFLICTED) != conflicts:
                yield f"{s.request_id}: {s.correlation.decode()} {'was not' if conflicts else 'was'} told of a conflict"


def no_step_forks(e: Evidence) -> Breaches:
    """R1: whatever is dispatched or parked is what the row of its position says, each time in the same words."""
    forms: defaultdict[tuple[UUID, bytes | None], set[bytes | None]] = defaultdict(set)
    for record in [*e.dispatches(), *e.topics.of(topics.PARKED)]:
        message = told(record)
        assert message.slip is not None
        request, position = message.slip.request_id, message.slip.position
        row = e.tables.steps.get((request, position))
        kind = "parked" if record.topic == topics.PARKED else "attempt"
        if row is None or row.step != f"{kind}-{message.step.n}" or row.decision != bytes(message.data):
            yield f"{request}: {kind}-{message.step.n} at position {position} is not what its row says"
        forms[request, record.header(headers.CE_ID)].add(record.value)
    for (request, _), seen in forms.items():
        if len(seen) > 1:
            yield f"{request}: a step was carried out in {len(seen)} different ways"


def steps_form_a_chain(e: Evidence) -> Breaches:
    """R1: one step follows another, without a gap, from the verdict on."""
    positions: defaultdict[UUID, list[int]] = defaultdict(list)
    for request, position in e.tables.steps:
        if position != OUTCOME_POSITION:
            positions[request].append(position)
    for request, taken in positions.items():
        if sorted(taken) != list(range(len(taken))):
            yield f"{request} has steps at {sorted(taken)}"


def nothing_is_left_waiting(e: Evidence) -> Breaches:
    """R4: whatever was parked has left the queue."""
    for request, n in e.tables.parked:
        state = "its outcome" if request in e.outcomes else "no outcome"
        yield f"{request} is still parked ({n}), with {state}"


def calls_are_bounded(e: Evidence) -> Breaches:
    """P4, R3: so many attempts an episode and a group. R5: none is called twice, unless a worker or Redis is unwell."""
    most, most_of_group = ATTEMPTS
    called: defaultdict[tuple[UUID, int], dict[UUID, Call]] = defaultdict(dict)
    for call in e.calls:
        called[call.request_id, call.work.dispatch.episode].setdefault(call.attempt_id, call)
    for (request, episode), attempts in called.items():
        spare = sum(1 for _, process in e.disturbed if process.name.startswith("provider-worker"))
        if len(attempts) > most + spare:
            yield f"{request}: {len(attempts)} attempts in episode {episode}"
        groups = Counter(call.deployment.group for call in attempts.values())
        for group, count in groups.items():
            if count > most_of_group + spare:
                yield f"{request}: {count} attempts at {group} in episode {episode}"
    yield from _called_twice(e)


def _called_twice(e: Evidence) -> Breaches:
    """A call is repeated only after its worker was killed or stood still, or when claims could not be kept."""
    if e.redis_troubled:
        return
    last: dict[UUID, Call] = {}
    for call in e.calls:
        before = last.get(call.attempt_id)
        last[call.attempt_id] = call
        if before is not None and not _excused(before, call, e):
            yield f"{call.request_id}: attempt {call.work.dispatch.n} was called twice, and nothing was wrong"


def _excused(before: Call, call: Call, e: Evidence) -> bool:
    """A bug put the first one aside, and a twin of its record came after the lease; or its worker was disturbed."""
    if call.request_id in e.bugs and call.at >= before.at + LEASE_MS / 1000:
        return True
    return any(process is before.worker and at >= before.at - 20 for at, process in e.disturbed)


def a_full_deployment_holds_up_nobody(e: Evidence) -> Breaches:
    """R6: with everything else in order, each dispatch is taken up at once, to be called or sent back."""
    for record, waited_ms in e.waits:
        if e.steady and waited_ms > MAX_QUEUE_AGE_MS[Priority.INTERACTIVE]:
            yield f"{subject(record)}: attempt {told(record).step.n} waited {waited_ms} ms for a place at its worker"


def no_call_is_stale(e: Evidence) -> Breaches:
    """R6: what has queued for too long, by the worker's own clock, is chosen again."""
    for call in e.calls:
        queued_ms = call.now_ms - call.work.record.timestamp_ms
        if queued_ms > MAX_QUEUE_AGE_MS[call.work.slip.priority]:
            yield f"{call.request_id}: attempt {call.work.dispatch.n} was called after {queued_ms} ms"


def no_call_against_the_verdict(e: Evidence) -> Breaches:
    """P5: no call that the recorded verdict forbids, or after the deadline by the caller's own clock."""
    for call in e.calls:
        request, deployment = call.request_id, call.deployment
        verdict = e.verdicts[request].verdict
        if verdict.effect != "permit":
            yield f"{request} was sent to {deployment.id} with the verdict {verdict.effect}"
        if verdict.regions is not None and deployment.processed_in not in verdict.regions:
            yield f"{request} was processed in {deployment.processed_in}"
        if call.now_ms >= e.verdicts[request].deadline_ms:
            yield f"{request} was sent to {deployment.id} after its deadline"


def nothing_is_poison(e: Evidence) -> Breaches:
    """No weather makes a record of ours impossible to handle: only a bug does."""
    for letter in e.letters():
        if letter.value != POISON and subject(letter) not in e.bugs:
            yield f"{subject(letter)}: put aside into {letter.topic}: {letter.text(headers.DLQ_REASON)}"


PROOFS: Final[dict[str, Callable[[Evidence], Breaches]]] = {
    "P1": every_submission_is_answered,
    "P2": the_outcome_is_decided_once,
    "P3": a_key_is_one_request,
    "R1": no_step_forks,
    "R1, chain": steps_form_a_chain,
    "R4": nothing_is_left_waiting,
    "P4": calls_are_bounded,
    "P5": no_call_against_the_verdict,
    "P1 over HTTP": at_doors.what_was_taken_in_is_on_its_topic,
    "P2 over HTTP": at_doors.a_door_tells_the_outcome,
    "P3 over HTTP": at_doors.what_was_refused_was_not_taken,
    "R6": a_full_deployment_holds_up_nobody,
    "R6, age": no_call_is_stale,
    "R8": at_doors.a_stream_is_one_whole_answer,
    "dead letters": nothing_is_poison,
}


def broken(evidence: Evidence) -> list[Violation]:
    """Every promise that the evidence shows to be broken."""
    return [Violation(rule, what) for rule, proof in PROOFS.items() for what in proof(evidence)]
