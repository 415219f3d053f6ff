"""What a body asks for, whatever the wire format: the part of it on which policy and routing decide."""

import msgspec

from allweather.contracts.slip import Dialect, Needs
from allweather.dialects.needs import needs
from allweather.dialects.openai_embeddings import reading as embeddings
from allweather.dialects.registry import DIALECTS


class Asked(msgspec.Struct, frozen=True):
    """The facts of one body."""

    route: str
    stream: bool
    include_usage: bool
    needs: Needs

    @classmethod
    def nothing(cls) -> "Asked":
        """What an unreadable body asks for."""
        return cls(route="", stream=False, include_usage=False, needs=Needs())


def read(dialect: Dialect, body: bytes) -> Asked:
    """What the body asks for. Raises `Invalid`, naming the field."""
    if dialect is Dialect.OPENAI_EMBEDDINGS:
        embedding = embeddings.read(body)
        return Asked(route=embedding.model, stream=False, include_usage=False, needs=embeddings.needs(embedding))
    wire = DIALECTS[dialect]
    conversation = wire.read(body)
    return Asked(
        route=conversation.model,
        stream=conversation.stream,
        include_usage=conversation.include_usage,
        needs=needs(conversation, len(body), wire.names),
    )
