"""The same result again, from what is stored in it: bit for bit with the same versions, else to Monte Carlo error."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_bm.inference.causes.fit import fit_causes
from bayes_bm.inference.causes.result import JointResult
from bayes_bm.inference.fit import fit
from bayes_bm.inference.gate import watched_parameters
from bayes_bm.inference.provenance import versions
from bayes_bm.inference.result import Result
from bayes_bm.runtime.types import Array, Progress

TIED = "correlation: "
"""Stands before the parameter that ties the causes of a joint result."""
LARGEST_Z = 4.0
"""Standard errors by which a mean may differ: one in 16,000 differs by more, and a posterior has some dozens."""


@dataclass(frozen=True)
class Rerun:
    """Hold the result made again, whether every draw is the same, and how far each mean is off.

    Attributes
    ----------
    result : Result or JointResult
        Made from the spec and evidence of the other.
    identical : bool
        Every draw of every parameter is the same, bit for bit.
    table : pandas.DataFrame
        Mean of each watched parameter before and again, and their difference in its Monte Carlo error (z).
    versions : pandas.DataFrame
        Packages whose versions differ from those of before: package, old, new.

    Examples
    --------
    >>> import pandas as pd
    >>> import bayes_bm as bb
    >>> from bayes_bm.inference.prior_result import prior_result
    >>> result = prior_result(bb.read_spec("published_os_extent_of_resection"), draws=20)
    >>> again = bb.Rerun(result, False, pd.DataFrame({"z": [0.5, -1.2]}), pd.DataFrame())
    >>> again.agrees
    True
    """

    result: Result | JointResult
    identical: bool
    table: pd.DataFrame
    versions: pd.DataFrame

    @property
    def agrees(self) -> bool:
        """Return whether it is the same, to Monte Carlo error at least."""
        return self.identical or bool((self.table["z"].abs() <= LARGEST_Z).all())

    @property
    def sentence(self) -> str:
        """Return what was reproduced."""
        changed = ", ".join(f"{row.package} {row.old} -> {row.new}" for row in self.versions.itertuples())
        with_versions = f"other versions ({changed})" if changed else "the same versions"
        if self.identical:
            return f"Reproduced bit for bit, with {with_versions}."
        worst = self.table.iloc[int(self.table["z"].abs().to_numpy().argmax())]
        verdict = "Reproduced to Monte Carlo error" if self.agrees else "Not reproduced"
        far = f"{worst['parameter']} is off by {worst['z']:.1f} standard errors, the most of all"
        return f"{verdict}, with {with_versions}: {far}."


def rerun(result: Result | JointResult, *, cores: int | None = None, say: Progress = lambda stage: None) -> Rerun:
    """Fit again what a result was fitted to, with its spec, evidence, seed and sampler, and compare the draws.

    Parameters
    ----------
    result : Result or JointResult
        Its evidence and spec are read from it, no file is.
    cores : int, optional
        Processor cores of the sampler; draws do not depend on them.
    say : callable, optional
        Is called with the name of each stage as it begins.

    Returns
    -------
    Rerun
        The new result, whether it is identical, and how far its means are off.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> result = bb.fit(bb.read_spec("published_os_extent_of_resection"), draws=100, tune=200)
    >>> bb.rerun(result).identical
    True
    """
    earlier = _posteriors(result)
    again = _fitted(result, cores, say)
    now = _posteriors(again)
    identical = all(
        name in now[part] and np.array_equal(own[name].to_numpy(), now[part][name].to_numpy())
        for part, own in earlier.items()
        for name in own.data_vars
    )
    means = [_means(part, own, now[part]) for part, own in earlier.items()]
    return Rerun(again, identical, pd.concat(means, ignore_index=True), _changed_versions(result))


def _fitted(result: Result | JointResult, cores: int | None, say: Progress) -> Result | JointResult:
    if isinstance(result, JointResult):
        return fit_causes(result.causes, result.evidence, cores=cores, say=say)
    result.require_alone("rerun")
    each = {name: result.provenance[name] for name in ("draws", "tune", "chains") if name in result.provenance}
    imputed = None if result.imputations is None else result.imputations.m
    return fit(result.spec, result.evidence, cores=cores, imputations=imputed, say=say, **each)


def _posteriors(result: Result | JointResult) -> dict[str, xr.Dataset]:
    """The posterior; of a joint result that of each cause, under its name, and the correlation."""
    if isinstance(result, Result):
        return {"": result.posterior}
    parts = {f"{name}: ": one.posterior for name, one in result.results.items()}
    # under the name of a parameter that is watched
    tied = result.correlation.rename(pair="covariate").rename("coefficient").to_dataset()
    return parts | {TIED: tied}


def _changed_versions(result: Result | JointResult) -> pd.DataFrame:
    earlier, now = result.provenance.get("versions", {}), versions()
    changed = [{"package": name, "old": earlier.get(name), "new": now.get(name)} for name in {**earlier, **now}]
    return pd.DataFrame([row for row in changed if row["old"] != row["new"]], columns=["package", "old", "new"])


def _means(part: str, earlier: xr.Dataset, again: xr.Dataset) -> pd.DataFrame:
    """Means of watched parameters, and their difference in standard errors."""
    ours, theirs = (watched_parameters(one) for one in (earlier, again))
    rows = []
    for name in ours.data_vars:
        if name not in theirs:
            continue
        one, other = (_flat(data[name].transpose("chain", "draw", ...).to_numpy()) for data in (ours, theirs))
        for place in range(one.shape[-1]):
            means = one[..., place].mean(), other[..., place].mean()
            error = np.hypot(_mcse(one[..., place]), _mcse(other[..., place]))
            z = 0.0 if means[0] == means[1] else (means[1] - means[0]) / error
            label = part + (str(name) if one.shape[-1] == 1 else f"{name}[{place}]")
            label = label.replace(f"{TIED}coefficient", "correlation")
            rows.append({"parameter": label, "before": means[0], "again": means[1], "z": float(z)})
    return pd.DataFrame(rows, columns=["parameter", "before", "again", "z"])


def _flat(values: Array) -> Array:
    """(chain, draw, anything) as (chain, draw, parameter)."""
    return values.reshape(*values.shape[:2], -1)


def _mcse(values: Array) -> float:
    """Standard error of a mean of chains (chain, draw), by their effective size."""
    from arviz_stats.base.array import array_stats

    found: Any = array_stats.ess(values, chain_axis=0, draw_axis=1, method="mean")
    size = float(found)
    return float(values.std() / np.sqrt(size)) if np.isfinite(size) and size > 0 else float("inf")
