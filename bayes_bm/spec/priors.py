"""Prior records: what a spec may say about a parameter, and why.

A prior is data. `prior_distributions.scipy_distribution` gives the frozen scipy distribution, which is the definition;
`model/pymc_graph/priors.py` maps the same record to PyMC. Parameters are named as a statistician says them: `sd` is a
standard deviation (the scale of a Student t), `rate` the inverse of a mean, `mean` and `sd` of `log_normal` belong
to the logarithm.
"""

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from scipy.special import gammaincinv, gammaln, ndtri, stdtrit

Why = Annotated[str, Field(min_length=1, description="the reason for this prior, with its source")]

LARGEST = 1e6
"""Size of a number of a prior: wider ones are as flat, and densities of far larger ones are no numbers any more."""
Number = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]


def _not_tiny(number: float) -> float:
    """A standard deviation or a rate as it is; its inverse must be a number of usual size too."""
    if number < 1 / LARGEST:
        raise ValueError(f"found {number:g}; allowed: at least {1 / LARGEST:g}")
    return number


Positive = Annotated[float, Field(gt=0, le=LARGEST), AfterValidator(_not_tiny)]


class _Prior(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    why: Why


class Normal(_Prior):
    dist: Literal["normal"]
    mean: Number = 0.0
    sd: Positive


class HalfNormal(_Prior):
    dist: Literal["half_normal"]
    sd: Positive


class StudentT(_Prior):
    dist: Literal["student_t"]
    df: Positive
    mean: Number = 0.0
    sd: Positive


class HalfStudentT(_Prior):
    dist: Literal["half_student_t"]
    df: Positive
    sd: Positive


class Exponential(_Prior):
    dist: Literal["exponential"]
    rate: Positive


class Gamma(_Prior):
    dist: Literal["gamma"]
    shape: Positive
    rate: Positive


class LogNormal(_Prior):
    dist: Literal["log_normal"]
    mean: Number = 0.0
    sd: Positive


class Uniform(_Prior):
    dist: Literal["uniform"]
    lower: Number
    upper: Number

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


def median(prior: Prior) -> float:
    """Return the median of the prior; without scipy's distributions, which take a second to import."""
    match prior:
        case Normal(mean=mean) | StudentT(mean=mean):
            return mean
        case HalfNormal(sd=sd):
            return sd * float(ndtri(0.75))
        case HalfStudentT(df=df, sd=sd):
            return sd * float(stdtrit(df, 0.75))
        case Exponential(rate=rate):
            return float(np.log(2)) / rate
        case Gamma(shape=shape, rate=rate):
            return float(gammaincinv(shape, 0.5)) / rate
        case LogNormal(mean=mean):
            return float(np.exp(mean))
        case Uniform(lower=lower, upper=upper):
            return (lower + upper) / 2


def standard_deviation(prior: Prior) -> float:
    """Return the sd of the prior, infinite where it has none; without scipy's distributions, as `median`."""
    match prior:
        case Normal(sd=sd):
            return sd
        case HalfNormal(sd=sd):
            return sd * float(np.sqrt(1 - 2 / np.pi))
        case StudentT(df=df, sd=sd):
            return sd * float(np.sqrt(df / (df - 2))) if df > 2 else np.inf
        case HalfStudentT(df=df, sd=sd):
            return sd * float(np.sqrt(df / (df - 2) - _mean_of_half_t(df) ** 2)) if df > 2 else np.inf
        case Exponential(rate=rate):
            return 1 / rate
        case Gamma(shape=shape, rate=rate):
            return float(np.sqrt(shape)) / rate
        case LogNormal(mean=mean, sd=sd):
            return float(np.exp(mean + sd**2 / 2) * np.sqrt(np.expm1(sd**2)))
        case Uniform(lower=lower, upper=upper):
            return (upper - lower) / float(np.sqrt(12))


def _mean_of_half_t(df: float) -> float:
    """Mean of abs(t), for df > 1."""
    log_mean = gammaln((df + 1) / 2) - gammaln(df / 2) + np.log(4 * df / np.pi) / 2 - np.log(df - 1)
    return float(np.exp(log_mean))


def describe(prior: Prior) -> str:
    """Return one line such as `normal(mean 0, sd 1)` for tables."""
    values = prior.model_dump(exclude={"why", "dist"})
    return f"{prior.dist}({', '.join(f'{name} {value:g}' for name, value in values.items())})"
