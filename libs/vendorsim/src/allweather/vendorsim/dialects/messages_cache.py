"""Anthropic's prompt cache: what stands before a `cache_control` is kept, and read when it comes again."""

from collections.abc import Iterator
from hashlib import blake2b
from typing import NamedTuple

from allweather.vendorsim.catalogue import Model
from allweather.vendorsim.memory import PromptCache
from allweather.vendorsim.wire import Json, encode, items, members

_LOOK_BACK = 20
_SECONDS = {"5m": 300.0, "1h": 3600.0}


class CacheUse(NamedTuple):
    """Input tokens, by what the cache did with them; the three kinds make up the whole input."""

    uncached: int
    read: int = 0
    written_5m: int = 0
    written_1h: int = 0


class _Boundary(NamedTuple):
    digest: bytes
    length: int
    ttl: str | None
    """Set where the caller put a breakpoint."""


def use(cache: PromptCache, payload: Json, model: Model, input_tokens: int, now: float) -> CacheUse:
    """Read and write the cache for one request. A prefix that is too short silently runs uncached."""
    blocks = list(_boundaries(payload, model))
    scale = input_tokens / blocks[-1].length if blocks else 0.0
    least = _least(model)
    marked = [at for at, block in enumerate(blocks) if block.ttl and block.length * scale >= least]
    if not marked:
        return CacheUse(input_tokens)
    read = max(_known(cache, blocks, at, now) for at in marked)
    for at in marked:
        cache.keep(blocks[at].digest, now, _SECONDS.get(blocks[at].ttl or "5m", 300.0))
    end = int(blocks[marked[-1]].length * scale)
    read_tokens = int(blocks[read].length * scale) if read >= 0 else 0
    long_ones = [at for at in marked if blocks[at].ttl == "1h" and at > read]
    hours = max(0, int(blocks[long_ones[-1]].length * scale) - read_tokens) if long_ones else 0
    return CacheUse(input_tokens - end, read_tokens, end - read_tokens - hours, hours)


def _least(model: Model) -> int:
    return 1024 if "sonnet" in model.id else 4096


def _known(cache: PromptCache, blocks: list[_Boundary], at: int, now: float) -> int:
    """Return the last boundary at or before a breakpoint that the cache holds, or -1."""
    first = max(0, at + 1 - _LOOK_BACK)
    count = cache.longest([block.digest for block in blocks[first : at + 1]], now)
    return first + count - 1 if count else -1


def _boundaries(payload: Json, model: Model) -> Iterator[_Boundary]:
    """Yield the end of every block, in the order in which the model reads them: tools, system, messages."""
    digest, length = blake2b(model.id.encode(), digest_size=16), 0
    found = list(blocks_of(payload))
    for place, (role, block) in enumerate(found):
        plain = {name: value for name, value in block.items() if name != "cache_control"}
        part = encode([role, plain])
        digest.update(part)
        length += len(part)
        marker = block.get("cache_control")
        if marker is None and place == len(found) - 1:
            marker = payload.get("cache_control")
        ttl = None if marker is None else str(members(marker).get("ttl", "5m"))
        yield _Boundary(digest.digest(), length, ttl)


def blocks_of(payload: Json) -> Iterator[tuple[str, Json]]:
    """Yield every block that can end with a breakpoint, and what it is a part of."""
    for tool in items(payload.get("tools")):
        yield "tools", members(tool)
    yield from _contents("system", payload.get("system"))
    for message in map(members, items(payload["messages"])):
        yield from _contents(str(message.get("role")), message.get("content"))


def _contents(role: str, content: object) -> Iterator[tuple[str, Json]]:
    if isinstance(content, str):
        yield role, {"type": "text", "text": content}
    for block in items(content):
        yield role, members(block)
