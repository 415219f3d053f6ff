"""Pictures as the Messages API takes them, and what they cost."""

from allweather.vendorsim.pictures import decoded, look
from allweather.vendorsim.wire import Json, Problem

_MEDIA_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_MOST_BYTES = 5 * 1024 * 1024
_MOST_PIXELS = 8000
_PIXELS_A_TOKEN = 750
_UNSEEN = 1600
"""For a picture behind a URL or a file id, which is not fetched."""


def check_picture(source: Json, where: str) -> Problem | None:
    """Return what is wrong with the source of an image block; what is behind a URL is not fetched."""
    match source.get("type"):
        case "url":
            secure = str(source.get("url")).startswith("https://")
            return None if secure else _invalid(f"{where}.url.url: Only HTTPS URLs are supported.")
        case "file":
            return None
        case "base64":
            return _check_data(source, f"{where}.base64")
        case kind:
            known = "'base64', 'url', 'file'"
            text = f"Input tag '{kind}' found using 'type' does not match any of the expected tags: {known}"
            return _invalid(f"{where}: {text}")


def picture_tokens(source: Json) -> int:
    picture = look(decoded(source.get("data")) or b"")
    return _UNSEEN if picture is None else max(1, picture.width * picture.height // _PIXELS_A_TOKEN)


def _check_data(source: Json, where: str) -> Problem | None:
    if source.get("media_type") not in _MEDIA_TYPES:
        known = "'image/jpeg', 'image/png', 'image/gif' or 'image/webp'"
        return _invalid(f"{where}.media_type: Input should be {known}")
    data = decoded(source.get("data"))
    if not data:
        return _invalid(f"{where}.data: " + ("invalid base64 data" if data is None else "image cannot be empty"))
    if len(data) > _MOST_BYTES:
        return _invalid(f"{where}: image exceeds 5 MB maximum: {len(data)} bytes > {_MOST_BYTES} bytes")
    picture = look(data)
    if picture is None:
        return _invalid("Could not process image")
    if picture.media_type != source["media_type"]:
        return _invalid(f"{where}.data: Image does not match the provided media type {source['media_type']}")
    if max(picture.width, picture.height) <= _MOST_PIXELS:
        return None
    text = f"{where}.data: At least one of the image dimensions exceed max allowed size: {_MOST_PIXELS} pixels"
    return Problem(400, text, "invalid_request_error", more={"details": {"error_code": "image_dimensions_too_large"}})


def _invalid(text: str) -> Problem:
    return Problem(400, text, "invalid_request_error")
