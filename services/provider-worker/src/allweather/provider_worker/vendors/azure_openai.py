"""Azure OpenAI: Chat Completions below a deployment's address, with content filters around it."""

from collections.abc import Iterable, Mapping

from allweather.contracts.failures import FailureKind
from allweather.contracts.slip import Capability
from allweather.dialects.lenient import Json, children
from allweather.provider_worker import chat, openai_wire
from allweather.provider_worker.wire import (
    Answer,
    Chunk,
    Failed,
    HttpRequest,
    HttpResponse,
    ServerSentEvent,
    StreamReader,
    Target,
)

API_VERSION = "2024-10-21"
RENAMED = {"max_tokens": "max_completion_tokens"}
"""As for OpenAI: the old name is refused by reasoning models and means the same."""
CODES: Mapping[str, FailureKind] = {
    **openai_wire.CODES,
    "429": FailureKind.RATE_LIMITED,
    "RateLimitReached": FailureKind.RATE_LIMITED,
    "DeploymentNotFound": FailureKind.MISCONFIGURED,
    "401": FailureKind.AUTH_FAILED,
}
BLOCKED = "Azure's content filter blocked the prompt."


class AzureOpenAi:
    capabilities = frozenset(Capability)
    rate_headers = openai_wire.RATE_HEADERS

    def authorization(self, secret: str) -> Mapping[str, str]:
        return {"api-key": secret}

    def request(self, body: Json, target: Target, *, stream: bool) -> HttpRequest:
        deployment = target.deployment
        name = deployment.deployment_name or deployment.model
        version = deployment.api_version or API_VERSION
        url = f"{target.endpoint.rstrip('/')}/openai/deployments/{name}/chat/completions?api-version={version}"
        return HttpRequest(url, openai_wire.encode(body, deployment.model, stream=stream, renamed=RENAMED))

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


def _blocked(response: HttpResponse) -> Answer:
    head = chat.Head(response.headers.get("apim-request-id", ""), "", response.received_at_ms // 1000)
    return chat.answer(head.completion({"refusal": BLOCKED}, "content_filter", None))


class _Stream(openai_wire.ChatStream):
    """Leaves out chunks that hold filter results alone: an empty first one, and late ones after the finish reason."""

    def read(self, event: ServerSentEvent) -> Iterable[Chunk]:
        return [chunk for chunk in super().read(event) if _says_something(chunk)]


def _says_something(chunk: Chunk) -> bool:
    choices = children(chunk, "choices")
    return bool(chunk.get("usage")) or any(choice.get("delta") or choice.get("finish_reason") for choice in choices)
