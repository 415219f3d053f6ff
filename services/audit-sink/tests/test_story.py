"""The report on one request: causes before effects, who decided what and why."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allweather.audit_sink.story import by_causation, tell
from allweather.audit_sink.telling import duration
from allweather.contracts import topics
from allweather.contracts.records import EventType

REQUEST = "04b1d0d7-e883-55dd-aab4-c8f67a66fec9"


def entry(index: int, kind: str, topic: str, *, cause: str | None = None, at: int = 0, **fields: Any) -> dict[str, Any]:
    return {
        "shard": 0, "index": index, "topic": topic, "partition": 0, "offset": index, "timestamp": at or index,
        "type": kind, "ce_id": f"event-{index}", "causation": cause, "tenant": "demo", "request_id": REQUEST,
        "digests": {"value": "ab" * 32}, **fields,
    }  # fmt: skip


def story_of_an_outage() -> list[dict[str, Any]]:
    """Accepted over HTTP; the first vendor fails, the second is excluded; parked, released, answered."""
    dispatch, results = topics.dispatch("openai"), topics.RESULTS
    verdict = {"effect": "permit", "rules": ["residency/eu", "models/demo"], "regions": ["eu"]}
    considered = [
        {"deployment": "openai/gpt-5.2", "state": "closed"},
        {"deployment": "vertex/gemini", "state": "open", "excluded": "breaker_open"},
        {"deployment": "azure/eastus2", "excluded": "region"},
    ]
    probe = {"n": 2, "deployment": "openai/gpt-5.2", "probe": True}
    first = {"n": 1, "deployment": "openai/gpt-5.2", "decision": {"considered": considered, "reason": "first in order"}}
    failed = {
        "n": 1, "deployment": "openai/gpt-5.2", "failure": "rate_limited", "http_status": 429,
        "vendor_code": "slow_down", "message": "slow down [please]", "retry_after_ms": 20_000,
        "started_at_ms": 100, "ended_at_ms": 184,
    }  # fmt: skip
    parked = {"n": 1, "reason": "no candidate is eligible now", "not_before_ms": 1_795_000_000_000}
    answered = {
        "n": 2, "deployment": "openai/gpt-5.2", "started_at_ms": 0, "ended_at_ms": 1_200, "first_token_ms": 412,
        "served_model": "gpt-5.2", "finish_reason": "stop", "usage": {"input_tokens": 21, "output_tokens": 9},
    }  # fmt: skip
    said = {
        "ai-outcome": "answered", "ai-status": "200", "ai-model": "gpt-5.2", "ai-deployment": "openai/gpt-5.2",
        "ai-region": "eu", "ai-cost-usd": "0.000179025", "ai-attempts": "2",
        "ai-prices": "in 1.75, out 14 (genai-prices 0.2.3, openai/gpt-5.2)",
    }  # fmt: skip
    return [
        entry(1, EventType.SUBMITTED, topics.requests("demo"), at=1_000),
        entry(2, EventType.CLEARED, topics.CLEARED, cause=f"{topics.requests('demo')}/0/1",
              slip={"verdict": verdict, "route": "triage", "priority": "interactive", "reply": {"door": "door-0"}}),
        entry(3, EventType.DISPATCHED, dispatch, cause="event-2", data=first),
        entry(4, EventType.ATTEMPTED, results, cause="event-3", data=failed),
        entry(5, EventType.PARKED, topics.PARKED, cause="event-4", data=parked),
        entry(6, EventType.RELEASED, results, cause="event-5"),
        entry(7, EventType.DISPATCHED, dispatch, cause="event-6", data=probe),
        entry(8, EventType.ATTEMPTED, results, cause="event-7", data=answered),
        entry(9, EventType.SETTLED, topics.DOOR, cause="event-8", headers=said, at=3_500),
    ]  # fmt: skip


def words(index: int) -> str:
    step = next(step for step in tell(story_of_an_outage()).steps if step.index == index)
    return " | ".join([step.what, *step.details])


def test_the_story_is_told_from_cause_to_effect_whatever_the_clocks_say() -> None:
    """Each service stamps its records with its own clock; here they even run backwards."""
    entries = story_of_an_outage()
    for number, told in enumerate(entries):
        told["timestamp"] = 1_000 - number

    assert [told["index"] for told in by_causation(reversed(entries))] == list(range(1, 10))


def test_the_summary_names_outcome_model_place_time_and_cost() -> None:
    story = tell(story_of_an_outage())

    assert story.summary == "answered by gpt-5.2 (openai/gpt-5.2) in eu after 2500 ms, 0.000179025 USD"
    assert (story.request_id, story.tenant, story.latency_ms) == (REQUEST, "demo", 2_500)


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (1, "accepted at the HTTP door (door-0) | ai.public.requests.demo.v1, partition 0, offset 1"),
        (2, "policy decided: permit | decided by residency/eu, models/demo | may be processed in eu | route triage"),
        (3, ("attempt 1: sent to openai/gpt-5.2 | why: first in order | excluded "
            "vertex/gemini (breaker_open, breaker open), azure/eastus2 (region)")),
        (4, ("attempt 1: openai/gpt-5.2 failed after 84 ms: rate_limited (HTTP 429, slow_down) | slow down [please] | "
            "the vendor asked to wait 20.0 s")),
        (5, "parked, for the first time: no candidate is eligible now | not before 2026-11-18T11:06:40.000Z"),
        (6, "released from the parking queue"),
        (7, "attempt 2: sent to openai/gpt-5.2 as a probe"),
        (8, ("attempt 2: openai/gpt-5.2 answered in 1200 ms, first content after 412 ms | "
            "served by gpt-5.2, finish reason stop | 21 tokens in, 9 out")),
        (9, ("outcome: answered (HTTP 200) | model gpt-5.2; deployment openai/gpt-5.2; processed in eu; "
            "cost 0.000179025 USD; at USD per million tokens in 1.75, out 14 (genai-prices 0.2.3, openai/gpt-5.2); "
            "attempts 2 | reply on ai.internal.door.v1")),
    ],
)  # fmt: skip
def test_each_step_says_what_happened_and_why(index: int, expected: str) -> None:
    assert words(index).startswith(expected)


def test_a_request_over_kafka_is_told_so() -> None:
    entries = story_of_an_outage()
    entries[1]["slip"]["reply"] = {"topic": "ai.public.replies.demo.v1"}

    assert tell(entries).steps[0].what == "accepted at the Kafka door"


def test_a_denied_request_is_told_with_the_reason() -> None:
    submitted, cleared = story_of_an_outage()[:2]
    cleared["slip"]["verdict"] = {"effect": "deny", "rules": ["models/other"], "reason": "Ask for triage instead."}

    step = tell([submitted, cleared]).steps[1]
    assert step.what == "policy decided: deny"
    assert step.details[:2] == ("decided by models/other", "Ask for triage instead.")


def test_a_request_without_an_outcome_is_told_so_far() -> None:
    assert tell(story_of_an_outage()[:4]).summary == "no outcome yet"


def test_a_reply_that_was_sent_twice_is_told_as_a_repetition() -> None:
    entries = story_of_an_outage()
    again = {**entries[-1], "index": 10, "offset": 10, "timestamp": 4_000}

    assert tell([*entries, again]).steps[-1].what == "again: outcome: answered (HTTP 200)"


def test_dead_letters_and_unreadable_records_are_told_as_such() -> None:
    reason = {"dlq-reason": "envelope: truncated"}
    dead = entry(1, EventType.DISPATCHED, topics.dead_letters(topics.RESULTS), headers=reason)
    unreadable = entry(2, EventType.CLEARED, topics.CLEARED, malformed="MalformedRecord")
    strange = entry(3, "ai.request.pondered", topics.RESULTS)

    steps = tell([dead, unreadable, strange]).steps
    assert steps[0].details == ("envelope: truncated",)
    assert steps[1].what == "a record that cannot be read on ai.internal.cleared.v1"
    assert steps[2].what == "ai.request.pondered on ai.internal.results.v1"


@pytest.mark.parametrize("kind", list(EventType))
def test_an_entry_that_has_given_up_its_parts_can_still_be_told(kind: EventType) -> None:
    shed = entry(1, kind, topics.RESULTS, data={"sha256": "x"}, slip={"sha256": "x"}, headers={"sha256": "x"})

    assert tell([shed]).steps[0].what


@given(st.lists(st.integers(0, 8), max_size=9))
def test_no_entry_is_lost_whatever_they_name_as_their_cause(causes: list[int]) -> None:
    """Also when causes are missing, repeated or circular, which nothing of ours writes."""
    entries = [entry(n, EventType.ATTEMPTED, topics.RESULTS, cause=f"event-{cause}") for n, cause in enumerate(causes)]

    assert sorted(told["index"] for told in by_causation(entries)) == list(range(len(causes)))


@pytest.mark.parametrize(("ms", "text"), [(None, "?"), (9_999, "9999 ms"), (61_500, "61.5 s")])
def test_durations_read_well(ms: int | None, text: str) -> None:
    assert duration(ms) == text
