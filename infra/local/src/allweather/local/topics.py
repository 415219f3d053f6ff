"""The topics of the local brokers, for every tenant of the configuration."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from allweather.contracts import config
from allweather.messaging import topics


async def provision(bootstrap: str, topics_file: Path, config_dir: Path, report: Callable[[str], None]) -> None:
    """Make what is missing, and say what is otherwise than the file wants it; harmless when all is as it should be."""
    wanted = await asyncio.to_thread(_wanted, topics_file, config_dir)
    provisioned = await topics.provision(bootstrap, wanted)
    if provisioned.created:
        report(f"made {len(provisioned.created)} topics")
    for difference in provisioned.differences:
        report(f"left as it is: {difference}")


def _wanted(topics_file: Path, config_dir: Path) -> tuple[topics.Topic, ...]:
    tenants = (tenant.id for tenant in config.load(config_dir).tenants)
    return topics.expand(topics.load(topics_file), tenants)
