"""Google's access tokens: fetched once, renewed when the vendor rejects one, gone without the token server."""

import asyncio
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from allweather.contracts.config import Configuration
from allweather.contracts.failures import FailureKind
from allweather.provider_worker.adapters.credentials import Credential, from_file
from allweather.provider_worker.limits import Limiter
from allweather.provider_worker.stations import Equipped
from allweather.provider_worker.testing import Bench, dispatch_record
from allweather.provider_worker.wire import Failed, Target
from allweather.vendorsim import faults
from allweather.vendorsim.client import Simulator

FLASH = "vertex/gemini-3.5-flash"


@pytest.fixture(scope="session")
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*form).decode()


def account(folder: Path, private_key: str, token_uri: str) -> Credential:
    """The credential of a service account whose tokens come from `token_uri`."""
    info = {
        "type": "service_account",
        "project_id": "care",
        "private_key_id": "1",
        "private_key": private_key,
        "client_email": "worker@care.iam.gserviceaccount.com",
        "token_uri": token_uri,
    }
    (folder / "account.json").write_text(json.dumps(info))
    return from_file(folder / "account.json")


@pytest.fixture
def credential(tmp_path: Path, private_key: str, simulators: str) -> Credential:
    return account(tmp_path, private_key, f"{simulators}/vertex/oauth2/token")


def station(bench: Bench, configuration: Configuration, credential: Credential) -> Equipped:
    known = configuration.deployment(FLASH)
    target = Target(known, f"{bench.base_url}/vertex", credential.project)
    return Equipped(target, credential, Limiter.of(known.concurrency))


async def tokens_fetched(simulator: Simulator) -> int:
    return sum(call.operation == "token" for call in await simulator.calls())


async def test_token_is_fetched_once_for_many_calls(credential: Credential, simulator: Simulator) -> None:
    found = await asyncio.gather(*(credential.secret() for _ in range(5)))

    assert len(set(found)) == 1
    assert list(credential.secrets) == [found[0]]
    assert credential.project == "care"
    assert await tokens_fetched(simulator) == 1


async def test_rejected_token_is_renewed_and_the_call_made_again(
    bench: Bench, simulator: Simulator, configuration: Configuration, credential: Credential
) -> None:
    await simulator.put_faults(faults.Auth(model="gemini-3.5-flash", count=1))
    worker = bench.worker("vertex", equipment={FLASH: station(bench, configuration, credential)})

    ended, completion = await worker.attempt(dispatch_record(FLASH))

    assert ended.failure is None
    assert completion is not None


async def test_token_is_renewed_once_and_no_more(
    bench: Bench, simulator: Simulator, configuration: Configuration, credential: Credential
) -> None:
    """An account without rights would be tried for ever."""
    await credential.secret()
    await simulator.put_faults(faults.Auth(model="gemini-3.5-flash"))
    worker = bench.worker("vertex", equipment={FLASH: station(bench, configuration, credential)})

    ended, _ = await worker.attempt(dispatch_record(FLASH))

    assert ended.failure is FailureKind.AUTH_FAILED
    assert sum(call.operation == "chat" for call in await simulator.calls()) == 2


async def test_without_a_token_the_credential_has_failed(tmp_path: Path, private_key: str) -> None:
    credential = account(tmp_path, private_key, "http://127.0.0.1:1/token")

    with pytest.raises(Failed) as caught:
        await credential.secret()

    assert caught.value.failure.kind is FailureKind.AUTH_FAILED
