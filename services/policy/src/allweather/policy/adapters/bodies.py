"""Bodies in the payload store, with the store's troubles as instructions to the consumer."""

from allweather.messaging import TransientError
from allweather.runtime.payloads import PayloadCorrupt, PayloadMissing, Payloads


class Bodies:
    """Reads and keeps bodies; a store that is away makes the batch wait, it never makes a verdict."""

    def __init__(self, store: Payloads) -> None:
        self._store = store

    async def read(self, digest: str) -> bytes | None:
        """The body under `digest`, or None when the store does not have it whole."""
        try:
            return await self._store.get(digest)
        except (PayloadMissing, PayloadCorrupt):
            return None
        except OSError as error:
            raise TransientError(f"payload store: {error.strerror}") from error

    async def keep(self, body: bytes) -> None:
        """Keep a body durably."""
        try:
            await self._store.put(body)
        except OSError as error:
            raise TransientError(f"payload store: {error.strerror}") from error
