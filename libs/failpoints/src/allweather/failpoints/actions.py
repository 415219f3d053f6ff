"""What an armed failpoint does when its turn has come."""

import os
import signal
import time
from dataclasses import dataclass
from typing import Literal

Action = Literal["skip", "kill", "stop", "raise", "block", "sleep"]

TIMED = frozenset({"block", "sleep"})
"""Actions that take a number of seconds: `block` stalls the whole process, `sleep` only the coroutine."""


class FailpointReached(Exception):
    """A failpoint was told to raise here."""


@dataclass(slots=True)
class Armed:
    """One failpoint with its action, due at every turn or only at the `only_at`-th one."""

    name: str
    action: Action
    seconds: float = 0.0
    only_at: int | None = None
    turns: int = 0

    def due(self) -> bool:
        """Count this turn and say whether the action falls on it."""
        self.turns += 1
        return self.only_at is None or self.turns == self.only_at

    def fire(self) -> None:
        """Do it. Returns only from `block` and, once continued, from `stop`."""
        match self.action:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "stop":
                os.kill(os.getpid(), signal.SIGSTOP)
            case "block":
                time.sleep(self.seconds)
            case "raise":
                raise FailpointReached(self.name)
            case "sleep" | "skip":
                raise ValueError(f"{self.name}={self.action} cannot act here: `sleep` needs an awaited point (`pause`)")
