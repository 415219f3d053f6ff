"""How to reach a cluster, and what we set otherwise than aiokafka's defaults (the README says why of each)."""

from dataclasses import dataclass, field, replace
from ssl import SSLContext
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the brokers are and who we are. Without TLS and SASL only for loopback and trusted networks."""

    bootstrap: str
    client_id: str
    tls: SSLContext | None = None
    sasl_mechanism: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def named(self, client_id: str) -> Self:
        """The same under another name."""
        return replace(self, client_id=client_id)

    def options(self) -> dict[str, Any]:
        """The arguments that every client of the cluster is given."""
        sasl = {
            "sasl_mechanism": self.sasl_mechanism,
            "sasl_plain_username": self.username,
            "sasl_plain_password": self.password,
        }
        return {
            "bootstrap_servers": self.bootstrap.split(","),
            "client_id": self.client_id,
            "security_protocol": ("SASL_" if self.sasl_mechanism else "") + ("SSL" if self.tls else "PLAINTEXT"),
            "ssl_context": self.tls,
            **(sasl if self.sasl_mechanism else {}),
        }


_KIB = 1024
_MIB = 1024 * _KIB
_ENOUGH = 512 * _KIB
"""What one partition may send at once: some batches of small records."""

PRODUCER: dict[str, Any] = {
    "acks": "all",
    "enable_idempotence": True,
    "linger_ms": 0,
    "max_batch_size": 512 * _KIB,
    # Sizes are checked against the topic's limit before; this one must only never be in the way.
    "max_request_size": 8 * _MIB,
    "request_timeout_ms": 10_000,
    "metadata_max_age_ms": 5_000,
}

READER: dict[str, Any] = {
    "enable_auto_commit": False,
    "auto_offset_reset": "earliest",
    "isolation_level": "read_committed",
    "fetch_max_wait_ms": 500,
    "fetch_max_bytes": 2 * _MIB,
    "max_partition_fetch_bytes": _ENOUGH,
    "metadata_max_age_ms": 5_000,
}

MEMBER: dict[str, Any] = {
    **READER,
    "session_timeout_ms": 15_000,
    "heartbeat_interval_ms": 3_000,
    "rebalance_timeout_ms": 60_000,
}


def gathering(seconds: float) -> dict[str, Any]:
    """What lets the brokers keep records back for so long, or until there is as much as one partition may send."""
    return {"fetch_min_bytes": _ENOUGH, "fetch_max_wait_ms": int(seconds * 1000)} if seconds else {}


COMPRESS_FROM = 8 * _KIB
"""Values from this size on are sent by a producer that compresses; below, compression costs more than it saves."""
PUBLISH_TIMEOUT = 30.0
JOIN_TIMEOUT = 60.0
COMMIT_TIMEOUT = 10.0
CALL_TIMEOUT = 10.0
CLOSE_TIMEOUT = 5.0
METADATA_AGE = 5.0
