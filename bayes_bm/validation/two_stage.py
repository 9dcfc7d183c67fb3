"""A posterior without a Markov chain, for checks that need hundreds of fits: two stages, then importance weights.

First stage: what an arm alone says is a normal (`sites`). Second: given the standard deviations between studies
everything is normal, so parameters and effects are drawn exactly, and the density of the evidence under that
approximation, Z(sd), is known; a sweep of expectation propagation then sharpens the normals where the other arms and
the priors say an arm is. The standard deviations are drawn from a grid of their priors' quantiles by Z. Each draw is
weighted by

    w = Z(sd) p(sd) / q(sd) x L / S,

L the likelihood of the arms (the same functions as in the model) over that of their normals: what is left is the
posterior itself, as far as the weights are even. `pareto_k` (Vehtari et al. 2024, JMLR 25, 72) and the effective size
of the weights stand in the provenance, and the gate fails where k is above 0.7 or the size below `FEWEST`.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from scipy import special

from bayes_bm.checks.arm_normals import ArmNormals, ArmTransform, arm_normals, linear_rows
from bayes_bm.checks.pareto_smoothing import HIGH_K, pareto_smoothed, resampled
from bayes_bm.evidence.hazard_ratios import averaged_ratios
from bayes_bm.evidence.records import Evidence
from bayes_bm.inference.gate import Gate
from bayes_bm.inference.log_likelihood import pointwise_log_likelihood
from bayes_bm.inference.result import Result
from bayes_bm.model.design import DEVIATION_VARIANCE, Design, make_design
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.random_stages import RandomStage, random_stream
from bayes_bm.runtime.types import Array
from bayes_bm.spec.document import Spec
from bayes_bm.spec.prior_distributions import scipy_distribution
from bayes_bm.spec.priors import Normal, Prior

GRID = 9
"""Number of quantiles of the prior of each standard deviation, the axis of the grid."""
DEFENSIVE = 0.1
"""Share of the standard deviations drawn from the prior alone, so that no weight is without bound."""
PROPOSALS = 8000
"""Number of draws that are weighed; half as many are kept."""
CHAINS = 4
"""Number of chains that the kept draws are laid out in, as those of a sampler."""
SWEEPS = 1
"""Number of sweeps of expectation propagation over the arms."""
SWEPT = 2000
"""Number of draws of the second stage from which a sweep takes what the other arms say."""
LEAST_REMAINING = 0.05
"""Share of an arm's precision that has to come from elsewhere; below it the site says nearly all that is known."""
FEWEST = 200
"""Effective number of weighed draws below which the gate fails."""
SDS = ("study", "study_shape", "study_treatment")
"""Effects whose standard deviations between studies stand on the axes of the grid."""
NAMES = ("study_sd", "study_shape_sd", "study_treatment_sd")
"""Names of those standard deviations in the posterior."""


@dataclass(frozen=True)
class _Linear:
    """Hold y = design . x + N(0, 1); x ~ N(mean, diag(1 / precision)).

    `block` (column,) is -1 for a parameter all studies share, else which standard deviation it has: `precision` is then
    that of an effect whose standard deviation is 1.
    """

    y: Array
    design: Array
    mean: Array
    precision: Array
    block: Array
    names: tuple[tuple[str, str], ...]


def two_stage_fit(spec: Spec, evidence: Evidence, *, seed: int | None = None, proposals: int = PROPOSALS) -> Result:
    """Return a result like that of `fit`, for Weibull and exponential models with normal priors.

    It has `proposals` / 2 draws. Raises InputError for models it does not know: free levels or shapes, other families,
    interactions, several covariates, treatments that differ in shape.
    """
    _require_normal_model(spec)
    if spec.case_mixes or len(evidence.prognostic_ratios):
        found = "case_mix" if spec.case_mixes else "prognostic_ratios"
        raise InputError(found, found="a model that two stages do not know", allowed="a fit by sampling")
    if averaged_ratios(evidence.hazard_ratios, spec).any():
        raise InputError(
            "hazard_ratios",
            found="crude ratios, averaged over their studies' covariates",
            allowed="ratios adjusted for every covariate, or of studies that do not state them",
        )
    rng = random_stream(spec.seed if seed is None else seed, RandomStage.TWO_STAGE_FIT)
    start = _start(spec, evidence)
    sites = arm_normals(start, coefficients=True)
    for _ in range(SWEEPS):
        sites = arm_normals(start, coefficients=True, cavities=_cavities(start, sites, rng))
    linear = _linear(spec, start.inputs.design, sites, evidence)
    sds, log_ratio = _drawn_sds(spec, linear, proposals, rng)
    x, log_evidence = _given_sds(linear, sds, rng)
    log_weight = log_evidence + log_ratio
    proposed = replace(start, posterior=_posterior(spec, start.inputs.design, linear, x, sds))
    log_weight = log_weight + _log_likelihood(proposed) - _log_sites(proposed, sites)
    smooth, k = pareto_smoothed(log_weight)
    weight = np.exp(smooth)
    chosen = resampled(weight, proposals // 2, rng)
    size = float(1 / np.sum(weight**2))
    reasons = [f"Pareto k of the weights is {k:.2f} (allowed: at most {HIGH_K})"] if not k <= HIGH_K else []
    reasons += [f"effective size of the weights is {size:.0f} (allowed: at least {FEWEST})"] if size < FEWEST else []
    return Result(
        spec=spec,
        evidence=evidence,
        posterior=_posterior(spec, start.inputs.design, linear, x[chosen], sds[chosen]),
        sample_stats=xr.Dataset(),
        stored_log_likelihood=xr.Dataset(),
        observed_data=xr.Dataset(),
        gate=Gate((), 0, len(chosen), float("inf"), 0.0, tuple(reasons)),
        provenance={"method": "two stages, importance weights", "pareto_k": k, "effective": size, "seed": spec.seed},
    )


def _cavities(start: Result, sites: ArmNormals, rng: np.random.Generator) -> list[ArmTransform]:
    """What the other arms and the priors say of each arm: its normal in the second stage, less its own site."""
    spec, evidence = start.spec, start.evidence
    linear = _linear(spec, start.inputs.design, sites, evidence)
    sds, log_ratio = _drawn_sds(spec, linear, SWEPT, rng)
    x, log_evidence = _given_sds(linear, sds, rng)
    log_weight = log_evidence + log_ratio
    weight = np.exp(log_weight - special.logsumexp(log_weight))
    drawn = replace(start, posterior=_posterior(spec, start.inputs.design, linear, x, sds))
    _, eta, shape = drawn.predictors.at_centres
    shaped, cavities = spec.hazard.varies is not None, []
    for arm in range(len(evidence.arms)):
        columns = [eta[:, arm], *([shape[:, arm, 0]] if shaped else []), *drawn.predictors.draws.coefficient.T]
        theta = np.stack(columns, axis=1)
        mean = weight @ theta
        covariance = (theta - mean).T @ (weight[:, None] * (theta - mean))
        slope = sites.slope[sites.arm == arm][:, [0, *([1] if shaped else []), *range(2, sites.slope.shape[1])]]
        precision = np.linalg.inv(covariance)
        remaining = precision - slope.T @ slope
        root = np.linalg.cholesky(covariance)
        if np.linalg.eigvalsh(root.T @ remaining @ root).min() < LEAST_REMAINING:
            # the site says nearly all that is known: a wide normal about it will do
            cavities.append(ArmTransform(mean, 0.1 * precision, (mean, covariance)))
            continue
        pull = precision @ mean - slope.T @ sites.value[sites.arm == arm]
        cavities.append(ArmTransform(np.linalg.solve(remaining, pull), remaining, (mean, covariance)))
    return cavities


def _require_normal_model(spec: Spec) -> None:
    wrong = {
        "hazard.family": spec.hazard.family not in ("weibull", "exponential") or spec.hazard.cure,
        "treatments.classes": bool(spec.treatments.classes),
        "waning": spec.waning is not None,
        "bias": bool(spec.modelled_biases),
        "effects": spec.free_levels or spec.free_shapes or spec.level_df is not None,
        "priors.treatment_log_shape": spec.priors.treatment_log_shape is not None,
        "covariates": len(spec.covariates) > 1 or bool(spec.modifiers),
        "covariates.NAME.missing": any(term.missing for term in spec.covariates.values()),
    }
    for key, unsupported in wrong.items():
        if unsupported:
            allowed = "Weibull or exponential, exchangeable effects, at most one covariate, no interactions"
            raise InputError(key, found="a model that two stages do not know", allowed=allowed)
    for name, prior in _priors(spec).items():
        if not isinstance(prior, Normal):
            raise InputError(f"priors.{name}", found=prior.dist, allowed="normal")


def _priors(spec: Spec) -> dict[str, Prior]:
    named = {"intercept": spec.priors.intercept, "log_hr": spec.priors.log_hr, "log_shape": spec.priors.log_shape}
    named |= dict.fromkeys(["coefficient"], next((term.prior for term in spec.covariates.values()), None))
    return {name: prior for name, prior in named.items() if prior is not None}


def _start(spec: Spec, evidence: Evidence) -> Result:
    """Everything at its prior mean: where the arms' normals are looked for."""
    design, empty = make_design(spec, evidence), xr.Dataset()
    prior_means = {name: float(scipy_distribution(prior).mean()) for name, prior in _priors(spec).items()}
    variables: dict[str, Any] = {
        name: (("chain", "draw"), [[prior_means[name]]]) for name in ("intercept", "log_shape") if name in prior_means
    }
    variables["log_hr"] = (("chain", "draw", "treatment"), np.full((1, 1, len(design.compared)), prior_means["log_hr"]))
    if spec.covariates:
        variables["coefficient"] = (("chain", "draw", "covariate"), [[[prior_means["coefficient"]]]])
    passed = Gate((), 0, 0, float("inf"), 0.0, ())
    return Result(spec, evidence, xr.Dataset(variables), empty, empty, empty, passed)


def _linear(spec: Spec, design: Design, sites: ArmNormals, evidence: Evidence) -> _Linear:
    """Return which parameter and which effect each pseudo-observation and each printed ratio reads."""
    rows = linear_rows(design, sites, evidence, np.zeros(design.hr_bias.shape[1]), ratios=True)
    priors = {name: scipy_distribution(prior) for name, prior in _priors(spec).items()}
    effects = dict(zip(("study_effect", "study_log_shape", "study_treatment_effect"), SDS, strict=True))
    columns, blocks, names = [], [], []
    for name, block in rows.blocks.items():
        if name in priors:
            moments = float(priors[name].mean()), float(priors[name].std()), -1
        elif name in effects and getattr(spec.effects, effects[name]):
            scale = np.sqrt(DEVIATION_VARIANCE) if name == "study_treatment_effect" else 1.0
            moments = 0.0, scale, SDS.index(effects[name])
        else:
            continue
        blocks.append(block)
        columns += [moments] * block.shape[1]
        names += [(name, str(column)) for column in range(block.shape[1])]
    mean, scale, effect = np.array(columns).T
    return _Linear(rows.y, np.concatenate(blocks, axis=1), mean, scale**-2, effect.astype(int), tuple(names))


# ---------------------------------------------------------------------------------------------- second stage


def _sd_distributions(spec: Spec) -> list[Any]:
    effects = [getattr(spec.effects, name) for name in SDS]
    return [None if effect is None or effect.sd is None else scipy_distribution(effect.sd) for effect in effects]


def _drawn_sds(spec: Spec, linear: _Linear, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Standard deviations (draw, 3) by the grid's Z, and log p / q of each; a tenth from the prior alone."""
    distributions = _sd_distributions(spec)
    axes = [np.arange(GRID) if distribution is not None else np.zeros(1, dtype=int) for distribution in distributions]
    cells = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)
    middle = _sd_quantiles((cells + 0.5) / GRID, distributions)
    log_z = _log_evidence(linear, middle)
    share = (1 - DEFENSIVE) * np.exp(log_z - special.logsumexp(log_z)) + DEFENSIVE / len(cells)
    chosen = resampled(share, count, rng)
    sds = _sd_quantiles((cells[chosen] + rng.random((count, len(distributions)))) / GRID, distributions)
    return sds, -np.log(share[chosen] * len(cells))


def _sd_quantiles(quantile: Array, distributions: list[Any]) -> Array:
    columns = [
        np.zeros(len(quantile)) if distribution is None else distribution.ppf(quantile[:, column])
        for column, distribution in enumerate(distributions)
    ]
    return np.maximum(np.stack(columns, axis=1), 1e-4)


def _precisions(linear: _Linear, sds: Array) -> Array:
    """Prior precision of x by draw (draw, x, x)."""
    scale = np.where(linear.block >= 0, sds[:, np.maximum(linear.block, 0)] ** -2, 1.0) * linear.precision
    return scale[:, :, None] * np.eye(len(linear.block))


class _Solution(NamedTuple):
    """x given y at each draw of the standard deviations: Cholesky factor of its precision (draw, x, x), mean (draw, x),
    and log Z (draw,).
    """

    factor: Array
    mean: Array
    log_evidence: Array


def _solve_given_sds(linear: _Linear, sds: Array) -> _Solution:
    """Return x given y at each draw of the standard deviations."""
    prior = _precisions(linear, sds)
    factor = np.linalg.cholesky(prior + linear.design.T @ linear.design)
    rest = linear.y - linear.design @ linear.mean
    pull = linear.design.T @ rest
    half = np.linalg.solve(factor, np.broadcast_to(pull[:, None], (len(sds), len(pull), 1)))
    shift = np.linalg.solve(factor.transpose(0, 2, 1), half)[..., 0]
    determinants = np.linalg.slogdet(prior)[1] / 2 - np.log(np.einsum("tii->ti", factor)).sum(axis=1)
    log_evidence = determinants + np.sum(half**2, axis=(1, 2)) / 2 - rest @ rest / 2
    return _Solution(factor, linear.mean + shift, log_evidence)


def _log_evidence(linear: _Linear, sds: Array) -> Array:
    return np.concatenate(
        [_solve_given_sds(linear, part).log_evidence for part in np.array_split(sds, max(1, len(sds) // 1000))]
    )


def _given_sds(linear: _Linear, sds: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """x (draw, x) and log Z (draw,)."""
    drawn, log_z = [], []
    for part in np.array_split(sds, max(1, len(sds) // 1000)):
        solution = _solve_given_sds(linear, part)
        noise = rng.standard_normal((*solution.mean.shape, 1))
        drawn.append(solution.mean + np.linalg.solve(solution.factor.transpose(0, 2, 1), noise)[..., 0])
        log_z.append(solution.log_evidence)
    return np.concatenate(drawn), np.concatenate(log_z)


# ---------------------------------------------------------------------------------------------- weights


def _posterior(spec: Spec, design: Design, linear: _Linear, x: Array, sds: Array) -> xr.Dataset:
    dims = {
        "log_hr": ("treatment", list(design.compared)),
        "coefficient": ("covariate", list(spec.covariates)),
        "study_effect": ("study", list(design.studies)),
        "study_log_shape": ("study", list(design.studies)),
        "study_treatment_effect": ("study_treatment", design.pair_labels),
    }
    columns = np.array([name for name, _ in linear.names])
    variables, coords = {}, {}
    for name in dict.fromkeys(columns.tolist()):
        values = x[:, columns == name].reshape(CHAINS, len(x) // CHAINS, -1)
        if name in dims:
            dim, labels = dims[name]
            variables[name], coords[dim] = (("chain", "draw", dim), values), labels
        else:
            variables[name] = (("chain", "draw"), values[..., 0])
    for sd_index, (name, distribution) in enumerate(zip(NAMES, _sd_distributions(spec), strict=True)):
        if distribution is not None:
            variables[name] = (("chain", "draw"), sds[:, sd_index].reshape(CHAINS, -1))
    return xr.Dataset(variables, coords=coords)


def _log_likelihood(result: Result) -> Array:
    """Of all rows but printed ratios, which are normal as they stand (draw,)."""
    pointwise = pointwise_log_likelihood(result.predictors)
    parts = [
        values.sum(values.dims[2:]).to_numpy().ravel() for name, values in pointwise.items() if name != "hazard_ratios"
    ]
    return np.sum(parts, axis=0) if parts else np.zeros(result.predictors.draws.samples)


def _log_sites(result: Result, sites: ArmNormals) -> Array:
    _, eta, shape = result.predictors.at_centres
    kappa = shape[..., 0] if shape.shape[-1] else np.zeros_like(eta)
    linear = eta[:, sites.arm] * sites.slope[:, 0] + kappa[:, sites.arm] * sites.slope[:, 1]
    if sites.slope.shape[1] > 2:
        linear = linear + result.predictors.draws.coefficient @ sites.slope[:, 2:].T
    return -0.5 * np.sum((sites.value - linear) ** 2, axis=1)
