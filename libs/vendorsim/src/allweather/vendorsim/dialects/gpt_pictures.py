"""Pictures as the GPT models take them, and what they cost."""

from allweather.vendorsim.pictures import Picture, data_url, decoded, look
from allweather.vendorsim.wire import Problem

_BASE, _TILE = 70, 140
_TILE_PIXELS = 512
_UNSEEN = _BASE + 4 * _TILE
"""For a picture behind a URL, which is not fetched."""


def check_picture(url: object, param: str) -> Problem | None:
    """Return what is wrong with the URL of a picture: a data URL is looked into, others are not fetched."""
    if not isinstance(url, str) or not url:
        return _invalid(f"Missing required parameter: '{param}'.", "missing_required_parameter", param)
    if url.startswith(("http://", "https://")):
        return None
    parts = data_url(url)
    if parts is None:
        text = f"Invalid '{param}'. Expected a valid URL, but got a value with an invalid format."
        return _invalid(text, "invalid_image_url", param)
    if (data := decoded(parts.data)) is None:
        return _invalid("Invalid base64 image_url.", "invalid_base64", param)
    if look(data) is None:
        text = (
            "You uploaded an unsupported image. Please make sure your image has of one the following formats: ['png', "
            "'jpeg', 'gif', 'webp']."
        )
        return _invalid(text, "invalid_image_format", param)
    return None


def picture_tokens(url: object, detail: object) -> int:
    """Return what a picture costs, by its size in tiles."""
    if detail == "low":
        return _BASE
    parts = data_url(str(url))
    picture = look(decoded(parts.data) or b"") if parts else None
    return _UNSEEN if picture is None else _BASE + _TILE * _tiles(picture)


def _tiles(picture: Picture) -> int:
    """Scale into 2048 by 2048, then the shorter side to 768, and count tiles."""
    scale = min(1.0, 2048 / max(picture.width, picture.height, 1))
    scale *= min(1.0, 768 / max(1.0, min(picture.width, picture.height) * scale))
    across, down = (-(-round(side * scale) // _TILE_PIXELS) for side in (picture.width, picture.height))
    return max(1, across) * max(1, down)


def _invalid(text: str, code: str | None, param: str) -> Problem:
    return Problem(400, text, "invalid_request_error", code, param)
