"""What becomes of each of the caller's parameters: one table per vendor, and nothing is dropped without a word.

A parameter is translated, or is a hint (its name says so: the answer is right without it), or is accepted only with
values that ask for nothing. Whatever is in no row is refused.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from allweather.contracts.failures import FailureKind
from allweather.dialects.lenient import Json, child
from allweather.provider_worker.wire import failed


@dataclass(frozen=True, slots=True)
class Rule:
    """Whether a value can be served, and what to tell the caller when it cannot."""

    accepts: Callable[[Any], bool]
    otherwise: str = "is not supported"


TRANSLATED = Rule(lambda _: True)
"""The translator puts it into the vendor's words."""
HINT = Rule(lambda _: True)
"""Best effort by OpenAI's own definition, or about OpenAI's own books: left out, and the answer is still right."""


def only(*values: Any) -> Rule:
    """Accepted with these values alone, which ask for what happens anyway."""
    return Rule(lambda value: value in values, f"is supported only as {' or '.join(map(repr, values))}")


def between(least: float, most: float) -> Rule:
    """Translated, but the vendor's range is narrower than OpenAI's."""
    return Rule(lambda value: _is_number(value) and least <= value <= most, f"must be {least} to {most}")


def format_of(*types: str) -> Rule:
    """Translated, for these types of `response_format`."""
    said = f"is supported only with the type {' or '.join(map(repr, types))}"
    return Rule(lambda value: child({"": value}, "").get("type") in types, said)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


NEUTRAL: Mapping[str, Rule] = {
    "model": TRANSLATED,
    "messages": TRANSLATED,
    "stream": TRANSLATED,
    "stream_options": TRANSLATED,
    "max_tokens": TRANSLATED,
    "max_completion_tokens": TRANSLATED,
    "top_p": TRANSLATED,
    "stop": TRANSLATED,
    "seed": HINT,
    "user": HINT,
    "safety_identifier": HINT,
    "metadata": HINT,
    "prompt_cache_key": HINT,
    "prompt_cache_retention": HINT,
    "service_tier": only("auto", "default"),
    "store": only(False),
    "n": only(1),
    "logprobs": only(False),
    "top_logprobs": only(0),
    "logit_bias": only({}),
    "presence_penalty": only(0),
    "frequency_penalty": only(0),
    "modalities": only(["text"]),
    "response_format": format_of("text"),
    "tools": only([]),
    "tool_choice": only("none", "auto"),
    "parallel_tool_calls": HINT,
    "reasoning_effort": only("none"),
    "verbosity": only("medium"),
}
"""The rows of a vendor that can do text and nothing else; a vendor's table overrides what it can do better."""


def check(body: Json, table: Mapping[str, Rule], vendor: str) -> None:
    """Raise `Failed` (invalid) for the first parameter that the vendor cannot express. Null means not given."""
    for name, value in body.items():
        if value is None:
            continue
        rule = table.get(name)
        if rule is None or not rule.accepts(value):
            otherwise = "is not supported" if rule is None else rule.otherwise
            raise failed(FailureKind.INVALID, f"`{name}` {otherwise} by {vendor}.", code="unsupported_parameter")
