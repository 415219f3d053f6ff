"""Which loopback port each program takes: fixed ones that people can remember, or free ones for tests."""

import random
import socket
from collections.abc import Mapping

from allweather.local.errors import PortTaken

# Below the range that kernels give to outgoing connections, so that a free port stays free until it is bound.
_FREE = range(20_000, 32_000)
_MOST_BROKERS = 3

_OFFSETS = {
    "http": 0,
    "kafka-1": 10,
    "kafka-2": 11,
    "kafka-3": 12,
    "kafka-1.controller": 20,
    "kafka-2.controller": 21,
    "kafka-3.controller": 22,
    "postgres": 30,
    "valkey": 40,
    "vendorsim": 50,
}
# End points that take the ports behind theirs as well: the simulators have one more for each vendor, and room for more.
_WIDTHS = {"vendorsim": 16}
_PROBES = 100
_SLOT = 50


class Ports:
    """Hands out ports by name; the same name always gets the same port."""

    def __init__(self, base: int, overrides: Mapping[str, int] | None = None) -> None:
        self._base = base
        self._given = dict(overrides or {})

    def of(self, name: str) -> int:
        """The port of a well-known end point (`http`, `kafka-1`, `postgres`, ...)."""
        if name not in self._given:
            self._given[name] = self._base + _OFFSETS[name] if self._base else self._free(_WIDTHS.get(name, 1))
        return self._given[name]

    def probe(self, index: int, slot: int) -> int:
        """Where replica `slot` of the service at `index` answers /livez, /readyz and /metrics."""
        fixed = self._base + _PROBES + _SLOT * slot + index
        name = f"probe {index}/{slot}"
        if name not in self._given:
            self._given[name] = fixed if self._base else self._free()
        return self._given[name]

    def _free(self, width: int = 1) -> int:
        blocks = (range(first, first + width) for first in random.sample(_FREE, 200))
        return next(block[0] for block in blocks if all(self._is_ours_to_take(port) for port in block))

    def _is_ours_to_take(self, port: int) -> bool:
        taken = (range(first, first + _WIDTHS.get(name, 1)) for name, first in self._given.items())
        return not any(port in block for block in taken) and is_free(port)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: a connection that lingers from the last run does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def require_free(name: str, port: int) -> None:
    if not is_free(port):
        raise PortTaken(f"port {port} for {name} is in use; end that program, or set ALLWEATHER_PORT_BASE to move all")
