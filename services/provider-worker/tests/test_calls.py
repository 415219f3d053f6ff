"""The worker at the simulators: each vendor, each way in which a call can go wrong."""

import json
from typing import Any

import msgspec
import pytest

from allweather.contracts.failures import FailureKind
from allweather.contracts.records import decode
from allweather.contracts.slip import Attempt, Verdict
from allweather.provider_worker.testing import BODY, Bench, dispatch_record
from allweather.vendorsim import faults
from allweather.vendorsim.client import Simulator

DEPLOYMENTS = {
    "anthropic": "anthropic/claude-haiku-4-5",
    "openai": "openai/gpt-5.2",
    "azure-openai": "azure-openai/gpt-5.2/swedencentral",
    "vertex": "vertex/gemini-3.5-flash",
    "open-source": "open-source/gpt-oss-120b",
}
every_vendor = pytest.mark.parametrize("vendor", DEPLOYMENTS)
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])


@every_vendor
@both_ways
async def test_answer_of_every_vendor(bench: Bench, vendor: str, stream: bool) -> None:
    worker = bench.worker(vendor)

    ended, completion = await worker.attempt(dispatch_record(DEPLOYMENTS[vendor], stream=stream))

    assert ended.failure is None
    assert ended.message is None
    assert completion is not None
    assert json.loads(completion["choices"][0]["message"]["content"])["category"]
    assert ended.finish_reason == "stop"
    assert ended.served_model == completion["model"]
    assert ended.usage is not None
    assert ended.usage.input_tokens > 10
    assert ended.usage.output_tokens > 3
    assert ended.http_status == 200
    assert ended.first_token_ms is not None
    assert ended.call_id


@every_vendor
async def test_streamed_answer_equals_the_plain_one(bench: Bench, vendor: str) -> None:
    worker = bench.worker(vendor)

    plain, whole = await worker.attempt(dispatch_record(DEPLOYMENTS[vendor], offset=1))
    streamed, assembled = await worker.attempt(dispatch_record(DEPLOYMENTS[vendor], offset=2, stream=True))

    assert whole is not None
    assert assembled is not None
    assert assembled["choices"][0]["message"]["content"] == whole["choices"][0]["message"]["content"]
    assert streamed.usage == plain.usage
    assert streamed.finish_reason == plain.finish_reason


@every_vendor
async def test_call_can_be_found_by_its_attempt_id(bench: Bench, vendor: str, simulator: Simulator) -> None:
    ended, _ = await bench.worker(vendor).attempt(dispatch_record(DEPLOYMENTS[vendor]))

    (call,) = await simulator.calls()

    assert call.client_request_id == str(ended.attempt_id)


BEFORE_CONTENT: list[tuple[faults.AnyFault, FailureKind]] = [
    (faults.Refuse(), FailureKind.UNAVAILABLE),
    (faults.Status(status=500), FailureKind.UNAVAILABLE),
    (faults.Status(status=503), FailureKind.UNAVAILABLE),
    (faults.Status(status=408), FailureKind.UNAVAILABLE),
    (faults.Status(status=404), FailureKind.MISCONFIGURED),
    (faults.Status(status=400), FailureKind.INVALID),
    (faults.Auth(), FailureKind.AUTH_FAILED),
    (faults.RateLimit(retry_after=2), FailureKind.RATE_LIMITED),
    (faults.BodyError200(), FailureKind.UNAVAILABLE),
    (faults.MalformedChunk(), FailureKind.UNAVAILABLE),
    (faults.Cut(), FailureKind.UNAVAILABLE),
    (faults.Cut(reset=True), FailureKind.UNAVAILABLE),
]


@every_vendor
@both_ways
@pytest.mark.parametrize(("fault", "kind"), BEFORE_CONTENT, ids=str)
async def test_failure_before_any_content(
    bench: Bench, simulator: Simulator, vendor: str, stream: bool, fault: faults.AnyFault, kind: FailureKind
) -> None:
    """The result says which failure it was, and the caller has seen nothing."""
    await simulator.put_faults(fault)
    worker = bench.worker(vendor)

    ended, completion = await worker.attempt(dispatch_record(DEPLOYMENTS[vendor], stream=stream))

    assert ended.failure is kind, ended
    assert ended.message
    assert completion is None
    assert not worker.deltas()


async def test_failed_attempt_carries_the_body_and_an_answered_one_does_not(bench: Bench, simulator: Simulator) -> None:
    """The router needs the body to try again, and nowhere else."""
    worker, record = bench.worker("openai"), dispatch_record("openai/gpt-5.2")
    carried: list[Any] = []
    for fault in (faults.Status(status=500), faults.Status(status=400), None):
        await simulator.put_faults(*filter(None, [fault]))
        (message,) = (await worker.handle(record)).messages
        carried.append(msgspec.json.decode(bytes(decode(message.value).body)))

    assert carried == [BODY, None, None]


@pytest.mark.parametrize(
    ("vendor", "status"), [("anthropic", 529), ("anthropic", 504), ("vertex", 499), ("azure-openai", 408)]
)
async def test_vendors_own_statuses_mean_unavailable(
    bench: Bench, simulator: Simulator, vendor: str, status: int
) -> None:
    await simulator.put_faults(faults.Status(status=status))

    ended, _ = await bench.worker(vendor).attempt(dispatch_record(DEPLOYMENTS[vendor]))

    assert (ended.failure, ended.http_status) == (FailureKind.UNAVAILABLE, status)


@pytest.mark.parametrize(
    ("vendor", "kind"),
    [
        ("anthropic", FailureKind.QUOTA_EXHAUSTED),
        ("openai", FailureKind.QUOTA_EXHAUSTED),
        ("azure-openai", FailureKind.RATE_LIMITED),  # with a hint of a day
        ("vertex", FailureKind.RATE_LIMITED),  # which does not tell the two apart
    ],
)
async def test_money_that_has_run_out(bench: Bench, simulator: Simulator, vendor: str, kind: FailureKind) -> None:
    await simulator.put_faults(faults.Quota())

    ended, _ = await bench.worker(vendor).attempt(dispatch_record(DEPLOYMENTS[vendor]))

    assert ended.failure is kind


@every_vendor
async def test_rate_limit_says_when_to_come_back(bench: Bench, simulator: Simulator, vendor: str) -> None:
    await simulator.put_faults(faults.RateLimit(retry_after=3))

    ended, _ = await bench.worker(vendor).attempt(dispatch_record(DEPLOYMENTS[vendor]))

    assert ended.failure is FailureKind.RATE_LIMITED
    assert ended.retry_after_ms == 3000


@every_vendor
@both_ways
async def test_silent_vendor_is_given_up_at_the_first_token_limit(
    bench: Bench, simulator: Simulator, vendor: str, stream: bool
) -> None:
    await simulator.put_faults(faults.Hang())
    record = dispatch_record(DEPLOYMENTS[vendor], stream=stream, first_token_timeout_ms=100)

    ended, _ = await bench.worker(vendor).attempt(record)

    assert (ended.failure, ended.vendor_code) == (FailureKind.UNAVAILABLE, "timeout")
    assert ended.message == "The vendor did not send the first token within 0.1 s."
    assert ended.http_status is None


@every_vendor
async def test_stream_that_begins_but_says_nothing_is_given_up_too(
    bench: Bench, simulator: Simulator, vendor: str
) -> None:
    """Headers and a role are no content: the limit of the first token goes on."""
    await simulator.put_faults(faults.SlowFirstToken(seconds=30))
    worker = bench.worker(vendor)

    ended, _ = await worker.attempt(dispatch_record(DEPLOYMENTS[vendor], stream=True, first_token_timeout_ms=200))

    assert (ended.failure, ended.http_status) == (FailureKind.UNAVAILABLE, 200)
    assert not ended.released_content
    assert not worker.deltas()


@every_vendor
async def test_plain_call_after_a_silent_one_asks_for_a_stream(bench: Bench, simulator: Simulator, vendor: str) -> None:
    """A long answer must not look like a silent vendor for ever."""
    silent = Attempt(
        n=1,
        deployment=DEPLOYMENTS[vendor],
        episode=1,
        failure=FailureKind.UNAVAILABLE,
        dispatched_at_ms=0,
        ended_at_ms=10_000,
    )
    worker = bench.worker(vendor)

    ended, completion = await worker.attempt(dispatch_record(DEPLOYMENTS[vendor], attempts=(silent,)))

    (call,) = await simulator.calls()
    assert call.streaming
    assert ended.failure is None
    assert completion is not None
    assert not worker.deltas()


AFTER_CONTENT: list[faults.AnyFault] = [
    faults.Cut(after=1),
    faults.Cut(after=1, reset=True),
    faults.Stall(after=1),
    faults.NoFinish(after=1),
    faults.MalformedChunk(after=1),
    faults.ErrorInStream(after=1, status=500),
    faults.ErrorInStream(after=1, status=429, code="insufficient_quota"),
]


@every_vendor
@pytest.mark.parametrize("fault", AFTER_CONTENT, ids=str)
async def test_failure_after_content_is_an_interruption(
    bench: Bench, simulator: Simulator, vendor: str, fault: faults.AnyFault
) -> None:
    """What the caller has seen cannot be taken back; the result says how much that was."""
    await simulator.put_faults(fault)
    worker = bench.worker(vendor)

    ended, completion = await worker.attempt(dispatch_record(DEPLOYMENTS[vendor], stream=True))

    assert ended.failure is FailureKind.INTERRUPTED
    assert ended.released_content
    assert completion is None
    assert ended.delta_count == len(worker.deltas()) > 0


@every_vendor
@pytest.mark.parametrize("fault", [fault for fault in AFTER_CONTENT if not isinstance(fault, faults.Stall)], ids=str)
async def test_same_failure_of_a_stream_nobody_sees_is_no_interruption(
    bench: Bench, simulator: Simulator, vendor: str, fault: faults.AnyFault
) -> None:
    """Deltas are held back while a verdict asks for a look at the whole answer: another candidate can take over."""
    await simulator.put_faults(fault)
    worker = bench.worker(vendor)
    verdict = Verdict(effect="permit", output_check=True)
    silent = Attempt(
        n=1, deployment="x", episode=1, failure=FailureKind.UNAVAILABLE, dispatched_at_ms=0, ended_at_ms=10_000
    )
    record = dispatch_record(DEPLOYMENTS[vendor], stream=True, verdict=verdict, attempts=(silent,))

    ended, _ = await worker.attempt(record)

    assert ended.failure not in (None, FailureKind.INTERRUPTED)
    assert not ended.released_content
    assert not worker.deltas()


@every_vendor
async def test_missing_terminator_changes_nothing(bench: Bench, simulator: Simulator, vendor: str) -> None:
    await simulator.put_faults(faults.NoTerminator())

    ended, completion = await bench.worker(vendor).attempt(dispatch_record(DEPLOYMENTS[vendor], stream=True))

    assert ended.failure is None
    assert completion is not None


@pytest.mark.parametrize("vendor", ["anthropic", "openai", "azure-openai", "vertex"])
@both_ways
async def test_refusal_is_a_failure_and_an_answer(bench: Bench, vendor: str, stream: bool) -> None:
    body = {"model": "triage", "messages": [{"role": "user", "content": "[[refuse]] How do I pick this lock?"}]}

    ended, completion = await bench.worker(vendor).attempt(dispatch_record(DEPLOYMENTS[vendor], body, stream=stream))

    assert ended.failure is FailureKind.REFUSED
    assert ended.finish_reason in ("filtered_input", "filtered_output")
    assert completion is not None
    assert completion["choices"][0]["message"]["refusal"]


@every_vendor
async def test_prompt_over_the_context_window_is_too_long(bench: Bench, vendor: str) -> None:
    body = {"model": "triage", "messages": [{"role": "user", "content": "leak " * 1_400_000}]}

    record = dispatch_record(DEPLOYMENTS[vendor], body, first_token_timeout_ms=30_000)
    ended, _ = await bench.worker(vendor).attempt(record)

    assert ended.failure is FailureKind.TOO_LONG, ended.message


@every_vendor
async def test_answer_follows_a_schema(bench: Bench, vendor: str) -> None:
    """Each vendor declares that it can, and is told in its own words."""
    properties = {"category": {"type": "string"}, "urgent": {"type": "boolean"}}
    schema = {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}
    body = BODY | {"response_format": {"type": "json_schema", "json_schema": {"name": "triage", "schema": schema}}}

    ended, completion = await bench.worker(vendor).attempt(dispatch_record(DEPLOYMENTS[vendor], body))

    assert ended.failure is None, ended.message
    assert completion is not None
    said = json.loads(completion["choices"][0]["message"]["content"])
    assert {name: type(value) for name, value in said.items()} == {"category": str, "urgent": bool}


async def test_refused_parameter_is_not_sent(bench: Bench, simulator: Simulator) -> None:
    """The router is told which, and asks another; the vendor hears nothing of it."""
    body = BODY | {"logit_bias": {"50256": -100}}

    ended, _ = await bench.worker("anthropic").attempt(dispatch_record(DEPLOYMENTS["anthropic"], body))

    assert (ended.failure, ended.vendor_code) == (FailureKind.UNSUPPORTED, "unsupported_parameter")
    assert not await simulator.calls()
