"""The AsyncAPI 3 document of every topic: who sends what, with schemas, headers and examples."""

from dataclasses import dataclass
from typing import Any

from allweather.contracts import headers, topics
from allweather.contracts.examples import all_examples
from allweather.contracts.records import EventType
from allweather.contracts.schemas import schema


@dataclass(frozen=True, slots=True)
class Channel:
    """A topic (or a family of topics, by parameter) and its traffic."""

    name: str
    address: str
    events: tuple[EventType, ...]
    senders: tuple[str, ...]
    receivers: tuple[str, ...]
    description: str


CHANNELS = (
    Channel(
        "requests", topics.requests("{tenant}"), (EventType.SUBMITTED,), ("application", "ingest"), ("policy",),
        "Requests. The tenant is the topic's.",
    ),
    Channel(
        "replies", topics.replies("{tenant}"), (EventType.SETTLED, EventType.CONFLICTED), ("router",), ("application",),
        "Outcomes, where the request named no other reply topic.",
    ),
    Channel(
        "publicDeltas", topics.deltas("{tenant}"), (EventType.DELTA,), ("provider-worker",), ("application",),
        "Pieces of streamed answers to requests of the Kafka door.",
    ),
    Channel("cleared", topics.CLEARED, (EventType.CLEARED,), ("policy",), ("router",), "Requests with their verdict."),
    Channel(
        "dispatch", topics.dispatch("{vendor}"), (EventType.DISPATCHED,), ("router",), ("provider-worker",),
        "Attempts, each durable before its vendor is called.",
    ),
    Channel(
        "results", topics.RESULTS,
        (EventType.ATTEMPTED, EventType.RELEASED, EventType.EXPIRED, EventType.CANCELLED, EventType.DEAD_LETTERED),
        ("provider-worker", "router", "ingest"), ("router",), "What asks the router for the next step.",
    ),
    Channel("parked", topics.PARKED, (EventType.PARKED,), ("router",), (), "Requests that wait for a vendor."),
    Channel(
        "door", topics.DOOR, (EventType.SETTLED, EventType.CONFLICTED), ("router",), ("ingest",),
        "Outcomes for HTTP callers, to the partition of the door that waits.",
    ),
    Channel(
        "deltas", topics.DELTAS, (EventType.DELTA,), ("provider-worker",), ("ingest",),
        "Pieces of streamed answers for HTTP callers.",
    ),
)  # fmt: skip


def document() -> dict[str, Any]:
    """The AsyncAPI 3.0.0 document as plain types."""
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Allweather", "version": "0.1.0", "license": {"name": "Apache-2.0"}},
        "defaultContentType": "application/json",
        "channels": {channel.name: _channel(channel) for channel in CHANNELS},
        "operations": {name: operation for channel in CHANNELS for name, operation in _operations(channel)},
        "components": {"messages": {_key(event): _message(event) for event in EventType}},
    }


def _key(event: EventType) -> str:
    return event.value.rpartition(".")[2]


def _channel(channel: Channel) -> dict[str, Any]:
    parameters = [p for p in ("tenant", "vendor") if f"{{{p}}}" in channel.address]
    described: dict[str, Any] = {
        "address": channel.address,
        "description": channel.description,
        "messages": {_key(e): {"$ref": f"#/components/messages/{_key(e)}"} for e in channel.events},
    }
    return described | ({"parameters": {p: {} for p in parameters}} if parameters else {})


def _operations(channel: Channel) -> list[tuple[str, dict[str, Any]]]:
    reference = {"$ref": f"#/channels/{channel.name}"}
    roles = [("send", s) for s in channel.senders] + [("receive", r) for r in channel.receivers]
    return [
        (f"{who}-{action}-{channel.name}", {"action": action, "channel": reference, "summary": f"{who} {action}s"})
        for action, who in roles
    ]


def _message(event: EventType) -> dict[str, Any]:
    example = next(e for e in all_examples() if e.event is event).to_plain()
    return {
        "name": event.value,
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "properties": {name: {"type": "string"} for name in example["headers"]},
            "required": [headers.CE_TYPE, headers.CE_ID] if event is not EventType.SUBMITTED else [],
        },
        "payload": {"schemaFormat": "application/schema+json;version=2020-12", "schema": schema(event)},
        "examples": [{"headers": example["headers"], "payload": example["value"]}],
    }
