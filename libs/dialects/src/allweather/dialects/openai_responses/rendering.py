"""Answers as Responses: the whole object and the items in it."""

from typing import Final

import msgspec

from allweather.contracts.answers import Answer
from allweather.contracts.conversation import Finish, Json, Opaque, Part, Reasoning, Refusal, Text, ToolCall, seal
from allweather.contracts.slip import Dialect, Usage

INCOMPLETE: Final = {
    Finish.LENGTH: "max_output_tokens",
    Finish.CONTEXT_FULL: "max_output_tokens",
    Finish.FILTERED_OUTPUT: "content_filter",
    Finish.FILTERED_INPUT: "content_filter",
}
"""Why an answer is incomplete; the other reasons are those of complete ones."""

ECHOED: Final[dict[str, object]] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "service_tier": "default",
    "store": False,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""What a response repeats of its request, and what it says where the request says nothing."""

encode = msgspec.json.encode
_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def usage(counts: Usage) -> Json:
    """The counts as a response has them."""
    return {
        "input_tokens": counts.input_tokens,
        "input_tokens_details": {
            "cached_tokens": counts.cached_input_tokens,
            "cache_write_tokens": counts.cache_write_tokens,
        },
        "output_tokens": counts.output_tokens,
        "output_tokens_details": {"reasoning_tokens": counts.reasoning_tokens},
        "total_tokens": counts.input_tokens + counts.output_tokens,
    }


def echo(request: bytes) -> Json:
    """What a response repeats of the body of its request."""
    given = _fields.decode(request)
    return {name: given.get(name, default) for name, default in ECHOED.items()}


def render(answer: Answer, request: bytes) -> bytes:
    """The answer as a `response`. This dialect knows one choice."""
    choice, name = answer.choices[0], base(answer.id)
    refused = any(isinstance(part, Refusal) for part in choice.parts)
    written: list[Json] = []
    for part in choice.parts:
        item = item_of(part, f"{name}_{len(written)}")
        written += [item] if item else []
    return encode(
        response(name, answer.created, answer.model, echo(request))
        | {"output": written}
        | end(choice.finish, answer.usage, refused=refused)
    )


def base(name: str) -> str:
    """The vendor's id without its prefix: what the ids of this dialect are made of."""
    return name.partition("_")[2] or name.removeprefix("chatcmpl-")


def response(name: str, created: int, model: str, echoed: Json) -> Json:
    """A response that has just begun."""
    return {
        "id": f"resp_{name}",
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "model": model,
        "output": [],
        "usage": None,
        **echoed,
    }


def end(finish: Finish, counts: Usage | None, *, refused: bool) -> Json:
    """How a response ends. One that is refused in words is complete."""
    reason = None if refused else INCOMPLETE.get(finish)
    return {
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "usage": None if counts is None else usage(counts),
    }


def item_of(part: Part, name: str) -> Json | None:
    """The output item that a part is; None for what this dialect has no place for."""
    match part:
        case Text() | Refusal():
            return message(name, [content_of(part)])
        case ToolCall(id=call, name=function, arguments=arguments):
            return function_call(name, call, function, arguments)
        case Reasoning():
            return reasoning(part, name)
        case Opaque(origin=origin, item=item) if origin.api == Dialect.OPENAI_RESPONSES:
            return item
        case _:
            return None


def content_of(part: Text | Refusal) -> Json:
    """The content part of a message."""
    if isinstance(part, Refusal):
        return {"type": "refusal", "refusal": part.text}
    return {"type": "output_text", "text": part.text, "annotations": [], "logprobs": []}


def message(name: str, content: list[Json], status: str = "completed") -> Json:
    """A message item."""
    return {"type": "message", "id": f"msg_{name}", "status": status, "role": "assistant", "content": content}


def function_call(name: str, call: str, function: str, arguments: str, status: str = "completed") -> Json:
    """The item of a tool call."""
    said = {"call_id": call, "name": function, "arguments": arguments, "status": status}
    return {"type": "function_call", "id": f"fc_{name}", **said}


def reasoning(thought: Reasoning, name: str) -> Json:
    """The item of a thought: OpenAI's own token as it is, another's with its origin, also a missing one.

    So it is told apart from what OpenAI has stored, which is asked for by its id.
    """
    own = thought.origin and thought.origin.api == Dialect.OPENAI_RESPONSES
    token = thought.token if own else seal(thought)
    return {
        "type": "reasoning",
        "id": f"rs_{name}",
        "summary": [{"type": "summary_text", "text": thought.text}] if thought.text else [],
        **({"encrypted_content": token} if token else {}),
    }
