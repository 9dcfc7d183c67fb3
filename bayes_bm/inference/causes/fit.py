"""Sampling a joint model of several causes: apart where nothing ties them together, else as one density."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bayes_bm.evidence.arm_covariates import incomplete_patients
from bayes_bm.evidence.audit import require_usable
from bayes_bm.evidence.causes import CausesEvidence, read_causes_evidence, with_common_centres
from bayes_bm.inference.causes.density import JointDensity, joint_density, joint_inputs, target
from bayes_bm.inference.causes.result import JointResult
from bayes_bm.inference.fit import fit
from bayes_bm.inference.gate import Gate, convergence_gate
from bayes_bm.inference.gated_sampling import RETRY_ACCEPT
from bayes_bm.inference.provenance import make_provenance, versions
from bayes_bm.inference.result import Result, observed_dataset
from bayes_bm.inference.sampling import KEPT_STATISTICS, require_whole, run_nutpie
from bayes_bm.model.causes.joint_inputs import JointInputs
from bayes_bm.runtime.progress import each
from bayes_bm.runtime.types import Progress
from bayes_bm.spec.causes import Causes, read_causes
from bayes_bm.spec.document import Sampling

APART = "a fit for each cause: no row speaks of several and levels are independent, so their product is the posterior"
TOGETHER = "one density: the causes' compiled ones, and a graph of what ties them together"


def fit_causes(
    causes: Causes | str | Path,
    evidence: CausesEvidence | None = None,
    *,
    seed: int | None = None,
    draws: int | None = None,
    tune: int | None = None,
    chains: int | None = None,
    cores: int | None = None,
    say: Progress = lambda stage: None,
) -> JointResult:
    """Sample the posterior of a model of all causes; `None` means the spec's own setting.

    Where no row speaks of several causes and levels of studies are independent between them, the causes are fitted one
    by one, which is the joint posterior exactly; else they are sampled as one density.

    Parameters
    ----------
    causes : Causes, str or Path
        The model; or its TOML file, or the name of a shipped one.
    evidence : CausesEvidence, optional
        By default what the spec names.
    seed, draws, tune, chains, cores : int, optional
        Of the sampler. The seed is the first cause's; each next one has the next.
    say : callable, optional
        Called with the name of each stage as it begins.

    Returns
    -------
    JointResult
        A result of each cause, the correlation, gate and provenance.

    Raises
    ------
    InputError
        For specs and evidence that do not fit together, and models that have no joint density.
    BayesBmError
        Where a cause has no usable evidence.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> apart = {"joint.correlation": {"value": 0.0, "why": "an example"}}
    >>> causes = bb.read_causes("local_failure_and_death", changes=apart)
    >>> bb.fit_causes(causes, draws=50, tune=100, chains=2).gate.passed  # doctest: +SKIP
    True
    """
    causes = causes if isinstance(causes, Causes) else read_causes(causes)
    asked = {"draws": draws, "tune": tune, "chains": chains, "cores": cores}
    causes = _changed(causes, seed, {name: value for name, value in asked.items() if value is not None})
    evidence = read_causes_evidence(causes) if evidence is None else evidence
    for name, spec in causes.specs.items():
        require_usable(spec, evidence.causes[name])
    first = evidence.causes[causes.names[0]]
    if evidence.separate and not causes.correlated and not incomplete_patients(causes.first, first).any():
        return _fit_apart(with_common_centres(causes, evidence), evidence, say)
    return _fit_together(causes, evidence, say)


def _changed(causes: Causes, seed: int | None, given: dict[str, Any]) -> Causes:
    specs = {}
    for place, (name, spec) in enumerate(causes.specs.items()):
        sampling = spec.sampling.model_copy(update=given)
        specs[name] = spec.model_copy(
            update={"sampling": sampling, "seed": spec.seed if seed is None else seed + place}
        )
    return replace(causes, specs=specs)


def _fit_apart(causes: Causes, evidence: CausesEvidence, say: Progress) -> JointResult:
    """Each cause by itself: exact, because the density is a product."""
    results = {}
    for name, spec in each(causes.specs.items(), "cause"):
        results[name] = fit(spec, evidence.causes[name], say=lambda stage, name=name: say(f"{name}: {stage}"))
    fitted = replace(causes, specs={name: result.spec for name, result in results.items()})
    sizes = next(iter(results.values())).posterior.sizes
    zero = _labelled(np.zeros((sizes["chain"], sizes["draw"], len(_pairs(causes)))), causes)
    gates = {name: result.gate for name, result in results.items()}
    return JointResult(fitted, evidence, results, zero, _joined(gates), _provenance(causes, APART))


@dataclass(frozen=True)
class _Sampled:
    """Posterior of each cause, correlations and the sampler's statistics, with the gates that judged them."""

    posteriors: list[xr.Dataset]
    correlation: np.ndarray
    stats: xr.Dataset
    gates: dict[str, Gate]

    @property
    def passed(self) -> bool:
        return all(gate.passed for gate in self.gates.values())


def _fit_together(causes: Causes, evidence: CausesEvidence, say: Progress) -> JointResult:
    started = time.perf_counter()
    joint = joint_inputs(causes, evidence)
    causes = joint.causes
    say("compiling what ties the causes together (half a minute the first time, then seconds)")
    density = joint_density(joint)
    compiled = time.perf_counter()
    sampled = _sample_with_retry(density, say)
    seconds = compiled - started, time.perf_counter() - compiled
    results = _results(joint, sampled, causes.name, seconds)
    fitted = replace(causes, specs={name: result.spec for name, result in results.items()})
    provenance = _provenance(causes, TOGETHER) | {"seconds_to_sample": round(seconds[1], 2)}
    correlation = _labelled(sampled.correlation, causes)
    return JointResult(fitted, evidence, results, correlation, _joined(sampled.gates), provenance)


def _sample_with_retry(density: JointDensity, say: Progress) -> _Sampled:
    """Sample; where the gate fails, once more at a higher target acceptance (decision 18)."""
    spec = density.joint.causes.first
    seeds = [int(seed) for seed in np.random.SeedSequence(spec.seed).generate_state(2)]
    settings = spec.sampling
    say(f"sampling {settings.chains} chains of {settings.tune} + {settings.draws}")
    first = _sample(density, settings, settings.target_accept, seeds[0])
    if first.passed:
        return first
    say("the gate failed; one retry at a higher target acceptance")
    again = _sample(density, settings, RETRY_ACCEPT, seeds[1])
    reasons = _joined(first.gates).reasons
    return replace(again, gates={name: replace(gate, first_try=reasons) for name, gate in again.gates.items()})


def _sample(density: JointDensity, settings: Sampling, accept: float, seed: int) -> _Sampled:
    tree = run_nutpie(target(density), settings, accept, seed, cores=1, adaptation="low_rank")
    draws = tree["posterior"].to_dataset()["x"].transpose("chain", "draw", ...).to_numpy()[:, :: settings.thin]
    stats = tree["sample_stats"].to_dataset()
    stats = stats[[name for name in KEPT_STATISTICS if name in stats]].rename(draw="transition")
    posteriors, correlation = density.posteriors(draws), density.correlations(draws)
    require_whole(posteriors[0], stats, settings)
    names = density.joint.causes.names
    gates = {
        name: convergence_gate(posterior, stats, target_accept=accept)
        for name, posterior in zip(names, posteriors, strict=True)
    }
    if density.pairs:
        # under the name of a parameter that the gate watches, and its labels
        tied = xr.Dataset({"coefficient": (("chain", "draw", "covariate"), correlation)})
        tied = tied.assign_coords(covariate=_pairs(density.joint.causes))
        gate = convergence_gate(tied, stats[["diverging"]][["diverging"]], target_accept=accept)
        rows = tuple({**row, "parameter": row["parameter"].replace("coefficient", "correlation")} for row in gate.rows)
        reasons = tuple(text.replace("coefficient", "correlation") for text in gate.reasons if "coefficient" in text)
        gates["joint"] = replace(gate, rows=rows, reasons=reasons)
    return _Sampled(posteriors, correlation, stats, gates)


def _results(joint: JointInputs, sampled: _Sampled, name: str, seconds: tuple[float, float]) -> dict[str, Result]:
    results = {}
    for cause, inputs, posterior in zip(joint.causes.names, joint.inputs, sampled.posteriors, strict=True):
        made = make_provenance(inputs.spec, inputs.evidence, *seconds)
        results[cause] = Result(
            spec=inputs.spec,
            evidence=inputs.evidence,
            posterior=posterior,
            sample_stats=sampled.stats,
            stored_log_likelihood=None,
            observed_data=observed_dataset(inputs.spec, inputs.evidence),
            gate=sampled.gates[cause],
            provenance=made | {"density": TOGETHER, "centring": "none", "joint": name},
        ).with_inputs(inputs)
    return results


def _joined(gates: Mapping[str, Gate]) -> Gate:
    """The gate of all causes together, its rows and reasons under the cause's name."""
    rows = tuple(
        {**row, "parameter": f"{name}: {row['parameter']}"} for name, gate in gates.items() for row in gate.rows
    )
    reasons = dict.fromkeys(f"{name}: {reason}" for name, gate in gates.items() for reason in gate.reasons)
    return replace(next(iter(gates.values())), rows=rows, reasons=tuple(reasons))


def _pairs(causes: Causes) -> list[str]:
    return [f"{one}, {other}" for one, other in combinations(causes.names, 2)]


def _labelled(values: np.ndarray, causes: Causes) -> xr.DataArray:
    dims = ("chain", "draw", "pair")
    return xr.DataArray(values, dims=dims, coords={"pair": _pairs(causes)}, name="correlation")


def _provenance(causes: Causes, how: str) -> dict[str, Any]:
    return {"spec": causes.name, "spec_digest": causes.digest(), "sampled": how, "versions": versions()}
