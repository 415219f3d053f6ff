"""How much each tenant has parked, and whether that is all it may."""

from collections import Counter
from collections.abc import Mapping

from allweather.contracts.config import Configuration, Limits


class ParkingSpace:
    """The last count of the queue, and what was parked since. Between two counts it may be a little behind."""

    def __init__(self, config: Configuration) -> None:
        self._config = config
        self._requests: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    def counted(self, parked: Mapping[str, tuple[int, int]]) -> None:
        """The queue was counted: requests and bytes by tenant."""
        self._requests = Counter({tenant: requests for tenant, (requests, _) in parked.items()})
        self._bytes = Counter({tenant: size for tenant, (_, size) in parked.items()})

    def took(self, tenant: str, size: int) -> None:
        """A request of `size` bytes was parked."""
        self._requests[tenant] += 1
        self._bytes[tenant] += size

    def full(self, tenant: str) -> bool:
        """Whether the tenant may not park another request."""
        known = self._config.tenant(tenant)
        limits = known.limits if known else Limits()
        return self._requests[tenant] >= limits.parked_requests or self._bytes[tenant] >= limits.parked_bytes
