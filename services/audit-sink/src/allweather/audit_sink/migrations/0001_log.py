"""The log: entries, kept tree nodes, trees, source offsets, checkpoints, and the guards that let them only grow."""

from alembic import op

revision = "0001"
down_revision = None

_TABLES = (
    """
CREATE TABLE audit.trees (
    shard integer PRIMARY KEY,
    size bigint NOT NULL CHECK (size >= 0),
    frontier bytea NOT NULL,
    published bigint NOT NULL DEFAULT 0 CHECK (published BETWEEN 0 AND size)
)
""",
    "COMMENT ON COLUMN audit.trees.frontier IS 'roots of the perfect subtrees, largest first, 32 bytes each'",
    "COMMENT ON COLUMN audit.trees.published IS 'entries below this index are on the topic ai.audit.entries.v1'",
    """
CREATE TABLE audit.entries (
    shard integer NOT NULL,
    index bigint NOT NULL,
    request_id uuid,
    topic text NOT NULL,
    source_offset bigint NOT NULL,
    leaf_hash bytea NOT NULL,
    entry text NOT NULL,
    PRIMARY KEY (shard, index)
)
""",
    "COMMENT ON COLUMN audit.entries.entry IS 'canonical JSON; leaf_hash is SHA-256(0x00 || entry)'",
    "CREATE INDEX entries_by_request ON audit.entries (request_id) WHERE request_id IS NOT NULL",
    """
CREATE TABLE audit.nodes (
    shard integer NOT NULL,
    level smallint NOT NULL,
    number bigint NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (shard, level, number)
)
""",
    "COMMENT ON TABLE audit.nodes IS 'roots of every 256, 65536, ... entries, from which proofs are made'",
    """
CREATE TABLE audit.offsets (
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (topic, partition)
)
""",
    """
CREATE TABLE audit.checkpoints (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shard integer NOT NULL,
    size bigint NOT NULL,
    signed_at timestamptz NOT NULL,
    note text NOT NULL
)
""",
    "CREATE INDEX checkpoints_by_shard ON audit.checkpoints (shard, size)",
)

_GUARDS = (
    """
CREATE FUNCTION audit.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit.% only grows: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
END $$
""",
    """
CREATE FUNCTION audit.refuse_to_shrink() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.shard <> OLD.shard OR NEW.size < OLD.size OR NEW.published < OLD.published THEN
        RAISE EXCEPTION 'audit.trees only grows' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$
""",
    """
CREATE FUNCTION audit.refuse_to_go_back() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.topic, NEW.partition) <> (OLD.topic, OLD.partition) OR NEW.next_offset < OLD.next_offset THEN
        RAISE EXCEPTION 'audit.offsets only grows' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$
""",
    "CREATE TRIGGER only_grows BEFORE UPDATE ON audit.trees FOR EACH ROW EXECUTE FUNCTION audit.refuse_to_shrink()",
    "CREATE TRIGGER only_grows BEFORE UPDATE ON audit.offsets FOR EACH ROW EXECUTE FUNCTION audit.refuse_to_go_back()",
)

_VIEW = (
    "CREATE VIEW audit.trail AS SELECT request_id, shard, index, topic, source_offset, entry FROM audit.entries",
    "COMMENT ON VIEW audit.trail IS 'what other services may read: every entry, by request or by place'",
)


def upgrade() -> None:
    for statement in (*_TABLES, *_GUARDS, *_VIEW):
        op.execute(statement)
    for table in ("entries", "nodes", "checkpoints"):
        op.execute(_refuse("only_grows", "UPDATE OR DELETE", table))
    for table in ("trees", "offsets"):
        op.execute(_refuse("never_forgets", "DELETE", table))
    for table in ("entries", "nodes", "checkpoints", "trees", "offsets"):
        op.execute(_refuse("never_emptied", "TRUNCATE", table))


def _refuse(name: str, event: str, table: str) -> str:
    return f"CREATE TRIGGER {name} BEFORE {event} ON audit.{table} FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse()"
