"""What a conversation asks of the candidate that answers it, whatever the dialect."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from allweather.contracts.conversation import (
    Conversation,
    Document,
    HostedTool,
    Image,
    Part,
    Text,
    ToolCall,
    ToolResult,
)
from allweather.contracts.slip import Capability, Needs, Parameter

IMAGE_TOKENS: Final = 1500
"""Upper bound for one image, however large its bytes."""
BYTES_PER_TOKEN: Final = 3
MANY: Final = 4
"""Stop sequences that every vendor that knows them takes."""


def needs(conversation: Conversation, size: int, names: Mapping[Capability | Parameter, str]) -> Needs:
    """What the conversation needs; `size` is that of its body in bytes, `names` are the dialect's for parameters."""
    special = _special(conversation)
    images = [part for part in special if isinstance(part, Image)]
    text = size - sum(len(image.data or image.url) for image in images)
    wishes = _parameters(conversation, special)
    return Needs(
        capabilities=_capabilities(conversation, special),
        parameters={wish: _name(wish, conversation, names) for wish in wishes} if wishes else {},
        input_tokens=-(-text // BYTES_PER_TOKEN) + IMAGE_TOKENS * len(images),
        output_tokens=conversation.max_output_tokens,
    )


def parameters(conversation: Conversation) -> list[Parameter]:
    """What the conversation asks for beyond capabilities; none of it can be left out."""
    return _parameters(conversation, _special(conversation))


def _name(parameter: Parameter, conversation: Conversation, names: Mapping[Capability | Parameter, str]) -> str:
    if parameter is Parameter.NATIVE and conversation.others:
        return conversation.others[0]
    return names.get(parameter, parameter)


def _special(conversation: Conversation) -> list[Part]:
    """All that is more than text, within results of tools too."""
    special = [part for turn in conversation.turns for part in turn.parts if type(part) is not Text]
    within = [part for result in special if isinstance(result, ToolResult) for part in result.parts]
    return special + within if within else special


def _capabilities(conversation: Conversation, special: list[Part]) -> tuple[Capability, ...]:
    found: list[Capability] = []
    if conversation.stream:
        found.append(Capability.STREAMING)
    if conversation.tools or any(isinstance(part, ToolCall | ToolResult) for part in special):
        found.append(Capability.TOOLS)
        if conversation.parallel_tools:
            found.append(Capability.PARALLEL_TOOLS)
    if any(isinstance(part, Image) for part in special):
        found.append(Capability.VISION)
    if conversation.format is not None and conversation.format.schema is not None:
        found.append(Capability.JSON_SCHEMA)
    if conversation.thinking is not None and conversation.thinking.effort != "none":
        found.append(Capability.REASONING)
    return tuple(found)


def _parameters(conversation: Conversation, special: list[Part]) -> list[Parameter]:
    found = [parameter for parameter, is_asked in _ASKED if is_asked(conversation)]
    if special:
        found += _of_parts(special)
    return found


_ASKED: Final[tuple[tuple[Parameter, Callable[[Conversation], bool]], ...]] = (
    (Parameter.TEMPERATURE, lambda c: c.temperature is not None),
    (Parameter.HIGH_TEMPERATURE, lambda c: c.temperature is not None and c.temperature > 1),
    (Parameter.TOP_P, lambda c: c.top_p is not None),
    (Parameter.TOP_K, lambda c: c.top_k is not None),
    (Parameter.STOP, lambda c: bool(c.stops)),
    (Parameter.MANY_STOPS, lambda c: len(c.stops) > MANY),
    (Parameter.CHOICES, lambda c: c.choices > 1),
    (Parameter.PRESENCE_PENALTY, lambda c: bool(c.presence_penalty)),
    (Parameter.FREQUENCY_PENALTY, lambda c: bool(c.frequency_penalty)),
    (Parameter.LOGPROBS, lambda c: c.logprobs is not None),
    (Parameter.LOGIT_BIAS, lambda c: bool(c.logit_bias)),
    (Parameter.SERIAL_TOOLS, lambda c: bool(c.tools) and c.parallel_tools is False),
    (Parameter.ALLOWED_TOOLS, lambda c: c.tool_choice is not None and bool(c.tool_choice.allowed)),
    (Parameter.JSON_OBJECT, lambda c: c.format is not None and c.format.schema is None),
    (Parameter.VERBOSITY, lambda c: c.verbosity not in ("", "medium")),
    (Parameter.NATIVE, lambda c: bool(c.others) or any(isinstance(tool, HostedTool) for tool in c.tools)),
)


def _of_parts(parts: list[Part]) -> Iterator[Parameter]:
    if any(isinstance(part, Image) and part.url for part in parts):
        yield Parameter.IMAGE_URLS
    if any(isinstance(part, Document) for part in parts):
        yield Parameter.DOCUMENTS
    if any(isinstance(part, Document) and part.url for part in parts):
        yield Parameter.DOCUMENT_URLS
    if any(isinstance(part, ToolResult) and any(isinstance(p, Image | Document) for p in part.parts) for part in parts):
        yield Parameter.TOOL_IMAGES
