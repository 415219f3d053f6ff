"""What the sink, and the auditor's commands, are told by the environment."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from allweather.runtime.settings import Environment, ServiceSettings, WithPostgres


class WithAuditKey(Environment):
    """For whoever signs or verifies checkpoints."""

    audit_log: str = Field(
        "allweather.local/audit",
        pattern=r"^[^\s+]+$",
        description="Name of the log: its shards sign as <name>/<shard>. Never changed once there are checkpoints.",
    )
    audit_key_file: Path = Field(
        Path(".state/audit.key"),
        description="Private key of the log, made on first start; the public key lies beside it with suffix .pub.",
    )

    @property
    def audit_public_key_file(self) -> Path:
        return self.audit_key_file.with_suffix(".pub")


class Settings(WithPostgres, WithAuditKey, ServiceSettings):
    """What the sink is told."""


class VerifierSettings(WithAuditKey):
    """What a command is told that needs nothing but the public key.

    Where a local stack runs, the file that it leaves speaks for variables that are not set.
    """

    model_config = SettingsConfigDict(env_file=".state/environment", extra="ignore")


class AuditorSettings(WithPostgres, VerifierSettings):
    """What the auditor's commands are told: they read, and need no private key."""

    kafka_bootstrap: str = Field("127.0.0.1:9092", description="Kafka brokers, host:port, comma-separated.")
