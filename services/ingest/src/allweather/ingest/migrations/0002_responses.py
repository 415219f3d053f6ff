"""Responses that were asked to be stored: what was asked. What was answered is in the router's outcomes."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE ingest.responses (
            request_id uuid PRIMARY KEY,
            tenant text NOT NULL,
            previous uuid,
            background boolean NOT NULL,
            stream boolean NOT NULL,
            store boolean NOT NULL,
            created_at_ms bigint NOT NULL,
            body bytea NOT NULL
        )
        """
    )
    op.execute("CREATE INDEX responses_by_age ON ingest.responses USING brin (created_at_ms)")
