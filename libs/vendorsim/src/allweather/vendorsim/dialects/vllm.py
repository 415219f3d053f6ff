"""Chat Completions as vLLM serves an open model: lenient about what it does not know, exact about what does not fit."""

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from allweather.vendorsim.answers import Answer, Ask, Finish, pieces, variants
from allweather.vendorsim.catalogue import OPENSOURCE, Model
from allweather.vendorsim.dialects import chat, chat_answer
from allweather.vendorsim.wire import (
    Frame,
    Json,
    Outcome,
    Problem,
    Streamed,
    Ticket,
    Usage,
    Whole,
    encode,
    items,
    members,
)

_EFFORTS = ("low", "medium", "high")


def answer(payload: Json, ticket: Ticket) -> Outcome:
    """Check the little that vLLM checks (members it does not know are ignored), and answer."""
    if (problem := _check(payload)) is not None:
        return problem
    model = OPENSOURCE[str(payload["model"])]
    effort = payload.get("reasoning_effort")
    tokens = chat.EFFORT_TOKENS[effort] if effort else 0
    ask = chat.read_ask(payload, model.id, reasoning_tokens=tokens, reasons=True)
    answers = [_in_words(each) for each in variants(ask, chat.choices_wanted(payload))]
    if (problem := _too_long(ask, answers, model)) is not None:
        return problem
    spent = chat_answer.usage_of(ask, answers)
    if payload.get("stream"):
        return Streamed(_frames(payload, answers, model, spent, ticket), spent)
    return Whole(encode(_completion(payload, answers, model, spent, ticket)), spent)


def _in_words(answer: Answer) -> Answer:
    """A bare model has no filter: it declines in plain text. A call that the parser does not know is text, too."""
    if answer.finish is Finish.REFUSED:
        return Answer(Finish.STOP, chat_answer.REFUSAL_PIECES)
    if "malformed" in answer.marks and answer.calls:
        calls = "".join(f'<tool_call>{{"name": "{call.name}", "arguments": {call.arguments}}}' for call in answer.calls)
        text = pieces(calls)
        return replace(answer, finish=Finish.STOP, pieces=text, calls=(), tool_tokens=0)
    return replace(answer, finish=Finish.STOP) if answer.finish is Finish.FILTERED else answer


def _completion(payload: Json, answers: Sequence[Answer], model: Model, spent: Usage, ticket: Ticket) -> Json:
    choices: list[Json] = []
    top = chat.top_logprobs(payload)
    for number, each in enumerate(answers):
        message: Json = {
            "refusal": None,
            "annotations": None,
            "audio": None,
            "function_call": None,
            "tool_calls": chat_answer.tool_calls(each, number, _tool_ids(ticket)),
            "reasoning": "".join(each.thought) or None,
        }
        logprobs = None if top is None else chat_answer.logprobs_of(each, top)
        choice = chat_answer.choice(each, number, message, _finish(payload, each), logprobs)
        choices.append({**choice, "stop_reason": each.stop_sequence, "token_ids": None})
    body = chat_answer.completion(_head(ticket, model), choices, _usage(spent))
    nothing = dict.fromkeys(("service_tier", "system_fingerprint", "prompt_logprobs", "prompt_token_ids"))
    return {**body, **nothing, "kv_transfer_params": None}


def _frames(payload: Json, answers: Sequence[Answer], model: Model, spent: Usage, ticket: Ticket) -> Iterator[Frame]:
    head = _head(ticket, model)
    made: list[Iterator[chat_answer.Chunk]] = []
    for number, each in enumerate(answers):
        closing = {"stop_reason": each.stop_sequence}
        manner = chat_answer.Manner(_tool_ids(ticket), None, closing, chat.top_logprobs(payload), thinks_aloud=True)
        made.append(chat_answer.chunks(each, number, head, _finish(payload, each), manner))
    for kind, chunk, tokens in made[0] if len(made) == 1 else chat_answer.woven(made):
        yield Frame(kind, chat_answer.sse(chunk), tokens)
    if chat.includes_usage(payload):
        kind, chunk, tokens = chat_answer.usage_chunk(head, _usage(spent))
        yield Frame(kind, chat_answer.sse(chunk), tokens)
    yield chat_answer.DONE


def _finish(payload: Json, answer: Answer) -> str:
    if answer.finish is Finish.FAILED:
        return "abort"
    return chat_answer.finish_reason(answer, forced=chat.forced_by_name(payload))


def _head(ticket: Ticket, model: Model) -> Json:
    return {"id": f"chatcmpl-{ticket.hex(32, 'id')}", "created": int(ticket.wall), "model": model.id}


def _tool_ids(ticket: Ticket) -> chat_answer.ToolIds:
    return lambda number, place: f"chatcmpl-tool-{ticket.hex(32, f'tool/{number}/{place}')}"


def _usage(spent: Usage) -> Json:
    return {
        "prompt_tokens": spent.input_tokens,
        "total_tokens": sum(spent),
        "completion_tokens": spent.output_tokens,
        "prompt_tokens_details": None,
    }


def _check(payload: Json) -> Problem | None:
    for name in ("messages", "model"):
        if payload.get(name) is None:
            text = f"[{{'type': 'missing', 'loc': ('body', '{name}'), 'msg': 'Field required'}}]"
            return Problem(400, text, "Bad Request", code=400)
    messages = items(payload["messages"])
    if not messages:
        return _bad("list object has no element 0")
    if any(members(part).get("type") == "image_url" for each in messages for part in _parts(each)):
        return _bad(f"{payload['model']} is not a multimodal model")
    effort = payload.get("reasoning_effort")
    if effort is not None and effort not in _EFFORTS:
        return _bad(f"reasoning_effort: Input should be 'low', 'medium' or 'high', got '{effort}'")
    if (payload.get("top_logprobs") or 0) and not payload.get("logprobs"):
        return _bad("when using `top_logprobs`, `logprobs` must be set to true.")
    return _badly_chosen(payload)


def _parts(message: object) -> Sequence[object]:
    content = members(message).get("content")
    return () if isinstance(content, str) else items(content)


def _badly_chosen(payload: Json) -> Problem | None:
    choice = payload.get("tool_choice")
    if choice in (None, "none"):
        return None
    if not payload.get("tools"):
        return _bad("When using `tool_choice`, `tools` must be set.")
    names = [members(members(tool).get("function")).get("name") for tool in items(payload["tools"])]
    named = members(members(choice).get("function")).get("name")
    if named is None or named in names:
        return None
    return _bad("The tool specified in `tool_choice` does not match any of the specified `tools`")


def _too_long(ask: Ask, answers: Sequence[Answer], model: Model) -> Problem | None:
    wanted = ask.max_tokens or 0
    asked = model.window + 1 if answers[0].finish is Finish.WINDOW else ask.input_tokens
    if asked + wanted <= model.window:
        return None
    return _bad(
        f"This model's maximum context length is {model.window} tokens. However, you requested "
        f"{asked + wanted} tokens ({asked} in the messages, {wanted} in the completion). Please "
        "reduce the length of the messages or completion."
    )


def _bad(text: str) -> Problem:
    return Problem(400, text, "BadRequestError", 400)
