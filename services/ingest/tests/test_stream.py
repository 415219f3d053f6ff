"""What a stream shows: laws over every order in which deltas and the reply can come."""

import json
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allweather.contracts import headers
from allweather.contracts.answers import Answer, Choice
from allweather.contracts.conversation import Finish, Text, ToolCall
from allweather.contracts.slip import Dialect, Usage
from allweather.dialects.openai_chat.splitting import payloads as chunks
from allweather.dialects.registry import DIALECTS
from allweather.failpoints import Failpoints
from allweather.ingest.deltas import Delta
from allweather.ingest.forms.chat import DONE, ChatForm
from allweather.ingest.forms.form import Form
from allweather.ingest.forms.messages import MessagesForm
from allweather.ingest.forms.responses import ResponsesForm
from allweather.ingest.replies import Reply
from allweather.ingest.stream import Stream

WHOLE = {
    "id": "c1",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "abc"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4},
}


def text(content: str) -> str:
    return json.dumps({"choices": [{"delta": {"content": content}, "finish_reason": None}]}, separators=(",", ":"))


END = '{"choices":[{"delta":{},"finish_reason":"stop"}]}'
USAGE = '{"choices":[],"usage":{"total_tokens":4}}'
DELTAS = [
    Delta(call_id="call-1", sequence=0, events=(text("a"),), has_content=True),
    Delta(call_id="call-1", sequence=1, events=(text("b"), text("c")), has_content=True),
    Delta(call_id="call-1", sequence=2, events=(END,)),
]


def answered(call_id: str | None = "call-1", body: bytes = json.dumps(WHOLE).encode()) -> Reply:
    said = {headers.OUTCOME: "answered"} | ({headers.CALL_ID: call_id} if call_id else {})
    return Reply(200, body, said)


def denied() -> Reply:
    body = {"error": {"message": "too late", "type": "server_error", "param": None, "code": "expired"}}
    return Reply(504, json.dumps(body).encode(), {headers.OUTCOME: "expired"})


def played(*events: Delta | Reply, include_usage: bool = False, failpoints: str = "") -> tuple[Stream, bytes]:
    stream = Stream("req_1", ChatForm(include_usage=include_usage), Failpoints.parse(failpoints))
    shown = b"".join(stream.delta(e) if isinstance(e, Delta) else stream.reply(e) for e in events if not stream.ended)
    return stream, shown


def content(shown: bytes) -> str:
    """The text that a client puts together."""
    payloads = [line.removeprefix("data: ") for line in shown.decode().split("\n\n") if line.startswith("data: {")]
    choices = [choice for payload in payloads for choice in json.loads(payload).get("choices", [])]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def error(shown: bytes) -> dict[str, str]:
    """The error with which the stream ends."""
    last = shown.decode().rstrip("\n").split("\n\n")[-1]
    return json.loads(last.removeprefix("data: "))["error"]


def test_a_stream_of_the_call_that_the_reply_names_is_complete():
    stream, shown = played(*DELTAS, answered())

    assert content(shown) == "abc"
    assert shown.endswith(DONE)
    assert stream.ended


def test_the_last_deltas_may_come_after_the_reply():
    stream, shown = played(DELTAS[0], answered(), *DELTAS[1:])

    assert content(shown) == "abc"
    assert shown.endswith(DONE)
    assert stream.ended


def test_deltas_that_never_come_are_told_and_not_covered_up():
    stream, shown = played(DELTAS[0], answered())
    assert stream.awaits_the_rest

    shown += stream.rest_is_missing()

    assert DONE not in shown
    assert error(shown)["code"] == "stream_interrupted"
    assert error(shown)["request_id"] == "req_1"


def test_a_missing_usage_chunk_does_not_spoil_an_answer():
    stream, shown = played(*DELTAS, answered(), include_usage=True)
    assert not stream.ended

    assert (shown + stream.rest_is_missing()).endswith(DONE)


def test_a_usage_chunk_that_was_asked_for_is_waited_for():
    usage = Delta(call_id="call-1", sequence=3, events=(USAGE,))

    assert played(*DELTAS, answered(), usage, include_usage=True)[1].endswith(DONE)
    assert played(*DELTAS, usage, answered(), include_usage=True)[1].endswith(DONE)


def test_content_that_looks_like_the_end_is_none():
    tricky = Delta(call_id="call-1", sequence=0, events=(text('"finish_reason":"stop"'),), has_content=True)

    stream, shown = played(tricky, answered())

    assert stream.awaits_the_rest
    assert DONE not in shown


def test_content_of_another_call_is_never_mixed_in():
    other = Delta(call_id="call-2", sequence=0, events=(text("x"),), has_content=True)

    _, shown = played(DELTAS[0], other, DELTAS[1], DELTAS[2], answered())

    assert content(shown) == "abc"


def test_a_reply_of_another_call_ends_the_stream_with_a_typed_error():
    stream, shown = played(*DELTAS, answered("call-2"))

    assert stream.ended
    assert DONE not in shown
    assert error(shown)["code"] == "stream_interrupted"
    assert "GET /v1/requests/req_1" in error(shown)["message"]


def test_each_guard_is_all_that_keeps_a_stream_honest():
    """With the guard off, the caller is shown what the outcome does not say, and told that it is complete."""
    again = [
        Delta(call_id="call-2", sequence=0, events=(text("x"),), has_content=True),
        Delta(call_id="call-2", sequence=1, events=(END,)),
    ]

    _, mixed = played(DELTAS[0], *again, answered("call-2"), failpoints="ingest.pinned-call=skip")
    _, other = played(*DELTAS, answered("call-2"), failpoints="ingest.named-call=skip")
    _, cut = played(DELTAS[0], answered(), failpoints="ingest.whole-answer=skip")

    assert (content(mixed), content(other), content(cut)) == ("ax", "abc", "a")
    assert [shown.endswith(DONE) for shown in (mixed, other, cut)] == [True] * 3


def test_a_reply_that_is_no_answer_ends_a_begun_stream_with_its_own_error():
    _, shown = played(DELTAS[0], denied())

    assert error(shown)["code"] == "expired"


def test_without_deltas_the_whole_answer_is_sent_as_chunks():
    _, shown = played(answered(None))

    assert content(shown) == "abc"
    assert shown.endswith(DONE)


def test_a_caller_that_joined_late_gets_the_whole_answer():
    _, shown = played(DELTAS[1], DELTAS[2], answered())

    assert content(shown) == "abc"
    assert shown.endswith(DONE)


def test_a_repeated_delta_is_shown_once():
    _, shown = played(DELTAS[0], DELTAS[0], DELTAS[1], DELTAS[1], DELTAS[2], answered())

    assert content(shown) == "abc"


def test_behind_a_gap_nothing_is_shown():
    _, shown = played(DELTAS[0], DELTAS[2], answered())

    assert content(shown) == "a"
    assert error(shown)["code"] == "stream_interrupted"


def test_chunks_of_a_whole_answer_carry_tools_refusals_and_usage():
    message = {"role": "assistant", "content": None, "refusal": "No.", "tool_calls": [{"id": "t", "type": "function"}]}
    whole = WHOLE | {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}

    found = [json.loads(c) for c in chunks(json.dumps(whole).encode(), True)]

    deltas = [chunk["choices"][0]["delta"] for chunk in found if chunk["choices"]]
    assert deltas[1:3] == [{"refusal": "No."}, {"tool_calls": [{"index": 0, "id": "t", "type": "function"}]}]
    assert found[-2]["choices"][0]["finish_reason"] == "tool_calls"
    assert found[-1]["usage"] == WHOLE["usage"]
    assert all(chunk["object"] == "chat.completion.chunk" for chunk in found)


def test_the_end_of_one_of_two_answers_is_not_the_end():
    """A reply may overtake the deltas, and a server may send its answers one after the other."""
    stream = Stream("req_1", ChatForm(include_usage=False, choices=2))
    shown = b"".join(map(stream.delta, DELTAS)) + stream.reply(answered())

    assert not stream.ended
    shown += stream.delta(Delta(call_id="call-1", sequence=3, events=(text("d"),), has_content=True))
    shown += stream.delta(Delta(call_id="call-1", sequence=4, events=(END,)))
    assert stream.ended
    assert shown.endswith(DONE)


def delta(call_id: str, sequence: int) -> Delta:
    there = DELTAS[sequence]
    return Delta(call_id=call_id, sequence=sequence, events=there.events, has_content=there.has_content)


EVENTS = st.lists(st.builds(delta, st.sampled_from(["call-1", "call-2"]), st.integers(0, 2)), max_size=8)


@given(before=EVENTS, after=EVENTS, reply=st.sampled_from([answered("call-1"), answered("call-2"), denied()]))
def test_a_truncated_or_mixed_answer_is_never_presented_as_complete(
    before: list[Delta], after: list[Delta], reply: Reply
):
    stream, shown = played(*before, reply, *after)
    if not stream.ended:
        shown += stream.rest_is_missing()

    assert stream.ended
    if DONE in shown:
        assert content(shown) == "abc"
        assert shown.count(DONE) == 1
        assert shown.endswith(DONE)
    else:
        assert error(shown)["code"] in {"stream_interrupted", "expired"}


SAID = '“One” [DONE] message_stop {"finish_reason":"stop"} two.'
ANSWER = Answer("c1", "m", (Choice((Text(SAID), ToolCall("call_1", "look", '{"a":1}')), Finish.TOOL_CALLS),), Usage())
FORMS: dict[Dialect, tuple[Callable[[], Form], bytes]] = {
    Dialect.OPENAI_CHAT: (lambda: ChatForm(include_usage=True), DONE),
    Dialect.OPENAI_RESPONSES: (lambda: ResponsesForm(lambda response: response), b"event: response.completed"),
    Dialect.ANTHROPIC_MESSAGES: (MessagesForm, b"event: message_stop"),
}
"""How each dialect writes a stream, and what only a complete one ends with."""


@pytest.mark.parametrize("dialect", FORMS)
@given(data=st.data())
def test_whatever_is_lost_repeated_or_late_a_stream_that_ends_well_is_whole(dialect: Dialect, data: st.DataObject):
    """In every dialect: deltas cut anywhere, each of them maybe missing or twice, the reply among them."""
    make, end = FORMS[dialect]
    whole = DIALECTS[dialect].render(ANSWER, b"{}")
    payloads = list(DIALECTS[dialect].split(whole, True))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(payloads) - 1))))
    groups = [tuple(payloads[start:stop]) for start, stop in pairwise([0, *cuts, len(payloads)])]
    deltas = [Delta(call_id="call-1", sequence=n, events=events, has_content=True) for n, events in enumerate(groups)]
    times = data.draw(st.lists(st.sampled_from([1, 1, 1, 1, 0, 2]), min_size=len(deltas), max_size=len(deltas)))
    sent: list[Delta | Reply] = [each for each, count in zip(deltas, times, strict=True) for _ in range(count)]
    sent.insert(data.draw(st.integers(0, len(sent))), answered(body=whole))
    stream, shown = Stream("req_1", make()), b""

    for each in sent:
        if not stream.ended:
            shown += stream.delta(each) if isinstance(each, Delta) else stream.reply(each)
    shown += b"" if stream.ended else stream.rest_is_missing()

    assert stream.ended
    if 0 not in times:
        assert end in shown
    if end in shown:
        joining = DIALECTS[dialect].join()
        for event in shown.decode().split("\n\n"):
            joining.add(event.partition("data: ")[2])
        told = joining.whole().decode()
        assert json.dumps(SAID, ensure_ascii=False)[1:-1] in told
        assert "look" in told
