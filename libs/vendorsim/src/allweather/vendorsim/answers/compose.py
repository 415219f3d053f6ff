"""From a conversation to an answer, without clock or chance: the same conversation is always answered the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from hashlib import blake2b

from allweather.vendorsim.answers.schema import fill
from allweather.vendorsim.answers.tokens import pieces
from allweather.vendorsim.answers.triage import Triage, triage
from allweather.vendorsim.wire import Json, encode, members

LONG = 2000
"""Tokens of the answer to a conversation that contains `[[long]]`."""


class Finish(Enum):
    STOP = auto()
    STOP_SEQUENCE = auto()
    LENGTH = auto()
    TOOL = auto()
    REFUSED = auto()
    """`[[refuse]]`: the vendor declines the prompt."""
    FILTERED = auto()
    """`[[filter]]`: the vendor's filter stops the answer in the middle."""


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    schema: Json


@dataclass(frozen=True, slots=True)
class ToolCall:
    name: str
    arguments: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A conversation in no vendor's words."""

    model: str
    system: str
    conversation: str
    """Every turn, with its role: what the answer is derived from."""
    question: str
    """The last thing the user said."""
    input_tokens: int
    max_tokens: int | None = None
    stop: Sequence[str] = ()
    schema: Json | None = None
    wants_json: bool = False
    tool: Tool | None = None
    """The tool to call instead of answering."""
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    finish: Finish
    pieces: tuple[str, ...] = ()
    """The visible text, token by token."""
    stop_sequence: str | None = None
    tool: ToolCall | None = None
    reasoning_tokens: int = 0
    tool_tokens: int = 0

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def tokens(self) -> int:
        """Everything that is billed as output."""
        return len(self.pieces) + self.reasoning_tokens + self.tool_tokens


def compose(ask: Ask) -> Answer:
    """Answer `ask`, within its limits."""
    if "[[refuse]]" in ask.conversation:
        return Answer(Finish.REFUSED)
    choice = _choice(ask)
    facts = triage(ask.question)
    if ask.tool is not None:
        arguments = members(fill(ask.tool.schema, facts._asdict(), choice))
        call = ToolCall(ask.tool.name, arguments)
        return Answer(Finish.TOOL, tool=call, tool_tokens=len(pieces(encode(arguments).decode())) + 5)
    text, stop_sequence = _stopped(_text(ask, facts, choice), ask.stop)
    answer = _within(ask, pieces(text), stop_sequence)
    if "[[filter]]" in ask.conversation:
        return Answer(Finish.FILTERED, answer.pieces[: len(answer.pieces) // 2])
    return answer


def pick_tool(tools: Sequence[Tool], *, named: str | None, required: bool, turn: str) -> Tool | None:
    """Return the tool that this turn calls: the named one, or any when one is required or `[[tool]]` asks for it."""
    if named is not None:
        return next((tool for tool in tools if tool.name == named), None)
    return tools[0] if tools and (required or "[[tool]]" in turn) else None


def _choice(ask: Ask) -> int:
    seed = "\x00".join((ask.model, ask.system, ask.conversation)).encode()
    return int.from_bytes(blake2b(seed, digest_size=6).digest())


def _within(ask: Ask, tokens: tuple[str, ...], stop_sequence: str | None) -> Answer:
    """Cut the answer at the token limit; reasoning is spent first, and may leave nothing for the text."""
    limit = ask.max_tokens
    if limit is not None and ask.reasoning_tokens + len(tokens) > limit:
        reasoning = min(ask.reasoning_tokens, limit)
        return Answer(Finish.LENGTH, tokens[: limit - reasoning], reasoning_tokens=reasoning)
    finish = Finish.STOP if stop_sequence is None else Finish.STOP_SEQUENCE
    return Answer(finish, tokens, stop_sequence, reasoning_tokens=ask.reasoning_tokens)


def _stopped(text: str, stop: Sequence[str]) -> tuple[str, str | None]:
    found = min(((text.find(each), each) for each in stop if each and each in text), default=None)
    return (text, None) if found is None else (text[: found[0]], found[1])


def _text(ask: Ask, facts: Triage, choice: int) -> str:
    if "[[long]]" in ask.conversation:
        return _long(choice)
    if ask.schema is not None:
        return encode(fill(ask.schema, facts._asdict(), choice)).decode()
    if ask.wants_json or "json" in ask.system.lower():
        return encode(facts._asdict()).decode()
    opening = _OPENINGS.get(facts.language, _OPENINGS["en"])
    return f"{opening[choice % len(opening)]} {_ADVICE[facts.category]} (ref {choice % 0xFFFFFF:06X})"


def _long(choice: int) -> str:
    paragraph = " ".join(_ADVICE.values())
    repeats = LONG // len(pieces(paragraph)) + 1
    return "".join(pieces(f"Case {choice % 0xFFFFFF:06X}: " + " ".join([paragraph] * repeats))[:LONG])


_OPENINGS = {
    "en": (
        "Thank you for telling us.",
        "Thanks for your message, and sorry for the trouble.",
        "We have read your message carefully.",
    ),
    "de": ("Vielen Dank für Ihre Nachricht.", "Danke, dass Sie uns geschrieben haben."),
    "fr": ("Merci pour votre message.", "Merci de nous avoir écrit."),
    "es": ("Gracias por su mensaje.", "Gracias por escribirnos."),
    "it": ("Grazie per il suo messaggio.",),
    "pt": ("Obrigado pela sua mensagem.",),
    "nl": ("Bedankt voor uw bericht.",),
    "ja": ("お問い合わせありがとうございます。",),
}
_ADVICE = {
    "safety": "Please stop using the product; a specialist will call you today.",
    "billing": "We are checking the charge with our billing team and will write within two working days.",
    "delivery": "We have asked the carrier where the parcel is and will send you the new delivery date.",
    "returns": "A prepaid return label is on its way to you by e-mail.",
    "product_defect": "We will send a replacement as soon as we have a photo of the fault.",
    "account": "We have sent a link to the address on file with which you can get back into your account.",
    "question": "A colleague who knows the product will answer you by tomorrow.",
}
