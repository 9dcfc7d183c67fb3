"""PyMC variables of prior records."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pymc as pm

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
    describe,
)


def variable(name: str, prior: Prior, dims: str | None = None) -> Any:
    """The PyMC variable of a prior record."""
    distribution, given = pymc_distribution(prior)
    return distribution(name, **given, dims=dims)


def differences_variable(name: str, priors: Sequence[Prior], dims: str) -> Any:
    """The PyMC variable of several priors, one a label; where they are unlike, all are normal."""
    if len(set(priors)) == 1:
        return variable(name, priors[0], dims)
    normal = [prior for prior in priors if isinstance(prior, Normal)]
    mean, sd = (np.array([getattr(prior, number) for prior in normal], dtype=float) for number in ("mean", "sd"))
    return pm.Normal(name, mu=mean, sigma=sd, dims=dims)


def pymc_distribution(prior: Prior) -> tuple[Any, dict[str, np.ndarray]]:
    """PyMC's distribution of a prior record and its parameters.

    Numbers go in as float64 arrays: PyTensor narrows a bare Python float to float32 where that looks exact (3.0), and
    1 / 3.0 is then wrong in the eighth digit.
    """
    given = {key: np.array(value, dtype=float) for key, value in prior.model_dump(exclude={"why", "dist"}).items()}
    match prior:
        case Normal():
            return pm.Normal, {"mu": given["mean"], "sigma": given["sd"]}
        case HalfNormal():
            return pm.HalfNormal, {"sigma": given["sd"]}
        case StudentT():
            return pm.StudentT, {"nu": given["df"], "mu": given["mean"], "sigma": given["sd"]}
        case HalfStudentT():
            return pm.HalfStudentT, {"nu": given["df"], "sigma": given["sd"]}
        case Exponential():
            return pm.Exponential, {"lam": given["rate"]}
        case Gamma():
            return pm.Gamma, {"alpha": given["shape"], "beta": given["rate"]}
        case LogNormal():
            return pm.LogNormal, {"mu": given["mean"], "sigma": given["sd"]}
        case Uniform():
            return pm.Uniform, {"lower": given["lower"], "upper": given["upper"]}
    raise TypeError(f"no PyMC variable for {describe(prior)}")


def truncated_variable(name: str, prior: Prior, latest: float) -> Any:
    """The variable of a prior on times, cut off at the latest that the evidence allows."""
    if not np.isfinite(latest):
        return variable(name, prior)
    time: Any = latest * pm.Uniform(f"{name}_share", 0.0, 1.0)
    distribution, given = pymc_distribution(prior)
    pm.Potential(f"{name}_prior", pm.logp(distribution.dist(**given), time) + np.log(latest))
    return time


def exchangeable_effect(name: str, sd_name: str, sd: Prior, dims: str, df: float | None = None) -> Any:
    """sd x standard normals, or standard Student t with so many degrees of freedom."""
    standard_name = f"{name}_standard"
    standard = pm.Normal(standard_name, dims=dims) if df is None else _standard_t(standard_name, df, dims)
    return pm.Deterministic(name, variable(sd_name, sd) * standard, dims=dims)


def _standard_t(name: str, df: float, dims: str) -> Any:
    return pm.StudentT(name, nu=np.array(df), mu=np.array(0.0), sigma=np.array(1.0), dims=dims)
