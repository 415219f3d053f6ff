"""Where a service's processor time goes: py-spy samples its stacks, and each sample counts for one stage."""

import asyncio
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).parent
_TOOLS: Final = _FOLDER / ".tools"
_SPY: Final = _TOOLS / "bin" / "py-spy"
_HERTZ: Final = "200"
_TOP: Final = 15

STAGES: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("telemetry", ("opentelemetry/", "allweather/telemetry/", "prometheus_client/", "logging/")),
    ("kafka client", ("aiokafka/",)),
    ("postgres client", ("asyncpg/", "allweather/runtime/postgres.py")),
    ("redis client", ("allweather/runtime/redis", "/redis/")),
    ("http out", ("aiohttp/", "yarl/", "multidict/")),
    ("http in", ("uvicorn/", "starlette/", "httptools/")),
    ("messaging", ("allweather/messaging/",)),
    ("records", ("allweather/contracts/", "pydantic/", "msgspec/")),
    ("service", ("allweather/",)),
)
"""Stage and the paths of its code; the innermost frame that is of any stage decides."""
_OURS: Final = "/allweather/"
_LIBRARIES: Final = "/site-packages/"
_WRAPPER: Final = re.compile("/runtime/service.py|/__main__.py")
"""At the root of every stack of ours."""
_REST: Final = "event loop and the rest"


class NoProfile(Exception):
    """The profiler cannot be had, or may not look at our processes."""


@dataclass(frozen=True, slots=True)
class Profile:
    """The samples of one process, as shares of all that it was busy in."""

    stages: Mapping[str, float]
    functions: Mapping[str, float]
    """By the innermost function of ours, or else of a library; what it calls in other code counts for it."""


async def install(report: Callable[[str], None]) -> None:
    """Install the profiler if it is not there. Raises `NoProfile`."""
    if _SPY.exists():
        return
    report("installing the profiler (py-spy, by bench/profiler.lock)")
    uv = Path(sys.executable).with_name("uv")
    lock = str(_FOLDER / "profiler.lock")
    await _run(str(uv), "pip", "install", "--quiet", "--require-hashes", "--target", str(_TOOLS), "-r", lock)


async def record(pids: Mapping[str, int], seconds: float, folder: Path) -> dict[str, Profile]:
    """Sample all these processes for so long; the stacks are kept in `folder`, for speedscope or any flame graph."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    files = {name: folder / f"{name}.folded" for name in pids}
    await asyncio.gather(*(_sample(pid, seconds, files[name]) for name, pid in pids.items()))
    return {name: read(file.read_text().splitlines()) for name, file in files.items()}


def read(folded: Iterable[str]) -> Profile:
    """The profile in lines of `frame;frame;... samples`."""
    stages, functions, total = Counter[str](), Counter[str](), 0
    for line in folded:
        stack, _, samples = line.rpartition(" ")
        frames = stack.split(";")
        stages[stage_of(frames)] += int(samples)
        functions[function_of(frames)] += int(samples)
        total += int(samples)
    return Profile(_shares(stages, total), _shares(Counter(dict(functions.most_common(_TOP))), total))


def stage_of(frames: Sequence[str]) -> str:
    """The stage of a stack, outermost frame first."""
    found = (stage for frame in reversed(frames) for stage, paths in STAGES if any(path in frame for path in paths))
    return next(found, _REST)


def function_of(frames: Sequence[str]) -> str:
    """Which function a stack is put down to."""
    for home in (_OURS, _LIBRARIES):
        for frame in reversed(frames):
            if home in frame and not _WRAPPER.search(frame):
                return _short(frame, home)
    return _short(frames[-1], "lib/")


def _shares(counts: Counter[str], total: int) -> dict[str, float]:
    return {name: count / total for name, count in counts.most_common()} if total else {}


def _short(frame: str, home: str) -> str:
    function, _, place = frame.rpartition(" (")
    return f"{function} ({place.rpartition(home)[2].rpartition(':')[0]})"


async def _sample(pid: int, seconds: float, file: Path) -> None:
    limits = ("--duration", str(int(seconds)), "--rate", _HERTZ, "--gil", "--full-filenames")
    await _run(str(_SPY), "record", "--pid", str(pid), *limits, "--format", "raw", "--output", str(file))


async def _run(*command: str) -> None:
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdout=quiet, stderr=asyncio.subprocess.PIPE)
    try:
        _, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    if process.returncode:
        raise NoProfile(f"{Path(command[0]).name} failed (may it trace processes here?):\n{errors.decode()[-1000:]}")
