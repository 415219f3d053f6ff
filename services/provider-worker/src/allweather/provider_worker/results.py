"""How attempts end, as records for the router. The slip is passed on as the bytes that came."""

from collections.abc import Sequence

import msgspec

from allweather.contracts import headers, ids, topics
from allweather.contracts.failures import FailureKind, OutcomeKind
from allweather.contracts.model import Value, iso_time
from allweather.contracts.records import NOTHING, AttemptResult, Ended, EventType, MalformedRecord, decode, encode
from allweather.contracts.slip import Slip
from allweather.messaging import Headers, Message, Record
from allweather.provider_worker.wire import AnyAnswered, Failure
from allweather.provider_worker.work import Work

MAX_INLINE_RESPONSE = 512 << 10
SOURCE = b"/allweather/provider-worker"


class Seen(msgspec.Struct, frozen=True):
    """What was seen of a call, whether it ended well or not."""

    http_status: int | None = None
    vendor_request_id: str | None = None
    first_token_ms: int | None = None
    call_id: str | None = None
    released_content: bool = False
    delta_count: int = 0
    deltas_digest: str | None = None


NOTHING_SEEN = Seen()
REFUSED = Failure(FailureKind.REFUSED, "The vendor withheld the answer.", "content_filter")


def result(
    work: Work,
    started_at_ms: int,
    ended_at_ms: int,
    *,
    answer: AnyAnswered | None = None,
    failure: Failure | None = None,
    seen: Seen = NOTHING_SEEN,
) -> AttemptResult:
    """The data of `ai.request.attempted`. A refusal is both an answer and a failure."""
    why = REFUSED if answer and answer.refused else failure
    return AttemptResult(
        attempt_id=work.dispatch.attempt_id,
        n=work.dispatch.n,
        deployment=work.dispatch.deployment,
        episode=work.dispatch.episode,
        dispatched_at_ms=work.dispatch.dispatched_at_ms,
        started_at_ms=started_at_ms,
        ended_at_ms=ended_at_ms,
        failure=why and why.kind,
        message=why and why.message,
        vendor_code=why and why.vendor_code,
        retry_after_ms=why and why.retry_after_ms,
        finish_reason=answer and answer.answer.finish,
        served_model=(answer and answer.answer.model) or None,
        usage=answer and answer.answer.usage,
        http_status=seen.http_status,
        vendor_request_id=seen.vendor_request_id,
        first_token_ms=seen.first_token_ms,
        call_id=seen.call_id,
        released_content=seen.released_content,
        delta_count=seen.delta_count,
        deltas_digest=seen.deltas_digest,
    )


def message(work: Work, ended: AttemptResult, response: bytes | None = None) -> Message:
    """The record of an attempt's end. The body goes along where the router may need it to try again."""
    tries_again = ended.failure is not None and not ended.failure.is_terminal
    value = encode(
        work.envelope.slip,
        ended,
        body=work.envelope.body if tries_again else NOTHING,
        response=NOTHING if response is None else msgspec.Raw(response),
    )
    step = f"attempted-{ended.n}"
    given = event_headers(work.slip, EventType.ATTEMPTED, step, ended.ended_at_ms, cause=work.record)
    return Message(topics.RESULTS, value, work.record.key, given)


def event_headers(slip: Slip, event: EventType, step: str, at_ms: int, *, cause: Record) -> Headers:
    """The CloudEvents headers of a record about the slip's request, which `cause` has led to."""
    return (
        (headers.CONTENT_TYPE, b"application/json"),
        (headers.CE_SPECVERSION, b"1.0"),
        (headers.CE_ID, ids.event_id(slip.request_id, step).encode()),
        (headers.CE_SOURCE, SOURCE),
        (headers.CE_TYPE, event.encode()),
        (headers.CE_TIME, iso_time(at_ms).encode()),
        (headers.CE_SUBJECT, cause.key),
        (headers.CE_TENANT, slip.tenant.encode()),
        (headers.CE_CAUSATION, cause.header(headers.CE_ID)),
    )


def dead_lettered(record: Record, reason: str) -> Sequence[Message]:
    """What ends the request of a record that could not be handled; nothing when not even its slip can be read."""
    try:
        envelope = decode(record.value)
        slip = envelope.read_slip()
    except MalformedRecord:
        return ()
    ended: Value = Ended(outcome=OutcomeKind.DEAD_LETTERED, reason=reason, at_ms=record.timestamp_ms)
    given = event_headers(slip, EventType.DEAD_LETTERED, "dead-lettered", record.timestamp_ms, cause=record)
    return (Message(topics.RESULTS, encode(envelope.slip, ended), record.key, given),)
