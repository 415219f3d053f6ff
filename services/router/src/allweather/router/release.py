"""Letting parked requests go: fairly, interactive first, and no faster than their candidates bear (R4)."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec

from allweather.contracts import ids, topics
from allweather.contracts.config import Deployment
from allweather.contracts.failures import OutcomeKind
from allweather.contracts.records import NOTHING, Ended, EventType, Released, RoutingDecision, encode
from allweather.contracts.slip import Priority
from allweather.failpoints import OFF, Failpoints
from allweather.messaging import Message, Publisher, TopicPartition
from allweather.router import outbox, routing
from allweather.router.fairness import DeficitRoundRobin
from allweather.router.health import HealthBoard
from allweather.router.parking import Grant, Lane, Publish, Queue, Waiting
from allweather.runtime.clock import Clock
from allweather.runtime.payloads import PayloadCorrupt, PayloadMissing, Payloads
from allweather.runtime.settings import SettingsError
from allweather.telemetry.metrics import RELEASED
from allweather.telemetry.metrics import Priority as PriorityLabel

AT_ONCE = 100
"""Requests let go in one transaction, whose rows are locked until the broker has acknowledged them."""
PUBLISH_TIMEOUT_S = 10.0

Assignment = Callable[[], Collection[TopicPartition]]
"""The partitions of which this replica handles the records now; none while a rebalance is under way."""
READ: Final = (topics.CLEARED, topics.RESULTS)
"""What a router reads. A request is parked by a record of either topic, and comes back on the second."""


def check_partitions(partitions: Callable[[str], int | None]) -> None:
    """Raise `SettingsError` where a partition of one topic does not hold the same requests as that of the other.

    A request would be parked in a partition that no replica empties. Topics that are not there are not judged.
    """
    counts = {topic: count for topic in READ if (count := partitions(topic)) is not None}
    if len(set(counts.values())) > 1:
        said = " and ".join(f"{topic} has {count}" for topic, count in counts.items())
        raise SettingsError([f"{said} partitions: add partitions to the smaller topic until they have equally many"])


class ParkedRequests(Protocol):
    """The queue: see `adapters.parked.ParkedQueue`."""

    async def queues(self) -> list[Queue]: ...

    async def due(self, queues: Collection[Queue], now_ms: int) -> list[Queue]: ...

    async def let_go(
        self, grants: Sequence[Grant], mine: Collection[int], now_ms: int, publish: Publish
    ) -> list[Waiting]: ...

    async def expire(self, now_ms: int, limit: int, publish: Publish) -> list[Waiting]: ...


class _Served(NamedTuple):
    """What came of one candidate's part of a round."""

    gone: int = 0
    emptied: Collection[Queue] = ()
    """Queues of tenants that had less due than they were granted."""

    def __bool__(self) -> bool:
        return self.gone > 0 or len(self.emptied) > 0


class Release:
    """One replica's part in emptying the queue. Each call is one turn, and says whether there may be more to do.

    It lets go only what lies in its own partitions, so that every request comes back to the replica that keeps a place
    for it. Whoever does not keep it cannot know when it is free again.
    """

    def __init__(
        self,
        parked: ParkedRequests,
        board: HealthBoard,
        payloads: Payloads,
        publisher: Publisher,
        clock: Clock,
        assignment: Assignment,
        failpoints: Failpoints = OFF,
    ) -> None:
        self._parked = parked
        self._board = board
        self._payloads = payloads
        self._publisher = publisher
        self._clock = clock
        self._assignment = assignment
        self._failpoints = failpoints
        self._fairness: defaultdict[Priority, DeficitRoundRobin] = defaultdict(DeficitRoundRobin)
        self._mine: frozenset[int] = frozenset()

    async def let_go(self) -> bool:
        """Let go what the healthy candidates have room for; bulk requests only once no interactive one is due.

        There is more to do as soon as a candidate has room again: a pause of the length of a call would halve the pace.
        """
        self._look_at_assignment()
        if not self._mine:
            return False
        queues = await self._parked.queues()
        interactive = [queue for queue in queues if queue.priority is Priority.INTERACTIVE]
        bulk = [queue for queue in queues if queue.priority is Priority.BULK]
        if await self._let_go_of(interactive) or await self._let_go_of(bulk, await self._left_to_others(interactive)):
            return True
        return any(self._waits_for_room(lane) for lane in {queue.lane for queue in queues})

    async def expire(self) -> bool:
        """End requests whose deadline has passed while they waited (R2: by a record, which the router settles)."""
        gone = await self._parked.expire(self._clock.now_ms(), AT_ONCE, self._publish_expired)
        return len(gone) == AT_ONCE

    def _look_at_assignment(self) -> None:
        """Where partitions have come or gone, what was let go may be on its way to another replica."""
        mine = frozenset(at.partition for at in self._assignment() if at.topic == topics.RESULTS)
        if mine != self._mine:
            self._mine = mine
            self._board.reassigned()

    async def _left_to_others(self, interactive: Sequence[Queue]) -> Collection[str]:
        """Deployments for which interactive requests are due in the partitions of other replicas: bulk ones wait."""
        return self._by_target(await self._parked.due(interactive, self._clock.now_ms())) if interactive else ()

    async def _let_go_of(self, queues: Sequence[Queue], spared: Collection[str] = ()) -> bool:
        """Whether anything went. Round by round: what fills one candidate makes the next one a target.

        A queue in which nothing is due any more leaves the round, so that its share goes to the others.
        """
        waiting, any_gone = list(queues), False
        for _ in range(len(queues) + len(self._board.config.deployments)):
            targets = self._by_target(waiting).items()
            served = [await self._serve(target, here) for target, here in targets if target not in spared]
            if not any(served):
                break
            any_gone |= any(each.gone for each in served)
            waiting = [queue for queue in waiting if all(queue not in each.emptied for each in served)]
        return any_gone

    def _by_target(self, queues: Iterable[Queue]) -> dict[str, list[Queue]]:
        """The queues that can be served now, by the deployment that would be called first."""
        targets: dict[Lane, str | None] = {}
        served: defaultdict[str, list[Queue]] = defaultdict(list)
        for queue in queues:
            if queue.lane not in targets:
                targets[queue.lane] = self._target(queue.lane)
            target = targets[queue.lane]
            if target is not None:
                served[target].append(queue)
        return served

    def _target(self, lane: Lane) -> str | None:
        return self._decision(lane).chosen

    def _waits_for_room(self, lane: Lane) -> bool:
        decision = self._decision(lane)
        return decision.chosen is None and any(c.excluded == routing.SLOW_START for c in decision.considered)

    def _decision(self, lane: Lane) -> RoutingDecision:
        return routing.choose(lane.specimen(), self._board.config, self._board, now_ms=self._clock.now_ms(), seed=0)

    async def _serve(self, target: str, queues: Sequence[Queue]) -> "_Served":
        """Let requests of these queues go to one deployment, as its room is shared out between their tenants."""
        now_ms, priority, deployment = self._clock.now_ms(), queues[0].priority, self._board.config.deployment(target)
        fairness = self._fairness[priority]
        room = min(AT_ONCE, self._board.release_room(deployment, now_ms))
        shares = fairness.grants(sorted({queue.tenant for queue in queues}), room)
        grants = [
            Grant(priority, tenant, [q.lane for q in queues if q.tenant == tenant], share)
            for tenant, share in shares.items()
            if share
        ]
        if not grants:
            return _Served()

        async def publish(waiting: Sequence[Waiting]) -> None:
            await self._acknowledged([await self._released(each, deployment, now_ms) for each in waiting])

        gone = Counter(each.tenant for each in await self._parked.let_go(grants, self._mine, now_ms, publish))
        for tenant, share in shares.items():
            fairness.unused(tenant, share - gone[tenant])
        RELEASED.inc(PriorityLabel(priority.value), gone.total())
        return _Served(gone.total(), [q for q in queues if gone[q.tenant] < shares[q.tenant]])

    async def _acknowledged(self, messages: Sequence[Message]) -> None:
        await self._publisher.publish(messages, timeout=PUBLISH_TIMEOUT_S)
        self._failpoints.reach("release.after-publish")

    async def _released(self, waiting: Waiting, deployment: Deployment, now_ms: int) -> Message:
        try:
            body = await self._body(waiting)
        except (PayloadMissing, PayloadCorrupt):
            lost = Ended(outcome=OutcomeKind.DEAD_LETTERED, reason=_BODY_LOST, at_ms=now_ms)
            return _message(EventType.DEAD_LETTERED, f"dead-lettered/parked-{waiting.n}", waiting, lost, now_ms)
        self._board.released(waiting.request_id, deployment, now_ms)
        released = Released(n=waiting.n, released_at_ms=now_ms)
        return _message(EventType.RELEASED, f"released-{waiting.n}", waiting, released, now_ms, msgspec.Raw(body))

    async def _body(self, waiting: Waiting) -> bytes:
        if waiting.body_ref is not None:
            return await self._payloads.get(waiting.body_ref)
        assert waiting.body is not None
        return waiting.body

    async def _publish_expired(self, waiting: Sequence[Waiting]) -> None:
        now_ms = self._clock.now_ms()
        end = Ended(outcome=OutcomeKind.EXPIRED, reason=_EXPIRED, at_ms=now_ms)
        await self._acknowledged([_message(EventType.EXPIRED, "expired", each, end, now_ms) for each in waiting])


def _message(
    kind: EventType, step: str, waiting: Waiting, data: Released | Ended, now_ms: int, body: msgspec.Raw = NOTHING
) -> Message:
    value = encode(msgspec.Raw(waiting.slip), data, body)
    parked = ids.event_id(waiting.request_id, f"parked-{waiting.n}")
    return outbox.event(
        topics.RESULTS, kind, waiting.request_id, waiting.tenant, step, value, at_ms=now_ms, cause=parked
    )


_EXPIRED = "The request's deadline passed while it waited for a model to become available."
_BODY_LOST = "The request's body is no longer in the payload store, so it cannot be answered."
