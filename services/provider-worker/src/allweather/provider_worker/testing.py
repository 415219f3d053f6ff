"""What tests of a worker need: dispatch records as the router writes them, and a worker without Kafka."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from pydantic import SecretStr

from allweather.contracts import config, headers, ids, topics
from allweather.contracts.model import digest
from allweather.contracts.records import AttemptResult, Delta, Dispatch, RoutingDecision, decode, encode
from allweather.contracts.slip import Dialect, Priority, ReplyAddress, Slip, Verdict
from allweather.failpoints import OFF, Failpoints
from allweather.messaging import MemoryBroker, Record
from allweather.provider_worker.adapters.bodies import Bodies
from allweather.provider_worker.adapters.claims import RedisClaims
from allweather.provider_worker.adapters.deltas import KafkaDeltas
from allweather.provider_worker.adapters.http import Transport
from allweather.provider_worker.attempts import Attempts
from allweather.provider_worker.call import VendorCall
from allweather.provider_worker.claims import Holder
from allweather.provider_worker.handlers import DispatchHandler
from allweather.provider_worker.settings import Settings
from allweather.provider_worker.stations import Station, stations
from allweather.provider_worker.telemetry import Observer
from allweather.provider_worker.vendors import VENDORS
from allweather.provider_worker.work import Work
from allweather.runtime.clock import SystemClock
from allweather.runtime.payloads import MemoryPayloads
from allweather.runtime.redis import RedisGuard

WINDOW = 64
NO_REDIS = SecretStr("redis://127.0.0.1:1/0")
BODY: dict[str, Any] = {
    "model": "triage",
    "messages": [
        {"role": "system", "content": "Sort the ticket. Answer in JSON."},
        {"role": "user", "content": "My espresso machine leaks water all over the counter."},
    ],
}
TIMEOUTS = config.Timeouts(first_token=1.0, between_tokens=0.3, total=8.0)


CALL_ID = "call_7"
QUESTION = "Where is order 7? [[tool]]"
SCHEMA = {"type": "object", "properties": {"order": {"type": "integer"}}, "required": ["order"]}


def loop_body(dialect: Dialect, reply: dict[str, Any] | None, call_id: str = CALL_ID) -> dict[str, Any]:
    """A request with a tool; after a `reply` that called it, the next one: the reply as it came, and the result."""
    asked: list[dict[str, Any]] = [{"role": "user", "content": QUESTION}]
    function: dict[str, Any] = {"name": "lookup", "parameters": SCHEMA}
    match dialect:
        case Dialect.OPENAI_CHAT:
            if reply is not None:
                result = {"role": "tool", "tool_call_id": call_id, "content": "Oslo"}
                asked += [reply["choices"][0]["message"], result]
            return {"model": "triage", "messages": asked, "tools": [{"type": "function", "function": function}]}
        case Dialect.OPENAI_RESPONSES:
            if reply is not None:
                asked += [*reply["output"], {"type": "function_call_output", "call_id": call_id, "output": "Oslo"}]
            return {"model": "triage", "input": asked, "tools": [{"type": "function", **function}]}
        case Dialect.ANTHROPIC_MESSAGES:
            if reply is not None:
                result = {"type": "tool_result", "tool_use_id": call_id, "content": "Oslo"}
                asked += [{"role": "assistant", "content": reply["content"]}, {"role": "user", "content": [result]}]
            tool = {"name": "lookup", "input_schema": SCHEMA}
            return {"model": "triage", "max_tokens": 256, "messages": asked, "tools": [tool]}
        case Dialect.OPENAI_EMBEDDINGS:
            raise ValueError("an embedding model calls no tools")


def dispatch_record(deployment: str, body: dict[str, Any] | None = None, *, offset: int = 0, **changes: Any) -> Record:
    """A dispatch record as the router writes it, with those fields of its slip and its dispatch changed."""
    now_ms = time.time_ns() // 1_000_000
    raw = msgspec.json.encode(BODY if body is None else body)
    request = ids.request_id("demo", f"ticket-{offset}")
    fields: dict[str, Any] = {
        "request_id": request,
        "tenant": "demo",
        "route": "triage",
        "priority": Priority.INTERACTIVE,
        "accepted_at_ms": now_ms,
        "deadline_ms": now_ms + 60_000,
        "body_digest": digest(raw),
        "reply": ReplyAddress(topic=topics.DOOR, partition=1, door="door-1"),
        "verdict": Verdict(effect="permit"),
    }
    slip = Slip(**(fields | {name: value for name, value in changes.items() if name in Slip.__struct_fields__}))
    dispatch = Dispatch(
        attempt_id=ids.attempt_id(request, 1),
        n=1,
        deployment=deployment,
        vendor=deployment.partition("/")[0],
        episode=1,
        dispatched_at_ms=now_ms,
        first_token_timeout_ms=changes.get("first_token_timeout_ms", 1_000),
        decision=RoutingDecision(config_digest="", now_ms=now_ms, seed=1, considered=(), reason="first"),
    )
    value = encode(slip, dispatch, body=changes.get("raw_body", msgspec.Raw(raw)))
    return Record(
        topics.dispatch(dispatch.vendor),
        0,
        offset,
        changes.get("queued_at_ms", now_ms),
        str(request).encode(),
        value,
        ((headers.CE_ID, ids.event_id(request, "attempt-1").encode()),),
    )


@dataclass
class Worker:
    """The handler of one vendor, and what it leaves behind."""

    handle: DispatchHandler
    stations: Mapping[str, Station]
    broker: MemoryBroker
    payloads: MemoryPayloads

    async def attempt(self, record: Record) -> tuple[AttemptResult, dict[str, Any] | None]:
        """Handle `record`; the result it leaves, and the completion in it."""
        outputs = await self.handle(record)
        (message,) = outputs.messages
        assert message.topic == topics.RESULTS
        assert message.key == record.key
        envelope = decode(message.value)
        assert bytes(envelope.slip) == bytes(decode(record.value).slip), "the slip is passed on untouched"
        return envelope.read(AttemptResult), msgspec.json.decode(bytes(envelope.response))

    def deltas(self, topic: str = topics.DELTAS) -> list[Delta]:
        """The deltas published so far."""
        return [Delta.from_json(record.value or b"") for record in self.broker.records(topic)]


@dataclass(frozen=True, slots=True)
class Bench:
    """Puts workers together: the real parts, but for Kafka and the payload store."""

    configuration: config.Configuration
    transport: Transport
    redis: RedisGuard
    base_url: str

    def worker(
        self, vendor: str, *, failpoints: Failpoints = OFF, equipment: Mapping[str, Station] | None = None
    ) -> Worker:
        """A worker of `vendor` at the simulators, or with `equipment` of your own."""
        settings = Settings.model_validate(
            {"vendor": vendor, "vendor_base_url": self.base_url, "redis_url": NO_REDIS, "payload_dir": Path()}
        )
        known, clock, payloads = self.configuration.vendor(vendor), SystemClock(), MemoryPayloads()
        broker = MemoryBroker({topics.DELTAS: 4, topics.deltas("demo"): 4})

        def deltas(work: Work, call_id: str, deployment: config.Deployment) -> KafkaDeltas:
            return KafkaDeltas(broker.publisher, clock, work, call_id, deployment)

        equipped = stations(self.configuration, settings) if equipment is None else equipment
        call = VendorCall(self.transport, clock.now_ms)
        handler = DispatchHandler(
            equipped,
            Attempts(VENDORS[known.api], call, self.configuration, clock, deltas),
            RedisClaims(self.redis),
            Bodies(payloads),
            me=Holder(f"{vendor}-0", time.time_ns()),
            window=WINDOW,
            clock=clock,
            observer=Observer(known),
            failpoints=failpoints,
        )
        return Worker(handler, equipped, broker, payloads)
