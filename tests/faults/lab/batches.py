"""A batch beside the load: created with the official SDK, and its results held against its lines."""

import asyncio
import json
from collections import Counter
from typing import Any, Final

import openai
from lab.lab import Lab

_PATH: Final = "/v1/chat/completions"
_LOOK_S: Final = 0.25
_OVER: Final = frozenset({"completed", "failed", "expired", "cancelled"})


async def begun(lab: Lab, lines: int) -> str:
    """The id of a new batch of so many lines."""
    body = {"model": "triage", "messages": [{"role": "user", "content": "My espresso machine leaks."}]}
    written = [{"custom_id": f"n{n}", "method": "POST", "url": _PATH, "body": body} for n in range(lines)]
    content = "\n".join(map(json.dumps, written)).encode()
    file = await lab.stage.sdk.files.create(file=("in.jsonl", content), purpose="batch")
    batch = await lab.stage.sdk.batches.create(input_file_id=file.id, endpoint=_PATH, completion_window="24h")
    return batch.id


async def ended(lab: Lab, name: str, lines: int, within: float) -> None:
    """Wait for the end of a batch, and require that each of its lines has one result."""
    batch = await _over(lab, name, within)
    lab.figures.require(f"a batch of {lines} lines is over within {within:g} s", kept=batch is not None)
    if batch is None:
        return
    results = [line for file in (batch.output_file_id, batch.error_file_id) for line in await _results(lab, file)]
    seen = Counter(line["custom_id"] for line in results)
    counts = batch.request_counts
    lab.figures.require("no line of a batch is lost", kept=len(seen) == lines)
    lab.figures.require("no line of a batch is doubled", kept=len(results) == len(seen))
    lab.figures.require("a batch's counts add up", kept=counts.completed + counts.failed == counts.total == lines)


async def _over(lab: Lab, name: str, within: float) -> Any:
    """The batch at its end; None when that does not come in time. While the door is away, ask again."""
    try:
        async with asyncio.timeout(within):
            while True:
                await asyncio.sleep(_LOOK_S)
                try:
                    batch = await lab.stage.sdk.batches.retrieve(name)
                except openai.APIConnectionError:
                    continue
                if batch.status in _OVER:
                    return batch
    except TimeoutError:
        return None


async def _results(lab: Lab, file: str | None) -> list[dict[str, Any]]:
    if file is None:
        return []
    content = await lab.stage.sdk.files.content(file)
    return [json.loads(line) for line in content.text.splitlines()]
