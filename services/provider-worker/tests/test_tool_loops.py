"""A tool is called and its result told, over HTTP, at every vendor, by callers of every dialect, plain and streamed."""

import json
from pathlib import Path
from typing import Any

import pytest

from allweather.contracts import config
from allweather.contracts.records import Delta
from allweather.contracts.slip import Dialect
from allweather.dialects.registry import DIALECTS
from allweather.provider_worker.testing import Bench, dispatch_record, loop_body

CONFIG = Path(__file__).parents[3] / "config"
DEPLOYMENTS = {d.vendor: d.id for d in reversed(config.load(CONFIG).deployments) if not d.embeds}
"""The first one of each vendor."""


def call_in(dialect: Dialect, reply: dict[str, Any]) -> tuple[str, str, Any]:
    """The id, name and arguments of the first call of a reply."""
    match dialect:
        case Dialect.OPENAI_CHAT:
            call = reply["choices"][0]["message"]["tool_calls"][0]
            return call["id"], call["function"]["name"], json.loads(call["function"]["arguments"])
        case Dialect.OPENAI_RESPONSES:
            call = next(item for item in reply["output"] if item["type"] == "function_call")
            return call["call_id"], call["name"], json.loads(call["arguments"])
        case Dialect.ANTHROPIC_MESSAGES:
            call = next(block for block in reply["content"] if block["type"] == "tool_use")
            return call["id"], call["name"], call["input"]
        case Dialect.OPENAI_EMBEDDINGS:
            raise AssertionError("an embedding model calls no tools")


def joined(dialect: Dialect, deltas: list[Delta]) -> dict[str, Any]:
    """What the deltas are, put together."""
    joining = DIALECTS[dialect].join()
    for payload in (event for delta in deltas for event in delta.events):
        joining.add(payload)
    return json.loads(joining.whole())


@pytest.mark.parametrize("vendor", DEPLOYMENTS)
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_a_tool_is_called_and_its_result_told(bench: Bench, vendor: str, dialect: Dialect, stream: bool) -> None:
    worker = bench.worker(vendor)

    def asking(body: dict[str, Any], offset: int) -> Any:
        streamed = {"stream": True} if stream else {}
        return dispatch_record(
            DEPLOYMENTS[vendor], body | streamed, dialect=dialect, stream=stream, include_usage=True, offset=offset
        )

    called, reply = await worker.attempt(asking(loop_body(dialect, None), 1))
    assert (called.failure, called.finish_reason) == (None, "tool_calls"), called.message
    assert reply is not None
    name, function, arguments = call_in(dialect, reply)
    assert (function, type(arguments["order"])) == ("lookup", int)
    if stream:
        assert joined(dialect, worker.deltas()) == reply

    told, _ = await worker.attempt(asking(loop_body(dialect, reply, name), 2))
    assert told.failure is None, told.message
