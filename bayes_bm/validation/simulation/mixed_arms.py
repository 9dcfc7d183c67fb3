"""What arms print of their mixes as the likelihood has it, and the curve of an arm whose patients differ (decision 23).

A share is printed of the arm's own patients and is then that of the arm; what is not printed is a parameter.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import root_scalar

from bayes_bm.hazards.family import inverse
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.model.covariates.cell_shares import kinds_together, loadings
from bayes_bm.spec.document import Spec
from bayes_bm.spec.prior_distributions import scipy_distribution
from bayes_bm.validation.simulation.patients import Law
from bayes_bm.validation.simulation.plan import ArmPlan
from bayes_bm.validation.simulation.truth import Truth

NODES = 40
"""Gauss-Hermite nodes of each continuous covariate: S to 1e-10 where its coefficient times its spread is 1."""

DOUBLED = 60
"""Times that a bound is doubled where some kinds are cured; an arm that has not died by then does not."""


@dataclass(frozen=True)
class PrintedMix:
    """Law of each covariate in an arm, and what its row of `arms.csv` says of them."""

    laws: Mapping[str, Law]
    columns: Mapping[str, Any] = field(default_factory=dict)


def printed_mix(
    spec: Spec, arm: ArmPlan, laws: Mapping[str, Law], probability: float, rng: np.random.Generator
) -> PrintedMix:
    """Draw what an arm prints, each covariate with a probability; what is printed is then the arm's law.

    `laws` are drawn from the population of arms: a printed share is one of n such patients, a mean that of n. The sd
    beside it is drawn from the prior of `within_sd`, for the density takes it as given.
    """
    own, columns = dict(laws), {}
    for name, term in spec.covariates.items():
        if arm.kind in ("patients", "hazard_ratios") or rng.random() >= probability or term.case_mix is None:
            continue
        middle = laws[name].middle
        if term.case_mix.within_sd is None:
            share = rng.binomial(arm.n, middle) / arm.n
            own[name], columns[f"share_{name}"] = Law(share, None), share
        else:
            spread = float(np.asarray(scipy_distribution(term.case_mix.within_sd).rvs(random_state=rng)))
            mean = middle + spread / np.sqrt(arm.n) * rng.standard_normal()
            own[name] = Law(mean, spread)
            columns |= {f"mean_{name}": mean, f"sd_{name}": spread}
    return PrintedMix(own, columns)


@dataclass(frozen=True)
class ArmCurve:
    """The true curve of an arm: what each kind of its patients adds to eta, and their share (kind,)."""

    truth: Truth
    eta: float
    shape: np.ndarray
    offset: np.ndarray
    share: np.ndarray

    def dead_by(self, time: float) -> float:
        """Share of the arm that has died by a time."""
        family = self.truth.result.inputs.family
        log_u = family.place(np.array(np.log(time / self.truth.spec.reference_time)))
        log_cum = family.log_cum_hazard(log_u, self.eta + self.offset, self.shape, xp=NUMPY)
        return float(-(self.share @ np.expm1(-np.exp(log_cum))))

    def time_of(self, dead: float) -> float:
        """When a share has died."""
        log_cum = np.full(len(self.offset), np.log(-np.log1p(-dead)))
        eta, shape = self.eta + self.offset, np.broadcast_to(self.shape, (len(self.offset), len(self.shape)))
        of_kinds = inverse(self.truth.result.inputs.family, log_cum, eta, shape, xp=NUMPY)
        first, last = self.truth.spec.reference_time * np.exp([of_kinds.min(), of_kinds.max()])
        if first == last:
            return float(first)
        if not np.isfinite(last):
            later = (first * 2.0**doubled for doubled in range(DOUBLED))
            last = next((time for time in later if self.dead_by(time) >= dead), np.inf)
            if not np.isfinite(last):
                return np.inf
        # the arm's time lies between those of its worst and its best patients
        found = root_scalar(lambda time: self.dead_by(time) - dead, bracket=(first, last), xtol=1e-12 * first)
        return float(found.root)


def arm_curve(truth: Truth, arm: ArmPlan, mix: Mapping[str, Law] | None = None) -> ArmCurve:
    """Return the curve of an arm averaged over its mix; without one, of patients at the covariates' centres."""
    eta, shape = truth.arm(arm.study, arm.treatment)
    loading, slopes = loadings(truth.spec), truth.slopes(arm.treatment)
    if mix is None:
        return ArmCurve(truth, eta, shape, np.zeros(1), np.ones(1))
    laws = [mix[name] for name in truth.spec.covariates]
    two, middle = np.array([law.within is None for law in laws]), np.array([law.middle for law in laws])
    kinds = kinds_together(middle, two, loading, nodes=NODES)
    own = np.where(two, kinds.scores, middle + [law.within or 0.0 for law in laws] * kinds.scores)
    scaled = [term.scaled(own[:, place]) for place, term in enumerate(truth.spec.covariates.values())]
    return ArmCurve(truth, eta, shape, slopes @ scaled, kinds.share)
