"""`POST /v1/messages/count_tokens`: how many tokens the input of a message is, at most. No vendor is asked."""

import msgspec

from allweather.contracts.config import Configuration
from allweather.contracts.slip import Dialect
from allweather.dialects import asked
from allweather.dialects.invalid import Invalid
from allweather.ingest import http, refusals
from allweather.ingest.doors.call import Call, DoorEndpoint, give_json
from allweather.ingest.doors.conversing import read_json
from allweather.ingest.doors.messages import check_version
from allweather.ingest.keys import Keyring

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


class CountTokens(DoorEndpoint):
    """Tells the very estimate by which requests are routed: an upper bound, whichever model answers in the end."""

    dialect = Dialect.ANTHROPIC_MESSAGES

    def __init__(self, keyring: Keyring, configuration: Configuration) -> None:
        super().__init__("POST", keyring)
        self._configuration = configuration

    async def serve(self, call: Call) -> None:
        body = await http.read_body(call.incoming, call.receive)
        read_json(body)
        check_version(call.incoming, body)
        try:
            needed = asked.read(Dialect.ANTHROPIC_MESSAGES, _with_limit(body))
        except Invalid as fault:
            raise refusals.invalid(fault.code, fault.reason, fault.param) from None
        if self._configuration.route(needed.route) is None:
            raise refusals.not_found(f"model: {needed.route}")
        counted = msgspec.json.encode({"input_tokens": needed.needs.input_tokens})
        await give_json(call, counted)


def _with_limit(body: bytes) -> bytes:
    """The body as one that could be sent: a count needs no limit of the output."""
    try:
        return msgspec.json.encode({"max_tokens": 1} | _fields.decode(body))
    except msgspec.ValidationError:
        return body
