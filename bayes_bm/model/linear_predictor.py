"""The linear predictor of each arm on posterior draws, in numpy: the twin of `model._linear_predictor`."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import xarray as xr

from bayes_bm.hazards import Family
from bayes_bm.hazards.modifiers.averaged_over_covariates import averaged
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.model import likelihoods
from bayes_bm.model.covariates.missing import CovariateModel, nodes
from bayes_bm.model.design import Design
from bayes_bm.spec.document import Spec


@dataclass(frozen=True)
class Draws:
    """Posterior draws flattened to (sample, ...), zero where the spec leaves an effect out.

    `log_hr` holds log time ratios where the family is one of accelerated time. `shape` are the common shape parameters
    (sample, shape), `study_shape` what each study has besides (sample, study, shape), `treatment_coefficient` what each
    treatment adds to the log coefficients of a flexible baseline (sample, treatment, coefficient), `bias` every bias of
    the density, fixed ones too (sample, bias), `covariate_law` the coefficients of the laws of covariates that
    patients lack (sample, term).
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
    chains: int

    @property
    def samples(self) -> int:
        return len(self.intercept)

    @property
    def treatment_shape(self) -> np.ndarray:
        """What each treatment adds to the shape (sample, treatment, shape): to its first parameter, or coefficients."""
        whole = on_first(self.treatment_log_shape, self.shape.shape[-1])
        whole[..., : self.treatment_coefficient.shape[-1]] += self.treatment_coefficient
        return whole

    @property
    def slopes(self) -> np.ndarray:
        """Coefficient of each covariate under each treatment, reference first (sample, treatment, covariate)."""
        return self.coefficient[:, None] + self.interaction


def on_first(values: np.ndarray, width: int) -> np.ndarray:
    """A trailing axis of `width` with the values at its first place, zero elsewhere; nothing where there is no axis."""
    whole = np.zeros((*values.shape, width))
    if width:
        whole[..., 0] = values
    return whole


def read_draws(posterior: xr.Dataset, shape: Design, spec: Spec, family: Family) -> Draws:
    """Flatten a posterior; treatments and pairs carry a leading zero column for "reference" and "none"."""
    chains, per_chain = posterior.sizes["chain"], posterior.sizes["draw"]
    samples = chains * per_chain

    def scalar(name: str) -> np.ndarray:
        return posterior[name].values.reshape(samples) if name in posterior else np.zeros(samples)

    def vector(name: str, size: int, *, pad: bool = False) -> np.ndarray:
        values = posterior[name].values.reshape(samples, -1) if name in posterior else np.zeros((samples, size))
        return np.concatenate([np.zeros((samples, 1)), values], axis=1) if pad else values

    def walk(name: str, *outer: int) -> np.ndarray:
        """Log coefficients of a flexible family with the first, which is zero by definition."""
        size = len(family.knots.location) if family.knots else 0
        values = posterior[name].values if name in posterior else np.zeros((samples, *outer, max(size - 1, 0)))
        values = values.reshape(samples, *outer, max(size - 1, 0))
        return np.concatenate([np.zeros((samples, *outer, min(size, 1))), values], axis=-1)

    interaction = np.zeros((samples, len(shape.treatments), len(spec.covariates)))
    if "interaction" in posterior:
        known = posterior["interaction"].values.reshape(samples, len(shape.compared), -1)
        interaction[:, 1:, [list(spec.covariates).index(name) for name in spec.modifiers]] = known
    names, studies = spec.hazard.shapes, len(shape.studies)
    named = np.stack([scalar(name) for name in names], axis=-1) if names else np.zeros((samples, 0))
    own = vector("study_log_shape", studies)
    of_study = on_first(own, len(names)) if spec.hazard.varies else np.zeros((samples, studies, len(names)))
    return Draws(
        intercept=scalar("intercept"),
        log_hr=vector(spec.hazard.treatment_effect, len(shape.compared), pad=True),
        shape=np.concatenate([walk("log_coefficient"), named], axis=-1),
        treatment_log_shape=vector("treatment_log_shape", len(shape.compared), pad=True),
        treatment_coefficient=np.pad(walk("treatment_log_coefficient", len(shape.compared)), ((0, 0), (1, 0), (0, 0))),
        study_effect=vector("study_effect", studies),
        study_shape=np.concatenate([walk("study_log_coefficient", studies), of_study], axis=-1),
        study_treatment_effect=vector("study_treatment_effect", len(shape.pairs), pad=True),
        study_sd=scalar("study_sd"),
        study_treatment_sd=scalar("study_treatment_sd"),
        study_shape_sd=scalar("study_shape_sd"),
        coefficient=vector("coefficient", len(spec.covariates)),
        interaction=interaction,
        bias=_biases(posterior, spec, samples),
        covariate_law=vector("covariate_law", 0),
        chains=chains,
    )


def _biases(posterior: xr.Dataset, spec: Spec, samples: int) -> np.ndarray:
    found = np.zeros((samples, len(spec.modelled_biases)))
    for at, (name, term) in enumerate(spec.modelled_biases.items()):
        fixed = term.value
        found[:, at] = posterior["bias"].sel(bias_term=name).values.ravel() if fixed is None else fixed.value
    return found


def arm_predictors(of: Draws, shape: Design) -> tuple[np.ndarray, np.ndarray]:
    """eta (sample, arm row) and shape (sample, arm row, shape) of every arm, at covariates of zero (their centres).

    Where times of a clock are unknown they stand behind the shape (`clocks.arm_family`).
    """
    deviation = of.study_treatment_effect[:, shape.arm_pair]
    eta = of.intercept[:, None] + of.study_effect[:, shape.arm_study] + of.log_hr[:, shape.arm_treatment] + deviation
    eta = eta + of.bias @ shape.arm_bias.T
    of_treatment = of.treatment_shape[:, shape.arm_treatment]
    found = of.shape[:, None] + of.study_shape[:, shape.arm_study] + of_treatment
    return eta, found if shape.clocks is None else np.concatenate([found, shape.clocks.of_arms(of.bias)], axis=-1)


def shifts(
    of: Draws, shape: Design, arm_row: np.ndarray, x: np.ndarray, samples: np.ndarray | slice = slice(None)
) -> np.ndarray:
    """x . (coefficient + interaction[a]) of patients (sample, patient)."""
    found = of.coefficient[samples] @ x.T
    if not of.interaction.any():
        return found
    treatment = shape.arm_treatment[arm_row]
    for at in np.unique(treatment[treatment > 0]):
        mine = treatment == at
        found[:, mine] += of.interaction[samples][:, at] @ x[mine].T
    return found


def point_offsets(of: Draws, shape: Design, points: np.ndarray) -> np.ndarray:
    """What each integration point adds to eta of each arm (sample, arm, point); `points` (arm, point, covariate)."""
    slopes = of.slopes[:, shape.arm_treatment]
    found = np.zeros((of.samples, *points.shape[:2]))
    for at in range(points.shape[2]):
        found += points[..., at] * slopes[:, :, None, at]
    return found


def missing_offsets(
    of: Draws,
    shape: Design,
    spec: Spec,
    laws: tuple[CovariateModel, ...],
    arrays: Mapping[str, np.ndarray],
    samples: np.ndarray | slice = slice(None),
) -> np.ndarray:
    """What each node of what patients lack adds to eta, then its log weight (sample, patient, 2 node)."""
    rows = SimpleNamespace(**{name: arrays[name] for name in ("arm_row", "x", "blank")})
    phi, slopes = of.covariate_law[samples], of.slopes[samples][:, shape.arm_treatment[rows.arm_row]]

    def at(places: np.ndarray | int) -> np.ndarray:
        return phi[:, places][..., None] if np.ndim(places) else phi[:, places, None, None]

    def slope(column: int) -> np.ndarray:
        return slopes[:, :, column, None]

    added, log_weight, _ = nodes(spec, laws, rows, at, slope, xp=NUMPY)
    return np.concatenate(np.broadcast_arrays(added, log_weight), axis=-1)


def ratio_means(
    of: Draws, shape: Design, family: Family, arrays: Mapping[str, np.ndarray], *, proportional: bool
) -> np.ndarray:
    """The study's own log hazard ratio behind each hazard-ratio row (sample, row)."""
    deviation = of.study_treatment_effect
    sides = ((shape.hr_treatment, shape.hr_pair), (shape.hr_reference, shape.hr_reference_pair))
    one, other = (of.log_hr[:, treatment] + deviation[:, pair] for treatment, pair in sides)
    one = one + of.bias @ shape.hr_bias.T
    found = np.array(one - other)
    averaged_rows = arrays.get("averaged", np.zeros(0, dtype=int))
    rows = averaged_rows if proportional else np.arange(found.shape[1])
    if not len(rows):
        return found
    study = shape.hr_study
    # position 0 is the average study, whose effects are zero
    level = of.intercept[:, None] + np.pad(of.study_effect, ((0, 0), (1, 0)))[:, study]
    common = of.shape[:, None] + np.pad(of.study_shape, ((0, 0), (1, 0), (0, 0)))[:, study]
    etas = level + one, level + other
    shapes = [common + of.treatment_shape[:, treatment] for treatment, _ in sides]
    data = SimpleNamespace(**arrays)
    if not proportional:
        for part in np.array_split(np.arange(of.samples), max(1, found.size // 20_000)):
            at = (etas[0][part], etas[1][part]), (shapes[0][part], shapes[1][part])
            found[part] = likelihoods.event_weighted_log_hr(family, data, *at, xp=NUMPY)
    if not len(averaged_rows):
        return found
    nodes_of = SimpleNamespace(**{key: arrays[key][averaged_rows] for key in arrays if key.startswith("log_")})
    law = averaged(family, data.x.shape[1])
    size = of.samples * data.x.shape[0] * data.x.shape[1] * likelihoods.NODES
    for part in np.array_split(np.arange(of.samples), max(1, size // 4_000_000)):
        wide = []
        for (treatment, _), of_shape in zip(sides, shapes, strict=True):
            slopes = of.slopes[part][:, treatment[averaged_rows]]
            offsets = np.einsum("rpc,src->srp", data.x, slopes)
            wide.append(np.concatenate([of_shape[part][:, averaged_rows], offsets], axis=-1))
        at = etas[0][part][:, averaged_rows], etas[1][part][:, averaged_rows]
        mean = likelihoods.event_weighted_log_hr(law, nodes_of, at, (wide[0], wide[1]), xp=NUMPY)
        found[np.ix_(part, averaged_rows)] = mean
    return found
