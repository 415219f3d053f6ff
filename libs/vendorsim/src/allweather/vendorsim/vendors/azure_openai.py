"""Azure OpenAI: one resource per region; Chat Completions, Responses and Embeddings, by deployment or by body."""

from collections.abc import Iterator, Sequence

from allweather.vendorsim.answers import Answer, Finish
from allweather.vendorsim.catalogue import (
    AZURE_DEPLOYMENTS,
    AZURE_EMBEDDERS,
    AZURE_EMBEDDING_REGIONS,
    AZURE_REGIONS,
)
from allweather.vendorsim.dialects import chat_answer, embeddings, gpt_chat, responses_answer
from allweather.vendorsim.dialects.responses import House, Responses
from allweather.vendorsim.memory import PromptCache
from allweather.vendorsim.vendors import azure_words as words
from allweather.vendorsim.wire import (
    Call,
    Failure,
    Frame,
    FrameKind,
    Json,
    Operation,
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
        self._responses: dict[str, Responses] = {}
        """By region: a response is known where it was made, and nowhere else."""

    def read(self, request: Request) -> Call:
        region, _, path = request.path.partition("/")
        operation, deployment = _operation(request.method, path)
        payload = json_object(request.body) if request.method == "POST" and operation != "unknown" else None
        if deployment is None and payload is not None and operation != "stored":
            deployment = str(payload.get("model"))
        model = AZURE_DEPLOYMENTS.get(deployment or "") or AZURE_EMBEDDERS.get(deployment or "")
        target = Target(self.name, region, deployment, model.id if model else None)
        return Call(request, target, operation, payload, bool(payload and payload.get("stream")))

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

    def interrupt(self, problem: Problem, call: Call, ticket: Ticket, sent: int, /) -> list[Frame]:
        match call.operation:
            case "responses":
                model = AZURE_DEPLOYMENTS[str(call.target.deployment)]
                begun = responses_answer.skeleton(call.payload or {}, model, ticket, "in_progress")
            case "stored":
                begun = self._in(call).kept(_stored_path(call)[0])
            case _:
                return [Frame(FrameKind.END, chat_answer.sse(words.error(problem)))]
        return responses_answer.interruption(problem, begun, sent, nested=ticket.digest[0] % 2 == 0)

    def _in(self, call: Call) -> Responses:
        return self._responses.setdefault(str(call.target.region), Responses())

    def _outcome(self, call: Call, ticket: Ticket) -> Outcome:
        if call.operation == "stored":
            name, *rest = _stored_path(call)
            found = self._in(call).about(call.request.method, name, rest, call.request.query, ticket.wall)
            return found or words.not_found()
        if call.payload is None:
            return words.not_json()
        if call.operation == "embeddings":
            return embeddings.answer({"model": None, **call.payload}, AZURE_EMBEDDERS[str(call.target.deployment)])
        model = AZURE_DEPLOYMENTS[str(call.target.deployment)]
        refused = words.filtered({**_SAFE_PROMPT, **_VIOLENT})
        if call.operation == "responses":
            house = House(f"{self.name}/{call.target.region}", refused, _mark_response)
            return self._in(call).create(call.payload, model, house, ticket)
        return gpt_chat.answer(
            call.payload,
            model,
            ticket,
            self._cache,
            mark=_mark,
            refused=refused,
            opening=(_OPENING,),
            late=_late_verdicts,
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


def _late_verdicts(head: Json, answers: Sequence[Answer]) -> Iterator[Frame]:
    """Yield what the asynchronous filter says after the finish reason: chunks without a delta."""
    for number, answer in enumerate(answers):
        if "offsets" in answer.marks:
            end = len(answer.text)
            offsets = {"check_offset": end, "start_offset": 0, "end_offset": end}
            verdict = {"content_filter_results": _SAFE, "content_filter_offsets": offsets}
            choice = {"index": number, "finish_reason": None, "logprobs": None, **verdict}
            chunk = {**head, "object": "chat.completion.chunk", "choices": [choice]}
            yield Frame(FrameKind.CLOSING, chat_answer.sse(chunk))


def _mark_response(body: Json, answer: Answer) -> None:
    """Put the filter's verdicts on a finished response."""
    body["content_filters"] = [
        {
            "blocked": source == "completion" and answer.finish is Finish.FILTERED,
            "source_type": source,
            "content_filter_results": _SAFE_PROMPT if source == "prompt" else _judged(answer),
            "content_filter_offsets": {"start_offset": 0, "end_offset": len(answer.text), "check_offset": 0},
        }
        for source in ("prompt", "completion")
    ]


def _operation(method: str, path: str) -> tuple[Operation, str | None]:
    """Return what a path below a resource stands for, and the deployment that it names, if it is a classic one."""
    match (method, path.split("/")):
        case ("POST", ["openai", "deployments", deployment, "chat", "completions"]):
            return "chat", deployment
        case ("POST", ["openai", "deployments", deployment, "embeddings"]):
            return "embeddings", deployment
        case ("POST", ["openai", "v1", "chat", "completions"]):
            return "chat", None
        case ("POST", ["openai", "v1", "embeddings"]):
            return "embeddings", None
        case ("POST", ["openai", "v1", "responses"] | ["openai", "responses"]):
            return "responses", None
        case (_, ["openai", "v1", "responses", _, *_] | ["openai", "responses", _, *_]):
            return "stored", None
        case _:
            return "unknown", None


def _stored_path(call: Call) -> Sequence[str]:
    """Return the id of a response, and what is asked about it."""
    return call.request.path.partition("/responses/")[2].split("/")


def _misaddressed(call: Call) -> Problem | None:
    unversioned = "/openai/v1/" not in call.request.path and not call.request.query.get("api-version")
    if call.operation == "unknown" or call.target.region not in AZURE_REGIONS or unversioned:
        return words.not_found()
    deployment = call.target.deployment
    if deployment is None:
        return None
    if call.operation == "embeddings":
        known = deployment in AZURE_EMBEDDERS and call.target.region in AZURE_EMBEDDING_REGIONS
    else:
        known = deployment in AZURE_DEPLOYMENTS
    return None if known else words.no_deployment()
