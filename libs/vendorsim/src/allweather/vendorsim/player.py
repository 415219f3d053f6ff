"""Carry out the steps of a delivery on one connection."""

import asyncio
from collections.abc import Iterable, MutableMapping
from typing import Any

from allweather.vendorsim.calls import CallRecord
from allweather.vendorsim.connection import Receive, Sender, shut, transport_of
from allweather.vendorsim.delivery import Begin, Close, Send, Step, Wait, with_length
from allweather.vendorsim.wire import Reply


class Line:
    """One request's connection: sends, waits, and notices when the client leaves."""

    def __init__(self, scope: MutableMapping[str, Any], receive: Receive, send: Sender) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send

    async def body(self) -> bytes:
        """Read the whole request body."""
        message = await self._receive()
        parts = [message.get("body", b"")]
        while message.get("more_body", False):
            message = await self._receive()
            parts.append(message.get("body", b""))
        return parts[0] if len(parts) == 1 else b"".join(parts)

    @property
    def left(self) -> bool:
        return transport_of(self._scope).is_closing()

    async def reply(self, reply: Reply) -> None:
        """Send a whole answer."""
        await self._begin(Begin(reply.status, with_length(reply.headers, len(reply.body))))
        await self._send({"type": "http.response.body", "body": reply.body})

    async def play(self, steps: Iterable[Step], record: CallRecord) -> None:
        """Carry out `steps`, and note in `record` how far it came."""
        for step in steps:
            if self.left:
                record.client_left = True
                return
            if not await self._carry_out(step, record):
                return
        await self._send({"type": "http.response.body", "body": b""})

    async def _carry_out(self, step: Step, record: CallRecord) -> bool:
        """Do one step; False when it was the last."""
        match step:
            case Begin(status=status):
                record.status = status
                await self._begin(step)
            case Send(data=data):
                record.chunks += 1
                await self._send({"type": "http.response.body", "body": data, "more_body": True})
            case Wait(seconds=seconds):
                record.client_left = await self._left_within(seconds)
                return not record.client_left
            case Close(reset=reset):
                shut(transport_of(self._scope), reset=reset)
                await self._left_within(None)
                return False
            case _:
                record.client_left = await self._left_within(None)
                return False
        return True

    async def _begin(self, step: Begin) -> None:
        await self._send({"type": "http.response.start", "status": step.status, "headers": step.headers})

    async def _left_within(self, seconds: float | None) -> bool:
        """Wait, at most until the client leaves; tell whether it did."""
        try:
            async with asyncio.timeout(seconds):
                while (await self._receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            return False
        return True
