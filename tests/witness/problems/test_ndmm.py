"""Multiple myeloma, three trials of patients and two of curves: ML-NMR beside what multinma's vignette prints.

The vignette (example_ndmm, October 2023) has an M-spline of seven knots for each study where we have a Weibull; what
both have in common is the linear predictor, its centres and the integration over four covariates.
"""

import numpy as np
import pytest
from scipy import optimize

import bayes_bm as bb
from bayes_bm.evidence.audit import audit
from bayes_bm.inference.compiled.nutpie import BoundDensity
from bayes_bm.inference.compiled.packing import pack_problem
from bayes_bm.model.covariates.integration_points import correlation
from bayes_bm.model.model_inputs import prepare
from tests.witness.problems.tables import write

COVARIATES = ["age", "iss_stage3", "response_cr_vgpr", "male"]
PRINTED = {
    "log_hr": ([-0.67, -0.20], [0.05, 0.11]),
    "coefficient_age": ([0.8], [0.1]),
    "coefficient_iss_stage3": ([0.36], [0.13]),
    "coefficient_response_cr_vgpr": ([-0.14], [0.10]),
    "coefficient_male": ([0.00], [0.10]),
    "interaction_age": ([-0.2], [0.1]),
    "interaction_iss_stage3": ([0.20], [0.18]),
    "interaction_response_cr_vgpr": ([0.20], [0.14]),
    "interaction_male": ([0.13], [0.14]),
}
"""Mean and sd; of age per ten years, printed per year with two decimals."""


def read(shared, tmp_path) -> tuple[bb.Spec, bb.Evidence]:
    spec = bb.read_spec(write("ndmm", shared / "problems", tmp_path))
    return spec, bb.read_evidence(spec)


@pytest.mark.slow
def test_three_trials_have_patients_and_two_are_averaged(shared, tmp_path) -> None:
    spec, evidence = read(shared, tmp_path)
    known = evidence.patients["age"].notna()
    assert (known.sum(), (~known).sum(), int(evidence.patients["event"].sum())) == (1325, 2819, 2523)
    assert set(evidence.patients.loc[~known, "study"]) == {"Jackson2019", "Morgan2012"}
    rows = audit(spec, evidence).coefficients
    assert set(rows["source"]) == {"within-study data"}
    assert rows["rows"].tolist() == [1325, 664] * 4


@pytest.mark.slow
def test_points_have_the_trials_means_and_the_patients_correlation(shared, tmp_path) -> None:
    spec, evidence = read(shared, tmp_path)
    points = prepare(spec, evidence).points(4096)
    mine = (evidence.arms["study"] == "Morgan2012") & (evidence.arms["treatment"] == "Pbo")
    of = points[int(np.flatnonzero(mine)[0])]
    centre = [spec.covariates[name].centre for name in COVARIATES]
    mean = of.mean(axis=0) * [10, 1, 1, 1] + centre
    stated = np.array([63.9236, 0.3634, 0.7171, 0.6195])
    assert (np.abs(mean - stated) < [0.02, 0.002, 0.002, 0.002]).all()
    assert of[:, 0].std() * 10 == pytest.approx(9.0063, rel=0.005)
    assert np.abs(correlation(spec, evidence) - np.eye(4)).max() < 0.2


@pytest.mark.slow
def test_the_mode_is_near_the_posterior_that_the_vignette_prints(shared, tmp_path) -> None:
    """Within 1.15 printed sds (of age 1.13, of all others below 1): baselines differ, and printed digits are few."""
    coordinates, data = pack_problem(prepare(*read(shared, tmp_path)))
    density = BoundDensity(data)

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = density(x)
        return -value, -slope

    best = optimize.minimize(loss, coordinates.start, jac=True, method="BFGS", options={"gtol": 1e-3})
    ends = np.cumsum([block.size for block in coordinates.blocks])[:-1]
    found = dict(zip([block.name for block in coordinates.blocks], np.split(best.x, ends), strict=True))
    for name, (mean, sd) in PRINTED.items():
        assert (np.abs(found[name] - mean) < 1.15 * np.array(sd)).all(), name
