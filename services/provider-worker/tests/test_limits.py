"""How much one deployment may be asked at a time. No clock: the test says what time it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allweather.contracts.config import Concurrency
from allweather.contracts.failures import FailureKind
from allweather.provider_worker.limits import Bucket, Limiter, Slots
from allweather.provider_worker.rates import Allowance, Allowances


def slots(start: int = 4, most: int = 8) -> Slots:
    return Slots(Concurrency(start=start, max=most))


def test_slots_run_out_and_come_back() -> None:
    four = slots()
    for _ in range(4):
        assert four.free
        four.take()
    assert not four.free

    four.give_back(None, 0)

    assert four.free


def test_limit_grows_by_one_in_as_many_successes_as_it_is() -> None:
    four = slots()
    for _ in range(4):
        four.take()
    for _ in range(4):
        four.take()
        four.give_back(None, 0)

    assert 4.9 < four.limit < 5.1


def test_limit_does_not_grow_while_it_is_not_needed() -> None:
    four = slots()
    for _ in range(100):
        four.take()
        four.give_back(None, 0)

    assert four.limit == 4


@pytest.mark.parametrize("kind", [FailureKind.RATE_LIMITED, FailureKind.UNAVAILABLE])
def test_vendor_that_has_enough_lowers_the_limit_once_a_second(kind: FailureKind) -> None:
    eight = slots(start=8)
    for now in (10.0, 10.1, 10.9, 11.1):
        eight.take()
        eight.give_back(kind, now)

    assert eight.limit == pytest.approx(8 * 0.7 * 0.7)


def test_other_failures_leave_the_limit_alone() -> None:
    """A refusal or a wrong request says nothing about how much the vendor can take."""
    eight = slots(start=8)
    for kind in (FailureKind.INVALID, FailureKind.REFUSED, FailureKind.AUTH_FAILED):
        eight.take()
        eight.give_back(kind, 10)

    assert eight.limit == 8


@given(st.lists(st.tuples(st.sampled_from([None, *FailureKind]), st.floats(0, 1000))))
def test_limit_stays_between_one_and_its_maximum(ends: list[tuple[FailureKind | None, float]]) -> None:
    four = slots()
    for kind, now in ends:
        four.take()
        four.give_back(kind, now)

        assert 1 <= four.limit <= 8
        assert four.in_flight == 0


def test_bucket_has_no_limit_until_the_vendor_names_one() -> None:
    assert Bucket().wait_s(1_000_000, 0) == 0


def test_bucket_says_how_long_to_wait() -> None:
    """60 a minute are one a second."""
    bucket = Bucket()
    bucket.correct(Allowance(limit=60, remaining=0), now=100)

    assert bucket.wait_s(1, now=100) == pytest.approx(1)
    assert bucket.wait_s(1, now=100.4) == pytest.approx(0.6)
    assert bucket.wait_s(1, now=101.1) == 0


def test_bucket_believes_the_vendor_only_when_less_is_left() -> None:
    """What we have reserved for calls under way, the vendor has not counted yet."""
    bucket = Bucket()
    bucket.correct(Allowance(60, 60), now=0)
    bucket.spend(50)

    bucket.correct(Allowance(60, 59), now=0)
    assert bucket.level == 10

    bucket.correct(Allowance(60, 3), now=0)
    assert bucket.level == 3


def test_call_larger_than_the_whole_bucket_waits_for_a_full_one() -> None:
    """It would never pass otherwise; the vendor decides."""
    bucket = Bucket()
    bucket.correct(Allowance(60, 30), now=0)

    assert bucket.wait_s(500, now=0) == pytest.approx(30)
    assert bucket.wait_s(500, now=31) == 0


def test_reservation_is_settled_on_what_was_used() -> None:
    limiter = Limiter.of(Concurrency())
    limiter.correct(Allowances(requests=Allowance(100, 100), tokens=Allowance(1000, 1000)), now=0)

    limiter.begin(400)
    assert limiter.tokens.level == 600
    limiter.end(400, 150, None, now=0)

    assert limiter.tokens.level == 850
    assert limiter.requests.level == 99
    assert limiter.slots.in_flight == 0


@pytest.mark.parametrize(("asked_s", "held_s"), [(None, 2), (0, 2), (7.5, 7.5), (86_400, 60)])
def test_vendor_that_asks_to_be_left_alone_is(asked_s: float | None, held_s: float) -> None:
    """For a while in any case, and for a minute at most before one call finds out."""
    limiter = Limiter.of(Concurrency())

    limiter.hold(asked_s, now=100)

    assert limiter.wait_s(1, now=100) == held_s
    assert limiter.wait_s(1, now=100 + held_s) == 0


def test_vendor_that_asks_for_less_later_does_not_shorten_its_time() -> None:
    limiter = Limiter.of(Concurrency())
    limiter.hold(30, now=100)

    limiter.hold(2, now=101)

    assert limiter.wait_s(1, now=101) == 29


@given(st.lists(st.tuples(st.integers(0, 500), st.floats(0, 5)), max_size=40))
def test_bucket_never_lets_more_through_than_its_level_and_the_passing_time(steps: list[tuple[int, float]]) -> None:
    bucket, now, spent = Bucket(), 0.0, 0.0
    bucket.correct(Allowance(600, 600), now)
    for amount, seconds in steps:
        now += seconds
        if bucket.wait_s(amount, now) == 0:
            bucket.spend(amount)
            spent += amount

        assert spent <= 600 + now * 10 + 1e-6
