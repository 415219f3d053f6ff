"""A health vector that is given."""

from allweather.contracts.config import Deployment
from allweather.router.health import Condition


class FixedHealth:
    """A health vector that is given: everything is well but what `conditions` name."""

    def __init__(self, conditions: dict[str, Condition] | None = None, *, repeats: bool = True) -> None:
        self.conditions = conditions or {}
        self.repeats = repeats

    def condition(self, deployment: Deployment, now_ms: int) -> Condition:  # noqa: ARG002 - it stands still
        return self.conditions.get(deployment.id, Condition())

    def may_repeat(self, group: str, now_ms: int) -> bool:  # noqa: ARG002 - it stands still
        return self.repeats
