"""A conversation changes its vendor at a turn boundary: its history comes along, but for what only one can read."""

import json
from typing import Any

import pytest

from allweather.contracts.answers import Answer, Choice
from allweather.contracts.config import Configuration, Deployment
from allweather.contracts.conversation import (
    GEMINI,
    Conversation,
    Finish,
    Origin,
    Reasoning,
    Text,
    ToolCall,
)
from allweather.contracts.slip import Dialect
from allweather.dialects.registry import DIALECTS
from allweather.provider_worker.vendors import VENDORS
from allweather.provider_worker.wire import Target

TOKENS = {
    "anthropic": Reasoning("It leaks.", "anthropic-signature", Origin(Dialect.ANTHROPIC_MESSAGES)),
    "vertex": Reasoning("", "gemini-signature", Origin(GEMINI, "gemini-3.5-flash"), "call_7"),
}
"""What a vendor puts beside its calls for itself to read."""
ENDPOINT = "http://vendor"
Body = dict[str, Any]


def answered_by(vendor: str) -> Answer:
    """An answer with a thought (where the vendor has tokens), words, and a call."""
    thoughts = (TOKENS[vendor],) if vendor in TOKENS else ()
    parts = (*thoughts, Text("Looking."), ToolCall("call_7", "lookup", '{"order":7}'))
    return Answer("msg_1", "model", (Choice(parts, Finish.TOOL_CALLS),))


def next_body(dialect: Dialect, reply: Body) -> Body:
    """The caller's next request: its history, the reply as it came, and the result of the call."""
    schema = {"type": "object", "properties": {"order": {"type": "integer"}}}
    match dialect:
        case Dialect.OPENAI_CHAT:
            result = {"role": "tool", "tool_call_id": "call_7", "content": "Oslo"}
            said = [{"role": "user", "content": "Where is 7?"}, reply["choices"][0]["message"], result]
            tool = {"type": "function", "function": {"name": "lookup", "parameters": schema}}
            return {"model": "triage", "messages": said, "tools": [tool]}
        case Dialect.OPENAI_RESPONSES:
            output = {"type": "function_call_output", "call_id": "call_7", "output": "Oslo"}
            items = [{"role": "user", "content": "Where is 7?"}, *reply["output"], output]
            tool = {"type": "function", "name": "lookup", "parameters": schema}
            return {"model": "triage", "input": items, "tools": [tool]}
        case Dialect.ANTHROPIC_MESSAGES:
            block = {"type": "tool_result", "tool_use_id": "call_7", "content": "Oslo"}
            turns = [
                {"role": "user", "content": "Where is 7?"},
                {"role": "assistant", "content": reply["content"]},
                {"role": "user", "content": [block]},
            ]
            tool = {"name": "lookup", "input_schema": schema}
            return {"model": "triage", "max_tokens": 64, "messages": turns, "tools": [tool]}


def deployment(configuration: Configuration, vendor: str) -> Deployment:
    return next(d for d in configuration.deployments if configuration.vendor(d.vendor).api == vendor)


def sent(configuration: Configuration, vendor: str, dialect: Dialect, body: Body) -> str:
    """What the vendor is sent of the body."""
    translator, raw = VENDORS[vendor], json.dumps(body).encode()
    target = Target(deployment(configuration, vendor), ENDPOINT, "project")
    native = translator.natives.get(dialect)
    if native is not None:
        return native.forward(raw, target, stream=False).body.decode()
    conversation: Conversation = DIALECTS[dialect].read(raw)
    assert translator.unsupported(conversation, target.deployment) is None
    return translator.request(conversation, target, stream=False).body.decode()


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize("before", VENDORS)
@pytest.mark.parametrize("after", VENDORS)
def test_a_tool_loop_goes_on_at_any_vendor(
    configuration: Configuration, dialect: Dialect, before: str, after: str
) -> None:
    """The call and its result come along; a token goes back to its own vendor, and no other sees it."""
    reply = json.loads(DIALECTS[dialect].render(answered_by(before), b"{}"))

    told = sent(configuration, after, dialect, next_body(dialect, reply))

    assert all(word in told for word in ("Looking.", "lookup", "Oslo"))
    assert ("-signature" in told) is (before == after and before in TOKENS)
    assert "aw1." not in told
