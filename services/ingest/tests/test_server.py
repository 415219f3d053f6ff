"""What is written in one turn of the loop leaves in one piece, and nothing of it is lost or late."""

import asyncio

from allweather.ingest.adapters.server import GATHERED_LIMIT, Gathering


class Wire(asyncio.Transport):
    """Keeps the pieces that were written."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.closed_after: int | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.pieces.append(bytes(data))

    def close(self) -> None:
        self.closed_after = len(self.pieces)


def gathering(wire: Wire) -> Gathering:
    return Gathering(wire, asyncio.get_running_loop())


async def test_what_is_written_in_one_turn_leaves_in_one_piece():
    wire = Wire()
    out = gathering(wire)

    out.write(b"head ")
    out.write(b"body")
    await asyncio.sleep(0)
    out.write(b"next")
    await asyncio.sleep(0)

    assert wire.pieces == [b"head body", b"next"]


async def test_what_was_written_leaves_before_the_connection_closes():
    wire = Wire()
    out = gathering(wire)

    out.write(b"last words")
    out.close()
    await asyncio.sleep(0)

    assert (wire.pieces, wire.closed_after) == ([b"last words"], 1)


async def test_much_leaves_at_once_so_that_a_slow_reader_is_noticed():
    wire = Wire()
    out = gathering(wire)

    out.write(b"x" * GATHERED_LIMIT)

    assert wire.pieces == [b"x" * GATHERED_LIMIT]
