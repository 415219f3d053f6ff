from typing import Any
from uuid import UUID, uuid4

import pytest

from allweather.contracts.failures import FailureKind
from allweather.contracts.records import AttemptResult, Dispatch, RoutingDecision
from allweather.router.breaker import BreakerSettings
from allweather.router.health import Condition, HealthBoard, credential_key
from allweather.router.testing.records import T0, configuration, deployment

CONFIG = configuration(
    deployment("alpha/one/eu", credential="EU_KEY"),
    deployment("alpha/one/us", credential="US_KEY"),
    deployment("beta/two", credential="B"),
    deployment("beta/three", credential="B"),
)
ONE, TWO, THREE = CONFIG.deployment("alpha/one/eu"), CONFIG.deployment("beta/two"), CONFIG.deployment("beta/three")
DECISION = RoutingDecision(config_digest="", now_ms=T0, seed=0, considered=(), reason="")


@pytest.fixture
def board() -> HealthBoard:
    return HealthBoard(CONFIG, BreakerSettings())


def call(deployment_id: str, at_ms: int, **changes: Any) -> Dispatch:
    given: dict[str, Any] = {
        "attempt_id": uuid4(),
        "n": 1,
        "deployment": deployment_id,
        "vendor": deployment_id.split("/")[0],
        "episode": 1,
        "dispatched_at_ms": at_ms,
        "first_token_timeout_ms": 10_000,
        "decision": DECISION,
    }
    return Dispatch(**(given | changes))


def end(board: HealthBoard, made: Dispatch, failure: FailureKind | None, after_ms: int = 100) -> None:
    board.attempted(
        AttemptResult(
            attempt_id=made.attempt_id,
            n=1,
            deployment=made.deployment,
            episode=1,
            dispatched_at_ms=made.dispatched_at_ms,
            started_at_ms=made.dispatched_at_ms,
            ended_at_ms=made.dispatched_at_ms + after_ms,
            failure=failure,
        )
    )


def send(board: HealthBoard, deployment_id: str, at_ms: int, **changes: Any) -> Dispatch:
    made = call(deployment_id, at_ms, **changes)
    board.dispatched(made, repeat=False, released=False)
    return made


def fail(board: HealthBoard, deployment_id: str, kind: FailureKind, times: int = 1) -> None:
    for n in range(times):
        end(board, send(board, deployment_id, T0 + n), kind)


def test_what_nothing_is_known_of_is_well(board: HealthBoard):
    assert board.condition(ONE, T0) == Condition()


def test_a_dead_region_does_not_take_its_neighbours_along(board: HealthBoard):
    fail(board, ONE.id, FailureKind.UNAVAILABLE, 5)

    assert board.condition(ONE, T0 + 200).excluded == "breaker_open"
    assert board.condition(CONFIG.deployment("alpha/one/us"), T0 + 200) == Condition()


def test_a_rejected_credential_takes_all_its_deployments_out(board: HealthBoard):
    fail(board, TWO.id, FailureKind.AUTH_FAILED)

    assert board.condition(TWO, T0 + 200) == Condition("out", "credential_out")
    assert board.condition(THREE, T0 + 200) == Condition("out", "credential_out")
    assert board.condition(ONE, T0 + 200) == Condition()


def test_a_misconfigured_deployment_is_out_alone(board: HealthBoard):
    fail(board, TWO.id, FailureKind.MISCONFIGURED)

    assert board.condition(TWO, T0 + 200) == Condition("out", "misconfigured")
    assert board.condition(THREE, T0 + 200) == Condition()


def test_one_lease_is_one_probe(board: HealthBoard):
    fail(board, ONE.id, FailureKind.UNAVAILABLE, 5)
    later = T0 + 60_000

    without = board.condition(ONE, later)
    wanted = board.wanted_leases(later)
    board.leases.add(ONE.id)
    with_lease = board.condition(ONE, later)
    send(board, ONE.id, later, probe=True)

    assert without == Condition("half_open", "probing")
    assert wanted == [ONE.id]
    assert with_lease == Condition("half_open", probe=True)
    assert board.condition(ONE, later) == Condition("half_open", "probing")
    assert board.wanted_leases(later) == [], "its probe is under way"


def test_three_good_probes_bring_a_deployment_back_into_its_slow_start(board: HealthBoard):
    fail(board, ONE.id, FailureKind.UNAVAILABLE, 5)
    for n in range(3):
        at = T0 + 60_000 + n * 1_000
        board.condition(ONE, at)
        board.leases.add(ONE.id)
        end(board, send(board, ONE.id, at, probe=True), None)

    first = board.condition(ONE, T0 + 62_200)
    send(board, ONE.id, T0 + 62_200)

    assert first == Condition(), "a tenth of eight calls is room for one"
    assert board.condition(ONE, T0 + 62_300).crowded
    assert not board.condition(ONE, T0 + 62_100 + 120_000).crowded


def test_released_requests_do_not_take_the_room_of_fresh_ones_while_it_grows(board: HealthBoard):
    """A tenth of eight calls at once: one for requests that were parked, and one for fresh requests all the same."""
    board.recovered_at_ms = T0

    board.dispatched(call(ONE.id, T0), repeat=False, released=True)
    beside_a_released_one = board.condition(ONE, T0)
    send(board, ONE.id, T0)

    assert beside_a_released_one.spoken_for
    assert not beside_a_released_one.crowded
    assert board.condition(ONE, T0).crowded


def test_a_probe_that_never_comes_back_is_not_waited_for_for_ever(board: HealthBoard):
    fail(board, ONE.id, FailureKind.UNAVAILABLE, 5)
    later = T0 + 60_000
    board.condition(ONE, later)
    board.leases.add(ONE.id)
    send(board, ONE.id, later, probe=True)

    board.forget(later + 15_001)

    assert board.wanted_leases(later + 15_001) == [ONE.id]


def test_a_vendor_without_workers_is_out(board: HealthBoard):
    board.lost_vendors = frozenset({"beta"})

    assert board.condition(TWO, T0) == Condition("out", "worker_lost")
    assert board.release_room(TWO, T0) == 0


def test_released_requests_take_half_of_the_room_at_most(board: HealthBoard):
    assert board.release_room(ONE, T0) == 4

    for _ in range(4):
        board.released(uuid4(), ONE, T0)

    assert board.release_room(ONE, T0) == 0
    assert board.condition(ONE, T0).spoken_for
    assert not board.condition(ONE, T0).crowded, "fresh requests are not held up"


def test_a_release_counts_until_its_request_arrives_and_then_its_call_does(board: HealthBoard):
    request = UUID(int=1)
    board.released(request, ONE, T0)

    board.arrived(request)
    made = call(ONE.id, T0)
    board.dispatched(made, repeat=False, released=True)
    under_way = board.release_room(ONE, T0)
    end(board, made, FailureKind.INVALID)

    assert (under_way, board.release_room(ONE, T0)) == (3, 4)


def test_a_release_that_never_arrives_is_not_waited_for_for_ever(board: HealthBoard):
    for _ in range(4):
        board.released(uuid4(), ONE, T0)

    board.forget(T0 + 59_999)
    on_their_way = board.release_room(ONE, T0 + 59_999)
    board.forget(T0 + 60_001)

    assert (on_their_way, board.release_room(ONE, T0 + 60_001)) == (0, 4)


def test_what_was_let_go_before_a_rebalance_keeps_no_place_and_calls_do(board: HealthBoard):
    board.dispatched(call(ONE.id, T0), repeat=False, released=True)
    for _ in range(3):
        board.released(uuid4(), ONE, T0)
    before = board.release_room(ONE, T0)

    board.reassigned()

    assert (before, board.release_room(ONE, T0)) == (0, 3)


def test_the_limit_follows_what_the_deployment_bears(board: HealthBoard):
    for _ in range(80):
        end(board, send(board, ONE.id, T0), None)
    grown = board.calls(ONE).limit
    end(board, send(board, ONE.id, T0), FailureKind.NOT_CALLED)
    end(board, send(board, ONE.id, T0), FailureKind.NOT_CALLED)

    assert 14 < grown < 16
    assert board.calls(ONE).limit == pytest.approx(grown * 0.7)


def test_repeats_are_a_tenth_of_first_attempts(board: HealthBoard):
    group = ONE.group
    for _ in range(10):
        board.dispatched(call(ONE.id, T0), repeat=True, released=False)
    spent = board.may_repeat(group, T0)
    for _ in range(10):
        board.dispatched(call(ONE.id, T0), repeat=False, released=False)

    assert not spent
    assert board.may_repeat(group, T0)
    assert board.may_repeat(TWO.group, T0)


def test_one_repeat_in_ten_seconds_is_always_allowed(board: HealthBoard):
    for _ in range(10):
        board.dispatched(call(ONE.id, T0), repeat=True, released=False)

    assert not board.may_repeat(ONE.group, T0)
    assert board.may_repeat(ONE.group, T0 + 10_000)


def test_results_of_deployments_that_left_the_configuration_are_harmless(board: HealthBoard):
    end(board, call("left/since", T0), FailureKind.UNAVAILABLE)

    assert board.unshared == {}


def test_credentials_have_names_of_their_own():
    assert credential_key(TWO) == credential_key(THREE) == "credential:B"


def test_replicas_share_what_a_deployment_bears(board: HealthBoard):
    alone = board.release_room(ONE, T0)
    board.replicas = 2

    assert (alone, board.release_room(ONE, T0)) == (4, 2)
