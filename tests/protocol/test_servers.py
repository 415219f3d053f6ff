"""What the simulated servers promise, and what they do not: as the real ones."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

import pytest
from simulator.chance import Chance
from simulator.front import Exchange, Front
from simulator.groups import SESSION_S
from simulator.kafka import Kafka, SimBroker
from simulator.loop import Process, SimLoop
from simulator.net import Net, Server
from simulator.postgres import Postgres, Transaction
from simulator.topics import Topics
from starlette.types import Receive, Scope, Send

from allweather.messaging import Message, PublishTimeout, TransientError
from allweather.messaging.ports import CommitRefused, Committed, MembershipLost, Subscription
from allweather.messaging.types import TopicPartition

TOPIC = "ai.internal.things.v1"
KEY = ("step", 1)


class Bench:
    """A loop, wires without faults, and processes to run things in."""

    def __init__(self) -> None:
        self.loop = SimLoop()
        self.net = Net(self.loop, Chance(1))
        self.net.crash, self.net.stall = Process.kill, self._stall
        self.kafka = Kafka(Topics({TOPIC: 2}, lambda: 0), self.net, unwatched)
        self.postgres = Postgres(self.net)

    def process(self, name: str = "one") -> Process:
        return Process(self.loop, name)

    def broker(self, process: Process) -> SimBroker:
        return SimBroker(self.kafka, process, process.name)

    def run(self, seconds: float = 300) -> None:
        self.loop.run(self.loop.time() + seconds)
        assert self.loop.complaints == []

    def crash(self, process: Process) -> None:
        process.kill()
        self.kafka.lost_sight_of(process)
        self.postgres.client_died(process)

    def _stall(self, process: Process, seconds: float) -> None:
        process.stop()
        self.kafka.lost_sight_of(process)
        self.net.later(seconds, process.go_on)


def unwatched(group: str, at: TopicPartition, place: Committed) -> None:
    """Nobody minds the commits."""


@pytest.fixture
def bench() -> Bench:
    return Bench()


class Partitions:
    """What a member is told of its partitions."""

    def __init__(self) -> None:
        self.assignments: list[set[int]] = []
        self.revocations = 0

    async def revoked(self) -> None:
        self.revocations += 1

    async def assigned(
        self, partitions: Collection[TopicPartition], committed: Mapping[TopicPartition, Committed]
    ) -> Mapping[TopicPartition, int]:
        self.assignments.append({at.partition for at in partitions})
        return {}


def noting(seen: list[Any], work: Callable[[], Awaitable[Any]]) -> Any:
    """Keeps what `work` returned or raised."""

    async def run() -> None:
        try:
            seen.append(await work())
        except Exception as error:  # noqa: BLE001 - it is what the test wants to see
            seen.append(error)

    return run()


def joining(bench: Bench, process: Process, own: Partitions, seen: list[Any], instance: str | None = None) -> None:
    subscription = Subscription((TOPIC,))
    broker = bench.broker(process)
    process.spawn(
        noting(seen, lambda: broker.join(group="g", instance=instance, subscription=subscription, rebalances=own))
    )


# Processes


def test_a_killed_process_runs_no_finally(bench: Bench):
    done: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(1)
        finally:
            done.append("finally")

    process = bench.process()
    process.spawn(work())
    bench.run(0.5)
    process.kill()
    bench.run()

    assert done == []


def test_a_stopped_process_goes_on_without_knowing_that_it_stood_still(bench: Bench):
    done: list[float] = []

    async def work() -> None:
        await asyncio.sleep(1)
        done.append(bench.loop.time())

    process = bench.process()
    process.spawn(work())
    bench.run(0.5)
    process.stop()
    bench.net.later(40, process.go_on)
    bench.run()

    assert done == [40.5]


def test_a_call_under_way_has_its_effect_though_its_caller_dies(bench: Bench):
    done: list[str] = []
    process = bench.process()
    process.spawn(bench.net.call(Server("s", OSError), lambda: done.append("effect")))
    bench.run(0.0001)
    process.kill()
    bench.run()

    assert done == ["effect"]


def test_a_server_that_is_away_answers_that_the_connection_broke(bench: Bench):
    server, seen = Server("s", OSError), list[Any]()
    server.away = True
    bench.process().spawn(noting(seen, lambda: bench.net.call(server, lambda: 1)))
    bench.run()

    assert isinstance(seen[0], OSError)


def test_a_process_that_is_cut_off_from_a_server_is_alone_in_that(bench: Bench):
    server, seen = Server("s", OSError), list[Any]()
    server.cut_off.add("one")
    for name in ("one", "two"):
        bench.process(name).spawn(noting(seen, lambda: bench.net.call(server, lambda: 1)))
    bench.run()

    assert sorted(map(str, seen)) == ["", "1"]
    assert server.troubled


# Kafka


def test_a_member_that_is_cut_off_loses_its_partitions_and_hears_of_it_when_it_is_back(bench: Bench):
    lost, heir, members, seen = bench.process("lost"), bench.process("heir"), list[Any](), list[Any]()
    other = Partitions()
    joining(bench, lost, Partitions(), members)
    joining(bench, heir, other, [])
    bench.run(5)
    bench.kafka.server.cut_off.add("lost")
    bench.kafka.lost_sight_of(lost)
    bench.run(SESSION_S + 5)
    lost.spawn(noting(seen, lambda: members[0].poll(timeout=1, max_records=5)))
    bench.run(5)
    before = list(seen)
    bench.kafka.server.cut_off.clear()
    bench.run(10)

    assert other.assignments[-1] == {0, 1}
    assert before == []
    assert isinstance(seen[0], MembershipLost)


def test_a_reader_without_a_group_sees_what_comes_after_its_place(bench: Bench):
    seen, process = list[Any](), bench.process()
    topics, at = bench.kafka.topics, TopicPartition(TOPIC, 1)
    topics.append(Message(TOPIC, b"before", partition=1), "x")

    async def read() -> list[bytes | None]:
        broker = bench.broker(process)
        reader = await broker.reader()
        await reader.assign(await broker.end_offsets([at]))
        return [record.value for record in await reader.poll(timeout=1, max_records=5)]

    process.spawn(noting(seen, read))
    bench.run(10)
    topics.append(Message(TOPIC, b"after", partition=1), "x")
    topics.append(Message(TOPIC, b"elsewhere", partition=0), "x")
    bench.run(10)

    assert seen == [[b"after"]]


def test_partitions_are_shared_and_a_dead_member_s_are_taken_over_when_its_session_ends(bench: Bench):
    one, two = bench.process("one"), bench.process("two")
    own, other = Partitions(), Partitions()
    joining(bench, one, own, [])
    bench.run(5)
    joining(bench, two, other, [])
    bench.run(5)
    shared = own.assignments[-1], other.assignments[-1]
    died = bench.loop.time()
    bench.crash(one)
    bench.run(SESSION_S - 1)
    before = other.assignments[-1]
    bench.run(5)

    assert shared in [({0}, {1}), ({1}, {0})]
    assert len(before) == 1
    assert other.assignments[-1] == {0, 1}
    assert bench.loop.time() > died + SESSION_S


def test_a_static_member_that_comes_back_in_time_has_its_partitions_without_a_rebalance(bench: Bench):
    one, two, again = bench.process("one"), bench.process("two"), bench.process("one")
    own, other, later = Partitions(), Partitions(), Partitions()
    joining(bench, one, own, [], "one")
    joining(bench, two, other, [], "two")
    bench.run(5)
    was, revocations = own.assignments[-1], other.revocations
    bench.crash(one)
    joining(bench, again, later, [], "one")
    bench.run(30)

    assert later.assignments == [was]
    assert other.revocations == revocations


def test_a_zombie_is_handed_records_and_its_commit_is_refused(bench: Bench):
    zombie, heir, members, seen = bench.process("zombie"), bench.process("heir"), list[Any](), list[Any]()
    own, other = Partitions(), Partitions()
    joining(bench, zombie, own, members)
    bench.run(5)
    group, at = bench.kafka.group("g"), TopicPartition(TOPIC, 0)
    joining(bench, heir, other, [])
    bench.run(0.001)
    group.put_out(members[0])
    bench.kafka.topics.append(Message(TOPIC, b"v", partition=0), "x")
    zombie.spawn(noting(seen, lambda: members[0].poll(timeout=1, max_records=5)))
    bench.run(0.04)
    zombie.spawn(noting(seen, lambda: members[0].commit({at: Committed(1)})))
    bench.run(10)
    zombie.spawn(noting(seen, lambda: members[0].poll(timeout=1, max_records=5)))
    bench.run(10)

    assert [record.value for record in seen[0]] == [b"v"]
    assert isinstance(seen[1], CommitRefused)
    assert isinstance(seen[2], MembershipLost)
    assert other.assignments[-1] == {0, 1}
    assert group.places == {}


def test_what_was_published_while_the_cluster_was_away_may_arrive_or_not_but_is_never_acknowledged(bench: Bench):
    seen = list[Any]()
    process = bench.process()
    bench.kafka.go_away()
    process.spawn(noting(seen, lambda: bench.broker(process).publish([Message(TOPIC, b"v")], timeout=5)))
    bench.run(60)

    assert isinstance(seen[0], PublishTimeout)


# HTTP


async def slow_app(_scope: Scope, receive: Receive, send: Send) -> None:
    asked = await receive()
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": asked["body"], "more_body": True})
    await asyncio.sleep(30)
    await send({"type": "http.response.body", "body": b", answered"})


def test_a_connection_breaks_when_its_door_dies(bench: Bench):
    front, process = Front(bench.net), bench.process()
    asked, cut, late = (Exchange("/", {}, b"asked") for _ in range(3))
    front.opens("door", process, slow_app)
    front.ask("door", asked)
    bench.run(40)
    front.ask("door", cut)
    bench.run(10)
    bench.crash(process)
    front.lost(process)
    bench.run(40)

    assert (asked.whole, asked.broken, asked.received) == (True, False, b"asked, answered")
    assert (cut.whole, cut.broken, cut.received) == (False, True, b"asked")
    assert not front.ask("door", late)


# Postgres


def statement(bench: Bench, process: Process, seen: list[Any], work: Callable[[Transaction], Awaitable[Any]]) -> None:
    async def run(transaction: Transaction) -> Any:
        return await work(transaction)

    process.spawn(noting(seen, lambda: bench.postgres.transact(run)))


def locking(bench: Bench, then: Callable[[], Awaitable[Any]]) -> Callable[[Transaction], Awaitable[Any]]:
    """Takes the lock on `KEY`, waiting for whoever has it, and then does something."""

    async def work(transaction: Transaction) -> Any:
        while (holder := bench.postgres.holder(KEY)) is not None:
            await bench.postgres.wait(transaction, holder)
        bench.postgres.lock(transaction, KEY)
        return await then()

    return work


async def soon() -> str:
    await asyncio.sleep(3)
    return "soon"


async def never() -> None:
    await asyncio.sleep(1_000)


def test_a_lock_is_held_until_its_transaction_ends(bench: Bench):
    first, second = list[Any](), list[Any]()
    statement(bench, bench.process("one"), first, locking(bench, soon))
    bench.run(1)
    statement(bench, bench.process("two"), second, locking(bench, soon))
    bench.run(1)
    waiting = list(second)
    bench.run(10)

    assert waiting == []
    assert (first, second) == (["soon"], ["soon"])


def test_the_locks_of_a_dead_client_are_free_soon(bench: Bench):
    one, seen = bench.process("one"), list[Any]()
    statement(bench, one, [], locking(bench, never))
    bench.run(1)
    bench.crash(one)
    statement(bench, bench.process("two"), seen, locking(bench, soon))
    bench.run(10)

    assert seen == ["soon"]


def test_a_client_that_stands_still_keeps_its_locks_for_a_minute(bench: Bench):
    one, early, late = bench.process("one"), list[Any](), list[Any]()
    statement(bench, one, [], locking(bench, never))
    bench.run(1)
    one.stop()
    bench.postgres.client_stalled(one)
    statement(bench, bench.process("two"), early, locking(bench, soon))
    bench.run(61)
    statement(bench, bench.process("three"), late, locking(bench, soon))
    bench.run(20)

    assert isinstance(early[0], TransientError)
    assert late == ["soon"]


def test_of_two_transactions_that_wait_for_each_other_one_is_rolled_back(bench: Bench):
    seen = list[Any]()

    def crossing(own: str, other: str) -> Callable[[Transaction], Awaitable[Any]]:
        async def work(transaction: Transaction) -> str:
            bench.postgres.lock(transaction, own)
            await asyncio.sleep(1)
            while (holder := bench.postgres.holder(other)) is not None:
                await bench.postgres.wait(transaction, holder)
            return own

        return work

    statement(bench, bench.process("one"), seen, crossing("a", "b"))
    statement(bench, bench.process("two"), seen, crossing("b", "a"))
    bench.run()

    assert sorted(type(each).__name__ for each in seen) == ["TransientError", "str"]
