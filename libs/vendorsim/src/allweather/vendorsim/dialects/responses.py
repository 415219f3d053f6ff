"""The Responses API: answering, and keeping what was answered."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from allweather.vendorsim.answers import Answer, Ask, Finish, compose
from allweather.vendorsim.catalogue import Model
from allweather.vendorsim.dialects import responses_answer, responses_history, responses_rules
from allweather.vendorsim.dialects.gpt_cache import cached_tokens
from allweather.vendorsim.dialects.gpt_words import invalid
from allweather.vendorsim.dialects.responses_read import read_ask
from allweather.vendorsim.memory import PromptCache, Shelf
from allweather.vendorsim.wire import Frame, Json, Outcome, Problem, Streamed, Ticket, Usage, Whole, encode

_KEPT = 20_000
_QUEUED = 0.05
_A_TOKEN = 0.002
"""Seconds: a background response waits, and then takes its time."""


class House(NamedTuple):
    """What sets one vendor's Responses apart from another's."""

    owner: str
    """Whose seals encrypted reasoning carries: what one resource has sealed, no other can open."""
    refused: Problem | None = None
    """What is said to a prompt that the vendor's filter stops; without it the model itself declines."""
    mark: Callable[[Json, Answer], None] | None = None
    """What the vendor adds to a finished response."""


@dataclass(slots=True)
class _Kept:
    """A response that can be asked for again."""

    whole: Json
    conversation: list[Json]
    """Everything said up to and with its input."""
    answer: Answer
    ticket: Ticket
    streamed: bool
    done: float
    cancelled: bool = False

    def shown(self, now: float) -> Json:
        """Return the object as it stands by now."""
        if self.cancelled:
            return {**self.whole, "status": "cancelled", "output": [], "usage": None, "error": None}
        if now >= self.done:
            return self.whole
        status = "queued" if now < self.ticket.wall + _QUEUED else "in_progress"
        return {**self.whole, "status": status, "output": [], "usage": None, "error": None, "incomplete_details": None}


class Responses:
    """The responses of one vendor, in memory."""

    def __init__(self) -> None:
        self._cache = PromptCache()
        self._kept = Shelf[_Kept](_KEPT)
        self._items = Shelf[str](_KEPT)

    def create(self, payload: Json, model: Model, house: House, ticket: Ticket) -> Outcome:
        """Check and answer a request."""
        read = self._read(payload, model, house)
        if isinstance(read, Problem):
            return read
        ask, found = read
        answer = compose(ask)
        if house.refused is not None and answer.finish is Finish.REFUSED:
            return house.refused
        if (problem := _too_long(ask, answer, model)) is not None:
            return problem
        cached = cached_tokens(self._cache, {**payload, "input": found}, "input", ask.input_tokens, ticket.wall)
        whole = responses_answer.finished(payload, ask, answer, model, cached, house.owner, ticket)
        if house.mark is not None:
            house.mark(whole, answer)
        kept = self._keep(payload, whole, found, answer, ticket)
        usage = Usage(ask.input_tokens, whole["usage"]["output_tokens"])
        if payload.get("stream"):
            return Streamed(responses_answer.events(whole, answer, ticket), usage)
        return Whole(encode(kept.shown(ticket.wall)), usage)

    def count(self, payload: Json, model: Model, house: House) -> Outcome:
        """Tell how many tokens an input has."""
        read = self._read(payload, model, house)
        if isinstance(read, Problem):
            return read
        return Whole(encode({"object": "response.input_tokens", "input_tokens": read[0].input_tokens}))

    def about(self, method: str, name: str, rest: list[str], query: Mapping[str, str], now: float) -> Outcome | None:
        """Answer a call about a response that was made before; None when there is no such call."""
        kept = self._kept.get(name)
        if kept is None:
            return Problem(404, f"Response with id '{name}' not found.", "invalid_request_error")
        match (method, rest):
            case ("GET", []):
                return _again(kept, query, now)
            case ("GET", ["input_items"]):
                return _input_items(kept)
            case ("POST", ["cancel"]):
                return _cancelled(kept, now)
            case ("DELETE", []):
                self._kept.drop(name)
                return Whole(encode({"id": name, "object": "response", "deleted": True}))
            case _:
                return None

    def kept(self, name: str) -> Json:
        """Return what is kept under a name, or an empty object."""
        found = self._kept.get(name)
        return {} if found is None else found.whole

    def _read(self, payload: Json, model: Model, house: House) -> tuple[Ask, list[Json]] | Problem:
        """Return what is asked, and the whole conversation in items."""
        if (problem := responses_rules.check(payload, model)) is not None:
            return problem
        before: list[Json] = []
        if (name := payload.get("previous_response_id")) is not None:
            kept = self._kept.get(str(name))
            if kept is None:
                text = f"Previous response with id '{name}' not found."
                return invalid(text, "previous_response_not_found", "previous_response_id")
            before = [*kept.conversation, *kept.whole["output"]]
        found = [*before, *responses_history.items_of(payload)]
        problem = responses_history.check(found, house.owner, self._knows)
        return problem or (read_ask(payload, found, model), found)

    def _knows(self, item: str) -> bool:
        return self._items.get(item) is not None

    def _keep(self, payload: Json, whole: Json, found: list[Json], answer: Answer, ticket: Ticket) -> _Kept:
        working = _QUEUED + answer.tokens * _A_TOKEN if whole["background"] else 0.0
        kept = _Kept(whole, found, answer, ticket, bool(payload.get("stream")), ticket.wall + working)
        if whole["store"] or whole["background"]:
            self._kept.put(whole["id"], kept)
        if whole["store"]:
            for item in whole["output"]:
                self._items.put(item["id"], whole["id"])
        return kept


def _too_long(ask: Ask, answer: Answer, model: Model) -> Problem | None:
    if ask.input_tokens <= model.window and answer.finish is not Finish.WINDOW:
        return None
    text = "Your input exceeds the context window of this model. Please adjust your input and try again."
    return invalid(text, "context_length_exceeded", "input")


def _again(kept: _Kept, query: Mapping[str, str], now: float) -> Outcome:
    """Return a response, or the rest of its stream."""
    if query.get("stream") not in ("true", "True"):
        return Whole(encode(kept.shown(now)))
    if not kept.streamed or not kept.whole["background"]:
        text = "This response cannot be streamed because it was not created with 'background=true' and 'stream=true'."
        return invalid(text, None, "stream")
    after = int(query.get("starting_after") or -1)
    frames: list[Frame] = list(responses_answer.events(kept.whole, kept.answer, kept.ticket))
    return Streamed(frames[after + 1 :])


def _input_items(kept: _Kept) -> Outcome:
    listed = [
        {"id": f"msg_{kept.ticket.hex(50, f'input/{number}')}", **item} for number, item in enumerate(kept.conversation)
    ]
    page = {"object": "list", "data": listed[::-1], "has_more": False}
    ends = {"first_id": listed[-1]["id"], "last_id": listed[0]["id"]} if listed else {"first_id": None, "last_id": None}
    return Whole(encode({**page, **ends}))


def _cancelled(kept: _Kept, now: float) -> Outcome:
    """Stop a response that works in the background; to do it twice, or too late, changes nothing."""
    if not kept.whole["background"]:
        return invalid("Cannot cancel a synchronous response.", None, None)
    kept.cancelled = kept.cancelled or now < kept.done
    return Whole(encode(kept.shown(now)))
