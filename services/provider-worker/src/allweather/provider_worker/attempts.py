"""Making one attempt: the caller's body, the vendor's request, the call, the deltas, and how it ended."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from secrets import token_hex

import msgspec

from allweather.contracts.config import Configuration, Deployment, Timeouts
from allweather.contracts.failures import FailureKind
from allweather.contracts.records import AttemptResult
from allweather.contracts.slip import Capability, Dialect
from allweather.provider_worker import results
from allweather.provider_worker.adapters.credentials import Credential
from allweather.provider_worker.asking import ask, ask_for_vectors
from allweather.provider_worker.call import Call, Notes, Patience, VendorCall
from allweather.provider_worker.deltas import DeltaSender, DeltaStream
from allweather.provider_worker.failures import safe
from allweather.provider_worker.rates import Allowances, allowances
from allweather.provider_worker.stations import Equipped
from allweather.provider_worker.wire import AnyAnswered, Failed, Failure, HttpRequest, Translator
from allweather.provider_worker.work import Work
from allweather.runtime.clock import Clock

LEAST_S = 0.5
"""A call that has been admitted gets at least so long; whether it may be made at all is decided before."""

SenderFor = Callable[[Work, str, Deployment], DeltaSender]
"""Where the deltas of a call (by its id) to a deployment go."""


@dataclass(slots=True)
class Attempt:
    """One vendor call in the making, and what becomes known of it."""

    work: Work
    station: Equipped
    started_at_ms: int
    started: float
    """Time of the event loop."""
    call_id: str
    notes: Notes
    deltas: DeltaStream | None


class Made(msgspec.Struct, frozen=True):
    """How an attempt ended, the answer as it is rendered for the caller, and what is left of the vendor's limits."""

    ended: AttemptResult
    response: bytes | None
    left: Allowances

    @property
    def tokens(self) -> int | None:
        """What it used: nothing when it failed; None when nobody has counted."""
        usage = self.ended.usage
        if usage is not None:
            return usage.input_tokens + usage.output_tokens
        return None if self.ended.failure is None else 0


class Attempts:
    """Makes attempts at the deployments of one vendor."""

    def __init__(
        self,
        translator: Translator,
        call: VendorCall,
        configuration: Configuration,
        clock: Clock,
        sender_for: SenderFor,
    ) -> None:
        self._translator, self._call, self._configuration = translator, call, configuration
        self._clock, self._sender_for = clock, sender_for

    async def make(self, work: Work, body: bytes, station: Equipped) -> Made:
        """Make the attempt. Whatever goes wrong with the vendor is a result, not an exception."""
        attempt = self._begin(work, station)
        try:
            answer, failure = await self._outcome(attempt, body)
        finally:
            if attempt.deltas is not None:
                attempt.deltas.stop()
        seen, ended_at_ms = _seen(attempt), self._clock.now_ms()
        ended = results.result(work, attempt.started_at_ms, ended_at_ms, answer=answer, failure=failure, seen=seen)
        return Made(ended, answer and answer.rendered, self._left(attempt.notes))

    def _begin(self, work: Work, station: Equipped) -> Attempt:
        call_id = token_hex(16)
        deltas = None
        if work.streams:
            deltas = DeltaStream(self._sender_for(work, call_id, station.target.deployment), call_id)
        started = asyncio.get_running_loop().time()
        return Attempt(work, station, self._clock.now_ms(), started, call_id, Notes(), deltas)

    async def _outcome(self, attempt: Attempt, body: bytes) -> tuple[AnyAnswered | None, Failure | None]:
        try:
            answer = await self._answered(attempt, body)
        except Failed as error:
            return None, await self._given_up(attempt, error.failure)
        if attempt.deltas is not None:
            await attempt.deltas.finish()
        return answer, None

    async def _given_up(self, attempt: Attempt, failure: Failure) -> Failure:
        """The failure as it may be told. What fails after content has reached the caller is an interruption."""
        clean = safe(failure, attempt.station.credential.secrets)
        if attempt.deltas is None:
            return clean
        await attempt.deltas.abandon()
        return replace(clean, kind=FailureKind.INTERRUPTED) if attempt.deltas.released else clean

    async def _answered(self, attempt: Attempt, body: bytes) -> AnyAnswered:
        """The answer. A rejected token is renewed and the call made once more: nothing was done for the first one."""
        credential = attempt.station.credential
        try:
            return await self._called(attempt, body, credential)
        except Failed as error:
            rejected = error.failure.kind is FailureKind.AUTH_FAILED and attempt.notes.http_status == 401
            if not (rejected and await credential.renew()):
                raise
        return await self._called(attempt, body, credential)

    async def _called(self, attempt: Attempt, body: bytes, credential: Credential) -> AnyAnswered:
        secret, patience = await credential.secret(), self._patience(attempt.work)
        if attempt.work.slip.dialect is Dialect.OPENAI_EMBEDDINGS:
            return await self._embedded(attempt, body, secret, patience)
        return await self._call.answer(self._asked(attempt, body, secret), patience, attempt.notes)

    async def _embedded(self, attempt: Attempt, body: bytes, secret: str, patience: Patience) -> AnyAnswered:
        """The vectors of an embedding request."""
        target = attempt.station.target
        asked = ask_for_vectors(self._translator, target, body)
        request = self._signed(attempt, asked.request, secret)
        response = await self._call.response(request, patience, attempt.notes)
        return asked.embedder.answer(asked.wish, target, response)

    def _asked(self, attempt: Attempt, body: bytes, secret: str) -> Call:
        """The call: in the caller's own words where the vendor speaks them, else translated."""
        slip, target = attempt.work.slip, attempt.station.target
        stream = _wants_stream(attempt.work) and Capability.STREAMING in target.deployment.capabilities
        show = None if attempt.deltas is None else attempt.deltas.add
        asked = ask(
            self._translator, target, slip.dialect, body, stream=stream, include_usage=slip.include_usage, api=slip.api
        )
        return Call(self._signed(attempt, asked.request, secret), asked.format, asked.passing, asked.choices, show)

    def _signed(self, attempt: Attempt, request: HttpRequest, secret: str) -> HttpRequest:
        """The request with the credential, and the id under which both sides can find the call."""
        headers = {**request.headers, **self._translator.authorization(secret)}
        headers["x-client-request-id"] = str(attempt.work.dispatch.attempt_id)
        return HttpRequest(request.url, request.body, headers)

    def _patience(self, work: Work) -> Patience:
        route = self._configuration.route(work.slip.route)
        timeouts = route.timeouts if route else Timeouts()
        until_deadline = max(LEAST_S, (work.slip.deadline_ms - self._clock.now_ms()) / 1000)
        first_token = work.dispatch.first_token_timeout_ms / 1000
        return Patience(first_token, timeouts.between_tokens, min(timeouts.total, until_deadline))

    def _left(self, notes: Notes) -> Allowances:
        """What the vendor's headers say is left of its limits."""
        names = self._translator.rate_headers
        return Allowances() if names is None or notes.headers is None else allowances(notes.headers, names)


def _seen(attempt: Attempt) -> results.Seen:
    notes, deltas = attempt.notes, attempt.deltas
    first_content_at = notes.first_content_at
    whole = deltas is not None and not deltas.lost  # nothing may be built on deltas that were lost: no id, no stream
    return results.Seen(
        http_status=notes.http_status,
        vendor_request_id=notes.vendor_request_id,
        first_token_ms=None if first_content_at is None else round((first_content_at - attempt.started) * 1000),
        call_id=attempt.call_id if deltas is None or whole else None,
        released_content=deltas is not None and deltas.released,
        delta_count=deltas.count if deltas else 0,
        deltas_digest=deltas.digest if deltas else None,
    )


SILENT_MS = 5_000
"""An attempt that failed after so long without a status met a vendor that said nothing: or had much to say."""


def _wants_stream(work: Work) -> bool:
    """Whether to ask for a stream. Also for a caller who did not, once a plain call has run out of time.

    A plain answer that takes long to write looks like a silent vendor; a stream tells the two apart.
    """
    return work.streams or any(
        attempt.failure is FailureKind.UNAVAILABLE
        and attempt.http_status is None
        and attempt.ended_at_ms - attempt.dispatched_at_ms >= SILENT_MS
        for attempt in work.slip.attempts
    )
