"""Migrations: one folder of Alembic revisions for each service schema.

    await migrate(settings.postgres_dsn, schema="router", folder=Path(__file__).parent / "migrations")

A revision is a plain Alembic file whose statements name their schema. The version table lives inside the schema, so
services migrate without knowing of each other.
"""

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydantic import SecretStr
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

log = logging.getLogger(__name__)

_ENVIRONMENT = Path(__file__).parent / "alembic_environment"
_LOCK = text("SELECT pg_advisory_lock(hashtextextended('allweather.migrations.' || :schema, 0))")


class MigrationFailed(Exception):
    """The schema is not what this build needs, so the service must not start."""


async def migrate(dsn: SecretStr, *, schema: str, folder: Path) -> None:
    """Bring `schema` up to the newest revision in `folder`; returns when it is there, whoever did it.

    One replica migrates under an advisory lock while the others wait. A schema that a newer build has already taken
    further is left alone: revisions are written so that the build before them goes on working.
    Raises MigrationFailed when the newest revision was not reached.
    """
    url = dsn.get_secret_value().replace("postgresql://", "postgresql+asyncpg://", 1)
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.execute(_LOCK, {"schema": schema})  # the session's end gives the lock back
            await connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{schema}"'))
            await connection.commit()
            await _upgrade(connection, schema, folder)
    finally:
        await engine.dispose()


async def _upgrade(connection: AsyncConnection, schema: str, folder: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(_ENVIRONMENT))
    config.set_main_option("version_locations", str(folder))
    config.set_main_option("path_separator", "newline")
    known = ScriptDirectory.from_config(config)
    before = await connection.run_sync(_current, schema)
    if before is not None and before not in {revision.revision for revision in known.walk_revisions()}:
        log.warning("schema is newer than this build", extra={"schema": schema, "revision": before})
        return
    await connection.run_sync(_run, config, schema)
    after = await connection.run_sync(_current, schema)
    if after != known.get_current_head():
        raise MigrationFailed(f"{schema} is at {after}, not at {known.get_current_head()}")
    if after != before:
        log.info("schema migrated", extra={"schema": schema, "revision": after})


def _run(connection: Connection, config: Config, schema: str) -> None:
    config.attributes.update(connection=connection, schema=schema)
    try:
        command.upgrade(config, "head")
    except Exception as error:
        raise MigrationFailed(f"{schema}: {error}") from error
    connection.commit()


def _current(connection: Connection, schema: str) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table_schema": schema})
    revision = context.get_current_revision()
    connection.rollback()
    return revision
