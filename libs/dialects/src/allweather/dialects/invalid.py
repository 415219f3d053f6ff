"""What is wrong with a request, as the caller will read it."""

from typing import Final

MAX_QUOTED: Final = 80


class Invalid(Exception):
    """The request cannot be served as it is. `reason` says what is wrong and what to do, `param` where."""

    def __init__(self, code: str, reason: str, param: str | None = None) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.param = param


def quoted(text: str) -> str:
    """A caller's text as it may stand in a message: short, and without control characters."""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:MAX_QUOTED])
    return f"'{shown}{'...' if len(text) > MAX_QUOTED else ''}'"


def missing(param: str) -> Invalid:
    """A field that has to be there is not."""
    return Invalid("missing_required_parameter", f"Missing required parameter: '{param}'.", param)


def unsupported(param: str, value: str, known: tuple[str, ...]) -> Invalid:
    """A field has a value that is none of the known ones."""
    reason = f"Unsupported value: '{param}' is {quoted(value)}; supported: {', '.join(known)}."
    return Invalid("unsupported_value", reason, param)


def check_model(model: str) -> None:
    """Raise `Invalid` unless it is a name of reasonable length."""
    if not model or len(model) > MAX_MODEL:
        raise Invalid("invalid_value", f"'model' is a name of 1 to {MAX_MODEL} characters.", "model")


def check_range(param: str, value: float | None, most: float) -> None:
    """Raise `Invalid` for a number below 0 or above `most`."""
    if value is not None and not 0 <= value <= most:
        reason = f"Invalid '{param}': expected a value from 0 to {most}, but got {value} instead."
        raise Invalid("decimal_out_of_range", reason, param)


def check_positive(param: str, value: int | None) -> None:
    """Raise `Invalid` for a number below 1."""
    if value is not None and value < 1:
        reason = f"Invalid '{param}': expected a value >= 1, but got {value} instead."
        raise Invalid("integer_below_min_value", reason, param)


MAX_MODEL: Final = 256
