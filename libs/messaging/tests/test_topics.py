"""The topics file, and brokers that agree with it."""

import json
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from allweather.contracts import config
from allweather.messaging import topics
from allweather.messaging.commands import app
from allweather.messaging.lanes import limit_of
from allweather.messaging.topics import Difference, InvalidTopics, Topic

REPOSITORY = Path(__file__).parents[3]
FILE = REPOSITORY / "infra" / "kafka" / "topics.yaml"


def shipped() -> tuple[Topic, ...]:
    known = config.load(REPOSITORY / "config")
    return topics.expand(topics.load(FILE), [t.id for t in known.tenants], [v.id for v in known.vendors])


def write(folder: Path, text: str) -> Path:
    path = folder / "topics.yaml"
    path.write_text(text)
    return path


SMALL = """
defaults: {partitions: 2, replication_factor: 3, config: {max.message.bytes: 1000, retention.ms: 60000}}
topics: [{name: ai.internal.x.v1, partitions: 1, dlq: true}]
templates:
  - {name: "ai.public.requests.{tenant}.v1", config: {retention.ms: 5}}
  - {name: "ai.internal.dispatch.{vendor}.v1"}
"""


def test_defaults_are_completed_and_templates_filled_in(tmp_path: Path) -> None:
    found = topics.expand(topics.load(write(tmp_path, SMALL)), ["a", "b"], ["v"])

    assert [topic.name for topic in found] == [
        "ai.internal.x.v1",
        "ai.internal.x.v1.dlq",
        "ai.public.requests.a.v1",
        "ai.public.requests.b.v1",
        "ai.internal.dispatch.v.v1",
    ]
    assert [topic.partitions for topic in found] == [1, 1, 2, 2, 2]
    assert found[2].config == {"max.message.bytes": "1000", "retention.ms": "5"}


def test_dead_letters_have_room_for_what_is_added(tmp_path: Path) -> None:
    plain, letters, *_ = topics.expand(topics.load(write(tmp_path, SMALL)), [], [])

    assert int(letters.config["max.message.bytes"]) - int(plain.config["max.message.bytes"]) == 64 * 1024


@pytest.mark.parametrize("text", ["", "[]", "topics: []", "topics: [", SMALL.replace("name: ai", "nom: ai")])
def test_unusable_file_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidTopics, match=r"topics\.yaml"):
        topics.load(write(tmp_path, text))


def test_shipped_topics_take_what_the_publisher_lets_through() -> None:
    """A size that is checked before sending must be the size that the topic takes."""
    assert {topic.name: int(topic.config["max.message.bytes"]) for topic in shipped()} == {
        topic.name: limit_of(topic.name) for topic in shipped()
    }


def test_shipped_pipeline_topics_have_one_partition_count() -> None:
    assert len({topic.partitions for topic in shipped()}) == 1


async def test_broker_and_shipped_file_agree_after_provisioning(kafka_bootstrap: str) -> None:
    await topics.provision(kafka_bootstrap, shipped())

    again = await topics.provision(kafka_bootstrap, shipped())

    assert again.created == ()
    assert [each for each in again.differences if each.kind != "extra"] == []


async def test_existing_topic_is_reported_and_left_alone(kafka_bootstrap: str) -> None:
    name = f"ai.test.{uuid.uuid4().hex}"
    topic = Topic(name, 1, 1, {"retention.ms": "60000"})
    await topics.provision(kafka_bootstrap, [topic])
    wanted = replace(topic, partitions=2, config={"retention.ms": "5"})

    done = await topics.provision(kafka_bootstrap, [wanted])

    assert done.created == ()
    assert [each for each in done.differences if each.topic == name] == [
        Difference(name, "partitions", "2", "1"),
        Difference(name, "config", "retention.ms=5", "retention.ms=60000"),
    ]
    assert Difference(name, "extra") in await topics.differences(kafka_bootstrap, [])


def test_command_makes_topics_and_reports_differences_as_json(kafka_bootstrap: str, tmp_path: Path) -> None:
    name = f"other.{uuid.uuid4().hex}"
    text = SMALL.replace("ai.internal.x.v1, partitions: 1, dlq: true", name).replace("ai.public.requests", name)
    text = text.replace("ai.internal.dispatch", f"{name}.for")
    options = ["--bootstrap", kafka_bootstrap, "--file", str(write(tmp_path, text))]
    options += ["--config", str(REPOSITORY / "config"), "--json"]

    before = json.loads(CliRunner().invoke(app, ["check", *options]).stdout)
    applied = json.loads(CliRunner().invoke(app, ["apply", *options]).stdout)
    after = json.loads(CliRunner().invoke(app, ["check", *options]).stdout)

    assert {each["topic"] for each in before["differences"] if each["kind"] == "missing"} == set(applied["created"])
    assert name in applied["created"]
    assert [each for each in after["differences"] if each["kind"] != "extra"] == []
