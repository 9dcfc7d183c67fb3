"""Observed variables of every kind of evidence but hazard ratios."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayes_bm.evidence.records import Evidence
from bayes_bm.hazards import Family
from bayes_bm.hazards.modifiers.averaged_over_covariates import averaged
from bayes_bm.model.covariates import missing
from bayes_bm.model.covariates.integration_points import any_averaged, arm_points
from bayes_bm.model.covariates.missing import covariate_models
from bayes_bm.model.observations import KINDS, active_terms
from bayes_bm.model.pymc_graph.effects import matrix_product
from bayes_bm.model.pymc_graph.pytensor_namespace import TENSOR, PointShape, join_shapes, shape_of
from bayes_bm.spec.document import Spec


@dataclass(frozen=True)
class CovariateAverage:
    """Arms averaged over their covariates: the averaged family, and what each point adds to eta (arm, point).

    With `by_row` each row has points, and weights, of its own (row, 2 point).
    """

    family: Family
    offsets: Any
    by_row: bool = False


def covariate_average(spec: Spec, evidence: Evidence, family: Family, slopes: Any) -> CovariateAverage | None:
    if not any_averaged(spec, evidence):
        return None
    points = pm.Data("integration_points", arm_points(spec, evidence))
    offsets = pt.sum(points * (slopes if slopes.type.ndim == 1 else slopes[:, None, :]), axis=2)
    return CovariateAverage(averaged(family, spec.integration.points), offsets)


def missing_average(
    spec: Spec, evidence: Evidence, family: Family, arrays: dict[str, np.ndarray], slopes: Any
) -> CovariateAverage:
    """Patients averaged over the covariates they lack (`missing`); their laws' coefficients are `covariate_law`."""
    laws = covariate_models(spec, evidence)
    mean, factor = missing.prior(laws)
    standard = pm.Normal("covariate_law_standard", dims="covariate_law_term")
    phi: Any = pm.Deterministic("covariate_law", mean + matrix_product(factor, standard), dims="covariate_law_term")
    rows = SimpleNamespace(**{name: arrays[name] for name in ("arm_row", "x", "blank")})

    def at(places: Any) -> Any:
        return phi[places][:, None] if np.ndim(places) else phi[int(places)]

    def slope(column: int) -> Any:
        return slopes[column] if slopes.type.ndim == 1 else slopes[rows.arm_row, column][:, None]

    added, log_weight, log_known = missing.nodes(spec, laws, rows, at, slope, xp=TENSOR)
    # with the laws' prior it is what the known covariates say, no datum of its own
    known: Any = pt.sum(arrays["weight"] * log_known)
    pm.Potential("covariates_known", known)
    of_rows = pt.concatenate([added, log_weight], axis=1)
    return CovariateAverage(averaged(family, missing.rule(laws)[0].shape[1], weighted=True), of_rows, by_row=True)


def observe(
    name: str,
    arrays: dict[str, np.ndarray],
    family: Family,
    eta: Any,
    shapes: list[Any],
    slopes: Any,
    mixed: "CovariateAverage | None",
) -> None:
    """One observed variable: its data, its arm's predictor, its density and its simulator."""
    kind = KINDS[name]
    arrays = {**arrays, "reached_after": np.ones(len(arrays["arm_row"]))} if kind.value == "reached_after" else arrays
    data = {key: pm.Data(f"{name}_{key}", values) for key, values in arrays.items()}
    rows = data.pop("arm_row")
    x = data.pop("x", None)
    at = eta[rows]
    if slopes is not None and x is not None:
        at = at + matrix_product(x, slopes if slopes.type.ndim == 1 else slopes[rows])
    observed = data.pop(kind.value)
    keys, terms = list(data), active_terms(arrays)
    points = None if mixed is None else mixed.offsets if mixed.by_row else mixed.offsets[rows]
    law = family if mixed is None else mixed.family
    of_rows = [*(of[rows] for of in shapes), *([] if points is None else [points])]
    count = len(of_rows)

    def log_density(value, at, *rest):
        known = dict(zip(keys, rest[count:], strict=True))
        fields = SimpleNamespace(**{kind.value: value}, **known, **terms)
        return kind.log_density(
            law, fields, at, joined_shape(family, rest[:count], points=points is not None), xp=TENSOR
        )

    def draw(at, *rest, rng, size):
        known = dict(zip(keys, rest[count:], strict=True))
        fields = SimpleNamespace(**{kind.value: _observed_for_draw(name, arrays)}, **known, **terms)
        return kind.draw(law, fields, at, join_shapes(rest[:count], np.shape(at)), rng)

    parameters = [at, *of_rows, *data.values()]
    if all(parameter.type.ndim == 1 for parameter in parameters):
        pm.CustomDist(name, *parameters, logp=log_density, random=draw, observed=observed)
        return
    # the values of a basis stand on a trailing axis of their own, and so do integration points
    wide = ["(m)" if parameter is points else "(k)" for parameter in parameters]
    cores = ",".join("()" if at.type.ndim == 1 else core for at, core in zip(parameters, wide, strict=True))
    pm.CustomDist(name, *parameters, logp=log_density, random=draw, signature=f"{cores}->()", observed=observed)


def joined_shape(family: Family, parts: Sequence[Any], *, points: bool = False) -> Any:
    if points:
        return PointShape(joined_shape(family, parts[:-1]), parts[-1])
    return shape_of(parts[1:], parts[0]) if family.knots else shape_of(parts)


def _observed_for_draw(name: str, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """The observed values that a simulator needs as limits (censoring times)."""
    return arrays[KINDS[name].value]
