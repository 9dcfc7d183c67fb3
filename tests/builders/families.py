"""Specs of every hazard family on the tests' world, and posteriors of them stated by hand."""

from typing import Any

import numpy as np
import xarray as xr

from bayes_bm.evidence.records import Evidence
from bayes_bm.hazards import FAMILIES
from bayes_bm.inference.result import Result
from bayes_bm.model.baseline_hazard import family_of, with_knots
from bayes_bm.model.design import location_labels, make_design
from bayes_bm.spec.document import Spec
from tests.builders import posteriors, worlds
from tests.builders.worlds import half_normal, normal

SHAPES = {"log_shape": normal(0.3), "log_sd": normal(0.3), "q": normal(0.5), "slope": normal(0.5)}
SHAPES |= {"logit_constant": normal(1.0), "log_shape_ratio": normal(0.3), "log_gap": normal(0.3)}
SHAPES |= {"logit_early": normal(1.0)}


def changes(name: str, **more: Any) -> dict[str, Any]:
    """What a spec of this family (or `name+cure`) changes in the world's."""
    family, cure = FAMILIES[name.removesuffix("+cure")], name.endswith("+cure")
    found: dict[str, Any] = {"hazard": {"family": family.name, "cure": cure}}
    if family.flexible:
        found["hazard"] |= {"knots": [4.0, 9.0, 15.0], "end": 24.0}
        found["priors__smooth_sd"] = half_normal(1.0)
    if family.effect == "time":
        found |= {"priors__log_hr": None, "priors__log_time_ratio": normal(1.0)}
    found["priors__log_shape"] = None
    found |= {f"priors__{shape}": SHAPES[shape] for shape in family.shapes}
    found |= {"priors__logit_cure": normal(1.0, mean=-2.0)} if cure else {}
    if family.varies is None:
        found["effects__study_shape"] = None
    return found | more


def spec(name: str, **more: Any) -> Spec:
    return worlds.spec(**changes(name, **more))


def with_followup(tables: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    ratios = [{**row, "followup": 18.0 + 6 * at} for at, row in enumerate(tables["hazard_ratios"])]
    return {**tables, "hazard_ratios": ratios}


def evidence(of: Spec) -> Evidence:
    """The world's rows with follow-up times, read for one family of each kind of effect: reading takes a quarter of a
    second, and nothing but whether hazards are proportional makes a difference to it.
    """
    plain = spec("weibull" if of.hazard.treatment_effect == "log_hr" else "weibull_aft")
    read_for = of.model_copy(update={"hazard": plain.hazard, "priors": plain.priors, "effects": plain.effects})
    return worlds.evidence(read_for, with_followup(worlds.TABLES))


def result(of: Spec, rows: Evidence, *, chains: int = 2, draws: int = 20, seed: int = 1) -> Result:
    """A posterior at random for any family."""
    of, rng = with_knots(of, rows), np.random.default_rng(seed)
    same = {"effects": of.effects.model_dump(exclude_none=True), "treatments": of.treatments.model_dump()}
    plain = posteriors.result(worlds.spec(**same), rows, chains=chains, draws=draws)
    kept = plain.posterior.drop_vars(
        [
            name
            for name in ("log_shape", "log_hr", *(["study_log_shape"] if of.hazard.flexible else []))
            if name in plain.posterior
        ]
    )
    shape, family = make_design(of, rows), family_of(of, rows)
    size = (chains, draws)
    middles = {"log_shape": 0.1, "log_sd": -0.3, "q": 0.4, "slope": 0.2, "logit_cure": -2.0, "logit_constant": -0.3}
    middles |= {"log_shape_ratio": 0.2, "log_gap": 0.1, "logit_early": 0.4}
    added: dict[str, Any] = {
        name: (("chain", "draw"), middles[name] + 0.1 * rng.standard_normal(size)) for name in of.hazard.shapes
    }
    effect = -0.2 + 0.3 * rng.standard_normal((*size, len(shape.compared)))
    added[of.hazard.treatment_effect] = (("chain", "draw", "treatment"), effect)
    if of.priors.treatment_log_shape is not None:
        values = 0.1 * rng.standard_normal((*size, len(shape.compared)))
        added["treatment_log_shape"] = (("chain", "draw", "treatment"), values)
    if family.knots is not None:
        labels = location_labels(of, family)
        outer, dims = ((len(shape.studies),), ("study",)) if of.free_shapes else ((), ())
        name = "study_log_coefficient" if of.free_shapes else "log_coefficient"
        walk = np.cumsum(0.3 * rng.standard_normal((*size, *outer, len(labels))), axis=-1)
        added[name] = (("chain", "draw", *dims, "location"), walk)
        others = {
            "treatment_log_coefficient": ("treatment", shape.compared, of.priors.treatment_smooth_sd is not None),
            "study_log_coefficient": ("study", shape.studies, of.effects.study_shape and not of.free_shapes),
        }
        for name, (dim, own, there) in others.items():
            if there:
                steps = 0.2 * rng.standard_normal((*size, len(own), len(labels)))
                added[name] = (("chain", "draw", dim, "location"), np.cumsum(steps, axis=-1))
        if of.priors.treatment_smooth_sd is not None:
            added["treatment_smooth_sd"] = (("chain", "draw"), np.abs(rng.standard_normal(size)))
        added["smooth_sd"] = (("chain", "draw"), np.abs(rng.standard_normal(size)))
    empty = xr.Dataset()
    posterior = kept.assign(added).assign_coords(treatment=list(shape.compared))
    return Result(of, rows, posterior, empty, empty, empty, posteriors.PASSED)
