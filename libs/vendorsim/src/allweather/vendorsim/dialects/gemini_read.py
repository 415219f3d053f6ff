"""From a Gemini request that has passed the checks to what the model is asked."""

from collections.abc import Sequence

from allweather.vendorsim.answers import Ask, Tool, Transcript, estimate
from allweather.vendorsim.catalogue import Model
from allweather.vendorsim.dialects.gemini_pictures import picture_tokens
from allweather.vendorsim.wire import Json, encode, items, members

_THOUGHTS = {"MINIMAL": 0, "LOW": 16, "MEDIUM": 32, "HIGH": 64}


def read_ask(payload: Json, model: Model) -> Ask:
    transcript = Transcript(1)
    for content in items(payload["contents"]):
        _read_content(members(content), transcript)
    turns = transcript.turns()
    system = text_of(members(payload.get("systemInstruction")))
    config = members(payload.get("generationConfig"))
    tools = items(payload.get("tools"))
    callable_tools, must_call = _tools(payload, tools) if tools else ((), False)
    return Ask(
        model=model.id,
        system=system,
        conversation=turns.text,
        question=turns.question,
        step=turns.step,
        results=turns.results,
        input_tokens=estimate(system) + turns.tokens + (estimate(encode(tools).decode()) if tools else 0),
        max_tokens=config.get("maxOutputTokens"),
        stop=items(config.get("stopSequences")),
        schema=members(config.get("responseJsonSchema") or config.get("responseSchema")) or None,
        wants_json=config.get("responseMimeType") == "application/json",
        tools=callable_tools,
        must_call=must_call,
        reasoning_tokens=_thoughts(members(config.get("thinkingConfig"))),
        reasons=True,
        seed=None if config.get("seed") is None else str(config["seed"]),
    )


def text_of(content: Json) -> str:
    parts = [members(part) for part in items(content.get("parts"))]
    return "\n".join(str(part["text"]) for part in parts if "text" in part and not part.get("thought"))


def _thoughts(config: Json) -> int:
    level, budget = config.get("thinkingLevel"), config.get("thinkingBudget")
    tokens = _THOUGHTS.get(str(level or "MEDIUM").upper(), 32)
    return tokens if budget is None or budget < 0 else min(tokens, int(budget))


def _read_content(content: Json, transcript: Transcript) -> None:
    role = "assistant" if content.get("role") == "model" else "user"
    parts = [members(part) for part in items(content.get("parts"))]
    for part in parts:
        if "functionResponse" in part:
            answered = members(members(part["functionResponse"]).get("response"))
            transcript.answered(_told(answered), failed="error" in answered)
    text = text_of(content)
    if text or not any("functionResponse" in part for part in parts):
        transcript.said(role, text)
    for part in parts:
        if "functionCall" in part:
            call = members(part["functionCall"])
            transcript.called(str(call.get("name")), encode(call.get("args", {})).decode())
        elif "inlineData" in part or "fileData" in part:
            given = members(part.get("inlineData") or part.get("fileData"))
            transcript.shown(picture_tokens(part), str(given.get("data") or given.get("fileUri"))[-64:])


def _told(answered: Json) -> str:
    """Return what a function has answered; the members `output`, `result` and `error` speak for themselves."""
    for name in ("output", "result", "error"):
        if len(answered) == 1 and isinstance(answered.get(name), str):
            return answered[name]
    return encode(answered).decode()


def _tools(payload: Json, tools: Sequence[object]) -> tuple[Sequence[Tool], bool]:
    """Return the functions that may be called, and whether one of them must be."""
    config = members(members(payload.get("toolConfig")).get("functionCallingConfig"))
    if config.get("mode") == "NONE":
        return (), False
    declared = [members(each) for tool in tools for each in items(members(tool).get("functionDeclarations"))]
    allowed = items(config.get("allowedFunctionNames"))
    known = [
        Tool(str(each.get("name")), members(each.get("parametersJsonSchema") or each.get("parameters")))
        for each in declared
        if not allowed or each.get("name") in allowed
    ]
    return known, config.get("mode") == "ANY"
