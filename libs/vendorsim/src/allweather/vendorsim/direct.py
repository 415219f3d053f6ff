"""The simulated vendors without a network: a request in, the answer out, for whoever tests or measures translators."""

import hashlib
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from allweather.vendorsim.vendors import simulated
from allweather.vendorsim.wire import Allowance, Call, Failure, Reply, Request, Stream, Ticket, Vendor

_WALL: Final = 1_795_000_000.0
_ALLOWANCE: Final = Allowance(1_000, 999, 1_000_000, 999_000, 0.1)


class Direct:
    """Answers POST requests to any host, as the program does at its port. Time passes by a second a call.

    What the vendors have made (caches, stored responses) is remembered as long as it lives. There are no faults.
    """

    def __init__(self) -> None:
        self._vendors = simulated()
        self._number = 0

    def answer(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply | Stream:
        """What the vendor says."""
        vendor, call, ticket = self._read(url, headers, body)
        return vendor.respond(call, ticket)

    def broken_off(self, url: str, headers: Mapping[str, str], body: bytes, sent: int) -> list[bytes]:
        """What the vendor says in mid-stream, after so many frames, when it has no answer after all."""
        vendor, call, ticket = self._read(url, headers, body)
        problem = vendor.problem(Failure("status", 503), call)
        return [frame.data for frame in vendor.interrupt(problem, call, ticket, sent)]

    def _read(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[Vendor, Call, Ticket]:
        self._number += 1
        address = urlsplit(url)
        prefix, _, path = address.path[1:].partition("/")
        vendor, query = self._vendors[prefix], dict(parse_qsl(address.query))
        call = vendor.read(Request("POST", path, query, headers, body))
        return vendor, call, Ticket(self._number, _WALL + self._number, _ALLOWANCE, hashlib.sha256(body).digest())
