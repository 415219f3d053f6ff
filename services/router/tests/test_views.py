"""What other services may read of the router's schema."""

import msgspec

from allweather.contracts.failures import FailureKind
from allweather.router.adapters.parked import ParkedQueue
from allweather.router.adapters.steps import StepTable
from allweather.router.testing.records import RESPONSE, T0, a_slip, attempted, cleared, configuration
from allweather.router.testing.world import World
from allweather.runtime.postgres import Postgres


async def test_progress_and_outcomes_show_one_row_for_a_request(postgres: Postgres):
    world = World(StepTable(postgres), ParkedQueue(postgres), configuration())
    slip = a_slip()
    (dispatched,) = await world.handle(cleared(slip))
    before = await postgres.pool.fetchrow("SELECT * FROM router.progress WHERE request_id = $1", slip.request_id)
    await world.handle(attempted(dispatched))

    after = await postgres.pool.fetchrow("SELECT * FROM router.progress WHERE request_id = $1", slip.request_id)
    outcome = await postgres.pool.fetchrow("SELECT * FROM router.outcomes WHERE request_id = $1", slip.request_id)

    assert before is not None
    assert after is not None
    assert outcome is not None
    assert (before["state"], before["step"], before["position"]) == ("dispatched", "attempt-1", 1)
    assert (after["state"], after["tenant"], after["updated_at_ms"]) == ("settled", "demo", T0)
    assert (outcome["outcome"], outcome["status"], outcome["reply"]) == ("answered", 200, RESPONSE)
    assert (outcome["tenant"], outcome["settled_at_ms"]) == ("demo", T0)
    assert msgspec.json.decode(outcome["settled"])["deployment"] == "alpha/one"


async def test_parking_counts_requests_and_bytes_by_tenant(postgres: Postgres):
    world = World(StepTable(postgres), ParkedQueue(postgres), configuration())
    for n in range(3):
        (sent,) = await world.handle(cleared(a_slip(f"ticket-{n}")))
        for _ in world.config.deployments:
            (sent,) = await world.handle(attempted(sent, FailureKind.UNAVAILABLE))

    rows = await postgres.pool.fetch("SELECT * FROM router.parking")
    counted = await ParkedQueue(postgres).counts()

    assert [(r["tenant"], r["requests"]) for r in rows] == [("demo", 3)]
    assert [(c.tenant, c.priority, c.requests) for c in counted] == [("demo", "bulk", 3)]
    assert counted[0].bytes == rows[0]["bytes"] > 0


async def test_old_requests_are_forgotten_as_a_whole(postgres: Postgres):
    table = StepTable(postgres)
    world = World(table, ParkedQueue(postgres), configuration())
    (dispatched,) = await world.handle(cleared(a_slip("old")))
    await world.handle(attempted(dispatched), cleared(a_slip("under-way")))

    kept = await table.forget(before_ms=T0)
    gone = await table.forget(before_ms=T0 + 1)

    left = await postgres.pool.fetch("SELECT DISTINCT request_id FROM router.steps")
    assert (kept, gone) == (0, 4)
    assert [row["request_id"] for row in left] == [a_slip("under-way").request_id]
