"""Names of record and HTTP headers, each said once."""

from typing import Final

# CloudEvents 1.0, Kafka binary mode
CONTENT_TYPE: Final = "content-type"
CE_SPECVERSION: Final = "ce_specversion"
CE_ID: Final = "ce_id"
CE_SOURCE: Final = "ce_source"
CE_TYPE: Final = "ce_type"
CE_TIME: Final = "ce_time"
CE_SUBJECT: Final = "ce_subject"
CE_DATASCHEMA: Final = "ce_dataschema"
CE_TENANT: Final = "ce_tenantid"
CE_CAUSATION: Final = "ce_causationid"

# Hints that an application may put on a request record
DIALECT: Final = "ai-dialect"
"""`openai.chat` (default)."""
API_VERSION: Final = "ai-api-version"
"""The version of its API that the caller speaks (`anthropic-version`), for vendors of the same API."""
API_BETAS: Final = "ai-api-betas"
"""Comma-separated betas of its API that the caller wants (`anthropic-beta`), for vendors of the same API."""
PRIORITY: Final = "ai-priority"
"""`interactive` or `bulk`; the default is the door's: HTTP interactive, Kafka bulk."""
DEADLINE: Final = "ai-deadline"
"""RFC 3339 time with zone, or a number of seconds from acceptance."""
REGION: Final = "ai-region"
"""Comma-separated places (`eu`, `us`, `au`, ...) in which the request may be processed."""
DATA_CLASS: Final = "ai-data-class"
"""The caller's classification of the content, an input of policy rules."""
DOOR: Final = "ai-door"
"""Signed address of the HTTP door that waits; anything not signed for this very request is ignored."""
BODY_REF: Final = "ai-body-ref"
"""Signed digest of a body that the HTTP door put into the payload store; the record's own value is then empty."""

# What a reply says besides its body
OUTCOME: Final = "ai-outcome"
STATUS: Final = "ai-status"
MODEL: Final = "ai-model"
DEPLOYMENT: Final = "ai-deployment"
PROCESSED_IN: Final = "ai-region"
COST: Final = "ai-cost-usd"
PRICES: Final = "ai-prices"
"""By which the cost was computed: rates in USD per million tokens, and where they come from."""
ATTEMPTS: Final = "ai-attempts"
CALL_ID: Final = "ai-call-id"
REQUEST_ID: Final = "ai-request-id"
"""The public id, `req_<uuid>_<tag>`."""

REPLY_FALLBACK: Final = "ai-reply-fallback"
"""Why a reply came to the tenant's default topic instead of the one that was asked for."""

# Deltas
DELTA_SEQUENCE: Final = "ai-sequence"

# Reply addressing: ours, then what Spring Kafka and FastStream already send
REPLY_TOPIC: Final = "reply-topic"
REPLY_PARTITION: Final = "reply-partition"
CORRELATION_ID: Final = "correlation-id"
SPRING_REPLY_TOPIC: Final = "kafka_replyTopic"
SPRING_REPLY_PARTITION: Final = "kafka_replyPartition"
"""A 4-byte big-endian integer."""
SPRING_CORRELATION_ID: Final = "kafka_correlationId"
"""Opaque bytes: echoed unchanged, never decoded."""
FASTSTREAM_REPLY_TO: Final = "reply_to"
FASTSTREAM_CORRELATION_ID: Final = "correlation_id"
ECHOED: Final = (CORRELATION_ID, SPRING_CORRELATION_ID, FASTSTREAM_CORRELATION_ID)
"""Headers of a request that its reply carries unchanged."""

# Dead letters: our reason, and where the record first stood, as Spring Kafka says it
DLQ_REASON: Final = "dlq-reason"
"""One sentence of ours; it never quotes the record."""
DLT_TOPIC: Final = "kafka_dlt-original-topic"
DLT_PARTITION: Final = "kafka_dlt-original-partition"
"""A 4-byte big-endian integer."""
DLT_OFFSET: Final = "kafka_dlt-original-offset"
"""An 8-byte big-endian integer."""

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"

# HTTP
IDEMPOTENCY_KEY: Final = "idempotency-key"
