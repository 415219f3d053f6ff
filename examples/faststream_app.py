"""A FastStream application that publishes requests and consumes its reply topic."""

import asyncio
import os
import uuid
from typing import Any

from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker, KafkaMessage

BOOTSTRAP = os.environ.get("ALLWEATHER_KAFKA_BOOTSTRAP", "127.0.0.1:8410")
TENANT = "demo"
QUESTIONS = ("Does the milk carafe go in the dishwasher?", "I was charged twice.", "E07 every morning.")

broker = KafkaBroker(BOOTSTRAP)
app = FastStream(broker)
waiting: set[str] = set()


@broker.subscriber(
    f"ai.public.replies.{TENANT}.v1",
    group_id="example-faststream-app",
    auto_offset_reset="earliest",
    ack_policy=AckPolicy.NACK_ON_ERROR,  # the default acknowledges before handling: a crash would lose the reply
)
async def on_reply(answer: dict[str, Any], message: KafkaMessage) -> None:
    """Handle one reply; replies to other applications of the tenant pass by."""
    request = message.headers.get("correlation_id", "")
    if request in waiting:
        waiting.discard(request)
        print(message.headers["ai-outcome"], answer)  # noqa: T201 -- an example prints
    if not waiting:
        app.exit()


@app.after_startup
async def submit() -> None:
    """Publish the requests of this run."""
    for question in QUESTIONS:
        request = str(uuid.uuid4())
        waiting.add(request)
        await broker.publish(
            {"model": "triage", "messages": [{"role": "user", "content": question}]},
            topic=f"ai.public.requests.{TENANT}.v1",
            key=request.encode(),
            headers={"ce_id": request},
            correlation_id=request,  # echoed unchanged by the reply
        )


if __name__ == "__main__":
    asyncio.run(asyncio.wait_for(app.run(), timeout=60))
