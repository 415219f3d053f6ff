"""A conversation as the body of Gemini's generateContent."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from allweather.contracts.conversation import (
    GEMINI,
    Conversation,
    Document,
    Image,
    Json,
    Origin,
    Part,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from allweather.dialects.lenient import parse_object
from allweather.dialects.media import PLAIN
from allweather.provider_worker.effort import budget, effort

LEVELS: Final = ("minimal", "low", "medium", "high")
"""Of the flash models; the pro models do not go below `low`."""
BUDGETED: Final = ("gemini-2.",)
"""Models that think within a budget; later ones are told a level."""
PLACEHOLDER: Final = "skip_thought_signature_validator"
"""What Google wants in place of a signature where there is none: the call was another vendor's."""
MEDIA_TYPES: Final = {
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "pdf": "application/pdf",
}
JPEG: Final = "image/jpeg"


def origin(model: str) -> Origin:
    """Whose signatures the model's are: they survive a change of version, but none of the model."""
    family = _FAMILY.match(model)
    return Origin(GEMINI, family[0] if family else model)


_FAMILY: Final = re.compile(r"gemini-[\d.]+-(?:flash-lite|flash|pro)")


def body(conversation: Conversation, model: str) -> Json:
    """The body, whether it is streamed or not."""
    written: Json = {"contents": list(_contents(conversation, model))}
    instructions = "\n\n".join(part.text for part in conversation.instructions)
    if instructions:
        written["systemInstruction"] = {"parts": [{"text": instructions}]}
    generation = _generation(conversation, model)
    if generation:
        written["generationConfig"] = generation
    return written | _tools(conversation)


def _generation(conversation: Conversation, model: str) -> Json:
    asked = conversation.format
    optional: Json = {
        "temperature": conversation.temperature,
        "topP": conversation.top_p,
        "topK": conversation.top_k,
        "seed": conversation.seed,
        "presencePenalty": conversation.presence_penalty,
        "frequencyPenalty": conversation.frequency_penalty,
        "maxOutputTokens": conversation.max_output_tokens,
        "stopSequences": list(conversation.stops) or None,
        "responseMimeType": "application/json" if asked else None,
        "responseJsonSchema": asked.schema if asked else None,
        "thinkingConfig": _thinking(conversation.thinking, model) if conversation.thinking else None,
    }
    return {name: value for name, value in optional.items() if value is not None}


def _thinking(thinking: Thinking, model: str) -> Json:
    shown = {"includeThoughts": True} if thinking.shown else {}
    if model.startswith(BUDGETED):
        return {"thinkingBudget": 0 if thinking.effort == "none" else budget(thinking)} | shown
    levels = LEVELS[1:] if "-pro" in model else LEVELS
    return {"thinkingLevel": effort(thinking, levels).upper()} | shown


def _tools(conversation: Conversation) -> Json:
    allowed = conversation.tool_choice.allowed if conversation.tool_choice else ()
    offered = [tool for tool in conversation.tools if isinstance(tool, Tool) and (not allowed or tool.name in allowed)]
    if not offered:
        return {}
    written: Json = {"tools": [{"functionDeclarations": [_declared(tool) for tool in offered]}]}
    choice = conversation.tool_choice
    if choice is None or choice.mode == "auto":
        return written
    mode: Json = {"mode": "NONE" if choice.mode == "none" else "ANY"}
    named = {"allowedFunctionNames": [choice.name]} if choice.mode == "named" else {}
    return written | {"toolConfig": {"functionCallingConfig": mode | named}}


def _declared(tool: Tool) -> Json:
    described = {"description": tool.description} if tool.description else {}
    schema = {"parametersJsonSchema": tool.parameters} if tool.parameters else {}
    return {"name": tool.name, **described, **schema}


def _contents(conversation: Conversation, model: str) -> Iterator[Json]:
    names = {part.id: part.name for turn in conversation.turns for part in turn.parts if isinstance(part, ToolCall)}
    for turn in conversation.turns:
        parts = list(_answered(turn, model)) if turn.role == "assistant" else list(_said(turn.parts, names))
        if parts:
            yield {"role": "model" if turn.role == "assistant" else "user", "parts": parts}


def _said(parts: Sequence[Part], names: Mapping[str, str]) -> Iterator[Json]:
    for part in parts:
        match part:
            case Text(text=text):
                yield {"text": text}
            case ToolResult():
                yield {"functionResponse": _response(part, names)}
            case Image() | Document():
                yield _medium(part)
            case _:  # opaque items of other vendors
                continue


def _answered(turn: Turn, model: str) -> Iterator[Json]:
    """The parts of a model's turn, each with the signature that came beside it."""
    tokens = {t.id: t.token for t in turn.parts if isinstance(t, Reasoning) and _is_own(t, model)}
    first = True
    for part in turn.parts:
        match part:
            case Text(text=text) | Refusal(text=text):
                yield {"text": text} | _signed(tokens.pop("", None))
            case ToolCall():
                token = tokens.pop(part.id, None) or (PLACEHOLDER if first and _wants_tokens(model) else None)
                first = False
                yield {"functionCall": _call(part)} | _signed(token)
            case _:  # thoughts, which go back as signatures alone, and opaque items of other vendors
                continue
    if "" in tokens:
        yield {"text": ""} | _signed(tokens[""])


def _wants_tokens(model: str) -> bool:
    return not model.startswith(BUDGETED)


def _is_own(thought: Reasoning, model: str) -> bool:
    return bool(thought.token and thought.origin and thought.origin.fits(origin(model)))


def _signed(token: str | None) -> Json:
    return {"thoughtSignature": token} if token else {}


def _call(call: ToolCall) -> Json:
    return {"name": call.name, "args": _object(call.arguments) or {}, **_id(call.id)}


def _response(result: ToolResult, names: Mapping[str, str]) -> Json:
    """An object, as the vendor wants it; a text that is none is one under a name."""
    said = "".join(part.text for part in result.parts if isinstance(part, Text))
    response = {"error": said} if result.is_error else _object(said) or {"result": said}
    return {"name": names.get(result.call_id, result.call_id), "response": response, **_id(result.call_id)}


DERIVED: Final = "call_gem_"
"""What the ids begin with that we have given to calls, because the vendor had given none: it does not know them."""


def derived_id(response: str, number: int) -> str:
    """The id of a call that has none: the same whenever the answer is read."""
    return DERIVED + hashlib.sha256(f"{response}/{number}".encode()).hexdigest()[:24]


def _id(call: str) -> Json:
    return {} if call.startswith(DERIVED) else {"id": call}


def _object(text: str) -> Json | None:
    return parse_object(text)


def _medium(part: Image | Document) -> Json:
    if part.url:
        return {"fileData": {"mimeType": part.media_type or _media_type(part.url), "fileUri": part.url}}
    if part.media_type == PLAIN:
        return {"text": part.data}
    return {"inlineData": {"mimeType": part.media_type, "data": part.data}}


def _media_type(url: str) -> str:
    """The type that the address names; most images of the web are JPEG."""
    return MEDIA_TYPES.get(url.rpartition(".")[2].lower(), JPEG)
