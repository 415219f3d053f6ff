"""Addresses and credentials, from the catalogue and the environment."""

import json
from pathlib import Path

import pytest

from allweather.contracts.config import Configuration
from allweather.provider_worker.adapters.credentials import from_file
from allweather.provider_worker.settings import Lacking, Settings, resolve, secret
from allweather.provider_worker.stations import SIMULATED_KEY, Equipped, Unequipped, stations


def settings(vendor: str, **given: str) -> Settings:
    fixed = {"vendor": vendor, "redis_url": "redis://127.0.0.1:1/0", "payload_dir": "."}
    return Settings.model_validate(fixed | given)


@pytest.mark.parametrize(
    ("text", "resolved"),
    [
        ("https://api.openai.com", "https://api.openai.com"),
        ("${HOST}/v1", "https://a.example/v1"),
        ("${NOWHERE:-https://default.example}", "https://default.example"),
        ("${EMPTY:-https://default.example}", "https://default.example"),
        ("${HOST:-https://default.example}", "https://a.example"),
        ("${NOWHERE:-}", ""),
    ],
)
def test_variables_of_an_address(text: str, resolved: str) -> None:
    assert resolve(text, {"HOST": "https://a.example", "EMPTY": ""}) == resolved


def test_all_missing_variables_are_named() -> None:
    with pytest.raises(Lacking, match="A, B not set"):
        resolve("${A}-${B}", {})


def test_variable_holds_a_key_or_names_a_file() -> None:
    assert secret("KEY", {"KEY": "/run/secrets/key"}) == Path("/run/secrets/key")
    assert "sk-1" not in repr(secret("KEY", {"KEY": "sk-1"}))
    with pytest.raises(Lacking, match="KEY is not set"):
        secret("KEY", {"KEY": ""})


async def test_simulators_need_no_variables(configuration: Configuration, monkeypatch: pytest.MonkeyPatch) -> None:
    """And real keys are not sent to them."""
    monkeypatch.setenv("AZURE_OPENAI_UKSOUTH_API_KEY", "real")
    given = settings("azure-openai", vendor_base_url="http://127.0.0.1:8900/")

    found = stations(configuration, given)

    uksouth = found["azure-openai/gpt-5.2/uksouth"]
    assert set(found) == {d.id for d in configuration.deployments if d.vendor == "azure-openai"}
    assert isinstance(uksouth, Equipped)
    assert uksouth.target.endpoint == "http://127.0.0.1:8900/azure/uksouth"
    assert await uksouth.credential.secret() == SIMULATED_KEY


async def test_deployment_is_equipped_from_its_own_variables(
    configuration: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One without them is not, and takes nothing from its neighbours."""
    monkeypatch.setenv("AZURE_OPENAI_UKSOUTH_ENDPOINT", "https://uk.openai.azure.com")
    monkeypatch.setenv("AZURE_OPENAI_UKSOUTH_API_KEY", "uk-key")
    monkeypatch.setenv("AZURE_OPENAI_EASTUS2_API_KEY", "us-key")
    monkeypatch.delenv("AZURE_OPENAI_EASTUS2_ENDPOINT", raising=False)

    found = stations(configuration, settings("azure-openai"))

    uksouth, eastus2 = found["azure-openai/gpt-5.2/uksouth"], found["azure-openai/gpt-5.2/eastus2"]
    assert isinstance(uksouth, Equipped)
    assert uksouth.target.endpoint == "https://uk.openai.azure.com"
    assert await uksouth.credential.secret() == "uk-key"
    assert eastus2 == Unequipped(
        "azure-openai/gpt-5.2/eastus2 cannot be called here: AZURE_OPENAI_EASTUS2_ENDPOINT not set."
    )


async def test_key_file_holds_a_key(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-from-a-file\n")

    assert await from_file(tmp_path / "key").secret() == "sk-from-a-file"


@pytest.mark.parametrize("content", [None, "{}", '{"type":"service_account"}', "{not json"])
def test_file_that_is_no_credential_equips_nothing(
    configuration: Configuration, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "account.json").write_text(content)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))

    found = stations(configuration, settings("vertex"))

    assert all(isinstance(station, Unequipped) for station in found.values())
    assert "account.json is not a credential" in repr(found)


def test_google_account_names_its_project(
    configuration: Configuration, monkeypatch: pytest.MonkeyPatch, account: Path
) -> None:
    """Which the environment may override; the file is read once for all deployments."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(account))

    own = stations(configuration, settings("vertex"))
    other = stations(configuration, settings("vertex", google_cloud_project="elsewhere"))

    assert {each.target.project for each in own.values() if isinstance(each, Equipped)} == {"care"}
    assert {each.target.project for each in other.values() if isinstance(each, Equipped)} == {"elsewhere"}
    assert len({id(each.credential) for each in own.values() if isinstance(each, Equipped)}) == 1


@pytest.fixture(scope="session")
def account(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A service account with a key of its own making."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path_factory.mktemp("google") / "account.json"
    path.write_text(
        json.dumps(
            {
                "type": "service_account",
                "project_id": "care",
                "private_key_id": "1",
                "private_key": pem.decode(),
                "client_email": "worker@care.iam.gserviceaccount.com",
                "token_uri": "http://127.0.0.1:1/token",
            }
        )
    )
    return path
