"""Informative censoring: survival against its closed form, the law of censoring by hand, and where an answer turns."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bayes_bm.checks.tipping_point import _Censored, censoring, tipping_point
from bayes_bm.runtime.errors import InputError
from tests.builders import posteriors, worlds


def constant(hazard: float, lost: float, steps: int = 4000) -> _Censored:
    """Exponential survival and censoring, this in fine steps, up to 20."""
    times = np.linspace(0.0, 20.0, 201)
    edges = np.linspace(0.0, 20.0, steps + 1)
    middle, mass = (edges[1:] + edges[:-1]) / 2, -np.diff(np.exp(-lost * edges))
    before = (middle[None, :] <= times[:, None]).astype(float)
    return _Censored(times, np.exp(-hazard * times)[None], np.exp(-hazard * middle)[None], before, mass)


@pytest.mark.parametrize("delta", [0.3, 2.0, 6.0])
def test_survival_of_all_is_the_closed_form_of_constant_hazards(delta: float) -> None:
    h, g = 0.08, 0.05
    law = constant(h, g)
    whole = np.exp(-(h + g) * law.times)
    expected = whole + g * (np.exp(-delta * h * law.times) - whole) / (h + g - delta * h)
    assert law.survival(delta)[0] == pytest.approx(expected, abs=2e-5)
    assert law.survival(1.0) == pytest.approx(law.alive, abs=1e-12)


def test_the_law_of_censoring_is_kaplan_meiers() -> None:
    rows = [(1.0, 1), (2.0, 0), (2.0, 1), (3.0, 0), (4.0, 1)]
    patients = pd.DataFrame(rows, columns=["time", "event"]).assign(treatment="a", weight=1.0)
    times, mass = censoring(patients, "a")
    # at 2, after the event there, 3 are at risk and one is censored; at 3 one of 2
    assert times.tolist() == [2.0, 3.0]
    assert mass == pytest.approx([1 / 3, 2 / 3 / 2])


def world(log_hr: float) -> Any:
    rng = np.random.default_rng(1)
    rows = [
        {"study": "s", "arm": arm, "treatment": arm, "time": float(time), "event": int(at % 2)}
        for arm in "ab"
        for at, time in enumerate(rng.uniform(1.0, 20.0, 30))
    ]
    spec = worlds.spec(treatments={"reference": "a", "compare": ["b"]}, effects={})
    fixed: dict[str, Any] = {"intercept": 0.0, "log_hr": log_hr, "log_shape": 0.0}
    return posteriors.result(spec, worlds.evidence(spec, {"patients": rows}), chains=1, draws=4, **fixed)


@pytest.mark.slow
def test_an_answer_turns_where_the_difference_is_none_and_delta_1_is_the_answer() -> None:
    result = world(-0.2)
    tipping = tipping_point(result, deltas=[1.0, 4.0])
    rows = tipping.table.set_index(["side", "delta"])
    # restricted means of exponentials to 24 months
    mean = [(1 - np.exp(-24 * rate / 12)) * 12 / rate for rate in (np.exp(-0.2), 1.0)]
    assert rows.loc[("treatment", 1.0), "median"] == pytest.approx(mean[0] - mean[1], abs=2e-3)
    assert float(rows["median"]["treatment", 4.0]) < 0 < float(rows["median"]["reference", 4.0])
    turn = tipping.turns.set_index("side")["delta"]
    at_turn = tipping_point(result, deltas=[turn["treatment"]]).table.set_index("side").loc["treatment", "median"]
    assert turn["treatment"] > 1 > turn["reference"]
    assert at_turn == pytest.approx(0.0, abs=1e-5)
    assert f"turns at {turn['treatment']:.2g} times" in tipping.sentences[0]
    died = result.evidence.patients.assign(event=1)
    nobody = replace(result, evidence=replace(result.evidence, patients=died))
    assert "was censored" in tipping_point(nobody, deltas=[1.0]).sentences[0]
    strong = tipping_point(world(-2.5), deltas=[1.0])
    assert np.isnan(float(strong.turns.set_index("side")["delta"]["reference"]))


def test_what_cannot_be_asked_is_refused() -> None:
    result = world(0.0)
    with pytest.raises(InputError, match="deltas"):
        tipping_point(result, deltas=[0.0])
    with pytest.raises(InputError, match="no single hazard"):
        tipping_point(result, who="new-study")
    spec = worlds.spec()
    tables = {"arms": worlds.TABLES["arms"], "medians": worlds.TABLES["medians"]}
    with pytest.raises(InputError, match="no patients"):
        tipping_point(posteriors.result(spec, worlds.evidence(spec, tables)))
