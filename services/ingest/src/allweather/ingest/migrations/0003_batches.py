"""Files, in parts that the payload store holds, and batches, which go through a file line by line."""

from alembic import op

revision = "0003"
down_revision = "0002"

STATEMENTS = (
    """
    CREATE TABLE ingest.files (
        id uuid PRIMARY KEY,
        tenant text NOT NULL,
        purpose text NOT NULL,
        name text NOT NULL,
        bytes bigint NOT NULL,
        lines integer NOT NULL,
        created_at_ms bigint NOT NULL
    )
    """,
    "CREATE INDEX files_by_tenant ON ingest.files (tenant, created_at_ms, id)",
    # Parts end with a line, so that each can be read by itself.
    """
    CREATE TABLE ingest.file_parts (
        file_id uuid NOT NULL REFERENCES ingest.files ON DELETE CASCADE,
        n integer NOT NULL,
        lines integer NOT NULL,
        digest text NOT NULL,
        PRIMARY KEY (file_id, n)
    )
    """,
    # A line's request is named by the batch and its number: nothing of a line has to be remembered here.
    """
    CREATE TABLE ingest.batches (
        id uuid PRIMARY KEY,
        tenant text NOT NULL,
        endpoint text NOT NULL,
        input_file uuid NOT NULL,
        metadata text NOT NULL,
        status text NOT NULL,
        created_at_ms bigint NOT NULL,
        expires_at_ms bigint NOT NULL,
        begun_at_ms bigint,
        cancelled_at_ms bigint,
        ended_at_ms bigint,
        total integer NOT NULL DEFAULT 0,
        submitted integer NOT NULL DEFAULT 0,
        completed integer NOT NULL DEFAULT 0,
        failed integer NOT NULL DEFAULT 0,
        faults text NOT NULL DEFAULT '[]',
        output_file uuid,
        error_file uuid,
        results text NOT NULL DEFAULT '{}',
        holder text,
        until timestamptz NOT NULL DEFAULT '-infinity'
    )
    """,
    "CREATE INDEX batches_by_tenant ON ingest.batches (tenant, created_at_ms, id)",
    "CREATE INDEX open_batches ON ingest.batches (until) WHERE ended_at_ms IS NULL",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
