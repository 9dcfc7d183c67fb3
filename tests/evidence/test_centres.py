"""Centres of covariates: from the evidence, stated far from it, and arms read as one patient there."""

from typing import Any

import numpy as np
import pytest

from bayes_bm.estimands.compare import compare
from bayes_bm.estimands.labels import FAR_CENTRE
from bayes_bm.estimands.predict import predict
from bayes_bm.estimands.who import AverageStudy
from bayes_bm.evidence.audit import audit
from bayes_bm.evidence.centres import covariate_range, far_centres, with_centres
from bayes_bm.evidence.covariate_notes import SIZE_OF_ERROR, reading_at_centres
from bayes_bm.inference.fit import fit
from bayes_bm.inference.result import load
from bayes_bm.validation.simulation.world import simulate
from tests.builders import posteriors, worlds
from tests.builders.worlds import normal

TREATMENTS = {"reference": "a", "compare": ["b"]}


def patients(values: np.ndarray, *, seed: int = 1) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    times = np.round(rng.exponential(17.0, len(values)) + 0.1, 3)
    return [
        {"study": "p", "arm": "ab"[row % 2], "treatment": "ab"[row % 2], "time": time, "event": 1, "x": float(value)}
        for row, (time, value) in enumerate(zip(times, values, strict=True))
    ]


def world(values: np.ndarray, **term: Any) -> tuple[Any, Any]:
    spec = worlds.spec(covariates={"x": {"prior": normal(1.0), **term}}, treatments=TREATMENTS)
    return spec, worlds.evidence(spec, {"patients": patients(values)})


FAR = np.random.default_rng(4).normal(20_000.0, 10.0, 120)


@pytest.mark.slow
@pytest.mark.usefixtures("one_try")
def test_patients_far_from_zero_are_answered_about_where_they_are(tmp_path) -> None:
    """x = 20,000 +- 10 without a centre: S(12) of the average study ran from 1e-102 to 0.999 with the gate passed."""
    spec, evidence = world(FAR)
    result = fit(spec, evidence, draws=300, tune=500, chains=2, cores=1)
    centre = result.spec.covariates["x"].centre
    assert centre == pytest.approx(FAR.mean(), abs=0.5)
    rows = compare(result, who=AverageStudy(), times=[12.0]).set_index(["estimand", "treatment"])
    low, high = rows.loc[("survival", "a"), ["q2_5", "q97_5"]]
    assert 0.1 < low < high < 0.9
    result.save(tmp_path / "r.nc")
    assert load(tmp_path / "r.nc").spec.covariates["x"].centre == centre


def test_a_centre_that_is_not_stated_follows_from_the_evidence_and_stays() -> None:
    spec, evidence = world(FAR)
    settled = with_centres(spec, evidence)
    assert settled.covariates["x"].centre == pytest.approx(FAR.mean(), abs=0.5)
    assert with_centres(settled, evidence) is settled
    assert settled.covariates["x"].scale == 1.0
    said = [note for note in audit(spec, evidence).notes if note.startswith("The centre of x")]
    assert said == [
        f"The centre of x is not stated and is taken as {settled.covariates['x'].centre:g}, the mean in the evidence."
    ]


@pytest.mark.parametrize(("values", "centre"), [((0.0, 1.0, 1.0), 0.0), ((1.0, 2.0), 1.0), ((7.0, 7.0), 7.0)])
def test_of_two_values_it_is_the_lower_one(values: tuple[float, ...], centre: float) -> None:
    spec, evidence = world(np.array(values * 4))
    assert with_centres(spec, evidence).covariates["x"].centre == centre


def test_arms_that_state_their_patients_count_by_their_size() -> None:
    spec = worlds.spec(covariates={"x": {"prior": normal(1.0)}}, treatments=TREATMENTS)
    arm = {"study": "q", "endpoint": "os"}
    arms = [
        {**arm, "arm": "a", "treatment": "a", "n": 30, "mean_x": 60.0, "sd_x": 8.0},
        {**arm, "arm": "b", "treatment": "b", "n": 10, "mean_x": 68.0, "sd_x": 4.0},
    ]
    medians = [{**arm, "arm": name, "median": 12.0} for name in "ab"]
    known = covariate_range(worlds.evidence(spec, {"arms": arms, "medians": medians}), "x")
    assert known is not None
    assert (known.mean, known.low, known.high, known.two_valued) == (62.0, 36.0, 84.0, False)


def test_evidence_that_says_nothing_leaves_zero() -> None:
    spec = worlds.spec(covariates={"x": {"prior": normal(1.0)}}, treatments=TREATMENTS)
    arm = {"study": "q", "endpoint": "os", "n": 20}
    arms = [{**arm, "arm": name, "treatment": name} for name in "ab"]
    evidence = worlds.evidence(spec, {"arms": arms, "medians": [{**arm, "arm": name, "median": 12.0} for name in "ab"]})
    assert with_centres(spec, evidence).covariates["x"].centre == 0.0
    assert far_centres(with_centres(spec, evidence), evidence) == {}


@pytest.mark.slow
def test_a_stated_centre_beyond_everybody_is_told_and_marks_answers_at_it() -> None:
    spec, evidence = world(FAR, centre=0.0)
    [told] = [note for note in audit(spec, evidence).notes if note.startswith("The centre of x")]
    assert f"0, lies beyond everybody in the evidence ({FAR.min():g} to {FAR.max():g})" in told
    result = posteriors.result(spec, evidence, draws=4)
    assert compare(result, times=[12.0])["label"].str.contains(FAR_CENTRE).all()
    assert not predict(result, {"x": 20_000.0}, times=[12.0])["label"].str.contains(FAR_CENTRE).any()
    inside = world(FAR, centre=20_001.0)
    assert not compare(posteriors.result(*inside, draws=4), times=[12.0])["label"].str.contains(FAR_CENTRE).any()


def test_a_simulated_world_states_the_centres_that_its_truth_is_about() -> None:
    spec = worlds.spec(covariates={"x": {"prior": normal(1.0)}}, treatments=TREATMENTS)
    assert simulate(spec, seed=1, studies=3).spec.covariates["x"].centre == 0.0


# ------------------------------------------------------------------------------------------------ read at the centres


def test_the_size_of_the_error_is_that_of_a_mixture_of_eight_kinds() -> None:
    """Weibull through S(6), S(12), S(24) of the mixture against its patients, shape 1.2, level 0."""
    from itertools import product

    from scipy.optimize import least_squares

    coefficient, shape, times = np.array([-0.99, -1.05, -0.71]), 1.2, np.array([6.0, 12.0, 24.0])
    kinds = np.array(list(product([0, 1], repeat=3))) - 0.5
    mixture = np.exp(-np.exp(kinds @ coefficient)[:, None] * (times / 12) ** shape).mean(axis=0)
    read = least_squares(lambda p: np.exp(-np.exp(p[0]) * (times / 12) ** np.exp(p[1])) - mixture, [0.0, 0.0]).x

    def median(eta: float, k: float) -> float:
        return 12 * (np.log(2) / np.exp(eta)) ** (1 / k)

    score = 0.5 * coefficient.sum()
    right = np.exp(-np.exp(score) * 2**shape)
    wrong = np.exp(-np.exp(read[0] + score) * 2 ** np.exp(read[1]))
    assert f"S(24) is put at {wrong:.2f} where {right:.2f} is right" in SIZE_OF_ERROR
    assert f"the median at {median(read[0] + score, np.exp(read[1])):.0f} months for {median(score, shape):.0f}" in (
        SIZE_OF_ERROR
    )
    assert f"patient's median at {median(read[0] - score, np.exp(read[1])):.1f} for {median(-score, shape):.1f}" in (
        SIZE_OF_ERROR
    )


def test_patient_answers_say_that_they_are_wrong_by_construction() -> None:
    covariates = {"x": {"prior": normal(1.0), "centre": 0.5}}
    spec = worlds.spec(covariates=covariates, treatments=TREATMENTS)
    arm = {"study": "q", "endpoint": "os", "n": 20}
    arms = [{**arm, "arm": name, "treatment": name} for name in "ab"]
    medians = [{**arm, "arm": name, "median": 12.0} for name in "ab"]
    silent = worlds.evidence(spec, {"arms": arms, "medians": medians})
    text = reading_at_centres(spec, silent)
    assert text.startswith("Answers for a patient are wrong by construction")
    assert "2 of 2 arms print no case mix" in text
    assert text in audit(spec, silent).notes
    stated = worlds.evidence(spec, {"arms": [{**row, "share_x": 0.5} for row in arms], "medians": medians})
    assert reading_at_centres(spec, stated) == ""
    assert reading_at_centres(worlds.spec(treatments=TREATMENTS), silent) == ""
