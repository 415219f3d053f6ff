"""`up`, `status` and `down` across processes."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from allweather.local import detached
from allweather.local.errors import AlreadyRunning, StartFailed
from allweather.local.plan import Options
from allweather.local.probes import ready
from allweather.local.settings import LocalSettings
from allweather.local.state import StateFolder

ELSEWHERE = "127.0.0.1:1"
BARE = Options(stack_only=True, topics=False, durable=False)


@pytest.fixture
def valkey_only(tmp_path: Path) -> Iterator[LocalSettings]:
    """A stack whose other servers exist elsewhere: it is up in no time."""
    settings = LocalSettings(
        state_dir=tmp_path / "state", port_base=0, kafka_bootstrap=ELSEWHERE, postgres_dsn=f"postgresql://{ELSEWHERE}/x"
    )
    yield settings
    detached.down(settings)


def up(settings: LocalSettings, options: Options = BARE) -> list[str]:
    lines: list[str] = []
    detached.up(settings, options, lines.append)
    return lines


def supervisor(settings: LocalSettings) -> psutil.Process:
    process = detached.supervisor_of(StateFolder(settings.state_dir))
    assert process
    return process


def test_up_reports_its_progress_status_tells_what_runs_and_down_ends_it(valkey_only: LocalSettings) -> None:
    lines = up(valkey_only)

    assert any(line.startswith("valkey ready on port") for line in lines)
    found = detached.status(valkey_only)
    assert found["up"]
    assert found["kafka"] == ELSEWHERE
    assert found["key"] == found["keys"]["demo"]
    assert found["services"]["valkey"]["ready"]
    assert psutil.pid_exists(found["services"]["valkey"]["pid"])

    assert detached.down(valkey_only)
    assert detached.status(valkey_only) == {"up": False, "services": {}}
    assert not asyncio.run(ready(found["redis"]))
    assert not detached.down(valkey_only)


def test_a_second_up_is_refused_and_changes_nothing(valkey_only: LocalSettings) -> None:
    up(valkey_only)
    first = supervisor(valkey_only)

    with pytest.raises(AlreadyRunning):
        up(valkey_only)

    assert supervisor(valkey_only) == first


def test_status_sees_a_process_that_no_longer_answers(valkey_only: LocalSettings) -> None:
    up(valkey_only)
    valkey = detached.status(valkey_only)["services"]["valkey"]["pid"]

    os.kill(valkey, signal.SIGSTOP)

    try:
        assert not detached.status(valkey_only)["services"]["valkey"]["ready"]
    finally:
        os.kill(valkey, signal.SIGCONT)


def test_down_ends_what_a_killed_supervisor_left_behind(valkey_only: LocalSettings) -> None:
    up(valkey_only)
    url = detached.status(valkey_only)["redis"]
    killed = supervisor(valkey_only)
    killed.kill()
    killed.wait(10)

    assert detached.down(valkey_only)

    assert not asyncio.run(ready(url))


def test_a_start_that_fails_says_why_and_leaves_nothing_running(tmp_path: Path, valkey_only: LocalSettings) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "valkey").write_text("a file where the server needs a folder")

    with pytest.raises(StartFailed):
        up(valkey_only)

    assert not detached.status(valkey_only)["up"]


def test_a_stack_ends_with_its_owner(valkey_only: LocalSettings) -> None:
    owner = subprocess.Popen((sys.executable, "-c", "input()"), stdin=subprocess.PIPE)
    up(valkey_only, BARE.model_copy(update={"owner": owner.pid}))
    watched = supervisor(valkey_only)

    owner.communicate(b"\n")

    watched.wait(timeout=20)
