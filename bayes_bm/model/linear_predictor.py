"""The linear predictor, written once: of posterior draws in numpy, and of the model's graph in PyTensor.

    eta       = level[study] + log_hr[treatment] + deviation[pair] + amount . bias + x . slopes[treatment]
    log_shape = shape[study] + treatment_shape[treatment]

Each function takes `Effects` and the array namespace `xp`. Values of draws have a leading axis of samples, those of the
graph have none; `...` stands for it below.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import xarray as xr

from bayes_bm.hazards import Family
from bayes_bm.hazards.modifiers.averaged_over_covariates import AveragedOverCovariates
from bayes_bm.hazards.modifiers.unknown_clock import CLOCKS
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY, Namespace
from bayes_bm.model import likelihoods
from bayes_bm.model.covariates.missing import CovariateModel, Nodes, nodes
from bayes_bm.model.design import Design
from bayes_bm.spec.document import Spec

# ---------------------------------------------------------------------------------------------- effects


@dataclass(frozen=True)
class Effects:
    """Every effect as the design counts them: the average study, the reference and "no pair" come first.

    `level` (..., study), `log_hr` (..., treatment), or the log time ratio, `deviation` (..., pair), `bias` (..., bias).
    `shapes` are blocks of shape parameters, each (..., study) or, of several parameters, (..., study, parameter);
    `treatment_shape` is what a treatment adds to the first block, None for nothing. `slopes` multiply covariates:
    (..., covariate), or (..., treatment, covariate) where they differ by treatment (`by_treatment`); there are so many
    `covariates`.
    """

    level: Any
    log_hr: Any
    deviation: Any
    shapes: tuple[Any, ...]
    treatment_shape: Any
    slopes: Any
    by_treatment: bool
    covariates: int
    bias: Any
    waning: Any = None
    """log(s / t0) of the time from which effects wane; None where they do not, or where the first block holds it."""


def arm_predictors(effects: Effects, design: Design, *, xp: Namespace) -> tuple[Any, list[Any]]:
    """eta of every arm (..., arm) at covariates of zero, their centres, and the parts of its shape, one by one.

    Where times of a clock are unknown they stand behind the shape (`evidence.clocks.arm_family`).
    """
    study, treatment = design.arm_study + 1, design.arm_treatment
    eta = xp.take(effects.level, study) + xp.take(effects.log_hr, treatment)
    eta = eta + xp.take(effects.deviation, design.arm_pair)
    if effects.bias is not None:
        eta = eta + xp.product(design.arm_bias, effects.bias)
    return eta, [*shapes_at(effects, study, treatment, xp=xp), *_clock_times(effects, design, xp=xp)]


def shapes_at(effects: Effects, study: Any, treatment: Any, *, xp: Namespace) -> list[Any]:
    """Blocks of the shape of some arms, whose study and treatment are given by position."""
    blocks = [xp.take(block, study) for block in effects.shapes]
    if effects.waning is not None:
        effect = xp.take(effects.log_hr, treatment)
        blocks = [*blocks, effect, effects.waning + 0.0 * effect]
    if effects.treatment_shape is None:
        return blocks
    return [blocks[0] + xp.take(effects.treatment_shape, treatment), *blocks[1:]]


def _clock_times(effects: Effects, design: Design, *, xp: Namespace) -> list[Any]:
    """Unknown times of each arm's clock (..., arm), one a clock."""
    clocks = design.clocks
    if clocks is None:
        return []
    # one row, so that the product has a trailing axis that broadcasts over arms
    shared = [xp.product(clocks.of_bias[clock : clock + 1], effects.bias) for clock in range(len(CLOCKS))]
    return [clocks.acts[:, clock] * (shared[clock] + clocks.stated[:, clock]) for clock in range(len(CLOCKS))]


def slope_at(effects: Effects, covariate: int, treatment: Any, *, xp: Namespace) -> Any:
    """What a covariate is multiplied by under the treatments of some rows (..., row), or of all rows (..., 1)."""
    slope = effects.slopes[..., covariate]
    return xp.take(slope, treatment) if effects.by_treatment else slope[..., None]


def covariate_shift(effects: Effects, treatment: Any, x: Any, *, xp: Namespace) -> Any:
    """x . slopes of rows with their own covariates `x` (row, covariate): (..., row)."""
    terms = (
        x[:, covariate] * slope_at(effects, covariate, treatment, xp=xp) for covariate in range(effects.covariates)
    )
    return sum(terms, start=0.0)


def point_offsets(effects: Effects, treatment: Any, points: Any, *, xp: Namespace) -> Any:
    """What each integration point adds to eta (..., row, point); `points` (row, point, covariate)."""
    total = 0.0
    for covariate in range(effects.covariates):
        total = total + points[..., covariate] * slope_at(effects, covariate, treatment, xp=xp)[..., None]
    return total


def missing_offsets(
    effects: Effects,
    phi: Any,
    treatment: Any,
    spec: Spec,
    models: tuple[CovariateModel, ...],
    rows: Any,
    *,
    xp: Namespace,
) -> Nodes:
    """Average patients over what they lack (`covariates.missing.nodes`); `phi` are the models' coefficients."""

    def coefficient(places: Any) -> Any:
        return xp.take(phi, np.atleast_1d(places))[..., None]

    def slope(covariate: int) -> Any:
        return slope_at(effects, covariate, treatment, xp=xp)[..., None]

    return nodes(spec, models, rows, coefficient, slope, xp=xp)


NO_ROWS = np.zeros(0, dtype=int)
FOLLOW_UP = ("log_followup", "log_node", "log_node_placed", "log_step")
"""Of a ratio's follow-up, and of the rule that integrates over it."""


def ratio_means(
    effects: Effects,
    design: Design,
    family: Family,
    arrays: Mapping[str, Any],
    *,
    proportional: bool,
    points: int,
    xp: Namespace,
) -> Any:
    """The study's own log hazard ratio behind each hazard-ratio row (..., ratio).

    Of hazards that are not proportional it is averaged over follow-up by events; of a crude ratio (`averaged` rows),
    over the covariates of the study's patients too, at so many `points`.
    """
    sides = ((design.hr_treatment, design.hr_pair), (design.hr_reference, design.hr_reference_pair))
    one, other = (xp.take(effects.log_hr, treatment) + xp.take(effects.deviation, pair) for treatment, pair in sides)
    if effects.bias is not None:
        one = one + xp.product(design.hr_bias, effects.bias)
    mean = one - other
    crude = arrays.get("averaged", NO_ROWS)
    if proportional and not len(crude):
        return mean
    level = xp.take(effects.level, design.hr_study)
    etas = level + one, level + other
    shapes = [shapes_at(effects, design.hr_study, treatment, xp=xp) for treatment, _ in sides]
    follow_up = {name: arrays[name] for name in FOLLOW_UP if name in arrays}
    if not proportional:
        joined = [xp.join_shape(blocks) for blocks in shapes]
        rule = SimpleNamespace(**follow_up)
        mean = likelihoods.event_weighted_log_hr(family, rule, etas, (joined[0], joined[1]), xp=xp)
    if not len(crude):
        return mean
    wide = []
    for (treatment, _), blocks in zip(sides, shapes, strict=True):
        offsets = point_offsets(effects, treatment[crude], arrays["x"], xp=xp)
        wide.append(xp.join_shape([*(xp.take(block, crude) for block in blocks), offsets], points=True))
    rule = SimpleNamespace(**{name: values[crude] for name, values in follow_up.items()})
    levels = xp.take(etas[0], crude), xp.take(etas[1], crude)
    crude_means = likelihoods.event_weighted_log_hr(
        AveragedOverCovariates(family, points), rule, levels, (wide[0], wide[1]), xp=xp
    )
    return xp.put(mean, crude, crude_means)


# ---------------------------------------------------------------------------------------------- draws


@dataclass(frozen=True)
class Draws:
    """Posterior draws flattened to (sample, ...), zero where the spec leaves an effect out.

    `log_hr` holds log time ratios where the family is one of accelerated time. `shape` are the common shape parameters
    (sample, shape), `study_shape` what each study has besides (sample, study, shape), `treatment_coefficient` what each
    treatment adds to the log coefficients of a flexible baseline (sample, treatment, coefficient), `bias` every bias of
    the density, fixed ones too (sample, bias), `covariate_law` the coefficients of the models of covariates that
    patients lack (sample, term), `transport` what coefficients differ by in other settings (sample, covariate), `mix`
    the share or mean of each arm (sample, arm, covariate), `mix_within` the sd inside arms that print none (sample,
    continuous covariate), `mix_mean` and `mix_sd` of the population of arms (sample, covariate), and what treatments
    differ by in it (sample, treatment, covariate). `waning_effect` is what wanes of each treatment's
    effect (sample, treatment), none where nothing does; the shape then has it, and log(s / t0), as its last numbers.
    """

    intercept: np.ndarray
    log_hr: np.ndarray
    shape: np.ndarray
    treatment_log_shape: np.ndarray
    treatment_coefficient: np.ndarray
    study_effect: np.ndarray
    study_shape: np.ndarray
    study_treatment_effect: np.ndarray
    study_sd: np.ndarray
    study_treatment_sd: np.ndarray
    study_shape_sd: np.ndarray
    coefficient: np.ndarray
    interaction: np.ndarray
    bias: np.ndarray
    covariate_law: np.ndarray
    prognosis_sd: np.ndarray
    transport: np.ndarray
    mix: np.ndarray
    mix_within: np.ndarray
    mix_mean: np.ndarray
    mix_sd: np.ndarray
    mix_by_treatment: np.ndarray
    waning_effect: np.ndarray
    chains: int

    @property
    def samples(self) -> int:
        return len(self.intercept)

    @property
    def treatment_shape(self) -> np.ndarray:
        """What each treatment adds to the shape (sample, treatment, shape): to its first parameter, or coefficients."""
        whole = on_first(self.treatment_log_shape, self.shape.shape[-1])
        whole[..., : self.treatment_coefficient.shape[-1]] += self.treatment_coefficient
        if self.waning_effect.shape[1]:
            whole[..., -2] += self.waning_effect
        return whole

    @property
    def slopes(self) -> np.ndarray:
        """Coefficient of each covariate under each treatment, reference first (sample, treatment, covariate)."""
        return self.coefficient[:, None] + self.interaction

    @property
    def effects(self) -> Effects:
        """The draws as the linear predictor reads them; the shape is one block of all parameters."""
        by_treatment = bool(self.interaction.any())
        return Effects(
            level=self.intercept[:, None] + np.pad(self.study_effect, ((0, 0), (1, 0))),
            log_hr=self.log_hr,
            deviation=self.study_treatment_effect,
            shapes=(self.shape[:, None] + np.pad(self.study_shape, ((0, 0), (1, 0), (0, 0))),),
            treatment_shape=self.treatment_shape,
            slopes=self.slopes if by_treatment else self.coefficient,
            by_treatment=by_treatment,
            covariates=self.coefficient.shape[1],
            bias=self.bias if self.bias.shape[1] else None,
        )

    def at(self, samples: np.ndarray | slice) -> "Draws":
        """Some of the draws, as if there were one chain."""
        arrays = {name: values for name, values in vars(self).items() if isinstance(values, np.ndarray)}
        return Draws(**{name: values[samples] for name, values in arrays.items()}, chains=1)


def on_first(values: np.ndarray, width: int) -> np.ndarray:
    """A trailing axis of `width` with the values at its first place, zero elsewhere; nothing where there is no axis."""
    whole = np.zeros((*values.shape, width))
    if width:
        whole[..., 0] = values
    return whole


def read_draws(posterior: xr.Dataset, design: Design, spec: Spec, family: Family) -> Draws:
    """Flatten a posterior; treatments and pairs carry a leading zero column for "reference" and "none"."""
    arrays = _PosteriorArrays(posterior, size=len(family.knots.location) if family.knots else 0)
    studies, compared = len(design.studies), len(design.compared)
    names = spec.hazard.shapes
    named = np.stack([arrays.scalar(name) for name in names], axis=-1) if names else np.zeros((arrays.samples, 0))
    study_log_shape = arrays.vector("study_log_shape", studies)
    own_shape = (
        on_first(study_log_shape, len(names)) if spec.hazard.varies else np.zeros((arrays.samples, studies, len(names)))
    )
    treatment_walk = arrays.walk("treatment_log_coefficient", compared)
    log_hr = arrays.padded(spec.hazard.treatment_effect, compared)
    waning = _waning_shape(arrays, spec)
    own_shape = np.pad(own_shape, ((0, 0), (0, 0), (0, waning.shape[1])))
    return Draws(
        intercept=arrays.scalar("intercept"),
        log_hr=log_hr,
        shape=np.concatenate([arrays.walk("log_coefficient"), named, waning], axis=-1),
        treatment_log_shape=arrays.padded("treatment_log_shape", compared),
        treatment_coefficient=np.pad(treatment_walk, ((0, 0), (1, 0), (0, 0))),
        study_effect=arrays.vector("study_effect", studies),
        study_shape=np.concatenate([arrays.walk("study_log_coefficient", studies), own_shape], axis=-1),
        study_treatment_effect=arrays.padded("study_treatment_effect", len(design.pairs)),
        study_sd=arrays.scalar("study_sd"),
        study_treatment_sd=arrays.scalar("study_treatment_sd"),
        study_shape_sd=arrays.scalar("study_shape_sd"),
        coefficient=arrays.vector("coefficient", len(spec.covariates)),
        interaction=_interactions(arrays, spec, design),
        bias=_biases(posterior, spec, arrays.samples),
        covariate_law=arrays.vector("covariate_law", 0),
        prognosis_sd=arrays.scalar("prognosis_sd"),
        transport=_transport(arrays, spec),
        mix=arrays.table("case_mix"),
        mix_within=arrays.vector("case_mix_within", 0),
        mix_mean=arrays.vector("case_mix_mean", 0),
        mix_sd=arrays.vector("case_mix_sd", 0),
        mix_by_treatment=_mix_differences(arrays, spec),
        waning_effect=log_hr if spec.waning is not None else log_hr[:, :0],
        chains=posterior.sizes["chain"],
    )


@dataclass(frozen=True)
class _PosteriorArrays:
    """Variables of a posterior, flattened over chains; zero for what it does not hold. `size`: of a log walk."""

    posterior: xr.Dataset
    size: int

    @property
    def samples(self) -> int:
        return self.posterior.sizes["chain"] * self.posterior.sizes["draw"]

    def scalar(self, name: str) -> np.ndarray:
        """(sample,)."""
        return self._values(name, ())

    def vector(self, name: str, size: int) -> np.ndarray:
        """(sample, size)."""
        return self._values(name, (size,))

    def padded(self, name: str, size: int) -> np.ndarray:
        """(sample, 1 + size), zero first."""
        return np.pad(self.vector(name, size), ((0, 0), (1, 0)))

    def table(self, name: str) -> np.ndarray:
        """(sample, row, column); none of either where it is absent."""
        return self._values(name, (0, 0))

    def walk(self, name: str, *outer: int) -> np.ndarray:
        """Log coefficients of a flexible family with the first, which is zero by definition (sample, *outer, size)."""
        steps = self._values(name, (*outer, max(self.size - 1, 0)))
        return np.concatenate([np.zeros((self.samples, *outer, min(self.size, 1))), steps], axis=-1)

    def _values(self, name: str, sizes: tuple[int, ...]) -> np.ndarray:
        if name not in self.posterior:
            return np.zeros((self.samples, *sizes))
        values = self.posterior[name].values
        return values.reshape(self.samples, *values.shape[2:])


def _waning_shape(arrays: _PosteriorArrays, spec: Spec) -> np.ndarray:
    """What treatments share of the last numbers of the shape (sample, 2): 0 and log(s / t0); none without waning."""
    if spec.waning is None:
        return np.zeros((arrays.samples, 0))
    stated = spec.waning.start
    start = arrays.scalar("waning_start") if stated is None else np.full(arrays.samples, stated)
    return np.stack([np.zeros(arrays.samples), np.log(start / spec.reference_time)], axis=-1)


def _interactions(arrays: _PosteriorArrays, spec: Spec, design: Design) -> np.ndarray:
    """(sample, treatment, covariate), zero for the reference and for what is no effect modifier."""
    interaction = np.zeros((arrays.samples, len(design.treatments), len(spec.covariates)))
    if "interaction" in arrays.posterior:
        sampled = arrays.posterior["interaction"].values.reshape(arrays.samples, len(design.compared), -1)
        interaction[:, 1:, [list(spec.covariates).index(name) for name in spec.modifiers]] = sampled
    return interaction


def _transport(arrays: _PosteriorArrays, spec: Spec) -> np.ndarray:
    """(sample, covariate), zero where no ratio is from another setting."""
    transport, names = np.zeros((arrays.samples, len(spec.covariates))), list(spec.covariates)
    if "transport" in arrays.posterior:
        places = [names.index(str(name)) for name in arrays.posterior["transported"].values]
        transport[:, places] = arrays.posterior["transport"].values.reshape(arrays.samples, -1)
    return transport


def _mix_differences(arrays: _PosteriorArrays, spec: Spec) -> np.ndarray:
    """What treatments' arms differ by in their mix (sample, treatment, covariate), zero where the spec says nothing."""
    treatments, names = len(spec.treatments.names), list(spec.covariates)
    differing = [
        place
        for place, name in enumerate(names)
        if (mix := spec.covariates[name].case_mix) is not None and mix.by_treatment is not None
    ]
    differences = np.zeros((arrays.samples, treatments, len(names)))
    stored = arrays.vector("case_mix_by_treatment", 0).reshape(arrays.samples, -1, treatments)
    for number, place in enumerate(differing if stored.shape[1] else []):
        differences[:, :, place] = stored[:, number]
    return differences


def _biases(posterior: xr.Dataset, spec: Spec, samples: int) -> np.ndarray:
    biases = np.zeros((samples, len(spec.modelled_biases)))
    for column, (name, term) in enumerate(spec.modelled_biases.items()):
        fixed = term.value
        unknown = fixed is None
        biases[:, column] = posterior["bias"].sel(bias_term=name).values.ravel() if unknown else fixed.value
    return biases


# ---------------------------------------------------------------------------------------------- draws, a part at a time

RATIO_CELLS = 20_000
"""Draws x ratios whose follow-up is integrated at once."""
AVERAGED_CELLS = 4_000_000
"""Draws x ratios x points x nodes that are integrated at once."""


def draw_ratio_means(
    draws: Draws, design: Design, family: Family, arrays: Mapping[str, np.ndarray], *, proportional: bool
) -> np.ndarray:
    """`ratio_means` of draws (sample, ratio), in parts that fit into memory."""
    cells = 1 if proportional else max(1, draws.samples * len(design.hr_study) // RATIO_CELLS)
    if "averaged" in arrays:
        size = draws.samples * arrays["x"].shape[0] * arrays["x"].shape[1] * likelihoods.NODES
        cells = max(cells, size // AVERAGED_CELLS)
    points = arrays["x"].shape[1] if "averaged" in arrays else 0
    given: dict[str, Any] = {"proportional": proportional, "points": points, "xp": NUMPY}
    parts = np.array_split(np.arange(draws.samples), cells)
    return np.concatenate([ratio_means(draws.at(part).effects, design, family, arrays, **given) for part in parts])
