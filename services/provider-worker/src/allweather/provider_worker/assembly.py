"""Chunks put together again: a streamed answer becomes the completion it would have been without streaming."""

from typing import Any, cast

from allweather.dialects.lenient import Json, child, children, count, text
from allweather.provider_worker.chat import answer
from allweather.provider_worker.wire import Answer, Chunk

MAX_TOOL_CALLS = 1024
"""More in one answer is a fault of the vendor: whatever index it gives must not become a list of that length."""


class Assembler:
    """Adds up the chunks of one answer."""

    def __init__(self) -> None:
        self._head: Json = {}
        self._choices: dict[int, Json] = {}

    @property
    def finished(self) -> bool:
        """Whether every choice seen has its finish reason; then only a terminator can be missing."""
        return bool(self._choices) and all(choice["finish_reason"] for choice in self._choices.values())

    def add(self, chunk: Chunk) -> None:
        """Take in the next chunk."""
        self._head.update((name, value) for name, value in chunk.items() if value and name not in _NOT_OF_THE_WHOLE)
        for choice in children(chunk, "choices"):
            self._add_choice(choice)

    def answer(self) -> Answer:
        """The whole answer. Raises `Failed` when it has no finish reason."""
        choices = [self._choices[index] for index in sorted(self._choices)]
        return answer(self._head | {"object": "chat.completion", "choices": choices})

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


def _add_delta(message: Json, delta: Json) -> None:
    for name, value in delta.items():
        if name == "role":
            message["role"] = value or message["role"]
        elif name == "tool_calls":
            _add_tool_calls(message, children(delta, name))
        else:
            message[name] = _joined(message.get(name), value)


def _add_tool_calls(message: Json, fragments: list[Json]) -> None:
    """Join fragments by their index: the first names the call, later ones add to its arguments."""
    calls: list[Json] = message.setdefault("tool_calls", [])
    for fragment in fragments:
        position = count(fragment, "index") if "index" in fragment else len(calls)
        while len(calls) <= min(position, MAX_TOOL_CALLS):
            calls.append({"id": None, "type": "function", "function": {"name": "", "arguments": ""}})
        call, function = calls[min(position, MAX_TOOL_CALLS)], child(fragment, "function")
        call["id"] = fragment.get("id") or call["id"]
        call["function"]["name"] = text(function, "name") or call["function"]["name"]
        call["function"]["arguments"] += text(function, "arguments")


def _joined(old: Any, new: Any) -> Any:
    """Text and lists grow, objects merge, everything else is replaced; null adds nothing."""
    if old is None or new is None:
        return new if old is None else old
    if isinstance(old, dict) and isinstance(new, dict):
        merged = cast(Json, old)
        return merged | {name: _joined(merged.get(name), value) for name, value in cast(Json, new).items()}
    if (isinstance(old, str) and isinstance(new, str)) or (isinstance(old, list) and isinstance(new, list)):
        return cast(Any, old) + new
    return new
