"""Clients as application teams write them: one publishes to the request topic, two use the official OpenAI SDK.

All write their journal before they ask, and all repeat a request under its key until they know its fate.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final, cast
from uuid import UUID

import msgspec
import openai
from openai import AsyncOpenAI, AsyncStream, RequestOptions
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from allweather.contracts import headers, ids, topics
from allweather.contracts.model import digest
from allweather.drills.evidence import Received
from allweather.drills.gather import answer_text
from allweather.drills.journal import Journal, now_ms
from allweather.messaging import Message, Publisher, PublishTimeout

_POLL_S: Final = 0.25


class KafkaClient:
    """Publishes requests to the tenant's topic, with `hints` as headers; the outcomes arrive on its reply topic."""

    def __init__(
        self, publisher: Publisher, tenant: str, journal: Journal, hints: Mapping[str, str] | None = None
    ) -> None:
        self._publisher = publisher
        self._tenant = tenant
        self._journal = journal
        self._hints = hints or {}

    async def send(self, key: str, body: dict[str, Any]) -> UUID:
        """Publish one request and return its id once the broker has acknowledged it."""
        request = ids.request_id(self._tenant, key)
        value = msgspec.json.encode(body)
        self._journal.sending(request, self._tenant, "kafka", digest(value))
        await self._publish(self._message(key, value))
        self._journal.told(request, "accepted")
        return request

    async def _publish(self, message: Message) -> None:
        while True:
            try:
                return await self._publisher.publish([message], timeout=5)
            except PublishTimeout:
                continue  # unknown whether it arrived: the same `ce_id` makes a second copy harmless

    def _message(self, key: str, value: bytes) -> Message:
        given = {
            headers.CONTENT_TYPE: "application/json",
            headers.CE_SPECVERSION: "1.0",
            headers.CE_ID: key,
            headers.CE_SOURCE: "/customer-care",
            headers.CE_TYPE: "ai.request.submitted",
            headers.CORRELATION_ID: key,
            **self._hints,
        }
        encoded = tuple((name, text.encode()) for name, text in given.items())
        return Message(topics.requests(self._tenant), value, key.encode(), encoded)


class HttpClient:
    """Calls the OpenAI-compatible door with the official SDK, with `hints` as headers, and waits for the answer."""

    def __init__(self, sdk: AsyncOpenAI, tenant: str, journal: Journal, hints: Mapping[str, str] | None = None) -> None:
        self._sdk = sdk
        self._tenant = tenant
        self._journal = journal
        self._hints = hints or {}

    async def send(self, key: str, body: dict[str, Any]) -> UUID:
        """Ask, under an idempotency key, until there is an answer."""
        request = ids.request_id(self._tenant, key)
        self._journal.sending(request, self._tenant, "http", digest(msgspec.json.encode(body)))
        began = now_ms()
        answer = await self._until_answered(request, key, body)
        self._journal.told(request, "accepted")
        self._journal.answered(answer, began)
        return request

    async def _until_answered(self, request: UUID, key: str, body: dict[str, Any]) -> Received:
        while True:
            try:
                return await self._ask(request, key, body)
            except openai.APIStatusError as error:
                answer = await self._after_status(request, error)
                if answer is not None:
                    return answer
            except (openai.APIConnectionError, openai.APIError):
                pass  # the door is away or the stream broke: ask again under the same key
            await asyncio.sleep(_POLL_S)

    async def _ask(self, request: UUID, key: str, body: dict[str, Any]) -> Received:
        create: Any = self._sdk.chat.completions.create  # the parameters come as one dictionary, not by overload
        answer = await create(**body, extra_headers={"Idempotency-Key": key, **self._hints})
        if not body.get("stream"):
            completion = cast("ChatCompletion", answer)
            return Received(request, 200, completion.choices[0].message.content)
        text, finished = "", False
        async for chunk in cast("AsyncStream[ChatCompletionChunk]", answer):
            for choice in chunk.choices:
                text += choice.delta.content or ""
                finished |= choice.finish_reason is not None
        return Received(request, 200, text, complete=finished)

    async def _after_status(self, request: UUID, error: openai.APIStatusError) -> Received | None:
        if error.status_code == 504 and error.code == "pending":
            return await self._fetch(request, error.response.headers["x-request-id"])
        if error.status_code >= 500:
            return None
        return Received(request, error.status_code, None)

    async def _fetch(self, request: UUID, public_id: str) -> Received | None:
        """The outcome of a request for which the door stopped waiting."""
        found = cast("dict[str, Any]", await self._sdk.get(f"/requests/{public_id}", cast_to=object))
        if found["status"] != "settled":
            return None
        reply = msgspec.json.encode(found["response"])
        return Received(request, found.get("status_code", 200), answer_text(reply))


class SubmittingClient:
    """Hands requests in at `/v1/requests`, with `hints` as headers, and does not wait for their outcomes."""

    def __init__(self, sdk: AsyncOpenAI, tenant: str, journal: Journal, hints: Mapping[str, str]) -> None:
        self._sdk = sdk
        self._tenant = tenant
        self._journal = journal
        self._hints = hints

    async def send(self, key: str, body: dict[str, Any]) -> UUID:
        """Submit one request and return its id once the door has accepted it."""
        request = ids.request_id(self._tenant, key)
        self._journal.sending(request, self._tenant, "http", digest(msgspec.json.encode(body)))
        options: RequestOptions = {"headers": {"Idempotency-Key": key, **self._hints}}
        while True:
            try:
                await self._sdk.post("/requests", cast_to=object, body=body, options=options)
                break
            except (openai.InternalServerError, openai.APIConnectionError):
                await asyncio.sleep(_POLL_S)  # not accepted, or unknown: the same key makes a second one harmless
        self._journal.told(request, "accepted")
        return request
