"""Published ratios of covariates inside the model, against quadrature, multivariate normals and finite differences."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bayes_bm.checks.reconciliation import reconcile
from bayes_bm.checks.studies_left_out import shared_draws, with_fresh_effects
from bayes_bm.checks.study_likelihood import drop_study, integrated_log_density, studies_of
from bayes_bm.evidence.audit import audit
from bayes_bm.evidence.storage import read_stored_evidence, stored_evidence
from bayes_bm.inference.compiled.coverage import why_not
from bayes_bm.model.model_inputs import prepare
from bayes_bm.model.pymc_graph.build import build_model
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.reading import parse_spec
from tests.builders import families, posteriors, worlds
from tests.builders.graphs import log_density, model_of, random_point, slopes_of, total, values, values_at
from tests.builders.structures import with_covariates
from tests.builders.worlds import half_normal, normal
from tests.witness import slow_twin

COVARIATES = {"age": {"prior": normal(0.5), "scale": 10.0, "centre": 60.0}, "male": {"prior": normal(0.5)}}
CHANGES: dict[str, Any] = {
    "covariates": COVARIATES,
    "prognosis": {"sd": half_normal(0.25), "transport_sd": half_normal(0.3)},
    "evidence__prognostic_ratios": ["prognosis.csv"],
}
LIMITS = {"ci_low": 1.1, "ci_high": 2.6}
ROWS = [
    {"study": "r1", "covariate": "male", "endpoint": "os", "hr": 1.7, **LIMITS, "n": 80},
    {"study": "r1", "covariate": "age", "endpoint": "os", "hr": 1.3, "p": 0.02, "per": 5.0, "n": 80},
    {"study": "r2", "covariate": "age", "endpoint": "os", "hr": 1.4, "se_log_hr": 0.2, "level": 70, "reference": 60},
    {"study": "r2", "covariate": "age", "endpoint": "os", "hr": 1.9, "se_log_hr": 0.3, "level": 80, "reference": 60},
    {"study": "r3", "covariate": "male", "endpoint": "os", "hr": 0.8, "p_below": 0.05, "population": "external"},
    {"study": "r4", "covariate": "age", "endpoint": "os", "hr": 1.02, "se_log_hr": 0.01, "per": 1.0}
    | {"population": "external", "n": 500},
]
NUMBERS = {kind: rows for kind, rows in worlds.TABLES.items() if kind != "patients"}


def world(rows: list[dict] = ROWS, tables: dict[str, list[dict]] = NUMBERS, **more: Any):
    spec = worlds.spec(**{**CHANGES, **more})
    return spec, worlds.evidence(spec, {**tables, "prognostic_ratios": rows})


def posterior(draws: int = 8, **more: Any):
    spec, evidence = world(**more)
    result = posteriors.result(spec, evidence, draws=draws)
    rng = np.random.default_rng(4)
    shape = tuple(result.posterior.sizes[name] for name in ("chain", "draw"))
    extra = {
        "prognosis_sd": (("chain", "draw"), rng.uniform(0.1, 0.4, shape)),
        "transport_sd": (("chain", "draw"), rng.uniform(0.1, 0.4, shape)),
        "transport": (("chain", "draw", "transported"), 0.3 * rng.standard_normal((*shape, 2))),
    }
    whole = result.posterior.assign(extra).assign_coords(transported=["age", "male"])
    return replace(result, posterior=whole, stored_log_likelihood=None)


def parameters(result: Any, sample: int) -> dict[str, Any]:
    draws = result.predictors.draws
    by_name = {"coefficient": draws.coefficient[sample], "transport": draws.transport[sample]}
    named = {name: dict(zip(COVARIATES, map(float, row), strict=True)) for name, row in by_name.items()}
    return {**named, "prognosis_sd": float(draws.prognosis_sd[sample])}


GROUPS = [[ROWS[1]], [ROWS[0]], ROWS[2:4], [ROWS[4]], [ROWS[5]]]
"""Rows by study and covariate, in the order of their names."""


@pytest.mark.slow
def test_rows_have_the_density_of_the_slow_twin_and_of_multivariate_normals() -> None:
    result = posterior()
    ours = result.log_likelihood["prognostic_ratios"].to_numpy().reshape(16, -1)
    for sample in (0, 9):
        given = parameters(result, sample)
        document = worlds.document(**CHANGES)
        witness = [float(slow_twin.prognostic_term(document, given, rows)) for rows in GROUPS]
        np.testing.assert_allclose(ours[sample], witness, rtol=1e-9)
        change, se = np.array([1.0, 2.0]), np.array([0.2, 0.3])
        covariance = np.diag(se**2) + given["prognosis_sd"] ** 2 * np.outer(change, change)
        together = stats.multivariate_normal(change * given["coefficient"]["age"], covariance)
        assert ours[sample, 2] == pytest.approx(together.logpdf(np.log([1.4, 1.9])), rel=1e-10)


@pytest.mark.slow
def test_the_graph_has_the_same_density_and_the_gradient_of_finite_differences() -> None:
    spec, evidence = world()
    model = build_model(spec, evidence)
    assert why_not(prepare(spec, evidence)) is None
    point = random_point(model, 2)
    found = values_at(model, point)
    given = {
        "coefficient": dict(zip(COVARIATES, map(float, found["coefficient"]), strict=True)),
        "transport": dict(zip(COVARIATES, map(float, found["transport"]), strict=True)),
        "prognosis_sd": float(found["prognosis_sd"]),
    }
    read = [one for one in model.value_vars if str(one.name).startswith(("prognosis", "transport", "coefficient"))]
    told = [model["prognostic_ratios"]]
    density, ours = log_density(model, point, told), slopes_of(total(model, told), read, point)
    document = worlds.document(**CHANGES)
    witness = sum(slow_twin.prognostic_term(document, given, rows) for rows in GROUPS)
    assert float(density) == pytest.approx(float(witness), rel=1e-10)
    step, checked = 1e-5, 0
    for variable, slope in zip(read, ours, strict=True):
        for place in range(np.size(slope)):
            both = []
            for sign in (1, -1):
                moved = np.array(point[variable.name], dtype=float)
                moved.reshape(-1)[place] += sign * step
                both.append(log_density(model, {**point, variable.name: moved}, told))
            assert np.ravel(slope)[place] == pytest.approx((both[0] - both[1]) / (2 * step), rel=1e-6, abs=1e-6)
            checked += 1
    assert checked == 6


@pytest.mark.slow
def test_order_of_rows_and_coding_turned_round_change_nothing() -> None:
    one, other = (posterior(rows=rows) for rows in (ROWS, ROWS[::-1]))
    first, second = (r.log_likelihood["prognostic_ratios"].sum("prognostic_ratios_row") for r in (one, other))
    np.testing.assert_allclose(first, second, rtol=1e-12)
    # 1 / hr of 0 v 1 says the same
    low, high = 1 / LIMITS["ci_high"], 1 / LIMITS["ci_low"]
    turned = {**ROWS[0], "hr": 1 / 1.7, "ci_low": low, "ci_high": high, "level": 0, "reference": 1}
    again = posterior(rows=[turned, *ROWS[1:]])
    np.testing.assert_allclose(
        again.log_likelihood["prognostic_ratios"], one.log_likelihood["prognostic_ratios"], rtol=1e-12
    )


@pytest.mark.slow
def test_a_spec_without_the_table_has_the_density_and_digest_it_had() -> None:
    spec, evidence = world(rows=[])
    plain = worlds.spec(covariates=COVARIATES)
    point = random_point(model_of(spec, evidence), 1)
    assert values(spec, evidence, point) == values(plain, worlds.evidence(plain, NUMBERS), point)
    assert "prognostic_ratios" not in plain.document()["evidence"] and "prognosis" not in plain.document()
    assert parse_spec(spec.document()).evidence.prognostic_ratios == spec.evidence.prognostic_ratios
    assert evidence.digest() == worlds.evidence(plain, NUMBERS).digest()


def test_a_study_left_out_takes_its_ratios_and_is_foretold_with_a_fresh_deviation() -> None:
    result = posterior()
    assert {"r1", "r2", "r3", "r4"} < set(studies_of(result.evidence))
    density = integrated_log_density(result, "r2")
    column = result.log_likelihood["prognostic_ratios"].to_numpy().reshape(16, -1)[:, 2]
    np.testing.assert_allclose(density, column, rtol=1e-12)
    assert "r2" not in set(drop_study(result.evidence, "r2").prognostic_ratios["study"])
    shared = shared_draws(result.posterior, np.arange(16))
    alone = with_fresh_effects(result, "r2", shared, np.random.default_rng(1))
    assert list(reconcile(alone)["kind"]) == ["prognostic ratios"] * 2


def test_printed_ratios_stand_beside_those_of_a_new_study() -> None:
    result = posterior(draws=4000)
    table = reconcile(result)
    rows = table[table["kind"] == "prognostic ratios"].set_index("quantity")
    row = rows.loc["HR age 80 v 60"]
    draws = result.predictors.draws
    assert row["predicted"] == pytest.approx(np.exp(np.median(2 * draws.coefficient[:, 0])), rel=1e-6)
    sd = np.sqrt(0.3**2 + 4 * draws.prognosis_sd**2)
    upper = np.array([stats.norm.cdf(np.log(row["predicted_high"]), 2 * draws.coefficient[:, 0], sd).mean()])
    assert upper == pytest.approx(0.975, abs=0.01)


def test_the_audit_says_what_informs_a_coefficient() -> None:
    spec, evidence = world()
    said = audit(spec, evidence)
    age = said.coefficients.set_index("covariate").loc["age"]
    assert (age["source"], age["ratios"], age["ratio_studies"], age["ratio_patients"]) == (
        *("published ratios", 4, 3),
        580,
    )
    se = [abs(np.log(1.3)) / 2.3263478740408408, 0.2, 0.3, 0.01]
    precision = (np.array([0.5, 1, 2, 0.1]) / se) ** 2
    assert age["share_external"] == pytest.approx(precision[3] / precision.sum(), rel=1e-9)
    assert any("Coefficient of age: 4 published ratios of 3 studies, 580 patients" in note for note in said.notes)
    assert (said.rows["kind"] == "prognostic ratio").sum() == 6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"covariate": "kps"}, "no such covariate"),
        ({"model": "crude"}, "a crude ratio"),
        ({"use": "weak"}, "not in evidence.include"),
        ({"study": "p2"}, "say it themselves"),
    ],
)
def test_what_is_not_heard_is_listed(change: dict, reason: str) -> None:
    rows = [ROWS[0], {**ROWS[1], **change}]
    include = {"evidence__include": {"use": ["use"]}} if "use" in change else {}
    _, evidence = world(rows, with_covariates(worlds.TABLES), **include)
    assert len(evidence.prognostic_ratios) == 1
    aside = evidence.set_aside[evidence.set_aside["kind"] == "prognostic_ratios"]
    assert reason in aside["reason"].item()


@pytest.mark.parametrize("family", ["exponential_aft", "weibull_aft", "lognormal", "loglogistic", "gamma", "gengamma"])
def test_ratios_of_hazards_are_no_ratios_of_time(family: str) -> None:
    """A favourable covariate would have shortened survival: log hr below zero, read as a log ratio of time."""
    tables = {kind: rows for kind, rows in NUMBERS.items() if kind != "hazard_ratios"}
    _, evidence = world(tables=tables, **families.changes(family))
    assert evidence.prognostic_ratios.empty
    aside = evidence.set_aside[evidence.set_aside["kind"] == "prognostic_ratios"]
    assert len(aside) == len(ROWS)
    assert aside["reason"].str.contains("log ratios of time").all()


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([ROWS[0], {**ROWS[0], "adjusted_for": "age"}], "2 rows of male; allowed: one"),
        ([{**ROWS[0], "hr": 1.01, "p": 0.9, "ci_low": None, "ci_high": None}], "with p 0.9 alone"),
        ([{**row, "overlap_group": "g"} for row in (ROWS[0], ROWS[4])], "patients counted twice, in r1; r3"),
        ([{**ROWS[0], "level": 1}], "level and reference together"),
        ([{**ROWS[2], "per": 5.0}], "a blank beside level and reference"),
        ([{**ROWS[0], "level": 1, "reference": 1}], "another value than level (1)"),
        ([{**ROWS[0], "ci_low": None, "ci_high": None}], "one of ci_low + ci_high, se_log_hr, p, p_below"),
    ],
)
def test_rows_that_cannot_stand_are_refused(rows: list[dict], words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        world(rows)


@pytest.mark.slow
def test_external_ratios_need_a_prior_and_can_be_left_out() -> None:
    prognosis = {"sd": half_normal(0.25)}
    with pytest.raises(InputError, match=r"prognosis\.transport_sd.*r3: male"):
        world(prognosis=prognosis)
    _, evidence = world(prognosis=prognosis, evidence__include={"population": ["same"]})
    assert set(evidence.prognostic_ratios["study"]) == {"r1", "r2"}


@pytest.mark.slow
def test_the_evidence_comes_back_from_a_file() -> None:
    _, evidence = world()
    again = read_stored_evidence(stored_evidence(evidence))
    pd.testing.assert_frame_equal(again.prognostic_ratios, evidence.prognostic_ratios, check_dtype=False)
    assert again.digest() == evidence.digest()
    older = stored_evidence(evidence).drop_vars("prognostic_ratios")
    assert read_stored_evidence(older).prognostic_ratios.empty
