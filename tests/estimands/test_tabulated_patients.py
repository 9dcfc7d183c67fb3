"""Answers read off the table of patients against the quadrature itself."""

import numpy as np
import pytest

from bayes_bm.estimands import quadrature
from bayes_bm.estimands.outcomes import outcomes
from bayes_bm.estimands.population import population
from bayes_bm.estimands.tabulated_patients import TabulatedPatients, tabulate_patients
from bayes_bm.estimands.who import AverageStudy, NewHospital, NewStudy, Patient
from bayes_bm.inference.result import Result
from tests.builders import families
from tests.builders.patients import made

TIMES = np.array([0.05, 1.0, 3.0, 7.5, 12.0, 24.0, 40.0])


def assert_same(table: TabulatedPatients, values: dict[str, float], *, near: float) -> None:
    result: Result = table.result
    drawn, exact = table.patient(values), population(result, Patient(values, table.who))
    assert drawn is not None
    horizon = result.spec.horizon
    np.testing.assert_allclose(drawn.survival(TIMES), quadrature.survival(exact, TIMES), atol=near)
    later = drawn.survival(TIMES[3:], alive_at=5.0)
    np.testing.assert_allclose(later, quadrature.survival(exact, TIMES[3:], alive_at=5.0), atol=2 * near)
    for alive_at in (0.0, 5.0):
        mean = quadrature.rmst(exact, horizon, alive_at=alive_at)
        np.testing.assert_allclose(drawn.rmst(horizon, alive_at=alive_at), mean, atol=near * horizon)
        median, told = quadrature.quantile(exact, 0.5, alive_at=alive_at), drawn.quantile(0.5, alive_at=alive_at)
        # the page says of a time beyond ten horizons that it is beyond
        near_enough = np.isfinite(median) & (median < 10 * horizon)
        np.testing.assert_allclose(told[near_enough], median[near_enough], rtol=10 * near, atol=near)
        assert np.all(told[~near_enough] > 9.9 * horizon)


@pytest.mark.slow
@pytest.mark.parametrize("who", [NewStudy(), NewHospital(), AverageStudy()])
@pytest.mark.parametrize("known", [True, False])
def test_patients_of_whom_all_some_or_nothing_is_known(who, known: bool) -> None:
    table = tabulate_patients(made(known=known), who)
    for values in ({"age": 70.0, "good": 1.0}, {"age": 18.0}, {"good": 0.0}, {}):
        assert_same(table, values, near=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gompertz", "lognormal", "piecewise", "mspline", "weibull+cure"])
def test_every_shape_of_time(name: str) -> None:
    spec = families.spec(name)
    table = tabulate_patients(families.result(spec, families.evidence(spec), draws=4), NewStudy())
    assert_same(table, {}, near=3e-4)


def test_who_lies_beyond_the_table_is_not_read_off_it() -> None:
    result = made()
    unlimited = {
        name: term.model_copy(update={"lower": None, "upper": None}) for name, term in result.spec.covariates.items()
    }
    object.__setattr__(result, "spec", result.spec.model_copy(update={"covariates": unlimited}))
    far = {"age": 150.0, "good": 1.0}
    assert tabulate_patients(result, NewStudy()).patient(far) is None
    assert_same(tabulate_patients(result, NewStudy(), [far]), far, near=1e-4)


@pytest.mark.slow
def test_times_of_single_patients_have_the_law_of_outcomes() -> None:
    result = made(draws=50)
    drawn = tabulate_patients(result, NewStudy()).patient({"age": 70.0})
    assert drawn is not None
    told = drawn.survival(np.array([3.0, 9.0, 20.0])).mean(axis=0)
    times = outcomes(result, {"age": 70.0}, each=200).to_numpy().reshape(-1, 2)
    seen = np.array([(times > time).mean(axis=0) for time in (3.0, 9.0, 20.0)]).T
    # 20,000 outcomes: three standard errors of a half
    np.testing.assert_allclose(told, seen, atol=0.012)
