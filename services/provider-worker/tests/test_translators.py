"""What recordings do not show of translators: the same request at other models, versions and limits."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allweather.contracts.answers import Said, Thought
from allweather.contracts.config import Configuration, Deployment
from allweather.contracts.conversation import (
    Conversation,
    HostedTool,
    Image,
    JsonFormat,
    Opaque,
    Origin,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from allweather.contracts.slip import Dialect, Parameter
from allweather.provider_worker.chunks import ChunkReader
from allweather.provider_worker.effort import BUDGETS, EFFORTS, budget, effort
from allweather.provider_worker.vendors import VENDORS
from allweather.provider_worker.wire import Target

HELLO = Turn("user", (Text("hello"),))
LOOKUP = Tool("lookup", parameters={"type": "object"})
OPUS, HAIKU = "anthropic/claude-opus-4-6", "anthropic/claude-haiku-4-5"


def asking(**fields: Any) -> Conversation:
    given: dict[str, Any] = {"model": "triage", "turns": (HELLO,)}
    return Conversation(**(given | fields))


def deployment(configuration: Configuration, name: str, **changes: Any) -> Deployment:
    return configuration.deployment(name).model_copy(update=changes)


def body(to: Deployment, conversation: Conversation) -> dict[str, Any]:
    translator = VENDORS[to.vendor.replace("-", "_")]
    assert translator.unsupported(conversation, to) is None
    return json.loads(translator.request(conversation, Target(to, "http://vendor"), stream=False).body)


def unsupported(to: Deployment, conversation: Conversation) -> str | None:
    return VENDORS[to.vendor.replace("-", "_")].unsupported(conversation, to)


@pytest.mark.parametrize("field", ["temperature", "top_p", "top_k"])
def test_the_later_version_of_messages_refuses_sampling(configuration: Configuration, field: str) -> None:
    older = deployment(configuration, HAIKU, api_version="2023-06-01")
    later = deployment(configuration, HAIKU, api_version="2026-10-21")

    assert unsupported(older, asking(**{field: 1})) is None
    assert unsupported(later, asking(**{field: 1})) == field


@pytest.mark.parametrize(
    ("name", "fields", "lacking"),
    [
        (HAIKU, {"thinking": Thinking("low"), "temperature": 0.5}, "temperature"),
        (HAIKU, {"thinking": Thinking("low"), "max_output_tokens": 1024}, "max_output_tokens"),
        (HAIKU, {"thinking": Thinking("none"), "temperature": 0.5}, None),
        (OPUS, {"thinking": Thinking("low"), "max_output_tokens": 1024}, None),
        (OPUS, {"format": JsonFormat()}, Parameter.JSON_OBJECT),
        ("openai/gpt-5.2", {"stops": ("END",)}, Parameter.STOP),
        ("openai/gpt-5.2", {"top_k": 5}, Parameter.TOP_K),
        ("vertex/gemini-3.5-flash", {"logprobs": 0}, Parameter.LOGPROBS),
        ("open-source/gpt-oss-120b", {"verbosity": "low"}, Parameter.VERBOSITY),
        ("open-source/gpt-oss-120b", {"others": ("web_search_options",)}, Parameter.NATIVE),
    ],
)
def test_what_a_deployment_cannot_be_asked_is_known_before_the_call(
    configuration: Configuration, name: str, fields: dict[str, Any], lacking: str | None
) -> None:
    assert unsupported(configuration.deployment(name), asking(**fields)) == lacking


def test_a_limit_above_the_model_s_own_is_the_model_s_own(configuration: Configuration) -> None:
    assert body(configuration.deployment(HAIKU), asking(max_output_tokens=10**6))["max_tokens"] == 64_000


def test_older_models_of_gemini_think_in_a_budget_and_want_no_placeholder(configuration: Configuration) -> None:
    older = deployment(configuration, "vertex/gemini-3.5-flash", model="gemini-2.5-flash")
    called = Turn("assistant", (ToolCall("call_1", "lookup", "{}"),))
    shown = Turn("user", (ToolResult("call_1", (Text("Oslo"),)),))

    sent = body(older, asking(turns=(HELLO, called, shown), thinking=Thinking("low")))

    assert sent["generationConfig"]["thinkingConfig"] == {"thinkingBudget": 2_048}
    assert "thoughtSignature" not in json.dumps(sent)


def test_an_id_that_a_vendor_would_refuse_is_another_one_in_call_and_result(configuration: Configuration) -> None:
    name = "call|with:signs"
    turns = (HELLO, Turn("assistant", (ToolCall(name, "lookup", "{}"),)), Turn("user", (ToolResult(name, ()),)))

    sent = body(configuration.deployment(HAIKU), asking(turns=turns, tools=(LOOKUP,)))

    called, shown = sent["messages"][1]["content"][0]["id"], sent["messages"][2]["content"][0]["tool_use_id"]
    assert called == shown
    assert called.startswith("toolu_")


@pytest.mark.parametrize(("name", "comes_along"), [(HAIKU, True), ("openai/gpt-5.2", False)])
def test_opaque_items_and_cache_marks_go_to_their_own_vendor(
    configuration: Configuration, name: str, comes_along: bool
) -> None:
    item = Opaque(Origin(Dialect.ANTHROPIC_MESSAGES), {"type": "server_tool_use", "id": "s1"})
    turns = (Turn("user", (Text("hello", cache="1h"),)), Turn("assistant", (item, Text("hm"))), HELLO)

    sent = json.dumps(body(configuration.deployment(name), asking(turns=turns)))

    assert ("server_tool_use" in sent) is comes_along
    assert ('"ttl": "1h"' in sent) is comes_along


@pytest.mark.parametrize("name", [HAIKU, "vertex/gemini-3.5-flash"])
def test_only_allowed_tools_are_offered(configuration: Configuration, name: str) -> None:
    """Where a vendor has no word for a choice among some of the tools."""
    choice = ToolChoice("required", allowed=("lookup",))
    tools: tuple[Tool | HostedTool, ...] = (LOOKUP, Tool("refund", parameters={"type": "object"}))

    sent = json.dumps(body(configuration.deployment(name), asking(tools=tools, tool_choice=choice)))

    assert "lookup" in sent
    assert "refund" not in sent


def test_an_image_among_the_results_of_a_tool_goes_along_where_it_can(configuration: Configuration) -> None:
    shown = ToolResult("call_1", (Text("here"), Image(data="AAAA", media_type="image/png")))
    conversation = asking(turns=(HELLO, Turn("assistant", (ToolCall("call_1", "look", "{}"),)), Turn("user", (shown,))))

    sent = body(configuration.deployment(HAIKU), conversation)

    assert [block["type"] for block in sent["messages"][2]["content"][0]["content"]] == ["text", "image"]
    assert unsupported(configuration.deployment("openai/gpt-5.2"), conversation) == Parameter.TOOL_IMAGES


@given(st.sampled_from(EFFORTS), st.lists(st.sampled_from(EFFORTS), min_size=1, unique=True))
def test_an_effort_is_one_that_the_model_knows_and_itself_where_it_can(wanted: str, known: Sequence[str]) -> None:
    found = effort(Thinking(wanted), known)

    assert found == wanted if wanted in known else found in known


@given(st.integers(1, 10**6))
def test_a_budget_becomes_an_effort_that_has_it(tokens: int) -> None:
    found = effort(Thinking(budget=tokens), tuple(BUDGETS))

    assert BUDGETS[found] >= tokens or found == "max"


def test_an_effort_has_a_budget() -> None:
    assert budget(Thinking("low")) == BUDGETS["low"]
    assert budget(Thinking()) == BUDGETS["medium"]
    assert budget(Thinking("low", 5_000)) == 5_000


def test_content_may_be_a_list_of_parts_with_thoughts_among_them() -> None:
    """As Mistral writes it."""
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "yes"}]
    chunk = {"id": "c", "choices": [{"index": 0, "delta": {"content": parts}}]}

    assert ChunkReader(0).read(chunk)[1:] == [Thought("hm"), Said("yes")]
