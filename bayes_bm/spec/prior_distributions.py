"""The scipy distribution of each prior record, which is its definition.

Apart from `priors`, because scipy's distributions take a second to import and a fit does without them.
"""

from typing import Any

import numpy as np
from scipy import stats
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


class _HalfT(stats.rv_continuous):
    """abs(t): scipy has no folded Student distribution. This one has no `__init__`, so that scipy can freeze it."""

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


_HALF_T = _HalfT(a=0.0, name="half_student_t")


def scipy_distribution(prior: Prior) -> Any:
    """Return the scipy distribution that defines the prior."""
    match prior:
        case Normal(mean=mean, sd=sd):
            return stats.norm(mean, sd)
        case HalfNormal(sd=sd):
            return stats.halfnorm(scale=sd)
        case StudentT(df=df, mean=mean, sd=sd):
            return stats.t(df, mean, sd)
        case HalfStudentT(df=df, sd=sd):
            return _HALF_T(df=df, scale=sd)
        case Exponential(rate=rate):
            return stats.expon(scale=1 / rate)
        case Gamma(shape=shape, rate=rate):
            return stats.gamma(shape, scale=1 / rate)
        case LogNormal(mean=mean, sd=sd):
            return stats.lognorm(sd, scale=np.exp(mean))
        case Uniform(lower=lower, upper=upper):
            return stats.uniform(lower, upper - lower)
