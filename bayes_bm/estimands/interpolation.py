"""Answers as functions of the linear predictor: worked out at a few of its values, read off for any number of patients.

Patients of whom the same covariates are given differ in eta alone. At each draw and under each treatment an answer f is
a smooth function of eta, so between the lowest and highest patient it is a Chebyshev series in
x = (eta - middle) / half, through its values at cos(pi j / (n - 1)), j = 0, ..., n - 1. These nest: n goes from 9 to
17, 33, ... at the draws whose last two coefficients are not yet below TOLERANCE (Trefethen 2013, "Approximation Theory
and Approximation Practice", chapters 3 and 8). Hazards and quantiles are read off their logarithms, so their error is
relative.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from bayes_bm.estimands.quadrature import Population
from bayes_bm.inference.compiled import exponentials
from bayes_bm.inference.compiled.fields import SUMS
from bayes_bm.runtime.compiling import cached_njit
from bayes_bm.runtime.types import Array

TOLERANCE = 1e-7
"""Largest size of the last two coefficients relative to the largest value (no unit); the series is then right to about
ten times as much."""
FIRST_POINTS = 9
"""Number of Chebyshev points that a series starts with; enough for the narrow ranges of most cohorts."""
MOST_POINTS = 257
"""Number of Chebyshev points beyond which a series is given up: the answer is not smooth."""
WORTHWHILE_SHARE = 0.75
"""A series may cost as much as this share of the patients asked for one by one."""
NARROW = 1e-9
"""Smallest half width of a range of eta (log scale), so that patients who are all alike do not divide by zero."""
Key = tuple[str, float | None]
Ask = Callable[[Population], Mapping[Key, Array]]
BY_LOG = ("median", "quantile", "hazard")
"""Names with which the estimands begin whose logarithms are interpolated: positive ones, whose error is relative."""


@dataclass(frozen=True)
class Series:
    """Coefficients (sample, treatment, key, n) on middle +- half (sample, treatment); `by_log` those of logarithms."""

    keys: tuple[Key, ...]
    by_log: Array
    middle: Array
    half: Array
    coefficients: Array

    def evaluate(self, eta: Array) -> dict[Key, Array]:
        """Every answer (sample, treatment) of a patient with this eta (sample, treatment)."""
        values = _evaluate_series(self.coefficients, np.clip((eta - self.middle) / self.half, -1.0, 1.0))
        values[self.by_log] = np.exp(values[self.by_log])
        return dict(zip(self.keys, values, strict=True))


def patient_answers(population: Population, slopes: Array, offsets: Array, ask: Ask) -> Iterator[Mapping[Key, Array]]:
    """Yield what `ask` says of each patient, eta = population.eta + slopes . offsets, in their order.

    slopes (sample, treatment, covariate), offsets (patient, covariate). Patients too few for a series to gain, and
    patient_answers that none follows (a median that is never reached), are asked for one by one.
    """
    low, high = _eta_range(population.eta, slopes, offsets)
    series = _fit_series(
        population, (low + high) / 2, np.maximum((high - low) / 2, NARROW), ask, most=WORTHWHILE_SHARE * len(offsets)
    )
    for offset in offsets:
        eta = population.eta + slopes @ offset
        yield series.evaluate(eta) if series is not None else ask(replace(population, eta=eta))


def _eta_range(eta: Array, slopes: Array, offsets: Array) -> tuple[Array, Array]:
    """Lowest and highest eta of any patient (sample, treatment)."""
    low, high = np.full(eta.shape, np.inf), np.full(eta.shape, -np.inf)
    for offset in offsets:
        patient_eta = eta + slopes @ offset
        low, high = np.minimum(low, patient_eta), np.maximum(high, patient_eta)
    return low, high


def _fit_series(population: Population, middle: Array, half: Array, ask: Ask, *, most: float) -> Series | None:
    """The series through as few points as it takes; None where that is more than `most` patients' worth."""
    rows, n, spent = np.arange(len(middle)), FIRST_POINTS, 0.0
    x = chebyshev_points(n)
    keys: tuple[Key, ...] = ()
    by_log, values, all_coefficients = np.zeros(0, dtype=bool), np.zeros(0), np.zeros(0)
    while len(rows):
        spent += len(x) * len(rows) / len(middle)
        if spent > most or n > MOST_POINTS:
            return None
        part = population.part(rows)
        node_answers = [ask(replace(part, eta=middle[rows] + half[rows] * one)) for one in x]
        keys = tuple(node_answers[0])
        by_log = np.array([name.startswith(BY_LOG) for name, _ in keys])
        new = np.array([[one[key] for key in keys] for one in node_answers])
        if not np.isfinite(new).all():
            return None
        new[:, by_log] = np.log(new[:, by_log])
        values = new if n == FIRST_POINTS else _interleave_values(values, new)
        coefficients = np.tensordot(cosine_transform(n), values, axes=1)
        all_coefficients = (
            np.zeros((*middle.shape, len(keys), n)) if n == FIRST_POINTS else _pad_coefficients(all_coefficients, n)
        )
        all_coefficients[rows] = coefficients.transpose(2, 3, 1, 0)
        scale = np.where(by_log[:, None], 1.0, np.abs(values).max(axis=(0, 3)))
        unconverged = (np.abs(coefficients[-2:]).max(axis=(0, 3)) > TOLERANCE * scale).any(axis=0)
        rows, values, n = rows[unconverged], values[:, :, unconverged], 2 * n - 1
        x = chebyshev_points(n)[1::2]
    return Series(keys, by_log, middle, half, all_coefficients)


def chebyshev_points(n: int) -> Array:
    return np.cos(np.pi * np.arange(n) / (n - 1))


def _interleave_values(values: Array, new: Array) -> Array:
    """Values at every second point with new ones between them."""
    whole = np.empty((len(values) + len(new), *values.shape[1:]))
    whole[::2], whole[1::2] = values, new
    return whole


def _pad_coefficients(coefficients: Array, n: int) -> Array:
    """With room for n, the new ones zero."""
    return np.pad(coefficients, [(0, 0)] * 3 + [(0, n - coefficients.shape[-1])])


def cosine_transform(n: int) -> Array:
    """From values at cos(pi j / (n - 1)) to coefficients of T_k (k, j): the discrete cosine transform."""
    k = np.arange(n)
    end = np.where((k == 0) | (k == n - 1), 0.5, 1.0)
    return 2 / (n - 1) * np.cos(np.pi * np.outer(k, k) / (n - 1)) * end[:, None] * end


@cached_njit(exponentials, **SUMS)
def _evaluate_series(coefficients, x):  # pragma: no cover
    """Sum over k of c_k T_k(x) of each key (key, sample, treatment)."""
    samples, treatments, keys, n = coefficients.shape
    sums, power = np.empty((keys, samples, treatments)), np.ones(n)
    for s in range(samples):
        for a in range(treatments):
            power[1] = x[s, a]
            for k in range(2, n):
                power[k] = 2 * x[s, a] * power[k - 1] - power[k - 2]
            for key in range(keys):
                total = 0.0
                for k in range(n):
                    total += coefficients[s, a, key, k] * power[k]
                sums[key, s, a] = total
    return sums
