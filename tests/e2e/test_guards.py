"""Each guard earns its place: with it switched off, the checker finds the broken promise.

The same scenario with all guards on is part of each test: it must be clean, or the red would prove nothing.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import pytest
from msgspec import structs

from allweather.contracts import headers, ids, topics
from allweather.contracts.records import Dispatch, EventType, Released, decode, encode
from allweather.contracts.slip import Verdict
from allweather.drills.checker import Violation, check
from allweather.drills.journal import now_ms
from allweather.drills.stage import TENANT, Stage
from allweather.drills.tickets import all_tickets
from allweather.failpoints.names import GUARDS
from allweather.messaging import Message, Record
from allweather.vendorsim.faults import SlowFirstToken

FAILPOINTS = "ALLWEATHER_FAILPOINTS"
Scenario = Callable[[Stage], Awaitable[None]]


@asynccontextmanager
async def failpoints(on: Stage, service: str, spec: str, after_kill: str = "") -> AsyncGenerator[None]:
    """Run `service` under the failpoints `spec`; when one of them kills it, its successor runs under `after_kill`."""
    supervisor = on.system.supervisor
    supervisor.amend(service, **{FAILPOINTS: spec})
    await supervisor.restart(service)
    supervisor.amend(service, **{FAILPOINTS: after_kill})
    try:
        yield
    finally:
        supervisor.amend(service, **{FAILPOINTS: ""})
        await supervisor.restart(service)


def body() -> dict[str, object]:
    return all_tickets()[0].body()


async def until_restarted(on: Stage, service: str, was: int | None) -> None:
    """Until the process that ran as `was` has a successor that is ready."""
    async with asyncio.timeout(30):
        while on.system.supervisor.pid(service) in (was, None):
            await asyncio.sleep(0.05)
    await on.system.supervisor.until_ready(service)


async def published(on: Stage, topic: str, event: EventType, request: UUID) -> Record:
    """The record of `event` about `request`, once it is on its topic."""
    async with asyncio.timeout(30):
        while True:
            async for record in on.broker.read_all([topic]):
                if record.text(headers.CE_TYPE) == event and record.text(headers.CE_SUBJECT) == str(request):
                    return record
            await asyncio.sleep(0.1)


async def submit_twice(on: Stage) -> None:
    """The same request arrives again while the first is in flight, as after a retry of its publisher."""
    key = f"twice-{uuid4()}"
    await on.simulator.put_faults(SlowFirstToken(seconds=2))
    request = await on.kafka.send(key, body())
    await published(on, topics.dispatch("anthropic"), EventType.DISPATCHED, request)
    await on.kafka.send(key, body())
    await on.settled(20)
    await quiet(on)


async def quiet(on: Stage) -> None:
    """Until the groups of the request path have nothing left to do."""
    groups = ["policy", "router", *(f"provider-worker.{v.id}" for v in on.configuration.vendors)]
    async with asyncio.timeout(30):
        while any([sum((await on.broker.lag(group)).values()) for group in groups]):
            await asyncio.sleep(0.1)


async def violations(on: Stage) -> list[Violation]:
    return check(await on.evidence())


async def test_without_first_row_wins_a_request_is_dispatched_twice(on: Stage) -> None:
    await submit_twice(on)
    assert await violations(on) == []

    async with failpoints(on, "router", "router.first-row-wins=skip"):
        await submit_twice(on)

    assert {"P4"} <= {v.promise for v in await violations(on)}


async def test_without_replaying_its_decision_a_killed_router_forgets_a_request(on: Stage) -> None:
    async def router_dies_between_row_and_record(successor: str) -> None:
        async with failpoints(on, "router", "router.after-steps=kill", successor):
            was = on.system.supervisor.pid("router")
            await on.kafka.send(f"forgotten-{uuid4()}", body())
            await until_restarted(on, "router", was)
            await on.settled(10)
            await quiet(on)

    await router_dies_between_row_and_record("")
    assert await violations(on) == []

    await router_dies_between_row_and_record("router.same-cause-replays=skip")

    assert {"P1", "P6"} <= {v.promise for v in await violations(on)}


async def test_without_waiting_for_acknowledgements_a_killed_policy_loses_a_request(on: Stage) -> None:
    async def policy_dies_before_it_publishes(spec: str, within_s: float) -> None:
        async with failpoints(on, "policy", f"policy.before-publish=sleep:60;{spec}"):
            before = await committed()
            await on.kafka.send(f"lost-{uuid4()}", body())
            await committed_after(before, within_s)
            await on.kill("policy")
            await on.settled(10)

    async def committed() -> int:
        return sum(place.offset for place in (await on.broker.committed("policy")).values())

    async def committed_after(before: int, within_s: float) -> None:
        """Until the record is committed, or there was time enough for that."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while await committed() == before:
                    await asyncio.sleep(0.05)

    await policy_dies_before_it_publishes("", within_s=2)
    assert await violations(on) == []

    await policy_dies_before_it_publishes("messaging.commit-after-ack=skip", within_s=30)

    assert {"P1", "P6"} <= {v.promise for v in await violations(on)}


async def forged_dispatch(on: Stage, *, verdict: Verdict | None = None, deadline_ms: int | None = None) -> None:
    """A dispatch record that a defective router might write: a real one, against its verdict or its deadline.

    The record of the verdict itself is forged alike, so that the checker judges by what was recorded.
    """
    request = await on.kafka.send(f"forged-{uuid4()}", body())
    await on.settled(20)
    vendor = await vendor_of(on, request)
    for topic, event in ((topics.CLEARED, EventType.CLEARED), (topics.dispatch(vendor), EventType.DISPATCHED)):
        record = await published(on, topic, event, request)
        await on.broker.publisher.publish([forged(record, topic, verdict, deadline_ms)], timeout=5)
    await quiet(on)


def forged(record: Record, topic: str, verdict: Verdict | None, deadline_ms: int | None) -> Message:
    envelope = decode(record.value)
    slip = envelope.read_slip()
    other = ids.request_id(TENANT, f"forged-{slip.request_id}")
    changed: dict[str, object] = {"request_id": other}
    changed |= {"verdict": verdict} if verdict else {}
    changed |= {"deadline_ms": deadline_ms} if deadline_ms else {}
    data = envelope.data
    if topic != topics.CLEARED:
        dispatch = envelope.read(Dispatch)
        now = now_ms()
        data = msgspec.Raw(
            structs.replace(dispatch, attempt_id=ids.attempt_id(other, 1), dispatched_at_ms=now).to_json()
        )
    value = encode(structs.replace(slip, **changed), data, envelope.body)
    kept = tuple((n, v) for n, v in record.headers if n not in (headers.CE_SUBJECT, headers.CE_ID))
    named = ((headers.CE_SUBJECT, str(other).encode()), (headers.CE_ID, str(uuid4()).encode()))
    return Message(topic, value, str(other).encode(), (*kept, *named))


async def vendor_of(on: Stage, request: UUID) -> str:
    deployment = await on.postgres.fetchval(
        "SELECT settled ->> 'deployment' FROM router.outcomes WHERE request_id = $1", request
    )
    return on.configuration.deployment(deployment).vendor


@pytest.mark.parametrize(
    ("guard", "forgery"),
    [
        ("worker.verdict-check", {"verdict": Verdict(effect="deny", code="forged")}),
        ("worker.region-check", {"verdict": Verdict(effect="permit", regions=("nowhere",))}),
        ("worker.deadline-check", {"deadline_ms": 1}),
    ],
)
async def test_without_its_own_check_a_worker_trusts_a_defective_router(
    guard: str, forgery: dict[str, object], on: Stage
) -> None:
    await forged_dispatch(on, **forgery)  # pyright: ignore[reportArgumentType] -- one keyword of several types
    assert "P5" not in {v.promise for v in await violations(on)}

    worker = "provider-worker.anthropic"
    async with failpoints(on, worker, f"{guard}=skip"):
        await forged_dispatch(on, **forgery)  # pyright: ignore[reportArgumentType] -- one keyword of several types

    assert "P5" in {v.promise for v in await violations(on)}


async def test_without_stopping_at_the_outcome_a_late_record_starts_again(on: Stage) -> None:
    async def release_after_the_outcome() -> None:
        request = await on.kafka.send(f"late-{uuid4()}", body())
        await on.settled(20)
        attempted = decode((await published(on, topics.RESULTS, EventType.ATTEMPTED, request)).value)
        slip = attempted.read_slip()
        beyond = structs.replace(slip, position=slip.position + 5)
        original = decode((await published(on, topics.CLEARED, EventType.CLEARED, request)).value)
        value = encode(beyond, Released(n=1, released_at_ms=now_ms()), original.body)
        named = {
            headers.CE_TYPE: EventType.RELEASED.value,
            headers.CE_ID: str(uuid4()),
            headers.CE_SUBJECT: str(request),
        }
        encoded = tuple((name, text.encode()) for name, text in named.items())
        await on.broker.publisher.publish([Message(topics.RESULTS, value, str(request).encode(), encoded)], timeout=5)
        await quiet(on)

    await release_after_the_outcome()
    assert await violations(on) == []

    async with failpoints(on, "router", "router.outcome-stops-dispatch=skip"):
        await release_after_the_outcome()

    assert {"P4"} <= {v.promise for v in await violations(on)}


def test_every_guard_has_its_test() -> None:
    """Here, or where a seed chooses the interleaving that breaks something without it."""
    simulated = Path(__file__).parents[1] / "protocol/simulator/removed.py"
    sources = Path(__file__).read_text() + simulated.read_text()

    assert {guard for guard in GUARDS if guard not in sources} == set()
