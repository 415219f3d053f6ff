"""What may be wrong with a Responses body of the right shape."""

from collections.abc import Mapping
from typing import Final

from allweather.dialects.invalid import Invalid, check_model, check_positive, check_range, missing, unsupported
from allweather.dialects.openai_responses.shape import Body, Choice, Item, Part

ROLES: Final = ("developer", "system", "user", "assistant")
PARTS: Final = ("input_text", "output_text", "input_image", "input_file", "refusal")
IMAGE_SCHEMES: Final = ("https://", "http://", "data:image/")
TOOL_CHOICES: Final = ("none", "auto", "required")
KEEPING: Final = (
    "Only what is asked at POST /v1/responses is kept as a response, which the door does itself. The outcome of every "
    "other request is found under its id, at GET /v1/requests/{id}: leave 'store' out."
)
FORMATS: Final = ("text", "json_object", "json_schema")

REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "message": ("role", "content"),
    "function_call": ("call_id", "name", "arguments"),
    "function_call_output": ("call_id", "output"),
}
"""What an item of a type needs; items of other types are the vendor's own."""


def check(body: Body) -> None:
    """Raise `Invalid` for the first thing that has the right type and the wrong value."""
    check_model(body.model)
    if not body.input:
        raise missing("input")
    if isinstance(body.input, list):
        for index, item in enumerate(body.input):
            _check_item(item, f"input[{index}]")
    check_positive("max_output_tokens", body.max_output_tokens)
    check_range("temperature", body.temperature, 2)
    check_range("top_p", body.top_p, 1)
    check_range("top_logprobs", body.top_logprobs, 20)
    _check_tools(body)
    _check_format(body)
    if body.store:
        raise Invalid("unsupported_value", KEEPING, "store")


def _check_item(item: Item, at: str) -> None:
    for name in REQUIRED.get(item.type, ()):
        if getattr(item, name) is None:
            raise missing(f"{at}.{name}")
    if item.type != "message":
        return
    if item.role not in ROLES:
        raise unsupported(f"{at}.role", item.role or "", ROLES)
    for place, part in enumerate(item.content if isinstance(item.content, list) else ()):
        check_part(part, f"{at}.content[{place}]")


def check_part(part: Part, at: str) -> None:
    """Raise `Invalid` for a part that is of no known type or lacks what it is about."""
    if part.type not in PARTS:
        raise unsupported(f"{at}.type", part.type, PARTS)
    if part.type.endswith("_text") and part.text is None:
        raise missing(f"{at}.text")
    if part.image_url is not None and not part.image_url.startswith(IMAGE_SCHEMES):
        param = f"{at}.image_url"
        raise Invalid("invalid_image_url", f"'{param}' starts with one of {', '.join(IMAGE_SCHEMES)}.", param)


def _check_tools(body: Body) -> None:
    for index, tool in enumerate(body.tools or ()):
        if tool.type == "function" and not tool.name:
            raise missing(f"tools[{index}].name")
    chosen = body.tool_choice
    if isinstance(chosen, str) and chosen not in TOOL_CHOICES:
        raise unsupported("tool_choice", chosen, TOOL_CHOICES)
    if isinstance(chosen, Choice) and chosen.type == "function" and not chosen.name:
        raise missing("tool_choice.name")


def _check_format(body: Body) -> None:
    asked = body.text and body.text.format
    if asked and asked.type not in FORMATS:
        raise unsupported("text.format.type", asked.type, FORMATS)
    if asked and asked.type == "json_schema" and asked.schema is None:
        raise missing("text.format.schema")
