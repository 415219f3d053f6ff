"""Pictures: looked at, counted, and refused in each vendor's own words."""

from base64 import b64encode
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allweather.vendorsim.pictures import data_url, decoded, look

HEADERS = {"authorization": "Bearer test", "anthropic-version": "2023-06-01"}
MODELS = "/vertex/v1/projects/p/locations/global/publishers/google/models/"


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + width.to_bytes(4) + height.to_bytes(4) + b"\x08\x02\x00\x00\x00"


def jpeg(width: int, height: int) -> bytes:
    filler = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
    return b"\xff\xd8" + filler + b"\xff\xc0\x00\x11\x08" + height.to_bytes(2) + width.to_bytes(2) + b"\x03" * 10


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + width.to_bytes(2, "little") + height.to_bytes(2, "little") + b"\x00" * 3


def webp(width: int, height: int) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF\x00\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00" + size


def base64(data: bytes) -> str:
    return b64encode(data).decode()


@pytest.mark.parametrize(
    ("made", "media_type"),
    [(png(3, 5), "image/png"), (jpeg(3, 5), "image/jpeg"), (gif(3, 5), "image/gif"), (webp(3, 5), "image/webp")],
)
def test_format_and_size_are_read_from_the_first_bytes(made: bytes, media_type: str) -> None:
    picture = look(made)

    assert picture is not None
    assert (picture.media_type, picture.width, picture.height) == (media_type, 3, 5)


@given(st.binary(max_size=64))
def test_any_bytes_can_be_looked_at(data: bytes) -> None:
    for begin in (b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"GIF8", b"RIFF0000WEBPVP8L"):
        look(begin + data)


@given(st.text(max_size=40))
def test_any_url_can_be_read(text: str) -> None:
    parts = data_url("data:image/png;base64," + text)

    assert parts is not None
    decoded(parts.data)


def asked(door: str, data: bytes, media_type: str = "image/png") -> tuple[str, dict[str, Any]]:
    """Return where and how a vendor is asked about one picture."""
    url = f"data:{media_type};base64,{base64(data)}"
    text = "What is this?"
    if door == "anthropic":
        source = {"type": "base64", "media_type": media_type, "data": base64(data)}
        content: list[Any] = [{"type": "image", "source": source}, {"type": "text", "text": text}]
        turns = [{"role": "user", "content": content}]
        return "/anthropic/v1/messages", {"model": "claude-haiku-4-5", "max_tokens": 100, "messages": turns}
    if door == "vertex":
        parts: list[Any] = [{"inlineData": {"mimeType": media_type, "data": base64(data)}}, {"text": text}]
        return MODELS + "gemini-3.5-flash:generateContent", {"contents": [{"role": "user", "parts": parts}]}
    if door == "responses":
        content = [{"type": "input_image", "image_url": url}, {"type": "input_text", "text": text}]
        return "/openai/v1/responses", {"model": "gpt-5.2", "input": [{"role": "user", "content": content}]}
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": text}]
    model = "openai/gpt-oss-120b" if door == "opensource" else "gpt-5.2"
    return f"/{door}/v1/chat/completions", {"model": model, "messages": [{"role": "user", "content": content}]}


def input_tokens(answer: dict[str, Any]) -> int:
    usage: dict[str, int] = answer.get("usage") or answer["usageMetadata"]
    return usage.get("input_tokens") or usage.get("prompt_tokens") or usage["promptTokenCount"]


@pytest.mark.parametrize("door", ["anthropic", "openai", "responses", "vertex"])
async def test_larger_picture_costs_more(http: httpx.AsyncClient, door: str) -> None:
    counts: list[int] = []
    for size in (300, 1600):
        path, body = asked(door, png(size, size))
        response = await http.post(path, headers=HEADERS, json=body)
        assert response.status_code == 200
        counts.append(input_tokens(response.json()))

    assert 50 < counts[0] < counts[1]


ANTHROPIC = "messages.0.content.0.image.source.base64"
FORMATS = "Please make sure your image has of one the following formats: ['png', 'jpeg', 'gif', 'webp']."


@pytest.mark.parametrize(
    ("door", "data", "media_type", "message"),
    [
        ("anthropic", b"BM", "image/bmp", f"{ANTHROPIC}.media_type: Input should be 'image/jpeg', 'image/png', 'image"),
        (
            "anthropic",
            jpeg(3, 3),
            "image/png",
            f"{ANTHROPIC}.data: Image does not match the provided media type image/p",
        ),
        ("anthropic", b"no picture", "image/png", "Could not process image"),
        ("anthropic", png(8001, 3), "image/png", f"{ANTHROPIC}.data: At least one of the image dimensions exceed max "),
        ("openai", b"no picture", "image/png", f"You uploaded an unsupported image. {FORMATS}"),
        ("responses", b"no picture", "image/png", f"You uploaded an unsupported image. {FORMATS}"),
        (
            "vertex",
            png(3, 3),
            "image/bmp",
            "Unable to submit request because it has a mimeType parameter with value image",
        ),
        ("opensource", png(3, 3), "image/png", "openai/gpt-oss-120b is not a multimodal model"),
    ],
)
async def test_picture_is_refused_in_the_vendors_words(
    http: httpx.AsyncClient, door: str, data: bytes, media_type: str, message: str
) -> None:
    path, body = asked(door, data, media_type)

    response = await http.post(path, headers=HEADERS, json=body)

    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith(message)


async def test_too_large_picture_has_a_code_at_anthropic(http: httpx.AsyncClient) -> None:
    path, body = asked("anthropic", png(8001, 3))

    error = (await http.post(path, headers=HEADERS, json=body)).json()["error"]

    assert error["details"] == {"error_code": "image_dimensions_too_large"}


async def test_picture_in_a_tool_result_is_looked_at(http: httpx.AsyncClient) -> None:
    path, body = asked("anthropic", b"no picture")
    picture = body["messages"][0]["content"][0]
    body["messages"] = [
        {"role": "user", "content": "Show me."},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": [picture]}]},
    ]

    response = await http.post(path, headers=HEADERS, json=body)

    assert response.json()["error"]["message"] == "Could not process image"
