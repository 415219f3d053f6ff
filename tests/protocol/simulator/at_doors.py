"""What the callers of the HTTP doors were told, held against what a schedule left behind."""

from collections import Counter
from collections.abc import Iterator

from simulator.callers import REFUSALS, Shown, Visit, code, content
from simulator.evidence import Evidence
from simulator.front import Exchange
from simulator.settings import SECRET, TENANT

from allweather.contracts import ids

Breaches = Iterator[str]


def what_was_taken_in_is_on_its_topic(e: Evidence) -> Breaches:
    """P1: nobody is given a 200, or told that a request is under way, before its record is acknowledged."""
    for visit, exchange in e.asked:
        if exchange.status in (200, 504) and visit.request_id not in e.topics.requested:
            yield f"{visit.request_id} was taken in over HTTP, and is on no topic"


def a_door_tells_the_outcome(e: Evidence) -> Breaches:
    """P2: whoever is given an answer, or an error that is an outcome, is given the row's bytes."""
    for visit, exchange in e.asked:
        if not exchange.whole or (exchange.status == 200 and visit.streams) or _is_outcome(e, visit, exchange):
            continue
        if exchange.status < 400 or code(exchange) not in REFUSALS:
            yield f"{visit.request_id} was answered over HTTP otherwise than its outcome says"


def what_was_refused_was_not_taken(e: Evidence) -> Breaches:
    """P3: nothing of a submission that a door refused for want of room reaches a topic."""
    taken = Counter(
        visit.request_id for visit, exchange in e.asked if exchange.status != 429 or _is_outcome(e, visit, exchange)
    )
    for request in {visit.request_id for visit in e.visits}:
        if e.accepted_over_http(request) > taken[request]:
            yield f"{request} was refused, and published all the same"


def a_stream_is_one_whole_answer(e: Evidence) -> Breaches:
    """R8: content of one call only; complete when it is all of the outcome, else an error that names the request."""
    for visit, exchange in e.asked:
        if exchange.status == 200 and visit.streams:
            yield from _broken_stream(e, visit, exchange)


def _broken_stream(e: Evidence, visit: Visit, exchange: Exchange) -> Breaches:
    shown, request = Shown(exchange), visit.request_id
    texts = [call.text for call in e.calls if call.request_id == request]
    if shown.text and not any(text.startswith(shown.text) for text in texts):
        yield f"{request}: a stream mixed two answers: {shown.text!r}"
    outcome = e.outcomes.get(request)
    if shown.complete and (outcome is None or shown.text != content(outcome.reply or b"")):
        yield f"{request}: a stream was called complete that showed {shown.text!r}"
    named = (shown.error or {}).get("request_id") == ids.public_id(request, TENANT, SECRET)
    if exchange.whole and not shown.complete and not named:
        yield f"{request}: a stream ended without its end marker and without an error"


def _is_outcome(e: Evidence, visit: Visit, exchange: Exchange) -> bool:
    outcome = e.outcomes.get(visit.request_id)
    return outcome is not None and exchange.received == outcome.reply
