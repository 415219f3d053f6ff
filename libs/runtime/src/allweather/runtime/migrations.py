"""Migrations: one folder of Alembic revisions for each service schema.

    await migrate(settings.postgres_dsn, schema="router", folder=Path(__file__).parent / "migrations")

A revision is a plain Alembic file whose statements name their schema. The version table lives inside the schema, so
services migrate without knowing of each other.
"""

import ast
import asyncio
import logging
import sys
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from allweather.runtime.postgres import Connection, open_postgres

log = logging.getLogger(__name__)

LOCK_WAIT_S = 600.0


class MigrationFailed(Exception):
    """The schema is not what this build needs, so the service must not start."""


async def migrate(dsn: SecretStr, *, schema: str, folder: Path) -> None:
    """Bring `schema` up to the newest revision in `folder`; returns when it is there, whoever did it.

    One replica migrates under an advisory lock while the others wait. A schema that a newer build has already taken
    further is left alone: revisions are written so that the build before them goes on working.
    Raises MigrationFailed when the newest revision was not reached.
    """
    before = await asyncio.to_thread(revisions, folder)
    async with (
        open_postgres(dsn, name=f"{schema} migrations", connections=1, statement_timeout_s=LOCK_WAIT_S) as postgres,
        postgres.pool.acquire() as connection,
    ):
        if await _is_served(connection, schema, before):
            return
        await connection.execute("SELECT pg_advisory_lock(hashtextextended($1, 0))", f"allweather.migrations.{schema}")
        if await _is_served(connection, schema, before):
            return
        await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
        complaint = await _upgrade(dsn, schema, folder)
        if not await _is_served(connection, schema, before):
            raise MigrationFailed(f"{schema} is not at {newest(before)}: {complaint}")
        log.info("schema migrated", extra={"schema": schema, "revision": newest(before)})


def revisions(folder: Path) -> Mapping[str, str | None]:
    """The revisions in `folder`, each with the one before it, read without running them."""
    found: dict[str, str | None] = {}
    for path in folder.glob("*.py"):
        constants = dict(_constants(ast.parse(path.read_text())))
        found[str(constants["revision"])] = constants["down_revision"]
    return found


def newest(before: Mapping[str, str | None]) -> str:
    """The one revision that no other builds on. Raises MigrationFailed when there are several, or none."""
    heads = set(before) - set(before.values())
    if len(heads) != 1:
        raise MigrationFailed(f"revisions must form one line, but these are its ends: {sorted(heads)}")
    return heads.pop()


def _constants(module: ast.Module) -> list[tuple[str, str | None]]:
    """The string constants that a revision assigns at its top."""
    return [
        (target.id, node.value.value)
        for node in module.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(node.value.value, str | None)
    ]


async def _is_served(connection: Connection, schema: str, before: Mapping[str, str | None]) -> bool:
    """Whether the schema is at our newest revision, or at one of a newer build."""
    current = await _current(connection, schema)
    if current is not None and current not in before:
        log.warning("schema is newer than this build", extra={"schema": schema, "revision": current})
        return True
    return current == newest(before)


async def _current(connection: Connection, schema: str) -> str | None:
    """The revision that the schema is at; None before the first."""
    table = f'"{schema}".alembic_version'
    if await connection.fetchval("SELECT to_regclass($1)", table) is None:
        return None
    return await connection.fetchval(f"SELECT version_num FROM {table}")  # noqa: S608 - the schema is our own constant


async def _upgrade(dsn: SecretStr, schema: str, folder: Path) -> str:
    """Run Alembic, and return what it complained of.

    It runs in a process of its own, so that the 20 MB which it needs do not stay with the service.
    """
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "allweather.runtime.upgrade", schema, str(folder)),
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await child.communicate(dsn.get_secret_value().encode())
    return errors.decode(errors="replace").strip()
