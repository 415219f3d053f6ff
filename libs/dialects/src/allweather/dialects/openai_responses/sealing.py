"""Encrypted reasoning under its origin: a token does not say who made it, and to every other host it is an error."""

from collections.abc import Iterator, Sequence

import msgspec

from allweather.contracts.conversation import Json, Origin, Reasoning, seal, unseal
from allweather.dialects.lenient import child, children, parse_object, text


def sealed_event(payload: str, origin: Origin) -> str:
    """The payload of an event, its tokens sealed; as it is when there are none."""
    if '"encrypted_content":"' not in payload:
        return payload
    event = parse_object(payload) or {}
    found = [child(event, "item"), *children(child(event, "response"), "output")]
    return msgspec.json.encode(event).decode() if _sealed(found, origin) else payload


def sealed_response(body: bytes, origin: Origin) -> bytes:
    """A whole response, its tokens sealed; as it is when there are none."""
    if b'"encrypted_content"' not in body:
        return body
    whole = parse_object(body) or {}
    return msgspec.json.encode(whole) if _sealed(children(whole, "output"), origin) else body


def unsealed(items: Sequence[Json], origin: Origin) -> Iterator[Json]:
    """The items of an input as their vendor wrote them, without the thoughts that others had."""
    for item in items:
        thought = unseal(text(item, "encrypted_content"))
        if thought is None:
            yield item
        elif thought.origin is not None and thought.origin.fits(origin):
            yield item | {"encrypted_content": thought.token}


def _sealed(items: Sequence[Json], origin: Origin) -> int:
    """Seal the tokens of the items, and count them."""
    tokens = [(item, text(item, "encrypted_content")) for item in items]
    open_ones = [(item, token) for item, token in tokens if token and unseal(token) is None]
    for item, token in open_ones:
        item["encrypted_content"] = seal(Reasoning("", token, origin, text(item, "id")))
    return len(open_ones)
