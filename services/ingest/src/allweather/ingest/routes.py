"""Which path is whose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from allweather.contracts.config import Configuration
from allweather.ingest import http, refusals
from allweather.ingest.acceptance import Acceptance
from allweather.ingest.adapters.library import Library
from allweather.ingest.adapters.response_table import Responses
from allweather.ingest.doors.background import Background
from allweather.ingest.doors.batches import CancelBatch, CreateBatch, ListBatches, ShowBatch
from allweather.ingest.doors.call import ByMethod, DoorEndpoint, spoken
from allweather.ingest.doors.chat import ChatCompletions
from allweather.ingest.doors.count_tokens import CountTokens
from allweather.ingest.doors.embeddings import Embeddings
from allweather.ingest.doors.files import DeleteFile, FileContent, ListFiles, ShowFile, UploadFile
from allweather.ingest.doors.message_batches import (
    CancelMessageBatch,
    CreateMessageBatch,
    DeleteMessageBatch,
    ListMessageBatches,
    MessageBatchResults,
    ShowMessageBatch,
)
from allweather.ingest.doors.messages import Messages
from allweather.ingest.doors.models import ListModels, ShowModel
from allweather.ingest.doors.probes import PATHS, ProbeDoor
from allweather.ingest.doors.requests import Cancel, Look, Statuses, Submit
from allweather.ingest.doors.responses import CreateResponse, Memory
from allweather.ingest.doors.stored_responses import CancelResponse, DeleteResponse, InputItems, RetrieveResponse
from allweather.ingest.doors.streamed import Patience
from allweather.ingest.keys import Keyring
from allweather.runtime.clock import Clock
from allweather.runtime.payloads import Payloads
from allweather.runtime.probes import Probes


@dataclass(frozen=True, slots=True)
class House:
    """What the doors are made of."""

    configuration: Configuration
    keyring: Keyring
    acceptance: Acceptance
    statuses: Statuses
    responses: Responses
    library: Library
    payloads: Payloads
    probes: Probes
    clock: Clock
    patience: Patience
    max_waiting: int


def doors(house: House) -> ASGIApp:
    """The ASGI application."""
    keyring, acceptance, clock = house.keyring, house.acceptance, house.clock
    memory = Memory(house.responses, house.statuses)
    background = Background(acceptance.room, house.statuses, house.patience)
    stored: Any = (keyring, acceptance, clock, memory, background)
    files: Any = (keyring, house.library, house.payloads, clock)
    batches: Any = (keyring, house.library, clock)
    limits: Any = {"patience": house.patience, "max_waiting": house.max_waiting}
    conversing: Mapping[str, DoorEndpoint] = {
        "/v1/chat/completions": ChatCompletions(keyring, acceptance, clock, **limits),
        "/v1/messages": Messages(keyring, acceptance, clock, **limits),
        "/v1/embeddings": Embeddings(keyring, acceptance, clock, **limits),
        "/v1/responses": CreateResponse(*stored[:3], **limits, memory=memory, background=background),
    }
    routes: Sequence[BaseRoute] = [
        Route("/v1/messages/count_tokens", CountTokens(keyring, house.configuration)),
        Route("/v1/responses/{id}", ByMethod(RetrieveResponse(*stored), DeleteResponse(*stored))),
        Route("/v1/responses/{id}/cancel", CancelResponse(*stored)),
        Route("/v1/responses/{id}/input_items", InputItems(*stored)),
        Route("/v1/files", ByMethod(ListFiles(*files), UploadFile(*files))),
        Route("/v1/files/{id}", ByMethod(ShowFile(*files), DeleteFile(*files))),
        Route("/v1/files/{id}/content", FileContent(*files)),
        Route("/v1/batches", ByMethod(ListBatches(*batches), CreateBatch(*batches))),
        Route("/v1/batches/{id}", ShowBatch(*batches)),
        Route("/v1/batches/{id}/cancel", CancelBatch(*batches)),
        Route("/v1/messages/batches", ByMethod(ListMessageBatches(*files), CreateMessageBatch(*files))),
        Route("/v1/messages/batches/{id}", ByMethod(ShowMessageBatch(*files), DeleteMessageBatch(*files))),
        Route("/v1/messages/batches/{id}/cancel", CancelMessageBatch(*files)),
        Route("/v1/messages/batches/{id}/results", MessageBatchResults(*files)),
        Route("/v1/requests", Submit(keyring, acceptance, clock)),
        Route("/v1/requests/{id}", Look(keyring, house.statuses, acceptance.secret)),
        Route("/v1/requests/{id}/cancel", Cancel(keyring, acceptance, clock)),
        Route("/v1/models", ListModels(keyring, house.configuration)),
        Route("/v1/models/{id:path}", ShowModel(keyring, house.configuration)),
        *(Route(path, ProbeDoor(house.probes).answer) for path in PATHS),
    ]
    return Doors(conversing, Router(routes, redirect_slashes=False, default=_nowhere))


class Doors:
    """The busy paths, found by their name, before the router that tries one path after the other."""

    def __init__(self, busy: Mapping[str, DoorEndpoint], others: ASGIApp) -> None:
        self._busy = busy
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._busy.get(scope["path"], self._others)(scope, receive, send)


async def _nowhere(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - the shape of ASGI
    refused = refusals.not_found("There is nothing here. See the table of paths in the README of ingest.")
    await http.refuse(send, refused, refusals.new_call_id(), spoken(http.Incoming(scope)))
