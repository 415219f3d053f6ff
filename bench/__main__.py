"""`make bench`: start the system, measure it, print and write the figures, and stop everything again."""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from allweather.local import foreground
from allweather.local.errors import StackError
from bench import load, profile, report, translation
from bench.load import Unavailable
from bench.profile import NoProfile, Profile
from bench.report import Figures
from bench.scenarios import Run
from bench.system import NotQuiet, started

_FOLDER: Final = Path(__file__).parent
REPORT: Final = _FOLDER / "report.json"
OUT: Final = _FOLDER / "out"
SCENARIOS: Final = ("idle", "latency", "saturation", "kafka", "streams", "batch")
"""Those that measure the running system."""
TRANSLATION: Final = "translation"


def main() -> int:
    """The exit code: 0, 1 when requests failed or the system did not come to rest, 3 when it could not be run."""
    given = _arguments()
    progress = _Progress()
    OUT.mkdir(exist_ok=True)
    try:
        chosen = given.only or (TRANSLATION, *SCENARIOS)
        figures = foreground.run(_run(chosen, given.seconds, given.profile, progress.say))
    except (StackError, Unavailable, NoProfile) as problem:
        progress.say(str(problem))
        return 3
    except NotQuiet as problem:
        progress.say(str(problem))
        return 1
    whole = not given.only and not given.profile
    file = REPORT if whole else OUT / "report.json"
    report.write(figures, file)
    progress.say(f"written to {file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file}")
    return 1 if figures.failed else 0


async def _run(scenarios: Sequence[str], seconds: float, profiled: bool, say: report.Say) -> Figures:
    figures = Figures(seconds=seconds, conditions=report.conditions())
    if TRANSLATION in scenarios:
        say("translation")
        _add_translation(figures)
    running = [name for name in scenarios if name != TRANSLATION]
    if not running:
        _say_table(figures, {})
        return figures
    await load.install(say)
    if profiled:
        await profile.install(say)
    async with started(say) as bench:
        run = Run(bench, seconds, say, figures, OUT if profiled else None)
        await run.warm_up()
        for name in running:
            await getattr(run, name)()
        run.memory()
    _say_table(figures, run.profiles)
    return figures


def _add_translation(figures: Figures) -> None:
    costs = translation.measure()
    figures.translation_us_per_request = max(costs.requests.values())
    figures.translation_us_per_chunk = max(costs.chunks.values())
    figures.translation_us_by_pair, figures.translation_us_of_chunks_by_pair = dict(costs.requests), dict(costs.chunks)
    figures.reading_us_by_dialect = dict(costs.read)


def _say_table(figures: Figures, profiles: Mapping[str, Mapping[str, Profile]]) -> None:
    lines = [*report.table(figures)]
    for name, cpu_ms in (("latency", figures.cpu_ms_by_process_at_50), ("saturation", figures.cpu_ms_by_process)):
        lines += report.profile_table(name, profiles[name], cpu_ms) if name in profiles else ()
    sys.stdout.write("\n".join(lines) + "\n")


class _Progress:
    """Lines on the standard error, with the time since the beginning."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def say(self, line: str) -> None:
        sys.stderr.write(f"[{time.monotonic() - self._began:5.1f} s] {line}\n")
        sys.stderr.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each measurement loads the system")
    parser.add_argument(
        "--only", action="append", choices=(TRANSLATION, *SCENARIOS), help="this measurement; can be repeated"
    )
    parser.add_argument("--profile", action="store_true", help="sample the services' stacks during saturation")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
