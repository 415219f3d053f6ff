"""`/v1/batches`: many requests in one file, answered within a day, whatever restarts meanwhile."""

from typing import Any, Final

import msgspec

from allweather.contracts import headers, ids
from allweather.contracts.slip import Dialect
from allweather.dialects.lenient import Json
from allweather.ingest import http, refusals
from allweather.ingest.adapters.library import Library
from allweather.ingest.batches.batch import ENDPOINTS, LASTS_MS, MESSAGES, Batch
from allweather.ingest.batches.lines import parse_id, shown_id
from allweather.ingest.doors.call import Call, DoorEndpoint, give_json
from allweather.ingest.doors.files import find, shown_file_id
from allweather.ingest.doors.paging import limit, rendered
from allweather.ingest.keys import Keyring
from allweather.ingest.minting import uuid7
from allweather.runtime.clock import Clock

PREFIX: Final = "batch_"
SERVED: Final = tuple(endpoint for endpoint in ENDPOINTS if endpoint != MESSAGES)


class _Asked(msgspec.Struct):
    input_file_id: str
    endpoint: str
    completion_window: str
    metadata: dict[str, str] | None = None


_asked = msgspec.json.Decoder(_Asked)


class BatchEndpoint(DoorEndpoint):
    """What the paths of batches have in common."""

    dialect = Dialect.OPENAI_CHAT
    method = "GET"

    def __init__(self, keyring: Keyring, library: Library, clock: Clock) -> None:
        super().__init__(self.method, keyring)
        self._library = library
        self._clock = clock

    async def named(self, call: Call) -> Batch:
        """The batch in the path. Raises `Refused` when there is none of this tenant."""
        given = call.path_params["id"]
        name = parse_id(PREFIX, given)
        batch = name and await self._library.batch(name, call.tenant)
        if not batch or batch.endpoint == MESSAGES:
            raise refusals.not_found(f"No batch found with id '{given[:80]}'.")
        return batch

    async def tell(self, call: Call, batch: Batch) -> None:
        """Answer with a batch."""
        await give_json(call, msgspec.json.encode(shown(batch)))


class CreateBatch(BatchEndpoint):
    """`POST`: accepted means that every line gets an outcome. With an `Idempotency-Key` twice is once."""

    method = "POST"

    async def serve(self, call: Call) -> None:
        asked = _read(await http.read_body(call.incoming, call.receive))
        file = await find(self._library, asked.input_file_id, call.tenant)
        now = self._clock.now_ms()
        batch = Batch(
            id=named_by(call, now),
            tenant=call.tenant,
            endpoint=asked.endpoint,
            input_file=file.id,
            metadata=msgspec.json.encode(asked.metadata).decode(),
            status="validating",
            created_at_ms=now,
            expires_at_ms=now + LASTS_MS,
        )
        await self._library.keep_batch(batch)
        await self.tell(call, await self._library.batch(batch.id, call.tenant) or batch)


class ListBatches(BatchEndpoint):
    """`GET`: the newest first."""

    async def serve(self, call: Call) -> None:
        most, after = limit(call.query), parse_id(PREFIX, call.query.get("after", ""))
        found = await self._library.batches(call.tenant, after, most + 1, messages=False)
        page = rendered([shown(batch) for batch in found[:most]], has_more=len(found) > most)
        await give_json(call, page)


class ShowBatch(BatchEndpoint):
    """`GET /{id}`."""

    async def serve(self, call: Call) -> None:
        await self.tell(call, await self.named(call))


class CancelBatch(BatchEndpoint):
    """`POST /{id}/cancel`: nothing more is asked; what has been answered is in the output. Twice is harmless."""

    method = "POST"

    async def serve(self, call: Call) -> None:
        batch = await self.named(call)
        asked = await self._library.cancel(batch.id, call.tenant, self._clock.now_ms())
        await self.tell(call, asked or await self.named(call))


def named_by(call: Call, now_ms: int) -> Any:
    """The id of a new batch: the caller's key makes it, so that creating it again changes nothing."""
    key = call.incoming.short(headers.IDEMPOTENCY_KEY.encode())
    return uuid7(now_ms) if key is None else ids.request_id(call.tenant, f"batch:{key.decode('latin-1')}")


def _read(body: bytes) -> _Asked:
    try:
        body.decode()
        asked = _asked.decode(body)
    except msgspec.ValidationError as error:
        raise refusals.invalid("invalid_value", f"The body is not as expected: {error}.") from None
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError) as error:
        raise http.not_json(error, body) from None
    if asked.endpoint not in SERVED:
        raise refusals.invalid("invalid_value", f"'endpoint' is one of {', '.join(SERVED)}.", "endpoint")
    if asked.completion_window != "24h":
        raise refusals.invalid("invalid_value", "'completion_window' is 24h.", "completion_window")
    return asked


def shown(batch: Batch) -> Json:
    """The batch as OpenAI shows it."""
    ended = {f"{batch.status}_at": _seconds(batch.ended_at_ms)} if batch.ended_at_ms else {}
    faults = msgspec.json.decode(batch.faults)
    return {
        "id": shown_id(PREFIX, batch.id),
        "object": "batch",
        "endpoint": batch.endpoint,
        "errors": {"object": "list", "data": faults} if faults else None,
        "input_file_id": shown_file_id(batch.input_file),
        "completion_window": "24h",
        "status": batch.status,
        "output_file_id": shown_file_id(batch.output_file),
        "error_file_id": shown_file_id(batch.error_file),
        "created_at": _seconds(batch.created_at_ms),
        "in_progress_at": _seconds(batch.begun_at_ms),
        "expires_at": _seconds(batch.expires_at_ms),
        **dict.fromkeys(("finalizing_at", "completed_at", "failed_at", "expired_at", "cancelled_at")),
        "cancelling_at": _seconds(batch.cancelled_at_ms),
        **ended,
        "request_counts": {"total": batch.total, "completed": batch.completed, "failed": batch.failed},
        "metadata": msgspec.json.decode(batch.metadata),
    }


def _seconds(at_ms: int | None) -> int | None:
    return None if at_ms is None else at_ms // 1000
