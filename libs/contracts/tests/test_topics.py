"""A topic says whose it is; nothing else does."""

import re

import pytest

from allweather.contracts import topics


def test_the_tenant_of_a_request_topic_is_in_its_name() -> None:
    assert topics.tenant_of_requests(topics.requests("demo")) == "demo"


@pytest.mark.parametrize("topic", ["ai.public.replies.demo.v1", "ai.internal.cleared.v1", "ai.public.requests.demo"])
def test_other_topics_have_no_tenant(topic: str) -> None:
    with pytest.raises(ValueError, match="not a request topic"):
        topics.tenant_of_requests(topic)


@pytest.mark.parametrize(
    ("topic", "allowed"),
    [
        ("ai.public.replies.demo.v1", True),
        ("ai.public.replies.demo.care.v1", True),
        ("ai.public.replies.demo2.v1", False),
        ("ai.public.replies.other.v1", False),
        ("ai.internal.results.v1", False),
        ("ai.public.requests.demo.v1", False),
    ],
)
def test_a_tenant_may_only_ask_for_replies_on_its_own_topics(topic: str, allowed: bool) -> None:
    assert topics.may_reply_to("demo", topic) is allowed


def test_patterns_match_the_topics_they_are_for() -> None:
    assert re.match(topics.REQUESTS_PATTERN, topics.requests("demo"))
    assert re.match(topics.REPLIES_PATTERN, "ai.public.replies.demo.care.v1")
    assert re.match(topics.DISPATCH_PATTERN, topics.dispatch("azure-openai"))
    assert not re.match(topics.REQUESTS_PATTERN, topics.dead_letters(topics.requests("demo")))
