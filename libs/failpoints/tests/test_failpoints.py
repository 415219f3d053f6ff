import asyncio
import os
import signal
import subprocess
import sys
from typing import get_args

import pytest

from allweather.failpoints import FailpointReached, Failpoints, Guard, Point


def test_nothing_is_armed_by_default():
    off = Failpoints()

    assert not off
    assert not any(off.skips(guard) for guard in get_args(Guard))
    for point in get_args(Point):
        off.reach(point)


def test_an_empty_text_arms_nothing():
    assert not Failpoints.parse(" ; ")


def test_a_skipped_guard_is_skipped_at_every_turn_and_no_other_is():
    failpoints = Failpoints.parse("router.first-row-wins=skip")

    assert [failpoints.skips("router.first-row-wins") for _ in range(3)] == [True, True, True]
    assert not failpoints.skips("router.same-cause-replays")


def test_a_turn_limits_the_action_to_that_turn():
    failpoints = Failpoints.parse("worker.deadline-check=skip@2; worker.before-call=raise@3")

    assert [failpoints.skips("worker.deadline-check") for _ in range(3)] == [False, True, False]
    failpoints.reach("worker.before-call")
    failpoints.reach("worker.before-call")
    with pytest.raises(FailpointReached, match=r"worker\.before-call"):
        failpoints.reach("worker.before-call")
    failpoints.reach("worker.before-call")


async def test_a_sleeping_point_lets_other_coroutines_run():
    failpoints = Failpoints.parse("router.before-ack=sleep:60")

    sleeper = asyncio.create_task(failpoints.pause("router.before-ack"))
    await asyncio.sleep(0)

    assert not sleeper.done()
    sleeper.cancel()


async def test_an_awaited_point_takes_the_other_actions_too():
    failpoints = Failpoints.parse("router.before-ack=raise")

    with pytest.raises(FailpointReached):
        await failpoints.pause("router.before-ack")


def test_sleep_at_a_point_that_is_not_awaited_is_refused_loudly():
    failpoints = Failpoints.parse("router.before-ack=sleep:1")

    with pytest.raises(ValueError, match="needs an awaited point"):
        failpoints.reach("router.before-ack")


def test_everything_that_is_not_understood_is_listed_at_once():
    with pytest.raises(ValueError, match="not of the form") as refused:
        Failpoints.parse(
            "nonsense; router.tea-break=kill; router.first-row-wins=kill; router.after-steps=skip;"
            "worker.before-call=explode; worker.after-publish=sleep; worker.after-response=kill:5"
        )

    lines = str(refused.value).splitlines()
    assert len(lines) == 7
    assert "unknown failpoint 'router.tea-break'; known: audit.after-commit, " in lines[1]


def started(action: str) -> subprocess.Popen[str]:
    program = (
        "from allweather.failpoints import Failpoints\n"
        f"failpoints = Failpoints.parse('router.after-publish={action}')\n"
        "for turn in (1, 2, 3):\n"
        "    print(turn, flush=True)\n"
        "    failpoints.reach('router.after-publish')\n"
    )
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)


def test_the_process_dies_on_exactly_that_line():
    with started("kill@2") as process:
        output, _ = process.communicate(timeout=10)

    assert process.returncode == -signal.SIGKILL
    assert output == "1\n2\n"


def test_the_process_stops_on_exactly_that_line_and_can_be_continued():
    with started("stop@2") as process:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)

        process.send_signal(signal.SIGCONT)
        output, _ = process.communicate(timeout=10)

    assert process.returncode == 0
    assert output == "1\n2\n3\n"
