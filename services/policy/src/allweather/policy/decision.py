"""The verdict on a submission: faults first, then the rules, then whether anything behind the route may serve it.

Pure. `policy_digest` names the rules and the configuration with which the decision can be made again.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from allweather.contracts.config import Configuration, Deployment, Route
from allweather.contracts.errors import could
from allweather.contracts.slip import Capability, Dialect, Parameter, Verdict
from allweather.dialects.invalid import Invalid, quoted
from allweather.dialects.registry import DIALECTS
from allweather.policy.intake import Submission
from allweather.policy.rules import RuleSet, Subject, evaluate


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules, and the configuration that says what exists."""

    rules: RuleSet
    configuration: Configuration

    def decide(self, submission: Submission) -> Verdict:
        """Permit, deny or invalid; every submission gets one."""
        at_ms = submission.identity.record.timestamp_ms
        try:
            return self._decide(submission, at_ms)
        except Invalid as fault:
            return self._refused("invalid", fault, at_ms)

    def _decide(self, submission: Submission, at_ms: int) -> Verdict:
        if submission.fault:
            raise submission.fault
        return self.judge(submission.subject, at_ms, submission.hints.dialect)

    def judge(self, subject: Subject, at_ms: int, dialect: Dialect = Dialect.OPENAI_CHAT) -> Verdict:
        """What the rules say of a subject, and whether anything can then serve it. Raises `Invalid`."""
        route = self.configuration.route(subject.route)
        if route is None:
            raise _unknown(subject.route, self.configuration)
        verdict = evaluate(self.rules, subject, at_ms=at_ms)
        if verdict.effect != "permit":
            return verdict
        permitted = _permitted(verdict, [self.configuration.deployment(c) for c in route.candidates])
        if not permitted:
            return self._refused("deny", _out_of_reach(route, verdict), at_ms, verdict.rules)
        _check_operation(route, embeds=Capability.EMBEDDINGS in subject.capabilities, permitted=permitted)
        lacking = _lacking(permitted, subject.capabilities)
        if lacking:
            able = _able(_permitted(verdict, [*self.configuration.deployments]), subject.capabilities)
            raise _incapable(route, lacking, DIALECTS[dialect].names, able)
        return verdict

    def _refused(self, effect: str, fault: Invalid, at_ms: int, rules: tuple[str, ...] = ()) -> Verdict:
        return Verdict(
            effect="deny" if effect == "deny" else "invalid",
            rules=rules,
            code=fault.code,
            reason=fault.reason,
            param=fault.param,
            policy_digest=self.rules.digest,
            decided_at_ms=at_ms,
        )


def _permitted(verdict: Verdict, candidates: list[Deployment]) -> list[Deployment]:
    """The candidates that lie within the verdict's obligations."""
    if verdict.regions is not None:
        candidates = [d for d in candidates if d.processed_in in verdict.regions]
    if verdict.vendors is not None:
        candidates = [d for d in candidates if d.vendor in verdict.vendors]
    return candidates


def _unknown(route: str, configuration: Configuration) -> Invalid:
    known = ", ".join(configuration.route_ids)
    return Invalid("model_not_found", f"The model {quoted(route)} does not exist. There are: {known}.", "model")


def _out_of_reach(route: Route, verdict: Verdict) -> Invalid:
    bounds = [
        *([f"in {' or '.join(verdict.regions)}"] if verdict.regions is not None else []),
        *([f"by {' or '.join(verdict.vendors)}"] if verdict.vendors is not None else []),
    ]
    reason = f"This request must be processed {' and '.join(bounds)}, where nothing behind '{route.id}' is."
    return Invalid("no_permitted_deployment", reason, "model")


def _check_operation(route: Route, permitted: list[Deployment], *, embeds: bool) -> None:
    """Raise `Invalid` where vectors are asked of models that talk, or the other way round: no route has both."""
    if permitted[0].embeds is embeds:
        return
    does = "answer conversations and make no vectors" if embeds else "make vectors and answer no conversations"
    raise Invalid("unsupported_capability", f"The models behind '{route.id}' {does}: name another one.", "model")


def _able(deployments: list[Deployment], needed: tuple[str, ...]) -> list[str]:
    """Those of the deployments that offer everything that the body asks for."""
    return [deployment.id for deployment in deployments if deployment.offers(needed)]


def _lacking(permitted: list[Deployment], needed: tuple[str, ...]) -> list[str]:
    """What is missing where the least is missing; nothing when a permitted deployment offers all that is needed."""
    missing = ([each for each in needed if each not in deployment.capabilities] for deployment in permitted)
    return min(missing, key=len)


def _incapable(
    route: Route, lacking: list[str], names: Mapping[Capability | Parameter, str], able: list[str]
) -> Invalid:
    fields = {names.get(Capability(each), each): None for each in lacking}
    asked = " and ".join(f"'{field}'" for field in fields)
    reason = f"Nothing behind '{route.id}' that is permitted here offers {', '.join(lacking)}, which {asked} asks for."
    return Invalid("unsupported_capability", f"{reason} {could(able)}", next(iter(fields)))
