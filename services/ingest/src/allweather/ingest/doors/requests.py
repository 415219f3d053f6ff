"""`/v1/requests`: the asynchronous way. Submit now, look the outcome up later, or cancel."""

from collections.abc import Collection, Mapping
from typing import Any, Final, Protocol
from uuid import UUID

import msgspec

from allweather.contracts import headers, ids
from allweather.contracts.ids import parse_public_id
from allweather.contracts.slip import Dialect
from allweather.ingest import http, refusals
from allweather.ingest.acceptance import Acceptance
from allweather.ingest.cancellation import cancelled
from allweather.ingest.doors.call import Call, DoorEndpoint
from allweather.ingest.doors.conversing import read_json
from allweather.ingest.keys import Keyring
from allweather.ingest.minting import uuid7
from allweather.ingest.replies import Reply
from allweather.ingest.status import Status
from allweather.ingest.submission import submission
from allweather.messaging import TransientError
from allweather.runtime.clock import Clock
from allweather.runtime.postgres import DependencyAway

DIALECT: Final = b"x-allweather-dialect"
"""Which dialect a submitted body is in; whether there is such a one, policy says."""


class Statuses(Protocol):
    """Looks requests up, wherever they were accepted."""

    async def status(self, request_id: UUID) -> Status:
        """How far the request is. Raises `DependencyAway` when that cannot be known now."""
        ...

    async def outcomes(self, requests: Collection[UUID]) -> Mapping[UUID, Reply]:
        """The outcomes of those requests that have one. Raises `DependencyAway`."""
        ...


class Submit(DoorEndpoint):
    """`POST /v1/requests`: accepted means that there will be an outcome, under the id in the response."""

    def __init__(self, keyring: Keyring, acceptance: Acceptance, clock: Clock) -> None:
        super().__init__("POST", keyring)
        self._acceptance = acceptance
        self._clock = clock

    async def serve(self, call: Call) -> None:
        body = await http.read_body(call.incoming, call.receive)
        read_json(body)
        now = self._clock.now_ms()
        spoken = {headers.DIALECT: call.incoming.short(DIALECT) or Dialect.OPENAI_CHAT.encode()}
        asked = submission(
            call.tenant, call.incoming, body, minted=str(uuid7(now)), accepted_at_ms=now, defaults=spoken
        )
        call.request_id = ids.public_id(asked.request_id, call.tenant, self._acceptance.secret)
        await self._acceptance.accept(asked)
        told = [("location", f"/v1/requests/{call.request_id}"), ("x-request-id", call.request_id)]
        await http.respond(call.send, 202, _described(call.request_id, Status("pending")), told)


class Look(DoorEndpoint):
    """`GET /v1/requests/{id}`: how far a request is, and its whole answer once it is settled."""

    def __init__(self, keyring: Keyring, statuses: Statuses, secret: bytes) -> None:
        super().__init__("GET", keyring)
        self._statuses = statuses
        self._secret = secret

    async def serve(self, call: Call) -> None:
        request = named(call, self._secret)
        try:
            status = await self._statuses.status(request)
        except DependencyAway:
            raise refusals.unavailable(
                "Requests cannot be looked up now; nothing of them is lost. Try again."
            ) from None
        told = [("x-request-id", call.request_id), *(status.reply.http_headers if status.reply else [])]
        await http.respond(call.send, 200, _described(call.request_id, status), told)


class Cancel(DoorEndpoint):
    """`POST /v1/requests/{id}/cancel`: asks for it. Whichever comes first, answer or cancellation, is the outcome."""

    def __init__(self, keyring: Keyring, acceptance: Acceptance, clock: Clock) -> None:
        super().__init__("POST", keyring)
        self._acceptance = acceptance
        self._clock = clock

    async def serve(self, call: Call) -> None:
        request = named(call, self._acceptance.secret)
        try:
            await self._acceptance.publish(cancelled(request, call.tenant, self._clock.now_ms()))
        except TransientError:
            raise refusals.unavailable("The cancellation could not be passed on. Try again.") from None
        await http.respond(
            call.send, 202, _described(call.request_id, Status("cancelling")), [("x-request-id", call.request_id)]
        )


def named(call: Call, secret: bytes) -> UUID:
    """The request in the path. Raises `Refused` when no request of this tenant can have that id."""
    public_id = call.path_params["id"]
    request = parse_public_id(public_id, call.tenant, secret)
    if request is None:
        raise refusals.not_found("There is no such request.")
    call.request_id = public_id
    return request


def _described(public_id: str, status: Status) -> bytes:
    shown: dict[str, Any] = {"id": public_id, "object": "request", "status": status.state}
    if status.reply is not None:
        shown |= {"outcome": status.reply.outcome, "status_code": status.reply.status, **status.details}
        shown["response"] = _embedded(status.reply.body)
    return msgspec.json.encode(shown)


def _embedded(body: bytes) -> msgspec.Raw | None:
    return msgspec.Raw(body) if body else None
