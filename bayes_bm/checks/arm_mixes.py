"""Whether each arm's curve is the average over its mix of its patients' curves, at every draw (decision 23).

The two sides go different ways: patients one by one as a patient is asked about, and the arm as its evidence is read.
"""

from itertools import product
from typing import NamedTuple

import numpy as np

from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.inference.result import Result
from bayes_bm.model.covariates.arm_mixes import ArmMixes, arm_spreads
from bayes_bm.model.covariates.cell_shares import cell_shares, factor_given

DRAWS = 200
"""Of the posterior that are looked at."""
TIMES = (0.25, 1.0, 2.0)
"""Where curves are compared, in units of the reference time."""
NODES = 40
"""Gauss-Hermite nodes of the one continuous covariate of a kind of patient."""
EXACT, INTEGRATED = 1e-10, 1e-8
"""Largest difference of survival that is allowed: of two-valued covariates, and where a continuous one is averaged."""


class MixGap(NamedTuple):
    """Largest difference of survival, over so many draws and arms, and what is allowed; `arm` is where it is."""

    largest: float
    allowed: float
    draws: int
    arms: int
    arm: str

    @property
    def passed(self) -> bool:
        return self.largest <= self.allowed

    @property
    def text(self) -> str:
        """In one sentence."""
        verdict = "holds" if self.passed else f"FAILS in {self.arm}"
        return (
            f"The average over an arm's mix of its patients' curves is the arm's curve: {verdict} (largest difference"
            f" {self.largest:.1e} over {self.draws} draws and {self.arms} arms; allowed {self.allowed:.0e})."
        )


def mix_gap(result: Result) -> MixGap | None:
    """Compare both curves of every averaged arm; None where no arm is averaged over its mix, or over a mix of several
    continuous covariates, which have no kinds of patients to list.
    """
    mixes = result.inputs.arm_mixes
    if mixes is None or not mixes.averaged.any() or (~mixes.two_valued).sum() > 1:
        return None
    thin = result.thinned(DRAWS)
    predictors, rows = thin.predictors, np.flatnonzero(mixes.averaged)
    time = np.log(np.array(TIMES))[:, None, None]
    arms, centre = predictors.arms, predictors.at_centres
    whole = _alive(arms.family, time, arms.eta[:, rows], arms.shape[:, rows])
    total = np.zeros_like(whole)
    for kind, share in _kinds(thin, mixes, rows):
        moved = predictors.draws.effects.slopes
        slopes = moved[:, mixes.treatment[rows]] if moved.ndim == 3 else moved[:, None]
        eta = centre.eta[:, rows] + np.sum(slopes * kind, axis=-1)
        total += share * _alive(centre.family, time, eta, centre.shape[:, rows])
    gaps = np.abs(whole - total).max(axis=(0, 1))
    worst = int(np.argmax(gaps))
    allowed = EXACT if mixes.two_valued.all() else INTEGRATED
    return MixGap(float(gaps[worst]), allowed, predictors.draws.samples, len(rows), mixes.arms[rows[worst]])


def _alive(family, log_u, eta, shape) -> np.ndarray:
    """Survival at log(t / t0) (time, sample, arm)."""
    if family.basis is not None:
        log_u = family.place(log_u)
    return np.exp(-np.exp(family.log_cum_hazard(log_u, eta, shape, xp=NUMPY)))


def _kinds(result: Result, mixes: ArmMixes, rows: np.ndarray):
    """Yield each kind of patient, centred and scaled (sample, arm, covariate), with its share (sample, arm)."""
    terms, draws = list(result.spec.covariates.values()), result.predictors.draws
    values = draws.mix[:, rows]
    spread = arm_spreads(result.spec, mixes, draws.mix_within)[:, rows]
    node, weight = np.polynomial.hermite_e.hermegauss(NODES)
    choices = [(0, 1) if two else range(NODES) for two in mixes.two_valued]
    two, loading = mixes.two_valued, mixes.loading
    for picked in product(*choices):
        kind = np.empty_like(values)
        picks = np.array(picked)
        factor = factor_given(node[picks[None, ~two]], loading[~two])
        share = cell_shares(values[..., two], picks[None, two].astype(float), loading[two], factor)[..., 0]
        share = share * np.prod(weight[picks[~two]] / weight.sum())
        for column, (pick, term) in enumerate(zip(picked, terms, strict=True)):
            own = float(pick) if two[column] else values[..., column] + spread[..., column] * node[pick]
            kind[..., column] = term.scaled(own)
        yield kind, share
