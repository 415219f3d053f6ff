"""Breakers and probe leases shared through Redis, beside the path of requests: without Redis the board works alone."""

import asyncio
from contextlib import suppress
from typing import Final

import msgspec

from allweather.router import breaker
from allweather.router.breaker import Breaker
from allweather.router.health import HealthBoard
from allweather.runtime.clock import Clock
from allweather.runtime.redis import AWAY, RedisGuard

BREAKERS: Final = "router:breakers"
"""A hash: deployment or credential -> its `Breaker` as JSON."""
LEASE: Final = "router:probe:"
"""Who may make the next probe of a breaker; one key for each."""
_LEASE_MS: Final = 2_000
"""An unused lease is given back so soon: another replica may have a request that can probe."""
_ATTEMPTS: Final = 3
_UNSHARED: Final = 2_000
"""Observations kept for a breaker while Redis is away; its window holds no more at any load that matters."""
_BUSY_S, _CALM_S = 0.25, 1.0

# Writes each state whose old value nobody has changed meanwhile, and returns the names of the others.
_SWAP: Final = """
local refused = {}
for i = 1, #ARGV, 3 do
    if (redis.call('HGET', KEYS[1], ARGV[i]) or '') == ARGV[i + 1] then
        redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2])
    else
        refused[#refused + 1] = ARGV[i]
    end
end
return refused
"""
_GIVE_BACK: Final = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


class SharedHealth:
    """Keeps a board in step with those of the other replicas."""

    def __init__(self, board: HealthBoard, redis: RedisGuard, clock: Clock, *, replica: str) -> None:
        self._board = board
        self._redis = redis
        self._clock = clock
        self._replica = replica
        self._shared: dict[str, bytes] = {}
        self._leased: dict[str, int] = {}
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder(Breaker).decode

    async def start(self) -> None:
        """Learn what the others know. When nobody can be asked, assume that everything has just recovered."""
        if not await self._read():
            self._board.recovered_at_ms = self._clock.now_ms()

    async def run(self, stopping: asyncio.Event) -> None:
        """Share until told to stop."""
        while not stopping.is_set():
            await self.sync()
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), _BUSY_S if self._busy() else _CALM_S)

    async def sync(self) -> None:
        """Share what this replica has seen, learn what the others have, and lease the probes that may be made."""
        for _ in range(_ATTEMPTS):
            if await self._read() and await self._write():
                break
        self._board.forget(self._clock.now_ms())
        self._give_leases_back()
        await self._take_leases()

    def _busy(self) -> bool:
        return bool(self._board.unshared) or any(b.status != "closed" for b in self._board.breakers.values())

    async def _read(self) -> bool:
        found = await self._redis.call("HGETALL", BREAKERS)
        if found is AWAY:
            self._forget_oldest()
            return False
        states = {name.decode(): state for name, state in zip(found[::2], found[1::2], strict=True)}
        for name, state in states.items():
            if self._shared.get(name) != state:
                self._board.adopt(name, self._decode(state), self._clock.now_ms())
        self._shared = states
        return True

    async def _write(self) -> bool:
        """Whether everything that was seen until now is shared."""
        counts = {name: len(seen) for name, seen in self._board.unshared.items()}
        if not counts:
            return True
        states = {name: self._with_unshared(name) for name in counts}
        arguments = [part for name, new in states.items() for part in (name, self._shared.get(name, b""), new)]
        refused = await self._redis.call("EVAL", _SWAP, 1, BREAKERS, *arguments)
        if refused is AWAY:
            return True
        for name in counts.keys() - {key.decode() for key in refused}:
            self._shared[name] = states[name]
            self._settle(name, counts[name])
        return not refused

    def _with_unshared(self, name: str) -> bytes:
        """What the others know and what only this replica has seen; all that this one knows when they know nothing."""
        shared = self._shared.get(name)
        if shared is None:
            return self._encode(self._board.breakers[name])
        unshared = self._board.unshared[name]
        state = breaker.step(self._decode(shared), unshared, self._clock.now_ms(), self._board.settings)
        return self._encode(state)

    def _settle(self, name: str, count: int) -> None:
        del self._board.unshared[name][:count]
        if not self._board.unshared[name]:
            del self._board.unshared[name]
        self._board.adopt(name, self._decode(self._shared[name]), self._clock.now_ms())

    def _forget_oldest(self) -> None:
        for seen in self._board.unshared.values():
            del seen[:-_UNSHARED]

    async def _take_leases(self) -> None:
        for name in self._board.wanted_leases(self._clock.now_ms()):
            granted = await self._redis.call("SET", LEASE + name, self._replica, "NX", "PX", _LEASE_MS)
            if granted:  # or AWAY: then every replica probes for itself
                self._board.leases.add(name)
                self._leased[name] = self._clock.now_ms() + _LEASE_MS

    def _give_leases_back(self) -> None:
        """Keep the leases of probes under way; give those back that are used up or that nobody here could use."""
        now_ms = self._clock.now_ms()
        under_way = {key: probe.until_ms for probe in self._board.probing.values() for key in probe.keys}
        for name, until_ms in list(self._leased.items()):
            if name in under_way:
                left = max(1, under_way[name] - now_ms)
                self._redis.post("PEXPIRE", LEASE + name, left)
            elif name not in self._board.leases or until_ms <= now_ms:
                self._board.leases.discard(name)
                del self._leased[name]
                self._redis.post("EVAL", _GIVE_BACK, 1, LEASE + name, self._replica)
