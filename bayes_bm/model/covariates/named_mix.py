"""A population whose case mix is named: shares of two-valued covariates, means of others."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from bayes_bm.model.covariates.case_mix import CaseMix, limits
from bayes_bm.model.covariates.cell_shares import kinds_together, loadings
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.document import Spec

NODES = 7
"""Gauss-Hermite nodes of each continuous covariate: the twelve nodes of a score's rule read no more moments of it."""
SHARE, MEAN = "share_", "mean_"
"""How the two kinds of numbers are called."""


class NamedMix(NamedTuple):
    """Covariates that are named, every kind of patient in them (kind, covariate) in their own units, and its share."""

    names: list[str]
    cells: np.ndarray
    share: np.ndarray


def named_mix(spec: Spec, mix: CaseMix, values: Mapping[str, Any], *, where: str = "population") -> NamedMix:
    """Return the kinds of patients of a population; named covariates go together as inside an arm.

    A mean has the spread of the evidence's patients. Raises `InputError` for a name or a number that cannot be, and for
    a mean where the evidence knows no patients.
    """
    numbers = checked_mix(spec, mix, values, where=where)
    names = [name for name in spec.covariates if name in numbers]
    two = np.array([is_two_valued(spec, mix, name) for name in names])
    loading = loadings(spec)[[list(spec.covariates).index(name) for name in names]]
    kinds = kinds_together(np.array([numbers[name] for name in names]), two, loading, nodes=NODES)
    cells = np.empty(kinds.scores.shape)
    for column, name in enumerate(names):
        if two[column]:
            low, high = _two_values(mix, name)
            cells[:, column] = np.where(kinds.scores[:, column] > 0, high, low)
        else:
            _, ((variance,),) = mix.moments([name])
            cells[:, column] = numbers[name] + np.sqrt(variance) * kinds.scores[:, column]
    return NamedMix(names, cells, kinds.share)


def checked_mix(spec: Spec, mix: CaseMix, values: Mapping[str, Any], *, where: str) -> dict[str, float]:
    """Return the number of each covariate by its name. Raises `InputError` as `named_mix` does."""
    if not values:
        raise InputError(where, found="nothing", allowed=", ".join(_words(spec, mix)) or "this spec has no covariates")
    numbers: dict[str, float] = {}
    for word, value in values.items():
        prefix = next((one for one in (SHARE, MEAN) if word.startswith(one)), "")
        name = word.removeprefix(prefix)
        if word not in _words(spec, mix):
            allowed = ", ".join(_words(spec, mix)) or "this spec has no covariates"
            raise InputError(f"{where}, {word}", found="a name that says nothing of this spec", allowed=allowed)
        term = spec.covariates[name]
        low, high = (0.0, 1.0) if prefix == SHARE else limits(term)
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = float("nan")
        if not (low <= number <= high and np.isfinite(number)):
            unit = "a share" if prefix == SHARE else term.unit
            raise InputError(f"{where}, {word}", found=value, allowed=f"{low:g} to {high:g} {unit}".strip())
        if prefix == MEAN and not mix.known:
            allowed = "evidence that knows covariates of its patients"
            raise InputError(f"{where}, {word}", found="a mean", allowed=allowed, hint="name shares only")
        numbers[name] = number
    return numbers


def _words(spec: Spec, mix: CaseMix) -> list[str]:
    """Every name that a number may have."""
    return [f"{SHARE if is_two_valued(spec, mix, name) else MEAN}{name}" for name in spec.covariates]


def is_two_valued(spec: Spec, mix: CaseMix, name: str) -> bool:
    """Whether a covariate has two values: the spec says so, or its patients' are no more."""
    kind = spec.covariates[name].kind
    if kind is not None:
        return kind == "two_valued"
    return mix.known and len(np.unique(mix.x[:, mix.names.index(name)])) <= 2


def _two_values(mix: CaseMix, name: str) -> tuple[float, float]:
    """The lower and the upper value, 0 and 1 where the evidence does not have both."""
    values = np.unique(mix.x[:, mix.names.index(name)]) if mix.known else np.zeros(0)
    return (float(values[0]), float(values[1])) if len(values) == 2 else (0.0, 1.0)
