"""Locked prices are the library's, to the cent, and whatever it is that they cannot say is told."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import genai_prices
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from allweather.contracts import config
from allweather.contracts.prices import CATALOGUE, Price
from allweather.contracts.slip import Usage
from allweather.prices import library
from allweather.prices.commands import app
from allweather.prices.library import PROVIDERS, Unpriced, price
from allweather.prices.locking import locked

CONFIG = Path(__file__).parents[3] / "config"
DAY = date(2026, 11, 23)
MODELS = [
    ("anthropic", "claude-haiku-4-5"),
    ("anthropic", "claude-sonnet-4-6"),
    ("openai", "gpt-5.4"),
    ("azure.ai.openai", "gpt-5.2"),
    ("gcp.vertex_ai", "gemini-3.1-pro-preview"),
    ("openai", "text-embedding-3-large"),
]
SHARES = st.tuples(*[st.integers(0, 400_000)] * 4)


def catalogue(**changes: Any) -> dict[str, Any]:
    deployment = {"id": "v/m", "vendor": "v", "model": "m"} | changes
    return {"vendors": [{"id": "v", "provider_name": "openai"}], "deployments": [deployment, deployment]}


@pytest.mark.parametrize(("provider", "model"), MODELS)
@given(SHARES)
def test_a_locked_price_gives_what_the_library_computes(provider: str, model: str, shares: tuple[int, ...]):
    fresh, cached, written, output = shares
    usage = Usage(
        input_tokens=fresh + cached + written,
        cached_input_tokens=cached,
        cache_write_tokens=written,
        output_tokens=output,
    )
    theirs = genai_prices.Usage(
        input_tokens=usage.input_tokens, cache_read_tokens=cached, cache_write_tokens=written, output_tokens=output
    )
    computed = genai_prices.calc_price(
        theirs,
        model,
        provider_id=PROVIDERS.get(provider, provider),
        genai_request_timestamp=datetime(2026, 11, 23, tzinfo=UTC),
    )

    assert Decimal(price(provider, model, DAY).rates(usage).cost(usage)) == pytest.approx(
        computed.total_price, abs=Decimal("1e-8")
    )


def test_the_day_decides_where_a_price_has_changed():
    before, after = (price("anthropic", "claude-opus-4-6", day) for day in (date(2026, 3, 1), DAY))

    assert [tier.above for tier in before.tiers] == [200_000]
    assert after.tiers == ()
    assert after.source == f"{library.NAME}, anthropic/claude-opus-4-6"


@pytest.mark.parametrize(
    ("provider", "model", "why"),
    [
        ("openai", "gpt-99", "does not know 'gpt-99'"),
        ("vllm", "m", "does not know 'm' of 'vllm'"),
        ("deepseek", "deepseek-chat", "time of day"),
    ],
)
def test_what_cannot_be_locked_is_told(provider: str, model: str, why: str):
    with pytest.raises(Unpriced, match=why):
        price(provider, model, DAY)


def test_a_model_is_priced_once_and_only_where_the_catalogue_does_not():
    def one(provider: str, model: str, day: date) -> Price:
        return Price(input=1, source=f"{provider}/{model} {day}")

    assert yaml.safe_load(locked(catalogue(), DAY, one)) == {
        "as_of": DAY,
        "prices": {"v/m": {"input": 1.0, "source": "openai/m 2026-11-23"}},
    }
    assert yaml.safe_load(locked(catalogue(price={"input": 2}), DAY, one))["prices"] == {}


def test_the_shipped_prices_are_those_of_the_locked_library():
    result = CliRunner().invoke(app, ["lock", str(CONFIG), "--check"])

    assert result.exit_code == 0, result.output


def test_a_price_of_the_catalogue_wins():
    sources = {d.id: d.price.source for d in config.load(CONFIG).deployments}

    assert sources["azure-openai/gpt-5.2/eastus2"] == CATALOGUE
    assert sources["azure-openai/gpt-5.2/norwayeast"].startswith("genai-prices ")


def test_a_stale_file_is_told_and_written_anew(tmp_path: Path):
    given_ = {"vendors": [{"id": "v", "provider_name": "openai"}]}
    deployments = [{"id": "v/gpt-5.2", "vendor": "v", "model": "gpt-5.2"}]
    (tmp_path / "catalogue.yaml").write_text(yaml.safe_dump(given_ | {"deployments": deployments}))

    missing = CliRunner().invoke(app, ["lock", str(tmp_path), "--check"])
    written = CliRunner().invoke(app, ["lock", str(tmp_path)])
    checked = CliRunner().invoke(app, ["lock", str(tmp_path), "--check"])

    assert [missing.exit_code, written.exit_code, checked.exit_code] == [1, 0, 0]
    assert yaml.safe_load((tmp_path / "prices.yaml").read_text())["prices"]["v/gpt-5.2"]["input"] == 1.75
