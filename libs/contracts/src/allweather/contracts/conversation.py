"""The canonical conversation: what every dialect is read into and every vendor's format is written from.

Each dialect and each vendor has one translator to and from this, never one for each pair. What only its own vendor
can read (signatures, encrypted reasoning, hosted tools) keeps its origin: it goes back there, and nowhere else.
"""

import base64
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final, Literal, TypeAlias

import msgspec

Json: TypeAlias = dict[str, Any]
"""A JSON object as it was read."""

GEMINI: Final = "google.gemini"
"""The format of Gemini's own API, which no caller speaks to us."""

REDACTED: Final = "redacted"
"""The id of a thought that its vendor shows to nobody."""


class Origin(msgspec.Struct, frozen=True):
    """Whose an opaque value is: only the same API, and where known the same family of models, can read it."""

    api: str
    """A `Dialect`, or `GEMINI`."""
    family: str = ""
    """The models, or the host, that can read it; empty when the API does not care."""

    def fits(self, other: "Origin") -> bool:
        """Whether a value from there may be sent here."""
        return self.api == other.api and (self.family == other.family or not (self.family and other.family))


class Text(msgspec.Struct, frozen=True):
    text: str
    cache: str | None = None
    """How long Anthropic shall keep the prefix that ends here (`5m`, `1h`); elsewhere it asks for nothing."""


class Image(msgspec.Struct, frozen=True):
    """An image by its address, or its base64 data."""

    url: str = ""
    data: str = ""
    media_type: str = ""
    detail: str = ""
    cache: str | None = None


class Document(msgspec.Struct, frozen=True):
    """A document by its address, its base64 data, or as plain text (`media_type` text/plain, not encoded)."""

    url: str = ""
    data: str = ""
    media_type: str = ""
    name: str = ""
    cache: str | None = None


class ToolCall(msgspec.Struct, frozen=True):
    id: str
    name: str
    arguments: str
    """JSON text as the model wrote it, which may be cut."""
    cache: str | None = None


class ToolResult(msgspec.Struct, frozen=True):
    call_id: str
    parts: "tuple[Text | Image | Document, ...]"
    is_error: bool = False
    cache: str | None = None


class Reasoning(msgspec.Struct, frozen=True):
    """What a model thought, and the token by which its own vendor knows the thought again.

    Without text it is hidden (redacted, encrypted, or a mere signature of what follows it).
    """

    text: str = ""
    token: str = ""
    origin: Origin | None = None
    """Whose the token is."""
    id: str = ""


class Refusal(msgspec.Struct, frozen=True):
    text: str
    category: str = ""


class Opaque(msgspec.Struct, frozen=True):
    """An item that only its own vendor understands, such as a search that its server made."""

    origin: Origin
    item: Json


Part: TypeAlias = Text | Image | Document | ToolCall | ToolResult | Reasoning | Refusal | Opaque


class Turn(msgspec.Struct, frozen=True):
    """What one side said. Results of tools are the user's."""

    role: Literal["user", "assistant"]
    parts: tuple[Part, ...]


class Tool(msgspec.Struct, frozen=True):
    """A function that the caller offers."""

    name: str
    description: str = ""
    parameters: Json | None = None
    """JSON Schema of its arguments."""
    strict: bool | None = None
    cache: str | None = None


class HostedTool(msgspec.Struct, frozen=True):
    """A tool that the vendor itself runs; only where it comes from."""

    origin: Origin
    definition: Json


class ToolChoice(msgspec.Struct, frozen=True):
    """Whether a tool is called: as the model likes, never, some tool, or the one of that name."""

    mode: Literal["auto", "none", "required", "named"] = "auto"
    name: str = ""
    allowed: tuple[str, ...] = ()
    """The only tools that may be called; empty = all."""


class JsonFormat(msgspec.Struct, frozen=True):
    """The answer is JSON, and follows the schema if there is one."""

    schema: Json | None = None
    name: str = ""
    description: str = ""
    strict: bool | None = None


class Thinking(msgspec.Struct, frozen=True):
    """How much the model should think; effort and budget say the same in the words of different vendors."""

    effort: str = ""
    """`none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`; empty = the vendor's default."""
    budget: int | None = None
    """Most tokens to think."""
    shown: bool | None = None
    """Whether the caller wants to read the thoughts (or their summary)."""


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """A request. None, an empty text or an empty tuple: not given."""

    model: str
    turns: tuple[Turn, ...]
    instructions: tuple[Text, ...] = ()
    """What system and developer said, wherever in the conversation."""
    tools: tuple[Tool | HostedTool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    format: JsonFormat | None = None
    thinking: Thinking | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stops: tuple[str, ...] = ()
    seed: int | None = None
    choices: int = 1
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: int | None = None
    """How many alternatives of each token to list beside it (0: only the token itself)."""
    logit_bias: Json | None = None
    verbosity: str = ""
    user: str = ""
    """Whom the request is for, as the caller calls them."""
    stream: bool = False
    include_usage: bool = False
    """Whether a stream ends with the counts, where the dialect leaves that to the caller."""
    others: tuple[str, ...] = ()
    """Fields of the caller's dialect that have no equal elsewhere: only vendors that speak it can be asked."""


def merged(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """The turns with neighbours of one role joined, as every vendor reads them."""
    joined: list[Turn] = []
    for turn in turns:
        if joined and joined[-1].role == turn.role:
            joined[-1] = Turn(turn.role, joined[-1].parts + turn.parts)
        elif turn.parts:
            joined.append(turn)
    return tuple(joined)


class Finish(StrEnum):
    """Why an answer ended, in normal form."""

    STOP = "stop"
    LENGTH = "length"
    """The limit was reached; also every reason that we do not know, because the answer may not be complete."""
    CONTEXT_FULL = "context_full"
    TOOL_CALLS = "tool_calls"
    FILTERED_OUTPUT = "filtered_output"
    FILTERED_INPUT = "filtered_input"
    PAUSED = "paused"
    """The vendor's own tools need another turn: the caller sends the answer back to go on."""

    @property
    def is_refusal(self) -> bool:
        """Whether a filter or the model's safety training withheld the answer."""
        return self in (Finish.FILTERED_OUTPUT, Finish.FILTERED_INPUT)


_SEAL: Final = "aw1."


def seal(thought: Reasoning) -> str:
    """The token of a thought with its origin, for the place in which another dialect keeps tokens of its own."""
    origin = thought.origin or Origin("")
    packed = msgspec.json.encode((origin.api, origin.family, thought.token, thought.id))
    return _SEAL + base64.urlsafe_b64encode(packed).decode()


def unseal(text: str) -> Reasoning | None:
    """The thought (without its words) of a sealed token; None when we did not seal it."""
    if not text.startswith(_SEAL):
        return None
    try:
        packed = base64.b64decode(text[len(_SEAL) :], altchars=b"-_", validate=True)
        api, family, token, name = _sealed.decode(packed)
    except (msgspec.MsgspecError, ValueError):
        return None
    return Reasoning("", token, Origin(api, family) if api else None, name)


_sealed: Final = msgspec.json.Decoder(tuple[str, str, str, str])
