"""Attribute names of spans, pinned to the OpenTelemetry semantic conventions v1.41.

Both groups are still in development there, so they are said here once and nowhere else.
"""

from typing import Final

GEN_AI_VERSION: Final = "1.41.0"

# Messaging

MESSAGING_SYSTEM: Final = "messaging.system"
MESSAGING_OPERATION_NAME: Final = "messaging.operation.name"
"""`send`, `poll`, `process` or `commit`."""
MESSAGING_OPERATION_TYPE: Final = "messaging.operation.type"
"""`create`, `send`, `receive`, `process` or `settle`."""
MESSAGING_DESTINATION: Final = "messaging.destination.name"
MESSAGING_PARTITION: Final = "messaging.destination.partition.id"
"""A string."""
MESSAGING_OFFSET: Final = "messaging.kafka.offset"
MESSAGING_KEY: Final = "messaging.kafka.message.key"
MESSAGING_TOMBSTONE: Final = "messaging.kafka.message.tombstone"
MESSAGING_GROUP: Final = "messaging.consumer.group.name"
MESSAGING_CLIENT: Final = "messaging.client.id"
MESSAGING_MESSAGE_ID: Final = "messaging.message.id"
MESSAGING_CONVERSATION_ID: Final = "messaging.message.conversation_id"
MESSAGING_BODY_SIZE: Final = "messaging.message.body.size"
MESSAGING_BATCH_COUNT: Final = "messaging.batch.message_count"

KAFKA: Final = "kafka"
"""The value of `messaging.system`."""

# Model calls

GEN_AI_OPERATION: Final = "gen_ai.operation.name"
"""`chat`, `embeddings`, `execute_tool` ..."""
GEN_AI_PROVIDER: Final = "gen_ai.provider.name"
GEN_AI_REQUEST_MODEL: Final = "gen_ai.request.model"
GEN_AI_REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
GEN_AI_REQUEST_STREAM: Final = "gen_ai.request.stream"
GEN_AI_RESPONSE_ID: Final = "gen_ai.response.id"
GEN_AI_RESPONSE_MODEL: Final = "gen_ai.response.model"
GEN_AI_RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
GEN_AI_USAGE_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
GEN_AI_USAGE_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
GEN_AI_USAGE_CACHE_READ: Final = "gen_ai.usage.cache_read.input_tokens"
GEN_AI_USAGE_CACHE_CREATION: Final = "gen_ai.usage.cache_creation.input_tokens"
GEN_AI_USAGE_REASONING: Final = "gen_ai.usage.reasoning.output_tokens"
GEN_AI_CONVERSATION_ID: Final = "gen_ai.conversation.id"

# Both

ERROR_TYPE: Final = "error.type"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"

# Ours

TENANT: Final = "allweather.tenant"
REQUEST_ID: Final = "allweather.request.id"
ATTEMPT_ID: Final = "allweather.attempt.id"
DEPLOYMENT: Final = "allweather.deployment"
ROUTE: Final = "allweather.route"
FAILURE_KIND: Final = "allweather.failure.kind"

PROVIDER_NAMES: Final = {
    "anthropic": "anthropic",
    "openai": "openai",
    "azure-openai": "azure.ai.openai",
    "vertex": "gcp.vertex_ai",
    "open-source": "open_source",
}
"""The value of `gen_ai.provider.name` for each of our vendors; the last is our own word, the list there is open."""
