from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allweather.contracts.failures import FailureKind
from allweather.router import breaker
from allweather.router.breaker import Breaker, BreakerSettings, Observation

SETTINGS = BreakerSettings()
T0 = 1_795_000_000_000
DOWN, LIMITED = FailureKind.UNAVAILABLE, FailureKind.RATE_LIMITED


def calls(
    *kinds: FailureKind | None, start: int = T0, every: int = 100, first_token_ms: int = 200
) -> list[Observation]:
    """Calls that end one after another."""
    times = range(start, start + every * len(kinds), every)
    return [Observation(at, at - 50, kind, first_token_ms) for at, kind in zip(times, kinds, strict=True)]


def after(state: Breaker, seen: Sequence[Observation], now: int | None = None) -> Breaker:
    last = seen[-1].at_ms if seen else T0
    return breaker.step(state, seen, last if now is None else now, SETTINGS)


def opened() -> Breaker:
    return after(breaker.new("alpha/one"), calls(*[DOWN] * 5))


def test_five_failures_in_a_row_open_it():
    assert after(breaker.new("x"), calls(*[DOWN] * 4)).status == "closed"
    assert opened().status == "open"


def test_half_of_ten_calls_failing_opens_it():
    mixed = [DOWN, None] * 5

    assert after(breaker.new("x"), calls(*mixed[:9])).status == "closed"
    assert after(breaker.new("x"), calls(*mixed)).status == "open"


def test_calls_that_have_left_the_window_do_not_count():
    """Eight failures among twenty calls are no half; thirty seconds later neither the good nor the bad ones count."""
    early = after(breaker.new("x"), calls(*[None] * 8))
    late = after(early, calls(*[DOWN, DOWN, None, DOWN, DOWN], start=T0 + 40_000))

    assert late.status == "closed"
    assert sum(bucket.calls for bucket in late.buckets) == 5


def test_slow_first_tokens_open_it():
    slow = calls(*[None] * 10, first_token_ms=45_000)

    assert after(breaker.new("x"), slow).status == "open"


def test_a_deployment_that_is_always_slow_is_not_ill():
    """Slow means later than four times the usual p95, not only later than ten seconds."""
    usual = calls(*[None] * 60, first_token_ms=8_000)

    state = after(after(breaker.new("x"), usual), calls(*[None] * 20, start=T0 + 60_000, first_token_ms=20_000))

    assert state.status == "closed"


@pytest.mark.parametrize("kind", [LIMITED, FailureKind.NOT_CALLED, FailureKind.WORKER_LOST, FailureKind.UNSUPPORTED])
def test_what_says_nothing_of_the_deployment_never_opens_it(kind: FailureKind):
    assert after(breaker.new("x"), calls(*[kind] * 50)) == breaker.new("x")


@pytest.mark.parametrize("kind", [FailureKind.INVALID, FailureKind.REFUSED, FailureKind.TOO_LONG])
def test_a_rejected_request_shows_a_living_deployment(kind: FailureKind):
    assert after(breaker.new("x"), calls(*[DOWN, DOWN, DOWN, DOWN, kind, DOWN])).status == "closed"


def test_it_opens_for_fifteen_seconds_first_and_for_twenty_four_each_further_time():
    first = opened()
    half_open = after(first, [], now=first.until_ms)
    probe = Observation(first.until_ms + 500, first.until_ms + 100, DOWN)
    second = after(half_open, [probe])

    assert 12_000 <= first.until_ms - first.since_ms <= 18_000
    assert half_open.status == "half_open"
    assert second.status == "open"
    assert 19_200 <= second.until_ms - second.since_ms <= 28_800


def test_breakers_that_open_together_try_again_at_different_times():
    waits = {after(breaker.new(f"vendor/{i}"), calls(*[DOWN] * 5)).until_ms for i in range(20)}

    assert len(waits) > 15


def test_three_good_probes_close_it_into_a_slow_start():
    first = opened()
    start = first.until_ms + 1_000
    probes = [Observation(start + i * 1_000, start + i * 1_000 - 100) for i in range(3)]

    two, three = after(first, probes[:2]), after(first, probes)

    assert (two.status, three.status) == ("half_open", "closed")
    closed_at = probes[2].at_ms
    assert breaker.fraction(three, closed_at, SETTINGS) == 0.1
    assert breaker.fraction(three, closed_at + 60_000, SETTINGS) == 0.5
    assert breaker.fraction(three, closed_at + 120_000, SETTINGS) == 1.0


def test_a_late_answer_to_an_early_call_is_no_probe():
    first = opened()
    late = Observation(first.until_ms + 500, first.since_ms - 1_000)

    state = after(first, [late] * 3)

    assert (state.status, state.successes) == ("half_open", 0)


@pytest.mark.parametrize("kind", [FailureKind.AUTH_FAILED, FailureKind.QUOTA_EXHAUSTED, FailureKind.MISCONFIGURED])
def test_what_only_people_can_mend_puts_it_out_and_is_tried_each_minute(kind: FailureKind):
    out = after(breaker.new("x"), calls(kind))

    assert (out.status, out.cause) == ("out", kind)
    assert not breaker.wants_probe(out, out.since_ms + 59_999)
    assert breaker.wants_probe(out, out.since_ms + 60_000)


def test_one_good_probe_brings_back_what_was_out():
    out = after(breaker.new("x"), calls(FailureKind.AUTH_FAILED))
    good = Observation(out.until_ms + 900, out.until_ms + 100)

    back = after(out, [good])

    assert (back.status, back.recovered_at_ms) == ("closed", good.at_ms)


def test_an_ill_vendor_says_nothing_of_the_credential():
    out = after(breaker.new("x"), calls(FailureKind.AUTH_FAILED))
    failed = Observation(out.until_ms + 900, out.until_ms + 100, DOWN)

    still = after(out, [failed])

    assert still.status == "out"
    assert still.until_ms == failed.at_ms + 60_000


def test_a_demonstration_shortens_waits_but_not_what_is_measured():
    short = SETTINGS.shortened(0.1)

    assert (short.first_open_ms, short.open_ms, short.slow_start_ms) == (1_500, 2_400, 12_000)
    assert (short.window_ms, short.min_calls) == (SETTINGS.window_ms, SETTINGS.min_calls)


def observation(at: int, age: int, kind: FailureKind | None, first_token_ms: int | None) -> Observation:
    return Observation(T0 + at, T0 + at - age, kind, first_token_ms)


observations = st.lists(
    st.builds(
        observation,
        st.integers(0, 300_000),
        st.integers(0, 20_000),
        st.sampled_from([None, *FailureKind]),
        st.one_of(st.none(), st.integers(0, 60_000)),
    ),
    max_size=80,
)


@given(observations, st.integers(0, 400_000))
def test_the_state_is_a_function_of_what_was_seen(seen: list[Observation], later: int):
    """Two replicas that saw the same calls agree, in whatever portions they saw them."""
    now = T0 + later
    ordered = sorted(seen, key=lambda o: o.at_ms)

    at_once = breaker.step(breaker.new("x"), ordered, now, SETTINGS)
    one_by_one = breaker.new("x")
    for each in ordered:
        one_by_one = breaker.step(one_by_one, [each], each.at_ms, SETTINGS)

    assert breaker.step(one_by_one, [], now, SETTINGS) == at_once


@given(observations)
def test_the_window_stays_within_its_bounds(seen: list[Observation]):
    state = breaker.step(breaker.new("x"), seen, T0 + 300_000, SETTINGS)
    seconds = [bucket.second for bucket in state.buckets]

    assert len(seconds) <= 30
    assert seconds == sorted(set(seconds))
    assert all(b.failures <= b.calls and b.slow <= b.calls for b in state.buckets)


@given(st.lists(st.sampled_from([None, LIMITED, FailureKind.NOT_CALLED, FailureKind.INVALID]), max_size=60))
def test_without_failures_it_never_opens(seen: list[FailureKind | None]):
    assert after(breaker.new("x"), calls(*seen)).status == "closed"


@given(observations, st.integers(0, 60_000))
def test_an_open_breaker_stays_open_for_its_time_whatever_else_is_seen(seen: list[Observation], later: int):
    first = opened()
    during = [o for o in seen if o.at_ms < first.until_ms and o.kind not in breaker.OUT]
    now = min(T0 + later, first.until_ms - 1)

    assert breaker.step(first, during, now, SETTINGS).status == "open"


@given(observations, st.integers(0, 600_000))
def test_the_slow_start_never_leaves_its_bounds(seen: list[Observation], later: int):
    state = breaker.step(breaker.new("x"), seen, T0 + 300_000, SETTINGS)

    assert 0.1 <= breaker.fraction(state, T0 + 300_000 + later, SETTINGS) <= 1.0
