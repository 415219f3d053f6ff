"""`POST /v1/messages`: Anthropic Messages, plain and streamed."""

from typing import Any, Final

import msgspec

from allweather.contracts import headers
from allweather.contracts.slip import Dialect
from allweather.ingest import refusals
from allweather.ingest.acceptance import INTERACTIVE
from allweather.ingest.doors.call import Call
from allweather.ingest.doors.conversing import PassedOn, Peek
from allweather.ingest.forms.form import Form
from allweather.ingest.forms.messages import MessagesForm
from allweather.ingest.http import Incoming

VERSIONS: Final = (b"2023-06-01", b"2026-10-21")
"""The versions of the API. A request that names none is of the first one."""

DEFAULTS: Final = {**INTERACTIVE, headers.DIALECT: Dialect.ANTHROPIC_MESSAGES.encode()}


class _Sampling(msgspec.Struct):
    """What the newer version of the API no longer takes, at any value."""

    temperature: Any = None
    top_p: Any = None
    top_k: Any = None


_sampling = msgspec.json.Decoder(_Sampling)


class Messages(PassedOn):
    """Both versions of the API, and both ways to send the key."""

    dialect = Dialect.ANTHROPIC_MESSAGES
    defaults = DEFAULTS

    def form(self, peek: Peek) -> Form:  # noqa: ARG002 - this dialect always has the counts in its stream
        return MessagesForm()

    def check(self, call: Call, body: bytes) -> None:
        check_version(call.incoming, body)


def check_version(incoming: Incoming, body: bytes) -> None:
    """Raise `Refused` for a version that does not exist, and for fields that its version does not have."""
    version = incoming.get(b"anthropic-version") or VERSIONS[0]
    if version not in VERSIONS:
        known = " or ".join(version.decode() for version in VERSIONS)
        raise refusals.invalid("invalid_header", f"anthropic-version: expected {known}.", "anthropic-version")
    if version == VERSIONS[1]:
        _check_sampling(body)


def _check_sampling(body: bytes) -> None:
    try:
        given = _sampling.decode(body)
    except msgspec.ValidationError:  # no object: policy says so
        return
    for name in _Sampling.__struct_fields__:
        if getattr(given, name) is not None:
            raise refusals.invalid("unsupported_parameter", f"{name}: Extra inputs are not permitted", name)
