"""RESP, the words of Redis: commands as bytes, and answers cut out of bytes that arrive in pieces. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

Command = Sequence[str | bytes | int]
"""A command and its arguments, as Redis takes them."""
Answer = Any
"""bytes, int, None, a list of answers, or `Refusal`."""

_LINE_END: Final = b"\r\n"


class Refusal(str):
    """What Redis said instead of an answer; its first word is a code."""

    __slots__ = ()

    @property
    def code(self) -> str:
        return self.partition(" ")[0]


class NotResp(ConnectionError):
    """Whoever answers is no Redis."""


class _Incomplete(Exception):
    """The rest has not arrived yet."""


def encode(commands: Iterable[Command]) -> bytes:
    """The bytes of `commands`, one after another."""
    return b"".join(part for command in commands for part in _encoded(command))


def _encoded(command: Command) -> Iterator[bytes]:
    yield b"*%d\r\n" % len(command)
    for argument in command:
        raw = argument if isinstance(argument, bytes) else str(argument).encode()
        yield b"$%d\r\n%b\r\n" % (len(raw), raw)


class Answers:
    """The answers of one connection, in their order."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, piece: bytes) -> Iterator[Answer]:
        """The answers that `piece` completes. Raises `NotResp`."""
        self._buffer += piece
        at = 0
        try:
            while at < len(self._buffer):
                answer, at = _read(self._buffer, at)
                yield answer
        except _Incomplete:
            pass
        except ValueError:
            raise NotResp("this is no answer of Redis") from None
        self._buffer = self._buffer[at:]


def _read(buffer: bytes, at: int) -> tuple[Answer, int]:
    """The answer that begins at `at`, and where the next one does."""
    end = buffer.find(_LINE_END, at)
    if end < 0:
        raise _Incomplete
    kind, line, after = buffer[at : at + 1], buffer[at + 1 : end], end + len(_LINE_END)
    match kind:
        case b"+":
            return line, after
        case b"-":
            return Refusal(line.decode(errors="replace")), after
        case b":":
            return int(line), after
        case b"$":
            return _bulk(buffer, after, int(line))
        case b"*":
            return _array(buffer, after, int(line))
        case _:
            raise ValueError(kind)


def _bulk(buffer: bytes, at: int, size: int) -> tuple[bytes | None, int]:
    if size < 0:
        return None, at
    end = at + size
    if len(buffer) < end + len(_LINE_END):
        raise _Incomplete
    return buffer[at:end], end + len(_LINE_END)


def _array(buffer: bytes, at: int, size: int) -> tuple[list[Answer] | None, int]:
    if size < 0:
        return None, at
    answers: list[Answer] = []
    for _ in range(size):
        answer, at = _read(buffer, at)
        answers.append(answer)
    return answers, at
