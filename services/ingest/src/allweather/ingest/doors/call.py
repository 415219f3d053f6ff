"""What every door has in common: who is calling, what it is told when that goes wrong."""

import logging
from abc import ABC, abstractmethod
from typing import Final

from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope, Send

from allweather.contracts.errors import ApiError
from allweather.contracts.slip import Dialect
from allweather.ingest import http, refusals
from allweather.ingest.http import CallerGone, Incoming
from allweather.ingest.keys import Keyring
from allweather.ingest.refusals import Refused
from allweather.ingest.replies import Reply
from allweather.runtime.postgres import DependencyAway
from allweather.telemetry.metrics import REPLY_DELIVERIES, REQUESTS_REFUSED, Door, Refusal

log = logging.getLogger(__name__)

_BUG: Final = ApiError(500, "server_error", "internal_error", "Something went wrong here, and it is not your fault.")


class Call:
    """One HTTP request while it is served."""

    __slots__ = ("_scope", "began", "dialect", "incoming", "receive", "request_id", "send", "tenant")

    def __init__(self, scope: Scope, receive: Receive, send: Send, dialect: Dialect | None) -> None:
        self._scope = scope
        self.incoming = Incoming(scope)
        self.dialect = dialect or spoken(self.incoming)
        """In which the caller is answered."""
        self.receive = receive
        self.send = send
        self.tenant = ""
        self.request_id = ""
        """The public id, once there is one."""
        self.began = False
        """Whether a response is under way, so that no other can be sent."""

    @property
    def path_params(self) -> dict[str, str]:
        """What stands in the places that the route left open."""
        return self._scope.get("path_params", {})

    @property
    def query(self) -> QueryParams:
        """What follows the path."""
        return QueryParams(self._scope.get("query_string", b""))


def spoken(incoming: Incoming) -> Dialect:
    """The dialect of a caller at a path that several APIs share: only Anthropic's name their version."""
    is_anthropic = incoming.only(b"anthropic-version") is not None
    return Dialect.ANTHROPIC_MESSAGES if is_anthropic else Dialect.OPENAI_CHAT


class DoorEndpoint(ABC):
    """An ASGI application for one method of one path: authentication comes before anything of the body is read."""

    dialect: Dialect | None = None
    """None where several APIs share the path."""

    def __init__(self, method: str, keyring: Keyring) -> None:
        self.method = method
        self._keyring = keyring

    @abstractmethod
    async def serve(self, call: Call) -> None:
        """Answer an authenticated call. Raises `Refused` to say no."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = Call(scope, receive, send, self.dialect)
        try:
            if scope["method"] != self.method:
                raise refusals.wrong_method(self.method)
            call.tenant = self._authenticated(call)
            await self.serve(call)
        except Refused as refused:
            await _refuse(call, refused)
        except DependencyAway:
            await _refuse(call, refusals.unavailable("What this needs cannot be reached now. Try again."))
        except (CallerGone, ConnectionError):
            log.debug("caller has gone")
        except Exception:
            log.exception("a call failed", extra={"request_id": call.request_id, "tenant": call.tenant})
            await _refuse(call, Refused(_BUG, close=True))

    def _authenticated(self, call: Call) -> str:
        key = call.incoming.only(b"x-api-key")
        tenant = (
            self._keyring.tenant(call.incoming.only(b"authorization")) if key is None else self._keyring.tenant_of(key)
        )
        if tenant is None:
            raise refusals.unauthorized()
        return tenant


class ByMethod:
    """A path that several endpoints share, each with a method of its own; the first one answers all others."""

    def __init__(self, *endpoints: DoorEndpoint) -> None:
        self._endpoints = {endpoint.method: endpoint for endpoint in endpoints}
        self._first = endpoints[0]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._endpoints.get(scope["method"], self._first)(scope, receive, send)


async def give(call: Call, reply: Reply) -> None:
    """Answer with an outcome: its status, its exact bytes, and what is known of how it came about."""
    call.began = True
    REPLY_DELIVERIES.inc(Door("http", call.tenant))
    told = [*http.naming(call.request_id, call.dialect), *reply.http_headers]
    await http.respond(call.send, reply.status, reply.body, told)


async def give_json(call: Call, body: bytes) -> None:
    """Answer with what is known here: no request is behind it, so the answer has an id of its own."""
    await http.respond(call.send, 200, body, http.naming(refusals.new_call_id(), call.dialect))


async def _refuse(call: Call, refused: Refused) -> None:
    REQUESTS_REFUSED.inc(Refusal("http", call.tenant, refused.error.code or ""))
    if not call.began:
        await http.refuse(call.send, refused, call.request_id or refusals.new_call_id(), call.dialect)
