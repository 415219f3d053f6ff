"""The pauses of a consumer, for brokers that have no fetches to hold back."""

import asyncio


class Rest:
    """The time in which somebody asks for nothing."""

    def __init__(self) -> None:
        self._until = 0.0

    def begin(self, seconds: float) -> None:
        self._until = asyncio.get_running_loop().time() + seconds

    async def over(self) -> None:
        """Return when it has passed."""
        left = self._until - asyncio.get_running_loop().time()
        if left > 0:
            await asyncio.sleep(left)
