"""The life of a service, as real processes that are sent real signals."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

PROGRAM = """
import asyncio, contextlib, logging, sys, weakref
from contextlib import asynccontextmanager
from pydantic import Field
from allweather.runtime import memory
from allweather.runtime.service import run
from allweather.runtime.settings import ServiceSettings, SettingsError, read_secret

memory.TRIM_EVERY_S = 0.1

class Settings(ServiceSettings):
    mood: str = Field(description="How the service behaves.")

@contextlib.contextmanager
def observed(name, settings):
    logging.basicConfig(level="INFO", stream=sys.stdout, format="log: %(message)s")
    yield
    print("flushed", flush=True)

@asynccontextmanager
async def resource(name):
    print("open", name, flush=True)
    try:
        yield name
    finally:
        print("close", name, flush=True)

async def background(service):
    await service.stopping.wait()
    print("task ends", flush=True)

async def main(service):
    await service.own(resource("first"))
    await service.own(resource("second"))
    service.spawn(background(service), name="background")
    print("port", service.probes.port, flush=True)
    match service.settings.mood:
        case "crash": raise RuntimeError("a bug")
        case "task crash": service.spawn(crash(), name="crash")
        case "misled": raise SettingsError(["config/routes.yaml: no such file"])
        case "done": return
        case "behind": return catch_up()
        case "full of holes": await fill_and_free()
        case "entangled": await entangle()
        case "stubborn":
            while True:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(3600)
        case "slow": await asyncio.sleep(3600)
    await service.stopping.wait()

def catch_up():
    before, settled = resident_mb(), []
    for _ in range(5):
        bytes(8_000_000)
        buffers = [(bytes(400_000), settled.append(bytes(2_000))) for _ in range(60)]
        del buffers
    print("grown by", round(resident_mb() - before), "MB", flush=True)

async def fill_and_free():
    before = resident_mb()
    held = [bytes(2_000) for _ in range(20_000)]
    held = [each for n, each in enumerate(held) if n % 100 == 0]
    await until(lambda: resident_mb() <= before + 12)
    print("given back with", len(held), "in use", flush=True)

async def entangle():
    knot = Knot()
    knot.itself, gone = knot, weakref.ref(knot)
    del knot
    await until(lambda: gone() is None)
    print("untangled", flush=True)

class Knot: pass

async def until(seen):
    async with asyncio.timeout(20):
        while not seen():
            await asyncio.sleep(0.01)

def resident_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6

async def crash():
    raise RuntimeError("a bug in a task")

run("router", Settings, main, observed)
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the program in a mood."""
    (tmp_path / "program.py").write_text(PROGRAM)
    started: list[subprocess.Popen[str]] = []

    def process(*arguments: str, **variables: str) -> subprocess.Popen[str]:
        environment = {"PATH": os.environ["PATH"], "ALLWEATHER_PROBE_PORT": "0"}
        environment |= {f"ALLWEATHER_{name.upper()}": value for name, value in variables.items()}
        command = [sys.executable, "-W", "error", str(tmp_path / "program.py"), *arguments]
        started.append(
            subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        )
        return started[-1]

    yield process
    for running in started:
        running.kill()
        running.communicate()


def output(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdout is not None
    return process.stdout


def reached(process: subprocess.Popen[str], word: str) -> str:
    """Read what the process says up to the line that begins with `word`."""
    for line in output(process):
        if line.startswith(word):
            return line
    raise AssertionError(f"ended without saying {word!r}: {process.stderr and process.stderr.read()}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_a_service_gracefully_and_closes_all_in_order(start: Start, number: signal.Signals):
    process = start(mood="fine")
    reached(process, "port")

    process.send_signal(number)
    said, errors = process.communicate(timeout=20)

    assert process.returncode == 0
    assert said.splitlines() == ["task ends", "close second", "close first", "log: service stopped", "flushed"]
    assert errors == ""


def test_main_may_end_by_itself(start: Start):
    process = start(mood="done")
    said, _ = process.communicate(timeout=20)

    assert process.returncode == 0
    assert said.splitlines()[-4:] == ["close second", "close first", "log: service stopped", "flushed"]


def test_large_buffers_of_a_backlog_are_given_back(start: Start):
    """The 24 MB that were needed at once stay otherwise, for the half megabyte that has settled between them."""
    grown = int(reached(start(mood="behind"), "grown by").split()[2])

    assert grown <= 8


def test_memory_that_is_free_between_what_is_in_use_is_given_back(start: Start):
    """40 MB stay otherwise, for the few hundred kilobytes that hold their ends."""
    reached(start(mood="full of holes"), "given back")


def test_what_is_kept_by_itself_alone_is_given_up(start: Start):
    """So few objects would not set off a collection for hours."""
    reached(start(mood="entangled"), "untangled")


@pytest.mark.parametrize(("mood", "bug"), [("crash", "a bug"), ("task crash", "a bug in a task")])
def test_a_crash_is_logged_with_its_cause_closes_all_and_exits_1(start: Start, mood: str, bug: str):
    process = start(mood=mood)
    said, _ = process.communicate(timeout=20)

    assert process.returncode == 1
    assert f"RuntimeError: {bug}\n" in said
    assert "ExceptionGroup" not in said
    assert "close second\nclose first\nlog: service crashed" in said
    assert said.endswith("flushed\n")


def test_bad_settings_are_listed_and_exit_2(start: Start):
    process = start(instance="-1")
    said, errors = process.communicate(timeout=20)

    assert process.returncode == 2
    assert said == ""
    assert errors.splitlines()[0] == "router cannot start:"
    assert {line.partition(":")[0] for line in errors.splitlines()[1:]} == {"ALLWEATHER_MOOD", "ALLWEATHER_INSTANCE"}


def test_bad_settings_that_main_finds_exit_2_as_well(start: Start):
    process = start(mood="misled")
    said, errors = process.communicate(timeout=20)

    assert process.returncode == 2
    assert errors == "router cannot start:\nconfig/routes.yaml: no such file\n"
    assert "close second\nclose first\n" in said


def test_a_stop_that_takes_too_long_is_cut_short(start: Start):
    process = start(mood="slow", stop_timeout_s="0.2")
    reached(process, "port")

    process.terminate()
    said, _ = process.communicate(timeout=20)

    assert process.returncode == 1
    assert "close second\nclose first\nlog: service crashed" in said
    assert "TimeoutError" in said


def test_a_second_signal_ends_a_service_that_does_not_stop(start: Start):
    process = start(mood="stubborn")
    reached(process, "port")

    process.terminate()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)

    assert process.returncode in {128 + signal.SIGINT, 128 + signal.SIGTERM}


def test_help_tells_every_setting_and_starts_nothing(start: Start):
    process = start("--help")
    said, _ = process.communicate(timeout=20)

    assert process.returncode == 0
    assert said.startswith("python -m allweather.router\n")
    [line] = [line for line in said.splitlines() if "ALLWEATHER_MOOD" in line]
    assert line.split("  ")[-1].strip() == "How the service behaves. [required]"
    assert "open first" not in said


def test_a_running_service_answers_its_probes(start: Start):
    process = start(mood="fine", instance="4")
    port = int(reached(process, "port").split()[1])

    said = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:{port}/info').read().decode())",
        ],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )

    info = json.loads(said.stdout)
    assert (info["service"], info["instance"], info["pid"]) == ("router", 4, process.pid)
    assert info["version"]


def test_armed_failpoints_are_told_at_start(start: Start):
    process = start(mood="done", failpoints="router.first-row-wins=skip")
    said, _ = process.communicate(timeout=20)

    assert "log: failpoints are armed\n" in said
