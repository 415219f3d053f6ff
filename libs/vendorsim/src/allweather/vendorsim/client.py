"""The admin API as a typed client, for tests and the demo."""

from types import TracebackType
from typing import Self, TypeVar

import httpx
import msgspec

from allweather.vendorsim.admin import Calls, FaultState, Health
from allweather.vendorsim.calls import CallRecord, Stats
from allweather.vendorsim.faults import AnyFault, VendorName
from allweather.vendorsim.wire import encode

_Answer = TypeVar("_Answer")


class Simulator:
    """A running simulator, told what to do wrong and asked what it saw. Use it as a context manager.

    Every method raises httpx.HTTPError when the simulator cannot be reached or rejects the request.
    """

    def __init__(self, base_url: str) -> None:
        self._http = httpx.AsyncClient(base_url=base_url, timeout=10, trust_env=False)

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def put_faults(self, *faults: AnyFault) -> list[FaultState]:
        """Put exactly these faults in force."""
        return await self._ask("PUT", "/_admin/faults", list[FaultState], encode(faults))

    async def add_faults(self, *faults: AnyFault) -> list[FaultState]:
        """Put these faults in force besides the present ones."""
        return await self._ask("POST", "/_admin/faults", list[FaultState], encode(faults))

    async def clear_faults(self, vendor: VendorName | None = None) -> list[FaultState]:
        """Lift all faults, or those that name `vendor`; return what is left."""
        suffix = "" if vendor is None else f"?vendor={vendor}"
        return await self._ask("DELETE", f"/_admin/faults{suffix}", list[FaultState])

    async def faults(self) -> list[FaultState]:
        return await self._ask("GET", "/_admin/faults", list[FaultState])

    async def calls(self, since: int = 0) -> list[CallRecord]:
        """Return the calls with a greater number than `since`, as far as they are still in memory."""
        found: list[CallRecord] = []
        while (page := await self._ask("GET", f"/_admin/calls?since={since}", Calls)).calls:
            found += page.calls
            since = page.last
        return found

    async def forget_calls(self) -> None:
        """Empty the memory of calls and the statistics; the call log's file is not touched."""
        await self._ask("DELETE", "/_admin/calls", dict[str, int])

    async def stats(self) -> Stats:
        return await self._ask("GET", "/_admin/stats", Stats)

    async def health(self) -> Health:
        return await self._ask("GET", "/_admin/health", Health)

    async def _ask(self, method: str, path: str, kind: type[_Answer], body: bytes | None = None) -> _Answer:
        response = await self._http.request(method, path, content=body)
        response.raise_for_status()
        return msgspec.json.decode(response.content, type=kind)
