"""Prior records: what a spec may say about a parameter, and why.

A prior is data. `scipy_law` gives the frozen scipy distribution, which is the definition; `model.py` maps the same
record to PyMC. Parameters are named as a statistician says them: `sd` is a standard deviation (the scale of a Student
t), `rate` the inverse of a mean, `mean` and `sd` of `log_normal` belong to the logarithm.
"""

from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, model_validator
from scipy import stats
from scipy.special import gammaln

Why = Annotated[str, Field(min_length=1, description="the reason for this prior, with its source")]


class _Prior(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    why: Why


class Normal(_Prior):
    dist: Literal["normal"]
    mean: float = 0.0
    sd: PositiveFloat


class HalfNormal(_Prior):
    dist: Literal["half_normal"]
    sd: PositiveFloat


class StudentT(_Prior):
    dist: Literal["student_t"]
    df: PositiveFloat
    mean: float = 0.0
    sd: PositiveFloat


class HalfStudentT(_Prior):
    dist: Literal["half_student_t"]
    df: PositiveFloat
    sd: PositiveFloat


class Exponential(_Prior):
    dist: Literal["exponential"]
    rate: PositiveFloat


class Gamma(_Prior):
    dist: Literal["gamma"]
    shape: PositiveFloat
    rate: PositiveFloat


class LogNormal(_Prior):
    dist: Literal["log_normal"]
    mean: float = 0.0
    sd: PositiveFloat


class Uniform(_Prior):
    dist: Literal["uniform"]
    lower: float
    upper: float

    @model_validator(mode="after")
    def _ordered(self) -> "Uniform":
        if not self.lower < self.upper:
            raise ValueError(f"lower ({self.lower}) must be below upper ({self.upper})")
        return self


Prior = Annotated[
    Normal | HalfNormal | StudentT | HalfStudentT | Exponential | Gamma | LogNormal | Uniform,
    Field(discriminator="dist"),
]
POSITIVE = (HalfNormal, HalfStudentT, Exponential, Gamma, LogNormal)


class _HalfT(stats.rv_continuous):
    """abs(t): scipy has no folded Student law of its own. Without an `__init__`, so that scipy can freeze it."""

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


def scipy_law(prior: Prior):
    """The scipy distribution that defines the prior."""
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


def describe(prior: Prior) -> str:
    """One line such as `normal(mean 0, sd 1)` for tables."""
    values = prior.model_dump(exclude={"why", "dist"})
    return f"{prior.dist}({', '.join(f'{name} {value:g}' for name, value in values.items())})"
