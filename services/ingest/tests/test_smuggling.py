"""Bytes that no client library would send."""

import asyncio

import pytest

from allweather.ingest.testing import KEY, Site
from allweather.messaging.testing import eventually

BODY = b'{"model": "triage", "messages": []}'
HEAD = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n".encode()


async def said(site: Site, *parts: bytes) -> bytes:
    """What the door says, until it closes the connection or falls silent."""
    host, _, port = site.base_url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    heard = b""
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        async with asyncio.timeout(3):
            while chunk := await reader.read(65536):
                heard += chunk
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.close()
    return heard


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n123456",
        b"Content-Length: -1\r\n\r\n",
        b"X-Folded: a\r\n b\r\nContent-Length: 0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        b"X-Nul: a\x00b\r\nContent-Length: 0\r\n\r\n",
        b"Bad Name: x\r\nContent-Length: 0\r\n\r\n",
        b"".join(b"X-Many-%d: x\r\n" % n for n in range(2000)) + b"Content-Length: 0\r\n\r\n",
    ],
)
async def test_ambiguous_or_malformed_heads_are_a_400_and_reach_nothing(site: Site, rest: bytes):
    heard = await said(site, HEAD + rest)

    assert heard.startswith(b"HTTP/1.1 400 ")
    assert site.seen == []


async def test_a_head_without_end_is_cut_off(site: Site):
    heard = await said(site, HEAD + b"X-Endless: ", *[b"x" * 8192] * 12)

    assert heard.startswith(b"HTTP/1.1 400 ") or heard == b""
    assert site.seen == []


async def test_a_head_that_trickles_in_is_cut_off(site: Site, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("allweather.ingest.adapters.server.HEAD_TIMEOUT_S", 0.1)

    host, _, port = site.base_url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(HEAD)
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()


async def test_a_hundred_continue_comes_only_after_the_key_is_known(site: Site):
    wrong = HEAD.replace(KEY.encode(), b"aw_wrong_0123456789abcdef")
    expecting = b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(BODY)

    refused = await said(site, wrong + expecting)
    accepted = await said(site, HEAD + expecting + BODY)

    assert refused.startswith(b"HTTP/1.1 401 ")
    assert accepted.startswith(b"HTTP/1.1 100 ")


async def test_a_body_in_the_smallest_pieces_is_read(site: Site):
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n"

    heard = await said(site, HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n", chunks)

    assert heard.startswith(b"HTTP/1.1 200 ")
    assert site.seen[0].record.value == BODY


async def test_two_requests_in_one_packet_are_two_requests(site: Site):
    one = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY

    await said(site, one + one)

    await eventually(lambda: len(site.seen) == 2)
