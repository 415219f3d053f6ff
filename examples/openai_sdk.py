"""Call Allweather with the official OpenAI SDK: nothing changes but the address and the name of the model."""

import os
import uuid

from openai import OpenAI

client = OpenAI(
    base_url=os.environ.get("ALLWEATHER_URL", "http://127.0.0.1:8400") + "/v1",
    api_key=os.environ["ALLWEATHER_KEY"],
)


def ask(question: str) -> None:
    """A plain call. The key makes a repetition harmless: the same key and body is the same request."""
    response = client.chat.completions.with_raw_response.create(
        model="triage",
        messages=[{"role": "user", "content": question}],
        extra_headers={"Idempotency-Key": str(uuid.uuid4())},
    )
    answer = response.parse().choices[0].message.content
    print(f"{response.headers['x-allweather-deployment']} answered: {answer}")  # noqa: T201 -- an example prints


def ask_streaming(question: str) -> None:
    """The same, piece by piece."""
    stream = client.chat.completions.create(
        model="triage", messages=[{"role": "user", "content": question}], stream=True
    )
    for chunk in stream:
        for choice in chunk.choices:
            print(choice.delta.content or "", end="", flush=True)  # noqa: T201 -- an example prints
    print()  # noqa: T201 -- an example prints


if __name__ == "__main__":
    ask("My espresso machine leaks from the bottom.")
    ask_streaming("Where is my parcel? Order B-2291047.")
