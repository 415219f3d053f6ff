"""Bodies and responses that are too large for a record, in the payload store. While it is away, we wait for it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from allweather.messaging import PermanentError
from allweather.messaging.progress import note_progress
from allweather.provider_worker.work import Work
from allweather.runtime.payloads import PayloadCorrupt, PayloadMissing, Payloads

log = logging.getLogger(__name__)

T = TypeVar("T")
RETRY_S = 1.0


class Bodies:
    """Reads the body of an attempt, wherever it is; keeps a large response."""

    def __init__(self, payloads: Payloads) -> None:
        self._payloads = payloads

    async def read(self, work: Work) -> bytes:
        """The caller's body. Raises `PermanentError` when it is lost."""
        reference = work.slip.body_ref
        if reference is None:
            return bytes(work.envelope.body)
        try:
            return await _patiently(lambda: self._payloads.get(reference))
        except (PayloadMissing, PayloadCorrupt) as error:
            raise PermanentError(f"the request's body is lost ({type(error).__name__})") from error

    async def keep(self, response: bytes) -> str:
        """The digest under which `response` can be read."""
        return await _patiently(lambda: self._payloads.put(response))


async def _patiently(attempt: Callable[[], Awaitable[T]]) -> T:
    """Try until the store can be used: giving up would call the vendor again for an answer that is here already."""
    while True:
        try:
            return await attempt()
        except OSError as error:
            log.warning("payload store is away", extra={"error": type(error).__name__})
        note_progress()
        await asyncio.sleep(RETRY_S)
