"""`POST /v1/embeddings`: OpenAI Embeddings, which are never streamed."""

from typing import Final

from allweather.contracts import headers
from allweather.contracts.slip import Dialect
from allweather.ingest.acceptance import INTERACTIVE
from allweather.ingest.doors.call import Call
from allweather.ingest.doors.conversing import Conversing, read_json

DEFAULTS: Final = {**INTERACTIVE, headers.DIALECT: Dialect.OPENAI_EMBEDDINGS.encode()}


class Embeddings(Conversing):
    """Publishes the caller's own bytes, and answers with the vectors."""

    dialect = Dialect.OPENAI_EMBEDDINGS

    async def serve(self, call: Call) -> None:
        body = await self.body(call)
        read_json(body)
        await self.answer(call, self.asked(call, body, DEFAULTS), None)
