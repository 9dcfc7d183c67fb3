"""Who the patients of each arm were: what is printed of their covariates, and what is a parameter (decision 23).

An arm whose patients' covariates are not known is the average over its parts: cells of the two-valued covariates, each
with its share, times nodes of the continuous ones together, which enter the linear predictor as one normal number.

    logit share, or mean, of arm j = mean + by_treatment[a] + sd z_j
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit

from bayes_bm.evidence.arm_covariates import averaged_arms
from bayes_bm.evidence.records import Evidence
from bayes_bm.hazards.numerics.constants import HALF_LOG_TWO_PI
from bayes_bm.hazards.numerics.numpy_namespace import Namespace
from bayes_bm.model.covariates.cell_shares import kinds_together, loadings, log_cell_shares
from bayes_bm.model.linear_predictor import Draws, Effects, slope_at
from bayes_bm.spec.covariates import CaseMix
from bayes_bm.spec.document import Spec

NODES = 40
"""Gauss-Hermite nodes of the continuous covariates together."""
SHARE_NODES = 24
"""Nodes at which the share of the population behind a printed one is integrated."""
NEWTON_STEPS = 5
"""Steps to the mode of a printed share; nodes need it roughly."""
TINY = 1e-300
"""Stands for a share of nobody, whose logarithm would be infinite."""
FLAT = 1e-14
"""Variance of what continuous covariates add to eta below which nothing goes together with it: which way a sum of them
goes is not defined where all their coefficients are zero. Survival is wrong by less than 1e-8 for it."""


class Parts(NamedTuple):
    """Kinds of patients of an arm: values of two-valued covariates (part, covariate), node and its log weight."""

    values: np.ndarray
    node: np.ndarray
    log_weight: np.ndarray


@dataclass(frozen=True)
class ArmMixes:
    """What each arm says of the mix of its patients; columns are the spec's covariates (arm, covariate).

    `printed`: a share, or a mean; NaN where it is a parameter. `counted` and `size`: of a share known of fewer patients
    than the arm has, how many of how many; NaN elsewhere. `behind`: patients behind a printed number, NaN where not
    said. `within`: sd inside the arm, NaN where not printed. `two_valued` (covariate,), `averaged` (arm,). `loading`
    says how covariates go together inside arms (`cell_shares`), zeros where they do not (covariate,).
    """

    names: tuple[str, ...]
    arms: tuple[str, ...]
    two_valued: np.ndarray
    averaged: np.ndarray
    treatment: np.ndarray
    printed: np.ndarray
    counted: np.ndarray
    size: np.ndarray
    behind: np.ndarray
    within: np.ndarray
    loading: np.ndarray

    @property
    def unknown(self) -> np.ndarray:
        """True where the mix of an averaged arm is a parameter (arm, covariate)."""
        return np.isnan(self.printed) & self.averaged[:, None]

    @property
    def unknown_labels(self) -> list[str]:
        """Study, arm and covariate of each parameter, arm by arm."""
        return [f"{self.arms[arm]} | {self.names[column]}" for arm, column in np.argwhere(self.unknown)]

    @property
    def informative(self) -> np.ndarray:
        """True where a printed number, of known size if it is a share, informs the population of arms."""
        return np.isfinite(self.printed) & (np.isfinite(self.behind) | ~self.two_valued)

    @cached_property
    def parts(self) -> Parts:
        """Every kind of patient: values of the two-valued covariates times nodes of the continuous ones."""
        node, weight = (np.zeros(1), np.ones(1)) if self.two_valued.all() else np.polynomial.hermite_e.hermegauss(NODES)
        choices = [(0.0, 1.0) if two else (0.0,) for two in self.two_valued]
        kinds = [(kind, place) for kind in product(*choices) for place in range(len(node))]
        values = np.array([kind for kind, _ in kinds], dtype=float).reshape(len(kinds), len(self.names))
        places = np.array([place for _, place in kinds])
        return Parts(values, node[places], np.log(weight / weight.sum())[places])

    @property
    def count(self) -> int:
        """Number of parts."""
        return len(self.parts.node)

    def values(self, location: np.ndarray, sd: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Share or mean of each arm (..., arm, covariate) from standard normal scores of the unknown ones (..., one).

        `location` and `sd` are of the population of arms, on the scale of logits or means.
        """
        z = np.zeros((*scores.shape[:-1], *self.printed.shape))
        z[..., self.unknown] = scores
        level = location + sd * z
        value = np.where(self.two_valued, expit(np.where(self.two_valued, level, 0.0)), level)
        return np.where(np.isnan(self.printed), value, self.printed)


def arm_mixes(spec: Spec, evidence: Evidence) -> ArmMixes | None:
    """Return what the arms say of their patients; None where the spec does not model it."""
    if not spec.case_mixes:
        return None
    arms, names = evidence.arms, list(spec.covariates)
    two = np.array([spec.covariates[name].kind == "two_valued" for name in names])
    shape = (len(arms), len(names))
    printed, counted, size, behind, within = (np.full(shape, np.nan) for _ in range(5))
    for row, arm in enumerate(arms.to_dict("records")):
        for column, name in enumerate(names):
            value = _number(arm, f"share_{name}" if two[column] else f"mean_{name}")
            n, known = _number(arm, "n"), _number(arm, f"n_{name}")
            within[row, column] = np.nan if two[column] else _number(arm, f"sd_{name}")
            if two[column] and known == 0:
                # a condition of the series: known of its own patients, no sample of what series are like
                printed[row, column] = value
            elif two[column] and np.isfinite(known) and not known >= n:
                counted[row, column], size[row, column] = value * known, known
            else:
                printed[row, column], behind[row, column] = value, n
    _fill_from_patients(spec, evidence, printed, behind, within)
    return ArmMixes(
        names=tuple(names),
        arms=tuple(f"{arm['study']} | {arm['arm']}" for arm in arms.to_dict("records")),
        two_valued=two,
        averaged=averaged_arms(spec, arms, evidence.patients),
        treatment=np.array([spec.treatments.names.index(name) for name in arms["treatment"]], dtype=int),
        printed=printed,
        counted=counted,
        size=size,
        behind=behind,
        within=within,
        loading=loadings(spec),
    )


def _number(arm: Any, column: str) -> float:
    value = arm.get(column)
    return np.nan if value is None else float(value)


def _fill_from_patients(
    spec: Spec, evidence: Evidence, printed: np.ndarray, behind: np.ndarray, within: np.ndarray
) -> None:
    """Arms whose patients are known say of themselves what others print."""
    names, patients = list(spec.covariates), evidence.patients
    known = patients.dropna(subset=names) if len(patients) else patients
    for arm_row, rows in known.groupby("arm_row"):
        values = rows[names].to_numpy(dtype=float)
        row = int(str(arm_row))
        printed[row], behind[row] = values.mean(axis=0), len(values)
        within[row] = values.std(axis=0)


def arm_spreads(spec: Spec, mixes: ArmMixes, common: np.ndarray) -> np.ndarray:
    """Sd of each covariate inside each arm at each draw (sample, arm, covariate): printed, or the common one.

    `common` (sample, continuous covariate).
    """
    spread = np.broadcast_to(np.nan_to_num(mixes.within), (len(common), *mixes.within.shape)).copy()
    continuous = [column for column, term in enumerate(spec.covariates.values()) if term.kind == "continuous"]
    for place, column in enumerate(continuous):
        blank = np.isnan(mixes.within[:, column])
        spread[:, blank, column] = common[:, place, None]
    return spread


def drawn_mixes(mixes: ArmMixes, draws: Draws, scores: np.ndarray) -> np.ndarray:
    """Share or mean of each arm (sample, arm, covariate) from standard normal scores of the unknown ones (sample, one).

    Printed ones are as they are.
    """
    location = draws.mix_mean[:, None] + draws.mix_by_treatment[:, mixes.treatment]
    return mixes.values(location, draws.mix_sd[:, None], scores)


def mix_terms(spec: Spec) -> dict[str, CaseMix]:
    """Return the mixes that a spec models, by covariate."""
    return {name: term.case_mix for name, term in spec.covariates.items() if term.case_mix is not None}


def mix_labels(spec: Spec, mixes: ArmMixes | None) -> dict[str, list[str]]:
    """What the dimensions of mixes are called; nothing where the spec does not model them."""
    if mixes is None:
        return {}
    terms = mix_terms(spec)
    return {
        "unknown_mix": mixes.unknown_labels,
        "case_mix_arm": list(mixes.arms),
        "mix_treatment": list(spec.treatments.names),
        "case_mix_term": [
            f"{treatment}, {name}"
            for name, mix in terms.items()
            if mix.by_treatment is not None
            for treatment in spec.treatments.names
        ],
        "spread_covariate": [name for name, mix in terms.items() if mix.within_sd is not None],
    }


def mix_offsets(
    effects: Effects, spec: Spec, mixes: ArmMixes, values: Any, spread: Any, *, xp: Namespace
) -> tuple[Any, Any]:
    """What each part adds to eta of each arm, and the log of its weight (..., arm, part).

    `values` are shares and means, `spread` sds inside arms (..., arm, covariate), in the covariates' own units.
    """
    parts: Parts = mixes.parts
    log_weight: Any = parts.log_weight
    total: Any = 0.0
    middle: Any = 0.0
    variance: Any = 0.0
    with_factor: Any = 0.0
    for column, term in enumerate(spec.covariates.values()):
        slope = slope_at(effects, column, mixes.treatment, xp=xp)
        value = values[..., column]
        if mixes.two_valued[column]:
            present = parts.values[:, column]
            total = total + slope[..., None] * term.scaled(present)
            if mixes.loading.any():
                continue
            # chosen, not added: PyTensor folds 1 + TINY into 1
            log_present = xp.log(xp.where(value > 0, value, TINY))[..., None]
            log_absent = xp.log(xp.where(value < 1, 1 - value, TINY))[..., None]
            log_weight = log_weight + present * log_present + (1 - present) * log_absent
        else:
            middle = middle + slope * term.scaled(value)
            moved = slope * spread[..., column] / term.scale
            variance = variance + moved**2 * (1 - mixes.loading[column] ** 2)
            with_factor = with_factor + moved * mixes.loading[column]
    variance = variance + with_factor**2
    if mixes.loading.any():
        log_weight = log_weight + _shares_together(mixes, values, with_factor, variance, xp=xp)
    if not mixes.two_valued.all():
        # the guard keeps the gradient finite where no continuous covariate has an effect
        width = xp.exp(0.5 * xp.log(variance + TINY))
        total = total + middle[..., None] + width[..., None] * parts.node
    # every arm, and every draw, has numbers of its own
    zero = 0.0 * (values[..., 0])[..., None]
    return total + zero + 0.0 * parts.node, log_weight + zero


def _shares_together(mixes: ArmMixes, values: Any, with_factor: Any, variance: Any, *, xp: Namespace) -> Any:
    """Log share of each part (..., arm, part) given its node of what continuous covariates add to eta together.

    `with_factor` is the covariance of that sum with the common factor, `variance` that of the sum (..., arm).
    """
    two, parts = mixes.two_valued, mixes.parts
    columns = np.flatnonzero(two)
    if two.all():
        return log_cell_shares(values, parts.values, mixes.loading, xp=xp)
    if not len(columns):
        return 0.0
    correlation = with_factor * xp.exp(-0.5 * xp.log(variance + FLAT))
    left = xp.exp(0.5 * xp.log(1 - correlation**2))
    return log_cell_shares(
        values[..., columns],
        parts.values[:, columns],
        mixes.loading[columns],
        xp=xp,
        middle=correlation[..., None] * parts.node,
        spread=left[..., None],
    )


def printed_log_density(mixes: ArmMixes, column: int, location: Any, sd: Any, within: Any, *, xp: Namespace) -> Any:
    """Log density of what arms print of one covariate, given the population of arms: (..., printed arm).

    A share of n patients is binomial about the arm's own, whose logit is N(location, sd^2); it is integrated out at
    nodes about the mode. A mean is N(location, sd^2 + within^2 / n). `location` and `within` (..., arm), `sd`
    (..., 1).
    """
    rows = np.flatnonzero(mixes.informative[:, column])
    place, n, value = location[..., rows], mixes.behind[rows, column], mixes.printed[rows, column]
    if not mixes.two_valued[column]:
        n = np.where(np.isfinite(n), n, np.inf)
        variance = sd**2 + within[..., rows] ** 2 / n
        return -0.5 * ((value - place) ** 2 / variance + xp.log(variance)) - HALF_LOG_TWO_PI
    present = value * n
    z, tall = _share_modes(present, n, place, sd, xp=xp)
    node, weight = np.polynomial.hermite_e.hermegauss(SHARE_NODES)
    # about the mode, in units of the spread that the curvature says
    scores = z[..., None] + xp.exp(-0.5 * xp.log(tall))[..., None] * node
    level = place[..., None] + sd[..., None] * scores
    terms = share_log_density(present[:, None], n[:, None], level, xp=xp) - 0.5 * scores**2
    terms = terms + np.log(weight) + 0.5 * node**2
    top = xp.max(terms)
    return top[..., 0] + xp.log(xp.sum(xp.exp(terms - top))) - 0.5 * xp.log(tall) - HALF_LOG_TWO_PI


def _share_modes(present: Any, n: Any, place: Any, sd: Any, *, xp: Namespace) -> tuple[Any, Any]:
    """Score z at which binomial times standard normal is largest, and minus its second derivative (..., printed arm).

    The logarithm is concave: Newton's steps from where the normal approximation of the binomial would have it.
    """
    rough = (present + 0.5) / (n + 1)
    logit, variance = np.log(rough / (1 - rough)), 1 / ((n + 1) * rough * (1 - rough))
    z = sd * (logit - place) / (sd**2 + variance)
    tall = 1.0
    for _ in range(NEWTON_STEPS + 1):
        level = place + sd * z
        share, rest = xp.exp(-xp.softplus(-level)), xp.exp(-xp.softplus(level))
        tall = 1 + sd**2 * n * share * rest
        z = z + (sd * (present * rest - (n - present) * share) - z) / tall
    return z, tall


def share_log_density(present: Any, n: Any, logit: Any, *, xp: Namespace) -> Any:
    """Binomial log density of so many of n, real numbers, with a share whose logit is given."""
    constant = xp.gammaln(n + 1) - xp.gammaln(present + 1) - xp.gammaln(n - present + 1)
    return constant - present * xp.softplus(-logit) - (n - present) * xp.softplus(logit)


KIND_NODES = 5
"""Nodes of each continuous covariate where patients themselves are listed."""


def kinds_of_patients(
    spec: Spec, mixes: ArmMixes, values: np.ndarray, common: np.ndarray
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield each averaged arm with its kinds of patients (kind, covariate), in the covariates' own units, and shares.

    `values` (arm, covariate) are shares and means, `common` the sds of arms that print none (continuous covariate,).
    """
    spread = arm_spreads(spec, mixes, common[None])[0]
    for arm in np.flatnonzero(mixes.averaged):
        kinds = kinds_together(values[arm], mixes.two_valued, mixes.loading, nodes=KIND_NODES)
        own = np.where(mixes.two_valued, kinds.scores, values[arm] + spread[arm] * kinds.scores)
        yield int(arm), own, kinds.share
