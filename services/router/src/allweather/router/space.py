"""How much each tenant has parked, and whether that is all it may."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from allweather.contracts.config import Configuration, Limits


class Occupied(NamedTuple):
    """What a tenant has in the queue, of one class."""

    tenant: str
    priority: str
    requests: int
    bytes: int


class ParkingSpace:
    """The last count of the queue, and what was parked since. Between two counts it may be a little behind."""

    def __init__(self, config: Configuration) -> None:
        self._config = config
        self._requests: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    def counted(self, queue: Iterable[Occupied]) -> None:
        """The queue was counted."""
        self._requests.clear()
        self._bytes.clear()
        for each in queue:
            self._requests[each.tenant] += each.requests
            self._bytes[each.tenant] += each.bytes

    def took(self, tenant: str, size: int) -> None:
        """A request of `size` bytes was parked."""
        self._requests[tenant] += 1
        self._bytes[tenant] += size

    def full(self, tenant: str) -> bool:
        """Whether the tenant may not park another request."""
        known = self._config.tenant(tenant)
        limits = known.limits if known else Limits()
        return self._requests[tenant] >= limits.parked_requests or self._bytes[tenant] >= limits.parked_bytes
