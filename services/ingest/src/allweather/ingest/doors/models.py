"""`/v1/models`: every name that an application may use as `model`, in the shape of the API that asks."""

from typing import Any

import msgspec

from allweather.contracts.config import Configuration
from allweather.contracts.slip import Dialect
from allweather.ingest import refusals
from allweather.ingest.doors.call import Call, DoorEndpoint, give_json
from allweather.ingest.keys import Keyring


class ListModels(DoorEndpoint):
    """`GET /v1/models`: all on one page."""

    def __init__(self, keyring: Keyring, configuration: Configuration) -> None:
        super().__init__("GET", keyring)
        names = configuration.route_ids
        openai = {"object": "list", "data": [_model(name, configuration) for name in names]}
        anthropic = {
            "data": [_model_info(name, configuration) for name in names],
            "has_more": False,
            "first_id": names[0] if names else None,
            "last_id": names[-1] if names else None,
        }
        self._openai = msgspec.json.encode(openai)
        self._anthropic = msgspec.json.encode(anthropic)

    async def serve(self, call: Call) -> None:
        body = self._anthropic if call.dialect is Dialect.ANTHROPIC_MESSAGES else self._openai
        await give_json(call, body)


class ShowModel(DoorEndpoint):
    """`GET /v1/models/{id}`. An id may hold a slash."""

    def __init__(self, keyring: Keyring, configuration: Configuration) -> None:
        super().__init__("GET", keyring)
        self._configuration = configuration

    async def serve(self, call: Call) -> None:
        name, known = call.path_params["id"], self._configuration.route_ids
        if name not in known:
            raise refusals.not_found(f"There is no such model. There are: {', '.join(known)}.")
        model = _model_info if call.dialect is Dialect.ANTHROPIC_MESSAGES else _model
        body = msgspec.json.encode(model(name, self._configuration))
        await give_json(call, body)


def _model(name: str, configuration: Configuration) -> dict[str, Any]:
    """A route is ours; a model by its own name is its vendors'."""
    route = configuration.route(name)
    assert route is not None, "the names come from the configuration"
    is_route = any(r.id == name for r in configuration.routes)
    vendors = dict.fromkeys(configuration.deployment(candidate).vendor for candidate in route.candidates)
    return {"id": name, "object": "model", "created": 0, "owned_by": "allweather" if is_route else ",".join(vendors)}


def _model_info(name: str, configuration: Configuration) -> dict[str, Any]:
    """The limits are those that every candidate keeps."""
    route = configuration.route(name)
    assert route is not None, "the names come from the configuration"
    candidates = [configuration.deployment(candidate) for candidate in route.candidates]
    return {
        "id": name,
        "type": "model",
        "display_name": route.description or name,
        "created_at": "1970-01-01T00:00:00Z",
        "max_input_tokens": min(deployment.context_tokens for deployment in candidates),
        "max_tokens": min(deployment.max_output_tokens for deployment in candidates),
    }
