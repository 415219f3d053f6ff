"""The verdict on a submission: faults first, then the rules, then whether anything behind the route may serve it.

Pure. `policy_digest` names the rules and the configuration with which the decision can be made again.
"""

from dataclasses import dataclass

from allweather.contracts.config import Configuration, Deployment, Route
from allweather.contracts.slip import Verdict
from allweather.dialects.invalid import Invalid, quoted
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
        return self.judge(submission.subject, at_ms)

    def judge(self, subject: Subject, at_ms: int) -> Verdict:
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
        _check_capabilities(route, permitted, subject.capabilities)
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


def _check_capabilities(route: Route, permitted: list[Deployment], needed: tuple[str, ...]) -> None:
    """Raise `Invalid` when no permitted deployment offers everything that the body asks for."""
    wanted = set(needed)
    if any(wanted.issubset(deployment.capabilities) for deployment in permitted):
        return
    names = ", ".join(sorted(wanted))
    raise Invalid("unsupported_capability", f"Nothing behind '{route.id}' that is permitted here offers {names}.")
