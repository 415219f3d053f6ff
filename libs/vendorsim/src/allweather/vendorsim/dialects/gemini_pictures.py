"""Pictures as Gemini takes them, and what they cost."""

from allweather.vendorsim.answers import estimate
from allweather.vendorsim.pictures import decoded, look
from allweather.vendorsim.wire import Json, Problem, members

_TILE_TOKENS = 258
_WHOLE_PIXELS, _TILE_PIXELS = 384, 768
_TAKEN = ("image/png", "image/jpeg", "image/webp", "image/heic", "image/heif", "application/pdf", "text/plain")


def check_picture(part: Json, where: str) -> Problem | None:
    """Return what is wrong with inline data or a file; what is behind a URI is not fetched."""
    given = members(part.get("inlineData") or part.get("fileData"))
    media_type = given.get("mimeType")
    if not media_type:
        return _invalid(f"Unable to submit request because it must have a mimeType parameter in {where}.")
    if media_type not in _TAKEN and not str(media_type).startswith(("audio/", "video/")):
        return _invalid(
            f"Unable to submit request because it has a mimeType parameter with value {media_type}, which is not "
            "supported. Update the mimeType and try again."
        )
    if "fileData" in part:
        good = str(given.get("fileUri")).startswith(("gs://", "https://"))
        return None if good else _invalid(f"Invalid file URI: {given.get('fileUri')}.")
    data = decoded(given.get("data"))
    if data is None:
        return _invalid(f"Invalid value at '{where}.inline_data.data' (TYPE_BYTES), Base64 decoding failed.")
    if str(media_type).startswith("image/h") or not str(media_type).startswith("image/") or look(data):
        return None
    return _invalid(
        "Unable to process input image. Please retry or report in https://developers.generativeai.google/guide/troubleshooting"
    )


def picture_tokens(part: Json) -> int:
    """Return what a picture costs, by its size in tiles; a document by its length."""
    given = members(part.get("inlineData"))
    data = decoded(given.get("data")) or b""
    picture = look(data)
    if picture is None:
        return max(_TILE_TOKENS, estimate(str(given.get("data", ""))) // 2)
    if max(picture.width, picture.height) <= _WHOLE_PIXELS:
        return _TILE_TOKENS
    return _TILE_TOKENS * -(-picture.width // _TILE_PIXELS) * -(-picture.height // _TILE_PIXELS)


def _invalid(text: str) -> Problem:
    return Problem(400, text, "INVALID_ARGUMENT")
