"""What is said of a stretch in which a deployment failed is what its evidence shows."""

from dataclasses import replace

from allweather.contracts import ids
from allweather.drills.evidence import Cleared, Dispatched, Evidence, Judged, Outcome, Position, VendorCall
from allweather.drills.failing import Course, Stretch, course

ILL, WELL = "anthropic/x", "openai/y"
STRETCH = Stretch(ILL, 1_000, 61_000)
AT = Position("ai.internal.x.v1", 0, 0)
FIRST, SECOND = ids.request_id("demo", "1"), ids.request_id("demo", "2")


def dispatched(n: int, deployment: str, at_ms: int) -> Dispatched:
    vendor = deployment.partition("/")[0]
    return Dispatched(FIRST, ids.attempt_id(FIRST, n), n, AT, deployment, vendor, "eu", 1, at_ms)


def called(dispatch: Dispatched) -> VendorCall:
    return VendorCall(dispatch.attempt_id, dispatch.vendor, dispatch.timestamp_ms + 5)


TRIED, ANSWERED, PROBED = dispatched(1, ILL, 2_000), dispatched(2, WELL, 2_100), dispatched(3, ILL, 30_000)
RUN = Evidence(
    cleared=tuple(Cleared(r, AT, True, None, None, 10**9, "demo", "bulk", 2_000) for r in (FIRST, SECOND)),
    dispatched=(TRIED, ANSWERED, PROBED),
    calls=(called(TRIED), called(ANSWERED), called(PROBED)),
    outcomes=tuple(Outcome(r, "demo", "answered", "r", "hello", 2_500) for r in (FIRST, SECOND)),
    judged=(
        Judged(500, ILL, "closed"),
        Judged(6_000, ILL, "open"),
        Judged(6_500, WELL, "open"),
        Judged(30_000, ILL, "half_open"),
        Judged(30_100, ILL, "open"),
        Judged(70_000, ILL, "closed"),
    ),
)


def test_a_stretch_is_described() -> None:
    assert course(RUN, STRETCH) == Course(
        requests=2,
        answered=1.0,
        opened_s=5.0,
        open_periods=2,
        calls_while_ill=1,
        calls_per_request=1.5,
        changes=3,
    )


def test_what_waited_was_not_answered_at_once() -> None:
    assert course(replace(RUN, parked={SECOND: 1}), STRETCH).answered == 0.5


def test_an_illness_that_is_not_noticed_takes_for_ever() -> None:
    assert course(replace(RUN, judged=()), STRETCH).opened_s == float("inf")


def test_what_was_accepted_at_another_time_does_not_count() -> None:
    later = Stretch(ILL, 100_000, 200_000)

    assert course(RUN, later).requests == 0
