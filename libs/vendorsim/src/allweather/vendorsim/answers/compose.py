"""From a conversation to an answer, without clock or chance: the same conversation is always answered the same."""

from collections.abc import Sequence
from enum import Enum, auto
from hashlib import blake2b
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from allweather.vendorsim.answers.cues import Cues, WantedCall, read_cues
from allweather.vendorsim.answers.schema import fill
from allweather.vendorsim.answers.tokens import pieces
from allweather.vendorsim.answers.triage import Triage, triage
from allweather.vendorsim.answers.words import thought, written
from allweather.vendorsim.wire import Json, encode, members

_A_CALL = 5
"""Tokens of a tool call besides its arguments."""


class Finish(Enum):
    STOP = auto()
    STOP_SEQUENCE = auto()
    LENGTH = auto()
    TOOL = auto()
    REFUSED = auto()
    """`[[refuse]]`: the vendor declines the prompt."""
    FILTERED = auto()
    """`[[filter]]`: the vendor's filter stops the answer in the middle."""
    FAILED = auto()
    """`[[fail]]`: the model breaks down."""
    WINDOW = auto()
    """`[[window]]`: the context is full before the limit is reached."""
    PAUSED = auto()
    """`[[pause]]`: the vendor wants to be asked to go on."""


class Tool(NamedTuple):
    name: str
    schema: Json


class ToolCall(NamedTuple):
    name: str
    arguments: str
    """JSON; not to the end when the call was `cut` off by the token limit."""
    cut: bool = False


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What a vendor's model is asked, in no vendor's words."""

    model: str
    system: str
    conversation: str
    """Every turn, with its role: what the answer is derived from."""
    question: str
    """The last thing the user said."""
    input_tokens: int
    step: int = 0
    """How often tools were called since the question."""
    results: Sequence[str] = ()
    """What the tools have answered since the question."""
    max_tokens: int | None = None
    stop: Sequence[str] = ()
    schema: Json | None = None
    wants_json: bool = False
    tools: Sequence[Tool] = ()
    """Those that may be called."""
    must_call: bool = False
    parallel: bool = True
    """Several tools may be called at once."""
    reasoning_tokens: int = 0
    reasons: bool = False
    """The model may think before it answers, when `[[think]]` asks for it."""
    seed: str | None = None
    """Another seed, another answer."""


class Answer(msgspec.Struct, frozen=True):
    finish: Finish
    pieces: tuple[str, ...] = ()
    """The visible text, token by token."""
    stop_sequence: str | None = None
    calls: tuple[ToolCall, ...] = ()
    reasoning_tokens: int = 0
    tool_tokens: int = 0
    marks: frozenset[str] = frozenset()
    """Cues that only some vendors understand."""
    topic: str = ""

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def tokens(self) -> int:
        """Everything that is billed as output."""
        return len(self.pieces) + self.reasoning_tokens + self.tool_tokens

    @property
    def thought(self) -> tuple[str, ...]:
        """The reasoning, token by token."""
        return thought(self.topic, self.reasoning_tokens)


def compose(ask: Ask) -> Answer:
    """Answer `ask`, within its limits."""
    cues = read_cues(ask.question, ask.step)
    if "refuse" in cues.marks:
        return Answer(Finish.REFUSED)
    facts = triage(cues.rest)
    reasoning = ask.reasoning_tokens if cues.think is None or not ask.reasons else cues.think
    calls = _calls(ask, cues, facts)
    text, stop_sequence = _stopped(_text(ask, cues, facts, calling=bool(calls)), ask.stop)
    answer = Answer(
        Finish.STOP if stop_sequence is None else Finish.STOP_SEQUENCE,
        pieces(text),
        stop_sequence,
        () if stop_sequence is not None else calls,
        reasoning,
        marks=cues.marks,
        topic=facts.category,
    )
    return _ended(_within(answer, ask.max_tokens), cues.marks)


def variants(ask: Ask, count: int) -> list[Answer]:
    """Answer `ask` in `count` different ways, the first of which is the answer to it alone."""
    if count == 1:
        return [compose(ask)]
    others = (replace(ask, seed=f"{ask.seed or ''}/{number}") for number in range(1, count))
    return [compose(ask), *map(compose, others)]


def _calls(ask: Ask, cues: Cues, facts: Triage) -> tuple[ToolCall, ...]:
    """Return what is called: what the cues ask for, or the first tool when one is required."""
    wanted = cues.calls or ((WantedCall(),) if ask.must_call else ())
    if not wanted or not ask.tools:
        return ()
    named = {tool.name: tool for tool in ask.tools}
    calls = [_call(named[each.name or ask.tools[0].name], each, ask, facts) for each in wanted if _known(each, named)]
    if not calls and ask.must_call:
        calls = [_call(ask.tools[0], WantedCall(), ask, facts)]
    return tuple(calls if ask.parallel else calls[:1])


def _known(wanted: WantedCall, named: dict[str, Tool]) -> bool:
    return wanted.name is None or wanted.name in named


def _call(tool: Tool, wanted: WantedCall, ask: Ask, facts: Triage) -> ToolCall:
    arguments = wanted.arguments
    if arguments is None:
        arguments = members(fill(tool.schema, facts._asdict(), _choice(ask.question, *_seed(ask))))
    return ToolCall(tool.name, encode(arguments).decode())


def _text(ask: Ask, cues: Cues, facts: Triage, *, calling: bool) -> str:
    if cues.say is not None:
        return cues.say
    if calling:
        return ""
    # What follows a form does not depend on the model: vendors are interchangeable there.
    if ask.schema is not None and "long" not in cues.marks:
        return encode(fill(ask.schema, facts._asdict(), _choice(ask.question, *_seed(ask)))).decode()
    if "long" not in cues.marks and (ask.wants_json or "json" in ask.system.lower()):
        return encode(facts._asdict()).decode()
    choice = _choice(ask.model, ask.system, ask.conversation, *_seed(ask))
    return written(facts, choice, ask.results, long="long" in cues.marks)


def _seed(ask: Ask) -> tuple[str, ...]:
    return () if ask.seed is None else (ask.seed,)


def _choice(*parts: str) -> int:
    seed = "\x00".join(parts)
    return int.from_bytes(blake2b(seed.encode(), digest_size=6).digest())


def _stopped(text: str, stop: Sequence[str]) -> tuple[str, str | None]:
    if not stop:
        return text, None
    found = min(((text.find(each), each) for each in stop if each and each in text), default=None)
    return (text, None) if found is None else (text[: found[0]], found[1])


def _within(answer: Answer, limit: int | None) -> Answer:
    """Cut the answer at the token limit: reasoning is spent first, then the text, then the calls."""
    costs = [len(pieces(call.arguments)) + _A_CALL for call in answer.calls]
    tool_tokens = sum(costs)
    total = answer.reasoning_tokens + len(answer.pieces) + tool_tokens
    if limit is None or total <= limit:
        finish = Finish.TOOL if answer.calls else answer.finish
        return replace(answer, finish=finish, tool_tokens=tool_tokens) if answer.calls else answer
    reasoning = min(answer.reasoning_tokens, limit)
    text = answer.pieces[: limit - reasoning]
    left = limit - reasoning - len(text)
    calls = _cut_calls(answer.calls, costs, left)
    return replace(
        answer,
        finish=Finish.LENGTH,
        pieces=text,
        stop_sequence=None,
        calls=calls,
        reasoning_tokens=reasoning,
        tool_tokens=left,
    )


def _cut_calls(calls: Sequence[ToolCall], costs: Sequence[int], left: int) -> tuple[ToolCall, ...]:
    """Return the calls for which there are tokens left, the last of them perhaps not to its end."""
    kept: list[ToolCall] = []
    for call, cost in zip(calls, costs, strict=True):
        if left <= 0:
            break
        arguments = "".join(pieces(call.arguments)[: max(0, left - _A_CALL)])
        kept.append(call if left >= cost else ToolCall(call.name, arguments, cut=True))
        left -= cost
    return tuple(kept)


_ENDINGS = {"fail": Finish.FAILED, "window": Finish.WINDOW, "pause": Finish.PAUSED}


def _ended(answer: Answer, marks: frozenset[str]) -> Answer:
    """Let the cues have the last word on how the answer ends."""
    if not marks:
        return answer
    if "filter" in marks:
        return replace(answer, finish=Finish.FILTERED, pieces=answer.pieces[: len(answer.pieces) // 2])
    ending = next((_ENDINGS[mark] for mark in _ENDINGS if mark in marks), None)
    return answer if ending is None else replace(answer, finish=ending)
