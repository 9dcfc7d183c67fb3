"""Competing causes: closed forms, quadrature, Aalen and Johansen's and refusals of what does not factorise."""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import integrate

from bayes_bm.cli.app import main
from bayes_bm.estimands import cause_quadrature, quadrature
from bayes_bm.estimands.competing_risks import FREE, cumulative_incidence, incidence_table
from bayes_bm.estimands.quadrature import Population
from bayes_bm.estimands.who import AverageStudy, NewStudy, Study
from bayes_bm.hazards import FAMILIES
from bayes_bm.inference.fit import fit
from bayes_bm.model.pymc_graph.build import build_model
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.reading import spec_toml
from tests.builders import posteriors, worlds
from tests.builders.graphs import log_density, random_point
from tests.builders.populations import T0, grid, population

CAUSES = ("local_failure", "death")


def exponential(rate: float) -> Population:
    return population(np.log(rate * T0), 0.0)


def test_exponential_causes_have_their_closed_form() -> None:
    one, two, times = 0.03, 0.11, np.array([0.5, 6.0, 24.0, 200.0])
    found = cause_quadrature.cumulative_incidence([exponential(one), exponential(two)], times)[:, 0, 0]
    for at, rate in enumerate((one, two)):
        assert found[at] == pytest.approx(rate / (one + two) * -np.expm1(-(one + two) * times), abs=1e-12)
    later = cause_quadrature.cumulative_incidence([exponential(one), exponential(two)], times[1:], alive_at=6.0)[
        :, 0, 0
    ]
    assert later[0] == pytest.approx(one / (one + two) * -np.expm1(-(one + two) * (times[1:] - 6)), abs=1e-12)
    alone = cause_quadrature.cumulative_incidence([exponential(one), exponential(1e-300)], times)[0, 0, 0]
    assert alone == pytest.approx(-np.expm1(-one * times), abs=1e-12)


@pytest.mark.parametrize("alive_at", [0.0, 3.0])
def test_weibull_causes_against_scipys_quadrature(alive_at: float) -> None:
    laws = [(-0.5, 0.6), (0.3, 1.7), (-1.0, 1.0)]
    found = cause_quadrature.cumulative_incidence(
        [population(eta, np.log(shape)) for eta, shape in laws], np.array([4.0, 18.0]), alive_at=alive_at
    )[:, 0, 0]

    def hazard(t: float, eta: float, shape: float) -> float:
        return shape / t * (t / T0) ** shape * np.exp(eta)

    def free(t: float) -> float:
        return np.exp(-sum(((t / T0) ** shape - (alive_at / T0) ** shape) * np.exp(eta) for eta, shape in laws))

    for at, law in enumerate(laws):
        for column, end in enumerate((4.0, 18.0)):
            # log time, in which a hazard that is infinite at zero is smooth
            low = np.log(alive_at) if alive_at else -60.0
            wanted = integrate.quad(
                lambda z, law=law: hazard(np.exp(z), *law) * free(np.exp(z)) * np.exp(z), low, np.log(end), limit=500
            )[0]
            assert found[at, column] == pytest.approx(wanted, abs=1e-8)


def test_times_at_which_a_hazard_jumps_are_ends_of_pieces() -> None:
    family = FAMILIES["piecewise"].on_knots((0.5,), 1.0)  # 6 and 12 months
    shape = np.array([[[0.0, 1.5]]])
    zero = np.zeros((1, 1))
    jumps = Population(family, T0, zero, shape, zero, zero)
    found = cause_quadrature.cumulative_incidence([jumps, exponential(0.05)], np.array([5.0, 9.0, 24.0]))[:, 0, 0]
    early, late = (float(quadrature.hazard(jumps, np.array([t]))[0, 0, 0]) for t in (3.0, 9.0))

    def part(rate: float, start: float, end: float, before: float) -> float:
        return before * rate / (rate + 0.05) * -np.expm1(-(rate + 0.05) * (end - start))

    first = part(early, 0, 6, 1.0)
    left = np.exp(-(early + 0.05) * 6)
    assert found[0] == pytest.approx(
        [part(early, 0, 5, 1.0), first + part(late, 6, 9, left), first + part(late, 6, 24, left)], abs=1e-10
    )


@pytest.mark.slow
def test_a_new_study_averages_each_cause_before_they_multiply() -> None:
    laws = [(-0.5, 0.1, 0.6, 0.2), (0.2, -0.2, 0.4, 0.0)]
    times = np.array([6.0, 24.0])
    found = cause_quadrature.cumulative_incidence([population(*law) for law in laws], times)[:, 0, 0]
    fine = np.linspace(0, 1, 4001)[1:]
    at = 24.0 * fine**4

    def curve(law: Any) -> np.ndarray:
        level, shape, weight = (values[::4, ::4] for values in grid(*law))
        return np.array([(weight * np.exp(-((t / T0) ** shape) * np.exp(level))).sum() / weight.sum() for t in at])

    one, two = curve(laws[0]), curve(laws[1])
    # Stieltjes: F_1 = - integral of S_2 dS_1, by the trapezoid rule
    steps = -np.diff(np.concatenate([[1.0], one]))
    middle = (np.concatenate([[1.0], two[:-1]]) + two) / 2
    assert found[0, 1] == pytest.approx((steps * middle).sum(), abs=1e-6)
    early = at <= 6.0
    assert found[0, 0] == pytest.approx((steps * middle)[early].sum(), abs=2e-4)
    assert found.sum(axis=0)[1] == pytest.approx(1 - one[-1] * two[-1], abs=1e-8)


# ------------------------------------------------------------------------------------------------ patients with causes


def simulated(n: int, seed: int = 4) -> list[dict[str, Any]]:
    """Two arms of one study: Weibull failures of shape 0.8 and deaths of shape 1.3, follow-up 6 to 40 months."""
    rng = np.random.default_rng(seed)
    rows = []
    for arm, log_hr in (("a", (0.0, 0.0)), ("b", (-0.7, 0.3))):
        failure = 12 * (rng.exponential(size=n) * np.exp(0.4 - log_hr[0])) ** (1 / 0.8)
        death = 12 * (rng.exponential(size=n) * np.exp(0.1 - log_hr[1])) ** (1 / 1.3)
        censored = rng.uniform(6, 40, n)
        time = np.minimum(np.minimum(failure, death), censored)
        for at in range(n):
            cause = None if time[at] == censored[at] else CAUSES[int(death[at] < failure[at])]
            known = {"time": time[at], "event": int(cause is not None), "cause": cause}
            rows.append({"study": "s", "arm": arm, "treatment": arm, **known})
    return rows


PLAIN: dict[str, Any] = {
    "effects": {},
    "treatments": {"reference": "a", "compare": ["b"]},
    "endpoint": "local_control",
    "sampling": {"draws": 500, "tune": 500, "chains": 2},
}


def of(cause: str | None, rows: list[dict[str, Any]], **changes: Any):
    spec = worlds.spec(**PLAIN, cause=cause, **changes)
    return spec, worlds.evidence(spec, {"patients": rows})


@pytest.mark.slow
def test_the_likelihood_is_a_product_of_one_factor_for_each_cause() -> None:
    rows = simulated(15)
    point = random_point(build_model(*of("death", rows)), 2)
    parts = [build_model(*of(cause, rows)) for cause in CAUSES]
    found = [log_density(model, point, variables=model.observed_RVs) for model in parts]
    # by hand, at one point for both: sum of log h of who failed, less both cumulative hazards
    eta, shape = point["intercept"], np.exp(point["log_shape"])
    total = 0.0
    for row in rows:
        level = eta + point["log_hr"][0] * (row["arm"] == "b")
        used = (row["time"] / T0) ** shape * np.exp(level)
        total += row["event"] * (np.log(shape * used / row["time"])) - 2 * used
    assert float(sum(found)) == pytest.approx(total, abs=1e-8)
    whole = build_model(*of("any", rows))
    events = log_density(whole, point, variables=whole.observed_RVs)
    assert events == pytest.approx(float(sum(found)) + _used(rows, eta, shape, point), abs=1e-8)


def _used(rows: Any, eta: Any, shape: Any, point: Any) -> float:
    return sum((row["time"] / T0) ** shape * np.exp(eta + point["log_hr"][0] * (row["arm"] == "b")) for row in rows)


@pytest.mark.slow
@pytest.mark.usefixtures("one_try")
def test_fits_of_simulated_causes_agree_with_aalen_and_johansen_and_the_truth() -> None:
    from lifelines import AalenJohansenFitter

    rows = simulated(400)
    fits = [fit(*of(cause, rows), cores=1) for cause in CAUSES]
    times = [6.0, 12.0, 24.0]
    found = cumulative_incidence(fits, times, who=AverageStudy())
    assert found.sizes == {"draw": 1000, "treatment": 2, "cause": 3, "time": 3}
    assert np.allclose(found.sum("cause"), 1.0)
    table = pd.DataFrame(rows)
    code = table["cause"].map({"local_failure": 1, "death": 2}).fillna(0).astype(int)
    for arm, log_hr in (("a", (0.0, 0.0)), ("b", (-0.7, 0.3))):
        mine = (table["arm"] == arm).to_numpy()
        laws = [population(log_hr[0] - 0.4, np.log(0.8)), population(log_hr[1] - 0.1, np.log(1.3))]
        truth = cause_quadrature.cumulative_incidence(laws, np.array(times))[:, 0, 0]
        for at, cause in enumerate(CAUSES):
            fitter = AalenJohansenFitter(calculate_variance=False).fit(table["time"][mine], code[mine], at + 1)
            printed = fitter.predict(times).to_numpy()
            draws = found.sel(treatment=arm, cause=cause)
            mean, sd = draws.mean("draw").to_numpy(), draws.std("draw").to_numpy()
            # sd of Aalen and Johansen's with 400 patients is about sqrt(0.25 / 400) = 0.025
            assert np.abs(mean - printed).max() < 0.05
            assert (np.abs(mean - truth[at]) < 3.5 * sd).all()


@pytest.mark.slow
def test_answers_pair_draws_of_two_fits_and_tables_summarise_them() -> None:
    rows = simulated(10)
    first, second = (
        posteriors.result(*of(cause, rows), chains=chains, draws=draws, seed=seed)
        for cause, chains, draws, seed in (("death", 2, 8, 1), ("local_failure", 1, 12, 2))
    )
    found = cumulative_incidence([first, second], [24.0, 6.0], who=NewStudy(), alive_at=2.0)
    assert found.sizes["draw"] == 12
    assert found["cause"].to_numpy().tolist() == ["death", "local_failure", FREE]
    assert found["time"].to_numpy().tolist() == [6.0, 24.0]
    assert (np.diff(found.sel(cause="death").to_numpy(), axis=-1) > 0).all()
    laws = []
    for result, sample in ((first, 15), (second, 11)):
        draws = result.predictors.draws
        laws.append(population(draws.intercept[sample] + draws.log_hr[sample, 1], draws.shape[sample, 0]))
    by_hand = cause_quadrature.cumulative_incidence(laws, np.array([6.0, 24.0]), alive_at=2.0)[:, 0, 0]
    assert found.isel(draw=11).sel(treatment="b").to_numpy()[:2] == pytest.approx(by_hand, abs=1e-10)
    table = incidence_table(found)
    assert len(table) == 2 * 3 * 2
    row = table[(table["treatment"] == "b") & (table["cause"] == "death") & (table["time"] == 6.0)].iloc[0]
    assert row["mean"] == pytest.approx(float(found.sel(treatment="b", cause="death", time=6.0).mean()))


# ------------------------------------------------------------------------------------------------ refusals


def refused(call: Any) -> str:
    with pytest.raises(InputError) as caught:
        call()
    return str(caught.value)


@pytest.mark.slow
def test_fits_that_are_not_of_one_model_are_refused() -> None:
    rows = simulated(6)
    death = posteriors.result(*of("death", rows))
    failure = posteriors.result(*of("local_failure", rows))
    whole = posteriors.result(*of("any", rows))
    other = posteriors.result(*of("local_failure", rows[1:]))
    assert "found 1 fit" in refused(lambda: cumulative_incidence([death], [6.0]))
    assert "fits of death, death" in refused(lambda: cumulative_incidence([death, death], [6.0]))
    assert "fits of death, any" in refused(lambda: cumulative_incidence([death, whole], [6.0]))
    assert "other patients" in refused(lambda: cumulative_incidence([death, other], [6.0]))
    swapped = {**PLAIN, "treatments": {"reference": "b", "compare": ["a"]}}
    spec = worlds.spec(**swapped, cause="local_failure")
    turned = posteriors.result(spec, worlds.evidence(spec, {"patients": rows}))
    assert "treatments" in refused(lambda: cumulative_incidence([death, turned], [6.0]))
    assert "study" in refused(lambda: cumulative_incidence([death, failure], [6.0], who=Study("zz")))


def test_causes_in_patients_need_a_spec_that_says_which() -> None:
    rows = simulated(6)
    assert 'cause = "death", one spec a cause' in refused(lambda: of(None, rows))
    assert "allowed: death, local_failure, any" in refused(lambda: of("relapse", rows))
    bare = [{key: value for key, value in row.items() if key != "cause"} for row in rows]
    assert "column cause: found no cause in any row" in refused(lambda: of("death", bare))
    assert len(of(None, bare)[1].patients) == 12
    blank = [
        {**row, "cause": None} if at == 0 else row for at, row in enumerate(sorted(rows, key=lambda r: -r["event"]))
    ]
    assert "an event without its cause" in refused(lambda: of("death", blank))
    wide = [{**row, "time_upper": row["time"] + 1} if at == 0 else row for at, row in enumerate(rows)]
    assert "interval-censored times, with several causes" in refused(lambda: of("death", wide))


PRINTED = {
    "points": {"time": 12.0, "survival": 0.7},
    "medians": {"median": 14.0},
    "counts": {"time": 12.0, "events": 9, "n": 30},
}


def printed(kind: str, measure: str | None) -> dict[str, list[dict[str, Any]]]:
    named = {"study": "p", "arm": "x", "endpoint": "local_control"}
    return {
        "arms": [{**named, "treatment": "a", "n": 30, "measure": measure}],
        kind: [{**named, **PRINTED[kind]}],
        "patients": simulated(6),
    }


@pytest.mark.slow
@pytest.mark.parametrize("kind", PRINTED)
def test_a_printed_cumulative_incidence_informs_no_single_hazard(kind: str) -> None:
    spec, apart = (worlds.spec(**PLAIN, cause="death", measure=measure) for measure in (None, "km"))
    for measure in ("cif_complement", "crude"):
        rows = printed(kind, measure)
        assert "speaks about all causes at once" in refused(partial(worlds.evidence, spec, rows))
        assert worlds.evidence(apart, rows).set_aside["kind"].tolist() == [kind]
    assert "beside measure = crude" in refused(lambda: worlds.spec(**PLAIN, cause="death", measure="crude"))
    # a survival at which other causes are censored is exp(-H) of this one
    assert worlds.evidence(spec, printed(kind, "km")).set_aside.empty
    # what does not say which it is is not taken for one of them; the time to the first of all has one survival only
    assert f"{kind}, study p, arm x: found no measure" in refused(lambda: worlds.evidence(spec, printed(kind, None)))
    assert "no measure" in refused(lambda: worlds.evidence(apart, printed(kind, None)))
    first = worlds.spec(**PLAIN, cause="any")
    assert worlds.evidence(first, printed(kind, None)).set_aside.empty


@pytest.mark.slow
def test_the_command_line_says_what_it_refuses(tmp_path, capsys) -> None:
    for name, rows in printed("points", "cif_complement").items():
        pd.DataFrame(rows).to_csv(tmp_path / f"{name}.csv", index=False)
    files = {name: f"{name}.csv" for name in ("arms", "points", "patients")}
    spec = worlds.spec(**PLAIN, cause="death", evidence=files)
    (tmp_path / "spec.toml").write_text(spec_toml(spec), encoding="utf-8")
    with pytest.raises(SystemExit) as ending:
        main(["audit", str(tmp_path / "spec.toml")])
    said = capsys.readouterr()
    assert (ending.value.code, said.out) == (2, "")
    assert said.err.strip().splitlines()[-1].startswith("bayes-bm: measure: found rows of cif_complement, beside cause")
