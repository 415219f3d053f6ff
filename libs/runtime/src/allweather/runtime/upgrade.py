"""Takes one schema to the newest revision in a folder: `python -m allweather.runtime.upgrade <schema> <folder>`.

The address of Postgres, which holds a password, comes on standard input. `migrations.migrate` runs this and judges the
result by what Postgres then says.
"""

import asyncio
import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

_ENVIRONMENT = Path(__file__).parent / "alembic_environment"


async def upgrade(dsn: str, schema: str, folder: Path) -> None:
    """Run the revisions that are missing, each in its own transaction."""
    config = Config()
    config.set_main_option("script_location", str(_ENVIRONMENT))
    config.set_main_option("version_locations", str(folder))
    config.set_main_option("path_separator", "newline")
    engine = create_async_engine(dsn.replace("postgresql://", "postgresql+asyncpg://", 1), poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(_run, config, schema)


def _run(connection: Connection, config: Config, schema: str) -> None:
    config.attributes.update(connection=connection, schema=schema)
    command.upgrade(config, "head")
    connection.commit()


def main() -> int:
    """Upgrade as the command line says; a failure is one line on standard error and exit code 1."""
    schema, folder = sys.argv[1:]
    try:
        asyncio.run(upgrade(sys.stdin.read(), schema, Path(folder)))
    except Exception as error:  # noqa: BLE001 - whatever went wrong is told to the service, which then does not start
        sys.stderr.write(f"{type(error).__name__}: {error}".partition("\n")[0])
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
