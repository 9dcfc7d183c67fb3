"""Covariates that single patients lack: against mpmath's sums and quadrature, and the models they must reduce to."""

import math
from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf
from scipy import optimize, stats

from bayes_bm.checks.predictive_tests import patient_pit
from bayes_bm.checks.replicates import replicated_arms
from bayes_bm.evidence.audit import audit
from bayes_bm.evidence.records import Evidence
from bayes_bm.inference.compiled.coverage import why_not
from bayes_bm.inference.compiled.nutpie import BoundDensity
from bayes_bm.inference.compiled.packing import pack_problem
from bayes_bm.inference.log_likelihood import pointwise_log_likelihood
from bayes_bm.model.covariates.missing import NODES, prior
from bayes_bm.model.design import make_design
from bayes_bm.model.model_inputs import prepare
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.document import Spec
from tests.builders import graphs, posteriors, worlds
from tests.builders.graphs import data_term, log_density, moved, values_at, vector_of
from tests.builders.patients import patients
from tests.builders.worlds import normal

T0 = 12.0
AGE = {"prior": normal(0.5), "centre": 60.0, "scale": 10.0, "missing": "normal"}
MALE = {"prior": normal(0.5), "interaction": normal(0.4), "missing": "two_valued"}
KPS = {"prior": normal(0.5)}
TERMS = {"kps": KPS, "age": AGE, "male": MALE}
STUDY_ARM = {("p1", "x"): 0, ("p1", "y"): 1, ("p2", "x"): 2, ("p2", "y"): 3}


def rows(blanks: dict[int, tuple[str, ...]], n: int = 40) -> list[dict[str, Any]]:
    """Patients of two studies, some of whose covariates are blank, by the patient's place."""
    rng, found = np.random.default_rng(5), []
    for at, row in enumerate(patients(n)):
        row = {**row, "kps": float(np.round(rng.normal(), 2))}
        found.append(row | dict.fromkeys(blanks.get(at, ())))
    return found


BLANKS: dict[int, tuple[str, ...]] = {0: ("male",), 5: ("age",), 10: ("age", "male"), 17: ("male",), 22: ("age",)}


def world(blanks: dict[int, tuple[str, ...]] = BLANKS, terms: dict = TERMS, **changes: Any) -> tuple[Spec, Evidence]:
    spec = worlds.spec(covariates=terms, **changes)
    return spec, worlds.evidence(spec, {"patients": rows(blanks)})


def by_quadrature(spec: Spec, evidence: Evidence, found: dict[str, np.ndarray]) -> tuple[list[float], float]:
    """log of the integral over age and the sum over male of law x Weibull density, a patient at a time, in mpmath.

    Of the outcome given what is known; and, summed, of sex where age is lacked.
    """
    names = [str(name) for name in graphs.model_of(spec, evidence).coords["covariate_law_term"]]
    phi = dict(zip(names, found["covariate_law"], strict=True))
    table = evidence.patients
    whole = table.dropna(subset=["kps", "age", "male"])
    middle, spread = ({c: float(f(whole[c])) for c in ("kps", "age")} for f in (np.mean, np.std))
    middle["male"], spread["male"] = float(whole["male"].mean()), float(whole["male"].std(ddof=0))
    studies, compared = sorted(set(evidence.arms["study"])), list(spec.treatments.compare)
    pairs = make_design(spec, evidence).pairs
    terms: list[float] = []
    sexes: list[float] = []
    for row in table[table[["age", "male"]].isna().any(axis=1)].to_dict("records"):
        arm = f"{row['study']}, {evidence.arms['arm'][row['arm_row']]}"
        study, drug = studies.index(row["study"]), row["treatment"]
        base = float(found["intercept"] + found["study_effect"][study])
        base += found["study_treatment_effect"][pairs.index((row["study"], drug))]
        if drug != "a":
            base += found["log_hr"][compared.index(drug)]
        k = math.exp(float(found["log_shape"] + found["study_log_shape"][study]))
        slope = dict(zip(spec.covariates, found["coefficient"], strict=True))
        if drug != "a":
            slope["male"] += found["interaction"][compared.index(drug), 0]
        z_kps = (row["kps"] - middle["kps"]) / spread["kps"]

        def of_outcome(age: Any, male: Any, row=row, base=base, k=k, slope=slope) -> Any:
            eta = base + slope["kps"] * row["kps"] + slope["age"] * (age - 60) / 10 + slope["male"] * male
            log_cum = k * mp.log(mpf(row["time"]) / T0) + eta
            return mp.exp(row["event"] * (mp.log(k) + log_cum - mp.log(row["time"])) - mp.exp(log_cum))

        def of_male(age: Any, male: Any, arm=arm, z_kps=z_kps) -> Any:
            z_age = (age - middle["age"]) / spread["age"]
            linear = phi[f"male | {arm}"] + phi["male | kps"] * z_kps + phi["male | age"] * z_age
            return 1 / (1 + mp.exp(-linear if male else linear))

        centre = middle["age"] + spread["age"] * (phi[f"age | {arm}"] + phi["age | kps"] * z_kps)
        width = spread["age"] * math.exp(phi["age | log sd"])
        males = (0, 1) if math.isnan(row["male"]) else (int(row["male"]),)

        def joint(age: Any, outcome: bool, males=males, of_male=of_male, of_outcome=of_outcome) -> Any:
            return sum(of_male(age, one) * (of_outcome(age, one) if outcome else 1) for one in males)

        if math.isnan(row["age"]):

            def over(outcome: bool, joint=joint, centre=centre, width=width) -> Any:
                def law(z: Any) -> Any:
                    return mp.npdf(z) * joint(centre + width * z, outcome)

                return mp.quad(law, [-9, -3, 0, 3, 9])

        else:

            def over(outcome: bool, joint=joint, age=row["age"]) -> Any:
                return joint(mpf(age), outcome)

        lacks_age = math.isnan(row["age"])
        terms.append(float(mp.log(over(True) / over(False))))
        sexes.append(float(mp.log(over(False))) if lacks_age else 0.0)
    return terms, math.fsum(sexes)


@pytest.mark.slow
@pytest.mark.parametrize("blanks", [{0: ("male",), 17: ("male",)}, BLANKS], ids=["two-valued", "both"])
def test_patients_who_lack_covariates_have_the_integral_of_the_equation(blanks: dict) -> None:
    terms = TERMS if blanks is BLANKS else {**TERMS, "age": {**AGE, "missing": None}}
    spec, evidence = world(blanks, terms)
    model = graphs.model_of(spec, evidence)
    point = moved(model)
    found = values_at(model, point)
    ours = data_term(model, point, "patients_imputed")
    if blanks is BLANKS:
        outcomes, sexes = by_quadrature(spec, evidence, found)
        np.testing.assert_allclose(ours, outcomes, atol=2e-9)
        ours = log_density(model, point, variables=model.potentials, jacobian=False)
        assert ours == pytest.approx(sexes, abs=5e-9)
        return
    # of two values the sum is exact
    names = [str(name) for name in model.coords["covariate_law_term"]]
    assert "male | age" in names and "age | log sd" not in names
    np.testing.assert_allclose(ours, _by_sum(spec, evidence, found, names), rtol=1e-12)


def _by_sum(spec: Spec, evidence: Evidence, found: dict[str, np.ndarray], names: list[str]) -> list[float]:
    phi = dict(zip(names, found["covariate_law"], strict=True))
    table = evidence.patients
    whole = table.dropna(subset=["kps", "age", "male"])
    terms = []
    for row in table[table["male"].isna()].to_dict("records"):
        arm = f"{row['study']}, {evidence.arms['arm'][row['arm_row']]}"
        linear = phi[f"male | {arm}"]
        for name in ("kps", "age"):
            linear += phi[f"male | {name}"] * (row[name] - whole[name].mean()) / whole[name].std(ddof=0)
        share = 1 / (1 + math.exp(-linear))
        both = [
            data_term_of(spec, evidence, found, {**row, "male": male}) + math.log(weight)
            for male, weight in ((0, 1 - share), (1, share))
        ]
        terms.append(float(np.logaddexp(*both)))
    return terms


def data_term_of(spec: Spec, evidence: Evidence, found: dict[str, np.ndarray], row: dict[str, Any]) -> float:
    """Log density of a patient with every covariate, from the equation."""
    studies, compared = sorted(set(evidence.arms["study"])), list(spec.treatments.compare)
    pairs = make_design(spec, evidence).pairs
    study, drug = studies.index(row["study"]), row["treatment"]
    x = [row["kps"], (row["age"] - 60) / 10, row["male"]]
    eta = float(found["intercept"] + found["study_effect"][study] + np.dot(found["coefficient"], x))
    eta += found["study_treatment_effect"][pairs.index((row["study"], drug))]
    if drug != "a":
        eta += found["log_hr"][compared.index(drug)] + found["interaction"][compared.index(drug), 0] * row["male"]
    k = math.exp(float(found["log_shape"] + found["study_log_shape"][study]))
    log_cum = k * math.log(row["time"] / T0) + eta
    return float(row["event"] * (math.log(k) + log_cum - math.log(row["time"])) - math.exp(log_cum))


@pytest.mark.slow
def test_where_nobody_lacks_any_the_model_is_the_one_without() -> None:
    """Exactly: the same parameters, and the same terms."""
    plain = {name: {key: value for key, value in term.items() if key != "missing"} for name, term in TERMS.items()}
    on, off = (graphs.model_of(*world({}, terms)) for terms in (TERMS, plain))
    assert [str(v) for v in on.value_vars] == [str(v) for v in off.value_vars]
    point = moved(off)
    np.testing.assert_array_equal(data_term(on, point), data_term(off, point))


@pytest.mark.slow
def test_a_coefficient_of_zero_makes_what_is_lacked_indifferent() -> None:
    spec, evidence = world(terms={name: {**term, "interaction": None} for name, term in TERMS.items()})
    filled = [{**row, "age": row["age"] or 63.0, "male": row["male"] or 0} for row in rows(BLANKS)]
    whole = worlds.evidence(spec, {"patients": filled})
    lacking, known = graphs.model_of(spec, evidence), graphs.model_of(spec, whole)
    point = moved(lacking)
    point |= {"coefficient_age": np.zeros(()), "coefficient_male": np.zeros(())}
    ours = data_term(lacking, point, "patients_imputed").sum() + data_term(lacking, point).sum()
    theirs = data_term(known, {name: point[name] for name in graphs.start(known)}).sum()
    assert ours == pytest.approx(theirs, rel=1e-12)


def result_of(**changes: Any):
    spec, evidence = world(**changes)
    mean, factor = prior(prepare(spec, evidence).covariate_models)
    result = posteriors.result(spec, evidence, interaction=0.2)
    rng = np.random.default_rng(2)
    law = mean + rng.standard_normal((2, 8, len(mean))) @ factor.T
    result.posterior["covariate_law"] = (("chain", "draw", "covariate_law_term"), law)
    return result


@pytest.mark.slow
def test_pointwise_log_likelihood_and_its_names_are_the_models() -> None:
    result = result_of()
    ours = pointwise_log_likelihood(result.predictors)["patients_imputed"].values
    at = {str(name): result.posterior[name].values[1, 3] for name in result.posterior.data_vars}
    np.testing.assert_allclose(ours[1, 3], by_quadrature(result.spec, result.evidence, at)[0], atol=2e-9)
    assert why_not(prepare(result.spec, result.evidence)) is None


@pytest.mark.slow
def test_gradient_is_finite_and_right() -> None:
    model = graphs.model_of(*world())
    density, _ = vector_of(model)
    size = sum(np.size(value) for value in graphs.start(model).values())
    x = np.random.default_rng(1).normal(0, 0.3, size)
    value, gradient = density(x)
    assert np.isfinite(gradient).all()
    numeric = optimize.approx_fprime(x, lambda at: density(at)[0], 1e-6)
    np.testing.assert_allclose(gradient, numeric, rtol=2e-4, atol=2e-4 * abs(value) ** 0.5)


# ------------------------------------------------------------------------------------------------- laws


@pytest.mark.slow
def test_the_prior_of_a_law_is_what_the_known_say() -> None:
    """One two-valued covariate: a Beta law's mean and sd of the logit; one continuous: those of the sample mean."""
    rng, n = np.random.default_rng(3), 400
    who = {"study": "p1", "arm": "x", "treatment": "a", "time": 5.0, "event": 1}
    table = [{**who, "male": int(rng.random() < 0.3), "age": float(rng.normal(64, 8))} for _ in range(n)]
    table[0] |= {"male": None, "age": None}
    for name, term in (("male", {**MALE, "interaction": None}), ("age", AGE)):
        spec = worlds.spec(covariates={name: term})
        evidence = worlds.evidence(spec, {"patients": table})
        (law,) = prepare(spec, evidence).covariate_models
        known = evidence.patients[name].dropna().to_numpy(dtype=float)
        if name == "male":
            has = known.sum()
            logit = stats.beta(has, n - 1 - has)
            draws = logit.rvs(200_000, random_state=1)
            log_odds = np.log(draws / (1 - draws))
            assert law.mean[0] == pytest.approx(log_odds.mean(), abs=0.01)
            assert np.sqrt(law.covariance[0, 0]) == pytest.approx(log_odds.std(), rel=0.01)
        else:
            mean = 60 + 10 * (law.middle[0] + law.spread[0] * law.mean[0])
            assert mean == pytest.approx(known.mean(), abs=1e-6)
            assert 10 * law.spread[0] * math.exp(law.mean[1]) == pytest.approx(known.std(ddof=1), rel=1e-9)
            width = 10 * law.spread[0] * np.sqrt(law.covariance[0, 0])
            assert width == pytest.approx(known.std(ddof=1) / np.sqrt(n - 1), rel=1e-3)
            assert law.covariance[1, 1] == pytest.approx(1 / (2 * (n - 2)))


def deaths_hide_covariates(n: int = 2500, seed: int = 11) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Patients with all their covariates, and with some hidden: sex mostly of the old who died early.

    Coefficients 0.9 (male) and 0.5 (age), of covariates that go together.
    """
    rng = np.random.default_rng(seed)
    male, drug = (rng.random(n) < 0.4).astype(float), rng.random(n) < 0.5
    age = rng.normal(0.5 * (male - 0.4), 1.0)
    time = T0 * (rng.exponential(size=n) * np.exp(-0.9 * male - 0.5 * age + 0.4 * drug)) ** (1 / 1.2)
    last = rng.uniform(6.0, 30.0, n)
    event, time = time <= last, np.maximum(np.minimum(time, last), 1e-3)
    share = np.where(event & (time < 9) & (age > 0), 0.8, 0.05)
    hidden = rng.random((2, n)) < [share, np.full(n, 0.1)]
    whole = [
        {
            "study": "p1",
            "arm": "xy"[int(drug[at])],
            "treatment": "ab"[int(drug[at])],
            "time": float(time[at]),
            "event": int(event[at]),
            "male": float(male[at]),
            "age": float(age[at]),
        }
        for at in range(n)
    ]
    names = ("male", "age")
    return whole, [
        row | {name: None for name, gone in zip(names, hidden[:, at], strict=True) if gone}
        for at, row in enumerate(whole)
    ]


def mode(spec: Spec, table: list[dict[str, Any]]) -> dict[str, float]:
    """The posterior's mode, by name of the coefficient; the sampler's own density."""
    coordinates, problem = pack_problem(prepare(spec, worlds.evidence(spec, {"patients": table})))
    density, start = BoundDensity(problem), np.zeros(len(coordinates.start))
    found = optimize.minimize(lambda x: tuple(-of for of in density(x)), start, jac=True, method="BFGS").x
    parameters = coordinates.posterior(found[None, None])
    return {name: float(parameters["coefficient"].sel(covariate=name).item()) for name in spec.covariates}


@pytest.mark.slow
def test_coefficients_are_found_where_complete_cases_are_biased() -> None:
    whole, table = deaths_hide_covariates()
    complete = [row for row in table if row["male"] is not None and row["age"] is not None]
    terms = {
        "male": {"prior": normal(5.0), "missing": "two_valued"},
        "age": {"prior": normal(5.0), "missing": "normal"},
    }
    spec = worlds.spec(covariates=terms, effects={}, treatments={"reference": "a", "compare": ["b"]})
    truth, ours, naive = (mode(spec, rows) for rows in (whole, table, complete))
    for name, size in (("male", 0.9), ("age", 0.5)):
        assert truth[name] == pytest.approx(size, abs=0.1)
        assert ours[name] == pytest.approx(truth[name], abs=0.05)
    assert abs(naive["age"] - truth["age"]) > 0.15


# ------------------------------------------------------------------------------------------------- what is said


@pytest.mark.slow
def test_the_audit_counts_who_lacks_what() -> None:
    text = "\n".join(audit(*world()).notes)
    assert "3 patients of 2 studies lack age (37 have it): averaged over a normal law" in text
    assert "3 patients of 2 studies lack male (37 have it): averaged over a two-valued law" in text
    assert "missing at random" in text
    assert "lack" not in "\n".join(audit(*world({})).notes)


@pytest.mark.slow
def test_what_is_lacked_without_the_option_is_refused_by_its_name() -> None:
    plain = {**TERMS, "male": {**MALE, "missing": None}}
    with pytest.raises(InputError, match=r'column male.*covariates\.male\.missing = "two_valued"'):
        world(BLANKS, plain)
    with pytest.raises(InputError, match=r"column kps.*covariates\.kps\.missing"):
        world({0: ("kps",)})
    with pytest.raises(InputError, match="no patient of the arm with every covariate"):
        world(dict.fromkeys(range(0, 40, 4), ("male",)))
    with pytest.raises(InputError, match=r"0 or 1, for covariates\.kps\.missing = two_valued"):
        world({0: ("kps",)}, {"kps": {**KPS, "missing": "two_valued"}})
    spec = worlds.spec(covariates={"male": {**MALE, "interaction": None}})
    late = [{**row, "entry": 0.05} for row in rows({0: ("male",)})]
    with pytest.raises(InputError, match="patients seen from time zero"):
        worlds.evidence(spec, {"patients": late})


@pytest.mark.slow
def test_checks_of_patients_know_those_who_lack_some() -> None:
    result = result_of()
    assert len(patient_pit(result)) == 40
    for arm in replicated_arms(result, np.random.default_rng(1), replicates=16):
        assert arm.gap is not None and np.isfinite(arm.gap[0]).all() and np.isfinite(arm.gap[1]).all()
    assert NODES == 16
