"""Observed variables of every kind of evidence but hazard ratios."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayes_bm.hazards import Family
from bayes_bm.hazards.modifiers.averaged_over_covariates import AveragedOverCovariates
from bayes_bm.model.covariates import missing
from bayes_bm.model.design import Design
from bayes_bm.model.linear_predictor import Effects, covariate_shift, missing_offsets, point_offsets
from bayes_bm.model.model_inputs import ModelInputs
from bayes_bm.model.observations import KINDS, Kind, active_terms
from bayes_bm.model.pymc_graph.pytensor_namespace import TENSOR, join_shapes


@dataclass(frozen=True)
class ArmExpressions:
    """Family, eta (arm,) and parts of the shape of every arm, with the effects that its patients' covariates read."""

    family: Family
    eta: Any
    shape: tuple[Any, ...]
    effects: Effects
    design: Design


@dataclass(frozen=True)
class CovariateAverage:
    """Arms averaged over their covariates: the averaged family, and what each point adds to eta (arm, point).

    With `by_row` each row has points, and weights, of its own (row, 2 point).
    """

    family: Family
    offsets: Any
    by_row: bool = False


def averaged_arms(inputs: ModelInputs, effects: Effects) -> CovariateAverage | None:
    """Average arms over the covariates they state; None where no arm is averaged."""
    if not inputs.any_integrated:
        return None
    points = pm.Data("integration_points", inputs.arm_points)
    offsets = point_offsets(effects, inputs.design.arm_treatment, points, xp=TENSOR)
    return CovariateAverage(AveragedOverCovariates(inputs.family, inputs.spec.integration.points), offsets)


def missing_average(inputs: ModelInputs, arrays: dict[str, np.ndarray], effects: Effects) -> CovariateAverage:
    """Average patients over the covariates they lack; the coefficients of their models are `covariate_law`."""
    models = inputs.covariate_models
    mean, factor = missing.prior(models)
    standard = pm.Normal("covariate_law_standard", dims="covariate_law_term")
    phi: Any = pm.Deterministic("covariate_law", mean + TENSOR.product(factor, standard), dims="covariate_law_term")
    rows = SimpleNamespace(**{name: arrays[name] for name in ("arm_row", "x", "blank")})
    treatment = inputs.design.arm_treatment[arrays["arm_row"]]
    nodes = missing_offsets(effects, phi, treatment, inputs.spec, models, rows, xp=TENSOR)
    # with the models' prior it is what the known covariates say, no datum of its own
    known_density: Any = pt.sum(arrays["weight"] * nodes.log_known)
    pm.Potential("covariates_known", known_density)
    count = missing.rule(models)[0].shape[1]
    wide = pt.concatenate([nodes.added, nodes.log_weight], axis=1)
    return CovariateAverage(AveragedOverCovariates(inputs.arm_family, count, weighted=True), wide, by_row=True)


def observe(name: str, arrays: dict[str, np.ndarray], arms: ArmExpressions, average: CovariateAverage | None) -> None:
    """One observed variable: its data, its arm's predictor, its density and its simulator."""
    kind = KINDS[name]
    arrays = {**arrays, "reached_after": np.ones(len(arrays["arm_row"]))} if kind.value == "reached_after" else arrays
    data = {key: pm.Data(f"{name}_{key}", values) for key, values in arrays.items()}
    rows: Any = data.pop("arm_row")
    x, observed = data.pop("x", None), data.pop(kind.value)
    eta = arms.eta[rows]
    if arms.effects.covariates and x is not None:
        treatment = arms.design.arm_treatment[arrays["arm_row"]]
        eta = eta + covariate_shift(arms.effects, treatment, x, xp=TENSOR)
    shape = [part[rows] for part in arms.shape]
    offsets = None if average is None else average.offsets if average.by_row else average.offsets[rows]
    shape += [] if offsets is None else [offsets]
    family = arms.family if average is None else average.family
    split = _Split(kind, family, tuple(data), len(shape), active_terms(arrays), offsets is not None)
    parameters = [eta, *shape, *data.values()]
    functions: dict[str, Any] = {"logp": split.log_density, "random": split.simulator(arrays[kind.value])}
    if any(parameter.type.ndim > 1 for parameter in parameters):
        # the values of a basis stand on a trailing axis of their own, and so do integration points
        wide = ["(m)" if parameter is offsets else "(k)" for parameter in parameters]
        cores = ("()" if one.type.ndim == 1 else core for one, core in zip(parameters, wide, strict=True))
        functions["signature"] = f"{','.join(cores)}->()"
    # the shape is said: PyMC would look for it in the graphs of all parameters, which takes longer than making them
    pm.CustomDist(name, *parameters, **functions, shape=rows.shape, observed=observed)


@dataclass(frozen=True)
class _Split:
    """How PyMC's flat list of parameters is read: eta, `parts` of the shape, then the data by name."""

    kind: Kind
    family: Family
    names: tuple[str, ...]
    parts: int
    terms: dict[str, bool]
    points: bool

    def data(self, value: Any, rest: tuple) -> SimpleNamespace:
        """The data of the rows, the observed value among them."""
        fields = dict(zip(self.names, rest[self.parts :], strict=True))
        return SimpleNamespace(**{self.kind.value: value}, **fields, **self.terms)

    def log_density(self, value: Any, eta: Any, *rest: Any) -> Any:
        shape = TENSOR.join_shape(rest[: self.parts], points=self.points)
        return self.kind.log_density(self.family, self.data(value, rest), eta, shape, xp=TENSOR)

    def simulator(self, limits: np.ndarray) -> Any:
        """A draw of the rows; `limits` are the observed values, which it needs as censoring times."""

        def draw(eta, *rest, rng, size):
            shape = join_shapes(rest[: self.parts], np.shape(eta))
            return self.kind.draw(self.family, self.data(limits, rest), eta, shape, rng)

        return draw
