"""The compiled density of cells against the model's graph: every family, layer and kind of evidence.

Value within 1e-10 and gradient within 1e-8 of the graph, which is made once a model and not optimised.
"""

from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from bayes_bm.evidence.reading import read_evidence
from bayes_bm.evidence.records import Evidence
from bayes_bm.inference.compiled.coverage import is_plain_weibull, why_not
from bayes_bm.inference.compiled.formulas import FILES
from bayes_bm.inference.compiled.nutpie import log_density
from bayes_bm.inference.compiled.packing import pack_problem
from bayes_bm.inference.compiled.stages import TOGETHER, TOGETHER_BACK
from bayes_bm.model.model_inputs import prepare
from bayes_bm.spec.document import Spec
from bayes_bm.spec.reading import read_spec
from tests.builders import families, structures, worlds
from tests.builders.structures import points
from tests.evidence import test_clocks
from tests.inference.test_compiled_density import (
    assert_agree,
    assert_gradient_is_that_of_the_value,
    graph,
    standard_normals,
)
from tests.model import test_background, test_crude_ratios, test_integration_points, test_missing_covariates
from tests.model.test_background import NAMED


def assert_is_the_graph(spec: Spec, evidence: Evidence) -> None:
    """Where the graph is finite, in its own coordinates; at far points some families overflow there."""
    inputs = prepare(spec, evidence)
    assert why_not(inputs) is None
    assert not is_plain_weibull(inputs)
    evaluate, names = graph(spec, evidence)
    with patch("bayes_bm.inference.compiled.packing.choose_parametrization", standard_normals):
        at, data = pack_problem(inputs)
    assert [block.name for block in at.blocks] == names
    compared = 0
    for x in [*points(at)][::2]:
        wanted = evaluate(x)
        if np.isfinite(wanted[0]) and np.isfinite(wanted[1]).all():
            assert_agree(wanted, log_density(x, data))
            compared += 1
    assert compared >= 2


def of_family(name: str, **more: Any) -> tuple[Spec, Evidence]:
    spec = families.spec(name, **more)
    return spec, families.evidence(spec)


def with_background(name: str, **more: Any) -> tuple[Spec, Evidence]:
    spec = families.spec(name, **NAMED, **more)
    background = [{"time": time, "hazard": rate} for time, rate in test_background.STEPS]
    return spec, test_background.evidence(spec, background=background)


def of_structure(name: str, family: str) -> tuple[Spec, Evidence]:
    """A structure of the Weibull's tests under a family."""
    changes = families.changes(family)
    for key, value in structures.STRUCTURES[name].items():
        changes[key] = value
    return structures.world(changes)


def on_clocks(name: str) -> tuple[Spec, Evidence]:
    drawn = {"prior": worlds.half_normal(2.0)}
    return test_clocks.world(name, immortal_time=drawn, clock_shift=drawn)


STUDY_WALKS = {"effects__study_shape": {"sd": worlds.half_normal(0.3)}}
TREATMENT_WALKS = {"priors__treatment_smooth_sd": worlds.half_normal(0.3)}
FREE = {"effects__study": {"exchangeable": False}, "effects__study_shape": {"exchangeable": False}}
WORLDS = {
    **{name: (of_family, (name,)) for name in FILES if name not in ("weibull", "exponential")},
    **{f"{name}+cure": (of_family, (f"{name}+cure",)) for name in ("weibull", "lognormal", "mspline")},
    "walks of studies": (lambda: of_family("mspline", **STUDY_WALKS), ()),
    "walks of treatments": (lambda: of_family("mspline", **TREATMENT_WALKS), ()),
    "free walks": (lambda: of_family("piecewise", **FREE), ()),
    "shapes by treatment": (lambda: of_family("lognormal", priors__treatment_log_shape=worlds.normal(0.2)), ()),
    "free shapes": (lambda: of_family("gompertz", **FREE), ()),
    **{f"background, {name}": (with_background, (name,)) for name in ("mspline", "lognormal+cure")},
    "covariates": (of_structure, ("covariates", "mspline")),
    "covariates by treatment": (of_structure, ("covariates by treatment", "loglogistic")),
    "classes of treatments": (of_structure, ("classes of treatments", "mspline")),
    "biases": (of_structure, ("biases", "piecewise")),
    "averaged": (test_integration_points.world, ()),
    "averaged, mspline": (lambda: test_integration_points.world(**families.changes("mspline")), ()),
    "averaged, lognormal+cure": (lambda: test_integration_points.world(**families.changes("lognormal+cure")), ()),
    "covariates that patients lack": (test_missing_covariates.world, ()),
    "the same, loglogistic": (lambda: test_missing_covariates.world(**families.changes("loglogistic")), ()),
    "crude ratios": (test_crude_ratios.world, ()),
    "unknown clocks": (on_clocks, ("weibull",)),
    "unknown clocks, lognormal+cure": (on_clocks, ("lognormal+cure",)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WORLDS)
def test_every_model_has_the_graphs_density_and_gradient(name: str) -> None:
    make, arguments = WORLDS[name]
    assert_is_the_graph(*make(*arguments))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["walks of treatments", "background, mspline", "averaged, mspline", "unknown clocks"])
def test_the_gradient_is_that_of_the_value(name: str) -> None:
    make, arguments = WORLDS[name]
    assert_gradient_is_that_of_the_value(prepare(*make(*arguments)))


@pytest.mark.slow
def test_shares_that_go_together_are_compiled_where_they_are_asked_for() -> None:
    spec = read_spec("os_reresection_vs_resrs", sensitivity="correlated_mix")
    inputs = prepare(spec, read_evidence(spec))
    assert inputs.arm_mixes is not None and inputs.arm_mixes.loading.any()
    assert why_not(inputs) is None
    _, data = pack_problem(inputs)
    assert data.called[TOGETHER] and data.called[TOGETHER_BACK]


@pytest.mark.slow
def test_a_family_without_a_compiled_formula_is_left_to_the_graph() -> None:
    spec, evidence = of_family("gompertz")
    with patch.dict(FILES):
        FILES.pop("gompertz")
        assert why_not(prepare(spec, evidence)) == "the family is gompertz"
    assert why_not(prepare(spec, evidence)) is None
