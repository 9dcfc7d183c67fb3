"""Each study is held against the others: level, shape and contrast beside what all other studies predict for it.

Two stages: what an arm alone says is a normal (`arm_normals`), levels and effects are normal, so that given the
standard deviations between studies everything is. Those are integrated over a grid of their priors, weighted by what
the other studies say: the study judged plays no part in what is predicted for it, and no refit is needed. The same
normals test whether treatments differ in shape, and whether studies differ more than the priors of the spec expect.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from bayes_bm.checks.arm_normals import ArmNormals, arm_normals, linear_rows
from bayes_bm.evidence.hazard_ratios import averaged_ratios
from bayes_bm.inference.result import Result
from bayes_bm.model.design import DEVIATION_VARIANCE
from bayes_bm.runtime.random_stages import RandomStage, random_stream
from bayes_bm.runtime.types import Array
from bayes_bm.spec.prior_distributions import scipy_distribution
from bayes_bm.spec.priors import Prior

GRID = 7
"""Quantiles of the prior of each standard deviation."""
WIDEST = 1.5
"""A direction that a study alone knows to a worse standard deviation is not judged."""
DRAWS = 4000
"""Worlds drawn from the spec's priors, that the scores of heterogeneity are held against."""
SPREAD = 10.0
"""Standard deviation that stands for a prior without a finite one, or for none."""
CONTRAST = "contrast of a study"
"""Question whose sign EXCHANGED asks about."""
EXCHANGED = "treatments of a study exchanged"
"""Question whether a study's contrast goes against the sign that the others predict."""
COLUMNS = ("question", "study", "treatment", "found", "expected_sd", "p")
"""Columns of `study_checks` and `unit_checks`."""


@dataclass(frozen=True)
class Normal:
    """Hold y ~ N(fixed . beta, 1 + sd_u^2 U U' + sd_v^2 V V' + sd_d^2 D D' / 2), rows by study.

    level, shape (row, study) and deviation (row, pair) say which effect a row reads; `by_treatment` (row, treatment)
    the shape of each treatment's arms, which the model may hold equal.
    """

    y: Array
    study: Array
    fixed: Array
    prior_mean: Array
    prior_sd: Array
    level: Array
    shape: Array
    deviation: Array
    by_treatment: Array


def study_checks(result: Result) -> pd.DataFrame:
    """Return p values by question: a study's level, shape, contrast and exchanged treatments, shapes, heterogeneity.

    `found` is how far a study's own is from what the others predict, on the log hazard scale (log shape for shapes),
    `expected_sd` the standard deviation of that prediction with the study's own error. Two-sided, but heterogeneity
    (more than the priors expect) and treatments exchanged (a contrast against the sign that the others predict).
    """
    normal = _normal(result, arm_normals(result))
    if len(normal.y) < 2:
        return pd.DataFrame(columns=list(COLUMNS))
    nodes = _nodes(result)
    covariances = np.stack([_covariance(normal, sds) for sds in nodes])
    rows = _each_study(result, normal, covariances)
    rows += _shapes_by_treatment(result, normal, covariances)
    rows += _heterogeneity(result, normal, covariances)
    return pd.DataFrame(rows, columns=list(COLUMNS))


# ---------------------------------------------------------------------------------------------- the normal


def _normal(result: Result, sites: ArmNormals) -> Normal:
    """Put the normals of all arms and the printed ratios into one linear model."""
    design, spec, evidence = result.inputs.design, result.spec, result.evidence
    ratios = spec.proportional and not averaged_ratios(evidence.hazard_ratios, spec).any()
    # biases stand at their posterior means
    bias = result.predictors.draws.bias.mean(axis=0)
    rows = linear_rows(design, sites, evidence, bias, ratios=ratios)
    names = sorted({*design.studies, *rows.study})
    places = {name: index for index, name in enumerate(names)}
    columns = [places[name] for name in design.studies]
    level, shape = np.zeros((2, len(rows.y), len(names)))
    level[:, columns], shape[:, columns] = rows.blocks["study_effect"], rows.blocks["study_log_shape"]
    common = _shared_priors(result)
    mean, sd = (np.concatenate([common[name][index] for name in common]) for index in (0, 1))
    return Normal(
        y=rows.y,
        study=np.array([places[name] for name in rows.study], dtype=int),
        fixed=np.concatenate([rows.blocks[name] for name in common], axis=1),
        prior_mean=mean,
        prior_sd=sd,
        level=level,
        shape=shape,
        deviation=rows.blocks["study_treatment_effect"],
        by_treatment=rows.shape_by_treatment,
    )


def _shared_priors(result: Result) -> dict[str, tuple[Array, Array]]:
    """Return prior mean and sd of every parameter that all studies share."""
    spec, compared = result.spec, len(result.inputs.design.compared)
    shape = spec.hazard.varies
    effect = spec.hazard.treatment_effect
    moments = {} if spec.free_levels else {"intercept": moments_of(spec.priors.intercept)}
    moments["log_hr"] = moments_of(getattr(spec.priors, effect), compared)
    if shape is not None and not spec.free_shapes:
        moments["log_shape"] = moments_of(getattr(spec.priors, shape))
    if spec.priors.treatment_log_shape is not None:
        moments["treatment_log_shape"] = moments_of(spec.priors.treatment_log_shape, compared)
    return moments


def moments_of(prior: Prior | None, size: int = 1) -> tuple[Array, Array]:
    """Return mean and sd of a prior, so many times; a wide one where there is none, or its sd is infinite."""
    if prior is None:
        return np.zeros(size), np.full(size, SPREAD)
    distribution = scipy_distribution(prior)
    sd = float(distribution.std())
    return np.full(size, float(distribution.mean())), np.full(size, sd if np.isfinite(sd) else SPREAD)


def quantiles_of(prior: Prior | None) -> Array:
    """Return equally likely values of a standard deviation (node,); zero where it has no prior."""
    if prior is None:
        return np.zeros(1)
    return np.asarray(scipy_distribution(prior).ppf((np.arange(GRID) + 0.5) / GRID))


def _nodes(result: Result) -> Array:
    """Return equally likely triples of the standard deviations (node, level shape deviation)."""
    effects, priors = result.spec.effects, result.spec.priors

    def values(effect: Any, free: Prior | None) -> Array:
        if effect is None:
            return np.zeros(1)
        if effect.sd is None:
            sd = float(scipy_distribution(free).std()) if free is not None else SPREAD
            return np.array([sd if np.isfinite(sd) else SPREAD])
        return quantiles_of(effect.sd)

    shape = priors.log_shape if result.spec.hazard.varies == "log_shape" else None
    axes = [
        values(effects.study, priors.intercept),
        values(effects.study_shape, shape),
        values(effects.study_treatment, None),
    ]
    return np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)


def _covariance(normal: Normal, sds: Array) -> Array:
    """Return the covariance of the rows given the standard deviations and the common parameters (row, row)."""
    level, shape, deviation = normal.level, normal.shape, normal.deviation
    deviation_covariance = DEVIATION_VARIANCE * deviation @ deviation.T
    covariance = np.eye(len(normal.y)) + sds[0] ** 2 * level @ level.T + sds[1] ** 2 * shape @ shape.T
    return covariance + sds[2] ** 2 * deviation_covariance


# ---------------------------------------------------------------------------------------------- study by study


def _each_study(result: Result, normal: Normal, covariances: Array) -> list[dict[str, Any]]:
    """Return the rows of every study's level, shape and contrast against what the others predict."""
    mean = normal.fixed @ normal.prior_mean
    whole = covariances + (normal.fixed * normal.prior_sd**2) @ normal.fixed.T
    rest_of_all = normal.y - mean
    joint = row_joint(rest_of_all, whole)
    names = sorted({*result.inputs.design.studies, *result.evidence.hazard_ratios["study"]})
    rows = []
    for index, name in enumerate(names):
        study_rows = normal.study == index
        if not study_rows.any() or study_rows.all():
            continue
        predicted, spread, weight = predicted_by_others(rest_of_all[study_rows], joint, study_rows)
        rest = rest_of_all[study_rows] - predicted
        study_covariance = (spread - np.eye(int(study_rows.sum()))) * weight[:, None, None]
        typical = np.linalg.inv(study_covariance.sum(axis=0) + np.eye(int(study_rows.sum())))
        for question, direction, nuisance in _directions(result, normal, study_rows, index):
            shift = _shift_along(direction, nuisance, typical, rest, spread, weight)
            if shift is None:
                continue
            rows.append({"question": question, "study": name, "treatment": "", **shift.row(min(shift.sides) * 2)})
            if question == CONTRAST and _two_treatments(result, name):
                expected = float(weight @ ((mean[study_rows] + predicted) @ shift.along))
                p = shift.sides[0] if expected > 0 else shift.sides[1]
                rows.append({"question": EXCHANGED, "study": name, "treatment": "", **shift.row(p)})
    return rows


def _two_treatments(result: Result, study: str) -> bool:
    """Return whether a study holds the reference and one other treatment alone.

    Its contrast is then theirs, and the sign turns where they are exchanged.
    """
    design, ratios = result.inputs.design, result.evidence.hazard_ratios
    arms = []
    if study in design.studies:
        arms = design.arm_treatment[design.arm_study == list(design.studies).index(study)]
    printed = ratios.loc[ratios["study"] == study, ["treatment", "reference"]].to_numpy().ravel()
    held = {design.treatments[treatment] for treatment in arms} | set(printed)
    return len(held) == 2 and design.treatments[0] in held


class Prediction(NamedTuple):
    """Hold what the others predict for a study: mean (node, row), covariance (node, row, row), each node's weight."""

    mean: Array
    covariance: Array
    weight: Array


class Joint(NamedTuple):
    """Hold precision, precision times distance from the mean, its squares and log determinant of all rows, by node."""

    precision: Array
    weighed: Array
    squares: Array
    log_determinant: Array


def row_joint(rest: Array, whole: Array) -> Joint:
    """Return what the others of any study say, but for small matrices of its own rows."""
    weighed = (precision := np.linalg.inv(whole)) @ rest
    return Joint(precision, weighed, weighed @ rest, np.linalg.slogdet(whole)[1])


def predicted_by_others(rest: Array, joint: Joint, study_rows: Array) -> Prediction:
    """Predict the rows of a study, whose own are `rest`, from those of the others, at each node."""
    own_precision = joint.precision[:, study_rows][:, :, study_rows]
    covariance = np.linalg.inv(own_precision)
    weighed = joint.weighed[:, study_rows]
    distance = np.einsum("tij,tj->ti", covariance, weighed)
    squares = joint.squares - np.sum(weighed * distance, axis=1)
    log_weight = -0.5 * (squares + joint.log_determinant + np.linalg.slogdet(own_precision)[1])
    weight = np.exp(log_weight - log_weight.max())
    return Prediction(mean=rest - distance, covariance=covariance, weight=weight / weight.sum())


class _Direction(NamedTuple):
    """Hold what may be off in a study (row,), and what else may be besides (`nuisance`, each (row,))."""

    question: str
    direction: Array
    nuisance: list[Array]


def _directions(result: Result, normal: Normal, study_rows: Array, index: int) -> list[_Direction]:
    """Return the directions along which a study is judged."""
    level, shape = normal.level[study_rows, index], normal.shape[study_rows, index]
    # of the reference's deviation a contrast is the other side
    compared = [treatment != result.spec.treatments.reference for _, treatment in result.inputs.design.pairs]
    contrast = normal.deviation[study_rows][:, compared].sum(axis=1)
    if not normal.deviation.shape[1]:
        first = 0 if result.spec.free_levels else 1
        contrast = normal.fixed[study_rows][:, first : first + len(result.inputs.design.compared)].sum(axis=1)
    directions = [_Direction(CONTRAST, contrast, [level, shape])]
    if not result.spec.free_levels:
        directions.append(_Direction("level of a study", level, []))
    if result.spec.hazard.varies is not None and not result.spec.free_shapes:
        directions.append(_Direction("shape of a study", shape, [level]))
    return directions


class _Shift(NamedTuple):
    """Say how far off a study is along a direction, `along` @ rows, and the chances of less and of more (`sides`)."""

    distance: float
    expected_sd: float
    sides: tuple[float, float]
    along: Array

    def row(self, p: float) -> dict[str, float]:
        """Return the numbers of a row, with the p that its question asks for."""
        return {"found": self.distance, "expected_sd": self.expected_sd, "p": min(1.0, p)}


def _shift_along(
    direction: Array, nuisance: list[Array], typical: Array, rest: Array, spread: Array, weight: Array
) -> _Shift | None:
    """Return the shift along a direction by generalised least squares with the typical covariance.

    None where the study alone says too little about it.
    """
    information = _without_nuisance(direction, nuisance, np.eye(len(direction)))
    if information @ direction < WIDEST**-2:
        return None
    weights = _without_nuisance(direction, nuisance, typical)
    size = float(weights @ direction)
    if not size > 1e-9:
        return None
    shift = rest @ weights / size
    sd = np.sqrt(np.einsum("i,tij,j->t", weights, spread, weights)) / size
    lower_tail = float(weight @ stats.norm.cdf(shift / sd))
    upper_tail = float(weight @ stats.norm.sf(shift / sd))
    centre = float(weight @ shift)
    expected_sd = float(np.sqrt(weight @ (sd**2 + (shift - centre) ** 2)))
    return _Shift(centre, expected_sd, (lower_tail, upper_tail), weights / size)


def _without_nuisance(direction: Array, nuisance: list[Array], metric: Array) -> Array:
    """Return metric . direction, less what the nuisance directions explain of it (row,)."""
    informed = [effect for effect in nuisance if effect @ metric @ effect > 1e-9]
    if not informed:
        return metric @ direction
    others = np.stack(informed, axis=1)
    weights = np.linalg.lstsq(others.T @ metric @ others, others.T @ metric @ direction, rcond=1e-9)[0]
    return metric @ (direction - others @ weights)


def unit_checks(result: Result, studies: pd.DataFrame) -> pd.DataFrame:
    """Ask whether a study is on another clock, weeks given as months: times and level would then be off together.

    The last time a study speaks about against those of the others (Student's t on the log), and its level from
    `studies` (of `study_checks`), one-sided in the direction that a wrong unit moves both; Fisher's sum of the two,
    which are independent where the unit is right. `found` is the log of the ratio of its last time to the others'.
    """
    last_times = _last_times(result)
    asked = studies[studies["question"] == "level of a study"]
    level = {row["study"]: (row["p"], row["found"]) for row in asked.to_dict("records")}
    rows = []
    for name, last_time in last_times.items():
        others = np.log(last_times.drop(index=name).to_numpy())
        if len(others) < FEWEST or name not in level:
            continue
        mean, sd = others.mean(), others.std(ddof=1)
        gap = float(np.log(last_time) - mean)
        t = gap / (sd * np.sqrt(1 + 1 / len(others)))
        p, shift = level[str(name)]
        both = []
        # times too long go with a hazard too low
        for side in (1.0, -1.0):
            level_tail = p / 2 if side * shift < 0 else 1 - p / 2
            time_tail = stats.t.sf(side * t, len(others) - 1)
            both.append(stats.chi2.sf(-2 * (np.log(max(level_tail, 1e-12)) + np.log(max(time_tail, 1e-12))), 4))
        numbers = {"found": gap, "expected_sd": float(sd), "p": float(min(1.0, 2 * min(both)))}
        rows.append({"question": "time unit of a study", "study": name, "treatment": "", **numbers})
    return pd.DataFrame(rows, columns=list(COLUMNS))


FEWEST = 4
"""Other studies that a last time is compared with."""


def _last_times(result: Result) -> pd.Series:
    """Return the last time that any row of a study speaks about, follow-up included, by study."""
    evidence = result.evidence
    studies = evidence.arms["study"]
    times = [evidence.arms.assign(last=evidence.arms["followup"].astype(float))[["study", "last"]]]
    for table in (evidence.patients, evidence.sequences, evidence.medians, evidence.counts):
        rows = table["arm_row"].astype(int)
        named = studies.iloc[rows].to_numpy()
        times.append(pd.DataFrame({"study": named, "last": table["time"].astype(float).to_numpy()}))
    latest = pd.concat(times).dropna().groupby("study")["last"].max()
    return latest[latest > 0]


# ---------------------------------------------------------------------------------------------- all studies


def _shapes_by_treatment(result: Result, normal: Normal, covariances: Array) -> list[dict[str, Any]]:
    """Test a shape of its own for each compared treatment by its score, in a model that holds shapes equal."""
    if result.spec.priors.treatment_log_shape is not None or result.spec.hazard.varies is None:
        return []
    weight = _node_weights(normal, covariances)
    project = _projector(normal.fixed, np.einsum("t,tij->ij", weight, covariances))
    rows = []
    for index, name in enumerate(result.inputs.design.compared, start=1):
        direction = normal.by_treatment[:, index]
        a = project @ direction
        size = float(a @ direction)
        if size < WIDEST**-2:
            continue
        shift = float(a @ normal.y) / size
        sd = np.sqrt(np.einsum("i,tij,j->t", a, covariances, a)) / size
        p = float(weight @ (2 * stats.norm.sf(abs(shift) / sd)))
        numbers = {"found": shift, "expected_sd": float(np.sqrt(weight @ sd**2)), "p": p}
        rows.append({"question": "shape of a treatment", "study": "", "treatment": name, **numbers})
    return rows


def _node_weights(normal: Normal, covariances: Array) -> Array:
    """Return the weight of each node of the standard deviations, from all rows (node,)."""
    whole = covariances + (normal.fixed * normal.prior_sd**2) @ normal.fixed.T
    factor = np.linalg.cholesky(whole)
    rest = (normal.y - normal.fixed @ normal.prior_mean)[:, None]
    white = np.linalg.solve(factor, np.broadcast_to(rest, (len(whole), *rest.shape)))
    log_weight = -0.5 * np.sum(white**2, axis=(1, 2)) - np.log(np.einsum("tii->ti", factor)).sum(axis=1)
    weight = np.exp(log_weight - log_weight.max())
    return weight / weight.sum()


def _projector(fixed: Array, covariance: Array) -> Array:
    """Return inverse covariance less what the common parameters explain: it takes any value of them to zero."""
    inverse = np.linalg.inv(covariance)
    middle = np.linalg.pinv(fixed.T @ inverse @ fixed, rcond=1e-10, hermitian=True)
    return inverse - inverse @ fixed @ middle @ fixed.T @ inverse


def _heterogeneity(result: Result, normal: Normal, covariances: Array) -> list[dict[str, Any]]:
    """Hold score statistics of the variances between studies against worlds drawn from the priors; large is off."""
    rng = random_stream(result.spec.seed, RandomStage.STUDY_VARIANCES)
    project = _projector(normal.fixed, covariances.mean(axis=0))
    factors = np.linalg.cholesky(covariances)
    node = rng.integers(len(covariances), size=DRAWS)
    drawn = np.einsum("dij,dj->di", factors[node], rng.standard_normal((DRAWS, len(normal.y)))) @ project
    seen = project @ normal.y
    rows = []
    asked = {
        "level": (normal.level, not result.spec.free_levels and result.spec.effects.study is not None),
        "shape": (normal.shape, result.spec.hazard.varies is not None and not result.spec.free_shapes),
        "contrast": (normal.deviation, result.spec.effects.study_treatment is not None),
    }
    for name, (design, allowed) in asked.items():
        if not allowed or np.trace(design.T @ project @ design) < 3 * WIDEST**-2:
            continue
        score, replicate = float(np.sum((seen @ design) ** 2)), np.sum((drawn @ design) ** 2, axis=1)
        p = float((np.sum(replicate >= score) + 1) / (DRAWS + 1))
        numbers = {"found": float(np.sqrt(score / replicate.mean())), "expected_sd": 1.0, "p": p}
        rows.append({"question": f"heterogeneity of {name}", "study": "", "treatment": "", **numbers})
    return rows
