"""One schema, several replicas that start at once, builds of different age."""

import asyncio
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from allweather.runtime.migrations import MigrationFailed, migrate, newest, revisions

REVISION = '''"""{number}"""
from alembic import op
revision = "{number}"
down_revision = {before!r}

def upgrade() -> None:
    op.execute("""{statement}""")
'''


def write(folder: Path, *statements: str) -> Path:
    """Revisions 0001, 0002 ... in `folder`, one for each statement."""
    folder.mkdir(exist_ok=True)
    for number, statement in enumerate(statements, start=1):
        before = f"{number - 1:04}" if number > 1 else None
        text = REVISION.format(number=f"{number:04}", before=before, statement=statement)
        (folder / f"{number:04}_step.py").write_text(text)
    return folder


async def fetch(dsn: str, query: str) -> list[object]:
    connection = await asyncpg.connect(dsn)
    try:
        return [row[0] for row in await connection.fetch(query)]
    finally:
        await connection.close()


CREATE = "CREATE TABLE {schema}.steps (request_id uuid)"
WIDEN = "ALTER TABLE {schema}.steps ADD COLUMN step text"


async def test_a_schema_is_brought_to_the_newest_revision_and_again_is_harmless(postgres_dsn: str, tmp_path: Path):
    folder = write(tmp_path / "v1", CREATE.format(schema="a"))

    await migrate(SecretStr(postgres_dsn), schema="a", folder=folder)
    await migrate(SecretStr(postgres_dsn), schema="a", folder=folder)

    assert await fetch(postgres_dsn, "SELECT version_num FROM a.alembic_version") == ["0001"]
    assert await fetch(postgres_dsn, "SELECT count(*) FROM a.steps") == [0]


async def test_a_newer_build_takes_the_schema_further_and_the_older_one_leaves_it_alone(
    postgres_dsn: str, tmp_path: Path
):
    older = write(tmp_path / "v1", CREATE.format(schema="b"))
    newer = write(tmp_path / "v2", CREATE.format(schema="b"), WIDEN.format(schema="b"))

    await migrate(SecretStr(postgres_dsn), schema="b", folder=older)
    await migrate(SecretStr(postgres_dsn), schema="b", folder=newer)
    await migrate(SecretStr(postgres_dsn), schema="b", folder=older)

    assert await fetch(postgres_dsn, "SELECT version_num FROM b.alembic_version") == ["0002"]


async def test_of_replicas_that_start_at_once_one_migrates_and_all_find_it_done(postgres_dsn: str, tmp_path: Path):
    """Without the lock, all but one would fail to create what another has created."""
    folder = write(tmp_path / "v1", CREATE.format(schema="c"), "SELECT pg_sleep(0.1)", WIDEN.format(schema="c"))

    await asyncio.gather(*(migrate(SecretStr(postgres_dsn), schema="c", folder=folder) for _ in range(4)))

    assert await fetch(postgres_dsn, "SELECT version_num FROM c.alembic_version") == ["0003"]


async def test_schemas_migrate_without_knowing_of_each_other(postgres_dsn: str, tmp_path: Path):
    await migrate(SecretStr(postgres_dsn), schema="d", folder=write(tmp_path / "d", CREATE.format(schema="d")))
    await migrate(
        SecretStr(postgres_dsn),
        schema="e",
        folder=write(tmp_path / "e", CREATE.format(schema="e"), WIDEN.format(schema="e")),
    )

    assert await fetch(postgres_dsn, "SELECT version_num FROM d.alembic_version") == ["0001"]
    assert await fetch(postgres_dsn, "SELECT version_num FROM e.alembic_version") == ["0002"]


async def test_a_revision_that_fails_leaves_the_schema_at_the_one_before_it(postgres_dsn: str, tmp_path: Path):
    folder = write(tmp_path / "v1", CREATE.format(schema="f"), "ALTER TABLE f.nowhere ADD COLUMN x int")

    with pytest.raises(MigrationFailed, match="nowhere"):
        await migrate(SecretStr(postgres_dsn), schema="f", folder=folder)

    assert await fetch(postgres_dsn, "SELECT version_num FROM f.alembic_version") == ["0001"]


async def test_a_failed_migration_gives_the_lock_back(postgres_dsn: str, tmp_path: Path):
    broken = write(tmp_path / "v1", "nonsense")
    with pytest.raises(MigrationFailed):
        await migrate(SecretStr(postgres_dsn), schema="g", folder=broken)

    async with asyncio.timeout(10):
        mended = write(tmp_path / "v1", CREATE.format(schema="g"))
        await migrate(SecretStr(postgres_dsn), schema="g", folder=mended)

    assert await fetch(postgres_dsn, "SELECT version_num FROM g.alembic_version") == ["0001"]


def test_the_newest_revision_is_the_one_that_no_other_builds_on(tmp_path: Path):
    folder = write(tmp_path, "SELECT 1", "SELECT 2", "SELECT 3")

    assert revisions(folder) == {"0001": None, "0002": "0001", "0003": "0002"}
    assert newest(revisions(folder)) == "0003"


@pytest.mark.parametrize("before", [{}, {"0001": None, "0002a": "0001", "0002b": "0001"}])
def test_revisions_that_do_not_form_one_line_are_refused(before: dict[str, str | None]):
    with pytest.raises(MigrationFailed, match="one line"):
        newest(before)
