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
from allweather.provider_worker.testing import CALL_ID, loop_body
from allweather.provider_worker.vendors import VENDORS
from allweather.provider_worker.wire import Target

TOKENS = {
    "anthropic": Reasoning("It leaks.", "anthropic-signature", Origin(Dialect.ANTHROPIC_MESSAGES)),
    "vertex": Reasoning("", "gemini-signature", Origin(GEMINI, "gemini-3.5-flash"), CALL_ID),
}
"""What a vendor puts beside its calls for itself to read."""
ENDPOINT = "http://vendor"
THINKING = b'{"thinking": {"type": "adaptive"}}'
"""Callers of Messages are shown thoughts when they ask for them."""


def answered_by(vendor: str) -> Answer:
    """An answer with a thought (where the vendor has tokens), words, and a call."""
    thoughts = (TOKENS[vendor],) if vendor in TOKENS else ()
    parts = (*thoughts, Text("Looking."), ToolCall(CALL_ID, "lookup", '{"order":7}'))
    return Answer("msg_1", "model", (Choice(parts, Finish.TOOL_CALLS),))


def deployment(configuration: Configuration, vendor: str) -> Deployment:
    return next(d for d in configuration.deployments if configuration.vendor(d.vendor).api == vendor)


def sent(configuration: Configuration, vendor: str, dialect: Dialect, body: dict[str, Any]) -> str:
    """What the vendor is sent of the body."""
    translator, raw = VENDORS[vendor], json.dumps(body).encode()
    target = Target(deployment(configuration, vendor), ENDPOINT, "project")
    native = translator.natives.get(dialect)
    if native is not None:
        return native.forward(raw, target, stream=False).body.decode()
    conversation: Conversation = DIALECTS[dialect].read(raw)
    assert translator.unsupported(conversation, target.deployment) is None
    return translator.request(conversation, target, stream=False).body.decode()


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("before", VENDORS)
@pytest.mark.parametrize("after", VENDORS)
def test_a_tool_loop_goes_on_at_any_vendor(
    configuration: Configuration, dialect: Dialect, before: str, after: str
) -> None:
    """The call and its result come along; a token goes back to its own vendor, and no other sees it."""
    reply = json.loads(DIALECTS[dialect].render(answered_by(before), THINKING))

    told = sent(configuration, after, dialect, loop_body(dialect, reply))

    assert all(word in told for word in ("Looking.", "lookup", "Oslo"))
    assert ("-signature" in told) is (before == after and before in TOKENS)
    assert "aw1." not in told
