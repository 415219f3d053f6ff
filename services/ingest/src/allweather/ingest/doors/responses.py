"""`POST /v1/responses`: OpenAI Responses, plain, streamed, going on with an earlier one, and in the background."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import msgspec

from allweather.contracts import headers, ids
from allweather.contracts.slip import Dialect
from allweather.dialects.lenient import Json, parse_object
from allweather.ingest import http, refusals, responses
from allweather.ingest.acceptance import INTERACTIVE
from allweather.ingest.adapters.response_table import Responses
from allweather.ingest.doors.background import Background
from allweather.ingest.doors.call import Call, give
from allweather.ingest.doors.conversing import Conversing
from allweather.ingest.doors.requests import Statuses
from allweather.ingest.forms.responses import ResponsesForm
from allweather.ingest.replies import Reply
from allweather.ingest.responses import Asked, Broken, Face, Kept
from allweather.runtime.postgres import DependencyAway

DEFAULTS: Final = {headers.DIALECT: Dialect.OPENAI_RESPONSES.encode()}
"""In the background a request has the class and the deadline of a published record."""
WAITING: Final = {**INTERACTIVE, **DEFAULTS}

_asked = msgspec.json.Decoder(Asked)


@dataclass(frozen=True, slots=True)
class Memory:
    """What the doors of this API remember, and how it is found out what became of it."""

    responses: Responses
    statuses: Statuses


class CreateResponse(Conversing):
    """A response is kept before it is asked for, so that whoever is told its id can ask for it."""

    dialect = Dialect.OPENAI_RESPONSES

    def __init__(self, *house: Any, memory: Memory, background: Background, **limits: Any) -> None:
        super().__init__(*house, **limits)
        self._memory = memory
        self._background = background

    async def serve(self, call: Call) -> None:
        body = await self.body(call)
        asked = _read(body)
        previous = self._previous(call, asked.previous_response_id)
        background, store = asked.background is True, asked.store is not False
        before: Sequence[Json] = [] if previous is None else await self._before(previous, call.tenant)
        published = responses.publishable(body, before, background=background, keep=store)
        submission = self.asked(call, published, DEFAULTS if background else WAITING)
        streams, at = asked.stream is True, submission.accepted_at_ms
        kept = Kept(submission.request_id, call.tenant, previous, background, streams, store, at, body)
        if store or background:
            await self._keep(kept)
        face = Face(kept, call.request_id, asked.previous_response_id if previous else None)
        if background:
            await self._acceptance.accept(submission)
            await self._background.show(call, kept, face)
        else:
            await self.answer(call, submission, ResponsesForm(face.named) if streams else None, _named(face))

    def _previous(self, call: Call, given: Any) -> UUID | None:
        if given is None:
            return None
        found = ids.parse_public_id(responses.public_id(str(given)), call.tenant, self._acceptance.secret)
        if found is None:
            raise _no_previous()
        return found

    async def _before(self, previous: UUID, tenant: str) -> Sequence[Json]:
        """The conversation up to and with the previous response."""
        try:
            chain = await self._memory.responses.chain(previous, tenant)
            outcomes = await self._memory.statuses.outcomes([kept.request_id for kept in chain])
        except DependencyAway:
            raise refusals.unavailable("The previous response cannot be read now. Try again.") from None
        if not chain or not all(kept.store for kept in chain):
            raise _no_previous()
        try:
            return responses.conversation(chain, outcomes)
        except Broken:
            raise _no_previous("is not there, or has no answer to go on with") from None

    async def _keep(self, kept: Kept) -> None:
        try:
            await self._memory.responses.keep(kept)
        except DependencyAway:
            raise refusals.unavailable("Responses cannot be stored now. Try again, or send 'store': false.") from None


def _read(body: bytes) -> Asked:
    try:
        body.decode()
        return _asked.decode(body)
    except msgspec.ValidationError:
        return Asked()
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError) as error:
        raise http.not_json(error, body) from None


def _named(face: Face) -> Any:
    """Gives an outcome under the response's own name."""

    async def named(call: Call, reply: Reply) -> None:
        whole = parse_object(reply.body) if reply.is_answer else None
        body = reply.body if whole is None else msgspec.json.encode(face.named(whole))
        await give(call, Reply(reply.status, body, reply.said))

    return named


def _no_previous(what: str = "was not found") -> refusals.Refused:
    message = f"The previous response {what}. Only responses that were stored can be gone on with."
    return refusals.invalid("previous_response_not_found", message, "previous_response_id")
