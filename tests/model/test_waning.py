"""Treatment effects that wane: the law against integrals of the hazard, answers in closed form, and that it is off."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy import integrate

from bayes_bm.estimands.compare import compare
from bayes_bm.estimands.quantities import hazard_ratio, survival
from bayes_bm.estimands.who import AverageStudy
from bayes_bm.evidence.reading import read_evidence
from bayes_bm.hazards import FAMILIES
from bayes_bm.hazards.family import inverse
from bayes_bm.hazards.modifiers.waning import Waned
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.inference.compiled.coverage import why_not
from bayes_bm.inference.log_likelihood import pointwise_log_likelihood
from bayes_bm.inference.prior_result import prior_result
from bayes_bm.model.model_inputs import prepare
from bayes_bm.model.pymc_graph.build import build_model
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.reading import read_spec
from tests.builders import posteriors, worlds
from tests.builders.graphs import log_density, random_point, values_at
from tests.builders.worlds import normal

WHY = {"why": "test"}
SHAPES = {"weibull": [0.3], "gompertz": [0.4], "gompertz_makeham": [0.4, -0.3], "exponential": []}


def shape_of(name: str, effect: float, start: float) -> np.ndarray:
    return np.array([*SHAPES[name], effect, np.log(start)])


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("over", [0.0, 1.0])
def test_the_cumulative_hazard_is_the_integral_of_the_hazard(name: str, over: float) -> None:
    family, effect, start = Waned(FAMILIES[name], over, 1.5), -0.6, 1.5
    shape = shape_of(name, effect, start)

    def hazard(u: float) -> float:
        return float(np.exp(family.log_hazard(np.log(u), 0.2 + effect, shape, xp=NUMPY)))

    jumps = [1.5 + over * step / 10 for step in range(11)]
    ends = [0.0, *sorted({*jumps}), 4.0]
    total = sum(integrate.quad(hazard, *both, epsabs=1e-12)[0] for both in pairwise(ends))
    log_cum = family.log_cum_hazard(np.log(4.0), 0.2 + effect, shape, xp=NUMPY)
    assert float(np.exp(log_cum)) == pytest.approx(total, rel=1e-9)
    assert float(inverse(family, log_cum, 0.2 + effect, shape, xp=NUMPY)) == pytest.approx(np.log(4.0), abs=1e-9)
    plain = SHAPES[name]
    of_reference = FAMILIES[name].log_hazard(np.log(4.0), 0.2, np.array(plain), xp=NUMPY)
    assert np.log(hazard(4.0)) == pytest.approx(float(of_reference), abs=1e-12)


@pytest.mark.parametrize("name", SHAPES)
def test_before_the_start_and_without_an_effect_it_is_the_family(name: str) -> None:
    family, log_u = Waned(FAMILIES[name], 1.0, 1.5), np.log([0.1, 1.0, 3.0, 9.0])
    for effect, start in ((0.0, 1.5), (-0.7, 100.0)):
        for formula in ("log_cum_hazard", "log_hazard"):
            found = getattr(family, formula)(log_u, 0.2, shape_of(name, effect, start), xp=NUMPY)
            plain = getattr(FAMILIES[name], formula)(log_u, 0.2, np.array(SHAPES[name]), xp=NUMPY)
            np.testing.assert_allclose(found, plain, rtol=1e-12, atol=1e-12)


def test_who_dies_at_a_jump_dies_under_the_hazard_before_it() -> None:
    """The middle of 6 months from the 12th on, in units of any t0: exp and log round to either side of it."""
    for t0 in np.arange(1.0, 60.0):
        family, shape = Waned(FAMILIES["exponential"], 6.0 / t0), np.array([-0.6, np.log(12.0 / t0)])
        log_hazard = family.log_hazard(np.log(15.0 / t0), -0.6, shape, xp=NUMPY)
        assert float(log_hazard) == pytest.approx(-0.6 * 0.55, abs=1e-12)


def test_a_linear_end_is_near_its_integral_without_steps() -> None:
    """Ten steps against the hazard exp(beta w(t)) itself, of an exponential."""
    family, effect = Waned(FAMILIES["exponential"], 2.0, 1.0), -0.6
    total = np.exp(effect) + integrate.quad(lambda u: np.exp(effect * (3 - u) / 2), 1, 3)[0] + 1.0
    found = np.exp(family.log_cum_hazard(np.log(4.0), effect, np.array([effect, 0.0]), xp=NUMPY))
    assert float(found) == pytest.approx(total, rel=2e-4)


TABLES = {name: rows for name, rows in worlds.TABLES.items() if name != "hazard_ratios"}


def density(tables: dict[str, Any] = TABLES, **changes: Any):
    spec = worlds.spec(**changes)
    evidence = worlds.evidence(spec, tables)
    model = build_model(spec, evidence)
    point = random_point(model, 3)
    return spec, evidence, model, point


@pytest.mark.slow
def test_a_start_beyond_the_evidence_and_no_table_are_todays_model() -> None:
    _, _, plain, point = density()
    spec, evidence, late, _ = density(waning={"start": 1000.0, "over": 12.0, **WHY})
    assert log_density(late, point) == pytest.approx(log_density(plain, point), abs=1e-12 * 1e3)
    assert why_not(prepare(spec, evidence)) is None
    assert "waning" not in worlds.spec().document()


@pytest.mark.slow
@pytest.mark.parametrize("start", [{"start": 9.0}, {"prior": {"dist": "gamma", "shape": 9.0, "rate": 1.0, **WHY}}])
def test_the_graph_has_the_density_that_checks_read(start: dict[str, Any]) -> None:
    tables = {**worlds.TABLES, "hazard_ratios": [{**row, "followup": 30.0} for row in worlds.TABLES["hazard_ratios"]]}
    spec, evidence, model, point = density(tables, waning={**start, "over": 6.0, **WHY})
    values = values_at(model, point)
    dims = {name: (*("chain", "draw"), *(model.named_vars_to_dims.get(name) or ())) for name in values}
    known = {name: value for name, value in values.items() if np.ndim(value) == len(dims[name]) - 2}
    coords = {name: list(labels) for name, labels in model.coords.items() if labels is not None}
    posterior = xr.Dataset(
        {name: (dims[name], np.asarray(value)[None, None]) for name, value in known.items()}, coords=coords
    )
    base = posteriors.result(worlds.spec(), worlds.evidence(worlds.spec()), chains=1, draws=1)
    result = replace(base, spec=spec, evidence=evidence, posterior=posterior)
    by_rows = sum(float(rows.sum()) for rows in pointwise_log_likelihood(result.predictors).data_vars.values())
    of_graph = log_density(model, point, model.observed_RVs, jacobian=False)
    assert by_rows == pytest.approx(of_graph, abs=1e-7)


def test_ratios_return_to_one_and_extrapolated_answers_say_so() -> None:
    spec = worlds.spec(waning={"start": 24.0, "over": 0.0, **WHY}, effects={}, times=[12.0, 60.0])
    fixed: dict[str, Any] = {"intercept": 0.0, "log_hr": -0.5, "log_shape": 0.0}
    result = posteriors.result(spec, worlds.evidence(spec, TABLES), chains=1, draws=2, **fixed)
    ratios = hazard_ratio(result, [12.0, 60.0], who=AverageStudy()).sel(treatment="b").to_numpy().ravel()
    assert ratios == pytest.approx([np.exp(-0.5), 1.0] * 2)
    alive = survival(result, [60.0], who=AverageStudy()).sel(treatment="b").to_numpy().ravel()
    assert alive == pytest.approx(np.exp(-(2 * np.exp(-0.5) + 3)), rel=1e-9)
    rows = compare(result, times=[12.0, 60.0])
    labels = rows[(rows["estimand"] == "survival") & (rows["treatment"] == "b")].set_index("time")["label"]
    assert "wanes" in labels[60.0] and "wanes" not in labels[12.0]


@pytest.mark.slow
def test_the_shipped_analysis_marks_every_extrapolated_answer() -> None:
    """Drugs are followed for less than a year: their survival at 24 months, and every contrast with it, is marked."""
    name = "os_radiation_necrosis"
    assert read_spec(name).waning is None
    spec = read_spec(name, sensitivity="effect_wanes")
    result = replace(prior_result(spec, draws=4), evidence=read_evidence(spec))
    rows = compare(result, times=[6.0, 24.0])
    extrapolated = rows["label"].str.contains("extrapolated")
    assert (rows["label"].str.contains("effect wanes by assumption") == extrapolated).all()
    asked = rows[(rows["treatment"] == "medical") & (rows["estimand"] == "survival")].set_index("time")["label"]
    assert "wanes" in asked[24.0] and "wanes" not in asked[6.0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hazard": {"family": "loglogistic"}}, "waning: found beside hazard.family = loglogistic"),
        ({"priors__treatment_log_shape": normal(0.2)}, "treatment_log_shape"),
        ({"waning": {"start": -1.0, **WHY}}, "start"),
        ({"waning": {"prior": normal(1.0), **WHY}}, "prior on positive times"),
        ({"waning": {"start": 3.0, "prior": normal(1.0), **WHY}}, "exactly one of start"),
        ({"waning": {"start": 24.0}}, "why"),
    ],
)
def test_what_cannot_wane_is_refused(changes: dict[str, Any], said: str) -> None:
    if "hazard" in changes:
        changes = {
            **changes,
            "priors": {"intercept": normal(1.0), "log_time_ratio": normal(1.0), "log_shape": normal(1)},
        }
    with pytest.raises((InputError, ExceptionGroup), match=said):
        worlds.spec(**{"waning": {"start": 24.0, **WHY}, **changes})
