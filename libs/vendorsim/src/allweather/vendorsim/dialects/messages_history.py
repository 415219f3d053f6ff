"""What the turns of a Messages request have to look like: blocks, tool results where they belong, genuine thinking."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from allweather.vendorsim.dialects.messages_cache import blocks_of
from allweather.vendorsim.dialects.messages_pictures import check_picture
from allweather.vendorsim.sealing import genuine
from allweather.vendorsim.wire import Json, Problem, items, members

OWNER = "anthropic"
"""Whose seals thinking blocks carry."""
_BLOCKS = {
    "user": ("document", "image", "search_result", "text", "tool_result"),
    "assistant": ("redacted_thinking", "server_tool_use", "text", "thinking", "tool_use", "web_search_tool_result"),
    "system": ("text",),
}
_ID = re.compile(r"[a-zA-Z0-9_-]+\Z")
_BREAKPOINTS = 4


class Turn(NamedTuple):
    """One or more messages of one role, as the model sees them."""

    role: str
    blocks: Sequence[Json]
    number: int
    """Where its first message stands in the request."""


def check(payload: Json, *, manual: bool) -> Problem | None:
    """Return the first thing wrong with the turns; `manual` is thinking with a budget."""
    found = items(payload["messages"])
    plain = True
    for number, each in enumerate(found):
        message = members(each)
        role, content = message.get("role"), message.get("content")
        if role not in _BLOCKS:
            return _invalid(f"messages.{number}.role: Input should be 'user' or 'assistant'")
        last = number == len(found) - 1
        if isinstance(content, str):
            problem = _text_turn(content, str(role), number, last=last)
        else:
            plain = False
            problem = _block_turn(content, str(role), number)
        if problem is not None:
            return problem
    if plain and not isinstance(payload.get("system"), list) and not payload.get("tools"):
        return None
    return _check_tools(turns_of(payload), manual=manual) or _check_breakpoints(payload)


def turns_of(payload: Json) -> list[Turn]:
    """Return the conversation with messages of one role merged, and every content in blocks."""
    merged: list[Turn] = []
    for number, message in enumerate(map(members, items(payload["messages"]))):
        content = message.get("content")
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else [*map(members, items(content))]
        if merged and merged[-1].role == message["role"]:
            merged[-1] = merged[-1]._replace(blocks=[*merged[-1].blocks, *blocks])
        else:
            merged.append(Turn(str(message["role"]), blocks, number))
    return merged


def _text_turn(content: str, role: str, number: int, *, last: bool) -> Problem | None:
    if not content and not (last and role == "assistant"):
        text = "all messages must have non-empty content except for the optional final assistant message"
        return _invalid(f"messages.{number}: {text}")
    if last and role == "assistant" and content != content.rstrip():
        return _invalid("messages: final assistant content cannot end with trailing whitespace")
    return None


def _block_turn(content: object, role: str, number: int) -> Problem | None:
    if content is None:
        return _invalid(f"messages.{number}.content: Field required")
    blocks = [members(block) for block in items(content)]
    if not blocks:
        text = "all messages must have non-empty content except for the optional final assistant message"
        return _invalid(f"messages.{number}: {text}")
    for place, block in enumerate(blocks):
        if (problem := _block(block, role, f"messages.{number}.content.{place}")) is not None:
            return problem
    return None


def _block(block: Json, role: str, where: str) -> Problem | None:
    kind = block.get("type")
    if kind not in _BLOCKS[role]:
        known = ", ".join(f"'{each}'" for each in _BLOCKS[role])
        text = f"Input tag '{kind}' found using 'type' does not match any of the expected tags: {known}"
        return _invalid(f"{where}: {text}")
    match kind:
        case "text":
            return None if block.get("text") else _invalid("messages: text content blocks must be non-empty")
        case "image":
            return check_picture(members(block.get("source")), f"{where}.image.source")
        case "thinking" | "redacted_thinking":
            return _thought(block, where)
        case "tool_use":
            return _tool_use(block, where)
        case "tool_result":
            return _tool_result(block, where)
        case _:
            return None


def _thought(block: Json, where: str) -> Problem | None:
    if block["type"] == "redacted_thinking":
        good = genuine(block.get("data"), OWNER, "redacted")
        return None if good else _invalid(f"{where}: Invalid `data` in `redacted_thinking` block")
    if "signature" not in block:
        return _invalid(f"{where}.thinking.signature: Field required")
    good = genuine(block["signature"], OWNER, str(block.get("thinking")))
    return None if good else _invalid(f"{where}: Invalid `signature` in `thinking` block")


def _tool_use(block: Json, where: str) -> Problem | None:
    if not _ID.match(str(block.get("id", ""))):
        return _invalid(f"{where}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
    if not isinstance(block.get("input"), dict):
        return _invalid(f"{where}.tool_use.input: Input should be a valid dictionary")
    return None


def _tool_result(block: Json, where: str) -> Problem | None:
    for place, part in enumerate(map(members, items(block.get("content")))):
        inside = f"{where}.tool_result.content.{place}"
        if part.get("type") not in ("text", "image", "document", "search_result"):
            return _invalid(
                f"{inside}: Input tag '{part.get('type')}' found using 'type' does not match any of the expected tags"
            )
        if part["type"] == "image":
            problem = check_picture(members(part.get("source")), f"{inside}.image.source")
            if problem is not None:
                return problem
    return None


def _check_tools(turns: Sequence[Turn], *, manual: bool) -> Problem | None:
    """Check that the next turn answers each call before it says anything else, and that each answer has a call."""
    called: list[str] = []
    number = 0
    for turn in turns:
        if (problem := _check_answers(turn, called, number)) is not None:
            return problem
        called = [str(block["id"]) for block in turn.blocks if block["type"] == "tool_use"]
        number = turn.number
    if called:
        return _unanswered(called, number)
    return _check_first_thought(turns) if manual else None


def _check_answers(turn: Turn, called: Sequence[str], before: int) -> Problem | None:
    places = [place for place, block in enumerate(turn.blocks) if block["type"] == "tool_result"]
    answered = [str(turn.blocks[place].get("tool_use_id")) for place in places]
    for place, each in zip(places, answered, strict=True):
        where = f"messages.{turn.number}.content.{place}"
        if each not in called:
            return _invalid(
                f"{where}: unexpected `tool_use_id` found in `tool_result` blocks: {each}. Each `tool_result` block "
                "must have a corresponding `tool_use` block in the previous message."
            )
        if answered.count(each) > 1:
            return _invalid(
                f"{where}: each tool_use must have a single result. Found multiple `tool_result` blocks with id: {each}"
            )
    first = answered if places == list(range(len(places))) else []
    missing = [each for each in called if each not in first]
    return _unanswered(missing, before) if missing else None


def _unanswered(ids: Sequence[str], number: int) -> Problem:
    return _invalid(
        f"messages.{number}: `tool_use` ids were found without `tool_result` blocks immediately after: "
        f"{', '.join(ids)}. Each `tool_use` block must have a corresponding `tool_result` block in the next message."
    )


def _check_first_thought(turns: Sequence[Turn]) -> Problem | None:
    """While a tool loop is open, the turn that called the tools has to begin with its thinking."""
    if len(turns) < 2 or turns[-2].role != "assistant":
        return None
    first, in_loop = turns[-2].blocks[0], any(block["type"] == "tool_result" for block in turns[-1].blocks)
    if not in_loop or first["type"] in ("thinking", "redacted_thinking"):
        return None
    return _invalid(
        f"messages.{turns[-2].number}.content.0.type: Expected `thinking` or `redacted_thinking`, but found "
        f"`{first['type']}`. When `thinking` is enabled, a final `assistant` message must start with a thinking block "
        "(preceeding the lastmost set of `tool_use` and `tool_result` blocks). We recommend you include thinking "
        "blocks from previous turns. To avoid this requirement, disable `thinking`. Please consult our documentation "
        "at https://docs.claude.com/en/docs/build-with-claude/extended-thinking"
    )


def _check_breakpoints(payload: Json) -> Problem | None:
    count = sum(bool(block.get("cache_control")) for _, block in blocks_of(payload))
    if count <= _BREAKPOINTS:
        return None
    return _invalid(f"A maximum of {_BREAKPOINTS} blocks with cache_control may be provided. Found {count}.")


def _invalid(text: str) -> Problem:
    return Problem(400, text, "invalid_request_error")
