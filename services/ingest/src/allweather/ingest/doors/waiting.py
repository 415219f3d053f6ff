"""How long a caller waits, and how it is noticed that it has gone."""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from starlette.types import Receive

from allweather.contracts import headers
from allweather.contracts.deadlines import deadline_ms
from allweather.ingest import refusals
from allweather.ingest.http import Incoming
from allweather.ingest.submission import Submission
from allweather.ingest.waiters import CALLER_GONE, Waiter

GRACE_S: Final = 5.0
"""An expired request gets its outcome within this time after its deadline: worth the wait."""

_PREFERRED = re.compile(rb"(?:^|[,;\s])wait=\"?([0-9]+)\"?(?:$|[,;\s])")


def wait_limit(submission: Submission, incoming: Incoming) -> float:
    """Seconds after which the door gives up on a caller: its own limit, at most the request's deadline.

    Raises `Refused` when the limit is no number.
    """
    asked = _asked(incoming)
    most = _until_deadline(submission) + GRACE_S
    return most if asked is None else min(asked, most)


def _asked(incoming: Incoming) -> float | None:
    own = incoming.get(b"x-allweather-wait")
    if own is not None:
        if not own.isdigit() or len(own) > 9:
            raise refusals.invalid("invalid_header", "The header 'x-allweather-wait' is a number of seconds.")
        return float(own)
    preferred = _PREFERRED.search(incoming.only(b"prefer") or b"")
    return float(preferred[1][:9]) if preferred else None


def _until_deadline(submission: Submission) -> float:
    """Seconds from acceptance. A deadline that makes no sense is policy's to refuse, which it does at once."""
    try:
        text = submission.hints.get(headers.DEADLINE, b"600").decode()
        return max(0.0, (deadline_ms(text, submission.accepted_at_ms) - submission.accepted_at_ms) / 1000)
    except (ValueError, OverflowError):
        return GRACE_S


@asynccontextmanager
async def noticing_departure(receive: Receive, waiter: Waiter) -> AsyncGenerator[None]:
    """Tell `waiter` when its caller closes the connection while the block runs."""

    async def listen() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        waiter.give(CALLER_GONE)

    listening = asyncio.create_task(listen())
    try:
        yield
    finally:
        listening.cancel()
