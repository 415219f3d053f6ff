"""What the sender of a request record wrote into its headers."""

from collections.abc import Mapping

from allweather.messaging import Record


class Given:
    """The headers of a record by name; of several with the same name the last one, as Kafka's own clients do."""

    __slots__ = ("_values",)

    def __init__(self, record: Record) -> None:
        self._values = dict(record.headers)

    @property
    def all(self) -> Mapping[str, bytes | None]:
        """Every header by name."""
        return self._values

    def raw(self, name: str) -> bytes | None:
        """The bytes of a header; None when it is absent or null."""
        return self._values.get(name)

    def text(self, name: str) -> str | None:
        """The header as text; None when it is absent, null, or not UTF-8: opaque bytes are not an error."""
        value = self._values.get(name)
        try:
            return None if value is None else value.decode()
        except UnicodeDecodeError:
            return None
