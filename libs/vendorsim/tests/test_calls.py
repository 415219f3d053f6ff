"""The call log: complete, numbered, and still there after the program is gone."""

import asyncio
from pathlib import Path

import httpx

from allweather.vendorsim.calls import read_log
from allweather.vendorsim.client import Simulator
from allweather.vendorsim.faults import Hang, Status
from allweather.vendorsim.server import Simulation
from allweather.vendorsim.settings import Settings

CHAT = "/openai/v1/chat/completions"
AZURE = "/azure/koreacentral/openai/deployments/gpt-5-2/chat/completions?api-version=2024-10-21"
HEADERS = {"authorization": "Bearer sk-secret-of-mine", "x-client-request-id": "att-1", "x-allweather-attempt": "2"}
BODY = b'{"model":"gpt-5.2","messages":[{"role":"user","content":"Hello"}]}'
DIGEST = "sha256:2ffa5b5219836c58377d40d764456c6bda781386d26414806d726c19f4a2ba7b"


async def test_call_is_recorded_with_what_identifies_it(http: httpx.AsyncClient, simulator: Simulator) -> None:
    answer = await http.post(CHAT, headers=HEADERS, content=BODY)

    (call,) = await simulator.calls()
    assert (call.vendor, call.region, call.deployment, call.model) == ("openai", None, None, "gpt-5.2")
    assert (call.operation, call.streaming, call.status, call.client_left) == ("chat", False, 200, False)
    assert (call.client_request_id, call.attempt) == ("att-1", "2")
    assert call.digest == DIGEST
    assert call.output_tokens == answer.json()["usage"]["completion_tokens"]
    assert call.input_tokens == answer.json()["usage"]["prompt_tokens"]
    assert call.ended_monotonic is not None
    assert call.ended_monotonic >= call.received_monotonic


async def test_azure_call_names_region_and_deployment(http: httpx.AsyncClient, simulator: Simulator) -> None:
    await http.post(AZURE, headers={"api-key": "k", "x-ms-client-request-id": "att-9"}, content=BODY)

    (call,) = await simulator.calls()
    assert (call.region, call.deployment, call.model) == ("koreacentral", "gpt-5-2", "gpt-5.2-2025-12-11")
    assert call.client_request_id == "att-9"


async def test_no_call_is_missing_and_numbers_have_no_gaps(
    http: httpx.AsyncClient, simulator: Simulator, call_log: Path
) -> None:
    """Good calls, rejected ones and those to unknown paths, many at once."""
    await simulator.put_faults(Status(status=500, probability=0.5))

    await asyncio.gather(*(http.post(CHAT, headers=HEADERS, content=BODY) for _ in range(60)))
    await http.post("/vertex/v1/nowhere", content=BODY)

    numbers = [call.number for call in await simulator.calls()]
    assert numbers == list(range(1, 62))
    assert list(read_log(call_log)) == numbers


async def test_calls_are_asked_for_since_a_number(http: httpx.AsyncClient, simulator: Simulator) -> None:
    for _ in range(3):
        await http.post(CHAT, headers=HEADERS, content=BODY)

    assert [call.number for call in await simulator.calls(since=2)] == [3]


async def test_call_in_flight_is_in_the_file_already(
    http: httpx.AsyncClient, simulator: Simulator, call_log: Path
) -> None:
    await simulator.put_faults(Hang())
    call = asyncio.create_task(http.post(CHAT, headers=HEADERS, content=BODY))
    async with asyncio.timeout(5):
        while not await simulator.calls():
            await asyncio.sleep(0.01)

    record = read_log(call_log)[1]

    assert (record.status, record.ended_monotonic) == (None, None)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)


async def test_no_credential_reaches_the_log(http: httpx.AsyncClient, call_log: Path) -> None:
    await http.post(CHAT, headers=HEADERS, content=BODY)

    (record,) = read_log(call_log).values()
    assert "sk-secret-of-mine" not in repr(record)


async def test_numbers_go_on_after_a_restart(call_log: Path) -> None:
    for _ in range(2):
        async with (
            Simulation(Settings(port=0, call_log=call_log)) as simulation,
            httpx.AsyncClient(base_url=simulation.base_url, trust_env=False) as http,
        ):
            await http.post(CHAT, headers=HEADERS, content=BODY)

    assert list(read_log(call_log)) == [1, 2]


async def test_line_cut_off_by_a_crash_is_left_out(http: httpx.AsyncClient, call_log: Path) -> None:
    await http.post(CHAT, headers=HEADERS, content=BODY)
    with call_log.open("ab") as log:
        log.write(b'{"number":2,"vend')

    assert list(read_log(call_log)) == [1]


async def test_stats_count_calls_in_flight_and_by_status(http: httpx.AsyncClient, simulator: Simulator) -> None:
    await simulator.put_faults(Hang(vendor="azure-openai"))
    calls = [asyncio.create_task(http.post(AZURE, headers={"api-key": "k"}, content=BODY)) for _ in range(5)]
    await http.post(CHAT, headers=HEADERS, content=BODY)
    async with asyncio.timeout(5):
        while (await simulator.stats()).in_flight.get("azure-openai/koreacentral/gpt-5-2") != 5:
            await asyncio.sleep(0.01)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    async with asyncio.timeout(5):
        while (stats := await simulator.stats()).in_flight:
            await asyncio.sleep(0.01)

    assert stats.max_in_flight == {"azure-openai/koreacentral/gpt-5-2": 5, "openai/gpt-5.2": 1}
    assert stats.totals == {"openai/gpt-5.2": {"200": 1}, "azure-openai/koreacentral/gpt-5-2": {"hang": 5}}
    assert sum(second.calls.get("openai/gpt-5.2", {}).get("200", 0) for second in stats.seconds) == 1


async def test_forgetting_empties_memory_and_keeps_numbers_and_file(
    http: httpx.AsyncClient, simulator: Simulator, call_log: Path
) -> None:
    await http.post(CHAT, headers=HEADERS, content=BODY)
    await simulator.forget_calls()
    await http.post(CHAT, headers=HEADERS, content=BODY)

    assert [call.number for call in await simulator.calls()] == [2]
    assert list(read_log(call_log)) == [1, 2]


async def test_same_request_has_the_same_text_and_another_id(http: httpx.AsyncClient) -> None:
    first, second = [(await http.post(CHAT, headers=HEADERS, content=BODY)).json() for _ in range(2)]

    assert first["choices"] == second["choices"]
    assert first["usage"] == second["usage"]
    assert first["id"] != second["id"]
