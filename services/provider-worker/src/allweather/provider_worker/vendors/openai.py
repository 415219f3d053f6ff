"""OpenAI Chat Completions: the caller's own dialect, passed on."""

from collections.abc import Mapping

from allweather.contracts.slip import Capability
from allweather.dialects.lenient import Json
from allweather.provider_worker import openai_wire
from allweather.provider_worker.wire import Answer, HttpRequest, HttpResponse, StreamReader, Target

RENAMED = {"max_tokens": "max_completion_tokens"}
"""The old name is refused by reasoning models and means the same. Everything else is OpenAI's to accept or refuse."""


class OpenAi:
    capabilities = frozenset(Capability)
    rate_headers = openai_wire.RATE_HEADERS

    def authorization(self, secret: str) -> Mapping[str, str]:
        return {"authorization": f"Bearer {secret}"}

    def request(self, body: Json, target: Target, *, stream: bool) -> HttpRequest:
        url = openai_wire.join(target.endpoint, "/v1/chat/completions")
        return HttpRequest(url, openai_wire.encode(body, target.deployment.model, stream=stream, renamed=RENAMED))

    def answer(self, response: HttpResponse) -> Answer:
        return openai_wire.answer(response)

    def stream(self, received_at_ms: int) -> StreamReader:
        return openai_wire.ChatStream(received_at_ms)
