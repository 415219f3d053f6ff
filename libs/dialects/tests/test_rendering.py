"""Whatever a model says, a stream of it put together is the answer rendered whole, in every dialect."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from anthropic.types import Message, RawMessageStreamEvent
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from allweather.contracts.answers import (
    Answer,
    CallArguments,
    CallBegun,
    Choice,
    Event,
    Finished,
    Said,
    Thought,
    events_of,
)
from allweather.contracts.conversation import (
    Finish,
    Origin,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from allweather.contracts.slip import Dialect, Usage
from allweather.dialects.openai_chat.reading import read as read_chat
from allweather.dialects.registry import DIALECTS

WHOLE: dict[Dialect, TypeAdapter[Any]] = {
    Dialect.OPENAI_CHAT: TypeAdapter(ChatCompletion),
    Dialect.OPENAI_RESPONSES: TypeAdapter(Response),
    Dialect.ANTHROPIC_MESSAGES: TypeAdapter(Message),
}
PIECE: dict[Dialect, TypeAdapter[Any]] = {
    Dialect.OPENAI_CHAT: TypeAdapter(ChatCompletionChunk),
    Dialect.OPENAI_RESPONSES: TypeAdapter(ResponseStreamEvent),
    Dialect.ANTHROPIC_MESSAGES: TypeAdapter(RawMessageStreamEvent),
}
REQUEST = b'{"model":"triage","input":"hello","tools":[],"temperature":0.5,"thinking":{"type":"adaptive"}}'
WORDS = st.text(min_size=1, max_size=8)
ARGUMENTS = st.dictionaries(WORDS, st.integers(0, 9), max_size=2).map(json.dumps)
TOKENS = st.builds(
    Reasoning, st.text(max_size=8), WORDS, st.sampled_from([Origin("anthropic.messages"), Origin("google.gemini")])
)


def parts(draw: st.DrawFn) -> tuple[Part, ...]:
    """Parts as models say them: thoughts, then words or a refusal, then calls with ids of their own."""
    thoughts: list[Part] = draw(st.lists(TOKENS, max_size=2))
    words: list[Part] = draw(st.lists(st.builds(Text, WORDS) | st.builds(Refusal, WORDS), max_size=1))
    calls: list[Part] = [ToolCall(f"call_{n}", draw(WORDS), draw(ARGUMENTS)) for n in range(draw(st.integers(0, 2)))]
    return (*thoughts, *words, *calls)


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    choice = Choice(parts(draw), draw(st.sampled_from(Finish)), draw(st.none() | WORDS))
    usage = Usage(input_tokens=7, output_tokens=5, cached_input_tokens=3, reasoning_tokens=2)
    return Answer("msg_1", "claude-haiku-4-5", (choice,), usage, 1_795_000_000)


def cut(event: Event) -> list[Event]:
    """The event in two pieces, where it has words."""
    match event:
        case Said(text=text, choice=choice) if len(text) > 1:
            return [Said(text[:1], choice), Said(text[1:], choice)]
        case CallArguments(number=number, text=text):
            return [CallArguments(number, ""), CallArguments(number, text[:1]), CallArguments(number, text[1:])]
        case Thought(text=text, token=token, origin=origin, id=name) if text:
            return [Thought(text[:1]), Thought(text[1:], token, origin, name)]
        case _:
            return [event]


def streamed(dialect: Dialect, events: Iterator[Event]) -> list[str]:
    stream = DIALECTS[dialect].stream(REQUEST, True)
    pieces = [payload for event in events for said in cut(event) for payload in stream.payloads(said)]
    return [*pieces, *stream.end()]


def joined(dialect: Dialect, payloads: list[str]) -> dict[str, Any]:
    joining = DIALECTS[dialect].join()
    for payload in payloads:
        joining.add(payload)
    return json.loads(joining.whole())


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(deadline=None, max_examples=50)
@given(answer=answers())
def test_a_stream_put_together_is_the_answer_rendered_whole(dialect: Dialect, answer: Answer):
    whole = json.loads(DIALECTS[dialect].render(answer, REQUEST))

    assert joined(dialect, streamed(dialect, events_of(answer))) == whole


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(deadline=None, max_examples=50)
@given(answer=answers())
def test_the_official_client_reads_every_answer_and_every_event(dialect: Dialect, answer: Answer):
    WHOLE[dialect].validate_json(DIALECTS[dialect].render(answer, REQUEST))
    for payload in streamed(dialect, events_of(answer)):
        PIECE[dialect].validate_json(payload)


@settings(deadline=None, max_examples=50)
@given(answer=answers())
def test_a_caller_who_repeats_a_chat_message_repeats_all_of_it(answer: Answer):
    """Thoughts with their tokens, words and calls come back as they were said."""
    message = json.loads(DIALECTS[Dialect.OPENAI_CHAT].render(answer, REQUEST))["choices"][0]["message"]
    if not message["content"] and not message["refusal"] and not message.get("tool_calls"):
        return  # a message that says nothing is refused, as OpenAI does

    turn = read_chat(json.dumps({"model": "a", "messages": [message]}).encode()).turns[0]

    assert turn.parts == tuple(
        Refusal(part.text) if isinstance(part, Refusal) else part for part in answer.choices[0].parts
    )


def kinds(payloads: list[str]) -> list[str]:
    return [json.loads(payload)["type"] for payload in payloads]


THINKS_AND_CALLS: list[Event] = [
    Thought("hm", "sig", Origin("anthropic.messages")),
    Said("One moment."),
    CallBegun(0, "call_1", "lookup"),
    CallArguments(0, "{}"),
    Finished(Finish.TOOL_CALLS),
]


def test_responses_streams_have_their_exact_sequence():
    answer = Answer("msg_1", "m", (Choice((), Finish.STOP),))
    payloads = streamed(Dialect.OPENAI_RESPONSES, iter([next(events_of(answer)), *THINKS_AND_CALLS]))
    said = kinds(payloads)

    assert [each["sequence_number"] for each in map(json.loads, payloads)] == list(range(len(payloads)))
    assert said[:2] == ["response.created", "response.in_progress"]
    assert said[2:9] == [
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
    ]
    assert said[9:16] == [
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
    ]
    assert said[16:] == [
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
    ]


@pytest.mark.parametrize("request_body", [b"{}", b'{"thinking": {"type": "disabled"}}', b'{"thinking": null}'])
def test_a_caller_of_messages_who_asks_for_no_thoughts_gets_those_that_calls_need(request_body: bytes):
    wire, gemini = DIALECTS[Dialect.ANTHROPIC_MESSAGES], Origin("google.gemini")
    signed = (Reasoning("", "of-text", gemini), Text("One moment."), Reasoning("", "of-call", gemini, "call_1"))
    answer = Answer("1", "m", (Choice((*signed, ToolCall("call_1", "lookup", "{}")), Finish.TOOL_CALLS),), Usage())
    stream, joining = wire.stream(request_body, True), wire.join()
    for payload in [*(said for event in events_of(answer) for said in stream.payloads(event)), *stream.end()]:
        joining.add(payload)

    whole = json.loads(wire.render(answer, request_body))

    assert [block["type"] for block in whole["content"]] == ["text", "redacted_thinking", "tool_use"]
    assert json.loads(joining.whole()) == whole


def test_messages_streams_have_their_exact_sequence():
    answer = Answer("msg_1", "m", (Choice((), Finish.STOP),))
    payloads = streamed(Dialect.ANTHROPIC_MESSAGES, iter([next(events_of(answer)), *THINKS_AND_CALLS]))

    assert kinds(payloads) == [
        "message_start",
        "content_block_start",
        *("content_block_delta", "content_block_delta", "content_block_delta"),
        "content_block_stop",
        "content_block_start",
        *("content_block_delta", "content_block_delta"),
        "content_block_stop",
        "content_block_start",
        *("content_block_delta", "content_block_delta", "content_block_delta"),
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


@pytest.mark.parametrize("dialect", [Dialect.ANTHROPIC_MESSAGES, Dialect.OPENAI_RESPONSES])
def test_calls_that_are_said_in_turns_come_one_after_another(dialect: Dialect):
    turns: list[Event] = [
        CallBegun(0, "a", "lookup"),
        CallBegun(1, "b", "refund"),
        CallArguments(1, '{"n":1}'),
        CallArguments(0, "{}"),
        Finished(Finish.TOOL_CALLS),
    ]
    said = joined(dialect, streamed(dialect, iter(turns)))
    calls = said["content"] if dialect is Dialect.ANTHROPIC_MESSAGES else said["output"]

    assert [(call["name"], call.get("input", call.get("arguments"))) for call in calls] in (
        [("lookup", {}), ("refund", {"n": 1})],
        [("lookup", "{}"), ("refund", '{"n":1}')],
    )


@pytest.mark.parametrize("asked", [True, False])
def test_a_chat_stream_ends_with_the_counts_if_they_were_asked_for(asked: bool):
    answer = Answer("a", "m", (Choice((Text("x"),), Finish.STOP),), Usage(input_tokens=7, output_tokens=5))
    stream = DIALECTS[Dialect.OPENAI_CHAT].stream(REQUEST, asked)
    payloads = [json.loads(p) for event in events_of(answer) for p in stream.payloads(event)]
    last = [json.loads(payload) for payload in stream.end()]

    assert [each["usage"]["total_tokens"] for each in last] == ([12] if asked else [])
    assert all(("usage" in payload) is asked for payload in payloads)


def test_a_stream_without_an_end_says_no_end():
    for dialect in (Dialect.ANTHROPIC_MESSAGES, Dialect.OPENAI_RESPONSES):
        stream = DIALECTS[dialect].stream(REQUEST, True)
        said = [*stream.payloads(Said("half")), *stream.end()]

        assert not {"message_stop", "response.completed", "response.incomplete"} & set(kinds(said))
