"""Publish requests and consume their replies with aiokafka alone."""

# aiokafka comes without complete types, and an example should stay plain:
# pyright: basic, reportArgumentType=false

import asyncio
import json
import os
import uuid

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

BOOTSTRAP = os.environ.get("ALLWEATHER_KAFKA_BOOTSTRAP", "127.0.0.1:8410")
TENANT = "demo"
QUESTIONS = ("My espresso machine leaks.", "Where is my parcel?", "Please cancel my order.")


async def submit(producer: AIOKafkaProducer, question: str) -> bytes:
    """Publish one request; it is accepted when the broker has acknowledged it."""
    request = str(uuid.uuid4())
    body = {"model": "triage", "messages": [{"role": "user", "content": question}]}
    headers = {"ce_id": request, "correlation-id": request, "content-type": "application/json"}
    await producer.send_and_wait(
        f"ai.public.requests.{TENANT}.v1",
        json.dumps(body).encode(),
        key=request.encode(),
        headers=[(name, text.encode()) for name, text in headers.items()],
    )
    return request.encode()


async def collect(consumer: AIOKafkaConsumer, waiting: set[bytes]) -> None:
    """Read replies until all are there. Commit after handling: a reply is then never missed, at most seen twice."""
    while waiting:
        for records in (await consumer.getmany(timeout_ms=500)).values():
            for record in records:
                headers = dict(record.headers)
                request = headers.get("correlation-id")
                if request in waiting:  # the topic also carries replies to others of the tenant
                    waiting.discard(request)
                    print(headers["ai-outcome"].decode(), json.loads(record.value))  # noqa: T201 -- an example prints
        await consumer.commit()


async def main() -> None:
    producer = AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, acks="all", enable_idempotence=True)
    consumer = AIOKafkaConsumer(
        f"ai.public.replies.{TENANT}.v1",
        bootstrap_servers=BOOTSTRAP,
        group_id="example-plain-consumer",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    async with producer, consumer:
        waiting = {await submit(producer, question) for question in QUESTIONS}
        await asyncio.wait_for(collect(consumer, waiting), timeout=60)


if __name__ == "__main__":
    asyncio.run(main())
