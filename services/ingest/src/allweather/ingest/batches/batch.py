"""A batch, and what it can be. Pure."""

from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID, uuid5

from allweather.contracts.slip import Dialect

Status = Literal["validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"]

MESSAGES: Final = "/v1/messages"
ENDPOINTS: Final = {
    "/v1/chat/completions": Dialect.OPENAI_CHAT,
    "/v1/responses": Dialect.OPENAI_RESPONSES,
    "/v1/embeddings": Dialect.OPENAI_EMBEDDINGS,
    MESSAGES: Dialect.ANTHROPIC_MESSAGES,
}
"""Which dialect the lines of a batch speak."""

MOST_LINES: Final = 50_000
MOST_OPEN: Final = 1_000
"""Lines of one tenant that are under way at the same time, so that its batches never fill its parking space."""
LASTS_MS: Final = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch as it stands. Times are milliseconds since the epoch."""

    id: UUID
    tenant: str
    endpoint: str
    input_file: UUID
    metadata: str
    """As the caller gave it, in JSON."""
    status: Status
    created_at_ms: int
    expires_at_ms: int
    begun_at_ms: int | None = None
    cancelled_at_ms: int | None = None
    ended_at_ms: int | None = None
    total: int = 0
    submitted: int = 0
    """Every line before this one has been published at least once."""
    completed: int = 0
    failed: int = 0
    faults: str = "[]"
    """Why the file is no batch, in JSON."""
    output_file: UUID | None = None
    error_file: UUID | None = None
    results: str = "{}"
    """How many lines ended in which way, in JSON; known at the end."""

    @property
    def dialect(self) -> Dialect:
        return ENDPOINTS[self.endpoint]

    def key(self, number: int) -> str:
        """Under which a line is submitted: the same each time, so that publishing it again changes nothing."""
        return f"batch_{self.id.hex}/{number}"

    def file(self, which: Literal["output", "error"]) -> UUID:
        """The id of a file that the batch writes: the same each time it is written."""
        return uuid5(self.id, which)


def share(batches: int) -> int:
    """How many lines of one batch may be under way when its tenant has so many batches."""
    return max(1, MOST_OPEN // max(1, batches))
