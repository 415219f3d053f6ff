"""At most one tool call, of vendors that cannot be told so."""

import json
from typing import Any

import pytest

from allweather.contracts.answers import Answer, assembled
from allweather.contracts.config import Configuration, Deployment
from allweather.contracts.conversation import Reasoning, ToolCall
from allweather.contracts.slip import Dialect
from allweather.provider_worker.asking import Asked, ask
from allweather.provider_worker.passing import Translated
from allweather.provider_worker.vendors import VENDORS
from allweather.provider_worker.wire import HttpResponse, ServerSentEvent, Target

TOOL: Any = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


def asked(configuration: Configuration, vendor: str, **fields: object) -> Asked:
    body = {"model": "m", "messages": [{"role": "user", "content": "Oslo and Rome?"}], "tools": [TOOL], **fields}
    target = Target(deployment(configuration, vendor), "http://vendor", "project")
    raw = json.dumps(body).encode()
    return ask(VENDORS[vendor], target, Dialect.OPENAI_CHAT, raw, stream=False, include_usage=False)


def deployment(configuration: Configuration, vendor: str) -> Deployment:
    return next(d for d in configuration.deployments if configuration.vendor(d.vendor).api == vendor)


def gemini(*cities: str) -> dict[str, Any]:
    calls = [{"functionCall": {"name": "look", "args": {"city": city}}} for city in cities]
    signed = [{**call, "thoughtSignature": f"of-{city}"} for call, city in zip(calls, cities, strict=True)]
    return {"responseId": "1", "candidates": [{"content": {"parts": signed}, "finishReason": "STOP"}]}


def whole(spoken: Asked, body: dict[str, Any]) -> Answer:
    return spoken.format.answer(HttpResponse(200, {}, json.dumps(body).encode()))


def streamed(spoken: Asked, *bodies: dict[str, Any]) -> Answer:
    reader = spoken.format.stream(0)
    return assembled(said for body in bodies for said in reader.read(ServerSentEvent(json.dumps(body))))


@pytest.mark.parametrize("read", [whole, streamed])
def test_calls_after_the_first_are_left_out_with_what_they_are_signed_with(configuration: Configuration, read: Any):
    one = read(asked(configuration, "vertex", parallel_tool_calls=False), gemini("Oslo", "Rome"))

    assert [part.arguments for part in one.choices[0].parts if isinstance(part, ToolCall)] == ['{"city":"Oslo"}']
    assert [part.token for part in one.choices[0].parts if isinstance(part, Reasoning)] == ["of-Oslo"]


@pytest.mark.parametrize("given", [{}, {"parallel_tool_calls": True}, {"parallel_tool_calls": None}])
def test_a_caller_who_does_not_mind_gets_every_call(configuration: Configuration, given: dict[str, Any]):
    both = whole(asked(configuration, "vertex", **given), gemini("Oslo", "Rome"))

    assert len([part for part in both.choices[0].parts if isinstance(part, ToolCall)]) == 2


def test_a_stream_of_calls_that_come_in_pieces_keeps_the_first(configuration: Configuration):
    spoken = asked(configuration, "open_source", parallel_tool_calls=False)
    calls = [{"index": n, "id": f"c{n}", "function": {"name": "look", "arguments": "{"}} for n in (0, 1)]
    rest = [{"index": n, "function": {"arguments": "}"}} for n in (0, 1)]
    deltas = [{"tool_calls": calls}, {"tool_calls": rest}]
    chunks = [{"id": "1", "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    nothing: dict[str, str] = {}
    end = {"id": "1", "choices": [{"index": 0, "delta": nothing, "finish_reason": "tool_calls"}]}

    answer = streamed(spoken, *chunks, end)

    assert [part for part in answer.choices[0].parts if isinstance(part, ToolCall)] == [ToolCall("c0", "look", "{}")]
    assert isinstance(spoken.passing, Translated), "the vendor's own bytes hold the calls that are left out"


def test_the_vendors_own_bytes_are_passed_on_to_a_caller_who_does_not_mind(configuration: Configuration):
    assert not isinstance(asked(configuration, "open_source", parallel_tool_calls=True).passing, Translated)
