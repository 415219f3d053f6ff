"""Dispatch record in, result out: claim the attempt, look once more whether it may be made, make it, report."""

import logging
from collections.abc import Mapping
from functools import partial

from msgspec import structs

from allweather.contracts.failures import FailureKind
from allweather.failpoints import Failpoints
from allweather.messaging import Message, Outputs, PermanentError, Record
from allweather.provider_worker import admission, results
from allweather.provider_worker.adapters.bodies import Bodies
from allweather.provider_worker.adapters.claims import RedisClaims
from allweather.provider_worker.attempts import Attempts, Made
from allweather.provider_worker.claims import Claim, Holder
from allweather.provider_worker.limits import Limiter, Places
from allweather.provider_worker.results import MAX_INLINE_RESPONSE
from allweather.provider_worker.stations import Equipped, Station, Unequipped
from allweather.provider_worker.telemetry import Observer
from allweather.provider_worker.wire import Failure
from allweather.provider_worker.work import Work, read
from allweather.runtime.clock import Clock

log = logging.getLogger(__name__)


class DispatchHandler:
    """Handles one dispatch record; a worker runs up to `window` of these at a time."""

    def __init__(
        self,
        stations: Mapping[str, Station],
        attempts: Attempts,
        claims: RedisClaims,
        bodies: Bodies,
        *,
        me: Holder,
        window: int,
        clock: Clock,
        observer: Observer,
        failpoints: Failpoints,
    ) -> None:
        self._stations, self._attempts, self._claims, self._bodies = stations, attempts, claims, bodies
        self._places = Places(window, [s.limiter.slots for s in stations.values() if isinstance(s, Equipped)])
        self._me, self._clock, self._observer, self._failpoints = me, clock, observer, failpoints

    async def __call__(self, record: Record) -> Outputs:
        """The result of the attempt; nothing when it was published before, or belongs to another record."""
        work = read(record)
        claim = work.claim(self._me)
        if not await self._claims.acquire(claim):
            return Outputs()
        try:
            message = await self._settled(work)
        except PermanentError:
            self._claims.leave(claim)
            raise
        except BaseException:
            self._claims.abandon(claim)
            raise
        return Outputs([message], partial(self._done, claim))

    async def _done(self, claim: Claim) -> None:
        self._claims.done(claim)

    async def _settled(self, work: Work) -> Message:
        station = self._stations.get(work.dispatch.deployment, _UNKNOWN)
        if isinstance(station, Unequipped):
            return self._not_called(work, Failure(FailureKind.MISCONFIGURED, station.reason, "deployment_unusable"))
        case = self._case(work, station)
        objection = admission.objection(case, self._failpoints.skips)
        if objection is not None:
            refusal = Failure(FailureKind.NOT_CALLED, objection.message, objection.code, objection.retry_after_ms)
            return self._not_called(work, refusal)
        return await self._within_limits(work, station, case.tokens)

    async def _within_limits(self, work: Work, station: Equipped, tokens: int) -> Message:
        """Make the attempt with a slot and tokens reserved for it; no await lies between the look and this."""
        station.limiter.begin(tokens)
        try:
            made = await self._made(work, station)
        except BaseException:
            station.limiter.end(tokens, None, None, self._clock.monotonic())
            raise
        self._settle(station.limiter, tokens, made)
        return await self._message(work, made)

    async def _made(self, work: Work, station: Equipped) -> Made:
        body = await self._bodies.read(work)
        await self._failpoints.pause("worker.before-call")
        try:
            with self._observer.span(work, station.target) as span:
                made = await self._attempts.make(work, body, station)
                self._observer.ended(span, station.target, made.ended)
        except Exception as bug:
            # Not raised as it is: every delivery of the record would be another paid call.
            log.exception("attempt failed by a bug", extra={"attempt_id": str(work.dispatch.attempt_id)})
            raise PermanentError(f"bug: {type(bug).__name__}") from bug
        await self._failpoints.pause("worker.after-response")
        return made

    def _settle(self, limiter: Limiter, reserved: int, made: Made) -> None:
        """Give back the slot and what was reserved too much, then believe what the vendor's headers say is left."""
        now, asked_ms = self._clock.monotonic(), made.ended.retry_after_ms
        limiter.end(reserved, made.tokens, made.ended.failure, now)
        if made.ended.failure is FailureKind.RATE_LIMITED:
            limiter.hold(None if asked_ms is None else asked_ms / 1000, now)
        limiter.correct(made.left, now)

    async def _message(self, work: Work, made: Made) -> Message:
        if made.response is None or len(made.response) <= MAX_INLINE_RESPONSE:
            return results.message(work, made.ended, made.response)
        reference = await self._bodies.keep(made.response)
        return results.message(work, structs.replace(made.ended, response_ref=reference))

    def _case(self, work: Work, station: Equipped) -> admission.Case:
        return admission.Case(
            slip=work.slip,
            deployment=station.target.deployment,
            queued_at_ms=work.record.timestamp_ms,
            now_ms=self._clock.now_ms(),
            now=self._clock.monotonic(),
            limiter=station.limiter,
            places=self._places,
        )

    def _not_called(self, work: Work, failure: Failure) -> Message:
        now_ms = self._clock.now_ms()
        return results.message(work, results.result(work, now_ms, now_ms, failure=failure))


_UNKNOWN = Unequipped("This worker's catalogue does not know the deployment.")
