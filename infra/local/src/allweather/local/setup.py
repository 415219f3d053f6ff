"""What has to exist before services start in containers: secrets in the folder they share, and the topics.

Runs once and ends; running it again changes nothing that is there.
"""

import argparse
import asyncio
import shutil
from collections.abc import Iterable
from pathlib import Path

from allweather.contracts import config
from allweather.local.credentials import Credentials
from allweather.local.settings import LocalSettings
from allweather.local.topics import provision


def main() -> None:
    given = _arguments().parse_args()
    settings = LocalSettings()
    tenants = [tenant.id for tenant in config.load(settings.config_dir).tenants]
    hand_over(given.state, given.owner, tenants)
    if not settings.kafka_bootstrap:
        raise SystemExit("ALLWEATHER_KAFKA_BOOTSTRAP is not set: there are no brokers to make topics on")
    asyncio.run(provision(settings.kafka_bootstrap, given.topics, settings.config_dir, print))


def hand_over(state: Path, owner: str | None, tenants: Iterable[str]) -> None:
    """Make the shared folder's content, for the user whom the services run as."""
    Credentials.ensure(state, tenants)
    (state / "payloads").mkdir(exist_ok=True)
    if owner:
        for path in (state, *state.iterdir()):
            shutil.chown(path, owner)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m allweather.local.setup", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="the folder that the services share")
    parser.add_argument("--owner", help="the user whom they run as")
    parser.add_argument("--topics", type=Path, required=True, help="topics.yaml")
    return parser


if __name__ == "__main__":
    main()
