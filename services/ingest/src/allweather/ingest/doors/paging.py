"""Lists in pages, as OpenAI gives them: `limit` and `after` in the query, `has_more` in the answer."""

from typing import Final

import msgspec
from starlette.datastructures import QueryParams

from allweather.dialects.lenient import Json
from allweather.ingest import refusals

USUAL: Final = 20
MOST: Final = 100


def limit(query: QueryParams) -> int:
    """How many the caller wants on a page. Raises `Refused`."""
    given = query.get("limit", str(USUAL))
    if not (given.isascii() and given.isdigit() and 1 <= int(given) <= MOST):
        raise refusals.invalid("invalid_value", f"'limit' is a number from 1 to {MOST}.", "limit")
    return int(given)


def page(listed: list[Json], query: QueryParams) -> bytes:
    """The page of the list that was asked for. An `after` that is not in it is the beginning."""
    after = query.get("after")
    begin = next((place + 1 for place, item in enumerate(listed) if item["id"] == after), 0)
    shown = listed[begin : begin + limit(query)]
    return rendered(shown, has_more=begin + len(shown) < len(listed))


def rendered(shown: list[Json], *, has_more: bool) -> bytes:
    """A page with its first and last ids."""
    ends = {"first_id": shown[0]["id"] if shown else None, "last_id": shown[-1]["id"] if shown else None}
    return msgspec.json.encode({"object": "list", "data": shown, **ends, "has_more": has_more})
