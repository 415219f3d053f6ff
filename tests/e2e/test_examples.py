"""What an application team is shown works as it stands."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from allweather.drills.stage import TENANT, Stage

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("example", sorted(path.name for path in EXAMPLES.glob("*.py")))
async def test_an_example_runs(example: str, on: Stage) -> None:
    ends = on.system.end_points
    environment = os.environ | {
        "ALLWEATHER_URL": ends.http,
        "ALLWEATHER_KAFKA_BOOTSTRAP": ends.kafka,
        "ALLWEATHER_KEY": on.system.credentials.key_of(TENANT),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, EXAMPLES / example, env=environment, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(process.communicate(), 90)

    assert process.returncode == 0
    assert len(out.splitlines()) >= 2, "it prints the answers"


def test_there_is_an_example_of_each_way_in() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {"faststream_app.py", "openai_sdk.py", "plain_consumer.py"}
