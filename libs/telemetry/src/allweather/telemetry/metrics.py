"""Every metric of the system: its name, labels, meaning, and what to do when it is high.

Names that OpenTelemetry has settled are used in their Prometheus form; all others begin with `allweather_`.
Those of consumers and producers are in `messaging`. Nothing outside these two files creates a metric.
"""

from typing import NamedTuple

from allweather.telemetry.instruments import Counter, Gauge, Histogram, Unlabelled

CALL_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKEN_COUNTS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576)


class Door(NamedTuple):
    door: str
    """`http` or `kafka`."""
    tenant: str


class Refusal(NamedTuple):
    door: str
    tenant: str
    code: str
    """Machine-readable code of the error that the caller was given."""


class Effect(NamedTuple):
    tenant: str
    effect: str
    """`permit`, `deny` or `invalid`."""


class Deployment(NamedTuple):
    vendor: str
    deployment: str


class AttemptEnd(NamedTuple):
    vendor: str
    deployment: str
    kind: str
    """`answered`, or the failure kind."""


class OutcomeEnd(NamedTuple):
    tenant: str
    kind: str


class Priority(NamedTuple):
    priority: str


class Call(NamedTuple):
    gen_ai_provider_name: str
    gen_ai_request_model: str
    error_type: str
    """Failure kind, or empty for an answer."""


class Model(NamedTuple):
    gen_ai_provider_name: str
    gen_ai_request_model: str


class Tokens(NamedTuple):
    gen_ai_provider_name: str
    gen_ai_request_model: str
    gen_ai_token_type: str
    """`input` or `output`."""


class Spend(NamedTuple):
    tenant: str
    vendor: str


class Shard(NamedTuple):
    shard: str


# Doors

REQUESTS_ACCEPTED = Counter(
    "allweather_requests_accepted",
    Door,
    means="Requests that were acknowledged to their sender and so will get exactly one outcome.",
    when_high="More than usual for one tenant: look at its limits before its neighbours feel it.",
)
REQUESTS_REFUSED = Counter(
    "allweather_requests_refused",
    Refusal,
    means="Requests that were turned away before acceptance, by the error code that the caller saw.",
    when_high="One tenant and code: its application is broken, tell it. All tenants: the last deploy or Kafka.",
)
REPLY_DELIVERIES = Counter(
    "allweather_reply_deliveries",
    Door,
    means="Replies handed over: written to a reply topic or to an open HTTP connection.",
    when_high="More than outcomes: replies are delivered again after crashes, byte-identical; look for restarts.",
)

# Decisions

VERDICTS = Counter(
    "allweather_verdicts",
    Effect,
    means="Decisions of policy on requests.",
    when_high="A jump in `deny`: compare the rules' digests; `allweather audit explain` names the rule.",
)
DISPATCHES = Counter(
    "allweather_dispatches",
    Deployment,
    means="Attempts that the router sent to a worker.",
    when_high="Far above outcomes: requests are tried several times; look at attempts by kind.",
)
ATTEMPTS = Counter(
    "allweather_attempts",
    AttemptEnd,
    means="Finished attempts, by how they ended.",
    when_high="`unavailable`: the vendor is ill. `auth_failed`, `quota_exhausted`, `misconfigured`: act.",
)
OUTCOMES = Counter(
    "allweather_outcomes",
    OutcomeEnd,
    means="Requests that were settled, by the kind of their outcome.",
    when_high="`expired`: requests outwait their deadline; look at parked and at breakers.",
)
BREAKER_STATE = Gauge(
    "allweather_breaker_state",
    Deployment,
    means="Circuit breaker of a deployment: 0 closed, 1 half open, 2 open.",
    when_high="Open is a reaction, not a fault: the vendor is ill. Open everywhere: look at our own network first.",
)
PARKED = Gauge(
    "allweather_parked_requests",
    Priority,
    means="Requests that wait for a vendor to recover.",
    when_high="Grows while no candidate is healthy; after recovery it must fall, else look at the release loop's log.",
)
RELEASED = Counter(
    "allweather_released",
    Priority,
    means="Parked requests that were given another episode of attempts.",
    when_high="Many times the parked requests: they are released into a vendor that is still ill.",
)

# Vendor calls

CALL_DURATION = Histogram(
    "gen_ai_client_operation_duration_seconds",
    Call,
    buckets=CALL_SECONDS,
    means="Time of one vendor call, from the request to the last byte of the answer.",
    when_high="One deployment: its breaker will judge it. One vendor: its status page. All vendors: our network.",
)
FIRST_CHUNK = Histogram(
    "gen_ai_client_operation_time_to_first_chunk_seconds",
    Model,
    buckets=CALL_SECONDS,
    means="Time from a vendor call to the first content of its stream.",
    when_high="Above 10 s interactive requests fail over; route them to a faster deployment.",
)
TOKENS = Histogram(
    "gen_ai_client_token_usage",
    Tokens,
    buckets=TOKEN_COUNTS,
    means="Tokens of one call, as the vendor counted them; its sum is the total.",
    when_high="Input: prompts have grown, look at the application. Output: a missing token limit.",
)
COST = Counter(
    "allweather_cost_usd",
    Spend,
    means="Money spent on vendor calls, by the catalogue's prices.",
    when_high="Against the usual for the hour: which tenant; then its budget rule.",
)

# Audit

AUDIT_LAG = Gauge(
    "allweather_audit_lag_messages",
    Shard,
    means="Records of the pipeline that have no audit entry yet.",
    when_high="Nothing is lost, proofs come later: look at Postgres, then at audit-sink's log.",
)
AUDIT_ENTRIES = Counter(
    "allweather_audit_entries",
    Unlabelled,
    means="Records that were entered into the audit log.",
    when_high="It follows the traffic: about five for a request; many more mean retries and parking.",
)
AUDIT_GAPS = Counter(
    "allweather_audit_gaps",
    Unlabelled,
    means="Times that records were gone from their topic before they were audited; the log says which.",
    when_high="Any: retention has overtaken the sink, or somebody deletes records. Find out before anything else.",
)
CHECKPOINT_TIME = Gauge(
    "allweather_checkpoint_timestamp_seconds",
    Shard,
    means="When the last checkpoint was signed (Unix time); its age is `time()` minus this.",
    when_high="An age above 120 s: audit-sink is stuck or its key cannot be read; nothing is lost meanwhile.",
)

# Dependencies

REDIS_AWAY = Counter(
    "allweather_redis_away",
    Unlabelled,
    means="Calls that went without Redis because it was away.",
    when_high="Cost and latency rise, nothing is lost: bring Redis back.",
)
POSTGRES_AWAY = Counter(
    "allweather_postgres_away",
    Unlabelled,
    means="Work that had to wait because Postgres could not be used.",
    when_high="Requests are accepted but not settled: bring Postgres back, look at its disk first.",
)
