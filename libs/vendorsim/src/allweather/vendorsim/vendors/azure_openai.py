"""Azure OpenAI: one resource per region; each operation by deployment (classic) or by body (v1)."""

from collections.abc import Sequence

from allweather.vendorsim.answers import Answer, Finish
from allweather.vendorsim.catalogue import AZURE_DEPLOYMENTS, AZURE_REGIONS
from allweather.vendorsim.dialects import chat_answer, gpt_chat
from allweather.vendorsim.memory import PromptCache
from allweather.vendorsim.vendors import azure_words as words
from allweather.vendorsim.wire import (
    Call,
    Failure,
    Frame,
    FrameKind,
    Json,
    Outcome,
    Problem,
    Reply,
    Request,
    Stream,
    Streamed,
    Target,
    Ticket,
    Whole,
    encode,
    items,
    json_object,
    members,
)

_SAFE: Json = {name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")}
_SAFE_PROMPT: Json = {"jailbreak": {"filtered": False, "detected": False}, **_SAFE}
_SAFE_ANSWER: Json = {
    **_SAFE,
    "protected_material_code": {"filtered": False, "detected": False},
    "protected_material_text": {"filtered": False, "detected": False},
}
_VIOLENT: Json = {"violence": {"filtered": True, "severity": "medium"}}
_PROMPT_RESULTS = [{"prompt_index": 0, "content_filter_results": _SAFE_PROMPT}]
_OPENING = Frame(
    FrameKind.FRAMING,
    chat_answer.sse(
        {"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": _PROMPT_RESULTS}
    ),
)


class AzureOpenAI:
    name = "azure-openai"

    def __init__(self) -> None:
        self._cache = PromptCache()

    def read(self, request: Request) -> Call:
        region, _, path = request.path.partition("/")
        deployment = _deployment_in(path)
        known = request.method == "POST" and (deployment is not None or path == "openai/v1/chat/completions")
        payload = json_object(request.body) if known else None
        if known and deployment is None and payload is not None:
            deployment = str(payload.get("model"))
        model = AZURE_DEPLOYMENTS.get(deployment or "")
        target = Target(self.name, region, deployment, model.id if model else None)
        return Call(request, target, "chat" if known else "unknown", payload, bool(payload and payload.get("stream")))

    def respond(self, call: Call, ticket: Ticket) -> Reply | Stream:
        outcome = words.unauthorized(call.request) or _misaddressed(call) or self._outcome(call, ticket)
        headers = [*words.headers(call, ticket), (b"x-ms-rai-invoked", b"true")]
        match outcome:
            case Whole(body=body, usage=usage, content_type=content_type):
                return Reply(200, [*headers, (b"content-type", content_type)], body, usage)
            case Streamed(frames=frames, usage=usage):
                return Stream([*headers, (b"content-type", b"text/event-stream; charset=utf-8")], frames, usage)
            case problem:
                return self.render(problem, call, ticket)

    def problem(self, failure: Failure, call: Call, /) -> Problem:
        return words.problem_of(failure, call)

    def render(self, problem: Problem, call: Call, ticket: Ticket, /) -> Reply:
        headers = [*words.headers(call, ticket), (b"content-type", b"application/json"), *words.retry_headers(problem)]
        return Reply(problem.status, headers, encode(words.error(problem)))

    def interrupt(self, problem: Problem, _call: Call, _ticket: Ticket, _sent: int, /) -> list[Frame]:
        return [Frame(FrameKind.END, chat_answer.sse(words.error(problem)))]

    def _outcome(self, call: Call, ticket: Ticket) -> Outcome:
        if call.payload is None:
            return words.not_json()
        return gpt_chat.answer(
            call.payload,
            AZURE_DEPLOYMENTS[str(call.target.deployment)],
            ticket,
            self._cache,
            mark=_mark,
            refused=words.filtered({**_SAFE_PROMPT, **_VIOLENT}),
            opening=(_OPENING,),
        )


def _mark(body: Json, kind: FrameKind | None, answers: Sequence[Answer]) -> None:
    """Put the filter's verdicts on a whole completion, or on a chunk of that kind."""
    for choice in map(members, items(body["choices"])):
        answer = answers[int(choice["index"])]
        if kind is None or (kind is FrameKind.FINISH and answer.finish is Finish.FILTERED):
            choice["content_filter_results"] = _judged(answer)
        else:
            choice["content_filter_results"] = _SAFE if kind is FrameKind.CONTENT else {}
    if kind is None:
        body["prompt_filter_results"] = _PROMPT_RESULTS


def _judged(answer: Answer) -> Json:
    return {**_SAFE_ANSWER, **_VIOLENT} if answer.finish is Finish.FILTERED else _SAFE_ANSWER


def _deployment_in(path: str) -> str | None:
    """Return the deployment that a classic path names."""
    match path.split("/"):
        case ["openai", "deployments", deployment, "chat", "completions"]:
            return deployment
        case _:
            return None


def _misaddressed(call: Call) -> Problem | None:
    classic = "/deployments/" in call.request.path
    unversioned = classic and not call.request.query.get("api-version")
    if call.operation == "unknown" or call.target.region not in AZURE_REGIONS or unversioned:
        return words.not_found()
    if call.target.deployment is not None and call.target.deployment not in AZURE_DEPLOYMENTS:
        return words.no_deployment()
    return None
