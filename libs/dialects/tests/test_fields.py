"""No field of a dialect is without a row, and every row that is read is read."""

from typing import Any, get_type_hints

import msgspec
import pytest
from anthropic.types import message_create_params as messages
from openai.types.chat import completion_create_params as chat
from openai.types.responses import response_create_params as responses

from allweather.contracts.slip import Capability, Dialect, Parameter
from allweather.dialects.anthropic_messages import shape as messages_shape
from allweather.dialects.fields import READ
from allweather.dialects.openai_chat import shape as chat_shape
from allweather.dialects.openai_responses import shape as responses_shape
from allweather.dialects.registry import DIALECTS

OFFICIAL: dict[Dialect, Any] = {
    Dialect.OPENAI_CHAT: chat.CompletionCreateParamsBase,
    Dialect.OPENAI_RESPONSES: responses.ResponseCreateParamsBase,
    Dialect.ANTHROPIC_MESSAGES: messages.MessageCreateParamsBase,
}
BODIES: dict[Dialect, type[msgspec.Struct]] = {
    Dialect.OPENAI_CHAT: chat_shape.Body,
    Dialect.OPENAI_RESPONSES: responses_shape.Body,
    Dialect.ANTHROPIC_MESSAGES: messages_shape.Body,
}


@pytest.mark.parametrize("dialect", Dialect)
def test_every_field_of_the_official_client_has_a_row(dialect: Dialect):
    official = {*get_type_hints(OFFICIAL[dialect]), "stream"}

    assert sorted(official - set(DIALECTS[dialect].fields)) == []


@pytest.mark.parametrize("dialect", Dialect)
def test_what_is_said_to_be_read_is_read(dialect: Dialect):
    read = {name for name, fate in DIALECTS[dialect].fields.items() if fate is READ}

    assert set(BODIES[dialect].__struct_fields__) == read


@pytest.mark.parametrize("dialect", Dialect)
def test_capabilities_and_parameters_are_named_as_fields_of_the_dialect(dialect: Dialect):
    wire = DIALECTS[dialect]

    assert {name.partition(".")[0] for name in wire.names.values()} <= set(wire.fields)
    assert set(Capability) <= set(wire.names) <= {*Capability, *Parameter}
