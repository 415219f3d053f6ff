"""The retry budget: repeats are a tenth of first attempts, so they cannot multiply the load on a vendor in trouble."""

from dataclasses import dataclass

_ROUNDING = 1e-9


@dataclass(slots=True)
class RetryBudget:
    """What one group of deployments (vendor and model) may still be asked again."""

    share: float = 0.1
    """Repeats earned by a first attempt."""
    cap: float = 100.0
    refill_ms: int = 10_000
    """One repeat in so long is always allowed: a tenth of very little would be never."""
    tokens: float = 10.0
    spent_ms: int = 0

    def allows(self, now_ms: int) -> bool:
        """Whether a repeat may be made at `now_ms`."""
        return self.tokens >= 1 - _ROUNDING or now_ms - self.spent_ms >= self.refill_ms

    def earn(self) -> None:
        """A first attempt was made."""
        self.tokens = min(self.cap, self.tokens + self.share)

    def spend(self, now_ms: int) -> None:
        """A repeat was made."""
        self.tokens, self.spent_ms = max(0.0, self.tokens - 1), now_ms
