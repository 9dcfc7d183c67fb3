"""Order never matters: rows, arms, studies and treatments may stand in any order, and nothing but names follows it.

And how the arms of a study differ: every treatment's deviation alike, against normals written out by hand.
"""

import itertools
from typing import Any

import numpy as np
import pytest
from pytensor.compile.mode import Mode
from scipy import stats

import bayes_bm as bb
from bayes_bm.checks.direct_indirect import Split, contrast_table
from bayes_bm.checks.node_splitting import comparisons
from bayes_bm.model.design import make_design
from bayes_bm.model.pymc_graph.build import build_model
from bayes_bm.spec.document import Spec
from tests.builders import posteriors, worlds
from tests.builders.graphs import log_density, slopes
from tests.builders.networks import FREE, LOOP, VAGUE, counts, exact, net, ratio, ratios

Row = dict[str, Any]
FOUR = {
    **counts(one="ab", two="abcd", three="bcd", four="cd"),
    "hazard_ratios": [
        *(ratio("h1", "d", "a", -0.4, 0.2, 0.1), ratio("h1", "b", "a", 0.1, 0.25, 0.1)),
        *(ratio("h1", "c", "a", 0.3, 0.3, 0.1), ratio("h2", "c", "b", -0.2, 0.2)),
    ],
}
SPECS: dict[str, Row] = {
    "exchangeable": {},
    "free": FREE,
    "fixed": {"effects__study_treatment": None},
    "shapes": {"priors__treatment_log_shape": worlds.normal(0.3)},
}


def shuffled(tables: dict[str, list[Row]], seed: int) -> dict[str, list[Row]]:
    rng = np.random.default_rng(seed)
    return {kind: [rows[at] for at in rng.permutation(len(rows))] for kind, rows in tables.items()}


def world(compare: tuple[str, ...], changes: Row, seed: int | None):
    tables = FOUR if "priors__treatment_log_shape" not in changes else {**FOUR, "hazard_ratios": []}
    return net(tables if seed is None else shuffled(tables, seed), list(compare), **changes)


def density(
    spec: Spec, evidence: Any, values: dict[str, dict[str, float]], *, gradient: bool = False
) -> tuple[float, dict[str, Any]]:
    """Log density, and its gradient by name, where every parameter has the value that belongs to its name."""
    model, shape = build_model(spec, evidence), make_design(spec, evidence)
    labels = {"treatment": shape.compared, "study": shape.studies, "study_treatment": shape.pair_labels}
    point, names = {}, {}
    for variable in model.free_RVs:
        dims = model.named_vars_to_dims.get(variable.name, ())
        value = model.rvs_to_values[variable].name
        names[value] = [f"{variable.name}[{label}]" for label in labels[dims[0]]] if dims else [variable.name]
        found = [values[variable.name].setdefault(name, 0.0) for name in names[value]]
        point[value] = np.array(found) if dims else np.array(found[0])
    free = [model.rvs_to_values[variable] for variable in model.free_RVs]
    value = log_density(model, point)
    if not gradient:
        return value, {}
    slope = slopes(model, point)
    listed = [name for value in free for name in names[value.name]]
    return value, dict(zip(listed, slope, strict=True))


class Stated(dict):
    """A value for every name, the same whenever it is asked for."""

    def __missing__(self, variable: str) -> "Named":
        return self.setdefault(variable, Named())


class Named(dict):
    def setdefault(self, name: str, default: float) -> float:
        return float(np.random.default_rng([ord(letter) for letter in name]).normal(0, 0.4))


@pytest.mark.slow
@pytest.mark.parametrize("kind", SPECS)
def test_density_and_gradient_follow_names_and_not_places(kind: str) -> None:
    """Every order of `compare` with another order of rows, arms and studies; so the posterior is one up to names."""
    changes, values, gradient = SPECS[kind], Stated(), kind == "exchangeable"
    first, slopes = density(*world(("b", "c", "d"), changes, None), values, gradient=gradient)
    orders = list(itertools.permutations("bcd"))
    for seed, compare in enumerate(orders[1:] if kind == "free" else orders[2::3]):
        again, others = density(*world(compare, changes, seed), values, gradient=gradient)
        assert again == pytest.approx(first, rel=1e-13), compare
        assert others == pytest.approx(slopes, rel=1e-9, abs=1e-9), compare


@pytest.mark.slow
def test_rows_alone_leave_the_density_of_every_kind_of_evidence_equal_to_rounding() -> None:
    spec, values = worlds.spec(), Stated()
    first, _ = density(spec, worlds.evidence(spec), values)
    for seed in range(2):
        again, _ = density(spec, worlds.evidence(spec, shuffled(worlds.TABLES, seed)), values)
        assert again == pytest.approx(first, rel=1e-14)


@pytest.mark.slow
def test_a_ratio_printed_the_other_way_round_says_the_same() -> None:
    turned = [
        {**row, "treatment": row["reference"], "reference": row["treatment"], "hr": 1 / row["hr"]} for row in LOOP
    ]
    values = Stated()
    one, _ = density(*ratios(LOOP, ["b", "c"]), values)
    other, _ = density(*ratios(turned, ["b", "c"]), values)
    assert other == pytest.approx(one, rel=1e-13)


def test_another_name_for_a_treatment_moves_nothing_but_the_name() -> None:
    mean, covariance = exact(*ratios(LOOP, ["b", "c"], **VAGUE))
    swap = {"a": "a", "b": "z", "c": "b"}
    renamed = [{**row, "treatment": swap[row["treatment"]], "reference": swap[row["reference"]]} for row in LOOP]
    other, _ = exact(*ratios(renamed, ["z", "b"], **VAGUE))
    assert other == pytest.approx({swap[name]: value for name, value in mean.items()})
    assert covariance.shape == (2, 2)


@pytest.mark.slow
def test_the_order_of_compare_turns_contrasts_round_and_moves_no_number() -> None:
    draws = np.random.default_rng(1).normal(0, 1, (2, 60, 3))
    tables = {}
    for compare in ("bcd", "dbc"):
        spec, evidence = net(FOUR, list(compare))
        values = draws[..., ["bcd".index(name) for name in compare]]
        table = contrast_table(posteriors.result(spec, evidence, draws=60, log_hr=values), Split(None, None))
        rows = table[table["source"] == "combined"].to_dict("records")
        tables[compare] = {(row["treatment"], row["reference"]): row["mean"] for row in rows}
    assert len(tables["bcd"]) == len(tables["dbc"]) == 6
    for (treatment, reference), mean in tables["bcd"].items():
        other = tables["dbc"]
        turned = other.get((treatment, reference), -other.get((reference, treatment), np.nan))
        assert turned == pytest.approx(mean, rel=1e-12)
    listed = [comparisons(*net(FOUR, list(compare))) for compare in ("bcd", "dbc")]
    sets = [{(frozenset(row[:2]), *row[2:]) for row in table.itertuples(index=False)} for table in listed]
    assert sets[0] == sets[1]


# ------------------------------------------------------------------------------------------------ many arms


@pytest.mark.slow
@pytest.mark.parametrize("sd", [0.05, 0.3, 1.4])
def test_deviations_are_independent_and_alike_for_every_treatment_the_reference_too(sd: float) -> None:
    """Density of the standardised effects, less the Jacobian of making them, is the normal's written out by hand."""
    spec, evidence = net(FOUR, list("bcd"))
    model = build_model(spec, evidence)
    standard = np.random.default_rng(2).normal(size=len(make_design(spec, evidence).pairs))
    # as the graph stands: compiling it takes seconds
    effect = model["study_treatment_effect"].eval(
        {model["study_treatment_sd"]: sd, model["study_treatment_effect_standard"]: standard},
        mode=Mode(linker="py", optimizer=None),
    )
    pairs = make_design(spec, evidence).pairs
    by_study: dict[str, list[int]] = {}
    for at, (study, _) in enumerate(pairs):
        by_study.setdefault(study, []).append(at)
    assert {study: len(rows) for study, rows in by_study.items()} == {
        "one": 2, "two": 4, "three": 3, "four": 2, "h1": 4, "h2": 2
    }  # fmt: skip
    total = float(stats.norm(0, sd / np.sqrt(2)).logpdf(effect).sum())
    jacobian = len(pairs) * np.log(sd / np.sqrt(2))
    assert stats.norm.logpdf(standard).sum() - jacobian == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize(("study", "base"), [("two", "a"), ("two", "c"), ("three", "b"), ("three", "d")])
def test_contrasts_against_any_arm_of_a_study_have_variance_one_and_correlation_half(study: str, base: str) -> None:
    """So contrast likelihoods do not know which treatment is the reference (decision 10)."""
    spec, evidence = net(FOUR, list("bcd"))
    shape = make_design(spec, evidence)
    rows = evidence.arms.index[evidence.arms["study"] == study]
    load = np.zeros((len(rows), len(shape.pairs) + 1))
    load[np.arange(len(rows)), shape.arm_pair[rows]] = 1
    load = load[:, 1:] @ shape.pair_factor
    at = evidence.arms.loc[rows, "arm"].tolist().index(base)
    contrast = np.delete(load - load[at], at, axis=0)
    expected = 0.5 + 0.5 * np.eye(len(contrast))
    np.testing.assert_allclose(contrast @ contrast.T, expected, atol=1e-12)


@pytest.mark.parametrize("reference", ["a", "b", "d"])
def test_random_effects_of_ratios_agree_with_the_marginal_normal_of_every_reference(reference: str) -> None:
    """Ratios of one study: covariance V + tau^2 (0.5 + 0.5 I) about their means, whatever the model's reference."""
    rows, tau = FOUR["hazard_ratios"], 0.35
    compare = [name for name in "abcd" if name != reference]
    changes = {**FREE, **VAGUE, "treatments": {"reference": reference, "compare": compare}}
    spec = worlds.spec(**changes)
    evidence = worlds.evidence(spec, {"hazard_ratios": rows})
    mean, _ = exact(spec, evidence, heterogeneity=tau)
    found = {reference: 0.0, **mean}
    shared = 0.1**2
    block = np.diag([0.2**2, 0.25**2, 0.3**2]) + shared * (1 - np.eye(3)) + tau**2 * (0.5 + 0.5 * np.eye(3))
    covariance = np.zeros((4, 4))
    covariance[:3, :3], covariance[3, 3] = block, 0.2**2 + tau**2
    x = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0], [-1, 1, 0]], dtype=float)  # on b, c, d against a
    weight = np.linalg.inv(covariance)
    by_hand = np.linalg.solve(x.T @ weight @ x, x.T @ weight @ np.array([-0.4, 0.1, 0.3, -0.2]))
    ours = [found[name] - found["a"] for name in "bcd"]
    np.testing.assert_allclose(ours, by_hand, atol=2e-6)


# ------------------------------------------------------------------------------------------------ sampled


@pytest.mark.slow
@pytest.mark.usefixtures("one_try")
def test_the_posterior_is_one_up_to_names() -> None:
    sampling = {"draws": 1000, "tune": 500, "chains": 2}
    means, errors = [], []
    for compare, seed in (("bcd", None), ("dcb", 5)):
        spec, evidence = world(tuple(compare), FREE, seed)
        result = bb.fit(spec, evidence, seed=3, **sampling)
        draws = result.posterior["log_hr"].sel(treatment=list("bcd"))
        ess = [row["ess_bulk"] for name in "bcd" for row in result.gate.rows if row["parameter"] == f"log_hr[{name}]"]
        means.append(draws.mean(("chain", "draw")).to_numpy())
        errors.append(draws.std(("chain", "draw")).to_numpy() / np.sqrt(ess))
    assert (np.abs(means[0] - means[1]) < 4 * np.hypot(*errors)).all()
