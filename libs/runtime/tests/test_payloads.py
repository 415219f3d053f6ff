"""What every payload store keeps, and what only a folder can suffer."""

import asyncio
from pathlib import Path

import pytest

from allweather.contracts.model import digest
from allweather.runtime.payloads import DirectoryPayloads, MemoryPayloads, PayloadCorrupt, PayloadMissing, Payloads


@pytest.fixture(params=["directory", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Payloads:
    return DirectoryPayloads(tmp_path) if request.param == "directory" else MemoryPayloads()


@pytest.mark.parametrize("content", [b"", b"a body", bytes(range(256)) * 4096])
async def test_what_is_put_can_be_got_under_its_digest(store: Payloads, content: bytes):
    name = await store.put(content)

    assert name == digest(content)
    assert await store.get(name) == content


async def test_putting_twice_is_putting_once(store: Payloads):
    first, second = await asyncio.gather(store.put(b"a body"), store.put(b"a body"))

    assert first == second
    assert await store.get(first) == b"a body"


@pytest.mark.parametrize("name", ["0" * 64, "not a digest", "../" * 21 + "x", "A" * 64, ""])
async def test_what_was_never_put_is_missing(store: Payloads, name: str):
    with pytest.raises(PayloadMissing):
        await store.get(name)


async def test_what_is_discarded_is_missing_and_discarding_again_is_harmless(store: Payloads):
    name = await store.put(b"a body")

    await store.discard(name)
    await store.discard(name)

    with pytest.raises(PayloadMissing):
        await store.get(name)


async def test_a_store_answers_its_ping(store: Payloads):
    await store.ping()


async def test_a_changed_payload_is_detected_when_read(tmp_path: Path):
    store = DirectoryPayloads(tmp_path)
    name = await store.put(b"a body")
    (tmp_path / name[:2] / name).write_bytes(b"a bodY")

    with pytest.raises(PayloadCorrupt):
        await store.get(name)


def test_a_payload_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A writer that fails in the middle (a full disk) leaves neither a payload nor a scrap."""
    store = DirectoryPayloads(tmp_path)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        asyncio.run(store.put(b"a body"))

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


async def test_a_folder_that_is_gone_fails_its_ping(tmp_path: Path):
    with pytest.raises(PermissionError):
        await DirectoryPayloads(tmp_path / "gone").ping()
