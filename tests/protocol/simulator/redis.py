"""Redis as the claims and the shared health use it: values that lapse, and may be lost at any time."""

from collections.abc import Sequence
from typing import Any

from simulator.net import Net, Server

from allweather.provider_worker.adapters.claims import LEASE_MS, RENEW_EVERY_S
from allweather.runtime.redis_client import Answer, Command


class RedisServer:
    """What it holds, shared by the clients of all processes."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.server = Server(
            "redis",
            lambda: ConnectionError("it broke"),
            exposure=0.3,
            patience_s=LEASE_MS / 1000 - RENEW_EVERY_S,  # a lease whose renewal comes later may have lapsed
        )
        self.version = 0
        """How often a hash has changed."""
        self._values: dict[str, tuple[bytes, float]] = {}
        self._hashes: dict[str, dict[str, bytes]] = {}

    def lose_everything(self) -> None:
        self.server.troubled = True
        self._values.clear()
        self._hashes.clear()

    def get(self, key: str) -> bytes | None:
        value, until = self._values.get(key, (None, 0.0))
        return value if until > self.net.loop.time() else None

    def execute(self, name: Any, key: Any, *rest: Any) -> Answer:
        """One command, as it travels."""
        match name:
            case "SET":
                return self.set(key, rest[0], _lifetime_ms(rest), nx="NX" in rest, get="GET" in rest)
            case "GET":
                return self.get(key)
            case "PEXPIRE":
                return self.pexpire(key, rest[0])
            case "DEL":
                return self.delete(key)
            case "HGETALL":
                return self.hgetall(key)
            case "EVAL":
                return self.eval(key, *rest)
            case _:
                raise NotImplementedError(name)

    def eval(self, script: str, _count: int, key: str, *arguments: Any) -> Answer:
        """The scripts: one of `router.adapters.health`, and one that it shares with the claims."""
        return self.swap(key, arguments) if "HSET" in script else self.give_back(key, arguments[0])

    def set(self, key: str, value: str | bytes, px: int, *, nx: bool, get: bool) -> Answer:
        old = self.get(key)
        if old is None or not nx:
            kept = value.encode() if isinstance(value, str) else value
            self._values[key] = kept, self.net.loop.time() + px / 1000
            return old if get else b"OK"
        return old if get else None

    def pexpire(self, key: str, px: int) -> int:
        value = self.get(key)
        if value is not None:
            self._values[key] = value, self.net.loop.time() + px / 1000
        return int(value is not None)

    def delete(self, key: str) -> int:
        return int(self._values.pop(key, None) is not None)

    def hgetall(self, key: str) -> list[bytes]:
        return [part for name, value in self._hashes.get(key, {}).items() for part in (name.encode(), value)]

    def swap(self, key: str, parts: tuple[Any, ...]) -> list[bytes]:
        """`_SWAP`."""
        self.version += 1
        states = self._hashes.setdefault(key, {})
        refused: list[bytes] = []
        for name, old, new in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
            if states.get(name, b"") == old:
                states[name] = new
            else:
                refused.append(name.encode())
        return refused

    def give_back(self, key: str, holder: str) -> None:
        """`_GIVE_BACK`."""
        if self.get(key) == holder.encode():
            self.delete(key)


class SimLine:
    """A connection of the production client."""

    broken = False

    def __init__(self, redis: RedisServer) -> None:
        self._redis = redis

    async def exchange(self, commands: Sequence[Command]) -> list[Answer]:
        return await self._redis.net.call(
            self._redis.server, lambda: [self._redis.execute(*command) for command in commands]
        )

    def drop(self) -> None:
        """Nothing is held."""


def _lifetime_ms(options: tuple[Any, ...]) -> int:
    """How long a value is kept."""
    seconds = "EX" in options
    return options[options.index("EX" if seconds else "PX") + 1] * (1000 if seconds else 1)
