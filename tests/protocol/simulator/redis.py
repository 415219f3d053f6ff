"""Redis as the claims and the shared health use it: values that lapse, and may be lost at any time."""

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from redis.exceptions import ConnectionError as RedisConnectionError
from simulator.net import Net, Server

Command = Callable[[], Any]


class RedisServer:
    """What it holds, shared by the clients of all processes."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.server = Server("redis", lambda: RedisConnectionError("it broke"), exposure=0.3)
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

    def execute(self, name: str, key: str, *rest: Any) -> Any:
        """One command, as it travels."""
        match name:
            case "SET":
                return self.set(key, rest[0], _after(rest, "PX"), nx="NX" in rest, get="GET" in rest)
            case "PEXPIRE":
                return self.pexpire(key, rest[0])
            case "DEL":
                return self.delete(key)
            case _:
                raise NotImplementedError(name)

    def set(self, key: str, value: str, px: int, *, nx: bool, get: bool) -> Any:
        old = self.get(key)
        if old is None or not nx:
            self._values[key] = value.encode(), self.net.loop.time() + px / 1000
            return old if get else True
        return old if get else None

    def pexpire(self, key: str, px: int) -> bool:
        value = self.get(key)
        if value is not None:
            self._values[key] = value, self.net.loop.time() + px / 1000
        return value is not None

    def delete(self, key: str) -> int:
        return int(self._values.pop(key, None) is not None)

    def hgetall(self, key: str) -> dict[bytes, bytes]:
        return {name.encode(): value for name, value in self._hashes.get(key, {}).items()}

    def swap(self, key: str, parts: tuple[Any, ...]) -> list[bytes]:
        """The script `_SWAP` of `router.adapters.health`."""
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
        """The script `_GIVE_BACK` of `router.adapters.health`."""
        if self.get(key) == holder.encode():
            self.delete(key)


class SimRedis:
    """The client of one process: the commands that are used, and pipelines of them."""

    def __init__(self, redis: RedisServer) -> None:
        self._redis = redis

    def pipeline(self, *, transaction: bool) -> "SimPipeline":
        return SimPipeline(self._redis)

    async def hgetall(self, key: str) -> dict[bytes, bytes]:
        return await self._do(lambda: self._redis.hgetall(key))

    async def set(self, key: str, value: str, *, px: int, nx: bool = False) -> bool | None:
        return await self._do(lambda: self._redis.set(key, value, px, nx=nx, get=False))

    async def pexpire(self, key: str, px: int) -> bool:
        return await self._do(lambda: self._redis.pexpire(key, px))

    async def eval(self, script: str, _count: int, key: str, *arguments: Any) -> Any:
        if "HSET" in script:
            return await self._do(lambda: self._redis.swap(key, arguments))
        return await self._do(lambda: self._redis.give_back(key, arguments[0]))

    async def _do(self, command: Command) -> Any:
        return await self._redis.net.call(self._redis.server, command)


class SimPipeline:
    """Commands that travel together."""

    def __init__(self, redis: RedisServer) -> None:
        self._redis = redis
        self._commands: list[Command] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held."""

    def execute_command(self, *parts: Any, **_options: Any) -> None:
        self._commands.append(lambda: self._redis.execute(*parts))

    async def execute(self) -> list[Any]:
        return await self._redis.net.call(self._redis.server, lambda: [command() for command in self._commands])


def _after(parts: tuple[Any, ...], name: str) -> int:
    """The number behind an option."""
    return parts[parts.index(name) + 1]
