"""What the simulated installation is configured as. Times are short, so that a schedule sees many of them pass."""

from typing import Any, Final

from allweather.contracts import topics
from allweather.contracts.config import (
    Concurrency,
    Configuration,
    Deployment,
    Limits,
    Route,
    Tenant,
    Timeouts,
    Vendor,
)
from allweather.contracts.prices import Price
from allweather.contracts.slip import Capability
from allweather.messaging import Pace
from allweather.policy.decision import Policy
from allweather.policy.rules import Rule, RuleSet
from allweather.router.breaker import BreakerSettings

SECRET: Final = b"no secret of anybody, and long enough"
EPOCH_MS: Final = 1_795_000_000_000
TENANT: Final = "demo"
KEY: Final = "aw_demo_0123456789abcdef"
SIDE_TOPIC: Final = f"ai.public.replies.{TENANT}.side.v1"
PARTITIONS: Final = 2
WINDOW: Final = 8
"""Calls in flight in one worker. A deployment may be good for as many: so it is after an hour without a push back."""

BREAKERS: Final = BreakerSettings(
    consecutive=4, first_open_ms=3_000, open_ms=5_000, probe_every_ms=6_000, slow_start_ms=10_000
)
PACE: Final = Pace(max_records=50, stall_after=1e9)
"""The watchdog looks at the host's clock, which has no part in a simulation."""


def _deployment(deployment_id: str, place: str) -> Deployment:
    vendor, model, *_ = deployment_id.split("/")
    given: dict[str, Any] = {
        "id": deployment_id,
        "vendor": vendor,
        "model": model,
        "processed_in": place,
        "endpoint": "http://127.0.0.1",
        "credential": f"{vendor.upper()}_KEY",
        "capabilities": tuple(c for c in Capability if c is not Capability.EMBEDDINGS),
        "context_tokens": 100_000,
        "max_output_tokens": 8_000,
        "price": Price(input=1, output=2),
        "concurrency": Concurrency(start=WINDOW, max=64),
    }
    return Deployment(**given)


def _configuration(**places: str) -> Configuration:
    deployments = tuple(_deployment(name.replace("__", "/"), place) for name, place in places.items())
    vendors = dict.fromkeys(d.vendor for d in deployments)
    return Configuration(
        vendors=tuple(Vendor(id=v, api=v, provider_name=v, simulator_path=f"/{v}") for v in vendors),
        deployments=deployments,
        routes=(Route(id="triage", candidates=tuple(d.id for d in deployments), timeouts=Timeouts()),),
        tenants=(Tenant(id=TENANT, limits=Limits(parked_requests=2)),),
    )


FEW: Final = _configuration(alpha__one="eu", beta__two="us")
MANY: Final = _configuration(
    alpha__one__a="eu",
    alpha__one__b="eu",
    alpha__one__c="us",
    alpha__one__d="us",
    beta__two__a="eu",
    beta__two__b="us",
    beta__two__c="us",
    beta__two__d="us",
)
"""More candidates than attempts in an episode, and more of a group than may be tried (R3)."""

RULES: Final = RuleSet.of(
    (
        Rule(id="all", effect="permit"),
        Rule(id="no-secrets", when="data_class == 'secret'", effect="deny", reason="Secrets stay here."),
    )
)


def policy(configuration: Configuration) -> Policy:
    return Policy(RULES, configuration)


def topic_counts(configuration: Configuration) -> dict[str, int]:
    """Every topic of the installation, with its partitions."""
    internal = [topics.CLEARED, topics.RESULTS, topics.PARKED, topics.DOOR, topics.DELTAS]
    internal += [topics.dispatch(vendor.id) for vendor in configuration.vendors]
    public = [topics.requests(TENANT), topics.replies(TENANT), topics.deltas(TENANT), SIDE_TOPIC]
    letters = [topics.dead_letters(topic) for topic in internal + public]
    return dict.fromkeys(internal + public + letters, PARTITIONS)
