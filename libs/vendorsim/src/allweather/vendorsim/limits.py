"""The rate limits that the vendors' headers tell of, counted per target and minute."""

from allweather.vendorsim.board import Bucket
from allweather.vendorsim.wire import Allowance, Target

REQUESTS_A_MINUTE = 60_000
TOKENS_A_MINUTE = 50_000_000


class Meter:
    """Counts what a target has used in the current minute. It tells, it does not refuse: that is a fault's part."""

    def __init__(self) -> None:
        self._minute = 0
        self._requests: dict[Target, int] = {}
        self._tokens: dict[Target, int] = {}

    def count(self, target: Target, now: float, limit: Bucket | None) -> Allowance:
        """Count a request and return what is left after it; a limit in force is told instead of the usual one."""
        minute, second = divmod(now, 60)
        if minute != self._minute:
            self._minute, self._requests, self._tokens = int(minute), {}, {}
        used = self._requests[target] = self._requests.get(target, 0) + 1
        tokens_left = max(0, TOKENS_A_MINUTE - self._tokens.get(target, 0))
        if limit is not None:
            until_full = (limit.capacity - limit.tokens) / limit.rate
            a_minute = round(limit.rate * 60)
            return Allowance(a_minute, int(limit.tokens), TOKENS_A_MINUTE, tokens_left, until_full)
        left = max(0, REQUESTS_A_MINUTE - used)
        return Allowance(REQUESTS_A_MINUTE, left, TOKENS_A_MINUTE, tokens_left, 60 - second)

    def spend(self, target: Target, tokens: int) -> None:
        self._tokens[target] = self._tokens.get(target, 0) + tokens
