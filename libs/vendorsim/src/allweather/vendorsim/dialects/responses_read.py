"""From a Responses request that has passed the checks to what the model is asked."""

from collections.abc import Sequence

from allweather.vendorsim.answers import Ask, Tool, Transcript, estimate
from allweather.vendorsim.catalogue import Model
from allweather.vendorsim.dialects.chat import EFFORT_TOKENS
from allweather.vendorsim.dialects.gpt_pictures import picture_tokens
from allweather.vendorsim.dialects.responses_rules import effort_of
from allweather.vendorsim.wire import Json, encode, items, members

_PER_ITEM = 4


def read_ask(payload: Json, found: Sequence[Json], model: Model) -> Ask:
    """Read `found`, which is the whole conversation: what was said before this request, and its input."""
    transcript = Transcript(_PER_ITEM)
    system = [str(payload.get("instructions") or "")]
    for item in found:
        if item.get("role") in ("system", "developer"):
            system.append(text_of(item.get("content")))
        else:
            _read_item(item, transcript)
    turns = transcript.turns()
    tools = items(payload.get("tools"))
    callable_tools, must_call = _tools(payload, tools) if tools else ((), False)
    form = members(members(payload.get("text")).get("format"))
    instructions = sum(estimate(text) + _PER_ITEM for text in system if text)
    return Ask(
        model=model.id,
        system="\n".join(text for text in system if text),
        conversation=turns.text,
        question=turns.question,
        step=turns.step,
        results=turns.results,
        input_tokens=instructions + turns.tokens + (estimate(encode(tools).decode()) if tools else 0) + 3,
        max_tokens=payload.get("max_output_tokens"),
        schema=members(form.get("schema")) or None,
        wants_json=form.get("type") in ("json_object", "json_schema"),
        tools=callable_tools,
        must_call=must_call,
        parallel=payload.get("parallel_tool_calls") is not False,
        reasoning_tokens=EFFORT_TOKENS[effort_of(payload, model)],
        reasons=bool(model.efforts),
    )


def text_of(content: object) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(str(members(part).get("text", "")) for part in items(content) if "text" in members(part))


def _read_item(item: Json, transcript: Transcript) -> None:
    match item["type"]:
        case "function_call":
            transcript.called(str(item["name"]), str(item["arguments"]))
        case "function_call_output":
            transcript.answered(text_of(item["output"]))
            _show(item["output"], transcript)
        case "message":
            transcript.said(str(item["role"]), text_of(item["content"]))
            _show(item["content"], transcript)
        case _:
            return


def _show(content: object, transcript: Transcript) -> None:
    for part in map(members, items(content)):
        if part.get("type") == "input_image":
            url = part.get("image_url")
            transcript.shown(picture_tokens(url, part.get("detail")), str(url or part.get("file_id"))[-64:])


def _tools(payload: Json, tools: Sequence[object]) -> tuple[Sequence[Tool], bool]:
    """Return the functions that may be called, and whether one of them must be."""
    choice = payload.get("tool_choice")
    functions = [
        Tool(str(members(each).get("name")), members(members(each).get("parameters")))
        for each in tools
        if members(each).get("type") == "function"
    ]
    if choice == "none":
        return (), False
    if choice is None or isinstance(choice, str):
        return functions, choice == "required"
    wanted = members(choice)
    names = [wanted.get("name"), *(members(each).get("name") for each in items(wanted.get("tools")))]
    must_call = wanted.get("type") == "function" or wanted.get("mode") == "required"
    return [tool for tool in functions if tool.name in names], must_call
