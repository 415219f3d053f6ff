"""What an orchestrator asks of a service process: is it alive, is it ready, what does it measure.

`/livez` fails only when this process hangs. It never fails because Kafka, Postgres or Redis is away: restarting this
process would not bring them back. `/readyz` fails while a registered check does, and says which; it also fails before
anything is registered, and once the process is told to stop.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus

from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder

from allweather.runtime.clock import Clock, SystemClock
from allweather.runtime.heartbeat import Heartbeat
from allweather.runtime.http import Request, Response, serve

Ping = Callable[[], Awaitable[object]]
"""Returns when the resource answers, raises when it does not."""


class Probes:
    """The checks of one process. Resources register themselves; the endpoints are loops over what is registered."""

    def __init__(
        self,
        info: Mapping[str, str | int] | None = None,
        *,
        clock: Clock | None = None,
        ping_timeout_s: float = 2.0,
    ) -> None:
        self._info = dict(info or {})
        self._ping_timeout_s = ping_timeout_s
        self._clock = clock or SystemClock()
        self._pings: dict[str, Ping] = {}
        self._heartbeats: dict[str, Heartbeat] = {}
        self._stopping = False
        self.port = 0

    def register(self, name: str, ping: Ping) -> None:
        """Make readiness depend on `ping`."""
        if name in self._pings:
            raise ValueError(f"a check named {name!r} is registered already")
        self._pings[name] = ping

    def heartbeat(self, name: str, limit_s: float = 60.0) -> Heartbeat:
        """A heartbeat on which liveness depends."""
        if name in self._heartbeats:
            raise ValueError(f"a heartbeat named {name!r} is registered already")
        self._heartbeats[name] = Heartbeat(limit_s, self._clock)
        return self._heartbeats[name]

    def stop(self) -> None:
        """Say from now on that this process is not ready, so that no new work is sent to it."""
        self._stopping = True

    async def live(self) -> dict[str, str]:
        """What hangs, with how long; empty when the process is alive."""
        return {name: f"no beat for {beat.age_s:.0f} s" for name, beat in self._heartbeats.items() if beat.stale}

    async def ready(self) -> dict[str, str]:
        """Each check with `ok` or what is wrong; `process` says how far the process itself is.

        It is `starting` until something is registered: before that nothing can have been opened.
        """
        pings = dict(self._pings)
        results = await asyncio.gather(*(self._checked(ping) for ping in pings.values()))
        process = "stopping" if self._stopping else "ok" if pings else "starting"
        return {"process": process, **dict(zip(pings, results, strict=True))}

    @asynccontextmanager
    async def serving(self, host: str, port: int) -> AsyncGenerator[None]:
        """Answer on `host:port` while the block runs; `self.port` is the port that was bound."""
        async with serve(self.answer, host, port) as bound:
            self.port = bound
            yield

    async def _checked(self, ping: Ping) -> str:
        try:
            async with asyncio.timeout(self._ping_timeout_s):
                await ping()
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a resource is the answer, not a crash
            return f"{type(error).__name__}: {error}".rstrip(": ")
        return "ok"

    async def answer(self, request: Request) -> Response:
        """The response to one probe, for a service that also answers probes on a port of its own."""
        match request.path:
            case "/livez":
                hanging = await self.live()
                return _json(not hanging, {"alive": not hanging, "hanging": hanging})
            case "/readyz":
                checks = await self.ready()
                ready = all(result == "ok" for result in checks.values())
                return _json(ready, {"ready": ready, "checks": checks})
            case "/metrics":
                encode, content_type = choose_encoder(request.headers.get("accept", ""))
                return Response(HTTPStatus.OK, encode(REGISTRY), content_type)
            case "/info":
                return _json(True, self._info)
            case _:
                return Response(HTTPStatus.NOT_FOUND, b"try /livez, /readyz, /metrics or /info\n")


def _json(well: bool, body: Mapping[str, object]) -> Response:
    status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
    return Response(status, json.dumps(body).encode() + b"\n", "application/json")
