"""What goes wrong beside single calls: servers away, memberships lost, clocks set, vendors and whole fleets down."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from simulator.climate import Climate
from simulator.hosts import Slot, Supervisor
from simulator.kafka import Kafka
from simulator.net import Net, Server
from simulator.redis import RedisServer
from simulator.vendors import DOWN, WELL, Mood, Moods, Vendors

OUTAGES_S = (0.5, 4.0, 20.0, 45.0)
CLOCK_JUMPS_MS = (-20_000, -2_000, 2_000, 20_000)


@dataclass(frozen=True)
class Weather:
    """The troubles of one schedule, planned at its beginning."""

    net: Net
    kafka: Kafka
    postgres: Server
    redis: RedisServer
    vendors: Vendors
    supervisor: Supervisor

    def plan(self, climate: Climate, until: float) -> None:
        """Let it come; at `until` it must be cleared."""
        chance = self.net.chance
        self.net.fault_share = chance.one_of(climate.fault_shares)
        self.net.faults_left, self.net.aim = chance.number(climate.faults), climate.aim
        recovery = until * chance.between(*climate.outage)
        for vendor in self.vendors.moods:
            self._mood(vendor, DOWN if recovery else WELL)
            self._changing_moods(vendor, recovery, until, climate.moods)
        for _ in range(chance.weighted(climate.black_holes)):
            self.net.later(chance.between(recovery, until) / 2, self._black_hole)
        troubles = self._troubles()
        for name, likely in climate.troubles.items():
            if chance.happens(likely):
                self.net.later(chance.between(0, until), troubles[name])

    def _troubles(self) -> Mapping[str, Callable[[], None]]:
        return {
            "kafka away": self._kafka_away,
            "postgres away": lambda: self._away(self.postgres),
            "redis away": lambda: self._away(self.redis.server),
            "redis loses everything": self._redis_loses,
            "membership lost": self._membership_lost,
            "clock set": self._clock_set,
            "asked to stop": self._asked_to_stop,
            "killed": self._killed,
            "stalled": self._stalled,
            "fleet gone": self._fleet_gone,
            "cut off": self._cut_off,
        }

    def clear(self) -> None:
        """The vendors are well, the servers are there."""
        self.net.faults_left = 0
        self.vendors.black_holes.clear()
        for vendor in self.vendors.moods:
            self.vendors.moods[vendor] = WELL
        self.postgres.away = self.redis.server.away = False
        for server in (self.postgres, self.redis.server, self.kafka.server):
            server.cut_off.clear()
        self.kafka.come_back()

    def _changing_moods(self, vendor: str, at: float, until: float, moods: Moods) -> None:
        """All vendors are down until `at`, then each has its own moods."""
        chance = self.net.chance
        while at < until:
            self.net.later(at, self._mood, vendor, chance.weighted(moods))
            at += chance.between(2, 20)

    def _mood(self, vendor: str, mood: Mood) -> None:
        if not self.supervisor.calm:
            self.vendors.moods[vendor] = mood

    def _black_hole(self) -> None:
        if not self.supervisor.calm:
            self.vendors.black_holes.add(self.net.chance.one_of(self.vendors.deployments))

    def _kafka_away(self) -> None:
        self.net.note("kafka away")
        self.kafka.go_away()
        self.net.later(self.net.chance.one_of(OUTAGES_S), self.kafka.come_back)

    def _away(self, server: Server) -> None:
        self.net.note(f"{server.name} away")
        server.away = server.troubled = True
        self.net.later(self.net.chance.one_of(OUTAGES_S), _back, server)

    def _redis_loses(self) -> None:
        self.net.note("redis loses everything")
        self.redis.lose_everything()

    def _membership_lost(self) -> None:
        """Heartbeats do not arrive: a member is put out while it works."""
        members = [member for group in self.kafka.groups.values() for member in group.members if not member.closed]
        if members and not self.supervisor.calm:
            member = self.net.chance.one_of(members)
            self.net.note("membership lost", member.known.member_id)
            member.group.put_out(member)

    def _clock_set(self) -> None:
        slot = self._any_slot()
        slot.clock.wrong_ms = self.net.chance.one_of(CLOCK_JUMPS_MS)
        self.net.note("clock set", slot.name, slot.clock.wrong_ms)

    def _asked_to_stop(self) -> None:
        self.supervisor.ask_to_stop(self._any_slot())

    def _killed(self) -> None:
        process = self._any_slot().process
        if process is not None:
            self.supervisor.crash(process)

    def _stalled(self) -> None:
        process = self._any_slot().process
        if process is not None:
            self.net.note("stall", process.name)
            self.supervisor.stall(process, self.net.chance.between(1, 60))

    def _fleet_gone(self) -> None:
        """Every worker of a vendor: for a while, or until the end."""
        chance = self.net.chance
        vendor = chance.one_of(list(self.vendors.moods))
        self.net.note("fleet gone", vendor)
        back_after = chance.between(12, 60) if chance.happens(0.6) else None
        for slot in self.supervisor.slots:
            if slot.name.startswith(f"provider-worker.{vendor}-"):
                self.supervisor.close(slot)
                if back_after is not None:
                    self.net.later(back_after, self._fleet_back, slot)

    def _fleet_back(self, slot: Slot) -> None:
        self.net.note("fleet back", slot.name)
        self.supervisor.reopen(slot)

    def _cut_off(self) -> None:
        """One process and one server no longer find each other; both go on with all others."""
        chance, slot = self.net.chance, self._any_slot()
        server = chance.one_of((self.kafka.server, self.kafka.server, self.postgres, self.redis.server))
        if self.supervisor.calm or slot.process is None:
            return
        self.net.note("cut off", slot.name, server.name)
        server.cut_off.add(slot.name)
        if server is self.kafka.server:
            self.kafka.lost_sight_of(slot.process)
        self.net.later(chance.one_of(OUTAGES_S), self._reconnect, slot.name, server)

    def _reconnect(self, name: str, server: Server) -> None:
        server.cut_off.discard(name)
        self.kafka.wake()

    def _any_slot(self) -> Slot:
        return self.net.chance.one_of(self.supervisor.slots)


def _back(server: Server) -> None:
    server.away = False
