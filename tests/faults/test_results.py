"""A trial's figures stand beside their bars, and what missed is said."""

import os
import socket
from collections import Counter
from pathlib import Path
from uuid import uuid4

import pytest
from catalogue import SCENARIOS
from lab import report
from lab.figures import Figures
from lab.findings import write_findings
from lab.growth import Life, Sample, level, look, of_survivors
from lab.report import Result, told, write
from run import main

from allweather.drills.checker import Violation
from allweather.drills.evidence import Dispatched, Evidence, Position, VendorCall


def result(scenario: str = "kill-router", *, violations: tuple[str, ...] = (), missed: tuple[str, ...] = ()) -> Result:
    return Result(
        scenario, "it is killed", "2026-01-01T00:00:00+00:00", "abc", 1, True, 2.0,
        {"lost": 0}, {"lost": "<= 0"}, list(missed), list(violations),
    )  # fmt: skip


def test_a_figure_beyond_its_bar_is_missed():
    figures = Figures()

    figures.at_most("takeover_s", 20.0004, 20)
    figures.at_least("share", 0.98, 0.99)
    figures.at_most("lost", 0, 0)
    figures.require("the log verifies", kept=False)

    assert figures.missed == [
        "takeover_s is 20.0, must be <= 20",
        "share is 0.98, must be >= 0.99",
        "not so: the log verifies",
    ]


@pytest.mark.parametrize(("timed", "missed"), [(True, ["takeover_s is 21, must be <= 20"]), (False, [])])
def test_a_time_counts_only_where_times_are_taken(timed: bool, missed: list[str]):
    figures = Figures(timed=timed)

    figures.within("takeover_s", 21, 20)

    assert (figures.values, figures.bars) == ({"takeover_s": 21}, {"takeover_s": "<= 20"})
    assert figures.missed == missed


@pytest.mark.parametrize(("made", "kept"), [
    (result(), True),
    (result(violations=("P1 -: lost",)), False),
    (result(missed=("not so",)), False),
])  # fmt: skip
def test_a_trial_is_kept_when_nothing_was_broken_and_nothing_missed(made: Result, kept: bool):
    assert made.kept is kept


def test_many_violations_are_counted_and_the_first_are_told():
    violations = [f"P1 {n}: lost" for n in range(25)]

    assert told(violations) == [*violations[:20], "and 5 more"]
    assert told(violations[:20]) == violations[:20]


def test_reports_add_up_in_one_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(report, "REPORTS", tmp_path)

    write(result("kill-router"))
    write(result("broker-kill", violations=("P1 -: lost",)))
    write(result("kill-router"))

    page = (tmp_path / "README.md").read_text()
    assert page.count("[kill-router](kill-router.json)") == 1
    assert "| **no** |" in page.split("broker-kill.json", 1)[1].splitlines()[0]


def test_findings_tell_all_that_is_known_of_a_request(tmp_path: Path):
    request, attempt, other = uuid4(), uuid4(), uuid4()
    at = Position("ai.internal.dispatch.vertex.v1", 0, 7)
    dispatched = Dispatched(request, attempt, 1, at, "vertex/gemini", "vertex", "eu", 1, 5)
    calls = (VendorCall(attempt, "vertex", 6), VendorCall(other, "openai", 6))

    write_findings(tmp_path, Evidence(dispatched=(dispatched,), calls=calls), [Violation("P1", request, "is lost")])

    told = (tmp_path / f"{request}.txt").read_text()
    assert str(attempt) in told
    assert "Dispatched" in told
    assert "openai" not in told
    assert (tmp_path / "violations.txt").read_text() == f"P1 {request}: is lost\n"


def sample(rss_mb: float, files: int = 0) -> Sample:
    return Sample(rss_mb, Counter(files=files))


def test_growth_compares_only_lives_that_lasted():
    router, killed, revived = Life("router", 1), Life("policy", 2), Life("policy", 3)
    early = level(
        [{router: sample(100 + n, 90), killed: sample(1)} for n in range(5)],
        [{router: sample(9, 17)}, {router: sample(9, 16)}],
    )
    late = level([{router: sample(110 + n, 90), revived: sample(1)} for n in range(5)], [{router: sample(9, 18)}])

    assert of_survivors(early, late) == {"router": (sample(102, 16), sample(112, 18))}


def test_a_look_counts_open_files_by_what_they_are_but_not_those_of_a_pool():
    me = {"me": os.getpid()}
    ((_, before),) = look(me, {}).items()
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        name = {server.getsockname()[1]: "kafka-1"}
        ((_, during),) = look(me, name).items()
        ((_, pooled),) = look(me, name, ["kafka-1"]).items()

    assert during.files - before.files == Counter({"kafka-1": 1, "other files": 1})
    assert pooled.files - before.files == Counter({"other files": 1})


def test_a_process_that_ends_between_two_looks_has_no_level():
    assert level([{Life("router", 1): sample(1)}], [{}]) == {}


def test_scenarios_have_names_of_their_own():
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)


def test_an_unknown_scenario_is_refused_with_those_that_there_are(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["--only", "kill-nobody"])

    assert ended.value.code == 2
    assert "kill-router" in capsys.readouterr().err
