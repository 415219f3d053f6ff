import os
import pwd
import shutil
from pathlib import Path

import pytest

from allweather.contracts.topics import CLEARED, dead_letters, dispatch, requests
from allweather.local.credentials import development_keys
from allweather.local.settings import REPOSITORY
from allweather.local.setup import hand_over
from allweather.local.topics import provision
from allweather.messaging import topics

TOPICS = REPOSITORY / "infra" / "kafka" / "topics.yaml"
CONFIG = REPOSITORY / "config"
TENANTS = ("demo", "other")


async def test_topics_are_made_once_for_every_tenant(kafka_bootstrap: str, tmp_path: Path) -> None:
    shutil.copytree(CONFIG, tmp_path / "config")
    with (tmp_path / "config" / "tenants.yaml").open("a") as tenants:
        tenants.write("  - id: only-here\n")
    said: list[str] = []

    await provision(kafka_bootstrap, TOPICS, tmp_path / "config", said.append)
    again: list[str] = []
    await provision(kafka_bootstrap, TOPICS, tmp_path / "config", again.append)

    assert any(line.startswith("made ") for line in said)
    assert not any(line.startswith("made ") for line in again)
    wanted = topics.expand(topics.load(TOPICS), TENANTS, ["vertex"])
    names = {CLEARED, dead_letters(CLEARED), requests("demo"), requests("other"), dispatch("vertex")}
    assert names <= {topic.name for topic in wanted}
    differences = await topics.differences(kafka_bootstrap, wanted)
    assert [difference for difference in differences if difference.kind != "extra"] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_containers_share_belongs_to_the_user_whom_the_services_run_as(tmp_path: Path) -> None:
    hand_over(tmp_path, "nobody", TENANTS)
    hand_over(tmp_path, "nobody", TENANTS)

    owners = {path.owner() for path in (tmp_path, *tmp_path.iterdir())}
    assert owners == {pwd.getpwnam("nobody").pw_name}
    assert {path.name for path in tmp_path.iterdir()} == {"secret.key", "keys.json", "payloads"}
    assert set(development_keys(tmp_path / "keys.json")) == set(TENANTS)
