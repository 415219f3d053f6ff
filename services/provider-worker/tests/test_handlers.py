"""What a worker leaves behind for one dispatch record."""

import asyncio
import hashlib
import json
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from pydantic import SecretStr

from allweather.contracts import headers, ids, topics
from allweather.contracts.config import Configuration
from allweather.contracts.failures import FailureKind, OutcomeKind
from allweather.contracts.records import AttemptResult, Ended, EventType, decode
from allweather.contracts.slip import ReplyAddress, Verdict
from allweather.failpoints import Failpoints
from allweather.messaging import PermanentError, Record
from allweather.messaging.testing import eventually
from allweather.provider_worker import results
from allweather.provider_worker.adapters.credentials import FixedKey
from allweather.provider_worker.limits import Limiter
from allweather.provider_worker.stations import Equipped, Unequipped
from allweather.provider_worker.testing import BODY, Bench, dispatch_record
from allweather.provider_worker.wire import Target
from allweather.runtime.redis import guarded_redis
from allweather.vendorsim import faults
from allweather.vendorsim.client import Simulator

HAIKU = "anthropic/claude-haiku-4-5"
GPT = "openai/gpt-5.2"
CANARY = "sk-ant-api03-CANARY-7f3a9c-do-not-repeat-me"


async def test_result_is_an_event_about_the_request(bench: Bench) -> None:
    record = dispatch_record(GPT)

    (message,) = (await bench.worker("openai").handle(record)).messages

    given = {name: value.decode() for name, value in message.headers if value}
    request = ids.request_id("demo", "ticket-0")
    assert given[headers.CE_TYPE] == EventType.ATTEMPTED
    assert given[headers.CE_ID] == ids.event_id(request, "attempted-1")
    assert given[headers.CE_SUBJECT] == str(request)
    assert given[headers.CE_TENANT] == "demo"
    assert given[headers.CE_CAUSATION] == record.text(headers.CE_ID)
    assert (message.topic, message.key) == (topics.RESULTS, record.key)


async def test_deltas_go_to_the_door_that_waits(bench: Bench) -> None:
    worker = bench.worker("anthropic")

    ended, completion = await worker.attempt(dispatch_record(HAIKU, stream=True))

    records = worker.broker.records(topics.DELTAS)
    assert {record.partition for record in records} == {1}
    assert {record.text(headers.CALL_ID) for record in records} == {ended.call_id}
    assert [record.text(headers.DELTA_SEQUENCE) for record in records] == [str(n) for n in range(ended.delta_count)]
    assert ended.released_content
    assert ended.deltas_digest == hashlib.sha256(b"".join(r.value or b"" for r in records)).hexdigest()
    shown = [json.loads(event) for delta in worker.deltas() for event in delta.events]
    said = "".join(choice["delta"].get("content") or "" for event in shown for choice in event["choices"])
    assert completion is not None
    assert said == completion["choices"][0]["message"]["content"]


async def test_deltas_of_a_kafka_caller_go_to_its_own_topic(bench: Bench) -> None:
    worker, reply = bench.worker("openai"), ReplyAddress(topic="ai.public.replies.demo.v1")

    ended, _ = await worker.attempt(dispatch_record(GPT, stream=True, reply=reply))

    assert len(worker.deltas(topics.deltas("demo"))) == ended.delta_count > 0
    assert not worker.deltas()


async def test_deltas_that_cannot_be_sent_cost_the_stream_but_not_the_answer(bench: Bench) -> None:
    """Without an id of its call, nobody takes what came of the stream for the whole answer."""
    worker = bench.worker("openai")

    ended, completion = await worker.attempt(
        dispatch_record(GPT, stream=True, tenant="topicless", reply=ReplyAddress(topic="x"))
    )

    assert ended.failure is None
    assert completion is not None
    assert ended.call_id is None


NOT_CALLED = [
    ({"verdict": Verdict(effect="deny")}, "not_permitted", "worker.verdict-check"),
    ({"verdict": Verdict(effect="permit", regions=("eu",))}, "outside_regions", "worker.region-check"),
    ({"deadline_ms": 1}, "deadline_passed", "worker.deadline-check"),
    ({"queued_at_ms": 1}, "queued_too_long", None),
]


@pytest.mark.parametrize(("changes", "code", "guard"), NOT_CALLED)
async def test_call_that_may_not_be_made_is_not_made(
    bench: Bench, simulator: Simulator, changes: dict[str, Any], code: str, guard: str | None
) -> None:
    ended, _ = await bench.worker("openai").attempt(dispatch_record(GPT, **changes))

    assert (ended.failure, ended.vendor_code) == (FailureKind.NOT_CALLED, code)
    assert not await simulator.calls()


@pytest.mark.parametrize(("changes", "code", "guard"), [each for each in NOT_CALLED if each[2]])
async def test_guard_is_all_that_keeps_the_call_from_being_made(
    bench: Bench, simulator: Simulator, changes: dict[str, Any], code: str, guard: str
) -> None:
    """So that a drill which switches it off turns the checker red."""
    worker = bench.worker("openai", failpoints=Failpoints.parse(f"{guard}=skip"))

    await worker.attempt(dispatch_record(GPT, **changes))

    assert len(await simulator.calls()) == 1


async def test_calls_beyond_the_slots_are_not_made(bench: Bench, simulator: Simulator) -> None:
    """One deployment without room does not hold up the others in the same topic."""
    await simulator.put_faults(faults.SlowFirstToken(region="uksouth", seconds=0.5))
    worker = bench.worker("azure-openai")
    full, free = "azure-openai/gpt-5.2/uksouth", "azure-openai/gpt-5.2/eastus2"
    station = worker.stations[full]
    assert isinstance(station, Equipped)
    many = range(station.target.deployment.concurrency.start + 2)

    ends = await asyncio.gather(*(worker.attempt(dispatch_record(full, offset=n)) for n in many))
    elsewhere, _ = await worker.attempt(dispatch_record(free, offset=99))

    codes = [ended.vendor_code for ended, _ in ends]
    assert codes.count("slots_full") == 2
    assert codes.count(None) == len(many) - 2
    assert elsewhere.failure is None


async def test_vendors_headers_become_limits(bench: Bench, simulator: Simulator) -> None:
    """What the vendor says is left is not asked for again before it can be there."""
    gone = {"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "0"}
    await simulator.put_faults(faults.Status(status=500, headers=gone, count=1))
    worker = bench.worker("openai")

    await worker.attempt(dispatch_record(GPT, offset=1))
    second, _ = await worker.attempt(dispatch_record(GPT, offset=2))

    assert (second.failure, second.vendor_code) == (FailureKind.NOT_CALLED, "rate_used_up")
    assert second.retry_after_ms is not None
    assert 0 < second.retry_after_ms <= 1000
    assert len(await simulator.calls()) == 1


async def test_request_that_is_told_to_wait_holds_back_the_next_one(bench: Bench, simulator: Simulator) -> None:
    """A vendor's limit is not that of one request."""
    await simulator.put_faults(faults.RateLimit(retry_after=20, count=1))
    worker = bench.worker("openai")

    first, _ = await worker.attempt(dispatch_record(GPT, offset=1))
    second, _ = await worker.attempt(dispatch_record(GPT, offset=2))

    assert (first.failure, first.retry_after_ms) == (FailureKind.RATE_LIMITED, 20_000)
    assert (second.failure, second.vendor_code) == (FailureKind.NOT_CALLED, "rate_used_up")
    assert 15_000 < (second.retry_after_ms or 0) <= 20_000


async def test_unknown_deployment_is_misconfigured(bench: Bench) -> None:
    ended, _ = await bench.worker("openai").attempt(dispatch_record("openai/gpt-9"))

    assert ended.failure is FailureKind.MISCONFIGURED


async def test_deployment_without_its_variables_is_misconfigured(bench: Bench) -> None:
    reason = f"{GPT} cannot be called here: OPENAI_API_KEY is not set."
    worker = bench.worker("openai", equipment={GPT: Unequipped(reason)})

    ended, _ = await worker.attempt(dispatch_record(GPT))

    assert ended.failure is FailureKind.MISCONFIGURED
    assert ended.message == reason


def equipped(bench: Bench, configuration: Configuration, deployment: str, path: str, key: str) -> Equipped:
    known = configuration.deployment(deployment)
    return Equipped(Target(known, bench.base_url + path), FixedKey(key), Limiter.of(known.concurrency))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
@pytest.mark.parametrize("stream", [False, True])
async def test_secret_that_a_vendor_echoes_goes_nowhere(
    bench: Bench,
    simulator: Simulator,
    configuration: Configuration,
    caplog: pytest.LogCaptureFixture,
    status: int,
    stream: bool,
) -> None:
    """Neither into the result nor into the log."""
    said = f"The key {CANARY} (begins with {CANARY[:16]}) is not good"
    await simulator.put_faults(faults.Status(status=status, message=said, code=CANARY))
    station = equipped(bench, configuration, HAIKU, "/anthropic", CANARY)
    worker = bench.worker("anthropic", equipment={HAIKU: station})

    with caplog.at_level("DEBUG"):
        outputs = await worker.handle(dispatch_record(HAIKU, stream=stream))

    (message,) = outputs.messages
    everything = repr(message) + caplog.text + repr(station)
    assert CANARY[:16] not in everything
    assert CANARY[8:] not in everything


async def test_body_is_read_from_the_payload_store(bench: Bench) -> None:
    worker = bench.worker("openai")
    reference = await worker.payloads.put(msgspec.json.encode(BODY))

    ended, _ = await worker.attempt(dispatch_record(GPT, body_ref=reference, raw_body=msgspec.Raw(b"null")))

    assert ended.failure is None


async def test_lost_body_is_a_dead_letter(bench: Bench) -> None:
    record = dispatch_record(GPT, body_ref="0" * 64, raw_body=msgspec.Raw(b"null"))

    with pytest.raises(PermanentError, match="body is lost"):
        await bench.worker("openai").handle(record)


async def test_large_response_is_kept_beside_the_record(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record names it by its digest."""
    monkeypatch.setattr("allweather.provider_worker.handlers.MAX_INLINE_RESPONSE", 100)
    worker = bench.worker("openai")

    ended, completion = await worker.attempt(dispatch_record(GPT))

    assert completion is None
    assert ended.response_ref is not None
    kept = json.loads(await worker.payloads.get(ended.response_ref))
    assert kept["choices"][0]["message"]["content"]


async def test_malformed_record_is_a_dead_letter(bench: Bench) -> None:
    good = dispatch_record(GPT)
    broken = Record(good.topic, 0, 0, good.timestamp_ms, good.key, b'{"slip":{}}')

    with pytest.raises(PermanentError, match="malformed dispatch record"):
        await bench.worker("openai").handle(broken)


async def test_dead_letter_ends_its_request(bench: Bench) -> None:
    """If it can be read whose it is."""
    record = dispatch_record(GPT)

    (message,) = results.dead_lettered(record, "bug: ValueError")

    envelope = decode(message.value)
    assert envelope.read(Ended).outcome is OutcomeKind.DEAD_LETTERED
    assert bytes(envelope.slip) == bytes(decode(record.value).slip)
    assert results.dead_lettered(Record("t", 0, 0, 0, b"", b"nonsense"), "bug") == ()


async def test_cancelled_call_gives_back_its_slot(bench: Bench, simulator: Simulator) -> None:
    await simulator.put_faults(faults.Hang())
    worker = bench.worker("openai")
    station = worker.stations[GPT]
    assert isinstance(station, Equipped)
    call = asyncio.create_task(worker.handle(dispatch_record(GPT)))
    await eventually(lambda: station.limiter.slots.in_flight == 1)

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert station.limiter.slots.in_flight == 0


async def test_bug_is_not_paid_for_twice(
    bench: Bench, simulator: Simulator, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It becomes a dead letter at once: each further delivery, of the record or of its twin, would be another call."""

    def broken(*_: object, **__: object) -> AttemptResult:
        raise ZeroDivisionError

    monkeypatch.setattr(results, "result", broken)
    record = dispatch_record(GPT)
    async with guarded_redis(SecretStr(redis_url), timeout_s=10) as redis:
        worker = Bench(bench.configuration, bench.transport, redis, bench.base_url).worker("openai")

        with pytest.raises(PermanentError, match="bug: ZeroDivisionError"):
            await worker.handle(record)
        of_its_twin = await worker.handle(replace(record, offset=99))

    assert not of_its_twin.messages
    assert len(await simulator.calls()) == 1


async def test_record_that_was_answered_is_not_called_again(bench: Bench, simulator: Simulator, redis_url: str) -> None:
    """Redelivered after its result was acknowledged, by this worker or another."""
    async with guarded_redis(SecretStr(redis_url), timeout_s=10) as redis:
        first, second = (
            Bench(bench.configuration, bench.transport, redis, bench.base_url).worker("openai") for _ in "12"
        )
        record = dispatch_record(GPT)
        outputs = await first.handle(record)
        assert outputs.after_ack is not None
        await outputs.after_ack()

        again = await second.handle(record)

    assert again.messages == ()
    assert len(await simulator.calls()) == 1
