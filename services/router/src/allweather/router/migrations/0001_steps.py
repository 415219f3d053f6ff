"""Steps, parked requests, waiters, and the views that other services read."""

from alembic import op

revision = "0001"
down_revision = None

STATEMENTS = (
    # One row decides each step: whoever inserts it first. Rows are never updated. `decision` is the exact JSON of the
    # record that carries the step out, `reply` the exact bytes of the answer.
    """
    CREATE TABLE router.steps (
        request_id uuid NOT NULL,
        position integer NOT NULL,
        step text NOT NULL,
        tenant text NOT NULL,
        cause_topic text NOT NULL,
        cause_partition integer NOT NULL,
        cause_offset bigint NOT NULL,
        cause_id text NOT NULL,
        at_ms bigint NOT NULL,
        decision bytea NOT NULL,
        reply bytea,
        PRIMARY KEY (request_id, position)
    )
    """,
    # Rows of a few kilobytes stay in one piece: compressing them costs more than it saves.
    "ALTER TABLE router.steps SET (toast_tuple_target = 8160, autovacuum_vacuum_insert_scale_factor = 0.5)",
    # Old rows are found by their age, which follows the order on disk.
    "CREATE INDEX steps_by_age ON router.steps USING brin (at_ms)",
    # The queue behind ai.internal.parked.v1. A lane is a set of requests that the same candidates can serve.
    """
    CREATE TABLE router.parked (
        request_id uuid NOT NULL,
        n integer NOT NULL,
        tenant text NOT NULL,
        route text NOT NULL,
        class text NOT NULL,
        region text,
        lane text NOT NULL,
        accepted_at_ms bigint NOT NULL,
        not_before_ms bigint NOT NULL,
        deadline_ms bigint NOT NULL,
        bytes integer NOT NULL,
        slip bytea NOT NULL,
        body bytea,
        body_ref text,
        PRIMARY KEY (request_id, n)
    )
    """,
    "CREATE INDEX parked_by_lane ON router.parked (class, lane, tenant, accepted_at_ms)",
    "CREATE INDEX parked_by_deadline ON router.parked (deadline_ms)",
    "CREATE INDEX parked_by_tenant ON router.parked (tenant, class) INCLUDE (bytes)",
    # Other submissions of a request that is under way: each is answered at its own address.
    """
    CREATE TABLE router.waiters (
        request_id uuid NOT NULL,
        cause_topic text NOT NULL,
        cause_partition integer NOT NULL,
        cause_offset bigint NOT NULL,
        at_ms bigint NOT NULL,
        address bytea NOT NULL,
        PRIMARY KEY (request_id, cause_topic, cause_partition, cause_offset)
    )
    """,
    """
    CREATE VIEW router.outcomes AS
    SELECT request_id, tenant, settled ->> 'outcome' AS outcome, (settled ->> 'status')::integer AS status,
           settled, reply, at_ms AS settled_at_ms
    FROM (SELECT *, convert_from(decision, 'UTF8')::jsonb AS settled FROM router.steps WHERE position = 32767) AS o
    """,
    """
    CREATE VIEW router.progress AS
    SELECT DISTINCT ON (request_id) request_id, tenant,
           CASE split_part(step, '-', 1)
               WHEN 'verdict' THEN 'cleared' WHEN 'attempt' THEN 'dispatched'
               WHEN 'parked' THEN 'parked' ELSE 'settled' END AS state,
           step, position, at_ms AS updated_at_ms
    FROM router.steps ORDER BY request_id, position DESC
    """,
    """
    CREATE VIEW router.parking AS
    SELECT tenant, count(*) AS requests, coalesce(sum(bytes), 0)::bigint AS bytes FROM router.parked GROUP BY tenant
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
