"""Cetuximab: a trial, a registry and the population's mortality, beside what survextrap's vignette prints.

Printed are numbers of exchangeable coefficients, its default until 2025, where ours walk: the trial alone is compared
where it has data (docs/problems-cetux.md). Priors are otherwise what its program uses (`cetux/spec.toml` says where
that is not what its text says). Models (2a), (2d) and (2e) of its tables.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

import bayes_bm as bb
from bayes_bm.evidence.audit import audit
from tests.witness.problems.tables import write

PRINTED = {
    "trial_only": {5.0: ((2.89, 2.64, 3.12), (0.31, -0.03, 0.62))},
    "without_population": {20.0: ((5.83, 5.06, 6.58), (1.22, -0.31, 2.91))},
    None: {20.0: ((5.88, 5.15, 6.72), (1.04, -0.32, 2.52))},
}
"""Restricted mean of the control, and what cetuximab adds: median and 95 % interval, by horizon in years."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cetux")


def spec_of(shared: Path, folder: Path, analysis: str | None) -> bb.Spec:
    return bb.read_spec(write("cetux", shared / "problems", folder), sensitivity=analysis)


@cache
def fitted(shared: Path, folder: Path, analysis: str | None) -> bb.Result:
    """The trial alone keeps the draws of its spec: its sds are 0.08 to 0.13 from those printed, of 0.12 allowed."""
    fewer = {} if analysis == "trial_only" else {"draws": 500, "tune": 600, "chains": 2}
    return bb.fit(spec_of(shared, folder, analysis), **fewer)


@pytest.mark.slow
def test_every_row_is_read_and_the_audit_says_what_informs_the_tails(shared, folder) -> None:
    spec = spec_of(shared, folder, None)
    evidence = bb.read_evidence(spec)
    deaths = evidence.patients.groupby("treatment")["event"].agg(["size", "sum"]).loc[["Control", "Cetuximab"]]
    assert deaths["size"].tolist() == [213, 211]
    assert (len(evidence.registry), len(evidence.background)) == (21, 54)
    assert int((evidence.registry["n"] - evidence.registry["alive"]).sum()) == 223
    notes = " ".join(audit(spec, evidence).notes)
    assert "Tail of Control: patients to 5.425 years and registry intervals to 26 years; beyond the shape" in notes
    assert "Tail of Cetuximab: patients to 5.525 years; beyond the treatment effect and the shape" in notes
    assert "Background mortality, 0.00927 to 0.886 per year, known to 53 years and constant after" in notes


@pytest.mark.slow
def test_without_named_tables_there_is_no_registry_and_no_background(shared, folder) -> None:
    alone = bb.read_evidence(spec_of(shared, folder, "trial_only"))
    assert alone.registry.empty
    assert alone.background.empty
    assert len(bb.read_evidence(spec_of(shared, folder, "without_population")).registry) == 21


@pytest.mark.slow
@pytest.mark.parametrize("analysis", PRINTED)
def test_restricted_means_are_near_those_printed(shared, folder, analysis) -> None:
    """Where data reach, within 0.15 of the sd; to 20 years within 0.35, the walks' tails being unlike (docs)."""
    result = fitted(shared, folder, analysis)
    assert result.gate.passed, result.gate.reasons
    for horizon, printed in PRINTED[analysis].items():
        mean = bb.rmst(result, horizon, who=bb.AverageStudy())
        control, treated = (mean.sel(treatment=name).to_numpy().ravel() for name in ("Control", "Cetuximab"))
        allowed = 0.15 if horizon == 5.0 else 0.35
        for values, (median, low, high) in zip((control, treated - control), printed, strict=True):
            assert abs(np.median(values) - median) < allowed * values.std() + 0.005
            assert values.std() == pytest.approx((high - low) / 3.92, rel=0.12)


@pytest.mark.slow
def test_the_population_is_the_floor_of_the_hazard(shared, folder) -> None:
    """At 45 years the hazard is above the table's of that year, and labelled as of all deaths."""
    result = fitted(shared, folder, None)
    known = result.evidence.background.set_index("time")["hazard"]
    late = bb.hazard(result, [20.5, 45.5], who=bb.AverageStudy()).sel(treatment="Control").to_numpy().reshape(-1, 2)
    assert (late[:, 0] > known[20.0]).all()
    assert (late[:, 1] > known[45.0]).all()
    table = bb.compare(result)
    assert all("all-cause" in label for label in table["label"])
