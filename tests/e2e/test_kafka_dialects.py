"""The same bodies as at the HTTP doors, in records: the reply comes in the dialect of its request."""

import json
from typing import Any
from uuid import uuid4

import pytest

from allweather.contracts import headers
from allweather.contracts.slip import Dialect
from allweather.drills.clients import KafkaClient
from allweather.drills.stage import TENANT, Stage

HELLO = [{"role": "user", "content": "[[say Good morning.]]"}]


async def outcome(on: Stage, dialect: Dialect, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """The status and the body of the reply to a record in that dialect."""
    client = KafkaClient(on.broker.publisher, TENANT, on.journal, {headers.DIALECT: dialect})
    request = await client.send(f"kafka-{uuid4()}", body)
    assert await on.settled(30, [request]) == set()
    row = await on.postgres.fetchrow("SELECT settled, reply FROM router.outcomes WHERE request_id = $1", request)
    assert row is not None
    return json.loads(row["settled"])["status"], json.loads(row["reply"])


@pytest.mark.parametrize("vendor", ["anthropic", "openai", "vertex"])
async def test_a_record_is_answered_in_its_own_dialect(on: Stage, vendor: str) -> None:
    model = f"only-{vendor}"

    _, chat = await outcome(on, Dialect.OPENAI_CHAT, {"model": model, "messages": HELLO})
    _, response = await outcome(on, Dialect.OPENAI_RESPONSES, {"model": model, "input": HELLO})
    _, message = await outcome(on, Dialect.ANTHROPIC_MESSAGES, {"model": model, "max_tokens": 99, "messages": HELLO})

    assert chat["choices"][0]["message"]["content"] == "Good morning."
    [said] = [item for item in response["output"] if item["type"] == "message"]
    assert said["content"][0]["text"] == "Good morning."
    assert response["store"] is False, "a record's answer is kept under its id, by no vendor"
    assert message["content"][0]["text"] == "Good morning."


async def test_a_record_cannot_ask_to_be_kept_as_a_response(on: Stage) -> None:
    body = {"model": "only-openai", "input": HELLO, "store": True}

    status, reply = await outcome(on, Dialect.OPENAI_RESPONSES, body)

    assert (status, reply["error"]["param"]) == (400, "store")
