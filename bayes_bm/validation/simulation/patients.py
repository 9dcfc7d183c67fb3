"""Patients of a synthetic arm: covariates, event times from the true hazard, and how each was followed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, ndtri

from bayes_bm.hazards.family import inverse
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.model.covariates.cell_shares import loadings
from bayes_bm.spec.covariates import Covariate
from bayes_bm.spec.document import Spec
from bayes_bm.validation.simulation.plan import ArmPlan
from bayes_bm.validation.simulation.truth import Truth

DROPOUT = 10.0
"""Mean time to being lost, in units of the reference time."""
FINEST = 0.01
"""Times are kept to so much of a time unit, as a figure or a data set would; nobody is seen for less."""


@dataclass(frozen=True)
class Law:
    """Of one covariate in one arm: a share of ones, or a normal about a mean."""

    middle: float
    within: float | None

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Values of n patients."""
        if self.within is None:
            return (rng.random(n) < self.middle).astype(float)
        return self.middle + self.within * rng.standard_normal(n)


def covariates(spec: Spec, rng: np.random.Generator, n: int, mix: Mapping[str, Law] | None = None) -> pd.DataFrame:
    """Covariates in their own units, of an arm's mix where one is given: independent of each other, but for a
    correlation that the spec states.

    One limited to 0 and 1 is two-valued with its centre as share (one half where that is no share); any other is normal
    about its centre with its scale as sd, within its limits.
    """
    if mix is not None and (loading := loadings(spec)).any():
        return _together(mix, dict(zip(spec.covariates, loading, strict=True)), rng, n)
    drawn = {
        name: _covariate(term, rng, n) if mix is None else mix[name].draw(rng, n)
        for name, term in spec.covariates.items()
    }
    return pd.DataFrame(drawn, index=range(n))


def _together(mix: Mapping[str, Law], loading: Mapping[str, float], rng: np.random.Generator, n: int) -> pd.DataFrame:
    """Covariates with a factor in common: two-valued are 1 where a normal score is low, others grow with it."""
    factor, drawn = rng.standard_normal(n), {}
    for name, a in loading.items():
        alone, law = np.sqrt(1 - a**2) * rng.standard_normal(n), mix[name]
        if law.within is None:
            drawn[name] = (alone - a * factor < ndtri(law.middle)).astype(float)
        else:
            drawn[name] = law.middle + law.within * (a * factor + alone)
    return pd.DataFrame(drawn)


def arm_mix(truth: Truth, treatment: str, rng: np.random.Generator) -> dict[str, Law]:
    """Draw the mix of a fresh arm from the population of arms (docs/decisions.md#23-case-mix)."""
    posterior, laws = truth.result.posterior.isel(chain=0, draw=0), {}
    for place, (name, term) in enumerate(truth.spec.covariates.items()):
        level = float(posterior["case_mix_mean"][place])
        label = f"{treatment}, {name}"
        if label in posterior.get("case_mix_term", []):
            level += float(posterior["case_mix_by_treatment"].sel(case_mix_term=label))
        level += float(posterior["case_mix_sd"][place]) * rng.standard_normal()
        if term.kind == "two_valued":
            laws[name] = Law(float(expit(level)), None)
        else:
            laws[name] = Law(level, float(posterior["case_mix_within"].sel(spread_covariate=name)))
    return laws


def two_valued(term: Covariate) -> bool:
    return term.kind == "two_valued" or (term.lower, term.upper) == (0.0, 1.0)


def share(term: Covariate) -> float:
    return term.middle if 0 < term.middle < 1 else 0.5


def _covariate(term: Covariate, rng: np.random.Generator, n: int) -> np.ndarray:
    if two_valued(term):
        return (rng.random(n) < share(term)).astype(float)
    return np.clip(term.middle + term.scale * rng.standard_normal(n), term.lower, term.upper)


def event_times(truth: Truth, arm: ArmPlan, x: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    """Times of death (n,): H(T) ~ Exponential(1). Infinite for the cured."""
    spec = truth.spec
    eta, shape = truth.arm(arm.study, arm.treatment)
    scaled = [term.scaled(x[name]) for name, term in spec.covariates.items()]
    shift = np.column_stack(scaled) @ truth.slopes(arm.treatment) if scaled else np.zeros(len(x))
    hazard = np.log(rng.exponential(size=len(x)))
    level = eta + shift
    return spec.reference_time * np.exp(
        inverse(truth.result.inputs.family, hazard, level, np.broadcast_to(shape, (len(x), len(shape))), xp=NUMPY)
    )


def censoring_times(arm: ArmPlan, reference_time: float, rng: np.random.Generator) -> np.ndarray:
    """Staggered entry and, rarely, loss: follow_up - U(0, accrual), or earlier at a rate of 1 in 10 reference times."""
    end = arm.follow_up - rng.uniform(0, arm.accrual, arm.n)
    lost = rng.exponential(DROPOUT * reference_time, arm.n)
    return np.maximum(np.minimum(end, lost), arm.least)


def seen(death: np.ndarray, censoring: np.ndarray) -> pd.DataFrame:
    """time and event (1 = event), to two decimals."""
    time = np.minimum(death, censoring)
    return pd.DataFrame(
        {
            "time": np.maximum(np.round(time / FINEST) * FINEST, FINEST).round(2),
            "event": (death <= censoring).astype(int),
        }
    )
