"""A new version of every record is rolled out and back under load."""

import re
import shutil
from pathlib import Path

from lab.lab import Lab
from lab.scenario import Scenario

from allweather.drills.journal import now_ms

_SOURCES = Path(__file__).parents[3] / "libs" / "contracts" / "src"
_RECORDS = ("slip.py", "records.py")
_MODEL = re.compile(r'^class \w+\(Model\):\n    """.*?"""\n', re.MULTILINE | re.DOTALL)
_NEW_FIELD = '\n    of_the_next_version: str = "written by version N+1"\n'
_FEWEST_MODELS = 10


async def rolled_out_and_back(lab: Lab) -> None:
    """Services of N and N+1 read each other's records, whichever goes first."""
    next_version = _next_version(lab.state / "next")
    names, took = lab.service_names(), list[float]()
    for version, order in ((str(next_version), names), ("", lab.chance.sample(names, len(names)))):
        for name in order:
            lab.say(f"restart {name} as version {'N+1' if version else 'N'}")
            lab.services.amend(name, PYTHONPATH=version)
            await lab.services.restart(name)
        took.append(await lab.takeover(now_ms()))
    lab.figures.note("restarts", 2 * len(names))
    lab.figures.within("takeover_s_max", max(took), 20.0)


def _next_version(folder: Path) -> Path:
    """The contracts with another field in every record, as the next version would add one."""
    shutil.copytree(_SOURCES, folder)
    changed = 0
    for name in _RECORDS:
        file = folder / "allweather" / "contracts" / name
        text, count = _MODEL.subn(lambda found: found.group(0) + _NEW_FIELD, file.read_text())
        file.write_text(text)
        changed += count
    if changed < _FEWEST_MODELS:
        raise AssertionError(f"only {changed} records could be given a new field: this scenario no longer knows them")
    return folder


SCENARIOS = (
    Scenario("rolling-deploy", "every service is restarted as N+1 and back as N, one by one", rolled_out_and_back),
)
