"""Answers as chat completions, whole and in chunks."""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from allweather.contracts.answers import (
    Answer,
    Begun,
    CallArguments,
    CallBegun,
    Choice,
    Counted,
    Event,
    Finished,
    Refused,
    Said,
    Thought,
    Weighed,
)
from allweather.contracts.conversation import Finish, Json, Part, Reasoning, Refusal, Text, ToolCall, seal
from allweather.contracts.slip import Usage

REASONS: Final = {
    Finish.STOP: "stop",
    Finish.LENGTH: "length",
    Finish.CONTEXT_FULL: "length",
    Finish.PAUSED: "length",
    Finish.TOOL_CALLS: "tool_calls",
    Finish.FILTERED_OUTPUT: "content_filter",
    Finish.FILTERED_INPUT: "content_filter",
}

encode = msgspec.json.encode


def usage(counts: Usage) -> Json:
    """The counts as a completion has them."""
    return {
        "prompt_tokens": counts.input_tokens,
        "completion_tokens": counts.output_tokens,
        "total_tokens": counts.input_tokens + counts.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": counts.cached_input_tokens,
            "cache_write_tokens": counts.cache_write_tokens,
        },
        "completion_tokens_details": {"reasoning_tokens": counts.reasoning_tokens},
    }


def render(answer: Answer) -> bytes:
    """The answer as a `chat.completion`."""
    completion: Json = {
        "id": answer.id,
        "object": "chat.completion",
        "created": answer.created,
        "model": answer.model,
        "choices": [_choice(index, choice) for index, choice in enumerate(answer.choices)],
    }
    if answer.usage is not None:
        completion["usage"] = usage(answer.usage)
    return encode(completion)


def _choice(index: int, choice: Choice) -> Json:
    logprobs = None if choice.logprobs is None else {"content": choice.logprobs, "refusal": None}
    return {
        "index": index,
        "message": message(choice.parts),
        "logprobs": logprobs,
        "finish_reason": REASONS[choice.finish],
    }


def message(parts: Sequence[Part]) -> Json:
    """The parts as one message of the assistant, as answers hold it and histories repeat it."""
    said = "".join(part.text for part in parts if isinstance(part, Text))
    refused = "".join(part.text for part in parts if isinstance(part, Refusal))
    thoughts = [part for part in parts if isinstance(part, Reasoning)]
    calls = [_call(part) for part in parts if isinstance(part, ToolCall)]
    silent = not said and (refused or calls)
    written: Json = {"role": "assistant", "content": None if silent else said, "refusal": refused or None}
    if calls:
        written["tool_calls"] = calls
    if thoughts:
        written |= {"reasoning": "".join(thought.text for thought in thoughts)} if _any_text(thoughts) else {}
        written["reasoning_details"] = [_detail(index, thought) for index, thought in enumerate(thoughts)]
    return written


def _any_text(thoughts: list[Reasoning]) -> bool:
    return any(thought.text for thought in thoughts)


def _call(call: ToolCall) -> Json:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _detail(index: int, thought: Reasoning) -> Json:
    """A thought as it can be sent back: its token with the origin."""
    if not thought.text:
        return {"index": index, "type": "reasoning.encrypted", "data": seal(thought)}
    token = {"signature": seal(thought)} if thought.token else {}
    return {"index": index, "type": "reasoning.text", "text": thought.text, **token}


class Chunks:
    """Renders the events of one answer as the payloads of its stream, without the final `[DONE]`."""

    def __init__(self, *, include_usage: bool) -> None:
        self._head: Json = {"id": "", "object": "chat.completion.chunk", "created": 0, "model": ""}
        self._rest: Json = {"usage": None} if include_usage else {}
        self._include_usage = include_usage
        self._usage: Usage | None = None
        self._calls: dict[tuple[int, int], int] = {}
        self._thoughts: dict[int, _Thoughts] = {}

    def payloads(self, event: Event) -> Iterator[str]:
        """The chunks that the event stands for, maybe none."""
        if not isinstance(event, Thought | Begun | Counted) and event.choice in self._thoughts:
            self._thoughts[event.choice].open = False
        match event:
            case Said(text=text, choice=choice):
                yield self._chunk({"content": text}, choice)
            case CallArguments():
                fragment = {"index": self._index(event), "function": {"arguments": event.text}}
                yield self._chunk({"tool_calls": [fragment]}, event.choice)
            case CallBegun():
                function = {"name": event.name, "arguments": ""}
                fragment = {"index": self._index(event), "id": event.id, "type": "function", "function": function}
                yield self._chunk({"tool_calls": [fragment]}, event.choice)
            case Thought():
                thoughts = self._thoughts.setdefault(event.choice, _Thoughts())
                yield self._chunk(thoughts.delta(event), event.choice)
            case Refused(text=text, choice=choice):
                yield self._chunk({"refusal": text}, choice)
            case Weighed(logprobs=logprobs, choice=choice):
                yield self._chunk({}, choice, logprobs={"content": logprobs, "refusal": None})
            case Finished(finish=finish, choice=choice):
                yield self._chunk({}, choice, reason=REASONS[finish])
            case Begun():
                self._head |= {"id": event.id, "created": event.created, "model": event.model}
                yield self._chunk({"role": "assistant", "content": ""}, 0)
            case Counted(usage=counts):
                self._usage = counts
            case _:  # opaque items have no place here; they come from tools that only a native caller can ask for
                return

    def end(self) -> Iterator[str]:
        """What comes after the last event."""
        if self._include_usage and self._usage is not None:
            yield encode(self._head | {"choices": [], "usage": usage(self._usage)}).decode()

    def _chunk(self, delta: Json, index: int, *, reason: str | None = None, logprobs: Json | None = None) -> str:
        choice: Json = {"index": index, "delta": delta, "finish_reason": reason}
        if logprobs is not None:
            choice["logprobs"] = logprobs
        return encode({**self._head, "choices": [choice], **self._rest}).decode()

    def _index(self, event: CallBegun | CallArguments) -> int:
        """The place of a call among those of its choice, in the order in which they began."""
        key = (event.choice, event.number)
        if key not in self._calls:
            self._calls[key] = sum(1 for choice, _ in self._calls if choice == event.choice)
        return self._calls[key]


class _Thoughts:
    """The thoughts of one choice, numbered, so that pieces of one can be told from the next one."""

    def __init__(self) -> None:
        self.open = False
        self._number = -1

    def delta(self, thought: Thought) -> Json:
        begun, self.open = self.open, not thought.token
        self._number += 0 if begun else 1
        if not begun and not thought.text:
            return {"reasoning_details": [_detail(self._number, _reasoning(thought))]}
        detail = _detail(self._number, _reasoning(thought)) | {"type": "reasoning.text", "text": thought.text}
        if "data" in detail:
            detail["signature"] = detail.pop("data")
        shown = {"reasoning": thought.text} if thought.text else {}
        return shown | {"reasoning_details": [detail]}


def _reasoning(thought: Thought) -> Reasoning:
    return Reasoning(thought.text, thought.token, thought.origin, thought.id)
