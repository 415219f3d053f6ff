"""The topics of the local brokers, for every tenant and vendor of the configuration."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from allweather.contracts import config
from allweather.local.errors import PreparationFailed
from allweather.messaging import topics
from allweather.messaging.errors import MessagingError


async def provision(bootstrap: str, topics_file: Path, config_dir: Path, report: Callable[[str], None]) -> None:
    """Make what is missing, and say what is otherwise than the file wants it; harmless when all is as it should be."""
    try:
        wanted = await asyncio.to_thread(_wanted, topics_file, config_dir)
        provisioned = await topics.provision(bootstrap, wanted)
        if provisioned.created:
            report(f"made {len(provisioned.created)} topics")
        for difference in provisioned.differences:
            report(f"left as it is: {difference}")
    except MessagingError as problem:
        raise PreparationFailed(f"topics: {problem}") from problem


def _wanted(topics_file: Path, config_dir: Path) -> tuple[topics.Topic, ...]:
    known = config.load(config_dir)
    return topics.expand(topics.load(topics_file), [t.id for t in known.tenants], [v.id for v in known.vendors])
