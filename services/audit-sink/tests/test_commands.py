"""The auditor's commands, as a person calls them."""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from allweather.audit_sink.adapters.keys import write_verifier_keys
from allweather.audit_sink.commands import app
from allweather.cli.output import CommandFailed
from allweather.contracts.examples import all_examples

if TYPE_CHECKING:
    from conftest import World

REQUEST = all_examples()[0].headers["ce_subject"]
PUBLIC_ID = f"req_{REQUEST.replace('-', '')}_0123456789abcdef"


@pytest.fixture
def auditor(world: "World", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment of somebody who has the public key and may read the database."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALLWEATHER_POSTGRES_DSN", world.dsn)
    monkeypatch.setenv("ALLWEATHER_AUDIT_LOG", world.signer.verifier.log)
    monkeypatch.setenv("ALLWEATHER_AUDIT_KEY_FILE", str(tmp_path / "audit.key"))
    write_verifier_keys(tmp_path / "audit.pub", world.signer.verifier, 2)
    return tmp_path


async def call(*arguments: str) -> Result:
    """A command has a loop of its own, so it runs in a thread."""
    return await asyncio.to_thread(CliRunner().invoke, app, list(arguments))


async def plain(*arguments: str) -> Any:
    result = await call(*arguments)
    assert result.exit_code == 0, result.exception
    return json.loads(result.stdout)


@pytest.mark.usefixtures("auditor")
async def test_explain_tells_the_story_and_proves_it(world: "World") -> None:
    await world.audit(2)

    shown = (await call("explain", PUBLIC_ID)).stdout
    told = await plain("explain", REQUEST, "--json")

    assert "policy decided: permit" in shown
    assert "decided by residency/personal-eu, models/demo" in shown
    assert "proven by the checkpoint over" in shown
    assert told["outcome"] == "answered"
    assert told["proof"]["verified"]
    assert told["proof"]["covered"] == told["proof"]["entries"] == len(told["steps"])


@pytest.mark.usefixtures("auditor")
async def test_explain_fails_when_the_log_cannot_prove_its_story(world: "World") -> None:
    await world.audit(2)
    await world.tamper('UPDATE audit.entries SET entry = replace(entry, \'"effect":"permit"\', \'"effect":"deny"\')')

    result = await call("explain", REQUEST)

    assert result.exit_code == 1
    assert "NOT PROVEN" in result.stdout


@pytest.mark.usefixtures("auditor")
async def test_explain_says_which_entries_wait_for_a_checkpoint(world: "World") -> None:
    await world.publish(1)
    await world.deliver([world.waiting()])

    result = await call("explain", REQUEST)

    assert result.exit_code == 0
    assert "entries have no signed checkpoint yet" in result.stdout
    with pytest.raises(CommandFailed, match="no signed checkpoint yet"):
        raise (await call("prove", REQUEST)).exception or AssertionError


@pytest.mark.usefixtures("auditor")
async def test_what_came_from_outside_cannot_speak_to_the_terminal(world: "World") -> None:
    await world.audit(1)
    await world.tamper(
        "UPDATE audit.entries SET entry = replace(entry, 'models/demo', 'models/[bold]\\u001b[31mdemo')",
    )

    shown = (await call("explain", REQUEST)).stdout

    assert "\x1b" not in shown
    assert "models/[bold]\N{REPLACEMENT CHARACTER}[31mdemo" in shown


@pytest.mark.usefixtures("auditor")
@pytest.mark.parametrize(
    "request_id", ["nonsense", "req_", "req_12_34", "../../etc", "00000000-0000-0000-0000-000000000000"]
)
@pytest.mark.parametrize("command", ["explain", "prove"])
async def test_an_unknown_request_is_a_clear_error(world: "World", command: str, request_id: str) -> None:
    await world.audit(1)

    result = await call(command, request_id)

    assert result.exit_code == 1
    assert isinstance(result.exception, CommandFailed)
    assert "request id" in str(result.exception) or "no entry of request" in str(result.exception)


async def test_a_proof_is_checked_with_the_public_key_alone(
    world: "World", auditor: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the database nor the broker is known where it is checked, and a changed entry is refused."""
    await world.audit(2)
    written = auditor / "proof.json"
    written.write_text((await call("prove", PUBLIC_ID)).stdout)
    monkeypatch.delenv("ALLWEATHER_POSTGRES_DSN")

    found = await plain("check", str(written), "--key", str(auditor / "audit.pub"), "--json")
    assert found["proven"]
    assert found["entries"] > 0

    written.write_text(written.read_text().replace("eastus2", "westus9"))
    changed = await call("check", str(written))
    assert changed.exit_code == 1
    assert "not proven" in str(changed.exception)


async def test_without_a_public_key_nothing_is_believed(world: "World", auditor: Path) -> None:
    await world.audit(1)
    (auditor / "audit.pub").unlink()

    result = await call("explain", REQUEST)

    assert isinstance(result.exception, CommandFailed)
    assert "no public key" in str(result.exception)


@pytest.mark.usefixtures("world")
async def test_a_missing_setting_is_named(auditor: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALLWEATHER_POSTGRES_DSN")

    result = await call("explain", REQUEST)
    assert "ALLWEATHER_POSTGRES_DSN" in str(result.exception)


@pytest.mark.usefixtures("world")
async def test_a_local_stack_speaks_for_settings_that_are_missing(
    world: "World", auditor: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.audit(1)
    monkeypatch.delenv("ALLWEATHER_POSTGRES_DSN")
    (auditor / ".state").mkdir()
    (auditor / ".state" / "environment").write_text(f"ALLWEATHER_POSTGRES_DSN={world.dsn}\nALLWEATHER_OTHER=1\n")

    assert (await plain("explain", REQUEST, "--json"))["tenant"] == "demo"
