"""Cox's log hazard ratio against lifelines (Efron) and against its own likelihood, written as a sum over patients."""

import numpy as np
import pandas as pd
import pytest

from bayes_bm.validation.simulation.cox import cox_log_hr


def arms(seed, n, clock):
    rng = np.random.default_rng(seed)
    group = np.arange(n) % 2
    death, censor = rng.exponential(np.where(group, 14.0, 10.0)), rng.uniform(2, 30, n)
    time = np.minimum(death, censor)
    return (np.ceil(time / clock) * clock if clock else time), (death <= censor).astype(int), group


@pytest.mark.parametrize(("seed", "n", "clock"), [(1, 40, 0.0), (2, 200, 1.0), (3, 75, 3.0)])
def test_as_lifelines(seed, n, clock):
    lifelines = pytest.importorskip("lifelines")
    time, event, group = arms(seed, n, clock)
    table = pd.DataFrame({"time": time, "event": event, "group": group})
    fitted = lifelines.CoxPHFitter().fit(table, "time", "event", fit_options={"precision": 1e-12})
    found = cox_log_hr(time, event, group)
    assert found.log_hr == pytest.approx(fitted.params_["group"], abs=1e-6)
    assert found.se == pytest.approx(fitted.standard_errors_["group"], rel=1e-5)


def test_by_hand():
    """Deaths at 1 (group 1), 2 (group 0), 3 (group 1) of two in each group: x/(2+2x) . 1/(2+x) . x/(1+x), x = hr."""
    found = cox_log_hr([1, 2, 3, 4], [1, 1, 1, 0], [1, 0, 1, 0])
    x = np.exp(np.linspace(-3, 3, 600_001))
    best = np.argmax(np.log(x / (2 + 2 * x)) + np.log(1 / (2 + x)) + np.log(x / (1 + x)))
    assert found.log_hr == pytest.approx(np.log(x[best]), abs=1e-5)


def test_swapped_groups_change_the_sign():
    time, event, group = arms(4, 120, 1.0)
    assert cox_log_hr(time, event, 1 - group).log_hr == pytest.approx(-cox_log_hr(time, event, group).log_hr, abs=1e-10)
