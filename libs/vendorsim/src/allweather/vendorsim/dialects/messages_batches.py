"""Message Batches: many Messages requests at half the price, answered within a day and in no order."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

from allweather.vendorsim.memory import Shelf
from allweather.vendorsim.wire import Json, Outcome, Problem, Ticket, Whole, encode, items, json_object, members
from allweather.vendorsim.work import Work

Run = Callable[[Json, Ticket], tuple[int, bytes]]
"""From the parameters of one request to its status and body."""
_CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}\Z")
_MOST_REQUESTS = 100_000
_KEPT = 200
_DAY = 86_400


@dataclass(slots=True)
class _Batch:
    id: str
    created: float
    work: Work[Json, Json]
    url: str
    canceled: float | None = None


class MessageBatches:
    """The batches of one vendor, in memory."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._shelf = Shelf[_Batch](_KEPT)

    def answer(self, method: str, path: str, payload: Json | None, host: str, ticket: Ticket) -> Outcome:
        """Answer a call below `v1/messages/batches`."""
        match (method, path.strip("/").split("/")):
            case ("POST", [""]):
                return self._create(payload, host, ticket)
            case ("GET", [""]):
                return _page([self._shown(each, ticket.wall) for each in self._shelf.latest()])
            case (_, [name, *rest]):
                batch = self._shelf.get(name)
                return _no_batch(name) if batch is None else self._on(batch, method, rest, ticket.wall)
            case _:
                return Problem(404, "Not Found", "not_found_error")

    def _on(self, batch: _Batch, method: str, rest: list[str], now: float) -> Outcome:
        match (method, rest):
            case ("GET", []):
                return Whole(encode(self._shown(batch, now)))
            case ("POST", ["cancel"]):
                batch.canceled = batch.canceled or now
                shown = self._shown(batch, now)
                batch.work.stop()
                return Whole(encode(shown))
            case ("GET", ["results"]):
                return _results(batch, now)
            case ("DELETE", []):
                self._shelf.drop(batch.id)
                return Whole(encode({"id": batch.id, "type": "message_batch_deleted"}))
            case _:
                return Problem(404, "Not Found", "not_found_error")

    def _create(self, payload: Json | None, host: str, ticket: Ticket) -> Outcome:
        requests = [members(each) for each in items((payload or {}).get("requests"))]
        if (problem := _check(requests)) is not None:
            return problem
        batch_id = f"msgbatch_01{ticket.token(22, 'batch')}"
        url = f"http://{host}/anthropic/v1/messages/batches/{batch_id}/results"
        batch = _Batch(batch_id, ticket.wall, Work(requests, lambda line: self._result(line, ticket), ticket.wall), url)
        self._shelf.put(batch_id, batch)
        return Whole(encode(self._shown(batch, ticket.wall)))

    def _result(self, line: Json, ticket: Ticket) -> Json:
        digest = blake2b(ticket.digest + str(line["custom_id"]).encode(), digest_size=32).digest()
        status, body = self._run(members(line.get("params")), replace(ticket, digest=digest))
        told: Json = json_object(body) or {}
        if status != 200:
            return {"custom_id": line["custom_id"], "result": {"type": "errored", "error": told}}
        told["usage"]["service_tier"] = "batch"
        return {"custom_id": line["custom_id"], "result": {"type": "succeeded", "message": told}}

    def _shown(self, batch: _Batch, now: float) -> Json:
        batch.work.advance(now)
        ended = batch.work.ended
        status = "ended" if ended is not None else "in_progress" if batch.canceled is None else "canceling"
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": status,
            "request_counts": _counts(batch.work),
            "created_at": _time(batch.created),
            "expires_at": _time(batch.created + _DAY),
            "ended_at": None if ended is None else _time(ended),
            "cancel_initiated_at": None if batch.canceled is None else _time(batch.canceled),
            "archived_at": None,
            "results_url": None if ended is None else batch.url,
        }


def _counts(work: Work[Json, Json]) -> Json:
    """Count by result: until the batch has ended, everything counts as being processed."""
    counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
    if work.ended is None:
        return {**counts, "processing": len(work.lines)}
    for result in work.done:
        counts[result["result"]["type"]] += 1
    return {**counts, "canceled": len(work.left)}


def _results(batch: _Batch, now: float) -> Outcome:
    batch.work.advance(now)
    if batch.work.ended is None:
        return Problem(404, f"Batch {batch.id} has no results yet: it is still being processed.", "not_found_error")
    canceled: list[Any] = [{"custom_id": line["custom_id"], "result": {"type": "canceled"}} for line in batch.work.left]
    lines = b"".join(encode(each) + b"\n" for each in (*canceled, *reversed(batch.work.done)))
    return Whole(lines, content_type=b"application/x-jsonl")


def _check(requests: list[Json]) -> Problem | None:
    if not requests:
        return _invalid("requests: Field required")
    if len(requests) > _MOST_REQUESTS:
        return _invalid(f"requests: List should have at most {_MOST_REQUESTS} items")
    known: set[str] = set()
    for number, each in enumerate(requests):
        custom_id = str(each.get("custom_id", ""))
        if not _CUSTOM_ID.match(custom_id):
            return _invalid(f"requests.{number}.custom_id: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'")
        if custom_id in known:
            return _invalid(f"requests.{number}.custom_id: Duplicate custom_id: {custom_id}")
        known.add(custom_id)
    return None


def _page(batches: list[Json]) -> Whole:
    first, last = (batches[0]["id"], batches[-1]["id"]) if batches else (None, None)
    return Whole(encode({"data": batches, "has_more": False, "first_id": first, "last_id": last}))


def _no_batch(name: str) -> Problem:
    return Problem(404, f"Batch with id {name} was not found.", "not_found_error")


def _invalid(text: str) -> Problem:
    return Problem(400, text, "invalid_request_error")


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
