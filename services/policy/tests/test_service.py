"""The service at its consumer: what the handler promises holds across restarts and broken records."""

from pathlib import Path

import pytest

from allweather.contracts import config, headers, ids, topics
from allweather.contracts.records import Ended, EventType, decode
from allweather.messaging import MemoryBroker, Message, OrderedConsumer, Outputs, Record, TransientError
from allweather.messaging.middleware.dead_letter import dead_letter
from allweather.messaging.testing import QUICK, eventually, running
from allweather.policy import files
from allweather.policy.adapters.bodies import Bodies
from allweather.policy.dead_letters import outcome_for
from allweather.policy.decision import Policy
from allweather.policy.handlers import ClearRequests
from allweather.runtime.payloads import DirectoryPayloads

CONFIG = Path(__file__).parents[3] / "config"
CONFIGURATION = config.load(CONFIG)
POLICY = Policy(files.load(CONFIG / "policies", CONFIGURATION), CONFIGURATION)
SECRET = b"s" * 32
BODY = b'{"model": "triage", "messages": [{"role": "user", "content": "My machine leaks."}]}'
TOPICS = {topics.requests("demo"): 2, topics.requests("other"): 2, topics.CLEARED: 4, topics.RESULTS: 4}


def submitted(key: str, tenant: str = "demo", value: bytes | None = BODY) -> Message:
    return Message(topics.requests(tenant), value, key.encode(), ((headers.CE_ID, key.encode()),))


def consumer(broker: MemoryBroker, store: Path) -> OrderedConsumer:
    bodies = Bodies(DirectoryPayloads(store))
    handler = ClearRequests(POLICY, SECRET, read_body=bodies.read, keep_body=bodies.keep)
    return OrderedConsumer(broker, handler, group="policy", pattern=topics.REQUESTS_PATTERN, pace=QUICK)


async def test_every_tenants_topic_is_read_and_every_record_cleared(tmp_path: Path):
    broker = MemoryBroker(TOPICS)
    sent = [submitted("a"), submitted("b", "other"), submitted("c", value=None), submitted("d", value=b"{")]

    async with running(consumer(broker, tmp_path)):
        await broker.publisher.publish(sent)
        await eventually(lambda: len(broker.records(topics.CLEARED)) == 4)

    slips = [decode(record.value).read_slip() for record in broker.records(topics.CLEARED)]
    assert {(slip.tenant, slip.verdict.effect) for slip in slips} == {
        ("demo", "permit"),
        ("other", "permit"),
        ("demo", "invalid"),
    }
    assert {slip.request_id for slip in slips} == {
        ids.request_id(tenant, key) for tenant, key in (("demo", "a"), ("other", "b"), ("demo", "c"), ("demo", "d"))
    }


async def test_a_record_that_breaks_the_service_still_gets_an_outcome():
    broker = MemoryBroker(TOPICS | {topics.dead_letters(topics.requests("demo")): 1})

    async def broken(batch: list[Record]) -> Outputs:
        raise ZeroDivisionError

    work = OrderedConsumer(
        broker,
        broken,  # pyright: ignore[reportArgumentType] - a list is a sequence
        group="policy",
        pattern=topics.REQUESTS_PATTERN,
        middleware=[dead_letter(group="policy", outcome_for=outcome_for(SECRET))],
        pace=QUICK,
    )
    async with running(work):
        await broker.publisher.publish([submitted("a")])
        await eventually(lambda: len(broker.records(topics.RESULTS)) == 1)

    (record,) = broker.records(topics.RESULTS)
    assert record.text(headers.CE_TYPE) == EventType.DEAD_LETTERED
    assert record.text(headers.CE_SUBJECT) == str(ids.request_id("demo", "a"))
    assert record.text(headers.CE_TENANT) == "demo"
    assert decode(record.value).read(Ended).outcome == "dead_lettered"


async def test_a_payload_store_that_is_away_makes_the_batch_wait(tmp_path: Path):
    occupied = tmp_path / "file"
    occupied.write_text("not a folder")
    bodies = Bodies(DirectoryPayloads(occupied))

    with pytest.raises(TransientError):
        await bodies.keep(b"x" * 10)
    with pytest.raises(TransientError):
        await bodies.read("0" * 64)
