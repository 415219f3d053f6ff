"""The body of OpenAI Embeddings as it is written, and what becomes of each field."""

from collections.abc import Mapping
from typing import Final

import msgspec

from allweather.contracts.slip import Capability, Parameter
from allweather.dialects.fields import READ, Fate

FIELDS: Final[Mapping[str, Fate]] = dict.fromkeys(("model", "input", "dimensions", "encoding_format", "user"), READ)

NAMES: Final[Mapping[Capability | Parameter, str]] = {
    Parameter.MANY_INPUTS: "input",
    Parameter.PRETOKENIZED: "input",
}
"""In which field the caller asks for what, where that is not its own name."""


class Body(msgspec.Struct):
    """Other fields are OpenAI's own, or unknown to us."""

    model: str
    input: str | list[str | int | list[int]]
    dimensions: int | None = None
    encoding_format: str | None = None
    user: str | None = None
