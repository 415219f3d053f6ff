"""What a GPT model says in Chat Completions, wherever it is served: OpenAI and Azure OpenAI."""

from collections.abc import Iterator, Sequence

from allweather.vendorsim.answers import Answer, Ask, Finish
from allweather.vendorsim.catalogue import Model
from allweather.vendorsim.dialects import chat, chat_answer
from allweather.vendorsim.dialects.gpt_pictures import picture_tokens
from allweather.vendorsim.dialects.gpt_rules import effort_of
from allweather.vendorsim.dialects.gpt_words import invalid
from allweather.vendorsim.wire import Json, Problem, Ticket, Usage, members


def check_length(ask: Ask, answers: Sequence[Answer], model: Model) -> Problem | None:
    full = answers[0].finish is Finish.WINDOW
    if ask.input_tokens <= model.window and not full:
        return None
    return invalid(
        f"Input tokens exceed the configured limit of {model.window} tokens. Your messages resulted in "
        f"{max(ask.input_tokens, model.window + full)} tokens. Please reduce the length of the messages.",
        "context_length_exceeded",
        "messages",
    )


def read_ask(payload: Json, model: Model) -> Ask:
    return chat.read_ask(
        payload,
        model.id,
        reasoning_tokens=chat.EFFORT_TOKENS[effort_of(payload, model)],
        reasons=bool(model.efforts),
        picture_tokens=_picture_tokens,
    )


def usage(spent: Usage, answers: Sequence[Answer], cached: int) -> Json:
    return {
        "prompt_tokens": spent.input_tokens,
        "completion_tokens": spent.output_tokens,
        "total_tokens": sum(spent),
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": sum(answer.reasoning_tokens for answer in answers),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def head(ticket: Ticket, model: Model) -> Json:
    """Return the members that every chunk repeats."""
    return {
        "id": f"chatcmpl-{ticket.token(29, 'id')}",
        "created": int(ticket.wall),
        "model": model.id,
        "service_tier": "default",
        "system_fingerprint": None if model.efforts else "fp_b1442291a8",
    }


def completion(payload: Json, answers: Sequence[Answer], model: Model, usage: Json, ticket: Ticket) -> Json:
    """Return a whole `chat.completion`."""
    ids = tool_ids(ticket)
    forced, top = chat.forced_by_name(payload), chat.top_logprobs(payload)
    choices: list[Json] = []
    for number, answer in enumerate(answers):
        logprobs = None if top is None else chat_answer.logprobs_of(answer, top)
        finish = chat_answer.finish_reason(answer, forced=forced)
        choices.append(chat_answer.choice(answer, number, _message(answer, number, ids), finish, logprobs))
    return chat_answer.completion(head(ticket, model), choices, usage)


def chunks(payload: Json, answers: Sequence[Answer], head: Json, ticket: Ticket) -> Iterator[chat_answer.Chunk]:
    """Yield the chunks of all choices, from the roles to the finish reasons."""
    forced = chat.forced_by_name(payload)
    manner = chat_answer.Manner(tool_ids(ticket), {"refusal": None}, top=chat.top_logprobs(payload))
    made = [
        chat_answer.chunks(answer, number, head, chat_answer.finish_reason(answer, forced=forced), manner)
        for number, answer in enumerate(answers)
    ]
    yield from made[0] if len(made) == 1 else chat_answer.woven(made)


def tool_ids(ticket: Ticket) -> chat_answer.ToolIds:
    return lambda number, place: f"call_{ticket.token(24, f'tool/{number}/{place}')}"


def padding(ticket: Ticket, chunk_number: int) -> str:
    """Return what goes into `obfuscation`: noise that hides the length of a token from onlookers."""
    return ticket.token(4 + (ticket.number + chunk_number * 7) % 12, "obfuscation")


def _message(answer: Answer, number: int, ids: chat_answer.ToolIds) -> Json:
    """Return the members of a whole message besides role and content."""
    refusal = chat_answer.REFUSAL if answer.finish is Finish.REFUSED else None
    told: Json = {"refusal": refusal, "annotations": []}
    return {**told, "tool_calls": chat_answer.tool_calls(answer, number, ids)} if answer.calls else told


def _picture_tokens(part: Json) -> int:
    picture = members(part.get("image_url"))
    return picture_tokens(picture.get("url"), picture.get("detail"))
