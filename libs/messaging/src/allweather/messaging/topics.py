"""The topics as a file describes them, and as the brokers have them."""

import asyncio
import time
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import yaml

from allweather.contracts.topics import dead_letters
from allweather.messaging.errors import BrokerAway, MessagingError
from allweather.messaging.kafka.client import AdminClient, ClientError
from allweather.messaging.kafka.settings import Connection
from allweather.messaging.lanes import DEAD_LETTER_ROOM

_OURS = "ai."
_HEARD_WITHIN_S = 20.0
_TENANT = "{tenant}"
_VENDOR = "{vendor}"
_SIZE = "max.message.bytes"


class InvalidTopics(MessagingError):
    """The topics file cannot be used as it stands."""


@dataclass(frozen=True, slots=True)
class Topic:
    name: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """A topic of the file, or a template of one for each tenant or vendor, perhaps with its dead letters beside it."""

    topic: Topic
    dlq: bool

    def topics(self, name: str) -> tuple[Topic, ...]:
        topic = replace(self.topic, name=name)
        if not self.dlq:
            return (topic,)
        size = int(topic.config[_SIZE]) + DEAD_LETTER_ROOM
        return (topic, replace(topic, name=dead_letters(name), config={**topic.config, _SIZE: str(size)}))


@dataclass(frozen=True, slots=True)
class TopicSpec:
    topics: tuple[Entry, ...]
    templates: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that the brokers have otherwise than the file says."""

    topic: str
    kind: Literal["missing", "extra", "partitions", "config"]
    wanted: str = ""
    found: str = ""

    def __str__(self) -> str:
        match self.kind:
            case "missing":
                return f"{self.topic} is missing"
            case "extra":
                return f"{self.topic} is not in the file"
            case _:
                return f"{self.topic}: {self.kind} should be {self.wanted} and is {self.found}"


@dataclass(frozen=True, slots=True)
class Provisioned:
    created: tuple[str, ...]
    differences: tuple[Difference, ...]
    """What is left alone: an existing topic is never altered by itself."""


def load(path: Path) -> TopicSpec:
    """The topics that a file describes. Raises `InvalidTopics`."""
    try:
        content: dict[str, Any] = yaml.safe_load(path.read_text())
        defaults: dict[str, Any] = {"config": {}, "replication_factor": 1, **content["defaults"]}
        return TopicSpec(
            tuple(_entry(each, defaults) for each in content.get("topics", ())),
            tuple(_entry(each, defaults) for each in content.get("templates", ())),
        )
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise InvalidTopics(f"{path}: {type(error).__name__}: {error}") from error


def expand(spec: TopicSpec, tenants: Collection[str], vendors: Collection[str]) -> tuple[Topic, ...]:
    """Every topic, the templates filled in for each tenant or each vendor."""
    fixed = [(entry, entry.topic.name) for entry in spec.topics]
    filled = [(entry, name) for entry in spec.templates for name in _filled(entry.topic.name, tenants, vendors)]
    return tuple(topic for entry, name in (*fixed, *filled) for topic in entry.topics(name))


def _filled(template: str, tenants: Collection[str], vendors: Collection[str]) -> list[str]:
    if _TENANT in template:
        return [template.replace(_TENANT, tenant) for tenant in tenants]
    return [template.replace(_VENDOR, vendor) for vendor in vendors]


async def provision(bootstrap: str, topics: Sequence[Topic]) -> Provisioned:
    """Make the topics that are missing, and report what is otherwise different.

    Returns when the brokers have heard of every new topic from the controller, which may take them a moment.
    """
    async with _admin(bootstrap) as admin:
        existing, brokers = await admin.partitions(), await admin.brokers()
        created = [topic.name for topic in topics if topic.name not in existing and await _make(admin, topic, brokers)]
        return Provisioned(tuple(created), await _heard(admin, topics))


async def differences(bootstrap: str, topics: Sequence[Topic]) -> tuple[Difference, ...]:
    """What the brokers have otherwise; nothing is changed."""
    async with _admin(bootstrap) as admin:
        return await _differences(admin, topics)


@asynccontextmanager
async def _admin(bootstrap: str) -> AsyncGenerator[AdminClient]:
    admin = AdminClient(Connection(bootstrap, "allweather-topics"))
    try:
        await admin.start()
        yield admin
    except ClientError as error:
        raise BrokerAway(f"{bootstrap}: {error!r}") from error
    finally:
        await admin.close()


async def _make(admin: AdminClient, topic: Topic, brokers: int) -> bool:
    # On one machine there are fewer brokers than copies that are wanted elsewhere.
    replicas = min(topic.replication_factor, brokers)
    return await admin.create(topic.name, topic.partitions, replicas, topic.config)


async def _heard(admin: AdminClient, topics: Sequence[Topic]) -> tuple[Difference, ...]:
    """The differences once no topic is missing; with those that still are when the time for that is up."""
    deadline = time.monotonic() + _HEARD_WITHIN_S
    while True:
        found = await _differences(admin, topics)
        if all(each.kind != "missing" for each in found) or time.monotonic() > deadline:
            return found
        await asyncio.sleep(0.05)


async def _differences(admin: AdminClient, topics: Sequence[Topic]) -> tuple[Difference, ...]:
    found = await admin.partitions()
    configs = await admin.configs([topic.name for topic in topics if topic.name in found])
    wanted = {topic.name for topic in topics}
    extra = sorted(name for name in found if name.startswith(_OURS) and name not in wanted)
    return (
        *(each for topic in topics for each in _compared(topic, found.get(topic.name), configs)),
        *(Difference(name, "extra") for name in extra),
    )


def _compared(topic: Topic, partitions: int | None, configs: Mapping[str, Mapping[str, str]]) -> list[Difference]:
    if partitions is None:
        return [Difference(topic.name, "missing")]
    config = configs[topic.name]
    differences = [
        Difference(topic.name, "config", f"{key}={value}", f"{key}={config.get(key)}")
        for key, value in topic.config.items()
        if config.get(key) != value
    ]
    if partitions != topic.partitions:
        differences.insert(0, Difference(topic.name, "partitions", str(topic.partitions), str(partitions)))
    return differences


def _entry(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> Entry:
    config = {**defaults["config"], **given.get("config", {})}
    topic = Topic(
        given["name"],
        int(given.get("partitions", defaults["partitions"])),
        int(given.get("replication_factor", defaults["replication_factor"])),
        {key: _text(value) for key, value in cast(dict[str, Any], config).items()},
    )
    return Entry(topic, bool(given.get("dlq", False)))


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
