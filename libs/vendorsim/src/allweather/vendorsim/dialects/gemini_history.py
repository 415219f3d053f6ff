"""What the turns of a Gemini request have to look like: parts, function turns in their places, thought signatures."""

from collections.abc import Sequence

from allweather.vendorsim.catalogue import Model
from allweather.vendorsim.dialects.gemini_pictures import check_picture
from allweather.vendorsim.sealing import genuine
from allweather.vendorsim.wire import Json, Problem, encode, items, members

OWNER = "gemini"
"""Whose seals thought signatures are; a signature is good for the model that gave it."""
_PLACEHOLDERS = ("skip_thought_signature_validator", "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=")
"""What may stand in for the signature of a call that Gemini has not made, as text or as bytes in base64."""
_DATA = ("text", "inlineData", "fileData", "functionCall", "functionResponse", "executableCode", "codeExecutionResult")
_MORE = ("thought", "thoughtSignature", "videoMetadata", "mediaResolution", "partMetadata")
_LEARN = "Learn more: https://cloud.google.com/vertex-ai/generative-ai/docs/thought-signatures"


def check(payload: Json, model: Model) -> Problem | None:
    """Return the first thing wrong with the turns."""
    contents = [members(each) for each in items(payload.get("contents"))]
    if not contents:
        return _invalid("at least one contents field is required")
    functions = False
    for number, content in enumerate(contents):
        if content.get("role", "user") not in ("user", "model"):
            return _invalid("Please use a valid role: user, model.")
        parts = [members(part) for part in items(content.get("parts"))]
        if not parts:
            return _invalid(
                "Unable to submit request because it must include at least one parts field, which describes the prompt "
                "input. Learn more: https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/gemini"
            )
        for place, part in enumerate(parts):
            if len(part) == 1 and "text" in part:
                continue
            functions = functions or "functionCall" in part or "functionResponse" in part
            if (problem := _part(part, f"contents[{number}].parts[{place}]", model)) is not None:
                return problem
    return _order(contents) or _signed(contents) if functions else None


def _part(part: Json, where: str, model: Model) -> Problem | None:
    unknown = next((name for name in part if name not in _DATA and name not in _MORE), None)
    if unknown is not None:
        return _invalid(f"Invalid JSON payload received. Unknown name \"{unknown}\" at '{where}': Cannot find field.")
    if sum(name in part for name in _DATA) != 1:
        return _invalid(f"Invalid value at '{where}': required oneof field 'data' must have one initialized field.")
    if (problem := _function(part, where)) is not None:
        return problem
    if "inlineData" in part or "fileData" in part:
        return check_picture(part, where)
    signature = part.get("thoughtSignature")
    if signature is None or signature in _PLACEHOLDERS:
        return None
    # Bytes may come in either alphabet of base64; the official client sends the one for URLs.
    if genuine(str(signature).replace("-", "+").replace("_", "/"), OWNER, model.id):
        return None
    return _invalid("Corrupted thought signature.")


def _function(part: Json, where: str) -> Problem | None:
    for kind, member, shown in (
        ("functionCall", "args", "function_call.args"),
        ("functionResponse", "response", "function_response.response"),
    ):
        if kind not in part:
            continue
        value = members(part[kind]).get(member, {})
        if not isinstance(value, dict):
            text = f"Invalid value at '{where}.{shown}' (type.googleapis.com/google.protobuf.Struct), "
            return _invalid(text + encode(value).decode())
        if not members(part[kind]).get("name"):
            return _invalid(f"Invalid value at '{where}.{shown.partition('.')[0]}.name': [REQUIRED_FIELD_MISSING].")
    return None


def _parts_of(content: Json, kind: str) -> list[Json]:
    return [part for part in map(members, items(content.get("parts"))) if kind in part]


def _order(contents: Sequence[Json]) -> Problem | None:
    """Calls follow a user turn or results; results follow calls, as many as there were."""
    called = 0
    for number, content in enumerate(contents):
        calls, results = len(_parts_of(content, "functionCall")), len(_parts_of(content, "functionResponse"))
        if results and not called:
            return _invalid("Please ensure that function response turn comes immediately after a function call turn.")
        if called != results:
            return _invalid(
                "Please ensure that the number of function response parts is equal to the number of function call "
                "parts of the function call turn."
            )
        if calls and (number == 0 or contents[number - 1].get("role") == "model"):
            return _invalid(
                "Please ensure that function call turn comes immediately after a user turn or after a function "
                "response turn."
            )
        called = calls
    if not called:
        return None
    return _invalid("Please ensure that function response turn comes immediately after a function call turn.")


def _signed(contents: Sequence[Json]) -> Problem | None:
    """In the current turn, the first call of each step has to carry its signature."""
    said = [number for number, each in enumerate(contents) if _is_said(each)]
    for number in range(said[-1] + 1 if said else 0, len(contents)):
        calls = _parts_of(contents[number], "functionCall")
        if calls and not calls[0].get("thoughtSignature"):
            name = members(calls[0]["functionCall"]).get("name")
            return _invalid(
                f"Unable to submit request because function call `{name}` in the {number + 1}. content block is "
                f"missing a `thought_signature`. {_LEARN}"
            )
    return None


def _is_said(content: Json) -> bool:
    return content.get("role", "user") == "user" and not _parts_of(content, "functionResponse")


def _invalid(text: str) -> Problem:
    return Problem(400, text, "INVALID_ARGUMENT")
