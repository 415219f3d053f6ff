"""`/v1/requests`, `/v1/models`, and paths that nobody has."""

from typing import Any

import httpx
import pytest

from allweather.contracts import headers, ids, topics
from allweather.contracts.records import Ended, EventType, decode
from allweather.ingest.replies import Reply
from allweather.ingest.testing import OTHER_KEY, SECRET, Site, Submitted
from allweather.messaging.testing import eventually

BODY = b'{"model": "triage", "messages": [{"role": "user", "content": "Hi"}]}'


@pytest.fixture
def silent(site: Site) -> Site:
    """A site whose pipeline does not answer."""

    async def never(submitted: Submitted) -> None:
        """No answer."""

    site.script = never
    return site


async def submitted(http: httpx.AsyncClient, **given: str) -> dict[str, Any]:
    response = await http.post("/v1/requests", content=BODY, headers=given)
    assert response.status_code == 202
    assert response.headers["location"] == f"/v1/requests/{response.json()['id']}"
    return response.json()


async def test_an_accepted_request_has_an_id_and_is_pending(silent: Site, http: httpx.AsyncClient):
    found = await submitted(http, **{"idempotency-key": "k"})

    assert (found["object"], found["status"]) == ("request", "pending")
    assert ids.parse_public_id(found["id"], "demo", SECRET) == ids.request_id("demo", "k")
    assert (await http.get(f"/v1/requests/{found['id']}")).json()["status"] == "pending"


async def test_an_asynchronous_request_leaves_class_and_deadline_to_the_defaults_of_topics(
    silent: Site, http: httpx.AsyncClient
):
    await submitted(http)
    await eventually(lambda: len(silent.seen) == 1)

    given = dict(silent.seen[0].record.headers)
    assert headers.PRIORITY not in given
    assert headers.DEADLINE not in given
    assert headers.DOOR in given


async def test_an_asynchronous_request_may_be_in_any_dialect(silent: Site, http: httpx.AsyncClient):
    await submitted(http, **{"x-allweather-dialect": "anthropic.messages"})
    await eventually(lambda: len(silent.seen) == 1)

    assert silent.seen[0].record.text(headers.DIALECT) == "anthropic.messages"


async def test_a_parked_request_is_shown_as_such(silent: Site, http: httpx.AsyncClient):
    found = await submitted(http, **{"idempotency-key": "k"})
    silent.statuses.parked.add(ids.request_id("demo", "k"))

    assert (await http.get(f"/v1/requests/{found['id']}")).json()["status"] == "parked"


async def test_a_settled_request_is_shown_with_its_whole_response(silent: Site, http: httpx.AsyncClient):
    found = await submitted(http, **{"idempotency-key": "k"})
    said = {headers.OUTCOME: "answered", headers.MODEL: "gpt-5.2", headers.ATTEMPTS: "2", headers.COST: "0.5"}
    silent.statuses.settled[ids.request_id("demo", "k")] = Reply(200, b'{"any": "thing"}', said)

    response = await http.get(f"/v1/requests/{found['id']}")

    assert response.json() == {
        "id": found["id"],
        "object": "request",
        "status": "settled",
        "outcome": "answered",
        "status_code": 200,
        "model": "gpt-5.2",
        "attempts": 2,
        "cost_usd": 0.5,
        "response": {"any": "thing"},
    }
    assert response.headers["x-allweather-outcome"] == "answered"


@pytest.mark.parametrize("text", ["x", "req_", "req_zz_1", "../../etc/passwd", "req_" + "0" * 32 + "_" + "0" * 16])
async def test_an_id_that_is_none_is_not_found(silent: Site, http: httpx.AsyncClient, text: str):
    for response in (await http.get(f"/v1/requests/{text}"), await http.post(f"/v1/requests/{text}/cancel")):
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "not_found"


async def test_another_tenants_id_is_not_found(silent: Site, http: httpx.AsyncClient):
    found = await submitted(http)
    other = {"authorization": f"Bearer {OTHER_KEY}"}

    assert (await http.get(f"/v1/requests/{found['id']}", headers=other)).status_code == 404
    assert (await http.post(f"/v1/requests/{found['id']}/cancel", headers=other)).status_code == 404
    assert silent.broker.records(topics.RESULTS) == []


async def test_an_id_that_is_valid_and_unknown_is_pending(silent: Site, http: httpx.AsyncClient):
    public_id = ids.public_id(ids.request_id("demo", "never seen"), "demo", SECRET)

    assert (await http.get(f"/v1/requests/{public_id}")).json()["status"] == "pending"


async def test_without_postgres_a_look_up_is_put_off(silent: Site, http: httpx.AsyncClient):
    found = await submitted(http)
    silent.statuses.away = True

    response = await http.get(f"/v1/requests/{found['id']}")

    assert (response.status_code, response.json()["error"]["code"]) == (503, "unavailable")
    assert response.headers["retry-after"] == "1"


async def test_a_cancellation_is_passed_on_to_the_router(silent: Site, http: httpx.AsyncClient):
    found = await submitted(http, **{"idempotency-key": "k"})

    response = await http.post(f"/v1/requests/{found['id']}/cancel")

    (record,) = silent.broker.records(topics.RESULTS)
    assert (response.status_code, response.json()["status"]) == (202, "cancelling")
    assert record.key == str(ids.request_id("demo", "k")).encode()
    assert record.text(headers.CE_TYPE) == EventType.CANCELLED
    assert record.text(headers.CE_SUBJECT) == str(ids.request_id("demo", "k"))
    assert record.text(headers.CE_TENANT) == "demo"
    assert decode(record.value).read(Ended).outcome == "cancelled"


# Models


async def test_models_are_the_routes_and_the_models_behind_them(site: Site, http: httpx.AsyncClient):
    listed = (await http.get("/v1/models")).json()

    owners = {model["id"]: model["owned_by"] for model in listed["data"]}
    assert owners["triage"] == "allweather"
    assert owners["gpt-5.2"] == "openai,azure-openai"


async def test_one_model_is_shown_even_when_its_name_holds_a_slash(site: Site, http: httpx.AsyncClient):
    assert (await http.get("/v1/models/openai/gpt-oss-120b")).json()["owned_by"] == "open-source"

    missing = await http.get("/v1/models/nope")
    assert missing.status_code == 404
    assert "triage" in missing.json()["error"]["message"]


# The rest


async def test_unknown_paths_and_methods_are_told_in_the_error_envelope(site: Site, http: httpx.AsyncClient):
    nowhere = await http.get("/v1/nope")
    wrong = await http.get("/v1/chat/completions")

    assert (nowhere.status_code, nowhere.json()["error"]["code"]) == (404, "not_found")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "method_not_allowed")
    assert wrong.headers["allow"] == "POST"


@pytest.mark.parametrize("path", ["/v1/models", "/v1/requests/x", "/v1/models/triage"])
async def test_nothing_is_shown_without_a_key(site: Site, path: str):
    async with httpx.AsyncClient(base_url=site.base_url) as http:
        assert (await http.get(path)).status_code == 401


async def test_probes_are_answered_on_the_doors_port(site: Site):
    async def well() -> None:
        """As it should be."""

    async def broken() -> None:
        raise ConnectionError("no broker answers")

    site.probes.register("payload store", well)
    async with httpx.AsyncClient(base_url=site.base_url) as http:
        assert (await http.get("/livez")).status_code == 200
        assert (await http.get("/readyz")).status_code == 200
        site.probes.register("kafka", broken)
        unready = await http.get("/readyz")
        metrics = await http.get("/metrics")

    assert (unready.status_code, unready.json()["checks"]["kafka"]) == (503, "ConnectionError: no broker answers")
    assert metrics.status_code == 200
