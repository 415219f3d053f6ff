"""The topics of a fresh cluster, for every tenant of the configuration."""

import asyncio
from pathlib import Path

from allweather.contracts import config
from allweather.messaging import topics


async def provision(bootstrap: str, topics_file: Path, config_dir: Path) -> None:
    """Make what is missing and correct what differs; harmless when all is as it should be."""
    tenants = [tenant.id for tenant in (await asyncio.to_thread(config.load, config_dir)).tenants]
    await topics.provision(bootstrap, topics.load(topics_file), tenants)
