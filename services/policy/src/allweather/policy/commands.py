"""Check the policy rules, and ask them what they would say."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from allweather.cli.output import emit, fail
from allweather.contracts import config
from allweather.contracts.slip import Capability, Priority, Verdict
from allweather.dialects.invalid import Invalid
from allweather.policy import files
from allweather.policy.conditions import ConditionFailed
from allweather.policy.decision import Policy
from allweather.policy.rules import RuleSet, Subject

app = typer.Typer(no_args_is_help=True, help=__doc__, add_completion=False)

Folder = Annotated[Path, typer.Argument(metavar="[DIR]", help="The configuration folder, or a folder of rule files.")]
AsJson = Annotated[bool, typer.Option("--json", help="One line of JSON.")]


@app.command()
def check(folder: Folder = Path("config"), as_json: AsJson = False) -> None:
    """Validate the rule files; every fault with its file, line, column and rule."""
    try:
        rules = _rules(folder)
    except files.InvalidPolicies as error:
        faults = [asdict(fault) for fault in error.faults]
        emit({"valid": False, "faults": faults}, as_json=as_json, shown=str(error))
        raise typer.Exit(1) from None
    found = {"valid": True, "digest": rules.digest, "rules": [rule.id for rule in rules.rules]}
    emit(found, as_json=as_json, shown=f"{len(rules.rules)} rules are valid, digest {rules.digest}")


@app.command()
def explain(
    tenant: Annotated[str, typer.Option(help="Who asks.")],
    route: Annotated[str, typer.Option(help="What it names as `model`.")],
    priority: Annotated[Priority, typer.Option()] = Priority.INTERACTIVE,
    data_class: Annotated[str, typer.Option(help="The caller's classification of the content.")] = "",
    region: Annotated[list[str], typer.Option(help="A place in which the caller wants it processed; repeat.")] = [],  # noqa: B006 - typer's way to say `none given`
    capability: Annotated[list[Capability], typer.Option(help="Something the body asks for; repeat.")] = [],  # noqa: B006 - as above
    input_tokens: Annotated[int, typer.Option(min=0)] = 0,
    output_tokens: Annotated[int, typer.Option(min=0)] = 0,
    hour: Annotated[int, typer.Option(min=0, max=23, help="Hour of the day in UTC.")] = 12,
    folder: Annotated[Path, typer.Option("--config", help="The configuration folder.")] = Path("config"),
    as_json: AsJson = False,
) -> None:
    """Say what the rules would decide on a request, and which of them."""
    policy = _policy(folder)
    subject = Subject(
        tenant=tenant,
        route=route,
        priority=priority.value,
        data_class=data_class,
        regions=tuple(region),
        stream=Capability.STREAMING in capability,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        capabilities=tuple(c.value for c in capability),
        hour=hour,
    )
    verdict = _verdict(policy, subject)
    held = {rule.id: _held(policy.rules, index, subject) for index, rule in enumerate(policy.rules.rules)}
    found = {
        "subject": msgspec.structs.asdict(subject),
        "verdict": {name: part for name, part in msgspec.structs.asdict(verdict).items() if part is not None},
        "rules": held,
    }
    emit(found, as_json=as_json, shown=_shown(verdict, held))


def _policy(folder: Path) -> Policy:
    try:
        configuration = config.load(folder)
        return Policy(files.load(folder / "policies", configuration), configuration)
    except (config.InvalidConfiguration, files.InvalidPolicies) as error:
        fail(str(error))


def _rules(folder: Path) -> RuleSet:
    """The rules of a configuration folder, held against its catalogue; or of a bare folder of rule files."""
    if not (folder / "policies").is_dir():
        return files.load(folder)
    try:
        return files.load(folder / "policies", config.load(folder))
    except config.InvalidConfiguration as error:
        fail(str(error))


def _verdict(policy: Policy, subject: Subject) -> Verdict:
    try:
        return policy.judge(subject, at_ms=0)
    except Invalid as fault:
        return Verdict(effect="invalid", code=fault.code, reason=fault.reason, param=fault.param)


def _held(rules: RuleSet, index: int, subject: Subject) -> str:
    try:
        return "holds" if rules.conditions[index].holds(subject.facts(rules.names)) else "does not hold"
    except ConditionFailed as failure:
        return f"has no answer: {failure}"


def _shown(verdict: Verdict, held: dict[str, Any]) -> str:
    decided = f"{verdict.effect}: {verdict.reason}" if verdict.reason else verdict.effect
    bounds = [
        *([f"processed in: {', '.join(verdict.regions)}"] if verdict.regions is not None else []),
        *([f"seen by: {', '.join(verdict.vendors)}"] if verdict.vendors is not None else []),
    ]
    rules = (f"  {'*' if rule in verdict.rules else ' '} {rule} {answer}" for rule, answer in held.items())
    return "\n".join([decided, *bounds, "rules (* decided):", *rules])
