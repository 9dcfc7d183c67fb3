"""The law of a patient's covariates that are not given, given those that are, in the evidence's population.

Nothing given: the evidence's patients themselves. Otherwise, in the order of the spec, two-valued covariates and then
the others (docs/decisions.md#covariates-not-given):

    two-valued   the normal score of P(b = 1 | given, two-valued ones before it) is linear, as under the copula of the
                 integration points; combinations that no patient of the evidence has are left out, which keeps
                 dummies of one factor apart
    others       x = linear(given, two-valued ones) + residual, the residuals of all of them together being those of
                 the evidence's patients

Coefficients are those of probit and linear regressions over the population, of standardised covariates, with
N(0, 2.5^2) priors.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr

from bayes_bm.model.covariates.regressions import WIDE, linear, probit
from bayes_bm.runtime.types import Array

LEAST_SHARE = 1e-300
"""Added to the probability of a combination, so that they sum to more than zero however far a patient is."""


@dataclass(frozen=True)
class Completed:
    """Covariates of patients (patient,) of whom the same are given, in the order of the population's names.

    Each is one of some cells, x (patient, cell, covariate), with a probability, `share` (patient, cell). To that comes,
    for every patient and cell, a residual (row, covariate) with `residual_share` (row,) and mean zero.
    """

    x: Array
    share: Array
    residual: Array
    residual_share: Array


@dataclass(frozen=True)
class ConditionalLaw:
    """Of `absent` given `given` (columns of the population).

    `cells` (cell, two_valued) are the combinations of the absent two-valued covariates, `probits` their regressions,
    one after the other, and `slopes` (1 + given + two-valued, other) those of the other absent ones, all on covariates
    less `middle`, over `spread` (covariate,). `residual` (row, covariate) and its shares (row,).
    """

    given: tuple[int, ...]
    two_valued: tuple[int, ...]
    others: tuple[int, ...]
    cells: Array
    probits: tuple[Array, ...]
    slopes: Array
    middle: Array
    spread: Array
    residual: Array
    residual_share: Array

    def complete(self, values: Array) -> Completed:
        """The covariates of patients whose given ones are `values` (patient, given)."""
        count = len(values)
        x = np.zeros((count, len(self.cells), len(self.middle)))
        x[:, :, self.given] = values[:, None, :]
        x[:, :, self.two_valued] = self.cells
        standard = (x - self.middle) / self.spread
        log_share = np.zeros(x.shape[:2])
        for place, coefficients in enumerate(self.probits):
            predictors = [*self.given, *self.two_valued[:place]]
            score = coefficients[0] + standard[:, :, predictors] @ coefficients[1:]
            upper = self.cells[:, place] > self.middle[self.two_valued[place]]
            log_share += log_ndtr(np.where(upper, score, -score))
        given = [*self.given, *self.two_valued]
        x[:, :, self.others] = self.slopes[0] + standard[:, :, given] @ self.slopes[1:]
        share = np.exp(log_share - log_share.max(axis=1, keepdims=True)) + LEAST_SHARE
        return Completed(x, share / share.sum(axis=1, keepdims=True), self.residual, self.residual_share)


def conditional_law(x: Array, weight: Array, given: Sequence[int]) -> ConditionalLaw:
    """Fit the law to a population, x (row, covariate) with weights (row,); `given` are columns."""
    share = weight / weight.sum()
    middle = share @ x
    spread = np.sqrt(share @ (x - middle) ** 2)
    spread = np.where(spread > 0, spread, 1.0)
    absent = [column for column in range(x.shape[1]) if column not in given]
    # where nothing is given no regression is needed: the patients themselves
    two_valued = [column for column in absent if given and len(np.unique(x[:, column])) == 2]
    others = [column for column in absent if column not in two_valued]
    standard = (x - middle) / spread
    probits = tuple(
        _regression(standard[:, [*given, *two_valued[:place]]], x[:, column] > middle[column], weight)
        for place, column in enumerate(two_valued)
    )
    predictors = [*given, *two_valued]
    slopes = [_regression(standard[:, predictors], standard[:, column], weight) for column in others]
    unscaled = np.array(slopes).reshape(len(others), 1 + len(predictors)).T * spread[others]
    unscaled[0] += middle[others]
    residual = np.zeros((len(x), x.shape[1]))
    residual[:, others] = x[:, others] - unscaled[0] - standard[:, predictors] @ unscaled[1:]
    rows, residual_share = _alike(residual - share @ residual, share)
    return ConditionalLaw(
        given=tuple(given),
        two_valued=tuple(two_valued),
        others=tuple(others),
        cells=np.unique(x[:, two_valued], axis=0) if two_valued else np.zeros((1, 0)),
        probits=probits,
        slopes=unscaled,
        middle=middle,
        spread=spread,
        residual=rows,
        residual_share=residual_share,
    )


def _regression(predictors: Array, response: Array, weight: Array) -> Array:
    """Level and coefficients; two values are regressed by their probit. The level has no prior: means stay as seen."""
    design = np.column_stack([np.ones(len(predictors)), predictors])
    ridge = np.append(0.0, np.full(predictors.shape[1], 1 / WIDE**2))
    if response.dtype == bool:
        return probit(design, response, weight, ridge)
    return linear(design, response, weight, ridge)[0][:-1]


def _alike(rows: Array, share: Array) -> tuple[Array, Array]:
    """Rows that are the same as one, with their shares together."""
    unique, place = np.unique(rows, axis=0, return_inverse=True)
    return unique, np.bincount(place.ravel(), weights=share, minlength=len(unique))
