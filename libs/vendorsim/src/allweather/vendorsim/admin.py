"""The admin API: faults, calls, statistics, health."""

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from allweather.vendorsim.board import FaultBoard
from allweather.vendorsim.calls import CallLog, CallRecord, Stats
from allweather.vendorsim.faults import AnyFault
from allweather.vendorsim.vendors import NAMES
from allweather.vendorsim.wire import Reply, encode


class FaultState(msgspec.Struct):
    """A fault in force, how many calls it matched, and how many it struck."""

    fault: AnyFault
    seen: int
    struck: int


class Calls(msgspec.Struct):
    """Calls in order of arrival; the next question is `since=last`."""

    calls: list[CallRecord]
    last: int


class Health(msgspec.Struct):
    status: str
    prefixes: Mapping[str, str]
    """Vendor -> the path under which it is served."""
    ports: Mapping[str, int]
    """Vendor -> its own port, where it has one."""
    calls: int
    """Number of the last call."""


_PAGE = 5000
_FAULTS = msgspec.json.Decoder(list[AnyFault])
_Query = Mapping[str, str]


class Admin:
    """Answers everything that is not a vendor's path."""

    def __init__(
        self,
        board: FaultBoard,
        log: CallLog,
        ports: Mapping[str, int],
        faults_changed: Callable[[], Awaitable[None]],
    ) -> None:
        self._board = board
        self._log = log
        self._ports = ports
        self._faults_changed = faults_changed
        self._routes: Mapping[tuple[str, str], Callable[[_Query, bytes], Awaitable[object]]] = {
            ("GET", "/_admin/faults"): self._faults,
            ("PUT", "/_admin/faults"): self._replace_faults,
            ("POST", "/_admin/faults"): self._add_faults,
            ("DELETE", "/_admin/faults"): self._clear_faults,
            ("GET", "/_admin/calls"): self._calls,
            ("DELETE", "/_admin/calls"): self._forget_calls,
            ("GET", "/_admin/stats"): self._stats,
            ("GET", "/_admin/health"): self._health,
            ("GET", "/livez"): self._health,
            ("GET", "/readyz"): self._health,
        }

    async def answer(self, method: str, path: str, query: _Query, body: bytes) -> Reply:
        route = self._routes.get((method, path))
        if route is None:
            return _reply(404, {"error": f"no such path: {method} {path}"})
        try:
            return _reply(200, await route(query, body))
        except ValueError as error:  # msgspec's errors and int()'s are among them
            return _reply(422, {"error": str(error)})

    async def _faults(self, _query: _Query, _body: bytes) -> object:
        return [FaultState(each.fault, each.seen, each.struck) for each in self._board.armed]

    async def _replace_faults(self, query: _Query, body: bytes) -> object:
        self._board.replace(_FAULTS.decode(body))
        await self._faults_changed()
        return await self._faults(query, body)

    async def _add_faults(self, query: _Query, body: bytes) -> object:
        self._board.add(_FAULTS.decode(body))
        await self._faults_changed()
        return await self._faults(query, body)

    async def _clear_faults(self, query: _Query, body: bytes) -> object:
        vendor = query.get("vendor")
        if vendor is not None and vendor not in NAMES:
            raise ValueError(f"no such vendor: {vendor}")
        self._board.clear(vendor)
        await self._faults_changed()
        return await self._faults(query, body)

    async def _calls(self, query: _Query, _body: bytes) -> Calls:
        page = self._log.since(int(query.get("since", "0")))[:_PAGE]
        return Calls(page, page[-1].number if page else self._log.last_number)

    async def _forget_calls(self, _query: _Query, _body: bytes) -> object:
        self._log.forget()
        return {"last": self._log.last_number}

    async def _stats(self, _query: _Query, _body: bytes) -> Stats:
        return self._log.stats()

    async def _health(self, _query: _Query, _body: bytes) -> Health:
        return Health("ok", {name: f"/{prefix}" for name, prefix in NAMES.items()}, self._ports, self._log.last_number)


def _reply(status: int, value: object) -> Reply:
    return Reply(status, [(b"content-type", b"application/json")], encode(value))
