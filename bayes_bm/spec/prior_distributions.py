"""The scipy distribution of each prior record, which is its definition.

scipy's distributions take half a second to import, so that is done when one is first asked for: a fit does without.
"""

from functools import cache
from typing import Any

import numpy as np
from scipy.special import gammaln

from bayes_bm.spec.priors import (
    Exponential,
    Gamma,
    HalfNormal,
    HalfStudentT,
    LogNormal,
    Normal,
    Prior,
    StudentT,
    Uniform,
)


@cache
def _half_t() -> Any:
    """abs(t): scipy has no folded Student distribution."""
    from scipy import stats

    class HalfT(stats.rv_continuous):
        """One without `__init__`, so that scipy can freeze it."""

        def _pdf(self, x, df):
            return 2 * stats.t.pdf(x, df)

        def _cdf(self, x, df):
            return 2 * stats.t.cdf(x, df) - 1

        def _ppf(self, q, df):
            return stats.t.ppf((1 + q) / 2, df)

        def _munp(self, n, df):
            """E |T|^n, infinite from n = df on."""
            log_moment = gammaln((n + 1) / 2) + gammaln((df - n) / 2) - gammaln(df / 2) - np.log(np.pi) / 2
            return np.where(n < df, df ** (n / 2) * np.exp(log_moment), np.inf)

    return HalfT(a=0.0, name="half_student_t")


def scipy_distribution(prior: Prior) -> Any:
    """Return the scipy distribution that defines the prior."""
    from scipy import stats

    match prior:
        case Normal(mean=mean, sd=sd):
            return stats.norm(mean, sd)
        case HalfNormal(sd=sd):
            return stats.halfnorm(scale=sd)
        case StudentT(df=df, mean=mean, sd=sd):
            return stats.t(df, mean, sd)
        case HalfStudentT(df=df, sd=sd):
            return _half_t()(df=df, scale=sd)
        case Exponential(rate=rate):
            return stats.expon(scale=1 / rate)
        case Gamma(shape=shape, rate=rate):
            return stats.gamma(shape, scale=1 / rate)
        case LogNormal(mean=mean, sd=sd):
            return stats.lognorm(sd, scale=np.exp(mean))
        case Uniform(lower=lower, upper=upper):
            return stats.uniform(lower, upper - lower)
