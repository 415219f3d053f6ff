"""CloudEvents 1.0 in Kafka records: binary mode (attributes are headers) and structured mode (the value is JSON)."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from allweather.contracts.headers import CE_SPECVERSION, CONTENT_TYPE
from allweather.messaging.errors import MalformedInput
from allweather.messaging.types import Headers, Message, Record

_PREFIX: Final = "ce_"
_STRUCTURED: Final = "application/cloudevents"
_STRUCTURED_JSON: Final = "application/cloudevents+json"
_BATCH: Final = "application/cloudevents-batch"
_STRUCTURED_TYPE: Final = b"application/cloudevents+json; charset=UTF-8"
_JSON: Final = "application/json"
_NULL: Final = b"null"
_NAME: Final = re.compile("[a-z0-9]+")
_ATTRIBUTE_HEADER: Final = re.compile("ce_[a-z0-9]+")
_REQUIRED: Final = ("specversion", "id", "source", "type")
_DATA: Final = frozenset({"data", "data_base64"})


class NotAnEvent(MalformedInput):
    """The record says that it is a CloudEvent, and is not a valid one."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `attributes` are the context attributes and extensions, all but `datacontenttype`, as text.

    `headers` are the record's other headers, untouched: opaque, null and repeated ones included.
    """

    attributes: Mapping[str, str]
    data: bytes | None
    content_type: str | None = None
    headers: Headers = ()

    @property
    def id(self) -> str:
        return self.attributes["id"]

    @property
    def type(self) -> str:
        return self.attributes["type"]

    @property
    def source(self) -> str:
        return self.attributes["source"]


def decode(record: Record) -> Event | None:
    """The event that a record is; None when it does not claim to be one. Raises `NotAnEvent` for a broken claim.

    The content type decides first, as the specification says: a structured event may carry `ce_` headers as copies.
    """
    content_type = record.text(CONTENT_TYPE)
    kind = (content_type or "").partition(";")[0].strip().lower()
    if kind == _BATCH or kind.startswith(f"{_BATCH}+"):
        raise NotAnEvent("batches of events are not supported in Kafka records")
    if kind.startswith(_STRUCTURED):
        return _structured(record, kind)
    if record.header(CE_SPECVERSION) is None:
        return None
    return _binary(record, content_type)


def encode(event: Event, *, topic: str, key: bytes | None) -> Message:
    """The event as a record in binary mode."""
    content_type: Headers = ((CONTENT_TYPE, event.content_type.encode()),) if event.content_type else ()
    attributes = tuple((_PREFIX + name, value.encode()) for name, value in event.attributes.items())
    return Message(topic, event.data, key, (*content_type, *attributes, *event.headers))


def encode_structured(event: Event, *, topic: str, key: bytes | None) -> Message:
    """The event as a record in structured mode. Data that is JSON is embedded as it is, any other in base64."""
    members = {name: msgspec.json.encode(value) for name, value in event.attributes.items()}
    if event.content_type is not None:
        members["datacontenttype"] = msgspec.json.encode(event.content_type)
    if event.data is not None and _is_json(event.content_type):
        members["data"] = event.data  # as it came: parsing and writing it again could change a number
    elif event.data is not None:
        members["data_base64"] = msgspec.json.encode(base64.b64encode(event.data).decode())
    value = b",".join(msgspec.json.encode(name) + b":" + member for name, member in members.items())
    return Message(topic, b"{" + value + b"}", key, ((CONTENT_TYPE, _STRUCTURED_TYPE), *event.headers))


def _binary(record: Record, content_type: str | None) -> Event:
    attributes: dict[str, str] = {}
    others: list[tuple[str, bytes | None]] = []
    for name, value in record.headers:
        if _ATTRIBUTE_HEADER.fullmatch(name) and value is not None:
            attributes[name.removeprefix(_PREFIX)] = _text(name, value)
        elif name != CONTENT_TYPE or content_type is None:
            others.append((name, value))
    return Event(_checked(attributes), record.value, content_type, tuple(others))


def _structured(record: Record, kind: str) -> Event:
    if kind != _STRUCTURED_JSON:
        raise NotAnEvent("of structured events only the JSON form is supported")
    members = _members(record.value)
    attributes = {name: _scalar(name, raw) for name, raw in members.items() if name not in _DATA and raw != _NULL}
    content_type = attributes.pop("datacontenttype", _JSON)
    others = tuple(each for each in record.headers if each[0] != CONTENT_TYPE and not each[0].startswith(_PREFIX))
    return Event(_checked(attributes), _data(members, content_type), content_type, others)


def _members(value: bytes | None) -> dict[str, bytes]:
    """The members of a JSON object, each as the bytes that stand there."""
    try:
        raw = msgspec.json.decode(value or b"", type=dict[str, msgspec.Raw])
    except msgspec.DecodeError as error:
        raise NotAnEvent("a structured event is not a JSON object") from error
    return {name: bytes(member) for name, member in raw.items()}


def _data(members: Mapping[str, bytes], content_type: str) -> bytes | None:
    data, encoded = members.get("data", _NULL), members.get("data_base64", _NULL)
    if data != _NULL and encoded != _NULL:
        raise NotAnEvent("a structured event has both data and data_base64")
    if encoded != _NULL:
        return _from_base64(encoded)
    if data == _NULL:
        return None
    if not _is_json(content_type) and data.startswith(b'"'):
        return _decoded(data, str).encode()
    return data


def _from_base64(encoded: bytes) -> bytes:
    try:
        return base64.b64decode(_decoded(encoded, str), validate=True)
    except binascii.Error as error:
        raise NotAnEvent("data_base64 is not base64") from error


def _scalar(name: str, raw: bytes) -> str:
    value = _decoded(raw, str | bool | int)
    if isinstance(value, bool):
        return str(value).lower()
    if not _NAME.fullmatch(name):
        raise NotAnEvent("an attribute has a name that is not lower-case letters and digits")
    return str(value)


def _decoded(raw: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotAnEvent("a member of a structured event is not of its type") from error


def _text(name: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise NotAnEvent(f"attribute {name} is not UTF-8") from error


def _checked(attributes: dict[str, str]) -> dict[str, str]:
    missing = [name for name in _REQUIRED if not attributes.get(name)]
    if missing:
        raise NotAnEvent(f"an event lacks {', '.join(missing)}")
    if attributes["specversion"] != "1.0":
        raise NotAnEvent("an event is not of version 1.0")
    return attributes


def _is_json(content_type: str | None) -> bool:
    kind = (content_type or _JSON).partition(";")[0].strip().lower()
    return kind == _JSON or kind.endswith("+json")
