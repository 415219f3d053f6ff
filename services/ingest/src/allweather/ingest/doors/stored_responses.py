"""`/v1/responses/{id}`: stored responses, whichever door accepted them: look, go on with a stream, cancel, delete."""

from typing import Final

import msgspec

from allweather.contracts import ids
from allweather.contracts.deadlines import PARK_LIMIT_MS
from allweather.contracts.slip import Dialect
from allweather.dialects.lenient import Json
from allweather.ingest import http, refusals, responses
from allweather.ingest.acceptance import Acceptance
from allweather.ingest.cancellation import cancelled
from allweather.ingest.doors.background import Background, give
from allweather.ingest.doors.call import Call, DoorEndpoint
from allweather.ingest.doors.paging import page
from allweather.ingest.doors.responses import Memory
from allweather.ingest.keys import Keyring
from allweather.ingest.responses import Broken, Face, Kept
from allweather.messaging import TransientError
from allweather.runtime.clock import Clock
from allweather.runtime.postgres import DependencyAway

CANCEL_S: Final = 5.0
"""How long a cancellation is waited for; after that the caller is told how far the response is."""


class StoredResponse(DoorEndpoint):
    """What all paths of a stored response have in common: it is found, or there is none of this tenant."""

    dialect = Dialect.OPENAI_RESPONSES
    method = "GET"

    def __init__(
        self, keyring: Keyring, acceptance: Acceptance, clock: Clock, memory: Memory, background: Background
    ) -> None:
        super().__init__(self.method, keyring)
        self._acceptance = acceptance
        self._clock = clock
        self._memory = memory
        self._background = background

    async def serve(self, call: Call) -> None:
        name = call.path_params["id"]
        public = responses.public_id(name)
        request = ids.parse_public_id(public, call.tenant, self._acceptance.secret)
        try:
            kept = request and await self._memory.responses.find(request, call.tenant)
        except DependencyAway:
            raise refusals.unavailable("Responses cannot be looked up now; nothing of them is lost.") from None
        if not kept:
            raise _not_found(name)
        call.request_id = public
        await self.serve_response(call, kept, Face(kept, public, self._previous(kept)))

    async def serve_response(self, call: Call, kept: Kept, face: Face) -> None:
        """Answer a call for a response of this tenant."""
        raise NotImplementedError

    def _previous(self, kept: Kept) -> str | None:
        if kept.previous is None:
            return None
        return responses.response_id(ids.public_id(kept.previous, kept.tenant, self._acceptance.secret))


class RetrieveResponse(StoredResponse):
    """`GET`: the response as it stands, or with `?stream=true&starting_after=N` its stream from there on."""

    async def serve_response(self, call: Call, kept: Kept, face: Face) -> None:
        if call.query.get("stream") == "true":
            if not (kept.background and kept.stream):
                raise refusals.invalid("invalid_value", "Only a background stream can be taken up again.", "stream")
            return await self._background.stream(call, kept, face, after=_after(call))
        status = await self._background.status(kept)
        if status.reply is None and kept.created_at_ms + 2 * PARK_LIMIT_MS < self._clock.now_ms():
            raise _not_found(face.id)  # the router keeps outcomes for a while only
        return await give(call, face, status)


class CancelResponse(StoredResponse):
    """`POST .../cancel`: whichever comes first, answer or cancellation, is the outcome. Twice is harmless."""

    method = "POST"

    async def serve_response(self, call: Call, kept: Kept, face: Face) -> None:
        if not kept.background:
            raise refusals.invalid("invalid_value", "Cannot cancel a synchronous response.")
        status = await self._background.status(kept)
        if status.reply is None:
            await self._cancel(kept)
            status = await self._background.outcome(kept, CANCEL_S)
        await give(call, face, status)

    async def _cancel(self, kept: Kept) -> None:
        try:
            await self._acceptance.publish(cancelled(kept.request_id, kept.tenant, self._clock.now_ms()))
        except TransientError:
            raise refusals.unavailable("The cancellation could not be passed on. Try again.") from None


class DeleteResponse(StoredResponse):
    """`DELETE`: the response can be neither read nor gone on with any more."""

    method = "DELETE"

    async def serve_response(self, call: Call, kept: Kept, face: Face) -> None:
        await self._memory.responses.forget(kept.request_id, kept.tenant)
        told = msgspec.json.encode({"id": face.id, "object": "response", "deleted": True})
        await http.respond(call.send, 200, told, http.naming(call.request_id, call.dialect))


class InputItems(StoredResponse):
    """`GET .../input_items`: all that the model was told, earlier responses included; the newest first."""

    async def serve_response(self, call: Call, kept: Kept, face: Face) -> None:
        listed = responses.listed([*await self._before(kept), *responses.items(kept.body)], face.id)
        if call.query.get("order") != "asc":
            listed.reverse()
        await http.respond(call.send, 200, page(listed, call.query), http.naming(call.request_id, call.dialect))

    async def _before(self, kept: Kept) -> list[Json]:
        if kept.previous is None:
            return []
        try:
            chain = await self._memory.responses.chain(kept.previous, kept.tenant)
            outcomes = await self._memory.statuses.outcomes([each.request_id for each in chain])
            return responses.conversation(chain, outcomes)
        except Broken:
            return []
        except DependencyAway:
            raise refusals.unavailable("Responses cannot be looked up now; nothing of them is lost.") from None


def _after(call: Call) -> int:
    given = call.query.get("starting_after", "-1")
    try:
        return max(-1, int(given))
    except ValueError:
        message = "'starting_after' is the number of an event."
        raise refusals.invalid("invalid_value", message, "starting_after") from None


def _not_found(name: str) -> refusals.Refused:
    return refusals.not_found(f"Response with id '{name[:80]}' not found.")
