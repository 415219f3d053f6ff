"""Azure OpenAI: OpenAI's formats below a deployment's address, with content filters around them."""

from collections.abc import Mapping, Sequence
from typing import Final

from allweather.contracts.answers import Answer, Begun, Event, Finished, Refused
from allweather.contracts.config import Deployment
from allweather.contracts.conversation import Conversation, Finish
from allweather.contracts.failures import FailureKind
from allweather.contracts.slip import Capability, Dialect, Parameter
from allweather.dialects.lenient import Json, children
from allweather.provider_worker import chat_body, openai_wire, parameters, responses_wire
from allweather.provider_worker.embeddings_wire import CompatibleEmbedder
from allweather.provider_worker.parameters import NATIVE, TRANSLATED, Fate, emulated
from allweather.provider_worker.reading import complete
from allweather.provider_worker.wire import (
    NOTHING_IN_HEADERS,
    Failed,
    HttpRequest,
    HttpResponse,
    Native,
    ServerSentEvent,
    StreamReader,
    Target,
)

API_VERSION = "2024-10-21"
CHAT: Final = "chat/completions"
RENAMED = {"max_tokens": "max_completion_tokens"}
"""As for OpenAI: the old name is refused by reasoning models and means the same."""
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
CODES: Mapping[str, FailureKind] = {
    **openai_wire.CODES,
    "429": FailureKind.RATE_LIMITED,
    "RateLimitReached": FailureKind.RATE_LIMITED,
    "DeploymentNotFound": FailureKind.MISCONFIGURED,
    "401": FailureKind.AUTH_FAILED,
}
BLOCKED = "Azure's content filter blocked the prompt."


class _Chat:
    api_headers = NOTHING_IN_HEADERS

    def forward(self, body: bytes, target: Target, *, stream: bool) -> HttpRequest:
        sent = openai_wire.forwarded(body, target.deployment.model, stream=stream, renamed=RENAMED)
        return HttpRequest(_url(target, CHAT), sent)

    def answer(self, response: HttpResponse) -> Answer:
        """As OpenAI's; a prompt that the filter blocked (HTTP 400) is answered by a refusal."""
        try:
            return openai_wire.answer(response, CODES)
        except Failed as error:
            if error.failure.kind is not FailureKind.REFUSED:
                raise
            return _blocked(response)

    def stream(self, received_at_ms: int) -> StreamReader:
        return _Stream(received_at_ms, CODES)


class AzureOpenAi(_Chat):
    capabilities = frozenset(Capability)
    parameters = PARAMETERS
    rate_headers = openai_wire.RATE_HEADERS
    embedder = CompatibleEmbedder(lambda target: _url(target, "embeddings"), CODES)

    def __init__(self) -> None:
        self.natives: Mapping[Dialect, Native] = {
            Dialect.OPENAI_CHAT: _Chat(),
            Dialect.OPENAI_RESPONSES: _Responses(),
        }

    def authorization(self, secret: str) -> Mapping[str, str]:
        return {"api-key": secret}

    def unsupported(self, conversation: Conversation, deployment: Deployment) -> str | None:
        return parameters.check(conversation, deployment, PARAMETERS)

    def request(self, conversation: Conversation, target: Target, *, stream: bool) -> HttpRequest:
        body = chat_body.body(conversation, target.deployment.model, EFFORTS)
        return HttpRequest(_url(target, CHAT), openai_wire.asked(body, stream=stream))


class _Responses:
    """Below the newer address, in which the body's model is the name of the deployment."""

    api_headers = NOTHING_IN_HEADERS

    def forward(self, body: bytes, target: Target, *, stream: bool) -> HttpRequest:
        name = target.deployment.deployment_name or target.deployment.model
        url = f"{target.endpoint.rstrip('/')}/openai/v1/responses"
        return HttpRequest(url, responses_wire.forwarded(body, name, target, stream=stream))

    def answer(self, response: HttpResponse) -> Answer:
        try:
            return responses_wire.answer(response, CODES)
        except Failed as error:
            if error.failure.kind is not FailureKind.REFUSED:
                raise
            return _blocked(response)

    def stream(self, received_at_ms: int) -> StreamReader:
        return responses_wire.ResponsesStream(received_at_ms, CODES)


def _url(target: Target, path: str) -> str:
    deployment = target.deployment
    name = deployment.deployment_name or deployment.model
    version = deployment.api_version or API_VERSION
    return f"{target.endpoint.rstrip('/')}/openai/deployments/{name}/{path}?api-version={version}"


def _blocked(response: HttpResponse) -> Answer:
    begun = Begun(response.headers.get("apim-request-id", ""), "", response.received_at_ms // 1000)
    return complete([begun, Refused(BLOCKED), Finished(Finish.FILTERED_INPUT)])


class _Stream(openai_wire.ChatStream):
    """Keeps back chunks that hold filter results alone: an empty first one, and late ones after the finish reason."""

    def read(self, event: ServerSentEvent) -> Sequence[Event]:
        self.aside = False
        return super().read(event)

    def look(self, chunk: Json) -> None:
        choices = children(chunk, "choices")
        says = any(choice.get("delta") or choice.get("finish_reason") for choice in choices)
        self.aside = not (says or chunk.get("usage"))
