"""From a request record to what is known of the request. Pure: nothing is refused here, faults become part of it."""

from typing import Final
from uuid import UUID

import msgspec

from allweather.contracts import headers, ids, topics
from allweather.contracts.model import digest
from allweather.contracts.slip import ReplyAddress, Slip, Verdict
from allweather.contracts.submission import submission_key
from allweather.dialects import asked as dialects
from allweather.dialects.asked import Asked
from allweather.dialects.invalid import Invalid
from allweather.messaging import Record
from allweather.policy import events, hints, reply
from allweather.policy.given import Given
from allweather.policy.invalid import Faults
from allweather.policy.rules import Subject

INLINE_LIMIT: Final = 1 << 20
"""Larger bodies travel by claim check: the record carries the digest under which the payload store holds them."""

_HOUR_MS: Final = 3600 * 1000


class Identity(msgspec.Struct, frozen=True):
    """Which request a record submits: derived, so that every delivery and every replay names the same one."""

    record: Record
    given: Given
    tenant: str
    request_id: UUID
    data: bytes
    body_ref: str | None
    """Digest of a body that the HTTP door has put into the payload store."""
    fault: Invalid | None


class Submission(msgspec.Struct, frozen=True):
    """All that is known of a request before the rules see it."""

    identity: Identity
    hints: hints.Hints
    reply: ReplyAddress
    body: bytes
    asked: Asked | None
    """None when the body is not understood; `fault` then says why."""
    fault: Invalid | None

    @property
    def subject(self) -> Subject:
        """The request as rules see it."""
        assert self.asked is not None, "only a request without fault has a subject"
        needs = self.asked.needs
        return Subject(
            tenant=self.identity.tenant,
            route=self.asked.route,
            priority=self.hints.priority.value,
            data_class=self.hints.data_class or "",
            regions=self.hints.regions,
            stream=self.asked.stream,
            input_tokens=needs.input_tokens,
            output_tokens=needs.output_tokens or 0,
            capabilities=tuple([capability.value for capability in needs.capabilities]),
            hour=self.identity.record.timestamp_ms // _HOUR_MS % 24,
        )

    def slip(self, verdict: Verdict) -> Slip:
        """The slip with which the request sets out."""
        asked, hinted, identity = self.asked or _NOTHING_ASKED, self.hints, self.identity
        return Slip(
            request_id=identity.request_id,
            tenant=identity.tenant,
            dialect=hinted.dialect,
            api=hinted.api,
            route=asked.route,
            stream=asked.stream,
            include_usage=asked.include_usage,
            priority=hinted.priority,
            data_class=hinted.data_class,
            accepted_at_ms=identity.record.timestamp_ms,
            deadline_ms=hinted.deadline_ms,
            body_digest=identity.body_ref or digest(self.body),
            body_ref=self.body_ref if verdict.effect == "permit" else None,
            needs=asked.needs,
            reply=self.reply,
            verdict=verdict,
        )

    @property
    def body_ref(self) -> str | None:
        """The digest by which a large body travels; its content must be in the payload store."""
        if self.identity.body_ref is None and self.is_large:
            return digest(self.body)
        return self.identity.body_ref

    @property
    def is_large(self) -> bool:
        return len(self.body) > INLINE_LIMIT

    @property
    def inline_body(self) -> msgspec.Raw:
        """The body as it travels in the record: the very bytes, or nothing when it travels by claim check."""
        return msgspec.Raw(b"null" if self.body_ref else self.body)


_NOTHING_ASKED: Final = Asked.nothing()


def identify(record: Record, secret: bytes) -> Identity:
    """Which request this record submits, for which tenant. The topic says who asks."""
    faults, given = Faults(), Given(record)
    tenant = topics.tenant_of_requests(record.topic)
    data = faults.guard(lambda: events.data_of(given, record.value), b"")
    key = submission_key(given.all, record.value, (record.topic, record.partition, record.offset))
    request = ids.request_id(tenant, key)
    reference = ids.BodyReference.verify(given.text(headers.BODY_REF) or "", request, secret)
    return Identity(record, given, tenant, request, data, reference.digest if reference else None, faults.first)


def read(identity: Identity, stored_body: bytes | None, secret: bytes) -> Submission:
    """The submission of an identified record, and of the stored body if it names one (None: it is missing)."""
    faults = Faults([identity.fault] if identity.fault else [])
    hinted = hints.read(identity.given, identity.record.timestamp_ms, faults)
    replied = reply.address(identity.given, identity.tenant, identity.request_id, secret, faults)
    faults.guard(lambda: _check_names(identity.given), None)
    body = identity.data if identity.body_ref is None else (stored_body or b"")
    if identity.body_ref is not None and stored_body is None:
        faults.append(Invalid("body_unavailable", "The stored body of this request is missing: submit it again."))
    asked = None if faults else faults.guard(lambda: dialects.read(hinted.dialect, body), None)
    return Submission(identity, hinted, replied, body, asked, faults.first)


def _check_names(given: Given) -> None:
    """The headers that name the request are text; opaque ones would give it another name at each reading."""
    for name in (headers.IDEMPOTENCY_KEY, headers.CE_ID):
        if given.raw(name) is not None and given.text(name) is None:
            raise Invalid("invalid_header", f"The header {name} is not UTF-8 text.", name)
