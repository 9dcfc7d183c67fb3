"""The observed variable of hazard ratios."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayes_bm.hazards import Family
from bayes_bm.hazards.modifiers.averaged_over_covariates import averaged
from bayes_bm.model import likelihoods
from bayes_bm.model.design import Design
from bayes_bm.model.pymc_graph.effects import Parts, all_shapes, matrix_product, shapes_at
from bayes_bm.model.pymc_graph.observed import joined_shape
from bayes_bm.model.pymc_graph.pytensor_namespace import TENSOR


def observe_ratios(
    arrays: dict[str, np.ndarray], parts: Parts, shape: Design, family: Family, slopes: Any, *, proportional: bool
) -> None:
    """Log hazard ratios about the study's own, crude ones about that of its patients together
    (docs/decisions.md#7-hazard-ratios).
    """
    names = ("hr_treatment", "hr_reference", "hr_pair", "hr_reference_pair")
    treatment, reference, pair, reference_pair = (pm.Data(name, getattr(shape, name)) for name in names)
    data = {key: pm.Data(f"hazard_ratios_{key}", values) for key, values in arrays.items()}
    one = parts.log_hr[treatment] + parts.deviation[pair]
    other = parts.log_hr[reference] + parts.deviation[reference_pair]
    if parts.bias is not None:
        one = one + matrix_product(pm.Data("hr_bias", shape.hr_bias), parts.bias)
    mean = one - other
    rows = arrays.get("averaged", np.zeros(0, dtype=int))
    if not proportional or len(rows):
        study = pm.Data("hr_study", shape.hr_study)
        common = [of.both[study] for of in all_shapes(parts)]
        of_sides = [shapes_at(parts, common, at) for at in (treatment, reference)]
        nodes: dict[str, Any] = {key: values for key, values in data.items() if key.startswith("log_")}
        level = parts.level.both[study]
        etas = level + one, level + other
    if not proportional:
        shapes = [joined_shape(family, of) for of in of_sides]
        mean = likelihoods.event_weighted_log_hr(
            family, SimpleNamespace(**nodes), etas, (shapes[0], shapes[1]), xp=TENSOR
        )
    if len(rows):
        law, wide = averaged(family, arrays["x"].shape[1]), []
        for at, of in zip((shape.hr_treatment, shape.hr_reference), of_sides, strict=True):
            slope = slopes[at[rows]][:, None, :] if slopes.type.ndim == 2 else slopes
            offsets = pt.sum(data["x"] * slope, axis=2)
            wide.append(joined_shape(family, [*(one[rows] for one in of), offsets], points=True))
        of_rows = SimpleNamespace(**{key: values[rows] for key, values in nodes.items()})
        levels = etas[0][rows], etas[1][rows]
        found = likelihoods.event_weighted_log_hr(law, of_rows, levels, (wide[0], wide[1]), xp=TENSOR)
        mean = pt.set_subtensor(mean[rows], found)
    cholesky = np.linalg.inv(arrays["whitener"])

    def log_density(value, mean, whitener, log_diagonal):
        return pt.sum(likelihoods.hazard_ratios(value, mean, whitener, log_diagonal=log_diagonal, dot=matrix_product))

    def draw(mean, whitener, log_diagonal, rng, size):
        return mean + cholesky @ rng.standard_normal(len(cholesky))

    pm.CustomDist(
        "hazard_ratios",
        mean,
        data["whitener"],
        data["log_diagonal"],
        logp=log_density,
        random=draw,
        signature="(n),(n,n),(n)->(n)",
        observed=data["log_hr"],
    )
