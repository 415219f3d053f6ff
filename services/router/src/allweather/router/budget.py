"""The retry budget: repeats are a tenth of first attempts, so they cannot multiply the load on a vendor in trouble."""

from dataclasses import dataclass


@dataclass(slots=True)
class RetryBudget:
    """What one group of deployments (vendor and model) may still be asked again."""

    share: float = 0.1
    """Repeats earned by a first attempt."""
    cap: float = 100.0
    refill_ms: int = 10_000
    """One repeat in so long is always allowed: a tenth of very little would be never."""
    tokens: float = 10.0
    refilled_ms: int = 0

    def allows(self, now_ms: int) -> bool:
        """Whether a repeat may be made at `now_ms`."""
        if self.tokens < 1 and now_ms - self.refilled_ms >= self.refill_ms:
            self.tokens, self.refilled_ms = 1.0, now_ms
        return self.tokens >= 1

    def earn(self) -> None:
        """A first attempt was made."""
        self.tokens = min(self.cap, self.tokens + self.share)

    def spend(self) -> None:
        """A repeat was made."""
        self.tokens = max(0.0, self.tokens - 1)
