"""Chat Completions, as OpenAI, Azure OpenAI and vLLM share it: reading a request that has passed its checks."""

from collections.abc import Callable, Sequence

from allweather.vendorsim.answers import Ask, Tool, Transcript, Turns, estimate
from allweather.vendorsim.wire import Json, encode, items, members

EFFORT_TOKENS = {"none": 0, "minimal": 16, "low": 64, "medium": 192, "high": 512, "xhigh": 1024, "max": 2048}
"""What reasoning costs at each effort."""
_PER_MESSAGE = 4


def read_ask(
    payload: Json,
    model: str,
    *,
    reasoning_tokens: int = 0,
    reasons: bool = False,
    picture_tokens: Callable[[Json], int] = lambda _part: 0,
) -> Ask:
    """Read a conversation. `reasons` lets `[[think]]` make the model think; `picture_tokens` counts an image part."""
    system, turns = _turns(items(payload["messages"]), picture_tokens)
    tools, must_call = _tools(payload) if payload.get("tools") else ((), False)
    schemas = estimate(encode(payload["tools"]).decode()) if payload.get("tools") else 0
    wanted = members(payload.get("response_format"))
    return Ask(
        model=model,
        system=system,
        conversation=turns.text,
        question=turns.question,
        step=turns.step,
        results=turns.results,
        input_tokens=turns.tokens + schemas + 3,
        max_tokens=payload.get("max_completion_tokens") or payload.get("max_tokens"),
        stop=_stop(payload.get("stop")),
        schema=members(members(wanted.get("json_schema")).get("schema")) or None,
        wants_json=wanted.get("type") in ("json_object", "json_schema"),
        tools=tools,
        must_call=must_call,
        parallel=payload.get("parallel_tool_calls") is not False,
        reasoning_tokens=reasoning_tokens,
        reasons=reasons,
        seed=None if payload.get("seed") is None else str(payload["seed"]),
    )


def text_of(content: object) -> str:
    """Return the text of a message, whether it is a string or parts."""
    if isinstance(content, str):
        return content
    return "\n".join(str(members(part).get("text", "")) for part in items(content) if "text" in members(part))


def forced_by_name(payload: Json) -> bool:
    return members(payload.get("tool_choice")).get("type") == "function"


def includes_usage(payload: Json) -> bool:
    return bool(members(payload.get("stream_options")).get("include_usage"))


def choices_wanted(payload: Json) -> int:
    return payload.get("n") or 1


def top_logprobs(payload: Json) -> int | None:
    """Return how many alternatives are to be told with each token, or None for no probabilities at all."""
    return (payload.get("top_logprobs") or 0) if payload.get("logprobs") else None


def _turns(messages: Sequence[Json], picture_tokens: Callable[[Json], int]) -> tuple[str, Turns]:
    transcript = Transcript(_PER_MESSAGE)
    system: list[str] = []
    for message in messages:
        role, content = message.get("role"), message.get("content")
        text = text_of(content)
        if role in ("system", "developer"):
            system.append(text)
        elif role == "tool":
            transcript.answered(text)
        else:
            transcript.said(str(role), text)
            _further(message, content, transcript, picture_tokens)
    turns = transcript.turns()
    instructions = sum(estimate(text) + _PER_MESSAGE for text in system)
    return "\n".join(system), turns._replace(tokens=turns.tokens + instructions)


def _further(message: Json, content: object, transcript: Transcript, picture_tokens: Callable[[Json], int]) -> None:
    """Read what a turn holds besides text."""
    if not isinstance(content, str):
        for part in map(members, items(content)):
            if part.get("type") == "image_url":
                transcript.shown(picture_tokens(part), str(members(part.get("image_url")).get("url"))[-64:])
    for call in items(message.get("tool_calls")):
        function = members(members(call).get("function"))
        transcript.called(str(function.get("name")), str(function.get("arguments")))


def _stop(stop: object) -> Sequence[str]:
    if stop is None:
        return ()
    return [stop] if isinstance(stop, str) else [str(each) for each in items(stop)]


def _tools(payload: Json) -> tuple[Sequence[Tool], bool]:
    """Return the tools that may be called, and whether one of them must be."""
    choice = payload.get("tool_choice")
    functions = [members(members(tool).get("function")) for tool in items(payload["tools"])]
    tools = [Tool(str(each.get("name")), members(each.get("parameters"))) for each in functions]
    if choice == "none":
        return (), False
    if choice is None or isinstance(choice, str):
        return tools, choice == "required"
    named = members(members(choice).get("function")).get("name")
    allowed = members(members(choice).get("allowed_tools"))
    names = [members(members(each).get("function")).get("name") for each in items(allowed.get("tools"))]
    kept = [tool for tool in tools if tool.name == named or tool.name in names]
    return kept, named is not None or allowed.get("mode") == "required"
