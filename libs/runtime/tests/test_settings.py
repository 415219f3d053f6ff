"""The environment in, one frozen value or every complaint out."""

from pathlib import Path

import pytest
from pydantic import Field, SecretStr, ValidationError

from allweather.runtime.settings import (
    ServiceSettings,
    SettingsError,
    WithPayloads,
    WithPostgres,
    WithRedis,
    WithSecret,
    describe,
    read_secret,
)


class Settings(WithPostgres, WithRedis, ServiceSettings):
    """A service that uses Postgres and Redis, with one setting of its own and one with a name of its own."""

    release_every_s: float = Field(0.5, description="How often parked requests are looked at.")
    vendor: str = Field(validation_alias="VENDOR", description="The vendor to call.")


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLWEATHER_POSTGRES_DSN", "postgresql://app:pa55@db/x")
    monkeypatch.setenv("ALLWEATHER_REDIS_URL", "redis://:pa55@cache")
    monkeypatch.setenv("VENDOR", "anthropic")


def test_a_service_needs_nothing_but_what_it_uses():
    settings = ServiceSettings.load()

    assert settings.kafka_bootstrap == "127.0.0.1:9092"
    assert not settings.failpoints
    assert settings.otlp_endpoint is None


@pytest.mark.usefixtures("complete")
def test_values_come_from_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ALLWEATHER_INSTANCE", "2")
    monkeypatch.setenv("ALLWEATHER_RELEASE_EVERY_S", "0.1")
    monkeypatch.setenv("ALLWEATHER_FAILPOINTS", "router.first-row-wins=skip")

    settings = Settings.load()

    assert (settings.instance, settings.release_every_s, settings.vendor) == (2, 0.1, "anthropic")
    assert settings.failpoints.skips("router.first-row-wins")


@pytest.mark.usefixtures("complete")
def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ALLWEATHER_FAILPOINTS", "")
    monkeypatch.setenv("ALLWEATHER_OTLP_ENDPOINT", "")

    settings = Settings.load()

    assert not settings.failpoints
    assert settings.otlp_endpoint is None


def test_every_problem_is_told_at_once_by_the_name_of_its_variable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ALLWEATHER_INSTANCE", "-1")
    monkeypatch.setenv("ALLWEATHER_FAILPOINTS", "router.tea-break=kill")
    monkeypatch.setenv("ALLWEATHER_REDIS_URL", "redis://:pa55@cache")

    with pytest.raises(SettingsError) as refused:
        Settings.load()

    told = {problem.partition(":")[0] for problem in refused.value.problems}
    assert told == {"ALLWEATHER_INSTANCE", "ALLWEATHER_FAILPOINTS", "ALLWEATHER_POSTGRES_DSN", "VENDOR"}
    assert "unknown failpoint 'router.tea-break'" in str(refused.value)


@pytest.mark.usefixtures("complete")
def test_settings_cannot_be_changed():
    settings = Settings.load()

    with pytest.raises(ValidationError, match="frozen"):
        settings.instance = 3  # pyright: ignore[reportAttributeAccessIssue] - what the test is about


@pytest.mark.usefixtures("complete")
def test_secrets_do_not_show():
    settings = Settings.load()

    assert "pa55" not in repr(settings)
    assert settings.postgres_dsn == SecretStr("postgresql://app:pa55@db/x")


def test_the_description_names_every_variable_with_its_default_and_meaning():
    described = {variable: (default, meaning) for variable, default, meaning in describe(Settings)}

    assert described["ALLWEATHER_POSTGRES_DSN"][0] == "required"
    assert described["ALLWEATHER_RELEASE_EVERY_S"] == ("0.5", "How often parked requests are looked at.")
    assert described["VENDOR"] == ("required", "The vendor to call.")
    assert described["ALLWEATHER_FAILPOINTS"][0] == ""
    assert all(meaning for _, meaning in described.values())


def test_every_shared_setting_says_what_it_means():
    class Everything(WithPostgres, WithRedis, WithPayloads, WithSecret, ServiceSettings):
        """All parts together."""

    assert all(meaning.endswith(".") for _, _, meaning in describe(Everything))


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_bytes(b"k" * 32 + b"\n")
    path.chmod(0o600)
    return path


def test_a_secret_is_read_without_its_line_end(secret_file: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ALLWEATHER_SECRET_FILE", str(secret_file))

    assert WithSecret.load().secret() == b"k" * 32


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_secret_that_others_can_read_is_refused(secret_file: Path, mode: int):
    secret_file.chmod(mode)

    with pytest.raises(SettingsError, match="chmod 600"):
        read_secret(secret_file)


def test_a_short_secret_is_refused(secret_file: Path):
    secret_file.write_bytes(b"short")

    with pytest.raises(SettingsError, match="too short"):
        read_secret(secret_file)


def test_a_missing_secret_is_told_by_its_path(tmp_path: Path):
    with pytest.raises(SettingsError, match="nowhere: cannot be read"):
        read_secret(tmp_path / "nowhere")
