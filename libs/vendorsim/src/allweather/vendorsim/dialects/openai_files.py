"""OpenAI's Files: taking in, telling about, handing out."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from allweather.vendorsim.dialects.gpt_words import invalid
from allweather.vendorsim.memory import Shelf
from allweather.vendorsim.wire import Json, Outcome, Problem, Ticket, Whole, encode

_KEPT = 500
_PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
_BOUNDARY = re.compile(r'boundary="?([^";]+)"?')
_NAME = re.compile(rb'\bname="([^"]*)"')
_FILENAME = re.compile(rb'\bfilename="([^"]*)"')


@dataclass(frozen=True, slots=True)
class StoredFile:
    id: str
    name: str
    purpose: str
    content: bytes
    created: int

    def shown(self) -> Json:
        return {
            "object": "file",
            "id": self.id,
            "purpose": self.purpose,
            "filename": self.name,
            "bytes": len(self.content),
            "created_at": self.created,
            "expires_at": None,
            "status": "processed",
            "status_details": None,
        }


class Files:
    """The files of one vendor, in memory."""

    def __init__(self) -> None:
        self._shelf = Shelf[StoredFile](_KEPT)

    def get(self, name: str) -> StoredFile | None:
        return self._shelf.get(name)

    def make(self, name: str, purpose: str, content: bytes, ticket: Ticket, now: float) -> StoredFile:
        """Store a file; the same ticket and name give the same id."""
        made = StoredFile(f"file-{ticket.token(22, name)}", name, purpose, content, int(now))
        self._shelf.put(made.id, made)
        return made

    def answer(
        self, method: str, path: Sequence[str], body: bytes, content_type: str, ticket: Ticket
    ) -> Outcome | None:
        """Answer a call below `v1/files`; None when there is no such call."""
        match (method, path):
            case ("POST", []):
                return self._take_in(body, content_type, ticket)
            case ("GET", []):
                files = [each.shown() for each in self._shelf.latest()]
                return Whole(encode({"object": "list", "data": files, "has_more": False}))
            case (_, [name, *rest]):
                found = self._shelf.get(name)
                return _no_file(name) if found is None else self._on(found, method, rest)
            case _:
                return None

    def _on(self, found: StoredFile, method: str, rest: Sequence[str]) -> Outcome | None:
        match (method, rest):
            case ("GET", []):
                return Whole(encode(found.shown()))
            case ("GET", ["content"]):
                return Whole(found.content, content_type=b"application/octet-stream")
            case ("DELETE", []):
                self._shelf.drop(found.id)
                return Whole(encode({"object": "file", "id": found.id, "deleted": True}))
            case _:
                return None

    def _take_in(self, body: bytes, content_type: str, ticket: Ticket) -> Outcome:
        fields = multipart(body, content_type)
        purpose = fields.get("purpose", ("", b""))[1].decode("latin-1")
        if "file" not in fields:
            return invalid("Missing required parameter: 'file'.", "missing_required_parameter", "file")
        if purpose not in _PURPOSES:
            text = f"'{purpose}' is not one of {list(_PURPOSES)} - 'purpose'"
            return invalid(text, None, "purpose")
        name, content = fields["file"]
        return Whole(encode(self.make(name or "upload", purpose, content, ticket, ticket.wall).shown()))


def multipart(body: bytes, content_type: str) -> dict[str, tuple[str, bytes]]:
    """Read a multipart form: from the name of a field to its file name and content."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        return {}
    fields: dict[str, tuple[str, bytes]] = {}
    for part in body.split(b"--" + found[1].encode("latin-1")):
        head, _, content = part.partition(b"\r\n\r\n")
        if name := _NAME.search(head):
            filename = _FILENAME.search(head)
            shown = filename[1].decode("utf-8", "replace") if filename else ""
            fields[name[1].decode("latin-1")] = (shown, content.removesuffix(b"\r\n"))
    return fields


def _no_file(name: str) -> Problem:
    return Problem(404, f"No such File object: {name}", "invalid_request_error", None, "id")
