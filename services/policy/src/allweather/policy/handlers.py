"""Request records in, cleared records out: one for each, whatever is in it."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from allweather.contracts import headers, ids, topics
from allweather.contracts.model import iso_time
from allweather.contracts.records import EventType, encode
from allweather.contracts.slip import Slip
from allweather.messaging import Message, Outputs, Record
from allweather.policy import intake
from allweather.policy.decision import Policy
from allweather.policy.intake import Identity, Submission
from allweather.telemetry.metrics import VERDICTS, Effect

ReadBody = Callable[[str], Awaitable[bytes | None]]
"""The body under a digest, or None when the store does not have it."""

KeepBody = Callable[[bytes], Awaitable[object]]

MAX_TRACE: Final = 512
"""Bytes of a trace header that are passed on, as W3C Trace Context asks for at least."""

_CARRIED: Final = frozenset({headers.TRACEPARENT, headers.TRACESTATE})
_JSON = b"application/json"


class ClearRequests:
    """Gives every request record of a batch its verdict."""

    def __init__(self, policy: Policy, secret: bytes, *, read_body: ReadBody, keep_body: KeepBody) -> None:
        self._policy = policy
        self._secret = secret
        self._read_body = read_body
        self._keep_body = keep_body

    async def __call__(self, batch: Sequence[Record]) -> Outputs:
        identities = [intake.identify(record, self._secret) for record in batch]
        bodies = await self._stored_bodies(identities)
        submissions = [intake.read(identity, bodies.get(identity.body_ref), self._secret) for identity in identities]
        slips = [submission.slip(self._policy.decide(submission)) for submission in submissions]
        await self._keep_large(zip(submissions, slips, strict=True))
        _count(slips)
        return Outputs([cleared(submission, slip) for submission, slip in zip(submissions, slips, strict=True)])

    async def _stored_bodies(self, identities: Sequence[Identity]) -> dict[str | None, bytes | None]:
        references = {identity.body_ref for identity in identities if identity.body_ref}
        if not references:
            return {}
        bodies = await asyncio.gather(*(self._read_body(reference) for reference in references))
        return dict(zip(references, bodies, strict=True))

    async def _keep_large(self, decided: Iterable[tuple[Submission, Slip]]) -> None:
        """Large bodies are in the store before a record names them."""
        large = [s.body for s, slip in decided if slip.body_ref is not None and s.identity.body_ref is None]
        if large:
            await asyncio.gather(*(self._keep_body(body) for body in large))


def cleared(submission: Submission, slip: Slip) -> Message:
    """The record that carries a verdict; the body travels only with a permit."""
    record = submission.identity.record
    value = encode(slip, body=submission.inline_body) if slip.verdict.effect == "permit" else encode(slip)
    request = str(slip.request_id)
    position = ids.position_key(record.topic, record.partition, record.offset)
    return Message(
        topic=topics.CLEARED,
        key=request.encode(),
        value=value,
        headers=(
            (headers.CONTENT_TYPE, _JSON),
            (headers.CE_SPECVERSION, b"1.0"),
            (headers.CE_ID, ids.event_id(slip.request_id, f"cleared/{position}").encode()),
            (headers.CE_SOURCE, b"/allweather/policy"),
            (headers.CE_TYPE, EventType.CLEARED.encode()),
            (headers.CE_TIME, iso_time(record.timestamp_ms).encode()),
            (headers.CE_SUBJECT, request.encode()),
            (headers.CE_TENANT, slip.tenant.encode()),
            (headers.CE_CAUSATION, position.encode()),
            *_trace(record),
        ),
    )


def _trace(record: Record) -> list[tuple[str, bytes | None]]:
    return [(name, value) for name, value in record.headers if name in _CARRIED and value and len(value) <= MAX_TRACE]


def _count(slips: Sequence[Slip]) -> None:
    for (tenant, effect), n in Counter((slip.tenant, slip.verdict.effect) for slip in slips).items():
        VERDICTS.inc(Effect(tenant, effect), n)
