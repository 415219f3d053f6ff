"""One schedule: an installation, the applications that use it, and the weather."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Final

from simulator import coverage, promises
from simulator.callers import Visit
from simulator.chance import Chance
from simulator.clients import Act, Submission, acts
from simulator.climate import CLIMATES, STEADY, Climate
from simulator.commits import Commits
from simulator.evidence import Evidence
from simulator.front import Front
from simulator.hosts import HostClock, Slot, Supervisor
from simulator.kafka import Kafka
from simulator.loop import MOST_TURNS, SimLoop
from simulator.net import KERNEL, Net
from simulator.postgres import Postgres
from simulator.redis import RedisServer
from simulator.services import Servers, Services
from simulator.settings import FEW, MANY, TENANT, topic_counts
from simulator.tables import Tables
from simulator.topics import Topics
from simulator.vendors import Vendors
from simulator.weather import Weather
from simulator.witness import Violation, Witness

from allweather.contracts import topics
from allweather.contracts.config import Configuration
from allweather.messaging import Record
from allweather.router.adapters.fleet import worker_group
from allweather.router.steps import OUTCOME_POSITION
from allweather.runtime.payloads import MemoryPayloads

PATIENCE_S = 500.0
"""How long after the storm everything must be over: the longest deadline (300 s), and then some."""
LOOK_EVERY_S = 1.0
DOORS = ("ingest-0", "ingest-1")
"""Each has a partition of its own."""


@dataclass(frozen=True)
class Installation:
    """What is simulated: the services as they are put together, and what may happen to them."""

    services: Callable[[Servers], Services] = Services
    climate: Climate | None = None
    """One kind of schedules; None for all kinds."""
    patched: Callable[[], AbstractContextManager[None]] = nullcontext
    """What must hold while its schedules run."""


WHOLE: Final = Installation()


@dataclass(frozen=True)
class Report:
    """How one schedule went."""

    seed: int
    violations: Sequence[Violation]
    seen: Counter[str]
    trace: Sequence[str]
    turns: int
    lasted_s: float


class World:
    """Everything of one schedule."""

    def __init__(self, seed: int, installation: Installation = WHOLE, *, tracing: bool = False) -> None:
        self.seed = seed
        self.chance = chance = Chance(seed)
        self.climate = installation.climate or chance.weighted(CLIMATES)
        chance.slow_share = chance.one_of(self.climate.slow_shares)
        random.seed(seed)  # production's own jitter
        self.loop = SimLoop()
        self.net = Net(self.loop, chance, [] if tracing else None)
        self.configuration: Configuration = MANY if chance.happens(self.climate.many_deployments) else FEW
        self.truth = HostClock(self.loop)
        self.topics = Topics(topic_counts(self.configuration), self.truth.now_ms)
        self.witness, self.tables = Witness(self.net.say), Tables()
        commits = Commits(self.topics, self.tables, self.witness)
        self.kafka = Kafka(self.topics, self.net, commits.committing)
        self.postgres, self.redis = Postgres(self.net), RedisServer(self.net)
        self.vendors = Vendors(self.net, self.configuration)
        self.front = Front(self.net)
        self.supervisor = Supervisor(self.net, self.kafka, self.postgres, self.front)
        self.net.crash, self.net.stall = self.supervisor.crash, self.supervisor.stall
        self.weather = Weather(self.net, self.kafka, self.postgres.server, self.redis, self.vendors, self.supervisor)
        servers = Servers(
            self.net,
            self.configuration,
            self.kafka,
            self.postgres,
            self.tables,
            self.redis,
            self.vendors,
            MemoryPayloads(),
            self.witness,
            self.front,
        )
        self.storm = chance.between(*chance.weighted(self.climate.storms_s))
        self.acts = acts(chance, self.storm * 0.8, self.climate)
        self.doors = DOORS[: chance.weighted(((1, 0.5), (2, 0.5)))] if any(act.visit for act in self.acts) else ()
        self.supervisor.slots = self._slots(installation.services(servers))
        self.submissions: list[Submission] = []
        self.visits: list[Visit] = []
        self.acts_left, self.calm_ms = len(self.acts), 0
        if tracing:
            self.topics.watchers.append(self._tell)

    def run(self) -> Report:
        """The whole schedule: a time with faults, then calm until nothing is left to do."""
        for act in self.acts:
            self.net.later(act.at, self._act, act)
        for slot in self.supervisor.slots:
            self.net.later(self.chance.between(0, 0.5), self.supervisor.start, slot)
        self.weather.plan(self.climate, self.storm)
        self.net.later(self.storm, self._calm_down)
        self.net.later(LOOK_EVERY_S, self._look)
        try:
            self.loop.run(self.storm + PATIENCE_S)
            self.loop.forget_ended()
            return self._report()
        finally:
            self.net.over = True
            self.loop.bury()

    def _slots(self, services: Services) -> list[Slot]:
        mains = [
            ("policy", self.chance.weighted(((1, 0.7), (2, 0.3))), services.policy),
            ("router", self.chance.weighted(((1, 0.2), (2, 0.7), (3, 0.1))), services.router),
        ]
        for vendor in self.configuration.vendors:
            count = self.chance.weighted(((1, 0.7), (2, 0.3)))
            mains.append((worker_group(vendor.id), count, partial(services.worker, vendor=vendor.id)))
        slots = [
            Slot(f"{name}-{number}", main, HostClock(self.loop))
            for name, count, main in mains
            for number in range(count)
        ]
        return slots + [
            Slot(name, partial(services.door, partition=number), HostClock(self.loop))
            for number, name in enumerate(self.doors)
        ]

    def _act(self, act: Act) -> None:
        self.acts_left -= 1
        if act.visit is not None:
            self.visits.append(act.visit)
            self.loop.create_task(act.visit.take_place(self.net, self.front, self.doors), context=KERNEL.copy())
            return
        if act.submission is not None:
            self.submissions.append(act.submission)
        self.topics.append(act.message(self.truth.now_ms()), "application")

    def _calm_down(self) -> None:
        if not self.supervisor.calm:
            self.net.say("CALM")
            self.calm_ms = self.truth.now_ms()
            self.weather.clear()
            self.supervisor.calm_down()

    def _look(self) -> None:
        """A storm need not go on when nothing is left that it could disturb."""
        if not self._quiet():
            self.net.later(LOOK_EVERY_S, self._look)
        elif self.supervisor.calm:
            self.loop.stop()
        else:
            self._calm_down()
            self.net.later(LOOK_EVERY_S, self._look)

    def _quiet(self) -> bool:
        """Nothing is left to do: all accepted requests are settled, all groups have committed everything they read."""
        return (
            not self.acts_left
            and not self.tables.parked
            and not self.net.under_way
            and all(visit.over for visit in self.visits)
            and all((request, OUTCOME_POSITION) in self.tables.steps for request in self.topics.requested)
            and all(self.kafka.drained(group, read) for group, read in self._groups())
        )

    def _groups(self) -> list[tuple[str, list[str]]]:
        workers = [(worker_group(v.id), [topics.dispatch(v.id)]) for v in self.configuration.vendors]
        return [("policy", [topics.requests(TENANT)]), ("router", [topics.CLEARED, topics.RESULTS]), *workers]

    def _report(self) -> Report:
        evidence = Evidence(
            topics=self.topics,
            tables=self.tables,
            calls=tuple(self.vendors.calls),
            bugs=self.vendors.bugs,
            submissions=self.submissions,
            visits=self.visits,
            configuration=self.configuration,
            disturbed=self.supervisor.disturbed,
            waits=self.witness.waits,
            steady=self.climate is STEADY,
            redis_troubled=self.redis.server.troubled,
            calm_ms=self.calm_ms,
        )
        violations = [*self.witness.violations, *promises.broken(evidence), *self._stuck(), *self._bugs()]
        coverage.count(self.topics, self.tables, self.net.seen)
        coverage.count_told(evidence.asked, self.net.seen)
        return Report(self.seed, violations, self.net.seen, self.net.trace or (), self.loop.turns, self.loop.time())

    def _stuck(self) -> list[Violation]:
        lagging = [group for group, read in self._groups() if not self.kafka.drained(group, read)]
        return [Violation("P6", f"{group} does not get to the end of its topics") for group in lagging]

    def _bugs(self) -> list[Violation]:
        circles = [f"it runs in circles at {self.loop.time():.3f} s"] if self.loop.turns >= MOST_TURNS else []
        return [Violation("bug", text) for text in (*self.supervisor.bugs, *self.loop.complaints, *circles)]

    def _tell(self, record: Record, sender: str) -> None:
        what = f"{record.topic}/{record.partition}/{record.offset}"
        self.net.say(f"{sender} wrote", what, coverage.kind(record), (record.key or b"").decode()[:8])
