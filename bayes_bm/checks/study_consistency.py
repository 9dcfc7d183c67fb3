"""Each study against the others: its level, shape and contrast beside what all other studies predict for it.

Two stages: what an arm alone says is a normal (`sites`), levels and effects are normal, so that given the standard
deviations between studies everything is. Those are integrated over a grid of their priors, weighted by what the other
studies say: the study judged plays no part in what is predicted for it, and no refit is needed. The same normals test
whether treatments differ in shape, and whether studies differ more than the priors of the spec expect.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from bayes_bm.checks.arm_normals import ArmNormals, arm_normals, whitened_ratios
from bayes_bm.evidence.hazard_ratios import averaged_ratios
from bayes_bm.inference.result import Result
from bayes_bm.model.design import pair_cholesky
from bayes_bm.runtime.random_stages import RandomStage, random_stream
from bayes_bm.runtime.types import Array
from bayes_bm.spec.prior_distributions import scipy_distribution
from bayes_bm.spec.priors import Prior

GRID = 7
"""Quantiles of the prior of each standard deviation."""
WIDEST = 1.5
"""A direction that a study alone knows to a worse standard deviation is not judged."""
DRAWS = 4000
SPREAD = 10.0
CONTRAST, EXCHANGED = "contrast of a study", "treatments of a study exchanged"
COLUMNS = ("question", "study", "treatment", "found", "expected_sd", "p")


@dataclass(frozen=True)
class Normal:
    """y ~ N(fixed . beta, 1 + sd_u^2 U U' + sd_v^2 V V' + sd_d^2 D R D'), rows by study.

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
    correlation: Array
    by_treatment: Array


def study_checks(result: Result) -> pd.DataFrame:
    """p values by question: level, shape, contrast (study), treatments exchanged, shape by treatment, heterogeneity.

    `found` is how far a study's own is from what the others predict, on the log hazard scale (log shape for shapes),
    `expected_sd` the standard deviation of that prediction with the study's own error. Two-sided, but heterogeneity
    (more than the priors expect) and treatments exchanged (a contrast against the sign that the others predict).
    """
    of = _normal(result, arm_normals(result))
    if len(of.y) < 2:
        return pd.DataFrame(columns=list(COLUMNS))
    nodes = _nodes(result)
    covariances = np.stack([_covariance(of, sds) for sds in nodes])
    rows = _each_study(result, of, covariances)
    rows += _shapes_by_treatment(result, of, covariances)
    rows += _heterogeneity(result, of, covariances)
    return pd.DataFrame(rows, columns=list(COLUMNS))


# ---------------------------------------------------------------------------------------------- the normal


def _normal(result: Result, sites: ArmNormals) -> Normal:
    of, spec, evidence = result.inputs.design, result.spec, result.evidence
    linear = spec.proportional and len(evidence.hr_cholesky) and not averaged_ratios(evidence.hazard_ratios, spec).any()
    ratios = evidence.hazard_ratios if linear else evidence.hazard_ratios.iloc[:0]
    names = sorted({*of.studies, *ratios["study"]})
    place = {name: at for at, name in enumerate(names)}
    treatments, pairs = len(of.treatments), len(of.pairs)
    eta, kappa = sites.slope[:, 0], sites.slope[:, 1]
    arm = sites.arm
    own = np.array([place[of.studies[study]] for study in of.arm_study[arm]], dtype=int)
    by_study, by_treatment = np.eye(len(names))[own], np.eye(treatments)[of.arm_treatment[arm]]
    by_pair = np.eye(pairs + 1)[of.arm_pair[arm]][:, 1:]
    common = _common(result)
    blocks = {
        "intercept": eta[:, None],
        "log_hr": eta[:, None] * by_treatment[:, 1:],
        "log_shape": kappa[:, None],
        "treatment_log_shape": kappa[:, None] * by_treatment[:, 1:],
    }
    fixed = np.concatenate([blocks[name] for name in common], axis=1)
    # biases stand at their posterior means
    bias = result.predictors.draws.bias.mean(axis=0)
    y = sites.value - eta * (of.arm_bias @ bias)[arm]
    level, shape = eta[:, None] * by_study, kappa[:, None] * by_study
    deviation, shapes = eta[:, None] * by_pair, kappa[:, None] * by_treatment
    study = own
    if len(ratios):
        rows = _ratio_rows(result, place, treatments, list(common))
        y, study = np.concatenate([y, rows["y"]]), np.concatenate([study, rows["study"]])
        fixed = np.concatenate([fixed, rows["fixed"]])
        level, shape = (np.concatenate([one, np.zeros((len(rows["y"]), len(names)))]) for one in (level, shape))
        deviation = np.concatenate([deviation, rows["deviation"]])
        shapes = np.concatenate([shapes, np.zeros((len(rows["y"]), treatments))])
    mean, sd = (np.concatenate([common[name][at] for name in common]) for at in (0, 1))
    root = pair_cholesky([name for name, _ in of.pairs])
    return Normal(y, study, fixed, mean, sd, level, shape, deviation, root @ root.T, shapes)


def _ratio_rows(result: Result, place: dict[str, int], treatments: int, common: list[str]) -> dict[str, Array]:
    """Printed log hazard ratios, whitened: each informs a contrast alone."""
    of, table = result.inputs.design, result.evidence.hazard_ratios
    y, by_treatment, by_pair = whitened_ratios(of, result.evidence, result.predictors.draws.bias.mean(axis=0))
    width = {"intercept": 1, "log_hr": treatments - 1, "log_shape": 1, "treatment_log_shape": treatments - 1}
    blocks = [by_treatment if name == "log_hr" else np.zeros((len(table), width[name])) for name in common]
    return {
        "y": y,
        "study": np.array([place[name] for name in table["study"]], dtype=int),
        "fixed": np.concatenate(blocks, axis=1),
        "deviation": by_pair,
    }


def _common(result: Result) -> dict[str, tuple[Array, Array]]:
    """Prior mean and sd of every parameter that all studies share."""
    spec, compared = result.spec, len(result.inputs.design.compared)
    shape = spec.hazard.varies

    def law(prior: Prior | None, size: int = 1) -> tuple[Array, Array]:
        if prior is None:
            return np.zeros(size), np.full(size, SPREAD)
        of = scipy_distribution(prior)
        sd = float(of.std())
        return np.full(size, float(of.mean())), np.full(size, sd if np.isfinite(sd) else SPREAD)

    effect = spec.hazard.treatment_effect
    found = {} if spec.free_levels else {"intercept": law(spec.priors.intercept)}
    found["log_hr"] = law(getattr(spec.priors, effect), compared)
    if shape is not None and not spec.free_shapes:
        found["log_shape"] = law(getattr(spec.priors, shape))
    if spec.priors.treatment_log_shape is not None:
        found["treatment_log_shape"] = law(spec.priors.treatment_log_shape, compared)
    return found


def _nodes(result: Result) -> Array:
    """Equally likely triples of the standard deviations (node, level shape deviation)."""
    effects, priors = result.spec.effects, result.spec.priors

    def values(effect: Any, free: Prior | None) -> Array:
        if effect is None:
            return np.zeros(1)
        if effect.sd is None:
            sd = float(scipy_distribution(free).std()) if free is not None else SPREAD
            return np.array([sd if np.isfinite(sd) else SPREAD])
        return np.asarray(scipy_distribution(effect.sd).ppf((np.arange(GRID) + 0.5) / GRID))

    shape = priors.log_shape if result.spec.hazard.varies == "log_shape" else None
    axes = [
        values(effects.study, priors.intercept),
        values(effects.study_shape, shape),
        values(effects.study_treatment, None),
    ]
    return np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)


def _covariance(of: Normal, sds: Array) -> Array:
    """Of the rows given the standard deviations and the common parameters."""
    between = of.deviation @ of.correlation @ of.deviation.T if of.deviation.shape[1] else 0.0
    found = np.eye(len(of.y)) + sds[0] ** 2 * of.level @ of.level.T + sds[1] ** 2 * of.shape @ of.shape.T
    return found + sds[2] ** 2 * between


# ---------------------------------------------------------------------------------------------- study by study


def _each_study(result: Result, of: Normal, covariances: Array) -> list[dict[str, Any]]:
    mean = of.fixed @ of.prior_mean
    whole = covariances + (of.fixed * of.prior_sd**2) @ of.fixed.T
    names = sorted({*result.inputs.design.studies, *result.evidence.hazard_ratios["study"]})
    rows = []
    for at, name in enumerate(names):
        mine = of.study == at
        if not mine.any() or mine.all():
            continue
        predicted, spread, weight = _from_others(of.y - mean, whole, mine)
        rest = of.y[mine] - mean[mine] - predicted
        between = (spread - np.eye(int(mine.sum()))) * weight[:, None, None]
        typical = np.linalg.inv(between.sum(axis=0) + np.eye(int(mine.sum())))
        for question, direction, nuisance in _directions(result, of, mine, at):
            judged = _judged(direction, nuisance, typical, rest, spread, weight)
            if judged is None:
                continue
            rows.append({"question": question, "study": name, "treatment": "", **judged.row(min(judged.sides) * 2)})
            if question == CONTRAST and _two_treatments(result, name):
                expected = float(weight @ ((mean[mine] + predicted) @ judged.along))
                p = judged.sides[0] if expected > 0 else judged.sides[1]
                rows.append({"question": EXCHANGED, "study": name, "treatment": "", **judged.row(p)})
    return rows


def _two_treatments(result: Result, study: str) -> bool:
    """The reference and one other: then its contrast is theirs, and the sign turns where they are exchanged."""
    of, ratios = result.inputs.design, result.evidence.hazard_ratios
    arms = of.arm_treatment[of.arm_study == list(of.studies).index(study)] if study in of.studies else []
    printed = ratios.loc[ratios["study"] == study, ["treatment", "reference"]].to_numpy().ravel()
    held = {of.treatments[at] for at in arms} | set(printed)
    return len(held) == 2 and of.treatments[0] in held


def _from_others(rest: Array, whole: Array, mine: Array) -> tuple[Array, Array, Array]:
    """Given the other studies: mean (node, mine) and covariance (node, mine, mine), and the weight of each node."""
    other = ~mine
    factor = np.linalg.cholesky(whole[:, other][:, :, other])
    white = np.linalg.solve(factor, np.broadcast_to(rest[other][:, None], (len(whole), int(other.sum()), 1)))
    cross = np.linalg.solve(factor, whole[:, other][:, :, mine])
    log_weight = -0.5 * np.sum(white**2, axis=(1, 2)) - np.log(np.einsum("tii->ti", factor)).sum(axis=1)
    weight = np.exp(log_weight - log_weight.max())
    turned = cross.transpose(0, 2, 1)
    return (turned @ white)[..., 0], whole[:, mine][:, :, mine] - turned @ cross, weight / weight.sum()


def _directions(result: Result, of: Normal, mine: Array, at: int) -> list[tuple[str, Array, list[Array]]]:
    """What may be off in a study, and what else may be: (question, direction, nuisance directions)."""
    level, shape = of.level[mine, at], of.shape[mine, at]
    contrast = of.deviation[mine].sum(axis=1)
    if not of.deviation.shape[1]:
        compared = 1 if result.spec.free_levels else 2
        contrast = of.fixed[mine][:, compared - 1 : compared - 1 + len(result.inputs.design.compared)].sum(axis=1)
    found = [(CONTRAST, contrast, [level, shape])]
    if not result.spec.free_levels:
        found.append(("level of a study", level, []))
    if result.spec.hazard.varies is not None and not result.spec.free_shapes:
        found.append(("shape of a study", shape, [level]))
    return found


class _Shift(NamedTuple):
    """How far off a study is along a direction, `along` @ rows, and the chances of less and of more."""

    found: float
    expected_sd: float
    sides: tuple[float, float]
    along: Array

    def row(self, p: float) -> dict[str, float]:
        return {"found": self.found, "expected_sd": self.expected_sd, "p": min(1.0, p)}


def _judged(
    direction: Array, nuisance: list[Array], typical: Array, rest: Array, spread: Array, weight: Array
) -> _Shift | None:
    """Shift along a direction, generalised least squares with the typical covariance."""
    known = _apart(direction, nuisance, np.eye(len(direction)))
    if known @ direction < WIDEST**-2:
        return None
    a = _apart(direction, nuisance, typical)
    size = float(a @ direction)
    if not size > 1e-9:
        return None
    shift = rest @ a / size
    sd = np.sqrt(np.einsum("i,tij,j->t", a, spread, a)) / size
    below = float(weight @ stats.norm.cdf(shift / sd))
    above = float(weight @ stats.norm.sf(shift / sd))
    centre = float(weight @ shift)
    return _Shift(centre, float(np.sqrt(weight @ (sd**2 + (shift - centre) ** 2))), (below, above), a / size)


def _apart(direction: Array, nuisance: list[Array], metric: Array) -> Array:
    """metric . direction, less what the nuisance directions explain of it."""
    kept = [one for one in nuisance if one @ metric @ one > 1e-9]
    if not kept:
        return metric @ direction
    others = np.stack(kept, axis=1)
    weights = np.linalg.lstsq(others.T @ metric @ others, others.T @ metric @ direction, rcond=1e-9)[0]
    return metric @ (direction - others @ weights)


def unit_checks(result: Result, studies: pd.DataFrame) -> pd.DataFrame:
    """Is a study on another clock, weeks given as months? Its times and its level would then be off together.

    The last time a study speaks about against those of the others (Student's t on the log), and its level from
    `studies` (of `study_checks`), one-sided in the direction that a wrong unit moves both; Fisher's sum of the two,
    which are independent where the unit is right. `found` is the log of the ratio of its last time to the others'.
    """
    last = _last_times(result)
    asked = studies[studies["question"] == "level of a study"]
    level = {row["study"]: (row["p"], row["found"]) for row in asked.to_dict("records")}
    rows = []
    for name, own in last.items():
        others = np.log(last.drop(index=name).to_numpy())
        if len(others) < FEWEST or name not in level:
            continue
        mean, sd = others.mean(), others.std(ddof=1)
        gap = float(np.log(own) - mean)
        t = gap / (sd * np.sqrt(1 + 1 / len(others)))
        p, shift = level[str(name)]
        both = []
        # times too long go with a hazard too low
        for side in (1.0, -1.0):
            of_level = p / 2 if side * shift < 0 else 1 - p / 2
            of_time = stats.t.sf(side * t, len(others) - 1)
            both.append(stats.chi2.sf(-2 * (np.log(max(of_level, 1e-12)) + np.log(max(of_time, 1e-12))), 4))
        found = {"found": gap, "expected_sd": float(sd), "p": float(min(1.0, 2 * min(both)))}
        rows.append({"question": "time unit of a study", "study": name, "treatment": "", **found})
    return pd.DataFrame(rows, columns=list(COLUMNS))


FEWEST = 4
"""Other studies that a last time is compared with."""


def _last_times(result: Result) -> pd.Series:
    """The last time that any row of a study speaks about, follow-up included, by study."""
    evidence = result.evidence
    studies = evidence.arms["study"]
    times = [evidence.arms.assign(last=evidence.arms["followup"].astype(float))[["study", "last"]]]
    for table in (evidence.patients, evidence.sequences, evidence.medians, evidence.counts):
        rows = table["arm_row"].astype(int)
        named = studies.iloc[rows].to_numpy()
        times.append(pd.DataFrame({"study": named, "last": table["time"].astype(float).to_numpy()}))
    found = pd.concat(times).dropna().groupby("study")["last"].max()
    return found[found > 0]


# ---------------------------------------------------------------------------------------------- all studies


def _shapes_by_treatment(result: Result, of: Normal, covariances: Array) -> list[dict[str, Any]]:
    """Score test of a shape of its own for each compared treatment, in a model that holds shapes equal."""
    if result.spec.priors.treatment_log_shape is not None or result.spec.hazard.varies is None:
        return []
    weight = _evidence_weight(of, covariances)
    project = _projector(of.fixed, np.einsum("t,tij->ij", weight, covariances))
    rows = []
    for at, name in enumerate(result.inputs.design.compared, start=1):
        direction = of.by_treatment[:, at]
        a = project @ direction
        size = float(a @ direction)
        if size < WIDEST**-2:
            continue
        shift = float(a @ of.y) / size
        sd = np.sqrt(np.einsum("i,tij,j->t", a, covariances, a)) / size
        p = float(weight @ (2 * stats.norm.sf(abs(shift) / sd)))
        found = {"found": shift, "expected_sd": float(np.sqrt(weight @ sd**2)), "p": p}
        rows.append({"question": "shape of a treatment", "study": "", "treatment": name, **found})
    return rows


def _evidence_weight(of: Normal, covariances: Array) -> Array:
    whole = covariances + (of.fixed * of.prior_sd**2) @ of.fixed.T
    factor = np.linalg.cholesky(whole)
    rest = (of.y - of.fixed @ of.prior_mean)[:, None]
    white = np.linalg.solve(factor, np.broadcast_to(rest, (len(whole), *rest.shape)))
    log_weight = -0.5 * np.sum(white**2, axis=(1, 2)) - np.log(np.einsum("tii->ti", factor)).sum(axis=1)
    weight = np.exp(log_weight - log_weight.max())
    return weight / weight.sum()


def _projector(fixed: Array, covariance: Array) -> Array:
    """Inverse covariance less what the common parameters explain: takes any value of them to zero."""
    inverse = np.linalg.inv(covariance)
    middle = np.linalg.pinv(fixed.T @ inverse @ fixed, rcond=1e-10, hermitian=True)
    return inverse - inverse @ fixed @ middle @ fixed.T @ inverse


def _heterogeneity(result: Result, of: Normal, covariances: Array) -> list[dict[str, Any]]:
    """Score statistics of the variances between studies against worlds drawn from the spec's priors; large is off."""
    rng = random_stream(result.spec.seed, RandomStage.STUDY_VARIANCES)
    project = _projector(of.fixed, covariances.mean(axis=0))
    factors = np.linalg.cholesky(covariances)
    node = rng.integers(len(covariances), size=DRAWS)
    drawn = np.einsum("dij,dj->di", factors[node], rng.standard_normal((DRAWS, len(of.y)))) @ project
    seen = project @ of.y
    rows = []
    asked = {
        "level": (of.level, not result.spec.free_levels and result.spec.effects.study is not None),
        "shape": (of.shape, result.spec.hazard.varies is not None and not result.spec.free_shapes),
        "contrast": (of.deviation, result.spec.effects.study_treatment is not None),
    }
    for name, (design, allowed) in asked.items():
        if not allowed or np.trace(design.T @ project @ design) < 3 * WIDEST**-2:
            continue
        score, replicate = float(np.sum((seen @ design) ** 2)), np.sum((drawn @ design) ** 2, axis=1)
        p = float((np.sum(replicate >= score) + 1) / (DRAWS + 1))
        found = {"found": float(np.sqrt(score / replicate.mean())), "expected_sd": 1.0, "p": p}
        rows.append({"question": f"heterogeneity of {name}", "study": "", "treatment": "", **found})
    return rows
