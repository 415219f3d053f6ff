"""An outage that does not matter: the story that `make demo` runs, on real parts, against the simulators."""

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from allweather.drills.acts import ACTS, KILLS, NORMAL, Act
from allweather.drills.checker import check
from allweather.drills.load import Load, both_doors
from allweather.drills.screen import Figures, Screen
from allweather.drills.stage import Stage
from allweather.drills.summary import Summary, summarise
from allweather.local.system import services

_SETTLE_WITHIN_S = 90.0


async def tell(
    on: Stage,
    screen: Screen,
    per_second: float,
    acts: Sequence[Act] = ACTS,
    victims: Sequence[str] | None = None,
) -> Summary:
    """Run the acts under load, kill the victims (every service), wait until all is settled, and check every promise."""
    load = Load(both_doors(on.kafka, on.http), "run", per_second)
    stop = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(_watch(on, load, screen))
            sending = group.create_task(load.until(stop))
            for act in acts:
                await _play(on, act, screen)
            await _kill_each(on, victims or [service.name for service in services(on.configuration)], screen)
            stop.set()
            await sending
            screen.act("The end: waiting until everything is settled")
            await on.settled(_SETTLE_WITHIN_S)
            await load.answered(_SETTLE_WITHIN_S)
            watching.cancel()
    finally:
        await load.close()
    evidence = await on.evidence()
    return summarise(evidence, check(evidence), on.journal.latencies_ms, await verify_audit(on))


async def _play(on: Stage, act: Act, screen: Screen) -> None:
    screen.act(act.title)
    await on.simulator.put_faults(*act.faults)
    await asyncio.sleep(act.seconds)  # an act is a stretch of time, nothing is awaited in it


async def _kill_each(on: Stage, victims: Sequence[str], screen: Screen) -> None:
    screen.act(KILLS)
    await on.simulator.put_faults(*NORMAL)
    for victim in victims:
        screen.note(f"SIGKILL {victim}")
        await on.kill(victim)


async def _watch(on: Stage, load: Load, screen: Screen) -> None:
    while True:
        screen.update(await _figures(on, load))
        await asyncio.sleep(0.5)


async def _figures(on: Stage, load: Load) -> Figures:
    """The state of the run, from the router's views."""
    settled = await on.postgres.fetch(
        "SELECT split_part(settled ->> 'deployment', '/', 1) AS vendor, count(*) FROM router.outcomes GROUP BY 1"
    )
    parked = await on.postgres.fetchval("SELECT coalesce(sum(requests), 0) FROM router.parking")
    counts = {row["vendor"] or "nobody": row["count"] for row in settled}
    return Figures(load.sent, sum(counts.values()), parked, counts)


async def verify_audit(on: Stage) -> str:
    """`verified`, or what the auditor's command says is wrong."""
    code, out = await command(on, "audit", "verify", "--json")
    return "verified" if code == 0 else f"failed: {json.loads(out or '{}').get('faults', out)}"


async def command(on: Stage, *arguments: str) -> tuple[int, str]:
    """Run an `allweather` command against the running system; its exit code and standard output."""
    ends = on.system.end_points
    environment = on.settings.as_environment() | {
        "ALLWEATHER_KAFKA_BOOTSTRAP": ends.kafka,
        "ALLWEATHER_POSTGRES_DSN": ends.postgres,
        "ALLWEATHER_REDIS_URL": ends.redis,
        "ALLWEATHER_SECRET_FILE": str(on.system.credentials.secret_file),
        "ALLWEATHER_AUDIT_KEY_FILE": str(on.system.credentials.secret_file.with_name("audit.key")),
    }
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("allweather"), *arguments, env=environment, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()
