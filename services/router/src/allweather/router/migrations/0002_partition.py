"""Parked requests know the partition that they belong to, so that each replica lets go only what comes back to it."""

from alembic import op

revision = "0002"
down_revision = "0001"

STATEMENTS = (
    # The last column, and empty in rows that the version before this one inserts: any replica may let those go.
    "ALTER TABLE router.parked ADD COLUMN partition integer",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
