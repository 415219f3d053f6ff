"""Images and documents in the forms that dialects give them."""

import base64
from typing import Final

from allweather.contracts.conversation import Document, Image

PLAIN: Final = "text/plain"
"""The media type of documents that are not encoded."""


def split_data_url(url: str) -> tuple[str, str] | None:
    """The media type and the base64 data of a `data:` URL; None for an address."""
    if not url.startswith("data:"):
        return None
    head, _, data = url[len("data:") :].partition(",")
    return head.removesuffix(";base64"), data


def image(url: str, detail: str | None = None) -> Image:
    """The image at an address, or in a `data:` URL."""
    inline = split_data_url(url)
    if inline is None:
        return Image(url=url, detail=detail or "")
    return Image(data=inline[1], media_type=inline[0], detail=detail or "")


def document(data: str, name: str | None = None) -> Document:
    """The document in a `data:` URL; mere base64 is a PDF's."""
    media_type, content = split_data_url(data) or ("application/pdf", data)
    if media_type.startswith("text/"):
        media_type, content = PLAIN, base64.b64decode(content).decode(errors="replace")
    return Document(data=content, media_type=media_type, name=name or "")


def url_of(image: Image) -> str:
    """The address of the image, or a `data:` URL of it."""
    return image.url or f"data:{image.media_type};base64,{image.data}"
