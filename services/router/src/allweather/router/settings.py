"""What the router reads from its environment."""

from pydantic import Field

from allweather.runtime.settings import ServiceSettings, WithPayloads, WithPostgres, WithRedis, WithSecret


class Settings(WithPostgres, WithRedis, WithPayloads, WithSecret, ServiceSettings):
    """Everything that a router process is told."""

    released_share: float = Field(
        0.5, gt=0, le=1, description="Share of a deployment's capacity that parked requests may take."
    )
    release_every_s: float = Field(0.5, gt=0, description="How often parked requests are looked at, with jitter.")
    keep_steps_days: int = Field(
        14, ge=2, description="Days for which steps and outcomes are kept: at least twice the topics' retention."
    )
