import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from allweather.local import jars
from allweather.local.errors import JarUnavailable
from allweather.local.jars import Jar

GOOD = b"the content that is locked"
JAR = Jar("org.example", "broker", "1.0", hashlib.sha256(GOOD).hexdigest())

Answers = Iterator[tuple[int, bytes]]


@asynccontextmanager
async def repository(answers: Answers, asked: list[str]) -> AsyncGenerator[str]:
    """An artifact repository over HTTP, which gives one answer after the other."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        asked.append(request.split()[1].decode())
        status, body = next(answers)
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/maven"


async def ensure(folder: Path, *answers: tuple[int, bytes], asked: list[str] | None = None) -> list[Path]:
    async with repository(iter(answers), [] if asked is None else asked) as url:
        return await jars.ensure(folder, [JAR], repository=url, report=lambda _: None)


async def test_a_missing_jar_is_fetched_from_its_place_in_the_repository(tmp_path: Path) -> None:
    asked: list[str] = []

    files = await ensure(tmp_path, (200, GOOD), asked=asked)

    assert [file.read_bytes() for file in files] == [GOOD]
    assert asked == ["/maven/org/example/broker/1.0/broker-1.0.jar"]


@pytest.mark.parametrize("first", [(200, b"tampered with"), (200, GOOD[:-1]), (503, b""), (404, b"")])
async def test_a_wrong_answer_is_detected_and_asked_for_again(tmp_path: Path, first: tuple[int, bytes]) -> None:
    asked: list[str] = []

    (file,) = await ensure(tmp_path, first, (200, GOOD), asked=asked)

    assert file.read_bytes() == GOOD
    assert len(asked) == 2


async def test_a_jar_that_is_never_right_is_refused_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(JarUnavailable, match=r"broker-1\.0\.jar: the content is not what the lock file names"):
        await ensure(tmp_path, *[(200, b"tampered with")] * jars.ATTEMPTS)

    assert os.listdir(tmp_path) == []


async def test_a_jar_that_was_damaged_on_the_disk_is_replaced(tmp_path: Path) -> None:
    (tmp_path / JAR.filename).write_bytes(GOOD + b"!")

    (file,) = await ensure(tmp_path, (200, GOOD))

    assert file.read_bytes() == GOOD


async def test_whole_jars_are_not_asked_for_again(tmp_path: Path) -> None:
    (tmp_path / JAR.filename).write_bytes(GOOD)
    asked: list[str] = []

    await ensure(tmp_path, asked=asked)

    assert asked == []


def test_the_lock_survives_being_written_and_read(tmp_path: Path) -> None:
    jars.write_lock([JAR], tmp_path / "lock")

    assert jars.read_lock(tmp_path / "lock") == (JAR,)


def test_the_committed_lock_names_the_broker_and_a_digest_for_every_jar() -> None:
    locked = jars.read_lock()

    assert {"kafka_2.13-4.3.1.jar", "kafka-clients-4.3.1.jar", "log4j-core-2.24.3.jar"} <= {j.filename for j in locked}
    assert all(len(bytes.fromhex(jar.sha256)) == 32 for jar in locked)
    assert len({(jar.group, jar.artifact) for jar in locked}) == len(locked)
