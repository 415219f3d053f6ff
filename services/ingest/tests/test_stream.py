"""What a stream shows: laws over every order in which deltas and the reply can come."""

import json

from hypothesis import given
from hypothesis import strategies as st

from allweather.contracts import headers
from allweather.dialects.openai_chat.splitting import payloads as chunks
from allweather.failpoints import Failpoints
from allweather.ingest.deltas import Delta
from allweather.ingest.forms.chat import DONE, ChatForm
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
    Delta("call-1", 0, (text("a"),), has_content=True),
    Delta("call-1", 1, (text("b"), text("c")), has_content=True),
    Delta("call-1", 2, (END,)),
]


def answered(call_id: str | None = "call-1") -> Reply:
    said = {headers.OUTCOME: "answered"} | ({headers.CALL_ID: call_id} if call_id else {})
    return Reply(200, json.dumps(WHOLE).encode(), said)


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
    usage = Delta("call-1", 3, (USAGE,))

    assert played(*DELTAS, answered(), usage, include_usage=True)[1].endswith(DONE)
    assert played(*DELTAS, usage, answered(), include_usage=True)[1].endswith(DONE)


def test_content_that_looks_like_the_end_is_none():
    tricky = Delta("call-1", 0, (text('"finish_reason":"stop"'),), has_content=True)

    stream, shown = played(tricky, answered())

    assert stream.awaits_the_rest
    assert DONE not in shown


def test_content_of_another_call_is_never_mixed_in():
    other = Delta("call-2", 0, (text("x"),), has_content=True)

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
    again = [Delta("call-2", 0, (text("x"),), has_content=True), Delta("call-2", 1, (END,))]

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


def delta(call_id: str, sequence: int) -> Delta:
    return Delta(call_id, sequence, DELTAS[sequence].events, DELTAS[sequence].has_content)


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
