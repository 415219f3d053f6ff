"""Playing a conversation: each step goes out in the caller's dialect, to a lane, and its reply joins the history."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from allweather.contracts.answers import Answer
from allweather.dialects.registry import DIALECTS
from allweather.provider_worker.asking import ask
from allweather.provider_worker.call import Call, Notes, Patience, VendorCall
from allweather.provider_worker.wire import Failed, HttpRequest
from suite.callers.caller import Caller, Reply
from suite.lanes import Lane
from suite.script import Script, Step
from suite.simulated import SimulatedVendors

PATIENCE = Patience(60, 60, 60)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One step: what the vendor was sent, what it answered, and what the caller got of it."""

    body: bytes
    """The caller's."""
    sent: HttpRequest
    answer: Answer
    reply: Reply
    shown: tuple[str, ...]
    """The payloads of the stream, where there was one."""


class Unanswered(Exception):
    """A lane that was to answer did not."""


async def play(script: Script, caller: Caller, route: Sequence[Lane], *, stream: bool = False) -> list[Exchange]:
    """Play all steps, step by step at the next lane of the route, which is as long as the script.

    Raises `Unanswered`.
    """
    vendors, exchanges = SimulatedVendors(), list[Exchange]()
    history: list[Step | Reply] = []
    for number, (step, lane) in enumerate(zip(script.steps, route, strict=True)):
        history.append(step)
        asking = msgspec.structs.replace(script.asking, stream=stream)
        body = json.dumps(caller.body(asking, history)).encode()
        try:
            exchange = await _exchange(vendors, lane, caller, body, stream=stream)
        except Failed as failure:
            raise Unanswered(f"{script.name}, step {number}, at {lane.name}: {failure}") from failure
        exchanges.append(exchange)
        history.append(exchange.reply)
    return exchanges


async def _exchange(vendors: SimulatedVendors, lane: Lane, caller: Caller, body: bytes, *, stream: bool) -> Exchange:
    asked = ask(lane.translator, lane.target, caller.dialect, body, stream=stream, include_usage=True)
    headers = {**asked.request.headers, **lane.translator.authorization("key")}
    signed = HttpRequest(asked.request.url, asked.request.body, headers)
    shown: list[str] = []

    def show(payload: str, _has_content: bool) -> None:
        shown.append(payload)

    call = Call(signed, asked.format, asked.passing, asked.choices, show if stream else None)
    answered = await VendorCall(vendors, lambda: 1_795_000_000_000).answer(call, PATIENCE, Notes())
    reply = json.loads(answered.rendered)
    return Exchange(body, asked.request, answered.answer, reply, tuple(shown))


def joined(caller: Caller, shown: Sequence[str]) -> Reply:
    """What the payloads of a stream are, put together."""
    joining = DIALECTS[caller.dialect].join()
    for payload in shown:
        joining.add(payload)
    return json.loads(joining.whole())
