"""The figures of a run: collected, written as JSON, and said as a table."""

import os
import platform
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from bench.profile import Profile

Say = Callable[[str], None]

_BARS: Final[Mapping[str, tuple[str, float]]] = {
    "saturation_rps": (">=", 1000),
    "cpu_ms_per_request": ("<=", 1.6),
    "added_p50_ms": ("<=", 11),
    "added_p99_ms": ("<=", 25),
    "cpu_ms_per_request_at_50": ("<=", 12),
    "streams_per_s": (">=", 300),
    "idle_cores": ("<=", 0.15),
    "translation_us_per_request": ("<=", 150),
    "translation_us_per_chunk": ("<=", 60),
    "batch_lost": ("<=", 0),
    "batch_doubled": ("<=", 0),
    "batch_most_open": ("<=", 1000),
    "batch_adds_up": (">=", 1),
}
_BY_NAME: Final = (
    *("cpu_ms_by_process", "cpu_ms_by_process_at_50", "idle_cores_by_process", "rss_mb", "other_cores"),
    *("reading_us_by_dialect", "translation_us_by_pair", "translation_us_of_chunks_by_pair"),
)
_MOST_MB: Final = 120


class Figures(msgspec.Struct):
    """What was measured; None where it was not."""

    saturation_rps: float | None = None
    saturation_p50_ms: float | None = None
    saturation_p99_ms: float | None = None
    cpu_ms_per_request: float | None = None
    cpu_ms_by_process: dict[str, float] = msgspec.field(default_factory=dict[str, float])
    direct_p50_ms: float | None = None
    direct_p99_ms: float | None = None
    added_p50_ms: float | None = None
    added_p99_ms: float | None = None
    cpu_ms_per_request_at_50: float | None = None
    cpu_ms_by_process_at_50: dict[str, float] = msgspec.field(default_factory=dict[str, float])
    kafka_saturation_rps: float | None = None
    kafka_cpu_ms_per_request: float | None = None
    kafka_added_p50_ms: float | None = None
    kafka_added_p99_ms: float | None = None
    kafka_cpu_ms_per_request_at_50: float | None = None
    streams_per_s: float | None = None
    cpu_ms_per_stream: float | None = None
    direct_first_chunk_ms: float | None = None
    added_first_chunk_ms: float | None = None
    saturation_first_chunk_ms: float | None = None
    idle_cores: float | None = None
    idle_cores_by_process: dict[str, float] = msgspec.field(default_factory=dict[str, float])
    translation_us_per_request: float | None = None
    """Processor microseconds for 2 KB, of the dearest pair of dialect and vendor."""
    translation_us_per_chunk: float | None = None
    reading_us_by_dialect: dict[str, float] = msgspec.field(default_factory=dict[str, float])
    """What policy spends on reading the same request."""
    translation_us_by_pair: dict[str, float] = msgspec.field(default_factory=dict[str, float])
    translation_us_of_chunks_by_pair: dict[str, float] = msgspec.field(default_factory=dict[str, float])
    batch_lines: int | None = None
    batch_seconds: float | None = None
    """From the creation of the batch until it has its files."""
    batch_lines_per_s: float | None = None
    batch_cpu_ms_per_line: float | None = None
    batch_most_open: int | None = None
    """Lines submitted and not settled, at the most."""
    batch_lost: int | None = None
    """Lines of which there is no result."""
    batch_doubled: int | None = None
    """Results and outcomes beyond one for each line."""
    batch_adds_up: bool | None = None
    """Whether its `request_counts` are those of its results."""
    rss_mb: dict[str, float] = msgspec.field(default_factory=dict[str, float])
    failed: int = 0
    """Requests that were refused, broke, or came back with something else than the upstream's answer."""
    other_cores: dict[str, float] = msgspec.field(default_factory=dict[str, float])
    """Processors that something else on this machine was busy with, in each measurement: at 0 it was ours alone."""
    generator_cpu_ms_per_request: float | None = None
    seconds: float = 0
    conditions: dict[str, str | int | float] = msgspec.field(default_factory=dict[str, str | int | float])


def conditions() -> dict[str, str | int | float]:
    """The machine, as it is when the run begins."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "load_before": round(os.getloadavg()[0], 2),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
    }


def write(figures: Figures, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(_rounded(figures)), indent=2) + b"\n")


def table(figures: Figures) -> Iterable[str]:
    """The figures line by line, with the bar beside each that has one."""
    values: dict[str, object] = msgspec.to_builtins(_rounded(figures))
    for name, value in values.items():
        if isinstance(value, int | float) and name != "seconds":
            yield f"{name:<32}{value:>10}   {_against_bar(name, value)}".rstrip()
    for name in _BY_NAME:
        parts: dict[str, float] = getattr(figures, name)
        if parts:
            yield name
            yield from (
                f"  {part:<50}{value:>10.3f}   {_too_large(name, part, value)}".rstrip()
                for part, value in parts.items()
            )


def profile_table(title: str, profiles: Mapping[str, Profile], cpu_ms: Mapping[str, float]) -> Iterable[str]:
    """Processor milliseconds of a request by service and stage, and the functions that they were put down to."""
    yield f"profile: {title}"
    for name, profile in profiles.items():
        spent = cpu_ms.get(name, 0.0)
        yield f"{name}: {spent:.3f} ms per request (as profiled)"
        yield from (f"  {share * spent:>7.3f} ms {share:>6.1%}  {stage}" for stage, share in profile.stages.items())
        yield from (f"      {share:>6.1%}  {function}" for function, share in profile.functions.items())


def _against_bar(name: str, value: float) -> str:
    if name not in _BARS:
        return ""
    relation, bar = _BARS[name]
    kept = value >= bar if relation == ">=" else value <= bar
    return f"({relation} {bar:g}{'' if kept else ': MISSED'})"


def _too_large(name: str, part: str, value: float) -> str:
    return f"(<= {_MOST_MB}: MISSED)" if name == "rss_mb" and _is_ours(part) and value > _MOST_MB else ""


def _is_ours(part: str) -> bool:
    return not part.startswith(("kafka", "postgres", "valkey"))


def _rounded(figures: Figures) -> Figures:
    """With three decimals, which is more than is certain."""
    shortened: object = msgspec.json.Decoder(float_hook=_short).decode(msgspec.json.encode(figures))
    return msgspec.convert(shortened, Figures)


def _short(digits: str) -> float:
    return round(float(digits), 3)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())
