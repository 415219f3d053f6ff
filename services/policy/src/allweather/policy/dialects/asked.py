"""What a body asks for, whatever the wire format."""

from dataclasses import dataclass

from allweather.contracts.slip import Needs


@dataclass(frozen=True, slots=True)
class Asked:
    """The part of a body on which policy and routing decide."""

    route: str
    stream: bool
    include_usage: bool
    needs: Needs

    @classmethod
    def nothing(cls) -> "Asked":
        """What an unreadable body asks for."""
        return cls(route="", stream=False, include_usage=False, needs=Needs())
