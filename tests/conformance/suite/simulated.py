"""The simulated vendors without a network: their own parsers and responders behind the worker's transport."""

import hashlib
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from allweather.provider_worker.adapters.http import Incoming
from allweather.provider_worker.wire import HttpRequest
from allweather.vendorsim.vendors import simulated
from allweather.vendorsim.wire import Allowance, Call, Failure, Reply, Request, Stream, Ticket, Vendor

BASE: Final = "http://simulators"
_WALL: Final = 1_795_000_000.0
_ALLOWANCE: Final = Allowance(1_000, 999, 1_000_000, 999_000, 0.1)


class SimulatedVendors:
    """Answers requests at `BASE`. What the vendors have made is remembered as long as it lives."""

    def __init__(self) -> None:
        self._vendors = simulated()
        self._number = 0

    def send(self, request: HttpRequest) -> AbstractAsyncContextManager[Incoming]:
        return self._exchange(request)

    @asynccontextmanager
    async def _exchange(self, request: HttpRequest) -> AsyncGenerator[Incoming]:
        answer = self.answer(request)
        if isinstance(answer, Reply):
            yield _Arriving(answer.status, answer.headers, iter([answer.body]))
        else:
            yield _Arriving(200, answer.headers, (frame.data for frame in answer.frames))

    def answer(self, request: HttpRequest) -> Reply | Stream:
        """What the vendor says to the request."""
        vendor, call, ticket = self._read(request)
        return vendor.respond(call, ticket)

    def broken_off(self, request: HttpRequest, sent: int) -> list[bytes]:
        """What the vendor says in mid-stream, after so many frames, when it has no answer after all."""
        vendor, call, ticket = self._read(request)
        problem = vendor.problem(Failure("status", 503), call)
        return [frame.data for frame in vendor.interrupt(problem, call, ticket, sent)]

    def _read(self, request: HttpRequest) -> tuple[Vendor, Call, Ticket]:
        self._number += 1
        address = urlsplit(request.url)
        prefix, _, path = address.path[1:].partition("/")
        vendor, query = self._vendors[prefix], dict(parse_qsl(address.query))
        call = vendor.read(Request("POST", path, query, request.headers, request.body))
        digest = hashlib.sha256(request.body).digest()
        return vendor, call, Ticket(self._number, _WALL + self._number, _ALLOWANCE, digest)


class _Arriving:
    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], pieces: Iterator[bytes]) -> None:
        self.status = status
        self.headers: Mapping[str, str] = {name.decode(): value.decode("latin-1") for name, value in headers}
        self._pieces = pieces

    async def read(self) -> bytes:
        return next(self._pieces, b"")
