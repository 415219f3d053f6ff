"""The simulated vendors behind the worker's transport, without a network."""

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

from allweather.provider_worker.adapters.http import Incoming
from allweather.provider_worker.wire import HttpRequest
from allweather.vendorsim.direct import Direct
from allweather.vendorsim.wire import Reply

BASE: Final = "http://simulators"


class SimulatedVendors:
    """A transport to them. What they have made is remembered as long as it lives."""

    def __init__(self) -> None:
        self._direct = Direct()

    def send(self, request: HttpRequest) -> AbstractAsyncContextManager[Incoming]:
        return self._exchange(request)

    @asynccontextmanager
    async def _exchange(self, request: HttpRequest) -> AsyncGenerator[Incoming]:
        answer = self._direct.answer(request.url, request.headers, request.body)
        if isinstance(answer, Reply):
            yield _Arriving(answer.status, answer.headers, iter([answer.body]))
        else:
            yield _Arriving(200, answer.headers, (frame.data for frame in answer.frames))


class _Arriving:
    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], pieces: Iterator[bytes]) -> None:
        self.status = status
        self.headers: Mapping[str, str] = {name.decode(): value.decode("latin-1") for name, value in headers}
        self._pieces = pieces

    async def read(self) -> bytes:
        return next(self._pieces, b"")
