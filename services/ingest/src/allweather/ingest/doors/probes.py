"""`/livez`, `/readyz` and `/metrics` on the door's own port, for a load balancer that sees no other."""

from starlette.requests import Request
from starlette.responses import Response

from allweather.runtime import http
from allweather.runtime.probes import Probes

PATHS = ("/livez", "/readyz", "/metrics")


class ProbeDoor:
    """Answers what the probe port answers."""

    def __init__(self, probes: Probes) -> None:
        self._probes = probes

    async def answer(self, request: Request) -> Response:
        """The response to one probe."""
        asked = http.Request(request.method, request.url.path, dict(request.headers))
        found = await self._probes.answer(asked)
        return Response(found.body, found.status, media_type=found.content_type)
