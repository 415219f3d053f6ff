"""`/v1/files`: what batches read and write. A file comes in piece by piece and is never held as a whole."""

from typing import Final
from uuid import UUID

import msgspec

from allweather.contracts.slip import Dialect
from allweather.dialects.lenient import Json
from allweather.ingest import http, refusals
from allweather.ingest.adapters.library import Library
from allweather.ingest.batches.files import MOST, File, TooLong, Writing
from allweather.ingest.batches.lines import parse_id, shown_id
from allweather.ingest.batches.multipart import Field, Multipart, NoForm
from allweather.ingest.doors.call import Call, DoorEndpoint, give_json
from allweather.ingest.doors.paging import limit, rendered
from allweather.ingest.keys import Keyring
from allweather.ingest.minting import uuid7
from allweather.runtime.clock import Clock
from allweather.runtime.payloads import Payloads

PREFIX: Final = "file-"
PURPOSES: Final = ("batch",)
MAX_NAME: Final = 255


class FileEndpoint(DoorEndpoint):
    """What the paths of files have in common."""

    dialect = Dialect.OPENAI_CHAT
    method = "GET"

    def __init__(self, keyring: Keyring, library: Library, payloads: Payloads, clock: Clock) -> None:
        super().__init__(self.method, keyring)
        self._library = library
        self._payloads = payloads
        self._clock = clock

    async def named(self, call: Call) -> File:
        """The file in the path. Raises `Refused` when there is none of this tenant."""
        return await find(self._library, call.path_params["id"], call.tenant)


class UploadFile(FileEndpoint):
    """`POST`: the lines of a batch, as a form with `purpose` and `file`."""

    method = "POST"

    async def serve(self, call: Call) -> None:
        try:
            purpose, name, writing = await self._received(call)
        except NoForm as fault:
            raise refusals.invalid("invalid_form", str(fault)) from None
        except TooLong:
            raise refusals.too_large(MOST) from None
        if purpose not in PURPOSES:
            raise refusals.invalid("invalid_purpose", f"'purpose' is one of {', '.join(PURPOSES)}.", "purpose")
        now = self._clock.now_ms()
        file = File(uuid7(now), call.tenant, purpose, name[:MAX_NAME], writing.size, await writing.end(), now)
        await self._library.keep_file(file, writing.parts)
        await give_json(call, msgspec.json.encode(shown(file)))

    async def _received(self, call: Call) -> tuple[str, str, Writing]:
        form = Multipart(call.incoming.get(b"content-type") or b"")
        purpose, name, current = b"", None, ""
        writing = Writing(self._payloads, most=MOST)
        async for piece in http.pieces(call.receive):
            for part in form.feed(piece):
                if isinstance(part, Field):
                    current = part.name
                    name = part.filename or "file" if current == "file" else name
                elif current == "file":
                    await writing.add(part)
                elif current == "purpose" and len(purpose) < MAX_NAME:
                    purpose += part
        if not form.ended or name is None:
            raise NoForm("Expected a form with a file in the field 'file'.")
        return purpose.decode(errors="replace"), name, writing


class ListFiles(FileEndpoint):
    """`GET`: the files of the tenant, the newest first."""

    async def serve(self, call: Call) -> None:
        most, after = limit(call.query), parse_id(PREFIX, call.query.get("after", ""))
        found = await self._library.files(call.tenant, after, most + 1)
        await give_json(call, rendered([shown(file) for file in found[:most]], has_more=len(found) > most))


class ShowFile(FileEndpoint):
    """`GET /{id}`."""

    async def serve(self, call: Call) -> None:
        await give_json(call, msgspec.json.encode(shown(await self.named(call))))


class DeleteFile(FileEndpoint):
    """`DELETE /{id}`: any file that no batch under way reads."""

    method = "DELETE"

    async def serve(self, call: Call) -> None:
        file = await self.named(call)
        if not await self._library.forget_file(file.id, call.tenant):
            raise refusals.invalid("file_in_use", "A batch that is under way reads this file: cancel it first.")
        told = {"id": shown_id(PREFIX, file.id), "object": "file", "deleted": True}
        await give_json(call, msgspec.json.encode(told))


class FileContent(FileEndpoint):
    """`GET /{id}/content`: the very bytes."""

    async def serve(self, call: Call) -> None:
        file = await self.named(call)
        await send(call, file, self._library, self._payloads, "application/octet-stream")


async def find(library: Library, given: str, tenant: str) -> File:
    """The file of that id. Raises `Refused` when there is none of this tenant."""
    name = parse_id(PREFIX, given)
    file = name and await library.file(name, tenant)
    if not file or file.purpose == "message_batch":
        raise refusals.not_found(f"No such File object: {given[:80]}")
    return file


async def send(call: Call, file: File, library: Library, payloads: Payloads, content_type: str) -> None:
    """Send the content of a file, part by part."""
    parts = await library.parts(file.id)
    call.began = True
    told = [("content-type", content_type), ("content-length", str(file.bytes))]
    await http.begin(call.send, 200, [*told, *http.naming(refusals.new_call_id(), call.dialect)])
    for part in parts:
        content = await payloads.get(part.digest)
        await call.send({"type": "http.response.body", "body": content, "more_body": True})
    await call.send({"type": "http.response.body", "body": b""})


def shown(file: File) -> Json:
    """The file as OpenAI shows it."""
    return {
        "id": shown_id(PREFIX, file.id),
        "object": "file",
        "bytes": file.bytes,
        "created_at": file.created_at_ms // 1000,
        "expires_at": None,
        "filename": file.name,
        "purpose": file.purpose,
        "status": "processed",
        "status_details": None,
    }


def shown_file_id(name: UUID | None) -> str | None:
    """The id of a file that may not be there yet."""
    return None if name is None else shown_id(PREFIX, name)
