"""One entry in words: what happened, then the details. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from allweather.contracts import headers, topics
from allweather.contracts.model import iso_time
from allweather.contracts.records import EventType

Told = Mapping[str, Any]
"""The fields of an entry."""


def telling(entry: Told) -> tuple[str, list[str]]:
    """What happened, in one line, and lines of detail."""
    what, *details = _teller(entry)(entry)
    return what, [detail for detail in details if detail]


def duration(ms: int | None) -> str:
    """A time span as people read it."""
    if ms is None:
        return "?"
    return f"{ms} ms" if ms < 10_000 else f"{ms / 1000:.1f} s"


def _teller(entry: Told) -> Callable[[Told], list[str]]:
    if entry["topic"].endswith(topics.dead_letters("")):
        return _dead_letter
    return _other if "malformed" in entry else _TELLERS.get(entry.get("type") or "", _other)


def _submitted(entry: Told) -> list[str]:
    digest = entry["digests"].get("value")
    place = f"{entry['topic']}, partition {entry['partition']}, offset {entry['offset']}"
    return ["accepted", place, f"body {digest[:16]}..." if digest else "no body"]


def _cleared(entry: Told) -> list[str]:
    slip = _part(entry, "slip")
    verdict = _part(slip, "verdict")
    rules = verdict.get("rules") or ["no rule"]
    return [
        f"policy decided: {verdict.get('effect', '?')}",
        f"decided by {', '.join(rules)}",
        verdict.get("reason", ""),
        _listed("may be processed in", verdict.get("regions")),
        _listed("may be seen by", verdict.get("vendors")),
        "the answer must be reviewed" if verdict.get("output_check") else "",
        f"route {slip.get('route')}, {slip.get('priority')}, deadline {_time(slip.get('deadline_ms'))}",
    ]


def _dispatched(entry: Told) -> list[str]:
    data = _part(entry, "data")
    probe = " as a probe" if data.get("probe") else ""
    return [f"attempt {data.get('n')}: sent to {data.get('deployment')}{probe}", *_decision(_part(data, "decision"))]


def _attempted(entry: Told) -> list[str]:
    data = _part(entry, "data")
    head = f"attempt {data.get('n')}: {data.get('deployment')}"
    taken = duration(data.get("ended_at_ms", 0) - data.get("started_at_ms", 0))
    failure = data.get("failure")
    if failure is None:
        first = data.get("first_token_ms")
        return [
            f"{head} answered in {taken}" + (f", first content after {duration(first)}" if first is not None else ""),
            _model(data),
            _usage(_part(data, "usage")),
            _listed("vendor's request id", _present(data, "vendor_request_id")),
        ]
    codes = [f"HTTP {data['http_status']}"] if "http_status" in data else []
    codes += _present(data, "vendor_code")
    retry = data.get("retry_after_ms")
    return [
        f"{head} failed after {taken}: {failure}" + (f" ({', '.join(codes)})" if codes else ""),
        data.get("message", ""),
        f"the vendor asked to wait {duration(retry)}" if retry is not None else "",
    ]


def _parked(entry: Told) -> list[str]:
    data = _part(entry, "data")
    parked = f"parked, for the {_ordinal(data.get('n', 0))} time: {data.get('reason')}"
    return [parked, f"not before {_time(data.get('not_before_ms'))}", _excluded(_part(data, "decision"))]


def _released(_entry: Told) -> list[str]:
    return ["released from the parking queue: a new episode begins"]


def _ended(entry: Told) -> list[str]:
    data = _part(entry, "data")
    return [f"ended: {data.get('outcome')}", data.get("reason", "")]


def _settled(entry: Told) -> list[str]:
    said = _part(entry, "headers")
    facts = [
        _listed("model", _present(said, headers.MODEL)),
        _listed("deployment", _present(said, headers.DEPLOYMENT)),
        _listed("processed in", _present(said, headers.PROCESSED_IN)),
        _listed("cost", [f"{said[headers.COST]} USD"] if headers.COST in said else None),
        _listed("at USD per million tokens", _present(said, headers.PRICES)),
        _listed("attempts", _present(said, headers.ATTEMPTS)),
    ]
    digest = entry["digests"].get("value")
    return [
        f"outcome: {said.get(headers.OUTCOME)} (HTTP {said.get(headers.STATUS)})",
        "; ".join(fact for fact in facts if fact),
        f"reply on {entry['topic']}" + (f", body {digest[:16]}..." if digest else ""),
        said.get(headers.REPLY_FALLBACK, ""),
    ]


def _conflicted(_entry: Told) -> list[str]:
    return ["a second submission under the same key had another body: refused"]


def _dead_letter(entry: Told) -> list[str]:
    return [f"a record was dead-lettered to {entry['topic']}", _part(entry, "headers").get(headers.DLQ_REASON, "")]


def _other(entry: Told) -> list[str]:
    kind = "a record that cannot be read" if "malformed" in entry else entry.get("type", "a record")
    return [f"{kind} on {entry['topic']}"]


_TELLERS: Final[Mapping[str, Callable[[Told], list[str]]]] = {
    EventType.SUBMITTED: _submitted,
    EventType.CLEARED: _cleared,
    EventType.DISPATCHED: _dispatched,
    EventType.ATTEMPTED: _attempted,
    EventType.PARKED: _parked,
    EventType.RELEASED: _released,
    EventType.EXPIRED: _ended,
    EventType.CANCELLED: _ended,
    EventType.DEAD_LETTERED: _ended,
    EventType.SETTLED: _settled,
    EventType.CONFLICTED: _conflicted,
}


def _decision(decision: Told) -> list[str]:
    reason = decision.get("reason")
    return [f"why: {reason}" if reason else "", _excluded(decision)]


def _excluded(decision: Told) -> str:
    considered: Sequence[Told] = decision.get("considered") or ()
    return _listed("excluded", [f"{view['deployment']} ({_why(view)})" for view in considered if view.get("excluded")])


def _why(view: Told) -> str:
    state = view.get("state", "closed")
    return view["excluded"] if state == "closed" else f"{view['excluded']}, breaker {state}"


def _model(data: Told) -> str:
    finish = f", finish reason {data['finish_reason']}" if "finish_reason" in data else ""
    return f"served by {data['served_model']}{finish}" if "served_model" in data else ""


def _usage(usage: Told) -> str:
    return f"{usage.get('input_tokens')} tokens in, {usage.get('output_tokens')} out" if usage else ""


def _present(fields: Told, name: str) -> list[str]:
    return [str(fields[name])] if fields.get(name) is not None else []


def _listed(what: str, items: Sequence[str] | None) -> str:
    return f"{what} {', '.join(items)}" if items else ""


def _time(at_ms: int | None) -> str:
    return "?" if at_ms is None else iso_time(at_ms)


def _ordinal(n: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(n, f"{n}th")


def _part(fields: Told, name: str) -> Told:
    """A part of an entry; an empty one where it is missing."""
    part: Told | None = fields.get(name)
    return part or {}
