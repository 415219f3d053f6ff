"""No field of a dialect is without a row, and every row that is read is read."""

from collections.abc import Mapping
from typing import Any, get_type_hints

import msgspec
import pytest
from anthropic.types import message_create_params as messages
from openai.types import embedding_create_params as embeddings
from openai.types.chat import completion_create_params as chat
from openai.types.responses import response_create_params as responses

from allweather.contracts.slip import Capability, Dialect, Parameter
from allweather.dialects.anthropic_messages import shape as messages_shape
from allweather.dialects.fields import READ, Fate
from allweather.dialects.openai_chat import shape as chat_shape
from allweather.dialects.openai_embeddings import shape as embeddings_shape
from allweather.dialects.openai_responses import shape as responses_shape
from allweather.dialects.registry import DIALECTS

OFFICIAL: dict[Dialect, Any] = {
    Dialect.OPENAI_CHAT: chat.CompletionCreateParamsBase,
    Dialect.OPENAI_RESPONSES: responses.ResponseCreateParamsBase,
    Dialect.OPENAI_EMBEDDINGS: embeddings.EmbeddingCreateParams,
    Dialect.ANTHROPIC_MESSAGES: messages.MessageCreateParamsBase,
}
BODIES: dict[Dialect, type[msgspec.Struct]] = {
    Dialect.OPENAI_CHAT: chat_shape.Body,
    Dialect.OPENAI_RESPONSES: responses_shape.Body,
    Dialect.OPENAI_EMBEDDINGS: embeddings_shape.Body,
    Dialect.ANTHROPIC_MESSAGES: messages_shape.Body,
}
FIELDS: dict[Dialect, Mapping[str, Fate]] = {
    **{dialect: wire.fields for dialect, wire in DIALECTS.items()},
    Dialect.OPENAI_EMBEDDINGS: embeddings_shape.FIELDS,
}
NAMES: dict[Dialect, Mapping[Capability | Parameter, str]] = {
    **{dialect: wire.names for dialect, wire in DIALECTS.items()},
    Dialect.OPENAI_EMBEDDINGS: embeddings_shape.NAMES,
}


@pytest.mark.parametrize("dialect", Dialect)
def test_every_field_of_the_official_client_has_a_row(dialect: Dialect):
    streamed = {"stream"} if dialect in DIALECTS else set[str]()
    official = {*get_type_hints(OFFICIAL[dialect]), *streamed}

    assert sorted(official - set(FIELDS[dialect])) == []


@pytest.mark.parametrize("dialect", Dialect)
def test_what_is_said_to_be_read_is_read(dialect: Dialect):
    read = {name for name, fate in FIELDS[dialect].items() if fate is READ}

    assert set(BODIES[dialect].__struct_fields__) == read


@pytest.mark.parametrize("dialect", Dialect)
def test_capabilities_and_parameters_are_named_as_fields_of_the_dialect(dialect: Dialect):
    assert {name.partition(".")[0] for name in NAMES[dialect].values()} <= set(FIELDS[dialect])
    assert set(NAMES[dialect]) <= {*Capability, *Parameter}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_capability_of_a_conversation_is_named_as_a_field(dialect: Dialect):
    assert set(Capability) - {Capability.EMBEDDINGS} <= set(NAMES[dialect])
