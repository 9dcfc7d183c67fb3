"""Covariates that single patients lack, averaged over inside the likelihood (`[covariates.NAME] missing`).

    p(t, event | known x) = sum over nodes of p(missing x | known x, arm; phi) p(t, event | x)

A covariate that some patients lack has a law given the arm and the covariates before it: logistic where it is
two-valued, linear and normal where it is continuous. Covariates that nobody lacks come first, then the others in the
order of the spec. The law's coefficients phi are parameters of the model, whose prior is what the patients whose
covariates are known say of them: the normal approximation of that regression's posterior at its mode, under N(0, 2.5^2)
for each coefficient on standardised covariates. A patient who knows a covariate and lacks one before it informs phi by
the law's average over what is lacked. So outcomes of those with a missing value inform phi too, and what is assumed
is missing at random: that a value is missing may depend on arm, outcome and known covariates, not on the value.
A two-valued covariate is summed exactly; a normal one at `NODES` Gauss-Hermite nodes.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from bayes_bm.evidence.records import Evidence
from bayes_bm.hazards.numerics.constants import HALF_LOG_TWO_PI
from bayes_bm.hazards.numerics.numpy_namespace import Namespace
from bayes_bm.model.covariates.regressions import WIDE, linear, logistic
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.types import Array
from bayes_bm.spec.covariates import Covariate
from bayes_bm.spec.document import Spec

NODES = 16
LARGEST_GRID = 4096


@dataclass(frozen=True)
class CovariateModel:
    """Of one covariate that some patients lack, given the arm and the covariates `earlier` than it (columns).

    `phi`, from its place `first` in the vector of all laws: a level for each of `arms` (arm rows with such patients), a
    coefficient for each earlier column, and where it is continuous the log sd. Covariates enter less `middle`, over
    `spread` (covariate,), and so does the covariate itself where it is continuous.
    """

    name: str
    column: int
    two_valued: bool
    arms: tuple[int, ...]
    earlier: tuple[int, ...]
    middle: Array
    spread: Array
    first: int
    mean: Array
    covariance: Array


def covariate_models(spec: Spec, evidence: Evidence, rows: Array) -> tuple[CovariateModel, ...]:
    """Models of the covariates that the patients `rows` (patient,), a mask, lack; none where nobody does.

    Raises `InputError` for too many.
    """
    if not rows.any():
        return ()
    names = list(spec.covariates)
    patients = evidence.patients
    x = np.column_stack([spec.covariates[name].scaled(patients[name].to_numpy(dtype=float)) for name in names])
    arm, weight = patients["arm_row"].to_numpy(dtype=int), patients["weight"].to_numpy(dtype=float)
    blank = np.isnan(x)
    missing_columns = [column_index for column_index in range(len(names)) if blank[rows, column_index].any()]
    earlier = [column_index for column_index in range(len(names)) if column_index not in missing_columns]
    arms = tuple(int(column_index) for column_index in sorted(set(arm[rows])))
    complete = ~blank.any(axis=1)
    middle, spread = x[complete].mean(axis=0), x[complete].std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    models: list[CovariateModel] = []
    for column in missing_columns:
        term = spec.covariates[names[column]]
        two_valued = term.missing == "two_valued"
        # who knows this one and all before it says what it is given them, whatever else is not known of them
        complete_rows = ~blank[:, [*earlier, column]].any(axis=1)
        predictors = (x[complete_rows][:, earlier] - middle[earlier]) / spread[earlier]
        unit = term.scaled(np.array([0.0, 1.0])) if two_valued else np.array([middle[column], spread[column]])
        response = x[complete_rows, column] == unit[1] if two_valued else (x[complete_rows, column] - unit[0]) / unit[1]
        fitted, design = logistic if two_valued else linear, _design(arm[complete_rows], predictors)
        ridge = np.full(design.shape[1], 1 / WIDE**2)
        mean, covariance = fitted(design, response.astype(float), weight[complete_rows], ridge)
        levels = sorted(set(arm[complete_rows]))
        kept_terms = [*(levels.index(column_index) for column_index in arms), *range(len(levels), len(mean))]
        first = sum(len(model.mean) for model in models)
        numbers = {"first": first, "mean": mean[kept_terms], "covariance": covariance[np.ix_(kept_terms, kept_terms)]}
        models.append(
            CovariateModel(
                names[column], column, two_valued, arms, tuple(earlier), middle=middle, spread=spread, **numbers
            )
        )
        earlier = [*earlier, column]
    _check_grid(models)
    return tuple(models)


def _check_grid(models: list[CovariateModel]) -> None:
    size = int(np.prod([2 if model.two_valued else NODES for model in models]))
    if size > LARGEST_GRID:
        raise InputError(
            "covariates",
            found=f"{len(models)} covariates that patients lack, {size} nodes together",
            allowed=f"at most {LARGEST_GRID} nodes (2 for a two-valued covariate, {NODES} for a normal one)",
        )


def _design(arm: Array, predictors: Array) -> Array:
    """A column a level of the arms, then the predictors."""
    return np.column_stack([arm[:, None] == np.array(sorted(set(arm))), predictors]).astype(float)


def labels(models: tuple[CovariateModel, ...], spec: Spec, evidence: Evidence) -> list[str]:
    """What each coefficient of the laws is: a level in an arm, a coefficient of a covariate, a log sd."""
    terms, names = [], list(spec.covariates)
    for model in models:
        arms = evidence.arms.iloc[list(model.arms)]
        terms += [f"{model.name} | {study}, {arm}" for study, arm in zip(arms["study"], arms["arm"], strict=True)]
        terms += [f"{model.name} | {names[column]}" for column in model.earlier]
        terms += [] if model.two_valued else [f"{model.name} | log sd"]
    return terms


def prior(models: tuple[CovariateModel, ...]) -> tuple[Array, Array]:
    """Mean of `phi` and the Cholesky factor of its covariance, all laws one after the other."""
    size = sum(len(model.mean) for model in models)
    factor = np.zeros((size, size))
    for model in models:
        block = slice(model.first, model.first + len(model.mean))
        factor[block, block] = np.linalg.cholesky(model.covariance)
    return np.concatenate([model.mean for model in models]) if models else np.zeros(0), factor


def rule(models: tuple[CovariateModel, ...]) -> tuple[Array, Array]:
    """Nodes of all laws together (law, node), 0 and 1 or standard normal, and their log weights (law, node)."""
    z, weight = np.polynomial.hermite_e.hermegauss(NODES)
    normal = z, np.log(weight / weight.sum())
    rules_by_model = [(np.array([0.0, 1.0]), np.zeros(2)) if model.two_valued else normal for model in models]
    grids = (np.meshgrid(*(rules[part] for rules in rules_by_model), indexing="ij") for part in (0, 1))
    nodes, log_weights = (np.stack([grid.ravel() for grid in nodes_and_weights]) for nodes_and_weights in grids)
    return nodes, log_weights


class Nodes(NamedTuple):
    """What each node adds to eta of each patient, its log weight (..., patient, node), which sum to one, and log p of
    what is known of a patient given what is lacked before it (..., patient): that no regression has counted.
    """

    added: Any
    log_weight: Any
    log_known: Any


def nodes(spec: Spec, models: tuple[CovariateModel, ...], rows: Any, phi: Any, slope: Any, *, xp: Namespace) -> Nodes:
    """Average over what patients lack, at the nodes of `rule`.

    `rows`: x (patient, covariate) with 0 for what is lacked, blank (patient, covariate) and arm_row; `phi(at)` gives
    the coefficients at places `at`, a number or one a patient, `slope(column)` what the patients' covariate is
    multiplied by, each (..., patient, 1).
    """
    grid, log_grid = rule(models)
    values = {place: rows.x[:, place, None] for place in range(len(spec.covariates))}
    added, log_weight = 0.0, 0.0
    for z, log_z, model in zip(grid, log_grid, models, strict=True):
        blank = rows.blank[:, model.column, None] > 0
        uncounted = ~blank & (rows.blank[:, list(model.earlier)].any(axis=1)[:, None])
        linear = phi(model.first + np.searchsorted(model.arms, rows.arm_row))
        for place, column in enumerate(model.earlier):
            standard = (values[column] - model.middle[column]) / model.spread[column]
            linear = linear + phi(model.first + len(model.arms) + place) * standard
        if model.two_valued:
            value, log_law = _two_valued(spec.covariates[model.name], values[model.column], blank, z, linear, xp=xp)
            log_node = np.where(blank, 0.0, -np.log(2.0))
        else:
            sd = xp.exp(phi(model.first + len(model.mean) - 1))
            value, log_law = _normal(model, values[model.column], blank, z, linear, sd, xp=xp)
            log_node = log_z
        added = added + xp.where(blank, slope(model.column) * value, 0.0)
        # a normal node has its law's share already
        given = uncounted | (blank & model.two_valued)
        log_weight = log_weight + xp.where(given, log_law, 0.0) + log_node
        values[model.column] = value
    top = xp.max(log_weight)
    total = top[..., 0] + xp.log(xp.sum(xp.exp(log_weight - top)))
    return Nodes(added, log_weight - total[..., None], total)


def _two_valued(
    term: Covariate, value_known: Any, blank: Any, z: Array, linear: Any, *, xp: Namespace
) -> tuple[Any, Any]:
    """Value at each node, on the scale of the coefficients, and log p of it; what is known is so at every node."""
    low, high = term.scaled(np.array([0.0, 1.0]))
    has = xp.where(blank, z, (value_known - low) / (high - low))
    return low + (high - low) * has, has * linear - xp.softplus(linear)


def _normal(
    model: CovariateModel, value_known: Any, blank: Any, z: Array, linear: Any, sd: Any, *, xp: Namespace
) -> tuple[Any, Any]:
    """The same; log density of what is known, per standardised unit."""
    middle, spread = model.middle[model.column], model.spread[model.column]
    away = ((value_known - middle) / spread - linear) / sd
    value = xp.where(blank, middle + spread * (linear + sd * z), value_known)
    return value, -0.5 * away**2 - xp.log(sd) - HALF_LOG_TWO_PI
