from allweather.contracts import headers, ids, topics
from allweather.contracts.failures import FailureKind, OutcomeKind
from allweather.contracts.records import Dispatch, EventType, Parked, decode
from allweather.contracts.slip import ReplyAddress
from allweather.messaging import Message
from allweather.router.testing.records import BODY, RESPONSE, a_slip, attempted, cleared, ended
from allweather.router.testing.world import World


def said(message: Message, name: str) -> str | None:
    return next((value.decode() for key, value in message.headers if key == name and value is not None), None)


async def test_a_permitted_request_is_dispatched_to_the_first_candidate(world: World):
    """The record carries the decision with its inputs, the slip one position further, and the body untouched."""
    slip = a_slip()

    (dispatched,) = await world.handle(cleared(slip))

    envelope = decode(dispatched.value)
    call, travelling = envelope.read(Dispatch), envelope.read_slip()
    assert dispatched.topic == topics.dispatch("alpha")
    assert call.attempt_id == ids.attempt_id(slip.request_id, 1)
    assert (call.deployment, call.n, call.episode) == ("alpha/one", 1, 1)
    assert call.decision.chosen == "alpha/one"
    assert travelling.position == 1
    assert bytes(envelope.body) == BODY
    assert said(dispatched, headers.CE_ID) == ids.event_id(slip.request_id, "attempt-1")


async def test_an_answer_is_passed_through_to_the_reply_address(world: World):
    slip = a_slip()
    (dispatched,) = await world.handle(cleared(slip))

    (reply,) = await world.handle(attempted(dispatched))

    assert reply.topic == topics.replies("demo")
    assert reply.value == RESPONSE
    assert said(reply, headers.CE_TYPE) == EventType.SETTLED
    assert said(reply, headers.OUTCOME) == "answered"
    assert said(reply, headers.STATUS) == "200"
    assert said(reply, headers.DEPLOYMENT) == "alpha/one"
    assert said(reply, headers.ATTEMPTS) == "1"
    assert float(said(reply, headers.COST) or 0) == 0.002


async def test_a_failure_leads_to_the_next_candidate_and_then_to_parking(world: World):
    (sent,) = await world.handle(cleared(a_slip()))
    path: list[str] = [sent.topic]
    while sent.topic != topics.PARKED:
        (sent,) = await world.handle(attempted(sent, FailureKind.UNAVAILABLE))
        path.append(sent.topic)

    parked = decode(sent.value)
    assert path == [*(topics.dispatch(v) for v in ("alpha", "beta", "gamma")), topics.PARKED]
    assert parked.read(Parked).n == 1
    assert len(parked.read_slip().attempts) == 3
    assert bytes(parked.body) == BODY


async def test_an_answer_of_another_record_is_dropped(world: World):
    (dispatched,) = await world.handle(cleared(a_slip()))
    answer = attempted(dispatched)

    first = await world.handle(answer)
    second = await world.handle(answer)

    assert [m.value for m in first] == [RESPONSE]
    assert second == []


async def test_a_cancelled_request_is_not_dispatched_again(world: World):
    slip = a_slip(reply=ReplyAddress(topic=topics.DOOR, partition=1, door="door-7"))
    (dispatched,) = await world.handle(cleared(slip))

    messages = await world.handle(attempted(dispatched, FailureKind.UNAVAILABLE), ended(slip, nameless=True))

    (reply,) = messages
    assert (reply.topic, reply.partition) == (topics.DOOR, 1)
    assert said(reply, headers.OUTCOME) == OutcomeKind.CANCELLED
    assert said(reply, headers.STATUS) == "409"
