"""A request for vectors and its answer, in canonical form. Vectors of different models do not compare."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from allweather.contracts.conversation import Finish
from allweather.contracts.slip import Usage

Encoding: TypeAlias = Literal["float", "base64"]
"""How the caller reads numbers: as JSON, or as the bytes of 32-bit floats."""


class EmbeddingRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Texts of which each becomes a vector, in this order."""

    model: str
    inputs: tuple[str | tuple[int, ...], ...]
    """Each a text, or the tokens of one."""
    dimensions: int | None = None
    """How long the vectors are; None = as the model makes them."""
    encoding: Encoding = "float"
    user: str = ""
    others: tuple[str, ...] = ()
    """Fields that have no equal elsewhere: only vendors that speak the dialect can be asked."""


class Vectors(msgspec.Struct, frozen=True):
    """The answer: a vector for each input, in the same order."""

    model: str
    """The model that answered, in the vendor's words."""
    values: Sequence[Sequence[float]]
    usage: Usage | None = None

    @property
    def finish(self) -> Finish:
        """Vectors are whole or there are none."""
        return Finish.STOP
