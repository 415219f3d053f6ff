"""What the sink, and the auditor's commands, are told by the environment."""

from pathlib import Path

from pydantic import Field

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


class AuditorSettings(WithPostgres, WithAuditKey):
    """What the auditor's commands are told: they read, and need no private key."""

    kafka_bootstrap: str = Field("127.0.0.1:9092", description="Kafka brokers, host:port, comma-separated.")
