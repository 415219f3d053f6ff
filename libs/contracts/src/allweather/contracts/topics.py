"""Names of topics. `ai.public.*` is for tenants, `ai.internal.*` is closed to them, `ai.audit.*` is for auditors."""

from typing import Final

CLEARED: Final = "ai.internal.cleared.v1"
"""Requests with their verdict, allow or deny (policy -> router)."""
RESULTS: Final = "ai.internal.results.v1"
"""Everything that happened to a request and asks the router for the next step (worker, sweeper, doors -> router)."""
REVIEWS: Final = "ai.internal.reviews.v1"
"""Answers whose verdict asks for an output check (router -> policy)."""
PARKED: Final = "ai.internal.parked.v1"
"""Requests that wait for a vendor: the record behind the router's queue table."""
DELTAS: Final = "ai.internal.deltas.v1"
"""Pieces of streamed answers, to the partition of the door that waits."""
DOOR: Final = "ai.internal.door.v1"
"""Replies for HTTP callers, to the partition of the door that waits."""
CONFIG: Final = "ai.internal.config.v1"
"""Versions of the configuration."""
AUDIT_ENTRIES: Final = "ai.audit.entries.v1"
"""The audit log's entries, in order of their index within a shard (= partition)."""
AUDIT_CHECKPOINTS: Final = "ai.audit.checkpoints.v1"
"""Signed tree heads of the audit log."""

REQUESTS_PATTERN: Final = r"^ai\.public\.requests\.[a-z0-9-]+\.v1$"
REPLIES_PATTERN: Final = r"^ai\.public\.replies\.[a-z0-9-]+(\.[a-z0-9-]+)*\.v1$"
DISPATCH_PATTERN: Final = r"^ai\.internal\.dispatch\.[a-z0-9-]+\.v1$"

_REQUESTS = "ai.public.requests."
_VERSION = ".v1"


def requests(tenant: str) -> str:
    """Where `tenant` publishes its requests."""
    return f"{_REQUESTS}{tenant}{_VERSION}"


def tenant_of_requests(topic: str) -> str:
    """The tenant whose request topic this is; the topic, never a header or the payload, says who asks."""
    if not (topic.startswith(_REQUESTS) and topic.endswith(_VERSION)):
        raise ValueError(f"{topic} is not a request topic ({_REQUESTS}<tenant>{_VERSION})")
    return topic[len(_REQUESTS) : -len(_VERSION)]


def replies(tenant: str) -> str:
    """The reply topic of `tenant` when a request names none, or one that does not exist."""
    return f"ai.public.replies.{tenant}.v1"


def may_reply_to(tenant: str, topic: str) -> bool:
    """Whether `tenant` may ask for its replies on `topic`: its default, or `ai.public.replies.<tenant>.<name>.v1`."""
    return topic.endswith(_VERSION) and topic.startswith(f"ai.public.replies.{tenant}.")


def deltas(tenant: str) -> str:
    """Where the streamed answers of `tenant`'s Kafka requests go."""
    return f"ai.public.deltas.{tenant}.v1"


def dispatch(vendor: str) -> str:
    """Where the worker fleet of `vendor` finds its calls."""
    return f"ai.internal.dispatch.{vendor}.v1"


def dead_letters(topic: str) -> str:
    """Where records of `topic` go that can never be handled."""
    return f"{topic}.dlq"
