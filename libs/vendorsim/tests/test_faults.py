"""Every kind of fault, as a client meets it on the wire."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from allweather.vendorsim.client import Simulator
from allweather.vendorsim.faults import (
    AnyFault,
    Auth,
    BodyError200,
    Cut,
    ErrorInStream,
    Hang,
    Latency,
    MalformedChunk,
    NoFinish,
    NoTerminator,
    Quota,
    RateLimit,
    Refuse,
    SlowFirstToken,
    Spread,
    Stall,
    Status,
)

QUESTION = "My order has not been delivered, please help."
TURNS = [{"role": "user", "content": QUESTION}]
GEMINI = "/vertex/v1/projects/p/locations/global/publishers/google/models/gemini-3.5-flash:"
CONTENTS: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": QUESTION}]}]}
BEARER = {"authorization": "Bearer k"}

Ask = tuple[str, dict[str, str], dict[str, Any]]
PLAIN: dict[str, Ask] = {
    "anthropic": (
        "/anthropic/v1/messages",
        {"x-api-key": "k", "anthropic-version": "2023-06-01"},
        {"model": "claude-opus-4-6", "max_tokens": 200, "messages": TURNS},
    ),
    "openai": ("/openai/v1/chat/completions", BEARER, {"model": "gpt-5.2", "messages": TURNS}),
    "azure-openai": (
        "/azure/uksouth/openai/deployments/gpt-5-2/chat/completions?api-version=2024-10-21",
        {"api-key": "k"},
        {"messages": TURNS},
    ),
    "vertex": (GEMINI + "generateContent", BEARER, CONTENTS),
    "open-source": ("/opensource/v1/chat/completions", BEARER, {"model": "openai/gpt-oss-120b", "messages": TURNS}),
}
STREAM: dict[str, Ask] = {
    name: (url, headers, {**body, "stream": True}) for name, (url, headers, body) in PLAIN.items() if name != "vertex"
} | {"vertex": (GEMINI + "streamGenerateContent?alt=sse", BEARER, CONTENTS)}
VENDORS = tuple(PLAIN)
CHAT_VENDORS = ("openai", "azure-openai", "open-source")


async def post(http: httpx.AsyncClient, ask: Ask) -> httpx.Response:
    url, headers, body = ask
    return await http.post(url, headers=headers, json=body)


@asynccontextmanager
async def streaming(http: httpx.AsyncClient, ask: Ask) -> AsyncGenerator[httpx.Response]:
    url, headers, body = ask
    async with http.stream("POST", url, headers=headers, json=body) as response:
        yield response


async def read_into(parts: list[str], http: httpx.AsyncClient, ask: Ask) -> None:
    """Read a stream to its end, keeping what came before an error."""
    async with streaming(http, ask) as response:
        async for part in response.aiter_text():
            parts.append(part)  # noqa: PERF401 - a comprehension would lose what came before the error


def content_in(text: str) -> int:
    """Count the chunks that carry text, in any vendor's stream."""
    payloads = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    return sum(bool(_text(payload)) for payload in payloads)


def _text(payload: dict[str, Any]) -> str:
    if payload.get("candidates"):
        return payload["candidates"][0]["content"].get("parts", [{}])[0].get("text", "")
    if payload.get("choices"):
        return payload["choices"][0]["delta"].get("content", "")
    return payload.get("delta", {}).get("text", "")


@pytest.mark.parametrize("vendor", VENDORS)
async def test_refuse_closes_the_connection_without_an_answer(
    http: httpx.AsyncClient, simulator: Simulator, vendor: str
) -> None:
    await simulator.put_faults(Refuse())

    with pytest.raises(httpx.TransportError):
        await post(http, PLAIN[vendor])

    (call,) = await simulator.calls()
    assert (call.vendor, call.fault, call.status) == (vendor, "refuse", None)


@pytest.mark.parametrize("vendor", VENDORS)
async def test_every_error_status_comes_with_a_body(http: httpx.AsyncClient, simulator: Simulator, vendor: str) -> None:
    for status in (400, 401, 403, 404, 408, 409, 413, 418, 422, 429, 500, 502, 503, 504, 529, 599):
        await simulator.put_faults(Status(status=status))

        response = await post(http, PLAIN[vendor])

        assert response.status_code == status
        assert response.json()["error"]


OVERLOADED = {
    "anthropic": (529, {"type": "overloaded_error", "message": "Overloaded"}),
    "openai": (503, {"type": "service_unavailable_error", "code": "server_is_overloaded", "param": None}),
    "azure-openai": (503, {"code": "503"}),
    "vertex": (503, {"code": 503, "status": "UNAVAILABLE", "message": "The service is currently unavailable."}),
    "open-source": (503, {"code": 503, "type": "Service Unavailable", "param": None}),
}


@pytest.mark.parametrize("vendor", VENDORS)
async def test_overload_is_said_in_each_vendors_words(
    http: httpx.AsyncClient, simulator: Simulator, vendor: str
) -> None:
    status, expected = OVERLOADED[vendor]
    await simulator.put_faults(Status(status=status))

    error = (await post(http, PLAIN[vendor])).json()["error"]

    assert error.items() >= expected.items()


async def test_an_error_takes_headers_code_message_and_body_from_the_fault(
    http: httpx.AsyncClient, simulator: Simulator
) -> None:
    await simulator.put_faults(
        Status(vendor="openai", status=503, code="maintenance", message="Back soon.", headers={"Retry-After": "7"}),
        Status(vendor="anthropic", status=500, body={"anything": "at all"}),
        RateLimit(vendor="vertex", headers={"Retry-After": "soon"}),
    )

    named = await post(http, PLAIN["openai"])
    free = await post(http, PLAIN["anthropic"])
    limited = await post(http, PLAIN["vertex"])

    assert named.headers["retry-after"] == "7"
    assert named.json()["error"]["code"] == "maintenance"
    assert named.json()["error"]["message"] == "Back soon."
    assert free.json() == {"anything": "at all"}
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "soon")


@pytest.mark.parametrize("vendor", VENDORS)
async def test_hang_takes_the_request_and_never_answers(
    http: httpx.AsyncClient, simulator: Simulator, vendor: str
) -> None:
    await simulator.put_faults(Hang())
    url, headers, body = PLAIN[vendor]

    with pytest.raises(httpx.ReadTimeout):
        await http.post(url, headers=headers, json=body, timeout=0.2)

    call = await ended_call(simulator)
    assert (call.fault, call.status, call.client_left) == ("hang", None, True)


@pytest.mark.parametrize("vendor", VENDORS)
async def test_slow_first_token_sends_headers_at_once_and_content_later(
    http: httpx.AsyncClient, simulator: Simulator, vendor: str
) -> None:
    await simulator.put_faults(SlowFirstToken(seconds=600))

    async with streaming(http, STREAM[vendor]) as response:
        assert response.status_code == 200
        assert (await simulator.stats()).in_flight

    call = await ended_call(simulator)
    assert call.client_left


@pytest.mark.parametrize("vendor", VENDORS)
async def test_cut_ends_the_stream_after_so_many_chunks(
    http: httpx.AsyncClient, simulator: Simulator, vendor: str
) -> None:
    await simulator.put_faults(Cut(after=2))
    parts: list[str] = []

    with pytest.raises(httpx.RemoteProtocolError):
        await read_into(parts, http, STREAM[vendor])

    assert content_in("".join(parts)) == 2


async def test_cut_with_reset_breaks_the_connection(http: httpx.AsyncClient, simulator: Simulator) -> None:
    await simulator.put_faults(Cut(after=1, reset=True))

    with pytest.raises(httpx.TransportError):
        await post(http, STREAM["anthropic"])


@pytest.mark.parametrize("vendor", VENDORS)
async def test_cut_leaves_half_of_a_plain_answer(http: httpx.AsyncClient, simulator: Simulator, vendor: str) -> None:
    await simulator.put_faults(Cut())

    with pytest.raises(httpx.RemoteProtocolError):
        await post(http, PLAIN[vendor])


@pytest.mark.parametrize("vendor", VENDORS)
async def test_stall_falls_silent_after_so_many_chunks(
    http: httpx.AsyncClient, simulator: Simulator, vendor: str
) -> None:
    await simulator.put_faults(Stall(after=2))
    text = ""

    async with streaming(http, STREAM[vendor]) as response:
        parts = response.aiter_text()
        while content_in(text) < 2:
            text += await anext(parts)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(parts), 0.1)

    call = await ended_call(simulator)
    assert (call.status, call.client_left) == (200, True)


@pytest.mark.parametrize("vendor", VENDORS)
async def test_malformed_chunk_is_the_only_broken_line(
    http: httpx.AsyncClient, simulator: Simulator, vendor: str
) -> None:
    await simulator.put_faults(MalformedChunk(after=1))

    text = (await post(http, STREAM[vendor])).text

    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: {")]
    broken = [number for number, line in enumerate(lines) if not is_json(line)]
    assert len(broken) == 1
    assert broken[0] < len(lines) - 1


@pytest.mark.parametrize("vendor", VENDORS)
async def test_malformed_plain_answer_is_good_http_and_broken_json(
    http: httpx.AsyncClient, simulator: Simulator, vendor: str
) -> None:
    await simulator.put_faults(MalformedChunk())

    response = await post(http, PLAIN[vendor])

    assert response.status_code == 200
    assert not is_json(response.text)


@pytest.mark.parametrize("vendor", CHAT_VENDORS)
async def test_no_terminator_leaves_out_done_and_keeps_the_finish_reason(
    http: httpx.AsyncClient, simulator: Simulator, vendor: str
) -> None:
    await simulator.put_faults(NoTerminator())

    text = (await post(http, STREAM[vendor])).text

    assert '"finish_reason":"stop"' in text
    assert "[DONE]" not in text


async def test_no_terminator_leaves_out_message_stop(http: httpx.AsyncClient, simulator: Simulator) -> None:
    await simulator.put_faults(NoTerminator())

    text = (await post(http, STREAM["anthropic"])).text

    assert '"stop_reason":"end_turn"' in text
    assert "message_stop" not in text


@pytest.mark.parametrize("vendor", VENDORS)
async def test_no_finish_ends_in_good_order_without_a_reason(
    http: httpx.AsyncClient, simulator: Simulator, vendor: str
) -> None:
    whole = (await post(http, STREAM[vendor])).text
    await simulator.put_faults(NoFinish())

    text = (await post(http, STREAM[vendor])).text

    assert content_in(text) == content_in(whole) > 0
    for reason in ('"finish_reason":"stop"', '"stop_reason":"end_turn"', "finishReason", "[DONE]", "message_stop"):
        assert reason not in text


RATE_LIMITED = {
    "anthropic": {"type": "rate_limit_error"},
    "openai": {"code": "rate_limit_exceeded"},
    "azure-openai": {"code": "429"},
    "vertex": {"code": 429, "status": "RESOURCE_EXHAUSTED"},
    "open-source": {"code": 429, "type": "Too Many Requests"},
}


@pytest.mark.parametrize("vendor", VENDORS)
async def test_rate_limit_is_said_in_each_vendors_words(
    http: httpx.AsyncClient, simulator: Simulator, vendor: str
) -> None:
    await simulator.put_faults(RateLimit())

    response = await post(http, PLAIN[vendor])

    assert response.status_code == 429
    assert "retry-after" not in response.headers
    assert response.json()["error"].items() >= RATE_LIMITED[vendor].items()


@pytest.mark.parametrize("vendor", VENDORS)
async def test_rate_limit_can_tell_when_to_come_back(
    http: httpx.AsyncClient, simulator: Simulator, vendor: str
) -> None:
    await simulator.put_faults(RateLimit(retry_after=3))

    response = await post(http, PLAIN[vendor])

    assert response.headers["retry-after"] == "3"


async def test_azure_v1_form_says_rate_limit_reached(http: httpx.AsyncClient, simulator: Simulator) -> None:
    await simulator.put_faults(RateLimit(vendor="azure-openai"))

    response = await http.post(
        "/azure/uksouth/openai/v1/chat/completions",
        headers={"api-key": "k"},
        json={"model": "gpt-5-2", "messages": TURNS},
    )

    assert response.json()["error"]["code"] == "RateLimitReached"


async def test_requests_above_the_rate_get_429_per_deployment(http: httpx.AsyncClient, simulator: Simulator) -> None:
    """The bucket of one region being empty leaves the other region's full."""
    await simulator.put_faults(RateLimit(vendor="azure-openai", requests_per_second=0.001))
    url, headers, body = PLAIN["azure-openai"]
    elsewhere = url.replace("uksouth", "eastus2")

    statuses = [(await http.post(each, headers=headers, json=body)).status_code for each in (url, url, elsewhere)]

    assert statuses == [200, 429, 200]


async def test_limit_in_force_is_what_the_headers_tell(http: httpx.AsyncClient, simulator: Simulator) -> None:
    await simulator.put_faults(RateLimit(vendor="openai", requests_per_second=5))

    response = await post(http, PLAIN["openai"])

    assert response.headers["x-ratelimit-limit-requests"] == "300"
    assert response.headers["x-ratelimit-remaining-requests"] == "4"


UNAUTHORIZED = {
    "anthropic": {"type": "authentication_error", "message": "invalid x-api-key"},
    "openai": {"type": "invalid_request_error", "code": "invalid_api_key"},
    "azure-openai": {"code": "401"},
    "vertex": {"code": 401, "status": "UNAUTHENTICATED"},
}


@pytest.mark.parametrize("vendor", UNAUTHORIZED)
async def test_auth_is_said_in_each_vendors_words(http: httpx.AsyncClient, simulator: Simulator, vendor: str) -> None:
    await simulator.put_faults(Auth())

    response = await post(http, PLAIN[vendor])

    assert response.status_code == 401
    assert response.json()["error"].items() >= UNAUTHORIZED[vendor].items()


async def test_auth_at_vllm_is_a_bare_word(http: httpx.AsyncClient, simulator: Simulator) -> None:
    await simulator.put_faults(Auth())

    assert (await post(http, PLAIN["open-source"])).json() == {"error": "Unauthorized"}


async def test_quota_is_told_from_a_rate_limit(http: httpx.AsyncClient, simulator: Simulator) -> None:
    await simulator.put_faults(Quota())

    anthropic = await post(http, PLAIN["anthropic"])
    openai = await post(http, PLAIN["openai"])
    azure = await post(http, PLAIN["azure-openai"])

    assert anthropic.status_code == openai.status_code == azure.status_code == 429
    assert anthropic.json()["error"]["details"] == {"error_code": "enforced_spend_limit_reached"}
    assert "retry-after" not in anthropic.headers
    assert openai.json()["error"]["type"] == "insufficient_quota"
    assert openai.json()["error"]["code"] == "insufficient_quota"
    assert azure.headers["retry-after"] == "86400"


@pytest.mark.parametrize("vendor", CHAT_VENDORS)
async def test_error_in_stream_is_a_data_line_after_the_content(
    http: httpx.AsyncClient, simulator: Simulator, vendor: str
) -> None:
    await simulator.put_faults(ErrorInStream(after=2))

    response = await post(http, STREAM[vendor])

    assert response.status_code == 200
    assert content_in(response.text) == 2
    last = [line for line in response.text.splitlines() if line.startswith("data: {")][-1]
    assert json.loads(last.removeprefix("data: "))["error"]
    assert response.text.endswith("data: [DONE]\n\n") is (vendor == "open-source")


async def test_anthropics_error_in_stream_is_an_error_event(http: httpx.AsyncClient, simulator: Simulator) -> None:
    await simulator.put_faults(ErrorInStream(after=2, status=529))

    text = (await post(http, STREAM["anthropic"])).text

    event, data = text.removesuffix("\n\n").split("\n\n")[-1].split("\n")
    assert event == "event: error"
    payload = json.loads(data.removeprefix("data: "))
    assert payload["type"] == "error"
    assert payload["error"] == {"type": "overloaded_error", "message": "Overloaded"}


async def test_geminis_error_in_stream_is_bare_json(http: httpx.AsyncClient, simulator: Simulator) -> None:
    await simulator.put_faults(ErrorInStream(after=1, status=503))

    text = (await post(http, STREAM["vertex"])).text

    error = text.partition("\r\n\r\n")[2]
    assert json.loads(error)["error"]["status"] == "UNAVAILABLE"


async def test_openai_can_run_out_of_quota_in_mid_stream(http: httpx.AsyncClient, simulator: Simulator) -> None:
    await simulator.put_faults(ErrorInStream(after=1, status=429, code="insufficient_quota"))

    text = (await post(http, STREAM["openai"])).text

    assert '"code":"insufficient_quota"' in text


@pytest.mark.parametrize("vendor", VENDORS)
async def test_body_error_200_hides_an_error_behind_a_good_status(
    http: httpx.AsyncClient, simulator: Simulator, vendor: str
) -> None:
    await simulator.put_faults(BodyError200())

    response = await post(http, PLAIN[vendor])

    assert response.status_code == 200
    assert response.json()["error"]


async def test_latency_delays_the_answer(http: httpx.AsyncClient, simulator: Simulator) -> None:
    await simulator.put_faults(Latency(first_token_ms=Spread(80, 80)))

    await post(http, PLAIN["openai"])

    (call,) = await simulator.calls()
    assert call.ended_monotonic is not None
    assert call.ended_monotonic - call.received_monotonic >= 0.08


async def test_latency_per_token_adds_up_over_a_stream(http: httpx.AsyncClient, simulator: Simulator) -> None:
    await simulator.put_faults(Latency(first_token_ms=Spread(1, 1), per_token_ms=5))

    await post(http, STREAM["openai"])

    (call,) = await simulator.calls()
    assert call.ended_monotonic is not None
    assert call.ended_monotonic - call.received_monotonic >= 0.005 * (call.output_tokens - 1)


@pytest.mark.parametrize(
    "fault",
    [
        Status(status=500, vendor="anthropic"),
        Status(status=500, vendor="azure-openai", region="eastus2"),
        Status(status=500, vendor="azure-openai", deployment="gpt-4"),
        Status(status=500, model="gpt-4"),
    ],
)
async def test_fault_spares_what_it_does_not_name(
    http: httpx.AsyncClient, simulator: Simulator, fault: AnyFault
) -> None:
    await simulator.put_faults(fault)

    assert (await post(http, PLAIN["azure-openai"])).status_code == 200


async def test_fault_stops_after_its_count(http: httpx.AsyncClient, simulator: Simulator) -> None:
    await simulator.put_faults(Status(status=500, count=2))

    statuses = [(await post(http, PLAIN["openai"])).status_code for _ in range(3)]

    assert statuses == [500, 500, 200]
    (state,) = await simulator.faults()
    assert state.struck == 2


async def test_faults_are_added_replaced_and_cleared(simulator: Simulator) -> None:
    await simulator.put_faults(Hang(vendor="openai"))
    await simulator.add_faults(Hang(vendor="vertex"), Hang())
    left = await simulator.clear_faults("openai")

    assert [state.fault for state in left] == [Hang(vendor="vertex"), Hang()]
    assert await simulator.put_faults() == []


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        ([{"kind": "explode"}], "Invalid value 'explode' - at `$[0].kind`"),
        ([{"kind": "hang", "vendor": "nobody"}], "Invalid enum value 'nobody' - at `$[0].vendor`"),
        ([{"kind": "hang", "regoin": "uksouth"}], "Object contains unknown field `regoin` - at `$[0]`"),
        ([{"kind": "status", "status": 200}], "Expected `int` >= 400 - at `$[0].status`"),
        ([{"kind": "hang", "probability": 2}], "Expected `float` <= 1.0 - at `$[0].probability`"),
        (
            [{"kind": "status", "status": 500, "headers": {"x": "a\n"}}],
            r"Expected `str` matching regex '^[ -~]*\\Z' - at `$[0].headers[...]`",
        ),
        ({"kind": "hang"}, "Expected `array`, got `object`"),
    ],
)
async def test_fault_that_makes_no_sense_is_rejected_with_the_reason(
    http: httpx.AsyncClient, simulator: Simulator, faults: Any, reason: str
) -> None:
    await simulator.put_faults(Hang(vendor="openai"))

    response = await http.put("/_admin/faults", json=faults)

    assert response.status_code == 422
    assert response.json() == {"error": reason}
    assert len(await simulator.faults()) == 1


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


async def ended_call(simulator: Simulator) -> Any:
    """Wait until the last call has ended, and return it."""
    async with asyncio.timeout(5):
        while True:
            calls = await simulator.calls()
            if calls and calls[-1].ended_monotonic is not None:
                return calls[-1]
            await asyncio.sleep(0.01)
