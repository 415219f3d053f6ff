"""OpenAI's Batches: a file of requests in, a file of answers and a file of failures out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

from allweather.vendorsim.dialects.gpt_words import invalid
from allweather.vendorsim.dialects.openai_files import Files, StoredFile
from allweather.vendorsim.memory import Shelf
from allweather.vendorsim.wire import Json, Outcome, Problem, Ticket, Whole, encode, json_object, members
from allweather.vendorsim.work import Work

Run = Callable[[str, Json, Ticket], tuple[int, str, Json]]
"""From the path and body of one request to its status, request id and body."""
ENDPOINTS = ("/v1/chat/completions", "/v1/embeddings", "/v1/responses")
_MOST_LINES = 50_000
_KEPT = 200
_DAY = 86_400


@dataclass(slots=True)
class _Batch:
    id: str
    file: StoredFile
    endpoint: str
    metadata: Json | None
    ticket: Ticket
    complaints: list[Json]
    model: str | None
    work: Work[Json, Json]
    cancelling: float | None = None
    output: str | None = None
    errors: str | None = None


class Batches:
    """The batches of one vendor, in memory."""

    def __init__(self, files: Files, run: Run) -> None:
        self._files = files
        self._run = run
        self._shelf = Shelf[_Batch](_KEPT)

    def answer(self, method: str, path: Sequence[str], payload: Json | None, ticket: Ticket) -> Outcome | None:
        """Answer a call below `v1/batches`; None when there is no such call."""
        match (method, path):
            case ("POST", []):
                return self._create(payload or {}, ticket)
            case ("GET", []):
                shown = [self._shown(each, ticket.wall) for each in self._shelf.latest()]
                ends = (shown[0]["id"], shown[-1]["id"]) if shown else (None, None)
                page = {"object": "list", "data": shown, "first_id": ends[0], "last_id": ends[1], "has_more": False}
                return Whole(encode(page))
            case (_, [name, *rest]):
                batch = self._shelf.get(name)
                return _no_batch(name) if batch is None else self._on(batch, method, rest, ticket.wall)
            case _:
                return None

    def _on(self, batch: _Batch, method: str, rest: Sequence[str], now: float) -> Outcome | None:
        match (method, rest):
            case ("GET", []):
                return Whole(encode(self._shown(batch, now)))
            case ("POST", ["cancel"]):
                if batch.complaints or batch.work.ended is not None:
                    status = self._shown(batch, now)["status"]
                    return Problem(409, f"Cannot cancel a batch with status '{status}'.", "invalid_request_error")
                batch.cancelling = batch.cancelling or now
                shown = self._shown(batch, now)
                batch.work.stop()
                return Whole(encode(shown))
            case _:
                return None

    def _create(self, payload: Json, ticket: Ticket) -> Outcome:
        for name in ("input_file_id", "endpoint", "completion_window"):
            if payload.get(name) is None:
                return invalid(f"Missing required parameter: '{name}'.", "missing_required_parameter", name)
        if payload["endpoint"] not in ENDPOINTS:
            known = ", ".join(f"'{each}'" for each in ENDPOINTS)
            text = f"Invalid value: '{payload['endpoint']}'. Supported values are: {known}."
            return invalid(text, "invalid_value", "endpoint")
        if payload["completion_window"] != "24h":
            text = f"Invalid value: '{payload['completion_window']}'. Value must be '24h'."
            return invalid(text, "invalid_value", "completion_window")
        file = self._files.get(str(payload["input_file_id"]))
        if file is None or file.purpose != "batch":
            return invalid(
                f"File '{payload['input_file_id']}' not found or not of purpose 'batch'.", None, "input_file_id"
            )
        return Whole(encode(self._shown(self._begun(payload, file, ticket), ticket.wall)))

    def _begun(self, payload: Json, file: StoredFile, ticket: Ticket) -> _Batch:
        lines = [line for line in file.content.splitlines() if line.strip()]
        complaints = _complaints(lines, str(payload["endpoint"]))
        requests = [] if complaints else [json_object(line) or {} for line in lines]
        batch = _Batch(
            f"batch_{ticket.hex(32, 'batch')}",
            file,
            str(payload["endpoint"]),
            payload.get("metadata"),
            ticket,
            complaints,
            str(members(requests[0].get("body")).get("model")) if requests else None,
            Work(requests, lambda line: self._result(line, ticket), ticket.wall),
        )
        self._shelf.put(batch.id, batch)
        return batch

    def _result(self, line: Json, ticket: Ticket) -> Json:
        digest = blake2b(ticket.digest + str(line["custom_id"]).encode(), digest_size=32).digest()
        own = replace(ticket, digest=digest)
        status, request_id, body = self._run(str(line["url"]), members(line.get("body")), own)
        return {
            "id": f"batch_req_{own.hex(32, 'batch request')}",
            "custom_id": line["custom_id"],
            "response": {"status_code": status, "request_id": request_id, "body": body},
            "error": None,
        }

    def _shown(self, batch: _Batch, now: float) -> Json:
        batch.work.advance(now)
        if batch.work.ended is not None and not batch.complaints:
            self._write(batch)
        status = _status(batch)
        created, ended = int(batch.ticket.wall), batch.work.ended
        failed = sum(not _is_good(line) for line in batch.work.done)
        counts = {"total": len(batch.work.lines), "completed": len(batch.work.done) - failed, "failed": failed}
        return {
            "id": batch.id,
            "object": "batch",
            "endpoint": batch.endpoint,
            "model": batch.model,
            "errors": {"object": "list", "data": batch.complaints} if batch.complaints else None,
            "input_file_id": batch.file.id,
            "completion_window": "24h",
            "status": status,
            "output_file_id": batch.output,
            "error_file_id": batch.errors,
            "created_at": created,
            "in_progress_at": None if status in ("validating", "failed") else created,
            "expires_at": created + _DAY,
            "finalizing_at": int(ended) if status == "completed" and ended else None,
            "completed_at": int(ended) if status == "completed" and ended else None,
            "failed_at": int(ended) if status == "failed" and ended else None,
            "expired_at": None,
            "cancelling_at": None if batch.cancelling is None else int(batch.cancelling),
            "cancelled_at": int(ended) if status == "cancelled" and ended else None,
            "request_counts": counts,
            "metadata": batch.metadata,
        }

    def _write(self, batch: _Batch) -> None:
        """Write what came out, once: good answers to one file, the others to another."""
        if batch.output is not None or batch.errors is not None or batch.work.ended is None:
            return
        good = [line for line in batch.work.done if _is_good(line)]
        bad = [line for line in batch.work.done if not _is_good(line)]
        ended = batch.work.ended
        if good:
            made = self._files.make(f"{batch.id}_output.jsonl", "batch_output", _jsonl(good), batch.ticket, ended)
            batch.output = made.id
        if bad:
            made = self._files.make(f"{batch.id}_error.jsonl", "batch_output", _jsonl(bad), batch.ticket, ended)
            batch.errors = made.id


def _status(batch: _Batch) -> str:
    if batch.work.ended is None:
        if batch.cancelling is not None:
            return "cancelling"
        return "in_progress" if batch.work.done else "validating"
    if batch.complaints:
        return "failed"
    return "completed" if batch.cancelling is None else "cancelled"


def _complaints(lines: Sequence[bytes], endpoint: str) -> list[Json]:
    """Return what is wrong with the file as a whole; then nothing of it is done."""
    if not lines:
        return [_complaint("empty_file", "The input file is empty.", None)]
    if len(lines) > _MOST_LINES:
        return [_complaint("too_many_tasks", f"The batch has more than {_MOST_LINES} requests.", None)]
    found: list[Json] = []
    known: set[object] = set()
    models: set[object] = set()
    for number, line in enumerate(lines, start=1):
        request = json_object(line)
        if request is None:
            found.append(_complaint("invalid_json_line", "This line is not parseable as valid JSON.", number))
            continue
        models.add(members(request.get("body")).get("model"))
        if request.get("custom_id") is None:
            found.append(_complaint("missing_required_parameter", "Missing required parameter: 'custom_id'.", number))
        elif request["custom_id"] in known:
            text = "The custom_id for this request is a duplicate of another request."
            found.append(_complaint("duplicate_custom_id", text, number, "custom_id"))
        elif request.get("method") != "POST" or request.get("url") != endpoint:
            text = "The URL provided for this request does not match the batch endpoint."
            found.append(_complaint("invalid_url", text, number, "url"))
        known.add(request.get("custom_id"))
    if len(models) > 1 and not found:
        found.append(_complaint("mismatched_model", "All requests of a batch must name the same model.", None, "model"))
    return found


def _complaint(code: str, text: str, line: int | None, param: str | None = None) -> Json:
    return {"code": code, "message": text, "param": param, "line": line}


def _is_good(line: Json) -> bool:
    return line["response"]["status_code"] == 200


def _jsonl(lines: Sequence[Json]) -> bytes:
    return b"".join(encode(line) + b"\n" for line in lines)


def _no_batch(name: str) -> Problem:
    return Problem(404, f"No batch found with id '{name}'.", "invalid_request_error")
