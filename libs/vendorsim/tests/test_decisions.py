"""The pure parts: which fault strikes, and what a delivery then does, without a server."""

from hypothesis import given
from hypothesis import strategies as st

from allweather.vendorsim.board import CALM, FaultBoard, Plan
from allweather.vendorsim.delivery import SILENCE, Begin, Close, Send, Wait, reply_steps, stream_steps
from allweather.vendorsim.faults import Cut, Hang, Latency, NoFinish, RateLimit, Refuse, Spread, Stall, Status
from allweather.vendorsim.wire import Frame, FrameKind, Reply, Stream, Target, Usage

AZURE = Target("azure-openai", "uksouth", "gpt-5-2", "gpt-5.2-2025-12-11")
OPENAI = Target("openai", model="gpt-5.2")
FRAMES = (
    Frame(FrameKind.FRAMING, b"open"),
    Frame(FrameKind.CONTENT, b"1", 2),
    Frame(FrameKind.CONTENT, b"2", 2),
    Frame(FrameKind.FINISH, b"finish"),
    Frame(FrameKind.CLOSING, b"usage"),
    Frame(FrameKind.END, b"end"),
)


def struck(board: FaultBoard, target: Target, calls: int, now: float = 0.0) -> list[bool]:
    return [board.plan(target, number, now).ending is not None for number in range(calls)]


def test_without_faults_every_call_is_calm() -> None:
    assert FaultBoard().plan(OPENAI, 1, 0.0) is CALM


@given(st.integers(), st.floats(0.05, 0.95))
def test_probability_strikes_the_same_calls_for_the_same_seed(seed: int, probability: float) -> None:
    first, second = FaultBoard(seed), FaultBoard(seed)
    for board in (first, second):
        board.replace([Status(status=500, probability=probability)])

    assert struck(first, OPENAI, 50) == struck(second, OPENAI, 50)


def test_probability_strikes_about_that_share_of_calls() -> None:
    board = FaultBoard(7)
    board.replace([Status(status=500, probability=0.3)])

    assert 500 < sum(struck(board, OPENAI, 2000)) < 700


def test_fault_of_one_operation_spares_the_others() -> None:
    board = FaultBoard()
    board.replace([Status(status=500, operation="embeddings")])

    assert board.plan(OPENAI, 1, 0.0, "chat") == CALM
    assert board.plan(OPENAI, 2, 0.0, "embeddings").fault == "status"


def test_first_ending_wins_and_a_disturbance_stands_beside_it() -> None:
    board = FaultBoard()
    board.replace([Cut(after=1), Status(status=529, vendor="openai"), Hang(), Stall()])

    plan = board.plan(OPENAI, 1, 0.0)

    assert plan.ending == Status(status=529, vendor="openai")
    assert plan.disturbance == Cut(after=1)
    assert plan.fault == "status"


def test_fault_that_comes_second_keeps_its_count() -> None:
    board = FaultBoard()
    board.replace([Status(status=500, count=1), Status(status=503, count=1)])

    endings = [board.plan(OPENAI, number, 0.0).ending for number in range(3)]

    assert endings == [Status(status=500, count=1), Status(status=503, count=1), None]


@given(st.lists(st.floats(0, 0.5), min_size=1, max_size=200), st.integers(1, 20))
def test_rate_limit_never_lets_more_through_than_its_rate(gaps: list[float], rate: int) -> None:
    board = FaultBoard()
    board.replace([RateLimit(requests_per_second=rate)])
    now, served = 0.0, 0

    for gap in gaps:
        now += gap
        served += board.plan(OPENAI, 1, now).ending is None

    assert served <= rate + rate * now + 1e-6


def test_rate_limit_counts_each_deployment_apart() -> None:
    board = FaultBoard()
    board.replace([RateLimit(requests_per_second=1)])

    assert struck(board, AZURE, 2) == [False, True]
    assert struck(board, AZURE._replace(region="eastus2"), 2) == [False, True]


def test_latency_has_the_percentiles_it_was_given() -> None:
    board = FaultBoard(3, [Latency(vendor="openai", first_token_ms=Spread(100, 1000))])

    waits = sorted(board.plan(OPENAI, number, 0.0).first_token for number in range(4000))

    assert 0.09 < waits[2000] < 0.11
    assert 0.8 < waits[3960] < 1.25
    assert board.plan(AZURE, 1, 0.0).first_token == 0


def test_latency_given_as_a_fault_replaces_the_profile() -> None:
    board = FaultBoard(0, [Latency(first_token_ms=Spread(100, 100), per_token_ms=9)])
    board.replace([Latency(first_token_ms=Spread(20, 20))])

    plan = board.plan(OPENAI, 1, 0.0)

    assert round(plan.first_token, 6) == 0.02
    assert plan.per_token == 0


def test_only_a_refusal_of_everything_closes_a_listener() -> None:
    board = FaultBoard()
    board.replace(
        [
            Refuse(vendor="openai"),
            Refuse(vendor="azure-openai", region="uksouth"),
            Refuse(vendor="vertex", probability=0.5),
            Refuse(vendor="anthropic", count=3),
        ]
    )

    assert board.refused_vendors() == {"openai"}


def sent(stream: Stream, plan: Plan) -> list[bytes]:
    return [step.data for step in stream_steps(stream, plan) if isinstance(step, Send)]


def test_stream_waits_before_content_and_not_before_its_opening() -> None:
    steps = list(stream_steps(Stream([], FRAMES), Plan(first_token=1.0, per_token=0.1)))

    assert steps[:4] == [Begin(200, []), Send(b"open"), Wait(1.0), Send(b"1")]
    assert steps[4:6] == [Wait(0.2), Send(b"2")]


def test_stream_without_content_still_waits_for_its_first_word() -> None:
    refusal = (FRAMES[0], FRAMES[3], FRAMES[5])

    steps = list(stream_steps(Stream([], refusal), Plan(first_token=1.0)))

    assert steps == [Begin(200, []), Send(b"open"), Wait(1.0), Send(b"finish"), Send(b"end")]


def test_cut_before_the_first_content_still_shows_the_opening() -> None:
    steps = list(stream_steps(Stream([], FRAMES), Plan(disturbance=Cut())))

    assert steps == [Begin(200, []), Send(b"open"), Close()]


@given(st.integers(0, 10))
def test_stall_sends_no_more_content_than_asked(after: int) -> None:
    steps = list(stream_steps(Stream([], FRAMES), Plan(disturbance=Stall(after=after))))

    content = [step for step in steps if step in (Send(b"1"), Send(b"2"))]
    assert len(content) == min(after, 2)
    assert steps[-1] == SILENCE


def test_no_finish_leaves_out_everything_from_the_finish_reason_on() -> None:
    assert sent(Stream([], FRAMES), Plan(disturbance=NoFinish())) == [b"open", b"1", b"2"]


def test_errors_are_not_disturbed() -> None:
    steps = list(reply_steps(Reply(500, [], b"error"), Plan(disturbance=Cut())))

    assert steps == [Begin(500, [(b"content-length", b"5")]), Send(b"error")]


def test_plain_answer_takes_the_time_of_all_its_tokens() -> None:
    steps = list(reply_steps(Reply(200, [], b"{}", Usage(3, 10)), Plan(first_token=0.5, per_token=0.01)))

    assert steps[0] == Wait(0.6)
