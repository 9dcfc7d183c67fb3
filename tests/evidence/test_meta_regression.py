"""Covariates of studies: amounts, the published regression of the BCG trials, and what is refused."""

from typing import Any

import numpy as np
import pytest

from bayes_bm.checks.family_priors import of_family
from bayes_bm.evidence.audit import bias_rows
from bayes_bm.inference.compiled.coverage import why_not
from bayes_bm.inference.compiled.nutpie import log_density
from bayes_bm.inference.compiled.packing import pack_problem
from bayes_bm.model.model_inputs import prepare
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.reading import parse_spec
from tests.builders import worlds
from tests.builders.worlds import normal

BCG = {
    "Aronson 1948": (4, 119, 11, 128, 44),
    "Ferguson 1949": (6, 300, 29, 274, 55),
    "Rosenthal 1960": (3, 228, 11, 209, 42),
    "Hart 1977": (62, 13536, 248, 12619, 52),
    "Frimodt-Moller 1973": (33, 5036, 47, 5761, 13),
    "Stein 1953": (180, 1361, 372, 1079, 44),
    "Vandiviere 1973": (8, 2537, 10, 619, 19),
    "TPT Madras 1980": (505, 87886, 499, 87892, 13),
    "Coetzee 1968": (29, 7470, 45, 7232, 27),
    "Rosenthal 1961": (17, 1699, 65, 1600, 42),
    "Comstock 1974": (186, 50448, 141, 27197, 18),
    "Comstock 1969": (5, 2493, 3, 2338, 33),
    "Comstock 1976": (27, 16886, 29, 17825, 33),
}
"""Colditz 1994, the example of NICE TSD 3: tuberculosis and none among vaccinated, then controls, and latitude."""
TAU2 = 0.0764
"""Heterogeneity left by metafor: rma(yi, vi, mods = ~ ablat, data = dat.bcg), REML."""


def bcg(column: str = "x_latitude", **more: Any):
    arms, ratios = [], []
    for study, (sick, well, other_sick, other_well, latitude) in BCG.items():
        n, other_n = sick + well, other_sick + other_well
        variance = 1 / sick - 1 / n + 1 / other_sick - 1 / other_n
        ratio = (sick / n) / (other_sick / other_n)
        row = {"study": study, "endpoint": "os", column: str(latitude)}
        arms += [{**row, "arm": name, "treatment": name, "n": size} for name, size in (("bcg", n), ("none", other_n))]
        ratios.append(
            {"study": study, "endpoint": "os", "treatment": "bcg", "reference": "none", "hr": ratio}
            | {"se_log_hr": (variance + TAU2) ** 0.5}
        )
    spec = worlds.spec(
        treatments={"reference": "none", "compare": ["bcg"]},
        effects={},
        priors={name: normal(1e5) for name in ("intercept", "log_hr", "log_shape")},
        meta_regression={"latitude": {"column": "x_latitude", "centre": 0.0, "prior": normal(1e5), **more}},
    )
    return spec, worlds.evidence(spec, {"arms": arms, "hazard_ratios": ratios})


def test_latitude_explains_the_bcg_trials_as_published() -> None:
    """metafor's intercept 0.2515 (0.2491) and slope -0.0291 (0.0072): the density is a quadratic of both."""
    inputs = prepare(*bcg(treatments=["bcg"]))
    assert why_not(inputs) is None
    at, data = pack_problem(inputs)
    places = [at.starts["log_hr"], at.starts["bias_latitude"]]
    origin = np.zeros(at.size)
    gradient = np.asarray(log_density(origin, data)[1])[places]
    columns = []
    for place in places:
        moved = origin.copy()
        moved[place] = 1.0
        columns.append(np.asarray(log_density(moved, data)[1])[places] - gradient)
    covariance = np.linalg.inv(-np.array(columns))
    estimate, se = covariance @ gradient, np.sqrt(np.diag(covariance))
    assert estimate == pytest.approx([0.2515, -0.0291], abs=1e-4)
    assert se == pytest.approx([0.2491, 0.0072], abs=1e-4)


@pytest.mark.slow
def test_a_level_leaves_ratios_alone_and_scales_are_of_the_column() -> None:
    _, evidence = bcg()
    assert (evidence.hazard_ratios["bias_latitude"] == 0).all()
    _, evidence = bcg(treatments=["none"], centre=33.0, scale=10.0)
    amounts = dict(zip(evidence.hazard_ratios["study"], evidence.hazard_ratios["bias_latitude"], strict=True))
    assert amounts["Ferguson 1949"] == pytest.approx(-2.2)
    assert amounts["Comstock 1969"] == 0.0


def with_year(changes: dict[str, Any]):
    years = {"p1": 2010, "s1": 2015, "s2": 2020}
    tables = {
        **worlds.TABLES,
        "arms": [{**row, "year": years.get(row["study"]), "x_dose": "1.5"} for row in worlds.TABLES["arms"]],
    }
    spec = worlds.spec(**changes)
    return spec, worlds.evidence(spec, tables)


def density(world) -> tuple[Any, np.ndarray]:
    at, data = pack_problem(prepare(*world))
    value, gradient = log_density(0.2 * np.cos(np.arange(at.size)), data)
    return value, np.asarray(gradient)


@pytest.mark.slow
def test_the_year_as_a_covariate_is_the_bias_of_the_year() -> None:
    bias = with_year({"bias": {"year": {"prior": normal(0.3), "centre": 2020.0}}})
    term = {"column": "year", "prior": normal(0.3), "centre": 2020.0, "scale": 10.0}
    regression = with_year({"meta_regression": {"calendar": term}})
    for one, other in zip(density(bias), density(regression), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    row = bias_rows(*regression).iloc[0]
    assert (row["bias"], row["unstated"]) == ("calendar", bias_rows(*bias).iloc[0]["unstated"])


@pytest.mark.slow
def test_a_slope_of_zero_and_no_table_are_todays_model() -> None:
    nothing, absent = with_year({"meta_regression": {}}), with_year({})
    zero = {"column": "year", "centre": 2020.0, "value": {"value": 0.0, "why": "test"}}
    assert nothing[0].digest() == absent[0].digest()
    for one, other in zip(density(absent), density(with_year({"meta_regression": {"calendar": zero}})), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


def test_a_prior_is_carried_to_accelerated_time_with_its_sign() -> None:
    term = {"column": "year", "centre": 2020.0, "prior": normal(0.3, mean=0.1)}
    spec = worlds.spec(meta_regression={"calendar": term})
    assert of_family(spec, "lognormal").meta_regression["calendar"].prior.mean == -0.1  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"column": "x_none"}, "x_none, which no arms table has"),
        ({"column": "x_dose", "centre": None}, "centre: this key is required"),
        ({"treatments": ["z"]}, "meta_regression.dose.treatments: found z"),
        ({"treatments": ["a", "b", "c"]}, "found all treatments"),
        ({"value": {"value": 1.0, "why": "test"}}, "exactly one of prior"),
        ({"acts_on": [{"study": "nobody", "why": "test"}]}, "meta_regression.dose.acts_on"),
        ({"scale": 0.0}, "scale"),
    ],
)
def test_what_cannot_stand_is_refused(changes: dict[str, Any], said: str) -> None:
    term = {"column": "x_dose", "centre": 1.0, "prior": normal(0.3), **changes}
    with pytest.raises((InputError, ExceptionGroup), match=said):
        with_year({"meta_regression": {"dose": {key: value for key, value in term.items() if value is not None}}})


def test_a_cell_that_is_no_number_and_a_taken_name_are_refused() -> None:
    spec = worlds.spec(meta_regression={"dose": {"column": "x_dose", "centre": 1.0, "prior": normal(0.3)}})
    arms = [{**row, "x_dose": "high"} for row in worlds.TABLES["arms"]]
    with pytest.raises(InputError, match=r"arms, study .*, column x_dose"):
        worlds.evidence(spec, {**worlds.TABLES, "arms": arms})
    document = worlds.document(meta_regression={"year": {"column": "year", "centre": 1.0, "prior": normal(0.3)}})
    with pytest.raises((InputError, ExceptionGroup), match="no bias and no covariate"):
        parse_spec(document)
