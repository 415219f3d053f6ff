import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from allweather.local.child import Program, backoff
from allweather.local.errors import AlreadyRunning, PortTaken, StartFailed
from allweather.local.probes import ready
from allweather.local.state import StateFolder
from allweather.local.supervisor import Supervisor, end_left_over

MakeProgram = Callable[..., Program]


def silent(_: str) -> None:
    """Nobody follows these starts."""


def running(state: StateFolder) -> Supervisor:
    return Supervisor(state, silent)


def read(journal: Path) -> list[str]:
    return journal.read_text().splitlines() if journal.exists() else []


async def eventually(fact: Callable[[], object], within: float = 20.0) -> None:
    deadline = time.monotonic() + within
    while not fact():
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.02)


async def test_a_program_is_ready_when_start_returns_and_gone_when_the_supervisor_leaves(
    state: StateFolder, make_program: MakeProgram
) -> None:
    program = make_program("a")

    async with running(state) as supervisor:
        await supervisor.start(program)
        pid = supervisor.pid("a")
        assert pid
        assert await ready(program.probe)

    assert not psutil.pid_exists(pid)
    assert not await ready(program.probe)
    assert not state.left_over()


async def test_a_killed_program_comes_back_as_another_process(state: StateFolder, make_program: MakeProgram) -> None:
    async with running(state) as supervisor:
        await supervisor.start(make_program("a"))
        first = supervisor.pid("a")

        await supervisor.kill("a")
        assert not supervisor.pid("a")
        await supervisor.until_ready("a")

        assert supervisor.pid("a") not in (None, first)
        assert supervisor.snapshot()["a"]["restarts"] == 1


async def test_a_program_that_comes_back_is_waited_for_however_long_what_it_needs_is_away(
    state: StateFolder, make_program: MakeProgram, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = 0.0
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + passed)
    monkeypatch.setattr("allweather.local.child.time", clock)
    needed = journal.with_name("journal.go")
    needed.touch()
    async with running(state) as supervisor:
        await supervisor.start(make_program("a", "waits"))
        needed.unlink()
        await supervisor.kill("a")
        await eventually(lambda: "waits a" in read(journal))

        passed = 3600.0
        asked = len(read(journal))
        await eventually(lambda: len(read(journal)) > asked + 1)
        needed.touch()

        await supervisor.until_ready("a")


async def test_a_program_that_was_killed_for_good_stays_down_until_it_is_resumed(
    state: StateFolder, make_program: MakeProgram
) -> None:
    program = make_program("a")
    async with running(state) as supervisor:
        await supervisor.start(program)

        await supervisor.kill("a", revive=False)
        with pytest.raises(StartFailed):
            await supervisor.until_ready("a", within=1.0)
        assert not await ready(program.probe)

        await supervisor.resume("a")
        assert await ready(program.probe)


async def test_a_program_that_ends_with_0_is_left_alone(state: StateFolder, make_program: MakeProgram) -> None:
    program = make_program("a")
    async with running(state) as supervisor:
        await supervisor.start(program)

        await ready(program.probe.replace("/readyz", "/exit"))
        await eventually(lambda: supervisor.snapshot()["a"]["phase"] == "exited")

        assert supervisor.snapshot()["a"]["restarts"] == 0


async def test_a_restarted_program_is_ready_again_and_a_paused_one_does_not_answer(
    state: StateFolder, make_program: MakeProgram
) -> None:
    program = make_program("a")
    async with running(state) as supervisor:
        await supervisor.start(program)
        first = supervisor.pid("a")

        await supervisor.restart("a")
        assert supervisor.pid("a") not in (None, first)

        await supervisor.kill("a", signal.SIGSTOP)
        assert not await ready(program.probe)
        await supervisor.kill("a", signal.SIGCONT)
        assert await ready(program.probe)


async def test_stages_stop_in_reverse_order(state: StateFolder, make_program: MakeProgram, journal: Path) -> None:
    async with running(state) as supervisor:
        await supervisor.start(make_program("database"))
        await supervisor.start(make_program("service"))

    assert read(journal) == ["starts database", "starts service", "stops service", "stops database"]


async def test_a_program_that_ignores_its_stop_signal_is_killed_after_the_grace(
    state: StateFolder, make_program: MakeProgram
) -> None:
    async with running(state) as supervisor:
        await supervisor.start(make_program("a", "stubborn", grace=0.3))
        pid = supervisor.pid("a")
        assert pid

    assert not psutil.pid_exists(pid)


async def test_a_second_supervisor_of_the_same_folder_is_refused(state: StateFolder) -> None:
    async with running(state):
        with pytest.raises(AlreadyRunning, match="already up"):
            async with running(StateFolder(state.root)):
                pytest.fail("two supervisors in one folder")

    async with running(StateFolder(state.root)):
        """The folder is free again."""


@pytest.mark.parametrize(
    ("behaviour", "reason"), [("broken", "ended with code 3"), ("never-ready", "was not ready within 1 s")]
)
async def test_one_failed_start_takes_its_whole_stage_back(
    state: StateFolder, make_program: MakeProgram, behaviour: str, reason: str
) -> None:
    healthy = make_program("healthy")
    async with running(state) as supervisor:
        with pytest.raises(StartFailed, match=reason):
            await supervisor.start(healthy, make_program("ill", behaviour, ready_within=1.0))

        assert not await ready(healthy.probe)
        assert supervisor.names() == []
        assert not state.left_over()


async def test_a_failed_start_shows_the_end_of_the_log(state: StateFolder, make_program: MakeProgram) -> None:
    async with running(state) as supervisor:
        with pytest.raises(StartFailed, match="no luck today"):
            await supervisor.start(make_program("ill", "broken"))


async def test_a_taken_port_is_named_before_anything_starts(
    state: StateFolder, make_program: MakeProgram, journal: Path
) -> None:
    program = make_program("a")
    with socket.create_server(("127.0.0.1", program.port)):
        async with running(state) as supervisor:
            with pytest.raises(PortTaken, match=f"port {program.port} for a"):
                await supervisor.start(make_program("b"), program)

    assert read(journal) == []


async def test_what_a_killed_supervisor_left_behind_is_ended_by_the_next(
    state: StateFolder, make_program: MakeProgram
) -> None:
    program = make_program("orphan")
    state.create()
    orphan = await asyncio.create_subprocess_exec(*program.command, start_new_session=True)
    state.record("orphan", orphan.pid)

    async with running(state):
        assert await asyncio.wait_for(orphan.wait(), 10) is not None

    assert not state.left_over()


def test_a_pid_that_belongs_to_another_program_by_now_is_not_touched(state: StateFolder) -> None:
    state.create()
    stranger = subprocess.Popen((sys.executable, "-c", "import time; time.sleep(60)"))
    try:
        state.record("ours", stranger.pid)
        record = state.root / "processes" / "ours.json"
        record.write_text(record.read_text().replace('"created": ', '"created": 1'))

        assert end_left_over(state) == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


async def test_children_of_a_program_end_with_it(state: StateFolder, make_program: MakeProgram, tmp_path: Path) -> None:
    program = make_program("a")
    note = tmp_path / "grandchild"
    shell = ("sh", "-c", f'sleep 600 & echo $! > {note}; exec "$@"', "sh", *program.command)
    async with running(state) as supervisor:
        await supervisor.start(
            Program(name="a", command=shell, probe=program.probe, port=program.port, environment=os.environ)
        )
        grandchild = int(note.read_text())
        assert psutil.pid_exists(grandchild)

    await eventually(lambda: not _lives(grandchild))


def _lives(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_the_wait_before_a_restart_grows_and_stays_bounded() -> None:
    waits = [backoff(crashes) for crashes in range(1, 40)]

    assert waits == sorted(waits)
    assert waits[0] < 0.5
    assert waits[-1] == 10.0


def test_only_the_owner_can_look_into_the_state_folder(state: StateFolder) -> None:
    state.create()

    assert state.root.stat().st_mode & 0o777 == 0o700


def test_a_program_that_has_ended_already_needs_no_record(state: StateFolder) -> None:
    state.create()
    ended = subprocess.Popen((sys.executable, "-c", ""))
    ended.wait()

    state.record("a", ended.pid)

    assert state.left_over() == {}
