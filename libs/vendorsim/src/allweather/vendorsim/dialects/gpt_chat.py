"""Chat Completions of the GPT models: from a request to the answer that OpenAI gives; Azure adds to it."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from allweather.vendorsim.answers import Answer, Finish, variants
from allweather.vendorsim.catalogue import Model
from allweather.vendorsim.dialects import chat, chat_answer, gpt, gpt_rules
from allweather.vendorsim.dialects.gpt_cache import cached_tokens
from allweather.vendorsim.memory import PromptCache
from allweather.vendorsim.wire import Frame, FrameKind, Json, Outcome, Problem, Streamed, Ticket, Whole, encode

Marking = Callable[[Json, FrameKind | None, Sequence[Answer]], None]
"""What a vendor adds to a whole completion (no frame kind) or to a chunk of that kind."""

Late = Callable[[Json, Sequence[Answer]], Iterable[Frame]]
"""What a vendor sends after the finish reasons, from what every chunk repeats and the answers."""


def answer(
    payload: Json,
    model: Model,
    ticket: Ticket,
    cache: PromptCache,
    *,
    mark: Marking | None = None,
    refused: Problem | None = None,
    opening: Sequence[Frame] = (),
    late: Late = lambda _head, _answers: (),
) -> Outcome:
    """Check and answer a request.

    `refused` is what is said to a prompt that the vendor's filter stops; without it the model itself declines.
    `opening` are frames before the first chunk, `late` those that follow the finish reasons.
    """
    if (problem := gpt_rules.check(payload, model)) is not None:
        return problem
    ask = gpt.read_ask(payload, model)
    answers = variants(ask, chat.choices_wanted(payload))
    if refused is not None and answers[0].finish is Finish.REFUSED:
        return refused
    if (problem := gpt.check_length(ask, answers, model) or _broken(answers)) is not None:
        return problem
    cached = cached_tokens(cache, payload, "messages", ask.input_tokens, ticket.wall)
    spent = chat_answer.usage_of(ask, answers)
    usage = gpt.usage(spent, answers, cached)
    if payload.get("stream"):
        return Streamed(_frames(payload, answers, model, usage, ticket, mark, opening, late), spent)
    body = gpt.completion(payload, answers, model, usage, ticket)
    if mark is not None:
        mark(body, None, answers)
    return Whole(encode(body), spent)


def _broken(answers: Sequence[Answer]) -> Problem | None:
    if answers[0].finish is not Finish.FAILED:
        return None
    return Problem(500, "The model produced invalid content. Consider modifying your prompt.", "server_error")


def _frames(
    payload: Json,
    answers: Sequence[Answer],
    model: Model,
    usage: Json,
    ticket: Ticket,
    mark: Marking | None,
    opening: Sequence[Frame],
    late: Late,
) -> Iterator[Frame]:
    yield from opening
    head = gpt.head(ticket, model)
    with_usage = chat.includes_usage(payload)
    if with_usage:
        head["usage"] = None
    for number, (kind, chunk, tokens) in enumerate(gpt.chunks(payload, answers, head, ticket)):
        if mark is not None:
            mark(chunk, kind, answers)
        chunk["obfuscation"] = gpt.padding(ticket, number)
        yield Frame(kind, chat_answer.sse(chunk), tokens)
    yield from late(head, answers)
    if with_usage:
        kind, chunk, tokens = chat_answer.usage_chunk(head, usage)
        yield Frame(kind, chat_answer.sse({**chunk, "obfuscation": ""}), tokens)
    yield chat_answer.DONE
