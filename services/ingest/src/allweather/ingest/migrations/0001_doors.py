"""Leases of the door topic's partitions."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE ingest.doors (
            partition integer PRIMARY KEY,
            holder text,
            until timestamptz NOT NULL DEFAULT '-infinity'
        )
        """
    )
