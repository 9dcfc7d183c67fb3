"""The compiled density of arms averaged over their mixes and of prognostic ratios, against the graph and itself."""

from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from bayes_bm.inference.compiled.cells.mixtures import KEPT, mixture_of, multiplied_mixture
from bayes_bm.inference.compiled.coverage import why_not
from bayes_bm.inference.compiled.nutpie import log_density
from bayes_bm.inference.compiled.packing import pack_problem
from bayes_bm.model.model_inputs import prepare
from bayes_bm.model.pymc_graph.build import build_model
from tests.builders import families, graphs, worlds
from tests.builders.graphs import point_of, values_at, vector_of
from tests.builders.structures import points
from tests.builders.worlds import half_normal, normal
from tests.inference.test_compiled_density import standard_normals
from tests.model.test_case_mix import ARMS, COVARIATES, KPS, MALE, TABLES

RATIOS: list[dict[str, Any]] = [
    {"study": "r1", "covariate": "male", "hr": 1.3, "ci_low": 1.0, "ci_high": 1.7},
    {"study": "r1", "covariate": "male", "hr": 0.9, "ci_low": 0.6, "ci_high": 1.4, "level": 0, "reference": 1},
    {"study": "r2", "covariate": "male", "hr": 1.1, "se_log_hr": 0.2, "population": "external"},
    {"study": "r3", "covariate": "kps", "hr": 0.6, "se_log_hr": 0.15, "population": "external"},
    {"study": "r1", "covariate": "kps", "hr": 0.5, "se_log_hr": 0.25},
]
MEDIANS = [
    {"study": "d1", "arm": "x", "median": 12.0, "ci_low": 9.0, "ci_high": 16.0},
    {"study": "d1", "arm": "y", "median": 15.0},
]
DELAYED = [
    {"study": "d1", "arm": "x", "treatment": "a", "n": 40, "survived_to": 1.0, "share_male": 0.3},
    {"study": "d1", "arm": "y", "treatment": "b", "n": 30, "survived_to": 2.0, "clock_shift": 1.0},
]


TOGETHER: dict[str, Any] = {"integration": {"common_correlation": {"value": 0.4, "turned": ["kps"], "why": "test"}}}


def problem(covariates: dict[str, Any], **more: Any) -> tuple[Any, Any]:
    """A spec and evidence of every kind that is averaged, with delayed entry and ratios of covariates."""
    used = [{**row, "endpoint": "os"} for row in RATIOS if row["covariate"] in covariates]
    delayed = [{**ARMS[0], **dict.fromkeys(ARMS[0], np.nan), **row, "endpoint": "os"} for row in DELAYED]
    medians = [*TABLES["medians"], *({**row, "endpoint": "os"} for row in MEDIANS)]
    tables = {**TABLES, "arms": [*ARMS, *delayed], "medians": medians, "prognostic_ratios": used}
    named = {**MALE["case_mix"], "by_named": {"b": normal(0.3, 0.4)}}
    spec = worlds.spec(
        covariates=covariates | {"male": {**MALE, "case_mix": named}},
        prognosis={"sd": half_normal(0.3), "transport_sd": half_normal(0.2)},
        **more,
    )
    return spec, worlds.evidence(spec, tables)


def graph(spec: Any, evidence: Any) -> Any:
    """Value and gradient of the model's graph at a vector, names of its coordinates, and the parameters there."""
    model = build_model(spec, evidence)
    evaluate, names = vector_of(model)
    start = graphs.start(model)
    like = {str(value.name): start[value.name] for value in model.value_vars}
    return evaluate, names, lambda x: values_at(model, point_of(x, like))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("covariates", "more"),
    [
        (COVARIATES, {}),
        ({"male": MALE, "kps": KPS}, {}),
        ({"male": MALE, "kps": KPS}, TOGETHER),
        (COVARIATES, families.changes("lognormal")),
        ({"male": MALE}, families.changes("mspline")),
    ],
    ids=["continuous too", "two-valued", "together", "lognormal", "mspline"],
)
def test_mixes_and_ratios_of_covariates_have_the_graphs_density_and_gradient(
    covariates: dict[str, Any], more: dict[str, Any]
) -> None:
    spec, evidence = problem(covariates, **more)
    inputs = prepare(spec, evidence)
    assert why_not(inputs) is None
    assert {"patients_averaged", "median_intervals", "medians_not_reached", "counts"} <= inputs.kinds.keys()
    with patch("bayes_bm.inference.compiled.packing.choose_parametrization", standard_normals):
        coordinates, data = pack_problem(inputs)
    evaluate, names, named = graph(spec, evidence)
    assert [block.name for block in coordinates.blocks] == names
    compared = 0
    for x in [*points(coordinates)][:3]:
        (value, gradient), (wanted, slopes) = log_density(x, data), evaluate(x)
        # the graph's derivatives of a normal tail are NaN far out
        if not np.isfinite(slopes).all():
            continue
        compared += 1
        assert value == pytest.approx(wanted, rel=1e-10)
        np.testing.assert_allclose(gradient, slopes, rtol=1e-8, atol=1e-8 * max(1.0, np.abs(slopes).max()))
    assert compared >= 2
    # the posterior has the graph's names and values
    kept, parameters = coordinates.posterior(x[None, None]), named(x)
    # ratios of hazards are set aside where coefficients are log ratios of time
    ratios = () if spec.hazard.family == "lognormal" else ("transport", "prognosis_sd")
    for name in ("case_mix", "case_mix_mean", "case_mix_sd", "case_mix_by_treatment", *ratios):
        np.testing.assert_allclose(kept[name].to_numpy()[0, 0], parameters[name], rtol=1e-12)


@pytest.mark.slow
def test_the_density_has_no_jumps_where_medians_are_searched_for() -> None:
    """Newton's last step, lost in rounding, led the search away at one point of a hundred, and the density with it."""
    spec, evidence = problem({"male": MALE, "kps": KPS})
    coordinates, data = pack_problem(prepare(spec, evidence))
    rng = np.random.default_rng(3)
    for _ in range(20):
        x = coordinates.start + 0.5 * rng.standard_normal(coordinates.size)
        direction, (value, gradient) = rng.standard_normal(coordinates.size), log_density(x, data)
        for step in rng.uniform(-1e-7, 1e-7, 200):
            there = log_density(x + step * direction, data)[0]
            assert there == pytest.approx(value + step * float(gradient @ direction), abs=1e-8 * max(1.0, abs(value)))


def joined(log_cum: np.ndarray, weight: np.ndarray) -> tuple[tuple[float, float], np.ndarray]:
    """log H and log h of a mixture whose parts have hazards e^0.3 H, and its derivatives."""
    count, scratch = len(weight), np.empty((2, len(weight)))
    kept = np.zeros((KEPT, count))
    return mixture_of(log_cum, log_cum + 0.3, np.log(weight), weight, scratch[0], scratch[1], kept, 0), kept


def multiplied(log_cum: float, offset: np.ndarray, weight: np.ndarray) -> tuple[tuple[float, float], np.ndarray]:
    """The same, of parts whose hazards are multiples of one."""
    count = len(weight)
    kept, factor = np.zeros((KEPT, count)), np.exp(offset)
    logs = multiplied_mixture(log_cum, log_cum + 0.3, offset.max(), factor, weight, np.empty(count), kept, 0)
    return logs, kept


@pytest.mark.slow
def test_a_mixture_keeps_its_digits_however_small_or_large_hazards_are() -> None:
    """Two parts by hand, with 30 digits, where next to nobody has nearly all of the hazard, and far beyond."""
    import mpmath

    for log_cum, offset, share in ((-40.0, 3.0, 0.5), (-2.0, 5.0, 1e-9), (3.0, 2.0, 0.3), (6.0, -9.0, 1e-12)):
        logs, weight = np.array([log_cum, log_cum + offset]), np.array([1 - share, share])
        with mpmath.workdps(30):
            alive = [
                mpmath.mpf(w) * mpmath.exp(-mpmath.exp(mpmath.mpf(one))) for w, one in zip(weight, logs, strict=True)
            ]
            dying = [a * mpmath.exp(mpmath.mpf(one) + mpmath.mpf(0.3)) for a, one in zip(alive, logs, strict=True)]
            wanted = float(mpmath.log(-mpmath.log(sum(alive)))), float(mpmath.log(sum(dying) / sum(alive)))
        found, kept = joined(logs, weight)
        assert found == pytest.approx(wanted, rel=1e-13, abs=1e-13)
        again, kept_again = multiplied(log_cum, logs - log_cum, weight)
        assert again == pytest.approx(wanted, rel=1e-13, abs=1e-13)
        np.testing.assert_allclose(kept_again, kept, rtol=1e-11, atol=1e-15)
