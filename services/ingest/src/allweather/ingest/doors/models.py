"""`/v1/models`: every name that an application may use as `model`."""

from typing import Any

import msgspec

from allweather.contracts.config import Configuration
from allweather.ingest import http, refusals
from allweather.ingest.doors.call import Call, DoorEndpoint
from allweather.ingest.keys import Keyring


class ListModels(DoorEndpoint):
    """`GET /v1/models`."""

    def __init__(self, keyring: Keyring, configuration: Configuration) -> None:
        super().__init__("GET", keyring)
        models = [_model(name, configuration) for name in configuration.route_ids]
        self._body = msgspec.json.encode({"object": "list", "data": models})

    async def serve(self, call: Call) -> None:
        await http.respond(call.send, 200, self._body, [("x-request-id", refusals.new_call_id())])


class ShowModel(DoorEndpoint):
    """`GET /v1/models/{id}`. An id may hold a slash."""

    def __init__(self, keyring: Keyring, configuration: Configuration) -> None:
        super().__init__("GET", keyring)
        self._bodies = {name: msgspec.json.encode(_model(name, configuration)) for name in configuration.route_ids}

    async def serve(self, call: Call) -> None:
        body = self._bodies.get(call.path_params["id"])
        if body is None:
            known = ", ".join(self._bodies)
            raise refusals.not_found(f"There is no such model. There are: {known}.")
        await http.respond(call.send, 200, body, [("x-request-id", refusals.new_call_id())])


def _model(name: str, configuration: Configuration) -> dict[str, Any]:
    """A route is ours; a model by its own name is its vendors'."""
    route = configuration.route(name)
    assert route is not None, "the names come from the configuration"
    is_route = any(r.id == name for r in configuration.routes)
    vendors = dict.fromkeys(configuration.deployment(candidate).vendor for candidate in route.candidates)
    return {"id": name, "object": "model", "created": 0, "owned_by": "allweather" if is_route else ",".join(vendors)}
