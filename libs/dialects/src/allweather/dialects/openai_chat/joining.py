"""Chunks put together again, with every field that a vendor has put into them."""

from typing import Any, Final, cast

import msgspec

from allweather.dialects.lenient import Json, child, children, count, parse_object, text

MAX_LISTED: Final = 1024
"""More in one answer is a fault of the vendor: whatever index it gives must not become a list of that length."""


class Joining:
    """Adds up the chunks of one answer."""

    def __init__(self) -> None:
        self._head: Json = {"id": "", "created": 0, "model": ""}
        self._choices: dict[int, Json] = {}

    def add(self, payload: str) -> None:
        """Take in the next chunk."""
        chunk = parse_object(payload) or {}
        for name, value in chunk.items():
            if value and name not in _NOT_OF_THE_WHOLE:
                self._head[name] = value
        for choice in children(chunk, "choices"):
            self._add_choice(choice)

    def whole(self) -> bytes:
        """The `chat.completion` that the chunks are."""
        choices = [self._choices[index] for index in sorted(self._choices)]
        for choice in choices:
            _settle(choice["message"])
        return msgspec.json.encode(self._head | {"object": "chat.completion", "choices": choices})

    def _add_choice(self, piece: Json) -> None:
        index = count(piece, "index")
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _empty_choice(index)
        _add_delta(choice["message"], child(piece, "delta"))
        choice["finish_reason"] = text(piece, "finish_reason") or choice["finish_reason"]
        choice["logprobs"] = _joined(choice["logprobs"], piece.get("logprobs"))


_NOT_OF_THE_WHOLE = frozenset({"choices", "obfuscation"})


def _empty_choice(index: int) -> Json:
    message = {"role": "assistant", "content": None, "refusal": None}
    return {"index": index, "message": message, "logprobs": None, "finish_reason": None}


def _settle(message: Json) -> None:
    """Nothing was said, called or refused: that is an empty text, which a caller may send back as it is."""
    if message["content"] is None and not any(message.get(name) for name in _INSTEAD):
        message["content"] = ""


_INSTEAD = ("tool_calls", "refusal", "function_call", "audio")
"""What a message may hold in place of content."""


def _add_delta(message: Json, delta: Json) -> None:
    for name, value in delta.items():
        if name == "role":
            message["role"] = value or message["role"]
        elif name == "tool_calls":
            _add_tool_calls(message, children(delta, name))
        elif name == "content" and value == "":
            continue  # the first chunk of every stream; an answer that says nothing has no content
        else:
            message[name] = _joined(message.get(name), value)


def _add_tool_calls(message: Json, fragments: list[Json]) -> None:
    """Join fragments by their index: the first names the call, later ones add to its arguments."""
    calls: list[Json] = message.setdefault("tool_calls", [])
    for fragment in fragments:
        position = count(fragment, "index") if "index" in fragment else len(calls)
        while len(calls) <= min(position, MAX_LISTED):
            calls.append({"id": None, "type": "function", "function": {"name": "", "arguments": ""}})
        call, function = calls[min(position, MAX_LISTED)], child(fragment, "function")
        call["id"] = fragment.get("id") or call["id"]
        call["function"]["name"] = text(function, "name") or call["function"]["name"]
        call["function"]["arguments"] += text(function, "arguments")


def _joined(old: Any, new: Any) -> Any:
    """Text and lists grow, objects merge, everything else is replaced; null adds nothing."""
    if old is None or new is None:
        return new if old is None else old
    if isinstance(old, dict) and isinstance(new, dict):
        merged = cast(Json, old)
        return merged | {name: _joined_field(name, merged.get(name), value) for name, value in cast(Json, new).items()}
    if isinstance(old, list) and isinstance(new, list):
        return _joined_lists(cast(list[Any], old), cast(list[Any], new))
    if isinstance(old, str) and isinstance(new, str):
        return old + new
    return new


def _joined_field(name: str, old: Any, new: Any) -> Any:
    """What names and numbers an entry is said again with each piece of it."""
    return new if name in ("type", "index") else _joined(old, new)


def _joined_lists(old: list[Any], new: list[Any]) -> list[Any]:
    """Entries of the same index are pieces of one."""
    last = old[-1] if old else None
    if isinstance(last, dict) and new and isinstance(new[0], dict):
        before, after = cast(Json, last), cast(Json, new[0])
        if "index" in before and before["index"] == after.get("index"):
            return [*old[:-1], _joined(before, after), *new[1:]]
    return old + new
