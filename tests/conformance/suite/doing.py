"""Conversations in which the model calls tools, one or several at once, some of which fail, and in which it thinks."""

import json
from typing import Final

from allweather.contracts.conversation import Text, Thinking, Tool, ToolChoice
from suite.script import Script, ask, calls, failed, found, says, script, tool

STRING: Final = {"type": "string"}
INTEGER: Final = {"type": "integer"}
LOOKUP: Final = tool("lookup", order=INTEGER)
WEATHER: Final = tool("weather", city=STRING)
REFUND: Final = tool("refund", order=INTEGER, why=STRING)
NOW: Final = Tool("now", "Tells the time.", {"type": "object", "properties": {}})
ADDRESS: Final = tool("move", to={"type": "object", "properties": {"city": STRING, "lines": {"type": "array"}}})
SEVEN: Final = ("lookup", {"order": 7})
EIGHT: Final = ("lookup", {"order": 8})
OSLO: Final = ("weather", {"city": "Oslo"})
A_SEVEN: Final = '[[tool lookup {"order": 7}]]'
AN_EIGHT: Final = '[[tool lookup {"order": 8}]]'
AN_OSLO: Final = '[[tool weather {"city": "Oslo"}]]'
MOVED: Final = {"to": {"city": "Zürich", "lines": ["Rämistrasse 1", {"floor": 3, "left": True, "none": None}]}}

TOOLS: Final = (
    script(
        "a call and its result",
        ask(f"Where is order 7? {A_SEVEN} [[then]] [[say In Oslo.]]", calls(SEVEN)),
        ask(found("Oslo"), says("In Oslo.")),
        tools=(LOOKUP,),
    ),
    script(
        "words before the call",
        ask(
            f"Where is order 7? [[say One moment.]] {A_SEVEN} [[then]] [[say Oslo.]]", calls(SEVEN, text="One moment.")
        ),
        ask(found("Oslo"), says("Oslo.")),
        tools=(LOOKUP,),
    ),
    script(
        "a call without arguments",
        ask("What time is it? [[tool now {}]] [[then]] [[say Noon.]]", calls(("now", {}))),
        ask(found("12:00"), says("Noon.")),
        tools=(NOW,),
    ),
    script(
        "arguments of many kinds",
        ask(
            f"I move. [[tool move {json.dumps(MOVED, ensure_ascii=False)}]] [[then]] [[say Noted.]]",
            calls(("move", MOVED)),
        ),
        ask(found("done"), says("Noted.")),
        tools=(ADDRESS,),
    ),
    script(
        "one tool after the other",
        ask(f"{A_SEVEN} [[then]] {AN_OSLO} [[then]] [[say Rain in Oslo.]]", calls(SEVEN)),
        ask(found("Oslo"), calls(OSLO)),
        ask(found("Rain"), says("Rain in Oslo.")),
        tools=(LOOKUP, WEATHER),
    ),
    script(
        "a question after the loop",
        ask(f"{A_SEVEN} [[then]] [[say In Oslo.]]", calls(SEVEN)),
        ask(found("Oslo"), says("In Oslo.")),
        ask("Thanks. [[say Welcome.]]", says("Welcome.")),
        tools=(LOOKUP,),
    ),
    script(
        "a loop in each of two turns",
        ask(f"{A_SEVEN} [[then]] [[say In Oslo.]]", calls(SEVEN)),
        ask(found("Oslo"), says("In Oslo.")),
        ask(f"And 8? {AN_EIGHT} [[then]] [[say In Bergen.]]", calls(EIGHT)),
        ask(found("Bergen"), says("In Bergen.")),
        tools=(LOOKUP,),
    ),
    script(
        "a tool that has to be called",
        ask('Hello. [[tool refund {"order": 7, "why": "late"}]]', calls(("refund", {"order": 7, "why": "late"}))),
        tools=(LOOKUP, REFUND),
        tool_choice=ToolChoice("required"),
    ),
    script(
        "this tool and no other",
        ask(f"Hello. {A_SEVEN}", calls(SEVEN)),
        tools=(WEATHER, LOOKUP),
        tool_choice=ToolChoice("named", "lookup"),
    ),
    script(
        "tools that may not be called",
        ask("Hello. [[tool lookup]] [[say I may not.]]", says("I may not.")),
        tools=(LOOKUP,),
        tool_choice=ToolChoice("none"),
    ),
    script("tools that are not needed", ask("Hello. [[say Hi.]]", says("Hi.")), tools=(LOOKUP, WEATHER, REFUND)),
    script(
        "a result that is JSON",
        ask(f"{A_SEVEN} [[then]] [[say In Oslo.]]", calls(SEVEN)),
        ask(found('{"city": "Oslo", "at": [59.9, 10.7], "late": null}'), says("In Oslo.")),
        tools=(LOOKUP,),
    ),
    script(
        "a result that is long",
        ask(f"{A_SEVEN} [[then]] [[say In Oslo.]]", calls(SEVEN)),
        ask(found("Oslo, Norway. " * 400), says("In Oslo.")),
        tools=(LOOKUP,),
    ),
)

PARALLEL: Final = (
    script(
        "two calls at once",
        ask(f"{A_SEVEN} {AN_EIGHT} [[then]] [[say Oslo and Bergen.]]", calls(SEVEN, EIGHT)),
        ask(found("Oslo", "Bergen"), says("Oslo and Bergen.")),
        tools=(LOOKUP,),
    ),
    script(
        "calls of two tools at once",
        ask(f"[[say Both.]] {A_SEVEN} {AN_OSLO} [[then]] [[say Rain.]]", calls(SEVEN, OSLO, text="Both.")),
        ask(found("Oslo", "Rain"), says("Rain.")),
        tools=(LOOKUP, WEATHER),
    ),
    script(
        "three calls of the same",
        ask(f"{A_SEVEN} {A_SEVEN} {A_SEVEN} [[then]] [[say Oslo.]]", calls(SEVEN, SEVEN, SEVEN)),
        ask(found("Oslo", "Oslo", "Oslo"), says("Oslo.")),
        tools=(LOOKUP,),
    ),
    script(
        "two at once, then one",
        ask(f"{A_SEVEN} {AN_EIGHT} [[then]] {AN_OSLO} [[then]] [[say Rain.]]", calls(SEVEN, EIGHT)),
        ask(found("Oslo", "Bergen"), calls(OSLO)),
        ask(found("Rain"), says("Rain.")),
        tools=(LOOKUP, WEATHER),
    ),
    script(
        "one at a time",
        ask(f"{A_SEVEN} {AN_EIGHT} [[then]] [[say Oslo.]]", calls(SEVEN)),
        ask(found("Oslo"), says("Oslo.")),
        tools=(LOOKUP,),
        parallel_tools=False,
    ),
    script(
        "several are welcome",
        ask(f"{A_SEVEN} {AN_EIGHT} [[then]] [[say Both.]]", calls(SEVEN, EIGHT)),
        ask(found("Oslo", "Bergen"), says("Both.")),
        tools=(LOOKUP,),
        parallel_tools=True,
    ),
)

ERRORS: Final = (
    script(
        "a tool fails",
        ask(f"{A_SEVEN} [[then]] [[say I cannot find it.]]", calls(SEVEN)),
        ask(found(failed("no such order")), says("I cannot find it.")),
        tools=(LOOKUP,),
    ),
    script(
        "one of two fails",
        ask(f"{A_SEVEN} {AN_EIGHT} [[then]] [[say Only 8.]]", calls(SEVEN, EIGHT)),
        ask(found(failed("no such order"), "Bergen"), says("Only 8.")),
        tools=(LOOKUP,),
    ),
    script(
        "it fails, and is tried again",
        ask(f"{A_SEVEN} [[then]] {A_SEVEN} [[then]] [[say In Oslo.]]", calls(SEVEN)),
        ask(found(failed("timeout")), calls(SEVEN)),
        ask(found("Oslo"), says("In Oslo.")),
        tools=(LOOKUP,),
    ),
    script(
        "it fails in JSON",
        ask(f"{A_SEVEN} [[then]] [[say It is down.]]", calls(SEVEN)),
        ask(found(failed('{"code": 503, "retry": true}')), says("It is down.")),
        tools=(LOOKUP,),
    ),
)

THINKING: Final = (
    script(
        "a thought and an answer",
        ask("Why? [[think 64]] [[say Because.]]", says("Because.")),
        thinking=Thinking("low", 1_024),
    ),
    script(
        "a thought that is shown",
        ask("Why? [[think 64]] [[say Because.]]", says("Because.")),
        thinking=Thinking("medium", 2_048, shown=True),
    ),
    script(
        "hard thought",
        ask("Why? [[think 512]] [[say Because.]]", says("Because.")),
        thinking=Thinking("high", 8_192),
        max_output_tokens=16_000,
    ),
    script(
        "thoughts in two turns",
        ask("Why? [[think 64]] [[say Because.]]", says("Because.")),
        ask("Really? [[think 64]] [[say Really.]]", says("Really.")),
        thinking=Thinking("low", 1_024),
    ),
    script(
        "a thought before a call",
        ask(f"[[think 64]] {A_SEVEN} [[then]] [[think 64]] [[say In Oslo.]]", calls(SEVEN)),
        ask(found("Oslo"), says("In Oslo.")),
        tools=(LOOKUP,),
        thinking=Thinking("low", 1_024),
    ),
    script(
        "thoughts before each of two calls",
        ask(f"[[think 64]] {A_SEVEN} [[then]] [[think 64]] {AN_OSLO} [[then]] [[say Rain.]]", calls(SEVEN)),
        ask(found("Oslo"), calls(OSLO)),
        ask(found("Rain"), says("Rain.")),
        tools=(LOOKUP, WEATHER),
        thinking=Thinking("low", 1_024, shown=True),
    ),
    script(
        "thoughts, and two calls at once",
        ask(f"[[think 64]] {A_SEVEN} {AN_EIGHT} [[then]] [[say Both.]]", calls(SEVEN, EIGHT)),
        ask(found("Oslo", "Bergen"), says("Both.")),
        ask("Thanks. [[think 32]] [[say Welcome.]]", says("Welcome.")),
        tools=(LOOKUP,),
        thinking=Thinking("low", 1_024),
    ),
    script(
        "a thought that is hidden",
        ask("Why? [[think 64]] [[redacted]] [[say Because.]]", says("Because.")),
        ask("Really? [[think 64]] [[say Really.]]", says("Really.")),
        instructions=(Text("Be brief."),),
        thinking=Thinking("low", 1_024),
    ),
)

ALL: Final[dict[str, tuple[Script, ...]]] = {
    "tools": TOOLS,
    "parallel tools": PARALLEL,
    "tool errors": ERRORS,
    "thinking": THINKING,
}
