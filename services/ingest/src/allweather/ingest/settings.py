"""What the ingest service reads from its environment."""

from pathlib import Path

from pydantic import Field

from allweather.runtime.settings import ServiceSettings, WithPayloads, WithPostgres, WithRedis, WithSecret


class Settings(WithPostgres, WithRedis, WithPayloads, WithSecret, ServiceSettings):
    """Everything that an ingest process is told."""

    http_host: str = Field("127.0.0.1", description="Address on which the HTTP door listens.")
    http_port: int = Field(8080, ge=0, le=65535, description="Port of the HTTP door; 0 = any free.")
    keys_file: Path = Field(description='File (mode 0600) with the API keys: {"keys": [{"key": ..., "tenant": ...}]}.')
    max_waiting: int = Field(10_000, gt=0, description="Callers that may wait at this door at the same time.")
    accept_timeout_s: float = Field(5.0, gt=0, description="Seconds until an unacknowledged request is a 503.")
    hold_s: float = Field(5.0, gt=0, description="Seconds that a stream waits for content before its headers go out.")
    keep_alive_s: float = Field(15.0, gt=0, description="Seconds of silence after which a stream sends a comment.")
