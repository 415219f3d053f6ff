"""From a Messages request that has passed the checks to what the model is asked."""

from collections.abc import Sequence

from allweather.vendorsim.answers import Ask, Tool, Transcript, estimate
from allweather.vendorsim.catalogue import Model
from allweather.vendorsim.dialects.messages import thinks
from allweather.vendorsim.dialects.messages_pictures import picture_tokens
from allweather.vendorsim.wire import Json, encode, items, members

_PER_MESSAGE = 4
_THOUGHT = 16
"""Tokens of thinking, unless `[[think]]` asks for more."""


def read_ask(payload: Json, model: Model) -> Ask:
    system = text_of(payload.get("system"))
    transcript = Transcript(_PER_MESSAGE)
    for message in items(payload["messages"]):
        _read_message(str(message["role"]), message["content"], transcript)
    turns = transcript.turns()
    tools = payload.get("tools")
    wanted = members(members(payload.get("output_config")).get("format"))
    thinking = thinks(payload)
    instructions = estimate(system) if system else 0
    callable_tools, must_call, parallel = _tools(payload) if tools else ((), False, True)
    return Ask(
        model=model.id,
        system=system,
        conversation=turns.text,
        question=turns.question,
        step=turns.step,
        results=turns.results,
        input_tokens=instructions + turns.tokens + (estimate(encode(tools).decode()) if tools else 0) + 3,
        max_tokens=payload.get("max_tokens"),
        stop=items(payload.get("stop_sequences")),
        schema=members(wanted.get("schema")) or None,
        wants_json=wanted.get("type") == "json_schema",
        tools=callable_tools,
        must_call=must_call,
        parallel=parallel,
        reasoning_tokens=_THOUGHT if thinking else 0,
        reasons=thinking,
    )


def text_of(content: object) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(str(members(block).get("text", "")) for block in items(content) if "text" in members(block))


def _read_message(role: str, content: object, transcript: Transcript) -> None:
    if isinstance(content, str):
        transcript.said(role, content)
        return
    blocks = [members(block) for block in items(content)]
    for block in blocks:
        if block["type"] == "tool_result":
            transcript.answered(text_of(block.get("content")), failed=block.get("is_error") is True)
            _show(items(block.get("content")), transcript)
    if (text := text_of(blocks)) or not any(block["type"] == "tool_result" for block in blocks):
        transcript.said(role, text)
    _show(blocks, transcript)
    for block in blocks:
        if block["type"] == "tool_use":
            transcript.called(str(block["name"]), encode(block["input"]).decode())


def _show(blocks: Sequence[Json], transcript: Transcript) -> None:
    for block in blocks:
        if block.get("type") in ("image", "document"):
            source = members(block.get("source"))
            told = str(source.get("data") or source.get("url") or source.get("file_id"))
            tokens = picture_tokens(source) if block["type"] == "image" else estimate(told)
            transcript.shown(tokens, told[-64:])


def _tools(payload: Json) -> tuple[Sequence[Tool], bool, bool]:
    """Return the tools that may be called, whether one must be, and whether several may be at once."""
    choice = members(payload.get("tool_choice"))
    if choice.get("type") == "none":
        return (), False, True
    tools = [
        Tool(str(members(each).get("name")), members(members(each).get("input_schema")))
        for each in items(payload["tools"])
    ]
    parallel = choice.get("disable_parallel_tool_use") is not True
    if choice.get("type") == "tool":
        return [tool for tool in tools if tool.name == choice.get("name")], True, parallel
    return tools, choice.get("type") == "any", parallel
