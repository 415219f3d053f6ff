"""Calls at a server that does what no vendor should."""

import asyncio
import gc
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from allweather.contracts.answers import Answer
from allweather.contracts.conversation import Finish
from allweather.contracts.failures import FailureKind
from allweather.contracts.slip import Dialect
from allweather.provider_worker.adapters.http import IN_ONE_WRITE, AiohttpTransport, transport
from allweather.provider_worker.call import MAX_ANSWER_BYTES, Call, Notes, Patience, Show, VendorCall
from allweather.provider_worker.passing import Forwarded
from allweather.provider_worker.sse import MAX_EVENT_BYTES
from allweather.provider_worker.vendors import VENDORS
from allweather.provider_worker.wire import Answered, Failed, Failure, HttpRequest

PATIENCE = Patience(first_token=1, between_tokens=1, total=3)
ANSWER = (
    b'{"id":"1","object":"chat.completion","model":"m","choices":'
    b'[{"index":0,"message":{"role":"assistant","content":"It leaks."},"finish_reason":"stop"}]}'
)
STREAM = (
    b'data: {"id":"1","object":"chat.completion.chunk","model":"m","choices":'
    b'[{"index":0,"delta":{"content":"It leaks."},"finish_reason":"stop"}]}\n\n'
    b"data: [DONE]\n\n"
)
Talk = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Answers every request by `talk`; counts connections and requests."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self.connections = 0
        self.requests = 0
        self.bodies: list[bytes] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
                self.bodies.append(await reader.readexactly(int(length.split(b":")[1])))
                self.requests += 1
                await self._talk(writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(talk: Talk) -> AsyncGenerator[Server]:
    server = Server(talk)
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        server.port = listening.sockets[0].getsockname()[1]
        yield server


def saying(raw: bytes) -> Talk:
    async def talk(writer: asyncio.StreamWriter) -> None:
        writer.write(raw)

    return talk


def response(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@pytest.fixture
async def vendors() -> AsyncGenerator[AiohttpTransport]:
    async with transport(connect_s=1.0) as opened:
        yield opened


def asked(port: int, path: str = "/", show: Show | None = None) -> Call:
    """A call of a server that speaks Chat Completions, for a caller who does."""
    passing = Forwarded(Dialect.OPENAI_CHAT, b"{}", include_usage=False)
    return Call(HttpRequest(f"http://127.0.0.1:{port}{path}", b"{}"), VENDORS["openai"], passing, show=show)


async def called(vendors: AiohttpTransport, port: int, path: str = "/") -> Answered[Answer] | Failure:
    call = VendorCall(vendors, lambda: 0)
    try:
        return await call.answer(asked(port, path), PATIENCE, Notes())
    except Failed as error:
        return error.failure


async def failure(vendors: AiohttpTransport, talk: Talk) -> tuple[FailureKind, str | None]:
    async with serving(talk) as server:
        found = await called(vendors, server.port)
    assert isinstance(found, Failure)
    return found.kind, found.vendor_code


async def test_connection_is_used_again(vendors: AiohttpTransport) -> None:
    """After a plain answer as after a stream, even when the end of its body comes late."""

    async def late_end(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        writer.write(b"%x\r\n%b\r\n" % (len(STREAM), STREAM))
        await writer.drain()
        await asyncio.sleep(0)
        writer.write(b"0\r\n\r\n")

    for talk in (saying(response(ANSWER)), late_end):
        async with serving(talk) as server:
            for _ in range(3):
                assert isinstance(await called(vendors, server.port), Answered)

            assert (server.connections, server.requests) == (1, 3)


async def test_refused_connection_is_unavailable(vendors: AiohttpTransport) -> None:
    async with serving(saying(b"")) as server:
        port = server.port

    found = await called(vendors, port)

    assert isinstance(found, Failure)
    assert (found.kind, found.vendor_code) == (FailureKind.UNAVAILABLE, "transport")
    assert found.message == "no connection (Connection refused)."


async def test_broken_call_is_not_made_again(vendors: AiohttpTransport) -> None:
    """Whatever the client library would like to do: the vendor may have done the work."""

    async def hang_up(writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with serving(hang_up) as server:
        await called(vendors, server.port)

        assert server.requests == 1


async def test_large_body_arrives_whole(vendors: AiohttpTransport) -> None:
    """And the connection is used again, since all of it was taken."""
    body = bytes(range(256)) * (IN_ONE_WRITE // 128)

    async with serving(saying(response(ANSWER))) as server:
        for _ in range(2):
            call = replace(asked(server.port), request=HttpRequest(f"http://127.0.0.1:{server.port}/", body))
            await VendorCall(vendors, lambda: 0).answer(call, PATIENCE, Notes())

        assert (server.connections, server.bodies) == (1, [body, body])


async def test_answer_that_comes_before_all_was_sent_is_read(vendors: AiohttpTransport) -> None:
    """A vendor may say that a body is too large without reading it; no other call may have the rest of it before it."""
    taken: list[asyncio.StreamWriter] = []

    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response(b"{}", status="413 Too Large"))
        taken.append(writer)

    async with await asyncio.start_server(early, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        request = HttpRequest(f"http://127.0.0.1:{port}/", b" " * (16 << 20))
        for _ in range(2):
            found = await VendorCall(vendors, lambda: 0).response(request, PATIENCE, Notes())
            assert (found.status, found.body) == (413, b"{}")
        assert len(taken) == 2
        for writer in taken:
            writer.close()


async def test_large_body_that_nobody_takes_is_unavailable(
    vendors: AiohttpTransport, caplog: pytest.LogCaptureFixture
) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        request = HttpRequest(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", b" " * (16 << 20))
        with pytest.raises(Failed) as caught:
            await VendorCall(vendors, lambda: 0).response(request, PATIENCE, Notes())
    gc.collect()

    assert (caught.value.failure.kind, caught.value.failure.vendor_code) == (FailureKind.UNAVAILABLE, "transport")
    assert not caplog.records, "what the task that writes has met is heard of once"


async def test_interim_answer_is_passed_over(vendors: AiohttpTransport) -> None:
    async with serving(saying(b"HTTP/1.1 103 Early Hints\r\nlink: </>\r\n\r\n" + response(ANSWER))) as server:
        assert isinstance(await called(vendors, server.port), Answered)


@pytest.mark.parametrize("address", ["", "vendor.example/v1", "ftp://vendor.example", "http://vendor.example:x/"])
async def test_address_that_is_none_is_unavailable(vendors: AiohttpTransport, address: str) -> None:
    with pytest.raises(Failed) as caught:
        await VendorCall(vendors, lambda: 0).response(HttpRequest(address, b"{}"), PATIENCE, Notes())

    assert (caught.value.failure.kind, caught.value.failure.vendor_code) == (FailureKind.UNAVAILABLE, "transport")


async def test_redirect_is_not_followed(vendors: AiohttpTransport) -> None:
    """It would carry the credential along."""
    async with serving(saying(response(ANSWER))) as elsewhere:
        away = response(b"", f"location: http://127.0.0.1:{elsewhere.port}/", status="307 Temporary Redirect")

        assert await failure(vendors, saying(away)) == (FailureKind.MISCONFIGURED, None)
        assert elsewhere.requests == 0


async def test_encoded_answer_is_not_unfolded(vendors: AiohttpTransport) -> None:
    bomb = response(b"\x1f\x8b", "content-encoding: gzip")

    assert await failure(vendors, saying(bomb)) == (FailureKind.UNAVAILABLE, "encoded_answer")


async def endless(writer: asyncio.StreamWriter, head: bytes, piece: bytes) -> None:
    writer.write(head)
    while not writer.is_closing():
        writer.write(piece)
        await writer.drain()


async def test_endless_answer_is_given_up(vendors: AiohttpTransport) -> None:
    async def talk(writer: asyncio.StreamWriter) -> None:
        await endless(writer, b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", b" " * (1 << 20))

    assert MAX_ANSWER_BYTES < 1 << 30
    assert await failure(vendors, talk) == (FailureKind.UNAVAILABLE, "answer_too_large")


async def test_vectors_that_are_too_large_are_not_asked_for_again(vendors: AiohttpTransport) -> None:
    """How large they are follows from what was asked: no other vendor would send less."""

    async def talk(writer: asyncio.StreamWriter) -> None:
        await endless(writer, b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", b" " * (1 << 20))

    async with serving(talk) as server:
        request = HttpRequest(f"http://127.0.0.1:{server.port}/", b"{}")
        with pytest.raises(Failed) as caught:
            await VendorCall(vendors, lambda: 0).response(request, PATIENCE, Notes())

    assert (caught.value.failure.kind, caught.value.failure.vendor_code) == (FailureKind.INVALID, "answer_too_large")


async def test_endless_event_is_given_up(vendors: AiohttpTransport) -> None:
    async def talk(writer: asyncio.StreamWriter) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\ndata: "
        await endless(writer, head, b"x" * (1 << 18))

    assert MAX_EVENT_BYTES < MAX_ANSWER_BYTES
    assert await failure(vendors, talk) == (FailureKind.UNAVAILABLE, "event_too_long")


async def test_nonsense_instead_of_http_is_unavailable(vendors: AiohttpTransport) -> None:
    kind, code = await failure(vendors, saying(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"))

    assert (kind, code) == (FailureKind.UNAVAILABLE, "transport")


async def test_answer_that_came_whole_though_a_stream_was_asked_for_is_shown(vendors: AiohttpTransport) -> None:
    """As a stream of few pieces: some servers do not know how to stream."""
    shown: list[str] = []
    call = VendorCall(vendors, lambda: 0)
    async with serving(saying(response(ANSWER))) as server:
        answered = await call.answer(
            asked(server.port, show=lambda payload, _: shown.append(payload)), PATIENCE, Notes()
        )

    deltas = [choice["delta"] for payload in shown for choice in json.loads(payload)["choices"]]
    assert answered.answer.finish is Finish.STOP
    assert answered.rendered == ANSWER
    assert deltas == [{"role": "assistant", "content": ""}, {"content": "It leaks."}, {}]
