"""Study effects with heavy tails: the law, the average over it, and that it is off unless it is asked for."""

import json
import math
from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats

from bayes_bm.checks.study_likelihood import integrated_log_density
from bayes_bm.estimands.heavy_tails import heavy_level_rule
from bayes_bm.estimands.population import population
from bayes_bm.estimands.quadrature import survival
from bayes_bm.estimands.who import NewHospital, NewStudy
from bayes_bm.inference.compiled.nutpie import log_density
from bayes_bm.inference.compiled.packing import pack_problem
from bayes_bm.model.model_inputs import prepare
from bayes_bm.model.study_levels import drawn_level_scale, standard_level
from bayes_bm.spec.reading import parse_spec
from tests.builders import posteriors, worlds
from tests.builders.laws import t_density
from tests.builders.worlds import half_normal

HEAVY = {"effects__study__dist": "student_t", "effects__study__df": 4.0}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("df", "study_sd", "deviation_sd", "error"), [(4.0, 0.8, 0.2, 1e-5), (2.5, 1.0, 0.0, 1e-5), (1e6, 0.6, 0.3, 1e-5)]
)
def test_the_rule_averages_as_the_integral_over_t_and_normal(df, study_sd, deviation_sd, error) -> None:
    node, weight = np.polynomial.hermite_e.hermegauss(60)

    def inner(level: float, eta: float) -> float:
        if deviation_sd == 0:
            return math.exp(-math.exp(min(eta + level, 700.0)))
        return float(weight @ np.exp(-np.exp(np.minimum(eta + level + deviation_sd * node, 700.0))) / weight.sum())

    rule = heavy_level_rule(np.array([study_sd]), np.array([deviation_sd]), df)
    for eta in (-1.5, 0.0, 1.0):
        parts = [
            integrate.quad(lambda z, eta=eta: inner(study_sd * z, eta) * t_density(z, df), *ends, epsabs=1e-9)[0]
            for ends in ((-np.inf, -5), (-5, 0), (0, 5), (5, np.inf))
        ]
        found = float(np.sum(rule.weight * np.exp(-np.exp(np.minimum(eta + rule.node, 700.0)))))
        assert found == pytest.approx(sum(parts), abs=error)


def test_scores_become_quantiles_and_scales_make_the_same_law() -> None:
    spec = worlds.spec(**HEAVY)
    z = np.array([-8.0, -1.0, 0.0, 0.3, 8.0])
    assert standard_level(spec, z) == pytest.approx(stats.t.isf(stats.norm.sf(np.abs(z)), 4.0) * np.sign(z), rel=1e-8)
    assert standard_level(worlds.spec(), z) is z
    rng = np.random.default_rng(1)
    drawn = drawn_level_scale(spec, 20_000, rng) * rng.standard_normal(20_000)
    assert stats.kstest(drawn, stats.t(4.0).cdf).pvalue > 1e-3
    assert (drawn_level_scale(worlds.spec(), 3, rng) == 1).all()


@pytest.mark.slow
def test_only_the_prior_of_the_levels_changes_and_normal_is_todays_model() -> None:
    plain, stated, heavy = (worlds.spec(**more) for more in ({}, {"effects__study__dist": "normal"}, HEAVY))
    assert plain.digest() == stated.digest() != heavy.digest()
    assert "dist" not in json.dumps(plain.document()["effects"]["study"]["sd"]["why"])
    assert parse_spec(heavy.document()) == heavy
    evidence = worlds.evidence(plain)
    none = {**worlds.document(), "sampling": {"centring": "none"}}
    values = []
    for changes in ({}, {"dist": "normal"}, {"dist": "student_t", "df": 4.0}):
        document = {**none, "effects": {**none["effects"], "study": {**none["effects"]["study"], **changes}}}
        at, data = pack_problem(prepare(parse_spec(document), evidence))
        plain_draw = at.plain(0.1 * np.cos(np.arange(at.size)))
        first = at.starts["study_effect_standard"]
        levels = plain_draw[first : first + len(at.design.studies)]
        values.append((at, data, levels))
    assert values[0][0].blocks == values[1][0].blocks
    x = 0.1 * np.cos(np.arange(values[0][0].size))
    assert log_density(x, values[0][1])[0] == pytest.approx(log_density(x, values[1][1])[0], abs=1e-12)
    # the turned coordinates of normal levels are the same as standard normals at a turn, which stretches nothing
    at, data, levels = values[2]
    of_normal = values[0][0]
    same = of_normal._recoordinated(x, standard=True)
    prior = stats.t.logpdf(x, 4.0) - stats.norm.logpdf(x)
    first = at.starts["study_effect_standard"]
    expected = log_density(same, values[0][1])[0] + prior[first : first + len(levels)].sum()
    assert log_density(x, data)[0] == pytest.approx(expected, abs=1e-10)


@pytest.mark.slow
def test_answers_of_a_new_study_average_over_the_heavy_law() -> None:
    """The NewStudy average against NewHospital draws, and the normal's answer as df grows."""
    spec = worlds.spec(**HEAVY, effects__study_shape=None)
    fixed: dict[str, Any] = {
        "intercept": 0.2,
        "log_hr": 0.0,
        "log_shape": 0.0,
        "study_sd": 0.8,
        "study_treatment_sd": 0.2,
    }
    result = posteriors.result(spec, worlds.evidence(spec), chains=2, draws=5_000, **fixed)
    times = np.array([6.0, 24.0])
    average = survival(population(result, NewStudy()).part(slice(0, 1)), times)[0, 0]
    hospitals = survival(population(result, NewHospital()), times)[:, 0].mean(axis=0)
    assert average == pytest.approx(hospitals, abs=0.01)
    for one, other in ((worlds.spec(**{**HEAVY, "effects__study__df": 1e6}), worlds.spec()),):
        found = [
            survival(population(posteriors.result(each, worlds.evidence(each), chains=1, draws=2), NewStudy()), times)
            for each in (one, other)
        ]
        assert found[0] == pytest.approx(found[1], abs=2e-5)


def test_a_study_left_out_is_integrated_over_the_heavy_law() -> None:
    rows = [{"study": "s", "arm": "x", "treatment": "a", "time": time, "event": 1} for time in (1.0, 1.5, 2.0)]
    spec = worlds.spec(
        effects={"study": {"sd": half_normal(1.0), "dist": "student_t", "df": 3.0}},
        treatments={"reference": "a", "compare": ["b"]},
    )
    fixed: dict[str, Any] = {"intercept": 0.0, "log_shape": 0.0, "study_sd": 0.5}
    result = posteriors.result(spec, worlds.evidence(spec, {"patients": rows}), chains=1, draws=2, **fixed)

    def density(level: float) -> float:
        log = 3 * (level - math.log(12)) - math.exp(level) * 4.5 / 12
        return float(math.exp(log) * t_density(level, 3.0, scale=0.5))

    area = sum(integrate.quad(density, *ends, epsabs=1e-14)[0] for ends in ((-20, 0), (0, 2), (2, 8)))
    assert integrated_log_density(result, "s") == pytest.approx(math.log(area), abs=5e-3)


@pytest.mark.parametrize(
    ("study", "said"),
    [
        ({"dist": "student_t"}, "needs `df`"),
        ({"df": 4.0}, "has no meaning"),
        ({"dist": "student_t", "df": 2.0}, "df"),
        ({"dist": "cauchy"}, "dist"),
        ({"exchangeable": False, "sd": None, "dist": "student_t", "df": 4.0}, "free levels"),
    ],
)
def test_what_makes_no_law_is_refused(study, said) -> None:
    document = worlds.document()
    table = {**document["effects"]["study"], **study}
    document["effects"]["study"] = {key: value for key, value in table.items() if value is not None}
    with pytest.raises(Exception, match=said):
        parse_spec(document)
