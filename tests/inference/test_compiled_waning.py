"""Effects that wane in the compiled density: against the graph, against `likelihoods.py`, and where they do not wane.

Making the graph costs seconds, most of it for jumps inside medians, so that the graph has two jumps where the model has
eleven, and layers on the formula (averages, mixes, clocks) are held against rows under numpy.
"""

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from bayes_bm.evidence.records import Evidence
from bayes_bm.hazards.modifiers import waning
from bayes_bm.inference.compiled.nutpie import log_density
from bayes_bm.inference.compiled.packing import pack_problem
from bayes_bm.model.model_inputs import prepare
from bayes_bm.spec.document import Spec
from tests.builders import families, structures, worlds
from tests.builders.structures import points
from tests.builders.worlds import half_normal
from tests.evidence import test_clocks
from tests.inference.test_compiled_cells import assert_is_the_graph
from tests.inference.test_compiled_density import assert_gradient_is_that_of_the_value, of_rows
from tests.inference.test_compiled_mixes import problem
from tests.model import test_integration_points, test_missing_covariates
from tests.model.test_case_mix import COVARIATES

WHY = {"why": "test"}
AT_ONCE: dict[str, Any] = {"waning": {"start": 9.0, **WHY}}
"""At the time of a patient who is censored, and of an interval's end."""
LINEAR: dict[str, Any] = {"waning": {"start": 7.3, "over": 6.0, **WHY}}
DRAWN = {"dist": "gamma", "shape": 9.0, "rate": 1.0, **WHY}
ESTIMATED: dict[str, Any] = {"waning": {"prior": DRAWN, "over": 6.0, **WHY}}

Made = tuple[Spec, Evidence]


def same_for_everybody(terms: dict[str, Any]) -> dict[str, Any]:
    """Covariates without what waning may not stand beside."""
    left_out = ("interaction", "interaction_by")
    return {name: {key: value for key, value in term.items() if key not in left_out} for name, term in terms.items()}


def structure(name: str, family: str = "weibull", **more: Any) -> Made:
    return structures.world({**families.changes(family), **structures.STRUCTURES[name], **more})


def lacking(**more: Any) -> Made:
    return test_missing_covariates.world(terms=same_for_everybody(test_missing_covariates.TERMS), **more)


def averaged(**more: Any) -> Made:
    return test_integration_points.world(terms=same_for_everybody(test_integration_points.TERMS), **more)


def on_clocks(**more: Any) -> Made:
    drawn = {"prior": half_normal(2.0)}
    bias = {name: {**drawn, "treatments": of} for name, of in test_clocks.OF.items()}
    spec = families.spec("weibull", bias=bias, **more)
    return spec, worlds.evidence(spec, test_clocks.TABLES)


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        lambda: structure("every kind of evidence", **ESTIMATED),
        lambda: structure("every kind of evidence", "gompertz_makeham", **AT_ONCE),
        lambda: lacking(**AT_ONCE),
    ],
    ids=["start estimated", "at once", "covariates that patients lack"],
)
def test_effects_that_wane_have_the_graphs_density_and_gradient(make: Callable[[], Made]) -> None:
    with patch.object(waning, "STEPS", 1):
        assert_is_the_graph(*make())


WORLDS: dict[str, Callable[..., Made]] = {
    "gompertz": lambda **more: structure("every kind of evidence", "gompertz", **more),
    "exponential": lambda **more: structure("no effects", "exponential", **more),
    "classes of treatments": lambda **more: structure("classes of treatments", **more),
    "averaged": averaged,
    "mixes of arms": lambda **more: problem(same_for_everybody(COVARIATES), **more),
    "unknown clocks": on_clocks,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WORLDS)
def test_another_start_changes_the_density_by_what_it_changes_rows_under_numpy(name: str) -> None:
    """Priors stay. Slopes have a kink where a median crosses a jump, 3e-5 away in one: steps are too short for that."""
    linear, evidence = WORLDS[name](**LINEAR)
    inputs, at_once = prepare(linear, evidence), WORLDS[name](**AT_ONCE)[0]
    coordinates, data = pack_problem(inputs)
    _, other = pack_problem(prepare(at_once, evidence))
    for x in [*points(coordinates)][:2]:
        value = log_density(x, data)[0]
        wanted = of_rows(linear, evidence, coordinates, x) - of_rows(at_once, evidence, coordinates, x)
        assert wanted != 0
        assert value - log_density(x, other)[0] == pytest.approx(wanted, abs=1e-10 * abs(value))
    assert_gradient_is_that_of_the_value(inputs, longest=1e-5)


@pytest.mark.slow
def test_a_start_beyond_the_evidence_is_the_model_without_waning_bit_for_bit() -> None:
    """Where that is finite: far out a Gompertz hazard overflows, and both are refused there."""
    late = {"waning": {"start": 1000.0, "over": 6.0, **WHY}}
    evidence = worlds.evidence(families.spec("gompertz"), {**worlds.TABLES, "hazard_ratios": []})
    coordinates, plain = pack_problem(prepare(families.spec("gompertz"), evidence))
    _, waned = pack_problem(prepare(families.spec("gompertz", **late), evidence))
    finite = 0
    for x in points(coordinates):
        (value, gradient), (same, slopes) = log_density(x, plain), log_density(x, waned)
        if not np.isfinite([value, *gradient]).all():
            assert not np.isfinite([same, *slopes]).all()
            continue
        finite += 1
        assert same == value
        np.testing.assert_array_equal(slopes, gradient)
    assert finite >= 3
