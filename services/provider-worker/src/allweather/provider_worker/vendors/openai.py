"""OpenAI: Chat Completions and Responses, both the callers' own dialects; other dialects as Chat Completions."""

from collections.abc import Mapping
from typing import Final

from allweather.contracts.answers import Answer
from allweather.contracts.config import Deployment
from allweather.contracts.conversation import Conversation
from allweather.contracts.slip import Capability, Dialect, Parameter
from allweather.provider_worker import chat_body, openai_wire, parameters, responses_wire
from allweather.provider_worker.embeddings_wire import CompatibleEmbedder
from allweather.provider_worker.parameters import NATIVE, TRANSLATED, Fate, emulated
from allweather.provider_worker.wire import NOTHING_IN_HEADERS, HttpRequest, HttpResponse, Native, StreamReader, Target

CHAT: Final = "/v1/chat/completions"
EMBEDDINGS: Final = "/v1/embeddings"
RENAMED = {"max_tokens": "max_completion_tokens"}
"""The old name is refused by reasoning models and means the same. Everything else is OpenAI's to accept or refuse."""
EFFORTS: Final = ("none", "low", "medium", "high", "xhigh")
PARAMETERS: Final[Mapping[str, Fate]] = {
    **parameters.BASE,
    **dict.fromkeys(Parameter, TRANSLATED),
    "seed": TRANSLATED,
    "user": TRANSLATED,
    "parallel_tools": TRANSLATED,
    "others": NATIVE,
    Parameter.NATIVE: NATIVE,
    Parameter.DOCUMENT_URLS: NATIVE,
    Parameter.TOOL_IMAGES: NATIVE,
    "thinking": emulated("a budget becomes the smallest effort that has it"),
    Parameter.TOP_K: parameters.REFUSED,
    Parameter.MANY_STOPS: parameters.REFUSED,
}


class OpenAi:
    capabilities = frozenset(Capability)
    parameters = PARAMETERS
    rate_headers = openai_wire.RATE_HEADERS
    embedder = CompatibleEmbedder(lambda target: openai_wire.join(target.endpoint, EMBEDDINGS))

    def __init__(self) -> None:
        self.natives: Mapping[Dialect, Native] = {
            Dialect.OPENAI_CHAT: _Chat(),
            Dialect.OPENAI_RESPONSES: _Responses(),
        }

    def authorization(self, secret: str) -> Mapping[str, str]:
        return {"authorization": f"Bearer {secret}"}

    def unsupported(self, conversation: Conversation, deployment: Deployment) -> str | None:
        return parameters.check(conversation, deployment, PARAMETERS)

    def request(self, conversation: Conversation, target: Target, *, stream: bool) -> HttpRequest:
        body = chat_body.body(conversation, target.deployment.model, EFFORTS)
        return HttpRequest(openai_wire.join(target.endpoint, CHAT), openai_wire.asked(body, stream=stream))

    def answer(self, response: HttpResponse) -> Answer:
        return openai_wire.answer(response)

    def stream(self, received_at_ms: int) -> StreamReader:
        return openai_wire.ChatStream(received_at_ms)


class _Chat:
    api_headers = NOTHING_IN_HEADERS

    def forward(self, body: bytes, target: Target, *, stream: bool) -> HttpRequest:
        url = openai_wire.join(target.endpoint, CHAT)
        return HttpRequest(url, openai_wire.forwarded(body, target.deployment.model, stream=stream, renamed=RENAMED))

    def answer(self, response: HttpResponse) -> Answer:
        return openai_wire.answer(response)

    def stream(self, received_at_ms: int) -> StreamReader:
        return openai_wire.ChatStream(received_at_ms)


class _Responses:
    api_headers = NOTHING_IN_HEADERS

    def forward(self, body: bytes, target: Target, *, stream: bool) -> HttpRequest:
        url = openai_wire.join(target.endpoint, "/v1/responses")
        return HttpRequest(url, responses_wire.forwarded(body, target.deployment.model, target, stream=stream))

    def answer(self, response: HttpResponse) -> Answer:
        return responses_wire.answer(response, openai_wire.CODES)

    def stream(self, received_at_ms: int) -> StreamReader:
        return responses_wire.ResponsesStream(received_at_ms, openai_wire.CODES)
