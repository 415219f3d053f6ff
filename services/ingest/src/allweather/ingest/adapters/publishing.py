"""Publishing at a door: what comes up at nearly the same time goes out in one batch."""

import asyncio
from collections.abc import Sequence
from typing import Final

from allweather.messaging import Linger, Message, MessagingError, PermanentError, Publisher

_Waiting = tuple[Message, "asyncio.Future[None]"]

MOST_AT_ONCE: Final = 500
LINGER: Final = Linger()
"""From one batch to the next: under load they fill, and a caller by itself never waits."""


class Coalesced:
    """Publishes single messages in batches; each caller learns the fate of its own message."""

    def __init__(self, publisher: Publisher, *, timeout: float) -> None:
        self._publisher = publisher
        self._timeout = timeout
        self._waiting: list[_Waiting] = []
        self._sending: set[asyncio.Task[None]] = set()
        self._next = 0.0

    async def publish(self, message: Message) -> None:
        """Return when `message` is acknowledged. Raises what the publisher raises for it."""
        loop = asyncio.get_running_loop()
        acknowledged: asyncio.Future[None] = loop.create_future()
        if not self._waiting:
            loop.call_at(max(loop.time(), self._next), self._flush)
        self._waiting.append((message, acknowledged))
        await acknowledged

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._next = asyncio.get_running_loop().time() + LINGER.after(len(waiting))
        for start in range(0, len(waiting), MOST_AT_ONCE):
            sending = asyncio.ensure_future(self._send(waiting[start : start + MOST_AT_ONCE]))
            self._sending.add(sending)
            sending.add_done_callback(self._sending.discard)

    async def _send(self, batch: Sequence[_Waiting]) -> None:
        try:
            await self._publisher.publish([message for message, _ in batch], timeout=self._timeout)
        except PermanentError as error:
            await self._one_by_one(batch, error)
        except MessagingError as error:
            _tell(batch, error)
        except BaseException:
            _cancel(batch)
            raise
        else:
            _tell(batch, None)

    async def _one_by_one(self, batch: Sequence[_Waiting], error: PermanentError) -> None:
        """One message of the batch can never be sent, and so nothing of it was: the others must not suffer."""
        if len(batch) == 1:
            return _tell(batch, error)
        await asyncio.gather(*(self._send([one]) for one in batch))
        return None


def _tell(batch: Sequence[_Waiting], error: MessagingError | None) -> None:
    for _, acknowledged in batch:
        if acknowledged.done():
            continue
        if error is None:
            acknowledged.set_result(None)
        else:
            acknowledged.set_exception(error)


def _cancel(batch: Sequence[_Waiting]) -> None:
    for _, acknowledged in batch:
        acknowledged.cancel()
