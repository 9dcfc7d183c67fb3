"""Sampling, convergence gate, imputations, provenance, storing (`rules.md`, 18, 19, 22).

PyMC and nutpie are imported when a fit starts, not before: reading results and printing help stay fast.
"""

import json
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import pandas as pd
import xarray as xr

from bayes_bm import likelihoods
from bayes_bm.arrays import NUMPY
from bayes_bm.baseline import family_of, with_knots
from bayes_bm.case_mix import CaseMix, case_mix
from bayes_bm.clocks import arm_family
from bayes_bm.effects import Design, design
from bayes_bm.errors import BayesBmError, GateRefused, InputError
from bayes_bm.evidence import Evidence, RebuiltArm, read_evidence
from bayes_bm.files import written_whole
from bayes_bm.gate import Gate, convergence_gate, watched_parameters
from bayes_bm.hazards import Family
from bayes_bm.hazards.averaged import averaged
from bayes_bm.imputation import (
    Imputations,
    count_of,
    imputed,
    joint_gate,
    rebuilt_arms,
    stacked,
    variance_table,
)
from bayes_bm.integration import any_averaged, arm_points
from bayes_bm.many import Outcome, Task, map_fits, once_per_process
from bayes_bm.missing import Law, covariate_laws
from bayes_bm.observations import KINDS, averages, observations, present
from bayes_bm.predictor import (
    Draws,
    arm_predictors,
    draws,
    lacked_offsets,
    point_offsets,
    ratio_means,
    shifts,
)
from bayes_bm.spec import Sampling, Spec, parse_spec

if TYPE_CHECKING:
    from bayes_bm.sampling import Sampler

PACKAGES = ("bayes_bm", "pymc", "pytensor", "nutpie", "arviz", "numpy", "xarray")
RETRY_ACCEPT = 0.99
POINTWISE_LIMIT = 50_000_000
"""Above so many (draw x row) numbers the log-likelihood is stored per arm, not per patient."""


@dataclass(frozen=True)
class Result:
    """A posterior with everything needed to read it: spec, evidence, gate and provenance.

    With `imputations` it is the mixture of several posteriors, told apart by the coordinate `imputation(chain)`;
    `evidence` is then that of the best reconstruction, and `log_likelihood` is empty: what is pointwise belongs to the
    patients of one imputation (`of_imputation`). Where it is not stored it is worked out when it is first read.
    """

    spec: Spec
    evidence: Evidence
    posterior: xr.Dataset
    sample_stats: xr.Dataset
    stored_log_likelihood: xr.Dataset | None
    observed_data: xr.Dataset
    gate: Gate
    provenance: dict[str, Any] = field(default_factory=dict)
    imputations: Imputations | None = None

    @cached_property
    def design(self) -> Design:
        return design(self.spec, self.evidence)

    @cached_property
    def family(self) -> Family:
        return family_of(self.spec, self.evidence)

    @cached_property
    def arm_family(self) -> Family:
        """The family of study arms at their covariates' centres: on their own clocks, where these are unknown."""
        return arm_family(self.family, self.design.clocks)

    @cached_property
    def draws(self) -> Draws:
        return draws(self.posterior, self.design, self.spec, self.family)

    @cached_property
    def log_likelihood(self) -> xr.Dataset:
        """Pointwise, by kind of evidence (chain, draw, row)."""
        stored = self.stored_log_likelihood
        return pointwise_log_likelihood(self) if stored is None else stored

    @cached_property
    def case_mix(self) -> CaseMix:
        """Covariates of the evidence's patients, as far as they are known."""
        return case_mix(self.spec, self.evidence)

    @cached_property
    def arm_law(self) -> tuple[Family, np.ndarray, np.ndarray]:
        """Family, eta (sample, arm row) and shape of each arm as a whole: what its printed numbers speak about.

        Where an arm is averaged over its covariates, so is the family (`hazards.averaged`).
        """
        eta, of_arm = self.arm_predictors
        if not any_averaged(self.spec, self.evidence):
            return self.arm_family, eta, of_arm
        offsets = self.point_offsets
        return averaged(self.family, offsets.shape[-1]), eta, np.concatenate([of_arm, offsets], axis=-1)

    @cached_property
    def point_offsets(self) -> np.ndarray:
        """What each integration point adds to eta of each arm (sample, arm row, point)."""
        return point_offsets(self.draws, self.design, arm_points(self.spec, self.evidence))

    @cached_property
    def arm_predictors(self) -> tuple[np.ndarray, np.ndarray]:
        """eta (sample, arm row) and shape (sample, arm row, shape) of every arm at its covariates' centres."""
        return arm_predictors(self.draws, self.design)

    @cached_property
    def covariate_laws(self) -> tuple[Law, ...]:
        """Laws of the covariates that single patients lack."""
        return covariate_laws(self.spec, self.evidence)

    def law_of(
        self, name: str, arrays: Mapping[str, np.ndarray], samples: np.ndarray | slice = slice(None)
    ) -> tuple[Family, np.ndarray, np.ndarray]:
        """Family, eta (sample, row) and shape (sample, row, shape) of the rows of a kind of evidence, at some draws."""
        rows = arrays["arm_row"]
        law, eta, shape = self.arm_law if averages(name) else (self.arm_family, *self.arm_predictors)
        at, of_rows = eta[samples][:, rows], shape[samples][:, rows]
        if "x" in arrays and arrays["x"].shape[1]:
            at = at + shifts(self.draws, self.design, rows, arrays["x"], samples)
        if name != "patients_imputed":
            return law, at, of_rows
        lacked = lacked_offsets(self.draws, self.design, self.spec, self.covariate_laws, arrays, samples)
        return averaged(law, lacked.shape[-1] // 2, weighted=True), at, np.concatenate([of_rows, lacked], axis=-1)

    @cached_property
    def ratio_means(self) -> np.ndarray:
        """The study's own log hazard ratio behind each hazard-ratio row (sample, row)."""
        arrays = observations(self.spec, self.evidence, self.family).get("hazard_ratios", {})
        return ratio_means(self.draws, self.design, self.family, arrays, proportional=self.spec.proportional)

    def of_imputation(self, label: int) -> "Result":
        """One imputation (1 to M) by itself: its chains, its patients, its gate, its pointwise log-likelihood."""
        if self.imputations is None:
            raise InputError("imputation", found=label, hint="this result was fitted to the best reconstruction alone")
        evidence = self.imputations.evidence(self.evidence, label)
        return replace(
            self,
            evidence=evidence,
            posterior=_of_label(self.posterior, label),
            sample_stats=_of_label(self.sample_stats, label),
            observed_data=_observed(self.spec, evidence),
            gate=self.imputations.gates[label - 1],
            imputations=None,
            stored_log_likelihood=None,
        )

    def thinned(self, draws: int) -> "Result":
        """The same with about so many draws, evenly from all chains: what a line, or a page, needs."""
        step = max(1, self.posterior.sizes["chain"] * self.posterior.sizes["draw"] // draws)
        of_draws = None if self.imputations is None else self.stored_log_likelihood
        thin = self.posterior.isel(draw=slice(None, None, step))
        return replace(self, posterior=thin, stored_log_likelihood=of_draws)

    def require_one_target(self, where: str, *, differ: str, hint: str) -> None:
        """Raises `InputError` for a stack of imputations (rule 19); `differ`: what is not the same in all of them."""
        if self.imputations is not None:
            found = f"{self.imputations.m} imputations, whose {differ} differ"
            raise InputError(where, found=found, allowed="one imputation at a time", hint=f"{hint} (rule 19)")

    def to_arviz(self) -> xr.DataTree:
        """The groups as ArviZ reads them, spec and provenance in the attributes."""
        groups = {
            "posterior": self.posterior,
            "sample_stats": self.sample_stats,
            "log_likelihood": self.log_likelihood,
            "observed_data": self.observed_data,
        }
        tree = xr.DataTree.from_dict({name: group for name, group in groups.items() if group.data_vars})
        tree.attrs = {
            "spec": json.dumps(self.spec.document()),
            "provenance": json.dumps(self.provenance),
            "gate": json.dumps(self.gate.document()),
            "gate_state": self.gate.state,
        }
        return tree

    def save(self, path: str | Path) -> Path:
        """Write NetCDF (HDF5), whole or not at all."""
        tree = self.to_arviz()
        tree["evidence"] = xr.DataTree(_stored_evidence(self.evidence))
        if self.imputations is not None:
            tree["imputation"] = xr.DataTree(self.imputations.stored())
        with written_whole(Path(path)) as file:
            tree.to_netcdf(file, engine="h5netcdf")
        return Path(path)

    def require_gate(self, *, allow_failed: bool = False) -> None:
        """Refuse to answer from a posterior that has not converged (exit status 1)."""
        if not self.gate.passed and not allow_failed:
            reasons = "; ".join(self.gate.reasons)
            raise GateRefused(f"the convergence gate failed: {reasons}. Sample longer, or say --allow-failed-gate")


def fit(
    spec: Spec,
    evidence: Evidence | None = None,
    *,
    seed: int | None = None,
    draws: int | None = None,
    tune: int | None = None,
    chains: int | None = None,
    cores: int | None = None,
    imputations: int | None = None,
    processes: int = 1,
    scheduler: str | None = None,
    say: Callable[[str], None] = lambda stage: None,
) -> Result:
    """Sample the posterior of a spec; `None` means the spec's own setting.

    `imputations` M, 20 or more, fits M plausible sets of the patients behind reconstructed curves instead of the best
    one (rule 19): compiled once, each sampled with a seed of its own and equally many draws, each with its own gate.
    `draws`, `tune` and `chains` are then those of each, by default `EACH` at most. They run one after the other, on
    `processes` of this machine, or on the Dask cluster at `scheduler` (`many.map_fits`): the same draws everywhere.

    The convergence gate is applied once, with one retry at a higher target acceptance (rule 18); a failed gate is
    recorded in the result, not raised, so that the result can be looked at. `say` is told each stage.
    """
    asked = {"draws": draws, "tune": tune, "chains": chains, "cores": cores}
    given = {name: value for name, value in asked.items() if value is not None}
    sampling = spec.sampling.model_copy(update=given)
    spec = spec.model_copy(update={"sampling": sampling, "seed": spec.seed if seed is None else seed})
    evidence = read_evidence(spec) if evidence is None else evidence
    m = count_of(imputations, evidence)
    where = _where(processes, scheduler, m)
    from bayes_bm.checks.audit import require_usable
    from bayes_bm.sampling import centring_of, density_of, sampler

    require_usable(spec, evidence)
    spec = with_knots(spec, evidence)
    started = time.perf_counter()
    each = spec if m == 1 else spec.model_copy(update={"sampling": _of_each(sampling, given)})
    if m == 1:
        sample = sampler(each, evidence, say)
        compiled_in = time.perf_counter() - started
        (posterior, stats, gate), known = _sample_with_retry(spec, sample, say), None
    else:
        model = _Model(each, evidence)
        if where.here:
            model.here(say)
        compiled_in = time.perf_counter() - started
        posterior, stats, gate, known = _sample_imputations(model, m, where, say)
    sampled_in = time.perf_counter() - started - compiled_in
    result = Result(
        spec=spec,
        evidence=evidence,
        posterior=posterior,
        sample_stats=stats,
        stored_log_likelihood=xr.Dataset() if known is not None else None,
        observed_data=_observed(spec, evidence),
        gate=gate,
        provenance=_provenance(each, evidence, compiled_in, sampled_in)
        | {
            "spec_digest": spec.digest(),
            "density": density_of(spec, evidence),
            "centring": centring_of(spec, evidence),
        },
        imputations=known,
    )
    result = replace(result, provenance=result.provenance | _integration(result, say))
    if known is not None:
        return replace(result, provenance=result.provenance | _imputation_provenance(result))
    return result


def _integration(result: Result, say: Callable[[str], None]) -> dict[str, Any]:
    """Whether more integration points would say the same: told, and kept in the provenance."""
    from bayes_bm.checks.integration import integration_error

    found = integration_error(result)
    if found is None:
        return {}
    if not found.enough:
        say(f"warning: {found.text}")
    return {"integration": found.document() | {"text": found.text}}


# ---------------------------------------------------------------------------------------------- imputations


EACH = {"tune": 500, "chains": 2}
"""Most that is spent on each imputation unless asked for: two chains give the gate its 400 effective draws."""


KEPT = 10_000
"""Draws of the mixture that are kept: an answer averaged over studies costs 1 ms a draw."""


def _of_each(sampling: Sampling, given: Mapping[str, int]) -> Sampling:
    fewer = {name: min(most, getattr(sampling, name)) for name, most in EACH.items() if name not in given}
    return sampling.model_copy(update=fewer)


@dataclass(frozen=True)
class _Where:
    """Where imputations are sampled: here, on processes of this machine, or on a cluster."""

    processes: int
    scheduler: str | None

    @property
    def here(self) -> bool:
        return self.processes == 1 and self.scheduler is None


def _where(processes: int, scheduler: str | None, m: int) -> _Where:
    found = _Where(processes, scheduler)
    if processes < 1:
        raise InputError("--processes", found=processes, allowed="1 or more")
    if m == 1 and not found.here:
        option, value = ("--processes", processes) if scheduler is None else ("--scheduler", scheduler)
        raise InputError(option, found=f"{value} for a single fit", allowed="many fits: --imputations M")
    return found


@dataclass(frozen=True)
class _Model:
    """What all imputations have in common; made ready for sampling once in each process."""

    spec: Spec
    evidence: Evidence
    key: str = field(default_factory=lambda: uuid4().hex)

    def here(self, say: Callable[[str], None]) -> "Sampler":
        from bayes_bm.sampling import sampler

        return once_per_process(self.key, lambda: sampler(self.spec, self.evidence, say))


Runs = tuple[xr.Dataset, xr.Dataset, Gate]


def _sample_imputations(
    model: _Model, m: int, where: _Where, say: Callable[[str], None]
) -> tuple[xr.Dataset, xr.Dataset, Gate, Imputations]:
    """Each set of patients with its own seed and its own gate (rule 19); the stack is never judged."""
    say("drawing patients from the curves")
    sets = imputed(model.evidence, m, seed=model.spec.seed)
    tasks = [Task(f"imputation {label} of {m}", (model, of, label)) for label, of in enumerate(sets, start=1)]
    # a stage can be told from this process only
    work = partial(_imputation, say=partial(_say_of, say, m)) if where.here else _imputation

    def told(done: int, total: int, outcome: Outcome) -> None:
        if not where.here:
            say(f"{outcome.name} {outcome.how}, {done} of {total}")

    found = map_fits(work, tasks, cores=where.processes, scheduler=where.scheduler, say=told)
    for outcome in found:
        if outcome.how == "failed":
            raise BayesBmError(f"{outcome.name}: {outcome.failure}")
    posteriors, stats, gates = zip(*(outcome.value for outcome in found), strict=True)
    time, event = (np.stack([of.patients[name].to_numpy(dtype=float) for of in sets]) for name in ("time", "event"))
    known = Imputations(time, event, gates)
    return _kept(stacked(posteriors)), stacked(stats), joint_gate(gates), known


def _imputation(
    given: tuple[_Model, Evidence, int],
    seeds: np.random.SeedSequence,
    *,
    say: Callable[[int, str], None] = lambda label, stage: None,
) -> Runs:
    """The posterior of one set of patients. Its seed is that of its label, as before there were processes."""
    model, of, label = given
    sample = model.here(lambda stage: None)
    own = np.random.SeedSequence(model.spec.seed, spawn_key=(19, label))
    return _sample_with_retry(model.spec, partial(sample, of=of), partial(say, label), seeds=own)


def _say_of(say: Callable[[str], None], m: int, label: int, stage: str) -> None:
    say(f"imputation {label} of {m}: {stage}")


def _kept(stack: xr.Dataset) -> xr.Dataset:
    """About `KEPT` draws, equally many of each chain; the gates have seen all of them."""
    step = max(1, stack.sizes["chain"] * stack.sizes["draw"] // KEPT)
    thin = stack.isel(draw=slice(None, None, step))
    return thin.assign_coords(draw=range(thin.sizes["draw"]))


def _of_label(group: xr.Dataset, label: int) -> xr.Dataset:
    """The chains of one imputation, counted from 0."""
    mine = group.isel(chain=np.flatnonzero(group["imputation"].to_numpy() == label)).drop_vars("imputation")
    return mine.assign_coords(chain=range(mine.sizes["chain"]))


def _imputation_provenance(result: Result) -> dict[str, Any]:
    """M, whose patients were drawn, and how much wider that makes every parameter and contrast."""
    known = result.imputations
    table = variance_table(watched_parameters(result.posterior))
    return {
        "imputations": 0 if known is None else known.m,
        "reconstructed": [f"{arm.study}, {arm.arm}" for arm in rebuilt_arms(result.evidence)],
        "variance": table.set_index("quantity").to_dict("index"),
    }


# ---------------------------------------------------------------------------------------------- gate


def _sample_with_retry(
    spec: Spec,
    sample: Callable[[float, int], tuple[xr.Dataset, xr.Dataset]],
    say: Callable[[str], None],
    *,
    seeds: np.random.SeedSequence | None = None,
) -> tuple[xr.Dataset, xr.Dataset, Gate]:
    first, second = (int(seed) for seed in (seeds or np.random.SeedSequence(spec.seed)).generate_state(2))
    settings, accept = spec.sampling, spec.sampling.target_accept
    say(f"sampling {settings.chains} chains of {settings.tune} + {settings.draws}")
    posterior, stats = sample(accept, first)
    gate = convergence_gate(posterior, stats, target_accept=accept)
    if gate.passed:
        return posterior, stats, gate
    say("the gate failed; one retry at a higher target acceptance")
    posterior, stats = sample(RETRY_ACCEPT, second)
    retried = convergence_gate(posterior, stats, target_accept=RETRY_ACCEPT)
    return posterior, stats, replace(retried, first_try=gate.reasons)


# ---------------------------------------------------------------------------------------------- what is stored


def pointwise_log_likelihood(result: Result) -> xr.Dataset:
    """Log density of every row of evidence at every draw, by kind (chain, draw, row).

    Refused for a stack of imputations: a row is another patient in each, and LOO over the stack would mix them.
    """
    hint = "result.of_imputation(1).log_likelihood"
    result.require_one_target("pointwise log-likelihood", differ="patients", hint=hint)
    of, found = result.draws, {}
    for name, arrays in observations(result.spec, result.evidence, result.family).items():
        if name == "hazard_ratios":
            found[name] = _ratio_log_likelihood(result, arrays, result.ratio_means)
            continue
        data = SimpleNamespace(**arrays, **present(arrays))
        cost = max(1, result.law_of(name, arrays, slice(0, 1))[2].shape[-1] // 4)
        terms = np.empty((of.samples, len(data.arm_row)))
        whole = terms.size <= POINTWISE_LIMIT
        if not whole:
            terms = np.empty((of.samples, len(result.evidence.arms)))
        for rows in np.array_split(np.arange(of.samples), max(1, cost * of.samples * len(data.arm_row) // 2_000_000)):
            law, at, shape = result.law_of(name, arrays, rows)
            values = KINDS[name].log_density(law, data, at, shape, xp=NUMPY)
            terms[rows] = values if whole else _sum_by(values, data.arm_row, terms.shape[1])
        found[name] = terms
    return xr.Dataset({name: _labelled(values, of.chains, name) for name, values in found.items()})


def averaged_log_likelihood(result: Result, posterior: xr.Dataset, points: np.ndarray) -> np.ndarray:
    """Log likelihood of each arm at draws of a posterior, its kinds averaged over `points` (draw, arm)."""
    of = draws(posterior, result.design, result.spec, result.family)
    eta, of_arm = arm_predictors(of, result.design)
    wide = np.concatenate([of_arm, point_offsets(of, result.design, points)], axis=-1)
    law, total = averaged(result.family, points.shape[1]), np.zeros(eta.shape)
    for name, arrays in observations(result.spec, result.evidence, result.family, ties=True).items():
        if averages(name):
            rows = arrays["arm_row"]
            data = SimpleNamespace(**arrays, **present(arrays))
            cost = of.samples * len(rows) * points.shape[1]
            for part in np.array_split(np.arange(of.samples), max(1, cost // 4_000_000)):
                at = np.ix_(part, rows)
                values = KINDS[name].log_density(law, data, eta[at], wide[at], xp=NUMPY)
                total[part] += _sum_by(values, rows, total.shape[1])
    return total


def _sum_by(values: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    return np.stack([np.bincount(group, weights=row, minlength=groups) for row in values])


def _ratio_log_likelihood(result: Result, arrays: Mapping[str, np.ndarray], mean: np.ndarray) -> np.ndarray:
    def dot(whitener: np.ndarray, noise: np.ndarray) -> np.ndarray:
        return noise @ whitener.T

    terms = likelihoods.hazard_ratios(
        arrays["log_hr"], mean, arrays["whitener"], log_diagonal=arrays["log_diagonal"], dot=dot
    )
    studies = pd.Categorical(result.evidence.hazard_ratios["study"])
    return _sum_by(terms, studies.codes, len(studies.categories))


def _labelled(values: np.ndarray, chains: int, name: str) -> xr.DataArray:
    shaped = values.reshape(chains, -1, values.shape[1])
    return xr.DataArray(shaped, dims=("chain", "draw", f"{name}_row"))


def _observed(spec: Spec, evidence: Evidence) -> xr.Dataset:
    """What was observed, in the spec's time unit."""
    columns = {
        "patients": ("time", "event", "time_upper", "entry", "weight", "arm_row"),
        "sequences": ("time", "ratio", "size", "arm_row"),
        "medians": ("time", "arm_row"),
        "counts": ("time", "events", "n", "arm_row"),
        "registry": ("start", "time", "alive", "n", "arm_row"),
        "hazard_ratios": ("log_hr", "se"),
    }
    variables = {
        f"{table}_{column}": (f"{table}_row", evidence.tables()[table][column].to_numpy(dtype=float))
        for table, names in columns.items()
        for column in names
        if len(evidence.tables()[table])
    }
    return xr.Dataset(variables, attrs={"time_unit": spec.time_unit})


def _provenance(spec: Spec, evidence: Evidence, compiled_in: float, sampled_in: float) -> dict[str, Any]:
    return {
        "spec": spec.name,
        "spec_digest": spec.digest(),
        "evidence_digest": evidence.digest(),
        "files": dict(evidence.digests),
        "seed": spec.seed,
        **spec.sampling.model_dump(include={"draws", "tune", "chains", "thin", "sampler", "target_accept"}),
        "versions": {name: _version(name) for name in PACKAGES} | {"python": platform.python_version()},
        "seconds_to_compile": round(compiled_in, 2),
        "seconds_to_sample": round(sampled_in, 2),
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _stored_evidence(evidence: Evidence) -> xr.Dataset:
    """Each table as one JSON text: a variable, because an attribute of HDF5 ends at 64 KiB."""
    tables = {**evidence.tables(), "background": evidence.background}
    return xr.Dataset({name: _stored_table(table) for name, table in tables.items()}).assign(
        rebuilt=((), np.array(json.dumps([arm.document() for arm in evidence.rebuilt]), dtype=object)),
        hr_cholesky=(("hr_row", "hr_column"), evidence.hr_cholesky),
        digests=((), np.array(json.dumps(dict(evidence.digests)), dtype=object)),
    )


def _stored_table(table: pd.DataFrame) -> tuple[tuple[()], np.ndarray, dict[str, str]]:
    """With the type of each column, which the text of a table without rows, or of an empty column, does not tell."""
    kinds = json.dumps({name: str(kind) for name, kind in table.dtypes.items()})
    return (), np.array(json.dumps(table.to_dict(orient="list")), dtype=object), {"dtypes": kinds}


def _read_table(stored: xr.DataArray) -> pd.DataFrame:
    columns = json.loads(str(stored.item()))
    # results of before types were stored have none
    if "dtypes" not in stored.attrs:
        return pd.DataFrame(columns)
    return pd.DataFrame(columns, dtype=object).astype(json.loads(stored.attrs["dtypes"]))


def _read_stored_evidence(stored: xr.Dataset) -> Evidence:
    names = ("arms", "patients", "sequences", "medians", "hazard_ratios", "counts", "set_aside")
    # results of before there were registries and backgrounds hold neither
    names = (*names, *(name for name in ("registry", "background") if name in stored))
    tables = {name: _read_table(stored[name]) for name in names}
    # results of version 0.1.0 before rule 19 was built hold no curves
    rebuilt = json.loads(str(stored["rebuilt"].item())) if "rebuilt" in stored else []
    return Evidence(
        **tables,
        hr_cholesky=stored["hr_cholesky"].values,
        digests=json.loads(str(stored["digests"].item())),
        rebuilt=tuple(RebuiltArm.from_document(arm) for arm in rebuilt),
    )


def load(path: str | Path) -> Result:
    """Read a result written by `Result.save`. Raises `InputError` for anything else."""
    file = Path(path)
    if not file.is_file():
        raise InputError(str(path), found="no such file", hint="make one with: bayes-bm fit SPEC --out RESULT.nc")
    try:
        tree = xr.open_datatree(file, engine="h5netcdf").load()
        document, attributes = json.loads(tree.attrs["spec"]), tree.attrs
    except (OSError, KeyError, ValueError) as problem:
        raise InputError(str(path), found=f"not a result of bayes-bm fit ({problem})") from None
    finally:
        if "tree" in locals():
            tree.close()

    def group(name: str) -> xr.Dataset:
        return tree[name].to_dataset() if name in tree.children else xr.Dataset()

    return Result(
        spec=parse_spec(document, where=f"{file}, spec"),
        evidence=_read_stored_evidence(group("evidence")),
        posterior=group("posterior"),
        sample_stats=group("sample_stats"),
        stored_log_likelihood=group("log_likelihood"),
        observed_data=group("observed_data"),
        gate=Gate.from_document(json.loads(attributes["gate"])),
        provenance=json.loads(attributes["provenance"]),
        imputations=Imputations.from_stored(group("imputation")) if "imputation" in tree.children else None,
    )
