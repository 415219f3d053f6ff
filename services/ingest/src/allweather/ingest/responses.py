"""Responses with a memory: which conversation a body goes on with, and how a response looks at each stage. Pure.

What was asked is kept by the door, what was answered by the router. Vendors are asked to keep nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast
from uuid import UUID

import msgspec

from allweather.contracts.failures import OutcomeKind
from allweather.dialects.lenient import Json, children, parse_object
from allweather.dialects.openai_responses import rendering, splitting
from allweather.ingest import sse
from allweather.ingest.replies import Reply

KEPT_MS: Final = 30 * 86_400_000
"""How long a stored response can be asked for, at most: as with OpenAI."""
OURS: Final = ("background", "background_options", "previous_response_id")
"""What the door itself does, so that nobody behind it is asked for it."""
ENCRYPTED: Final = "reasoning.encrypted_content"

State = Literal["queued", "in_progress"]

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Asked(msgspec.Struct):
    """What of a body is the door's business. Values of a wrong type ask for nothing here; policy refuses them."""

    stream: Any = None
    background: Any = None
    store: Any = None
    previous_response_id: Any = None


@dataclass(frozen=True, slots=True)
class Kept:
    """What was asked, as it is kept."""

    request_id: UUID
    tenant: str
    previous: UUID | None
    background: bool
    stream: bool
    store: bool
    created_at_ms: int
    body: bytes
    """The caller's own bytes."""


class Broken(Exception):
    """A response on which another one builds is not there, or has no answer."""


def response_id(public_id: str) -> str:
    """The id of the response that a request is asked for."""
    return f"resp_{public_id.removeprefix('req_')}"


def public_id(response_id: str) -> str:
    """The public id of the request behind a response; of no request if it is no response's id."""
    return f"req_{response_id.removeprefix('resp_')}" if response_id.startswith("resp_") else ""


def publishable(body: bytes, before: Sequence[Json] = (), *, background: bool = False, keep: bool = False) -> bytes:
    """The body as it is published: the whole conversation in it, and nothing for a vendor to keep.

    `before` are the items that came before; `keep` asks for reasoning in a form that can be sent again.
    """
    try:
        fields = _fields.decode(body)
    except msgspec.ValidationError:  # no object: policy says so
        return body
    left_out = (*OURS, "stream", "stream_options") if background else OURS
    changed: dict[str, Any] = {name: value for name, value in fields.items() if name not in left_out}
    changed["store"] = False
    if before:
        changed["input"] = [*before, *items(body)]
    if keep and _reasons(fields):
        changed["include"] = _including(fields.get("include"))
    return msgspec.json.encode(changed)


def _reasons(fields: Mapping[str, msgspec.Raw]) -> bool:
    """Whether the model is asked to think: others refuse to encrypt thoughts that they do not have."""
    effort = (parse_object(bytes(fields.get("reasoning", b"null"))) or {}).get("effort")
    return effort not in (None, "none")


def _including(given: msgspec.Raw | None) -> object:
    named: Any = msgspec.json.decode(given or b"[]")
    if named is not None and not isinstance(named, list):  # policy refuses it
        return cast(object, named)
    wanted = cast("list[object]", named or [])
    return wanted if ENCRYPTED in wanted else [*wanted, ENCRYPTED]


def items(body: bytes) -> list[Json]:
    """The input of a body as items."""
    whole = parse_object(body) or {}
    given = whole.get("input")
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    return children(whole, "input")


def conversation(chain: Sequence[Kept], outcomes: Mapping[UUID, Reply]) -> list[Json]:
    """All that was said in a chain of responses, the oldest first. Raises `Broken`."""
    if chain and chain[0].previous is not None:  # what came before it was deleted
        raise Broken
    said: list[Json] = []
    for kept in chain:
        reply = outcomes.get(kept.request_id)
        if reply is None or not reply.is_answer:
            raise Broken
        said += items(kept.body)
        output = children(parse_object(reply.body) or {}, "output")
        said += [_again(item) for item in output if _can_be_said_again(item)]
    return said


def _can_be_said_again(item: Json) -> bool:
    """A thought without its token means nothing to a vendor that has kept nothing."""
    return item.get("type") != "reasoning" or bool(item.get("encrypted_content"))


def _again(item: Json) -> Json:
    if item.get("type") == "reasoning":
        return item
    return {name: value for name, value in item.items() if name not in ("id", "status")}


class Face:
    """How one response looks to its caller, whatever stage it is in."""

    def __init__(self, kept: Kept, public: str, previous: str | None) -> None:
        self.id = response_id(public)
        self._kept = kept
        self._ours: Json = {
            "id": self.id,
            "background": kept.background,
            "store": kept.store,
            "previous_response_id": previous,
        }

    def waiting(self, state: State) -> Json:
        """The response while there is no outcome."""
        kept, model = self._kept, (parse_object(self._kept.body) or {}).get("model")
        name = self.id.removeprefix("resp_")
        begun = rendering.response(name, kept.created_at_ms // 1000, str(model), rendering.echo(kept.body))
        return begun | {"status": state} | self._ours

    def settled(self, reply: Reply) -> Json:
        """The response with its outcome. One that has no answer has failed, or was cancelled."""
        if reply.is_answer:
            return self.named(parse_object(reply.body) or {})
        if reply.outcome == OutcomeKind.CANCELLED:
            return self.waiting("queued") | {"status": "cancelled"}
        error = sse.error_in(reply)
        told = {"code": error.code or reply.outcome, "message": error.message}
        return self.waiting("queued") | {"status": "failed", "error": told}

    def named(self, response: Json) -> Json:
        """A response as a vendor or a translator wrote it, under our name."""
        return response | self._ours

    def events(self, *, dispatched: bool, reply: Reply | None) -> list[splitting.Event]:
        """The events of a background stream as far as it is: their order and number never change."""
        queued = {"response": self.waiting("queued")}
        shown: list[splitting.Event] = [("response.created", queued), ("response.queued", queued)]
        if dispatched or reply is not None:
            shown.append(("response.in_progress", {"response": self.waiting("in_progress")}))
        if reply is not None:
            shown += splitting.rest(self.settled(reply))
        return shown


def listed(kept: Sequence[Json], response_id: str) -> list[Json]:
    """Input items as they are listed: each with an id, which is the same at each reading."""
    suffix = response_id.removeprefix("resp_")
    return [{"type": "message", "id": f"item_{suffix}_{number}", **_listed(item)} for number, item in enumerate(kept)]


def _listed(item: Json) -> Json:
    content = item.get("content")
    if isinstance(content, str):
        kind = "output_text" if item.get("role") == "assistant" else "input_text"
        return item | {"content": [{"type": kind, "text": content}]}
    return item
