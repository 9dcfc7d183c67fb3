"""Provenance of a result: digests, seed, versions, seconds."""

import platform
import time
from importlib import metadata
from typing import Any

from bayes_bm.evidence.records import Evidence
from bayes_bm.inference.gate import watched_parameters
from bayes_bm.inference.imputations import (
    rebuilt_arms,
    variance_table,
)
from bayes_bm.inference.result import Result
from bayes_bm.spec.document import Spec

PACKAGES = ("bayes_bm", "pymc", "pytensor", "nutpie", "numba", "arviz", "numpy", "scipy", "pandas", "xarray")


def imputation_provenance(result: Result) -> dict[str, Any]:
    """M, whose patients were drawn, and how much wider that makes every parameter and contrast."""
    imputations = result.imputations
    table = variance_table(watched_parameters(result.posterior))
    return {
        "imputations": 0 if imputations is None else imputations.m,
        "reconstructed": [f"{arm.study}, {arm.arm}" for arm in rebuilt_arms(result.evidence)],
        "variance": table.set_index("quantity").to_dict("index"),
    }


def make_provenance(spec: Spec, evidence: Evidence, compiled_in: float, sampled_in: float) -> dict[str, Any]:
    return {
        "spec": spec.name,
        "spec_digest": spec.digest(),
        "evidence_digest": evidence.digest(),
        "files": dict(evidence.digests),
        "seed": spec.seed,
        **spec.sampling.model_dump(include={"draws", "tune", "chains", "thin", "sampler", "target_accept"}),
        "versions": versions(),
        "platform": platform.platform(),
        "seconds_to_compile": round(compiled_in, 2),
        "seconds_to_sample": round(sampled_in, 2),
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def versions() -> dict[str, str]:
    """Versions of what a posterior depends on, as they are here."""
    return {name: _version(name) for name in PACKAGES} | {"python": platform.python_version()}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
