"""A dispatch record, read: what one attempt is about."""

import msgspec

from allweather.contracts.records import Dispatch, Envelope, MalformedRecord, decode
from allweather.contracts.slip import Slip
from allweather.messaging import PermanentError, Record
from allweather.provider_worker.claims import Claim, Holder


class Work(msgspec.Struct, frozen=True):
    """One attempt to make, from one record."""

    record: Record
    envelope: Envelope
    slip: Slip
    dispatch: Dispatch

    @property
    def streams(self) -> bool:
        """Whether the caller sees the answer grow. Not while its verdict asks for a look at the whole first."""
        return self.slip.stream and not self.slip.verdict.output_check

    def claim(self, holder: Holder) -> Claim:
        """The claim of this very record on the attempt."""
        at = self.record
        return Claim(str(self.dispatch.attempt_id), f"{at.topic}/{at.partition}/{at.offset}", holder)


def read(record: Record) -> Work:
    """The attempt in a dispatch record. Raises `PermanentError` for one that no version of us could have written."""
    try:
        envelope = decode(record.value)
        return Work(record, envelope, envelope.read_slip(), envelope.read(Dispatch))
    except MalformedRecord as error:
        raise PermanentError(f"malformed dispatch record: {error}") from error
