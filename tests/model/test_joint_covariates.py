"""Covariates in one model of all causes: the slow twin of arms whose patients differ, the graph, and the reductions."""

from functools import cache, partial
from itertools import product
from typing import Any

import numpy as np
import pytest

from bayes_bm.evidence.causes import with_common_centres
from bayes_bm.hazards.families.gompertz import GOMPERTZ
from bayes_bm.hazards.families.lognormal import LOGNORMAL
from bayes_bm.hazards.families.weibull import WEIBULL
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.inference.causes.density import JointDensity
from bayes_bm.inference.compiled.nutpie import log_density
from bayes_bm.inference.compiled.packing import pack_problem
from bayes_bm.inference.compiled.parametrization import not_centred
from bayes_bm.model.causes import incidence
from bayes_bm.model.causes.incidence import Cause
from bayes_bm.runtime.errors import InputError
from tests.builders import causes as built
from tests.builders import worlds
from tests.builders.causes import T0
from tests.witness import slow_causes

TWO: dict[str, Any] = {
    "kps": {"prior": worlds.normal(0.5), "centre": 0.0},
    "one": {"prior": worlds.normal(0.5), "centre": 0.0, "interaction": worlds.normal(0.3)},
}
SHARES = {
    "f1": (0.25, 0.5),
    "f3": (0.5, 0.75),
    "a1": (0.75, 0.25),
    "a2": (0.25, 0.25),
    "a3": (0.5, 0.5),
    "g": (0.5, 0.25),
}
"""Of kps and one; f2 and a4 state neither, and stand at the centres. Sobol points hold eighths exactly."""
G = {"study": "g", "treatment": "b"}
UNKNOWN = [
    {"study": "g", "arm": "x", "treatment": "b", "time": 5.0, "event": 1, "cause": "death"},
    {"study": "g", "arm": "x", "treatment": "b", "time": 9.0, "event": 1, "cause": "failure"},
    {"study": "g", "arm": "x", "treatment": "b", "time": 14.0, "event": 0, "cause": None},
]  # fmt: skip


def stated(arms: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = ("share_kps", "share_one")
    return [{**arm, **dict(zip(names, SHARES.get(arm["study"], ()), strict=False))} for arm in arms]


def known() -> list[dict[str, Any]]:
    rng = np.random.default_rng(2)
    return [{**row, "kps": int(rng.integers(2)), "one": int(rng.integers(2))} for row in built.patients()]


@cache
def mixed_density() -> JointDensity:
    """Patients with covariates and without, and every kind of row of arms that state them."""
    correlated = {"first_of_all": "free", "correlation": {"eta": 2.0, "why": "test"}}
    of = built.causes(covariates=TWO, integration={"points": 16, "correlation": []}, joint=correlated)
    # an arms row for each cause's endpoint
    arms = [*built.ARMS, *({**built.ARMS[0], **G, "endpoint": one} for one in ("local_control", "death_without"))]
    rows = {**built.ROWS, "arms": stated(arms), "patients": [*known(), *UNKNOWN]}
    return built.plain_density(of, built.evidence(of, rows))


def of_kinds(study: str) -> dict[str, Any]:
    """An arm as the slow twin reads it, its kinds by the shares it states."""
    arm = next(row for row in [*built.ARMS, {**built.ARMS[0], **G}] if row["study"] == study)
    shares = SHARES.get(study)
    if shares is None:
        return arm
    cells = [(kps, one) for kps, one in product((0, 1), repeat=2)]
    weights = [np.prod([s if value else 1 - s for s, value in zip(shares, cell, strict=True)]) for cell in cells]
    return {**arm, "kinds": [(float(w), {"kps": k, "one": o}) for w, (k, o) in zip(weights, cells, strict=True)]}


@pytest.mark.slow
def test_rows_of_arms_whose_patients_differ_are_as_the_slow_twin_has_them() -> None:
    """An arm that says nothing of its patients (f2) stands at the centres."""
    density = mixed_density()
    x = built.point(density, 3)
    terms, own = built.terms_at(density, x), built.parameters_at(density, x)
    built.assert_rows_are_the_twins(terms, own, of_kinds)
    wanted = [slow_causes.patient(own, {**of_kinds("g"), **row}, T0) for row in UNKNOWN]
    assert terms["patients of averaged arms"] == pytest.approx(wanted, abs=1e-10)


@pytest.mark.slow
def test_the_graph_says_what_the_formulas_say_and_has_their_gradient() -> None:
    density = mixed_density()
    x = built.point(density, 2)
    value, gradient = density.ties(x)
    assert value == pytest.approx(built.tied_value(density, x), abs=1e-10)
    for cause, start in zip(density.coordinates, density.ends, strict=False):
        for name in ("coefficient_kps", "interaction_one"):
            step = np.zeros(density.size)
            step[start + cause.starts[name]] = 1e-5
            # two differences, so that the error is of the fourth power of the step
            near, far = ((density.ties(x + k * step)[0] - density.ties(x - k * step)[0]) / (2e-5 * k) for k in (20, 40))
            slope = gradient[start + cause.starts[name]]
            assert slope == pytest.approx((4 * near - far) / 3, abs=1e-8 * max(1.0, abs(slope)))


@pytest.mark.slow
def test_with_known_covariates_alone_it_is_the_sum_of_the_separate_fits() -> None:
    of = built.causes(joint={}, covariates=TWO)
    evidence = built.evidence(of, {"patients": known()})
    density = built.plain_density(of, evidence)
    x = built.point(density)
    separate = 0.0
    for inputs, first, end in zip(density.joint.inputs, density.ends[:-1], density.ends[1:], strict=True):
        assert inputs.spec.covariates == of.specs[inputs.spec.cause].covariates
        separate += log_density(x[first:end], pack_problem(inputs, not_centred(inputs))[1])[0]
    assert density(x)[0] == pytest.approx(separate, abs=1e-12)
    assert density.ties(x)[0] == 0.0


def test_an_arm_is_the_sum_over_its_kinds_whatever_the_families() -> None:
    rng = np.random.default_rng(5)
    nodes = incidence._nodes(np.zeros(2), np.array([9.0, 20.0]), T0)
    ends, entry = np.log(np.array([9.0, 20.0]) / T0), np.full(2, -1e4)
    weight = np.log(np.array([[0.3, 0.7], [0.6, 0.4]]))
    for families in ((WEIBULL, GOMPERTZ), (LOGNORMAL, WEIBULL)):
        eta = [rng.normal(0, 0.5, (1, 2)) for _ in families]
        shape = [rng.normal(0, 0.3, (1, 2, family.width)) for family in families]
        moves = [rng.normal(0, 0.6, (1, 2, 2)) for _ in families]

        every = [Cause(*one) for one in zip(families, eta, shape, moves, strict=True)]
        whole, free = incidence.shares(every, nodes, ends, entry, log_weight=weight, xp=NUMPY)
        alone = [[Cause(one.family, one.eta + one.moves[..., kind], one.shape) for one in every] for kind in range(2)]
        (one, free_one), (other, free_other) = (
            incidence.shares(causes, nodes, ends, entry, xp=NUMPY) for causes in alone
        )
        w = np.exp(weight)
        for place in range(2):
            assert whole[place] == pytest.approx(w[:, 0] * one[place] + w[:, 1] * other[place], abs=1e-14)
        assert free == pytest.approx(w[:, 0] * free_one + w[:, 1] * free_other, abs=1e-14)


# ------------------------------------------------------------------------------------------------ rules


def refused(call: Any) -> str:
    with pytest.raises(InputError) as caught:
        call()
    return str(caught.value)


@pytest.mark.slow
def test_what_covariates_cannot_say_in_a_joint_model_is_refused_with_the_reason() -> None:
    mix = {"mean": worlds.normal(1.0), "sd": worlds.half_normal(0.5)}
    modelled = {"kps": {"prior": worlds.normal(0.5), "kind": "two_valued", "case_mix": mix}}
    told = refused(partial(built.evidence, built.causes(covariates=modelled), built.ROWS))
    assert "the first of study f1, arm x" in told and "covariates without case_mix" in told
    lacking = {"kps": {"prior": worlds.normal(0.5), "missing": "two_valued"}}
    rows = [{**row, "kps": None if place == 3 else place % 2} for place, row in enumerate(built.patients())]
    told = refused(partial(built.evidence, built.causes(covariates=lacking), {**built.ROWS, "patients": rows}))
    assert "patients, study p, arm a, column kps: found an empty cell, in a model of several causes" in told
    own = {"failure": {"covariates": {"kps": {"scale": 2.0}}}, "death": {}}
    told = refused(partial(built.causes, covariates={"kps": {"prior": worlds.normal(0.5)}}, causes=own))
    assert "causes.death.covariates.kps.scale: found another value than in another cause" in told
    told = refused(partial(built.causes, causes={"failure": {"covariates": TWO}, "death": {}}))
    assert "causes.death.covariates: found none, and kps, one in another cause" in told


@pytest.mark.slow
def test_each_cause_has_its_own_prior_and_all_have_one_centre() -> None:
    own = {"failure": {"covariates": {"age": {"prior": worlds.normal(0.1)}}}, "death": {"endpoint": "os"}}
    of = built.causes(covariates={"age": {"prior": worlds.normal(0.5), "scale": 10.0}}, causes=own, joint={})
    assert [spec.covariates["age"].prior.sd for spec in of.specs.values()] == [0.1, 0.5]
    rows = [{**row, "age": 40.0 + place} for place, row in enumerate(built.patients())]
    # an arm of one cause alone states another age
    arms = [{**built.ARMS[0], "endpoint": "os", "mean_age": 70.0, "sd_age": 5.0}]
    points = [{**built.ROWS["points"][0], "endpoint": "os"}]
    evidence = built.evidence(of, {"patients": rows, "arms": arms, "points": points})
    centres = {spec.covariates["age"].centre for spec in with_common_centres(of, evidence).specs.values()}
    assert len(centres) == 1 and centres.pop() > np.mean([row["age"] for row in rows])
