"""What the policy service reads from its environment."""

from allweather.runtime.settings import ServiceSettings, WithPayloads, WithSecret


class Settings(WithPayloads, WithSecret, ServiceSettings):
    """Everything that a policy process is told."""
