import base64

import msgspec
import pytest
from msgspec import structs

from allweather.contracts import headers, ids, topics
from allweather.contracts.failures import FailureKind, OutcomeKind
from allweather.contracts.records import Dispatch, EventType, Parked, decode
from allweather.contracts.slip import ReplyAddress, Slip, Verdict
from allweather.messaging import Message, PermanentError
from allweather.router.outbox import dead_lettered
from allweather.router.testing.records import BODY, RESPONSE, a_slip, attempted, cleared, ended
from allweather.router.testing.world import SECRET, World

DOWN = FailureKind.UNAVAILABLE


def said(message: Message, name: str) -> str | None:
    return next((value.decode() for key, value in message.headers if key == name and value is not None), None)


def outcomes(messages: list[Message]) -> list[str | None]:
    return [said(message, headers.OUTCOME) for message in messages]


async def test_a_permitted_request_is_dispatched_to_the_first_candidate(world: World):
    """The record carries the decision with its inputs, the slip one position further, and the body untouched."""
    slip = a_slip()

    (dispatched,) = await world.handle(cleared(slip))

    envelope = decode(dispatched.value)
    call, travelling = envelope.read(Dispatch), envelope.read_slip()
    assert dispatched.topic == topics.dispatch("alpha")
    assert dispatched.key == str(slip.request_id).encode()
    assert call.attempt_id == ids.attempt_id(slip.request_id, 1)
    assert (call.deployment, call.n, call.episode) == ("alpha/one", 1, 1)
    assert call.decision.chosen == "alpha/one"
    assert travelling == structs.replace(slip, position=1)
    assert bytes(envelope.body) == BODY
    assert said(dispatched, headers.CE_ID) == ids.event_id(slip.request_id, "attempt-1")
    assert said(dispatched, headers.CE_CAUSATION) == ids.event_id(slip.request_id, "cleared/0")


async def test_an_answer_is_passed_through_to_the_reply_address(world: World):
    slip = a_slip()
    (dispatched,) = await world.handle(cleared(slip))

    (reply,) = await world.handle(attempted(dispatched))

    assert reply.topic == topics.replies("demo")
    assert reply.value == RESPONSE
    assert said(reply, headers.CE_TYPE) == EventType.SETTLED
    assert said(reply, headers.CE_ID) == ids.event_id(slip.request_id, "outcome")
    assert said(reply, headers.OUTCOME) == "answered"
    assert said(reply, headers.STATUS) == "200"
    assert said(reply, headers.DEPLOYMENT) == "alpha/one"
    assert said(reply, headers.ATTEMPTS) == "1"
    assert said(reply, headers.COST) == "0.002000000"
    assert said(reply, headers.PRICES) == "in 1, out 2 (catalogue)"
    assert ids.parse_public_id(said(reply, headers.REQUEST_ID) or "", "demo", SECRET) == slip.request_id


async def test_an_answer_too_large_to_travel_comes_from_the_payload_store(world: World):
    (dispatched,) = await world.handle(cleared(a_slip()))
    reference = await world.payloads.put(RESPONSE)

    (reply,) = await world.handle(attempted(dispatched, response_ref=reference))

    assert reply.value == RESPONSE


async def test_a_failure_leads_to_the_next_candidate_and_then_to_parking(world: World):
    (sent,) = await world.handle(cleared(a_slip()))
    path: list[str] = [sent.topic]
    while sent.topic != topics.PARKED:
        (sent,) = await world.handle(attempted(sent, DOWN))
        path.append(sent.topic)

    parked = decode(sent.value)
    assert path == [*(topics.dispatch(v) for v in ("alpha", "beta", "gamma")), topics.PARKED]
    assert parked.read(Parked).n == 1
    assert len(parked.read_slip().attempts) == 3
    assert bytes(parked.body) == BODY


async def test_correlation_headers_come_back_byte_for_byte(world: World):
    opaque = b"\x00\xff\xfe not utf-8"
    echo = ((headers.SPRING_CORRELATION_ID, base64.b64encode(opaque).decode()),)
    address = ReplyAddress(topic=topics.replies("demo"), partition=1, echo=echo)

    (reply,) = await world.handle(cleared(a_slip(reply=address, verdict=Verdict(effect="deny", reason="No."))))

    assert dict(reply.headers)[headers.SPRING_CORRELATION_ID] == opaque
    assert reply.partition == 1


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        (ReplyAddress(topic="ai.public.replies.demo.gone.v1"), "there is no topic ai.public.replies.demo.gone.v1"),
        (ReplyAddress(topic="ai.public.replies.demo.v1", partition=9), "ai.public.replies.demo.v1 has no partition 9"),
        (ReplyAddress(topic=topics.DOOR, partition=9, door="d"), f"{topics.DOOR} has no partition 9"),
    ],
)
async def test_a_reply_that_cannot_go_where_it_should_goes_to_the_default_topic(
    world: World, address: ReplyAddress, reason: str
):
    (reply,) = await world.handle(cleared(a_slip(reply=address, verdict=Verdict(effect="deny", reason="No."))))

    assert (reply.topic, reply.partition) == ("ai.public.replies.demo.v1", None)
    assert said(reply, headers.REPLY_FALLBACK) == reason


async def test_a_second_result_of_an_attempt_is_dropped(world: World):
    """A call that was made twice, after a crash of its worker, has one consequence."""
    (dispatched,) = await world.handle(cleared(a_slip()))

    first = await world.handle(attempted(dispatched, DOWN))
    second = await world.handle(attempted(dispatched, DOWN), attempted(dispatched))

    assert [m.topic for m in first] == [topics.dispatch("beta")]
    assert second == []


async def test_two_results_of_one_attempt_in_one_batch_have_one_consequence(world: World):
    (dispatched,) = await world.handle(cleared(a_slip()))

    messages = await world.handle(attempted(dispatched, DOWN), attempted(dispatched))

    assert outcomes(messages) == ["answered"], "a batch settles first"


async def test_a_batch_settles_before_it_dispatches(world: World):
    slip = a_slip(reply=ReplyAddress(topic=topics.DOOR, partition=1, door="door-7"))
    (dispatched,) = await world.handle(cleared(slip))

    (reply,) = await world.handle(attempted(dispatched, DOWN), ended(slip, nameless=True))

    assert (reply.topic, reply.partition) == (topics.DOOR, 1)
    assert (said(reply, headers.OUTCOME), said(reply, headers.STATUS)) == ("cancelled", "409")
    assert said(reply, headers.DOOR) == "door-7"


async def test_nothing_is_dispatched_after_the_outcome(world: World):
    slip = a_slip()
    (dispatched,) = await world.handle(cleared(slip))
    await world.handle(ended(slip, nameless=True))

    assert await world.handle(attempted(dispatched, DOWN)) == []
    assert await world.handle(attempted(dispatched)) == []


async def test_a_request_that_ends_before_its_verdict_is_answered_where_it_wanted(world: World):
    """The cancellation overtakes the request: nothing is dispatched, and the request's own address is answered too."""
    slip = a_slip(reply=ReplyAddress(topic=topics.DOOR, partition=0, door="door-7"))

    (to_default,) = await world.handle(ended(slip, nameless=True))
    (to_door,) = await world.handle(cleared(slip))

    assert to_default.topic == topics.replies("demo")
    assert to_door.topic == topics.DOOR
    assert to_door.value == to_default.value
    assert said(to_door, headers.CE_ID) == said(to_default, headers.CE_ID)


async def test_a_duplicate_of_a_settled_request_gets_the_stored_answer_at_its_own_address(world: World):
    slip = a_slip()
    (dispatched,) = await world.handle(cleared(slip))
    (first,) = await world.handle(attempted(dispatched))
    elsewhere = structs.replace(slip, reply=ReplyAddress(topic=topics.DOOR, partition=1, door="d"))

    (second,) = await world.handle(cleared(elsewhere, submission="1"))

    assert (second.topic, second.partition) == (topics.DOOR, 1)
    assert second.value == first.value
    assert said(second, headers.CE_ID) == said(first, headers.CE_ID)


async def test_a_duplicate_of_a_request_under_way_is_answered_with_it(world: World):
    slip = a_slip()
    elsewhere = structs.replace(slip, reply=ReplyAddress(topic=topics.DOOR, partition=1, door="d"))
    (dispatched,) = await world.handle(cleared(slip))

    none_yet = await world.handle(cleared(elsewhere, submission="1"))
    replies = await world.handle(attempted(dispatched))

    assert none_yet == []
    assert sorted(reply.topic for reply in replies) == [topics.DOOR, topics.replies("demo")]
    assert {reply.value for reply in replies} == {RESPONSE}


async def test_a_duplicate_in_the_batch_that_settles_is_answered_once(world: World):
    slip = a_slip()
    elsewhere = structs.replace(slip, reply=ReplyAddress(topic=topics.DOOR, partition=1, door="d"))
    (dispatched,) = await world.handle(cleared(slip))

    replies = await world.handle(cleared(elsewhere, submission="1"), attempted(dispatched))

    assert sorted(reply.topic for reply in replies) == [topics.DOOR, topics.replies("demo")]


async def test_two_submissions_in_one_batch_are_one_request(world: World):
    slip = a_slip()

    messages = await world.handle(cleared(slip), cleared(slip, submission="1"))

    assert [message.topic for message in messages] == [topics.dispatch("alpha")]


async def test_the_same_key_with_another_body_is_a_conflict_and_nothing_else(world: World):
    slip = a_slip()
    other = structs.replace(slip, body_digest="0" * 64)
    (dispatched,) = await world.handle(cleared(slip))

    (conflict,) = await world.handle(cleared(other, submission="1"))
    replies = await world.handle(attempted(dispatched))

    assert said(conflict, headers.CE_TYPE) == EventType.CONFLICTED
    assert said(conflict, headers.STATUS) == "422"
    assert said(conflict, headers.CE_ID) != ids.event_id(slip.request_id, "outcome")
    assert msgspec.json.decode(conflict.value or b"")["error"]["code"] == "idempotency_conflict"
    assert outcomes(replies) == ["answered"], "the conflicting submission is no waiter"


async def test_a_deny_is_settled_and_never_dispatched(world: World):
    verdict = Verdict(effect="deny", code="model_not_allowed", reason="Not for you.")

    (reply,) = await world.handle(cleared(a_slip(verdict=verdict)))

    assert (said(reply, headers.OUTCOME), said(reply, headers.STATUS)) == ("denied", "403")


async def test_a_record_that_nobody_could_have_written_is_poison(world: World):
    garbage = Message(topics.RESULTS, b"{", b"k", ((headers.CE_TYPE, b"ai.request.attempted"),))

    with pytest.raises(PermanentError):
        await world.handle(garbage)


async def drive(world: World, slip: Slip, *results: FailureKind | None) -> list[list[Message]]:
    """A request's way, with one batch for each record: what was published for each."""
    way = [await world.handle(cleared(slip))]
    for result in results:
        way.append(await world.handle(attempted(way[-1][0], result)))
    return way


@pytest.mark.parametrize(
    "results", [(None,), (DOWN, None), (DOWN, DOWN, DOWN), (FailureKind.REFUSED,), (DOWN, FailureKind.INVALID)]
)
async def test_a_redelivered_record_publishes_the_same_bytes(world: World, results: tuple[FailureKind | None, ...]):
    """R1: whatever has changed since (the process, the time, every vendor's health), the decision stands."""
    slip = a_slip()
    records = [await world.record(cleared(slip))]
    published = [await world.redeliver(records[0])]
    for result in results:
        assert await world.redeliver(records[-1]) == published[-1], "redelivered before the next record exists"
        records.append(await world.record(attempted(published[-1][0], result)))
        published.append(await world.redeliver(records[-1]))

    world.start()
    world.clock.advance(3_600)
    world.board.lost_vendors = frozenset({"alpha", "beta", "gamma"})

    settled = len(published) - 1 if published[-1][0].topic == topics.replies("demo") else None
    for index, record in enumerate(records):
        again = await world.redeliver(record)
        # Once the outcome is there, R1 stops the steps before it.
        assert again == (published[index] if settled in (None, index) else [])


async def test_a_redelivered_batch_publishes_the_same_bytes(world: World):
    slips = [a_slip(f"ticket-{i}") for i in range(5)]
    records = [await world.record(cleared(slip)) for slip in slips]

    first = await world.redeliver(*records)
    world.start()
    world.clock.advance(60)

    assert await world.redeliver(*records) == first


async def test_a_large_body_is_parked_by_reference(world: World):
    large = b'{"model":"triage","messages":["' + b"x" * 100_000 + b'"]}'
    world.board.lost_vendors = frozenset({"alpha", "beta", "gamma"})

    (parked,) = await world.handle(cleared(a_slip(), large))
    world.board.lost_vendors = frozenset()
    world.clock.advance(60)
    assert await world.release.let_go()

    assert parked.topic == topics.PARKED
    (released,) = world.broker.records(topics.RESULTS)
    assert bytes(decode(released.value).body) == large


async def test_over_its_parking_limit_a_tenant_is_told_so(world: World):
    world.board.lost_vendors = frozenset({"alpha", "beta", "gamma"})
    limits = world.config.tenants[0].limits
    for _ in range(limits.parked_requests):
        world.space.took("demo", 1)

    (reply,) = await world.handle(cleared(a_slip()))

    assert (said(reply, headers.OUTCOME), said(reply, headers.STATUS)) == ("over_limit", "429")


async def test_a_dead_letter_of_the_router_ends_its_request(world: World):
    slip = a_slip()
    record = await world.record(cleared(slip))

    (end,) = dead_lettered(record, "bug: KeyError")
    (reply,) = await world.handle(end)

    assert said(reply, headers.OUTCOME) == OutcomeKind.DEAD_LETTERED
    assert dead_lettered(await world.record(end), "again") == (), "an end that fails must not cause another"
