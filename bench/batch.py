"""One batch of 50,000 lines through the running system: up as a file, fed, answered, and its results read."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Final

import httpx

from bench import load
from bench.system import Bench

LINES: Final = 50_000
"""The most that a batch may have."""
_PATH: Final = "/v1/chat/completions"
_WITHIN_S: Final = 1_800.0
_LOOK_S: Final = 0.25
_OVER: Final = ("completed", "failed", "expired", "cancelled")
_OPEN: Final = "SELECT coalesce(max(submitted - completed - failed), 0) FROM ingest.batches WHERE ended_at_ms IS NULL"


@dataclass(frozen=True, slots=True)
class Batched:
    """How a batch went."""

    seconds: float
    most_open: int
    lost: int
    """Lines without a result."""
    doubled: int
    """Results and outcomes beyond one for each line."""
    failed: int
    """Lines that were not answered."""
    adds_up: bool
    """Whether the batch's own counts are those of its results."""


async def run(bench: Bench) -> Batched:
    """Create the batch, wait for its end and read its results."""
    settled = await bench.outcomes()
    headers = {"authorization": f"Bearer {bench.key}"}
    async with httpx.AsyncClient(base_url=bench.url, headers=headers, timeout=60) as door:
        file = await _told(door.post("/v1/files", data={"purpose": "batch"}, files={"file": ("in.jsonl", _lines())}))
        began = time.perf_counter()
        batch, most_open = await _over(door, bench, file["id"])
        took = time.perf_counter() - began
        results = [line for name in ("output_file_id", "error_file_id") for line in await _results(door, batch[name])]
    seen = Counter(line["custom_id"] for line in results)
    good = sum(line["response"] is not None and line["response"]["status_code"] == 200 for line in results)
    adds_up = batch["request_counts"] == {"total": LINES, "completed": good, "failed": LINES - good}
    return Batched(
        seconds=took,
        most_open=most_open,
        lost=LINES - len(seen),
        doubled=len(results) - len(seen) + max(0, await bench.outcomes() - settled - LINES),
        failed=LINES - good,
        adds_up=adds_up,
    )


async def _over(door: httpx.AsyncClient, bench: Bench, file: str) -> tuple[dict[str, Any], int]:
    """The batch at its end, and how many of its lines were open at the most."""
    asked = {"input_file_id": file, "endpoint": _PATH, "completion_window": "24h"}
    batch, most_open = await _told(door.post("/v1/batches", json=asked)), 0
    async with asyncio.timeout(_WITHIN_S):
        while batch["status"] not in _OVER:
            await asyncio.sleep(_LOOK_S)
            most_open = max(most_open, await bench.postgres.fetchval(_OPEN))
            batch = await _told(door.get(f"/v1/batches/{batch['id']}"))
    return batch, most_open


def _lines() -> bytes:
    body = load.body()
    return "\n".join(
        f'{{"custom_id":"line-{number}","method":"POST","url":"{_PATH}","body":{body}}}' for number in range(LINES)
    ).encode()


async def _told(asked: Awaitable[httpx.Response]) -> dict[str, Any]:
    response = await asked
    response.raise_for_status()
    return response.json()


async def _results(door: httpx.AsyncClient, file: str | None) -> list[dict[str, Any]]:
    if file is None:
        return []
    content = await door.get(f"/v1/files/{file}/content")
    content.raise_for_status()
    return [json.loads(line) for line in content.content.splitlines()]
