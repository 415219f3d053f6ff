"""What the GPT models say of parameters that are wrong, in Chat Completions as in Responses."""

from allweather.vendorsim.catalogue import Model
from allweather.vendorsim.dialects.strict import complaint
from allweather.vendorsim.wire import Json, Problem, members


def invalid(text: str, code: str | None, param: str | None) -> Problem:
    return Problem(400, text, "invalid_request_error", code, param)


def unsupported(name: str, hint: str = "") -> Problem:
    text = f"Unsupported parameter: '{name}' is not supported with this model.{hint}"
    return invalid(text, "unsupported_parameter", name)


def bad_effort(effort: object, name: str, model: Model) -> Problem | None:
    """Return what is wrong with a reasoning effort."""
    if not model.efforts:
        return unsupported(name)
    if effort in model.efforts:
        return None
    known = ", ".join(f"'{each}'" for each in model.efforts)
    text = f"Unsupported value: '{name}' does not support '{effort}' with this model. Supported values are: {known}."
    return invalid(text, "unsupported_value", name)


def bad_limit(name: str, limit: object, least: int = 1) -> Problem | None:
    """Return what is wrong with a limit of output tokens."""
    if isinstance(limit, bool) or not isinstance(limit, int):
        kinds: dict[type, str] = {str: "a string", float: "a decimal number", bool: "a boolean"}
        kind = kinds.get(limit.__class__, "an object")
        text = f"Invalid type for '{name}': expected an integer, but got {kind} instead."
        return invalid(text, "invalid_type", name)
    if limit >= least:
        return None
    return out_of_bounds(name, "integer", limit, least, limit)


def out_of_bounds(name: str, kind: str, value: float, least: float, most: float) -> Problem:
    end, code, bound = (
        ("below minimum", "below_min", f">= {least:g}")
        if value < least
        else ("above maximum", "above_max", f"<= {most:g}")
    )
    text = f"Invalid '{name}': {kind} {end} value. Expected a value {bound}, but got {value} instead."
    return invalid(text, f"{kind}_{code}_value", name)


def bad_function(function: Json, name_param: str, parameters_param: str) -> Problem | None:
    """Return what is wrong with the declaration of a function."""
    name = str(function.get("name"))
    if not name.replace("_", "a").replace("-", "a").isalnum() or not name.isascii() or len(name) > 64:
        text = (
            f"Invalid '{name_param}': string does not match pattern. Expected a string that matches the pattern "
            "'^[a-zA-Z0-9_-]+$'."
        )
        return invalid(text, "invalid_value", name_param)
    parameters = members(function.get("parameters"))
    found = complaint(parameters) if function.get("strict") else None
    if found is None and parameters and parameters.get("type") != "object":
        found = f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{parameters.get('type')}\"'."
    if found is None:
        return None
    return invalid(f"Invalid schema for function '{name}': {found}", "invalid_function_parameters", parameters_param)
