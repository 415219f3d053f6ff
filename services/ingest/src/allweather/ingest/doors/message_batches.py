"""`/v1/messages/batches`: Anthropic's batches, on the same machinery. The requests come in one body."""

import asyncio
from typing import Final

import msgspec

from allweather.contracts.model import iso_time
from allweather.contracts.slip import Dialect
from allweather.dialects.lenient import Json
from allweather.ingest import http, refusals
from allweather.ingest.adapters.library import Library
from allweather.ingest.batches import lines
from allweather.ingest.batches.batch import LASTS_MS, MESSAGES, MOST_LINES, Batch
from allweather.ingest.batches.files import File, TooLong, Writing
from allweather.ingest.batches.lines import Fault, parse_id, shown_id
from allweather.ingest.doors.batches import named_by
from allweather.ingest.doors.call import Call, DoorEndpoint, give_json
from allweather.ingest.doors.files import send
from allweather.ingest.doors.messages import check_version
from allweather.ingest.doors.paging import limit
from allweather.ingest.keys import Keyring
from allweather.ingest.minting import uuid7
from allweather.runtime.clock import Clock
from allweather.runtime.payloads import Payloads

PREFIX: Final = "msgbatch_"
BODY_LIMIT: Final = 64 << 20
WORDS: Final = ("succeeded", "errored", "canceled", "expired")


class _Asked(msgspec.Struct):
    requests: list[msgspec.Raw]


_asked = msgspec.json.Decoder(_Asked)


class MessageBatchEndpoint(DoorEndpoint):
    """What the paths of message batches have in common."""

    dialect = Dialect.ANTHROPIC_MESSAGES
    method = "GET"

    def __init__(self, keyring: Keyring, library: Library, payloads: Payloads, clock: Clock) -> None:
        super().__init__(self.method, keyring)
        self._library = library
        self._payloads = payloads
        self._clock = clock

    async def named(self, call: Call) -> Batch:
        """The batch in the path. Raises `Refused` when there is none of this tenant."""
        given = call.path_params["id"]
        name = parse_id(PREFIX, given)
        batch = name and await self._library.batch(name, call.tenant)
        if not batch or batch.endpoint != MESSAGES:
            raise refusals.not_found(f"There is no message batch {given[:80]}.")
        return batch

    async def tell(self, call: Call, shown: Json) -> None:
        """Answer with JSON."""
        await give_json(call, msgspec.json.encode(shown))


class CreateMessageBatch(MessageBatchEndpoint):
    """`POST`: every request is looked at before any is accepted; accepted means that each gets an outcome."""

    method = "POST"

    async def serve(self, call: Call) -> None:
        check_version(call.incoming, b"{}")
        body = await http.read_body(call.incoming, call.receive, BODY_LIMIT)
        now = self._clock.now_ms()
        file = await self._kept(_requests(body), call.tenant, now)
        batch = Batch(
            id=named_by(call, now),
            tenant=call.tenant,
            endpoint=MESSAGES,
            input_file=file.id,
            metadata="null",
            status="in_progress",
            created_at_ms=now,
            begun_at_ms=now,
            expires_at_ms=now + LASTS_MS,
            total=file.lines,
        )
        await self._library.keep_batch(batch)
        await self.tell(call, shown(await self._library.batch(batch.id, call.tenant) or batch))

    async def _kept(self, requests: list[msgspec.Raw], tenant: str, now_ms: int) -> File:
        """The requests as a file with a line for each."""
        writing, names = Writing(self._payloads), set[str]()
        for number, request in enumerate(requests):
            try:
                names.add(lines.read(MESSAGES, number, bytes(request)).custom_id)
                await writing.add(msgspec.json.format(bytes(request), indent=-1) + b"\n")
            except Fault as fault:
                param = f"requests.{number}"
                raise refusals.invalid("invalid_value", f"{param}: {fault}", param) from None
            except TooLong:
                raise refusals.too_large(BODY_LIMIT) from None
            if len(names) <= number:
                message = f"requests.{number}.custom_id: used more than once."
                raise refusals.invalid("invalid_value", message, f"requests.{number}.custom_id")
            if not number % 200:
                await asyncio.sleep(0)  # others are served meanwhile
        count = await writing.end()
        file = File(uuid7(now_ms), tenant, "message_batch", "requests.jsonl", writing.size, count, now_ms)
        await self._library.keep_file(file, writing.parts)
        return file


class ListMessageBatches(MessageBatchEndpoint):
    """`GET`: the newest first, in pages after `after_id`."""

    async def serve(self, call: Call) -> None:
        most, after = limit(call.query), parse_id(PREFIX, call.query.get("after_id", ""))
        found = await self._library.batches(call.tenant, after, most + 1, messages=True)
        data = [shown(batch) for batch in found[:most]]
        ends = {"first_id": data[0]["id"] if data else None, "last_id": data[-1]["id"] if data else None}
        await self.tell(call, {"data": data, "has_more": len(found) > most, **ends})


class ShowMessageBatch(MessageBatchEndpoint):
    """`GET /{id}`."""

    async def serve(self, call: Call) -> None:
        await self.tell(call, shown(await self.named(call)))


class CancelMessageBatch(MessageBatchEndpoint):
    """`POST /{id}/cancel`: nothing more is asked; what has been answered is in the results. Twice is harmless."""

    method = "POST"

    async def serve(self, call: Call) -> None:
        batch = await self.named(call)
        asked = await self._library.cancel(batch.id, call.tenant, self._clock.now_ms())
        await self.tell(call, shown(asked or await self.named(call)))


class DeleteMessageBatch(MessageBatchEndpoint):
    """`DELETE /{id}`: one that has ended, with its results."""

    method = "DELETE"

    async def serve(self, call: Call) -> None:
        batch = await self.named(call)
        if batch.ended_at_ms is None:
            raise refusals.invalid("invalid_value", "This batch is in progress: cancel it first.")
        for name in (batch.input_file, batch.output_file):
            if name is not None:
                await self._library.forget_file(name, call.tenant)
        await self._library.forget_batch(batch.id, call.tenant)
        await self.tell(call, {"id": shown_id(PREFIX, batch.id), "type": "message_batch_deleted"})


class MessageBatchResults(MessageBatchEndpoint):
    """`GET /{id}/results`: a line for each request, once the batch has ended."""

    async def serve(self, call: Call) -> None:
        batch = await self.named(call)
        file = batch.output_file and await self._library.file(batch.output_file, call.tenant)
        if not file:
            raise refusals.not_found("This batch has no results yet.")
        await send(call, file, self._library, self._payloads, "application/x-jsonl")


def _requests(body: bytes) -> list[msgspec.Raw]:
    try:
        body.decode()
        requests = _asked.decode(body).requests
    except msgspec.ValidationError as error:
        raise refusals.invalid("invalid_value", f"The body is not as expected: {error}.") from None
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError) as error:
        raise http.not_json(error, body) from None
    if not 1 <= len(requests) <= MOST_LINES:
        raise refusals.invalid("invalid_value", f"requests: a batch has 1 to {MOST_LINES}.", "requests")
    return requests


def shown(batch: Batch) -> Json:
    """The batch as Anthropic shows it. Until it has ended every request counts as being processed."""
    name, has_ended = shown_id(PREFIX, batch.id), batch.ended_at_ms is not None
    results: dict[str, int] = msgspec.json.decode(batch.results)
    counts = {word: results.get(word, 0) for word in WORDS}
    progress = "ended" if has_ended else "canceling" if batch.cancelled_at_ms else "in_progress"
    return {
        "id": name,
        "type": "message_batch",
        "processing_status": progress,
        "request_counts": {"processing": 0 if has_ended else batch.total, **counts},
        "created_at": iso_time(batch.created_at_ms),
        "expires_at": iso_time(batch.expires_at_ms),
        "ended_at": _time(batch.ended_at_ms),
        "cancel_initiated_at": _time(batch.cancelled_at_ms),
        "archived_at": None,
        "results_url": f"/v1/messages/batches/{name}/results" if batch.output_file else None,
    }


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else iso_time(at_ms)
