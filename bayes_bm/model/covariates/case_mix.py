"""Whose covariates the evidence knows, and how far a patient is from them.

The population is that of patients whose covariates are known, and of arms that state all of theirs (as integration
points). Where neither exists, as with abstracts that print no case mix, nothing is known, and that is said.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayes_bm.model.covariates.arm_mixes import kinds_of_patients
from bayes_bm.model.covariates.conditional import Completed, ConditionalLaw, conditional_law
from bayes_bm.model.model_inputs import ModelInputs
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.covariates import Covariate
from bayes_bm.spec.document import Spec

COLUMNS = ("covariate", "value", "unit", "mean", "sd", "low", "high", "z", "place")
"""Of `Distance.table`, in the covariate's own unit."""
INSIDE, OUTSIDE, UNKNOWN, LEFT = "inside", "outside", "unknown", "not given"
TINY = 1e-9


class _Spread(NamedTuple):
    """How the evidence's patients vary in some covariates: mean (given,), variance (given,), the inverse of their
    covariance (given, given), and every patient's squared distance from the mean (row,).
    """

    mean: np.ndarray
    variance: np.ndarray
    inverse: np.ndarray
    squared: np.ndarray


@dataclass(frozen=True)
class CaseMix:
    """Covariates of the evidence's patients in their own units, x (row, covariate) and their weights (row,).

    `names` are those of the spec; no rows where the evidence says nothing. `laws` and `spreads` keep what has been
    worked out, by what is given: a file of patients asks for the same again and again.
    """

    names: tuple[str, ...]
    x: np.ndarray
    weight: np.ndarray
    laws: dict[tuple[int, ...], ConditionalLaw] = field(default_factory=dict, compare=False, repr=False)
    spreads: dict[tuple[str, ...], _Spread] = field(default_factory=dict, compare=False, repr=False)

    @property
    def known(self) -> bool:
        return len(self.x) > 0

    def moments(self, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Mean and covariance of some covariates."""
        values = self.x[:, [self.names.index(name) for name in names]]
        share = self.weight / self.weight.sum()
        mean = share @ values
        return mean, (values - mean).T @ ((values - mean) * share[:, None])

    @cached_property
    def columns(self) -> dict[str, dict[str, float]]:
        """Mean, sd, smallest and largest value of each covariate."""
        described = {}
        for name, values in zip(self.names, self.x.T, strict=True):
            (mean,), ((variance,),) = self.moments([name])
            ends = {"low": float(values.min()), "high": float(values.max())}
            described[name] = {"mean": float(mean), "sd": float(np.sqrt(variance)), **ends}
        return described

    def range(self, name: str) -> tuple[float, float]:
        """Smallest and largest value."""
        return self.columns[name]["low"], self.columns[name]["high"]

    def spread(self, names: tuple[str, ...]) -> _Spread:
        """How some covariates vary together, worked out once."""
        if names not in self.spreads:
            mean, covariance = self.moments(list(names))
            variance = np.diag(covariance)
            inverse = np.linalg.pinv(covariance + TINY * np.diag(variance), hermitian=True)
            others = self.x[:, [self.names.index(name) for name in names]] - mean
            self.spreads[names] = _Spread(mean, variance, inverse, np.einsum("ri,ij,rj->r", others, inverse, others))
        return self.spreads[names]


def case_mix(inputs: ModelInputs, mix: np.ndarray | None = None, within: np.ndarray | None = None) -> CaseMix:
    """The population of the evidence.

    Where the spec models mixes, `mix` are shares and means of the arms and `within` the common sds inside arms (arm,
    covariate) and (continuous covariate,), as `model.linear_predictor.Draws` has them, averaged over draws.
    """
    spec, evidence = inputs.spec, inputs.evidence
    names = list(spec.covariates)
    patients = evidence.patients.dropna(subset=names) if names and len(evidence.patients) else evidence.patients[:0]
    x: list[np.ndarray] = [np.zeros((0, len(names)))]
    weight: list[np.ndarray] = [np.zeros(0)]
    if names and len(patients):
        x.append(patients[names].to_numpy(dtype=float))
        weight.append(patients["weight"].to_numpy(dtype=float))
    if inputs.arm_mixes is not None and mix is not None and within is not None:
        for arm, kinds, shares in kinds_of_patients(spec, inputs.arm_mixes, mix, within):
            size = float(evidence.arms["n_effective"].iloc[arm])
            x.append(kinds)
            weight.append((size if np.isfinite(size) else 1.0) * shares)
    if names and inputs.any_integrated:
        points = inputs.arm_points
        scale, centre = _units(spec)
        for arm in np.flatnonzero(inputs.averaged_arms):
            x.append(points[arm] * scale + centre)
            size = float(evidence.arms["n_effective"].iloc[arm])
            weight.append(np.full(points.shape[1], (size if np.isfinite(size) else 1.0) / points.shape[1]))
    return CaseMix(tuple(names), np.concatenate(x), np.concatenate(weight))


def _units(spec: Spec) -> tuple[np.ndarray, np.ndarray]:
    """Scale and centre of every covariate (covariate,)."""
    terms = spec.covariates.values()
    return np.array([term.scale for term in terms]), np.array([term.middle for term in terms])


def checked(spec: Spec, values: Mapping[str, Any], *, where: str = "patient") -> dict[str, float]:
    """A patient's covariates as numbers. Raises `InputError` for a name or a value that cannot be."""
    numbers = {}
    for name, value in values.items():
        if name not in spec.covariates:
            allowed = ", ".join(spec.covariates) or "this spec has none"
            raise InputError(f"{where}, {name}", found="an unknown covariate", allowed=allowed)
        term = spec.covariates[name]
        low, high = limits(term)
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = float("nan")
        if not (low <= number <= high and np.isfinite(number)):
            raise InputError(f"{where}, {name}", found=value, allowed=f"{low:g} to {high:g} {term.unit}".strip())
        numbers[name] = number
    return numbers


def limits(term: Covariate) -> tuple[float, float]:
    """Values that a covariate may have."""
    return (-np.inf if term.lower is None else term.lower), (np.inf if term.upper is None else term.upper)


@dataclass(frozen=True)
class Distance:
    """How far a patient is from the evidence's patients, by the covariates that were given (COLUMNS).

    `mahalanobis`: distance from their mean in their own spread and correlation; `farther`: the share of them that is
    as far or farther. NaN where the evidence does not know its patients.
    """

    rows: tuple[dict[str, Any], ...]
    mahalanobis: float
    farther: float

    @property
    def table(self) -> pd.DataFrame:
        """A row a covariate."""
        return pd.DataFrame(list(self.rows), columns=list(COLUMNS))

    @property
    def outside(self) -> list[str]:
        """Covariates beyond anything in the evidence."""
        return [row["covariate"] for row in self.rows if row["place"] == OUTSIDE]

    @property
    def text(self) -> str:
        if all(row["place"] == LEFT for row in self.rows):
            return "No covariate is given."
        if not np.isfinite(self.mahalanobis):
            return "How far this patient is from those of the evidence is not known: it prints no covariates."
        share = f"{100 * self.farther:.0f} % of the evidence's patients are as far from their mean or farther"
        warning = f" Beyond anything in the evidence: {', '.join(self.outside)}." if self.outside else ""
        return f"Distance to the evidence {self.mahalanobis:.1f} (Mahalanobis); {share}.{warning}"

    def document(self) -> dict[str, Any]:
        """As plain data."""
        whole = {"mahalanobis": self.mahalanobis, "share_farther": self.farther, "outside": self.outside}
        return {**whole, "text": self.text, "covariates": list(self.rows)}


def distance(spec: Spec, mix: CaseMix, values: Mapping[str, float]) -> Distance:
    """Of a patient with these covariates to the population."""
    rows = tuple(_row(name, term, mix, values.get(name)) for name, term in spec.covariates.items())
    given = tuple(name for name in spec.covariates if name in values)
    if not given or not mix.known:
        return Distance(rows, float("nan"), float("nan"))
    spread = mix.spread(given)
    away = np.array([values[name] for name in given]) - spread.mean
    # what never varies in the evidence has no spread to measure by: any other value is beyond all of it
    if np.any((spread.variance == 0) & (away != 0)):
        return Distance(rows, float("inf"), 0.0)
    squared = float(away @ spread.inverse @ away)
    share = mix.weight[spread.squared >= squared * (1 - TINY)].sum() / mix.weight.sum()
    return Distance(rows, float(np.sqrt(squared)), float(share))


def _row(name: str, term: Covariate, mix: CaseMix, value: float | None) -> dict[str, Any]:
    row: dict[str, Any] = {"covariate": name, "value": np.nan if value is None else value, "unit": term.unit}
    row |= dict.fromkeys(("mean", "sd", "low", "high", "z"), np.nan)
    if not mix.known:
        return {**row, "place": LEFT if value is None else UNKNOWN}
    row |= (known := mix.columns[name])
    if value is None:
        return {**row, "place": LEFT}
    z = (value - known["mean"]) / known["sd"] if known["sd"] > 0 else np.nan
    return {**row, "z": float(z), "place": INSIDE if known["low"] <= value <= known["high"] else OUTSIDE}


@dataclass(frozen=True)
class Missing:
    """Covariates that were not given: those averaged over the population, those at their centre for want of one."""

    averaged: tuple[str, ...]
    centred: tuple[str, ...]

    @property
    def text(self) -> str:
        parts = []
        if self.averaged:
            names = ", ".join(self.averaged)
            parts.append(f"Not given, so averaged over the evidence's patients: {names} (given what is given).")
        if self.centred:
            why = "the evidence prints no covariates of its patients to average over"
            parts.append(f"Not given, and taken at the centre ({why}): {', '.join(self.centred)}.")
        return " ".join(parts)


def missing(spec: Spec, mix: CaseMix, values: Mapping[str, Any]) -> Missing:
    """What becomes of covariates that are not given."""
    absent = tuple(name for name in spec.covariates if name not in values)
    return Missing(absent, ()) if mix.known else Missing((), absent)


def complete(spec: Spec, mix: CaseMix, given: Sequence[str], values: np.ndarray) -> Completed:
    """Covariates of patients of whom `given` is known, values (patient, given), centred and scaled.

    What is not given has its law in the population given what is; with no population it stands at its centre.
    """
    names = list(spec.covariates)
    columns = tuple(names.index(name) for name in given)
    scale, centre = _units(spec)
    if not mix.known or not names:
        x = np.zeros((len(values), 1, len(names)))
        x[:, 0, columns] = (values - centre[list(columns)]) / scale[list(columns)]
        return Completed(x, np.ones((len(values), 1)), np.zeros((1, len(names))), np.ones(1))
    if columns not in mix.laws:
        mix.laws[columns] = conditional_law(mix.x, mix.weight, columns)
    whole = mix.laws[columns].complete(values)
    return replace(whole, x=(whole.x - centre) / scale, residual=whole.residual / scale)
