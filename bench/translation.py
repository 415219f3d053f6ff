"""What translation costs: processor time of a 2 KB request and of a streamed chunk, from each dialect to each vendor.

Pure code in this process: nothing is started, and nothing is sent.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from allweather.contracts import config
from allweather.contracts.answers import Assembly
from allweather.contracts.slip import Dialect
from allweather.dialects import asked
from allweather.dialects.registry import DIALECTS
from allweather.provider_worker.asking import Asked, ask
from allweather.provider_worker.sse import EventParser
from allweather.provider_worker.vendors import VENDORS
from allweather.provider_worker.wire import Target, Translator
from allweather.vendorsim.direct import Direct
from allweather.vendorsim.wire import Stream

REQUEST_BYTES: Final = 2048
ROUNDS: Final = 15
_ROUND_S: Final = 0.02
_CONFIG: Final = Path(__file__).parents[1] / "config"
_SCHEMA: Final = {
    "type": "object",
    "properties": {"order": {"type": "integer"}, "city": {"type": "string", "description": "Where it is."}},
    "required": ["order"],
}
_RULES: Final = "You answer for a parcel service. Be brief, be kind, and never promise a date."
_FIRST: Final = "Where is order 7? It was to come on Monday, and I have waited at home for it all day."
_QUESTION: Final = "And when will it be here? [[long]]"
"""The answer of the simulated model is 2,000 tokens long."""
_CALL: Final = "toolu_01A09q90qw90lq917835lq9"


@dataclass(frozen=True, slots=True)
class Costs:
    """Microseconds of processor time, by the pair of dialect and vendor; `read` is policy's reading, by dialect."""

    requests: Mapping[str, float]
    chunks: Mapping[str, float]
    read: Mapping[str, float]


def measure() -> Costs:
    """The best of many rounds each, in warm caches: what the code costs, not what the machine does meanwhile."""
    pairs = list(_pairs())
    return Costs(
        requests={pair.name: _best(pair.ask) for pair in pairs},
        chunks={pair.name: _best(each.play) / each.count for pair in pairs for each in [_Played(pair)]},
        read={dialect: _best(partial(asked.read, dialect, _body(dialect))) for dialect in DIALECTS},
    )


@dataclass(frozen=True, slots=True)
class _Pair:
    """A dialect and a deployment that is asked in it."""

    dialect: Dialect
    body: bytes
    target: Target
    translator: Translator

    @property
    def name(self) -> str:
        how = "passed on" if self.dialect in self.translator.natives else "translated"
        return f"{self.dialect} to {self.target.deployment.vendor}, {how}"

    def ask(self) -> Asked:
        return ask(self.translator, self.target, self.dialect, self.body, stream=True, include_usage=True)


class _Played:
    """A streamed answer, as its bytes came."""

    def __init__(self, pair: _Pair) -> None:
        self._asked = pair.ask()
        request = self._asked.request
        headers = {**request.headers, **pair.translator.authorization("bench")}
        answer = Direct().answer(request.url, headers, request.body)
        assert isinstance(answer, Stream), answer
        self._pair, self._frames = pair, [frame.data for frame in answer.frames]
        self.count = len(self._frames)

    def play(self) -> None:
        """All that the worker does with a stream but to receive and to send it."""
        passing, reader = self._pair.ask().passing, self._asked.format.stream(0)
        parser, assembly = EventParser(), Assembly()
        for frame in self._frames:
            for event in parser.feed(frame):
                said = reader.read(event)
                for each in said:
                    assembly.add(each)
                if not reader.aside:
                    for _ in passing.pieces(event, said):
                        pass
        assert assembly.finished


def _pairs() -> Iterator[_Pair]:
    known = config.load(_CONFIG)
    first = {deployment.vendor: deployment for deployment in reversed(known.deployments) if deployment.capabilities}
    for dialect in DIALECTS:
        for name, deployment in first.items():
            vendor = known.vendor(name)
            address = "http://vendor" + vendor.simulator_path.format(region=deployment.region)
            yield _Pair(dialect, _body(dialect), Target(deployment, address, "bench"), VENDORS[vendor.api])


def _best(work: Callable[[], object]) -> float:
    """Microseconds of one call: the best of many rounds that take long enough for the clock."""
    repeats = _repeats(work)
    return min(_timed(work, repeats) for _ in range(ROUNDS)) / repeats / 1000


def _repeats(work: Callable[[], object]) -> int:
    repeats = 1
    while _timed(work, repeats) < _ROUND_S * 1e9:
        repeats *= 2
    return repeats


def _timed(work: Callable[[], object], repeats: int) -> int:
    began = time.thread_time_ns()
    for _ in range(repeats):
        work()
    return time.thread_time_ns() - began


def _body(dialect: Dialect) -> bytes:
    """Instructions, a loop of one tool, and a question, in as many bytes as are measured."""
    write = _WRITTEN[dialect]
    more = " And be kind."
    missing = REQUEST_BYTES - len(json.dumps(write(_RULES)))
    return json.dumps(write(_RULES + more * (missing // len(more)))).encode()


def _chat(rules: str) -> dict[str, Any]:
    function = {"name": "lookup", "description": "Finds an order.", "parameters": _SCHEMA}
    call = {"id": _CALL, "type": "function", "function": {"name": "lookup", "arguments": '{"order": 7}'}}
    messages = [
        {"role": "system", "content": rules},
        {"role": "user", "content": _FIRST},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": _CALL, "content": "In Oslo, at the harbour."},
        {"role": "assistant", "content": "It is in Oslo, at the harbour."},
        {"role": "user", "content": [{"type": "text", "text": _QUESTION}]},
    ]
    tools = [{"type": "function", "function": function}]
    return {"model": "triage", "messages": messages, "tools": tools, "max_completion_tokens": 4096, "stream": True}


def _responses(rules: str) -> dict[str, Any]:
    items = [
        {"role": "user", "content": _FIRST},
        {"type": "function_call", "call_id": _CALL, "name": "lookup", "arguments": '{"order": 7}'},
        {"type": "function_call_output", "call_id": _CALL, "output": "In Oslo, at the harbour."},
        {"role": "assistant", "content": [{"type": "output_text", "text": "It is in Oslo, at the harbour."}]},
        {"role": "user", "content": [{"type": "input_text", "text": _QUESTION}]},
    ]
    tools = [{"type": "function", "name": "lookup", "description": "Finds an order.", "parameters": _SCHEMA}]
    asking = {"model": "triage", "instructions": rules, "tools": tools, "max_output_tokens": 4096}
    return {**asking, "input": items, "store": False, "stream": True}


def _messages(rules: str) -> dict[str, Any]:
    called = {"type": "tool_use", "id": _CALL, "name": "lookup", "input": {"order": 7}}
    result = {"type": "tool_result", "tool_use_id": _CALL, "content": "In Oslo, at the harbour."}
    messages = [
        {"role": "user", "content": _FIRST},
        {"role": "assistant", "content": [called]},
        {"role": "user", "content": [result]},
        {"role": "assistant", "content": "It is in Oslo, at the harbour."},
        {"role": "user", "content": [{"type": "text", "text": _QUESTION}]},
    ]
    tools = [{"name": "lookup", "description": "Finds an order.", "input_schema": _SCHEMA}]
    asking = {"model": "triage", "system": rules, "tools": tools, "max_tokens": 4096}
    return {**asking, "messages": messages, "stream": True}


_WRITTEN: Final[Mapping[Dialect, Callable[[str], dict[str, Any]]]] = {
    Dialect.OPENAI_CHAT: _chat,
    Dialect.OPENAI_RESPONSES: _responses,
    Dialect.ANTHROPIC_MESSAGES: _messages,
}
