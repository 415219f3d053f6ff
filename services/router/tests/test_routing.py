from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allweather.contracts.config import Configuration, Deployment, load
from allweather.contracts.failures import FailureKind
from allweather.contracts.records import RoutingDecision
from allweather.contracts.slip import Attempt, Capability, Dialect, Needs, Parameter, Priority, Slip, Verdict
from allweather.router import routing
from allweather.router.health import Condition
from allweather.router.testing.health import FixedHealth
from allweather.router.testing.records import T0, a_slip, configuration, deployment

CONFIG = configuration()
OPEN = Condition("open", "breaker_open")
PROBE = Condition("half_open", probe=True)


def attempt(deployment_id: str, failure: FailureKind = FailureKind.UNAVAILABLE, **changes: Any) -> Attempt:
    given_: dict[str, Any] = {
        "n": 1,
        "deployment": deployment_id,
        "episode": 1,
        "failure": failure,
        "dispatched_at_ms": T0,
        "ended_at_ms": T0,
    }
    return Attempt(**(given_ | changes))


def choose(slip: Slip, health: FixedHealth | None = None, config: object = None, now_ms: int = T0) -> RoutingDecision:
    known = config if isinstance(config, type(CONFIG)) else CONFIG
    return routing.choose(slip, known, health or FixedHealth(), now_ms=now_ms, seed=7)


def excluded(decision: RoutingDecision) -> dict[str, str | None]:
    return {c.deployment: c.excluded for c in decision.considered}


def test_the_first_of_the_route_is_chosen():
    decision = choose(a_slip())

    assert decision.chosen == "alpha/one"
    assert excluded(decision) == {"alpha/one": None, "beta/two": None, "gamma/three": None}
    assert (decision.config_digest, decision.now_ms, decision.seed) == (CONFIG.digest, T0, 7)


def test_a_model_can_be_named_instead_of_a_route():
    assert choose(a_slip(route="two")).chosen == "beta/two"


def test_an_unhealthy_candidate_is_passed_over_with_its_reason():
    decision = choose(a_slip(), FixedHealth({"alpha/one": OPEN}))

    assert decision.chosen == "beta/two"
    assert decision.considered[0].state == "open"
    assert decision.considered[0].excluded == "breaker_open"


def test_residency_compares_where_a_deployment_processes():
    config = configuration(
        deployment("alpha/one", region="swedencentral", processed_in="global"),
        deployment("beta/two", region="westeurope", processed_in="eu"),
    )

    decision = choose(a_slip(verdict=Verdict(effect="permit", regions=("eu",))), config=config)

    assert decision.chosen == "beta/two"
    assert excluded(decision)["alpha/one"] == "region"


def test_only_vendors_of_the_verdict_may_see_a_request():
    decision = choose(a_slip(verdict=Verdict(effect="permit", vendors=("gamma",))))

    assert decision.chosen == "gamma/three"
    assert excluded(decision) == {"alpha/one": "vendor", "beta/two": "vendor", "gamma/three": None}


def test_a_candidate_must_be_able_to_do_what_the_request_needs():
    config = configuration(deployment("alpha/one"), deployment("beta/two", capabilities=(Capability.VISION,)))

    decision = choose(a_slip(needs=Needs(capabilities=(Capability.VISION,))), config=config)

    assert decision.chosen == "beta/two"
    assert excluded(decision)["alpha/one"] == "capability"


def embedding(deployment_id: str, **changes: Any) -> Deployment:
    return deployment(deployment_id, capabilities=(Capability.EMBEDDINGS,), max_output_tokens=0, **changes)


EMBEDS = Needs(capabilities=(Capability.EMBEDDINGS,), input_tokens=900, longest_input_tokens=90)


def test_vectors_are_asked_of_models_that_embed_and_answers_of_the_others():
    config = configuration(embedding("alpha/one"), deployment("beta/one"))

    assert excluded(choose(a_slip(needs=EMBEDS), config=config)) == {"alpha/one": None, "beta/one": "capability"}
    assert excluded(choose(a_slip(), config=config)) == {"alpha/one": "capability", "beta/one": None}


def test_several_texts_need_a_window_for_the_longest_of_them():
    config = configuration(embedding("alpha/one", context_tokens=100))

    assert choose(a_slip(needs=EMBEDS), config=config).chosen == "alpha/one"


@given(st.sets(st.sampled_from(["alpha/one", "beta/one", "gamma/one"])), st.sampled_from(["one", "two"]))
def test_vectors_are_of_the_model_that_was_named_whatever_is_unwell(unwell: set[str], model: str):
    """A model by its own name is a route as well: of the other model's deployments none is ever a candidate."""
    known = [embedding(f"{vendor}/{each}") for vendor in ("alpha", "beta", "gamma") for each in ("one", "two")]
    vendors = configuration().vendors
    config = Configuration(vendors=vendors, deployments=tuple(known), routes=(), tenants=())
    health = FixedHealth(dict.fromkeys(unwell, OPEN))

    decision = choose(a_slip(route=model, needs=EMBEDS), health, config)

    assert {c.deployment.partition("/")[2] for c in decision.considered} == {model}


def saying(*, alpha: tuple[Parameter, ...] | None, beta: tuple[Parameter, ...] | None = None) -> Configuration:
    """Two vendors whose formats can say these; beta's callers speak its own dialect."""
    known = configuration(deployment("alpha/one"), deployment("beta/two"))
    first, second = known.vendors
    told = (
        first.model_copy(update={"parameters": alpha}),
        second.model_copy(update={"parameters": beta, "dialects": (Dialect.OPENAI_CHAT,)}),
    )
    return Configuration(vendors=told, deployments=known.deployments, routes=known.routes, tenants=known.tenants)


LOGPROBS = Needs(parameters={Parameter.LOGPROBS: "logprobs"})


def test_a_vendor_whose_format_cannot_say_it_is_passed_over():
    decision = choose(a_slip(needs=LOGPROBS), config=saying(alpha=(Parameter.STOP,)))

    assert decision.chosen == "beta/two"
    assert excluded(decision)["alpha/one"] == "parameter"


def test_a_vendor_that_declares_nothing_is_asked():
    assert choose(a_slip(needs=LOGPROBS), config=saying(alpha=None)).chosen == "alpha/one"


def test_what_only_one_dialect_can_say_goes_to_a_vendor_that_speaks_it():
    needs = Needs(parameters={Parameter.NATIVE: "web_search_options"})

    assert choose(a_slip(needs=needs), config=saying(alpha=None)).chosen == "beta/two"
    assert choose(a_slip(needs=needs, dialect=Dialect.ANTHROPIC_MESSAGES), config=saying(alpha=None)).chosen is None


def test_a_model_may_refuse_what_its_vendor_can_say():
    config = configuration(deployment("alpha/one", refuses=(Parameter.LOGPROBS,)), deployment("beta/two"))

    assert choose(a_slip(needs=LOGPROBS), config=config).chosen == "beta/two"


def test_a_model_found_unable_is_not_asked_again_in_any_region_or_episode():
    """The catalogue may not know it: the vendor does."""
    config = configuration(deployment("alpha/one/us"), deployment("alpha/one/eu"), deployment("beta/two"))
    slip = a_slip(attempts=(attempt("alpha/one/us", FailureKind.UNSUPPORTED),), episode=2)

    decision = choose(slip, config=config)

    assert decision.chosen == "beta/two"
    assert excluded(decision) == {"alpha/one/us": "parameter", "alpha/one/eu": "parameter", "beta/two": None}


def test_a_window_that_is_too_small_is_passed_over():
    config = configuration(deployment("alpha/one", context_tokens=8_000), deployment("beta/two"))

    decision = choose(a_slip(needs=Needs(input_tokens=7_500, output_tokens=1_000)), config=config)

    assert decision.chosen == "beta/two"
    assert excluded(decision)["alpha/one"] == "context"


def test_the_estimate_is_an_upper_bound_so_the_largest_window_is_tried_all_the_same():
    config = configuration(deployment("alpha/one", context_tokens=8_000), deployment("beta/two", context_tokens=9_000))

    assert choose(a_slip(needs=Needs(input_tokens=10_000)), config=config).chosen == "beta/two"


def test_after_too_long_only_a_larger_window_will_do():
    config = configuration(
        deployment("alpha/one", context_tokens=8_000),
        deployment("beta/two", context_tokens=8_000),
        deployment("gamma/three", context_tokens=16_000),
    )
    slip = a_slip(attempts=(attempt("alpha/one", FailureKind.TOO_LONG),), episode=2)

    decision = choose(slip, config=config)

    assert decision.chosen == "gamma/three"
    assert excluded(decision)["alpha/one"] == "context"
    assert excluded(decision)["beta/two"] == "context"


@pytest.mark.parametrize("failure", [FailureKind.UNAVAILABLE, FailureKind.NOT_CALLED, FailureKind.WORKER_LOST])
def test_a_candidate_is_tried_once_an_episode(failure: FailureKind):
    decision = choose(a_slip(attempts=(attempt("alpha/one", failure),)))

    assert decision.chosen == "beta/two"
    assert excluded(decision)["alpha/one"] == "tried"
    assert choose(a_slip(attempts=(attempt("alpha/one", failure),), episode=2)).chosen == "alpha/one"


def test_retry_after_holds_beyond_the_episode_and_for_ten_minutes_at_most():
    limited = attempt("alpha/one", FailureKind.RATE_LIMITED, retry_after_ms=3_600_000)
    slip = a_slip(attempts=(limited,), episode=2)

    assert excluded(choose(slip))["alpha/one"] == "retry_after"
    assert choose(slip, now_ms=T0 + 599_999).chosen == "beta/two"
    assert choose(slip, now_ms=T0 + 600_000).chosen == "alpha/one"


def regions(*names: str) -> tuple[str, ...]:
    return tuple(f"alpha/one/{name}" for name in names)


def test_three_calls_of_one_model_at_one_vendor_are_enough_for_an_episode():
    config = configuration(*(deployment(i) for i in (*regions("a", "b", "c", "d"), "beta/two")))
    slip = a_slip(attempts=tuple(attempt(i, n=n) for n, i in enumerate(regions("a", "b", "c"), 1)))

    decision = choose(slip, config=config)

    assert decision.chosen == "beta/two"
    assert excluded(decision)["alpha/one/d"] == "group_limit"


def test_a_repeat_in_a_group_needs_the_retry_budget_and_a_fallback_does_not():
    config = configuration(*(deployment(i) for i in (*regions("a", "b"), "beta/two")))
    slip = a_slip(attempts=(attempt("alpha/one/a"),))

    broke = choose(slip, FixedHealth(repeats=False), config)

    assert choose(slip, config=config).chosen == "alpha/one/b"
    assert broke.chosen == "beta/two"
    assert excluded(broke)["alpha/one/b"] == "retry_budget"


@pytest.mark.parametrize(("failure", "count"), [(FailureKind.UNAVAILABLE, 6), (FailureKind.NOT_CALLED, 12)])
def test_an_episode_ends_after_six_attempts_or_twelve_dispatches(failure: FailureKind, count: int):
    config = configuration(*(deployment(f"vendor{i}/model") for i in range(14)))
    tried = [attempt(f"vendor{i}/model", failure, n=i + 1) for i in range(count)]

    assert choose(a_slip(attempts=tuple(tried[:-1])), config=config).chosen is not None
    over = choose(a_slip(attempts=tuple(tried)), config=config)
    assert over.chosen is None
    assert set(excluded(over).values()) == {"episode_over"}


def test_a_bulk_request_probes_what_has_been_unwell_wherever_it_stands():
    decision = choose(a_slip(priority=Priority.BULK), FixedHealth({"gamma/three": PROBE}))

    assert decision.chosen == "gamma/three"
    assert routing.is_probe(decision)


def test_an_interactive_request_probes_only_in_its_turn_and_with_another_candidate():
    interactive = a_slip(priority=Priority.INTERACTIVE)

    assert choose(interactive, FixedHealth({"gamma/three": PROBE})).chosen == "alpha/one"
    assert choose(interactive, FixedHealth({"alpha/one": PROBE})).chosen == "alpha/one"
    alone = choose(interactive, FixedHealth({"alpha/one": PROBE, "beta/two": OPEN, "gamma/three": OPEN}))
    assert alone.chosen is None
    assert excluded(alone)["alpha/one"] == "probe_only"


def test_a_parked_request_probes_whatever_its_class():
    parked = a_slip(priority=Priority.INTERACTIVE, parks=1)
    ill = FixedHealth({"alpha/one": PROBE, "beta/two": OPEN, "gamma/three": OPEN})

    assert choose(parked, ill).chosen == "alpha/one"


def test_a_slow_start_counts_fresh_and_released_requests_apart():
    crowded, spoken_for = Condition(crowded=True), Condition(spoken_for=True)

    assert choose(a_slip(), FixedHealth({"alpha/one": crowded})).chosen == "beta/two"
    assert choose(a_slip(parks=1), FixedHealth({"alpha/one": crowded})).chosen == "alpha/one"
    assert choose(a_slip(), FixedHealth({"alpha/one": spoken_for})).chosen == "alpha/one"
    assert choose(a_slip(parks=1), FixedHealth({"alpha/one": spoken_for})).chosen == "beta/two"


def test_what_no_waiting_changes_is_told_apart_from_what_passes():
    nowhere = Verdict(effect="permit", regions=("mars",))

    assert routing.never(choose(a_slip(verdict=nowhere))) == {"region"}
    assert routing.never(choose(a_slip(), FixedHealth(dict.fromkeys(["alpha/one"], OPEN)))) == frozenset()
    mixed = choose(a_slip(verdict=Verdict(effect="permit", vendors=("alpha",))), FixedHealth({"alpha/one": OPEN}))
    assert routing.never(mixed) == frozenset()


def test_a_decision_over_the_real_catalogue_fits_its_place(pytestconfig: pytest.Config):
    """Every decision is a part of a record and of an audit entry: 4 KiB at most."""
    config = load(pytestconfig.rootpath / "config")

    for route in config.route_ids:
        assert len(choose(a_slip(route=route), config=config).to_json()) <= 4096


conditions = st.builds(
    Condition,
    st.sampled_from(["closed", "open", "half_open", "out"]),
    st.sampled_from([None, None, "breaker_open", "credential_out"]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
GROUPS = configuration(
    *(
        deployment(f"{v}/{m}/{r}", processed_in=r)
        for v in ("alpha", "beta")
        for m in ("one", "two")
        for r in ("eu", "us")
    )
)
IDS = [d.id for d in GROUPS.deployments]
histories = st.lists(
    st.tuples(st.sampled_from(IDS), st.sampled_from(list(FailureKind)), st.integers(1, 3)), max_size=16
)


@given(
    st.dictionaries(st.sampled_from(IDS), conditions),
    histories,
    st.sampled_from([None, ("eu",), ("us",), ()]),
    st.sampled_from([None, ("alpha",), ("beta",)]),
    st.sampled_from(list(Priority)),
    st.integers(0, 2),
    st.booleans(),
)
def test_whatever_is_chosen_keeps_every_rule(
    health: dict[str, Condition],
    history: list[tuple[str, FailureKind, int]],
    regions_: tuple[str, ...] | None,
    vendors: tuple[str, ...] | None,
    priority: Priority,
    parks: int,
    repeats: bool,
):
    """The law of routing (R3, P5): permitted, eligible, not tried in this episode, within all limits; else a reason."""
    attempts = tuple(attempt(i, kind, n=n, episode=e) for n, (i, kind, e) in enumerate(history, 1))
    verdict = Verdict(effect="permit", regions=regions_, vendors=vendors)
    slip = a_slip(attempts=attempts, episode=3, verdict=verdict, priority=priority, parks=parks)

    decision = choose(slip, FixedHealth(health, repeats=repeats), GROUPS)

    assert [c.deployment for c in decision.considered] == IDS
    reasons = excluded(decision)
    if decision.chosen is None:
        assert all(reasons.values())
        return
    chosen = GROUPS.deployment(decision.chosen)
    called = [a for a in slip.this_episode if a.failure and a.failure.is_attempt]
    in_group = [a for a in called if GROUPS.deployment(a.deployment).group == chosen.group]
    assert reasons[chosen.id] is None
    assert regions_ is None or chosen.processed_in in regions_
    assert vendors is None or chosen.vendor in vendors
    assert health.get(chosen.id, Condition()).excluded is None
    assert chosen.id not in {a.deployment for a in slip.this_episode}
    assert len(called) < 6
    assert len(slip.this_episode) < 12
    assert len(in_group) < 3
    assert repeats or not in_group


@given(st.integers(0, 2**128 - 1), st.integers(0, 32767))
def test_a_seed_is_the_same_everywhere_and_fits_a_json_number(request: int, position: int):
    seed = routing.seed_of(UUID(int=request), position)

    assert seed == routing.seed_of(UUID(int=request), position)
    assert 0 <= seed < 2**53
