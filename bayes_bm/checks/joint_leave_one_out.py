"""Each study is left out of every cause of a joint model at once: how well the others foretell it, and the ratios.

Everything that the study has of its own is integrated together: its level, shape and deviations in every cause, levels
correlated as the draw says. Rows of several causes are part of the density. Weights and refits are as for one endpoint
(`leave_one_study_out`).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_bm.checks.joint_studies import joint_parts, of_study, without_study
from bayes_bm.checks.pareto_smoothing import HIGH_K, pareto_smoothed, resampled
from bayes_bm.checks.reconciliation import reconcile, two_sided
from bayes_bm.checks.studies_left_out import (
    ALL,
    NUMBER_COLUMNS,
    STUDY_COLUMNS,
    LeaveOneOut,
    chosen_treatment,
    draws_of,
    log_mean,
    mcse,
    ratio,
    run_tasks,
    shared_draws,
    with_effects_of,
    with_fixed_correlations,
    write_tables,
)
from bayes_bm.checks.study_likelihood import (
    StudyRows,
    integrated,
    keep_study,
    require_population,
    rows_log_density,
    studies_of,
)
from bayes_bm.estimands.joint_compare import PrintedComplements, printed_complements
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.inference.causes.fit import fit_causes
from bayes_bm.inference.causes.result import CELLS, JointResult
from bayes_bm.inference.result import Result
from bayes_bm.model.causes import correlation
from bayes_bm.model.causes.incidence import NODES
from bayes_bm.model.causes.joint_inputs import JointInputs, arm_levels, row_terms
from bayes_bm.runtime.tasks import Outcome, Task
from bayes_bm.runtime.types import Array, Progress


def leave_one_out_of_causes(
    joint: JointResult,
    out: str | Path | None,
    treatment: str | None,
    *,
    cores: int,
    scheduler: str | None,
    say: Progress,
) -> LeaveOneOut:
    """Leave out every study of a joint model in turn; what `leave_one_out` says of its arguments and errors holds."""
    spec = joint.first.spec
    for one in joint.results.values():
        require_population(one)
    chosen = chosen_treatment(spec, treatment)
    slim, key = _slim(joint), _key(joint, chosen)
    names = sorted({study for part in joint_parts(joint.evidence).values() for study in studies_of(part)})
    tasks = [Task(name, (slim, name, chosen), key) for name in names]
    outcomes = run_tasks(_leave_out, tasks, out, seed=spec.seed, cores=cores, scheduler=scheduler, say=say)
    done = _gather(joint, chosen, outcomes)
    if out is not None:
        write_tables(done, Path(out))
    return done


def _slim(joint: JointResult) -> JointResult:
    """Keep what leaving out a study reads; correlations of covariates are those of the whole evidence."""
    nothing = {"stored_log_likelihood": xr.Dataset(), "observed_data": xr.Dataset(), "sample_stats": xr.Dataset()}
    results = {name: replace(with_fixed_correlations(one), **nothing) for name, one in joint.results.items()}
    causes = replace(joint.causes, specs={name: one.spec for name, one in results.items()})
    return replace(joint, causes=causes, results=results)


def _key(joint: JointResult, treatment: str) -> str:
    """Return a digest of the posterior, its document and evidence, and the contrast."""
    parts = joint_parts(joint.evidence)
    said = [joint.causes.digest(), *(f"{name} {parts[name].digest()}" for name in sorted(parts)), treatment]
    digest = hashlib.sha256(" ".join(said).encode())
    for result in joint.results.values():
        for name in sorted(map(str, result.posterior.data_vars)):
            digest.update(np.ascontiguousarray(result.posterior[name].to_numpy(), dtype=float).tobytes())
    digest.update(np.ascontiguousarray(joint.correlation.to_numpy(), dtype=float).tobytes())
    return digest.hexdigest()[:12]


# ---------------------------------------------------------------------------------------------- rows of one study


@dataclass(frozen=True)
class JointStudyRows:
    """Hold the rows of one study in every cause, and the draws of what all studies share."""

    joint: JointResult
    study: str
    samples: slice | Array = slice(None)

    @cached_property
    def held(self) -> dict[str, StudyRows]:
        """Return the rows of every cause in which the study has arms."""
        return {
            name: StudyRows(result, self.study, self.samples)
            for name, result in self.joint.results.items()
            if self.study in studies_of(result.evidence)
        }

    @cached_property
    def evidence(self) -> Any:
        return of_study(self.joint.evidence, self.study)

    @cached_property
    def inputs(self) -> JointInputs | None:
        """Return the inputs of rows of several causes; None where the study lacks one, and so has no such row."""
        if len(self.held) < len(self.joint.results):
            return None
        return JointInputs(self.joint.causes, self.evidence, tuple(one.inputs for one in self.held.values()))

    @cached_property
    def correlations(self) -> Array:
        """Return the Cholesky factor of the correlation of levels between the causes held (sample, cause, cause)."""
        names = list(self.joint.results)
        values = self.joint.correlation.to_numpy().reshape(-1, self.joint.correlation.shape[-1])[self.samples]
        whole = np.tile(np.eye(len(names)), (len(values), 1, 1))
        for place, (one, other) in enumerate(correlation.pairs(len(names))):
            whole[:, one, other] = whole[:, other, one] = values[:, place]
        levels = [names.index(name) for name, rows in self.held.items() if rows.has_level]
        return np.linalg.cholesky(whole[:, levels][:, :, levels])

    @property
    def count(self) -> int:
        """Return the number of draws."""
        return next(iter(self.held.values())).count

    @property
    def effects(self) -> int:
        return sum(rows.effects for rows in self.held.values())

    @cached_property
    def size(self) -> int:
        """Return the number of rows in use: patients once, whatever causes they have."""
        if self.inputs is None:
            return sum(rows.size for rows in self.held.values())
        several = sum(len(arms.places[0]) for arms in self.inputs.arms)
        of_one = [
            len(next(iter(arrays.values())))
            for place, inputs in enumerate(self.inputs.own_inputs)
            for name, arrays in inputs.kinds.items()
            if place == 0 or not name.startswith("patients")
        ]
        return several + sum(of_one)

    def scores(self, z: Array) -> dict[str, Array]:
        """Return the scores of each cause from independent ones (sample, effect); levels are correlated."""
        ends = np.cumsum([0, *(rows.effects for rows in self.held.values())])
        found = {name: z[:, ends[place] : ends[place + 1]].copy() for place, name in enumerate(self.held)}
        with_level = [name for name, rows in self.held.items() if rows.has_level]
        if with_level:
            levels = np.stack([found[name][:, 0] for name in with_level], axis=1)
            correlated = np.einsum("scd,sd->sc", self.correlations, levels)
            for place, name in enumerate(with_level):
                found[name][:, 0] = correlated[:, place]
        return found

    def log_density(self, z: Array) -> Array:
        """Return log p(y_j | theta, u(z)) of every draw (sample,), rows of several causes included."""
        scores, total, levels = self.scores(z), np.zeros(len(z)), []
        own = [rows.inputs for rows in self.held.values()] if self.inputs is None else self.inputs.own_inputs
        for (name, rows), inputs in zip(self.held.items(), own, strict=True):
            draws = rows.with_effects(scores[name])
            total += rows_log_density(inputs, draws)
            levels.append(arm_levels(rows.inputs, draws.effects, xp=NUMPY))
        if self.inputs is not None:
            for _, terms in row_terms(self.inputs, levels, xp=NUMPY):
                total += np.asarray(terms).sum(axis=-1)
        return total

    def part(self, places: Array) -> "JointStudyRows":
        """Return the same at some of the draws; inputs are not prepared again."""
        whole = np.arange(self.joint.first.predictors.draws.samples)[self.samples]
        made = replace(self, samples=whole[places])
        held = {name: rows.part(places) for name, rows in self.held.items()}
        vars(made).update(held=held, inputs=self.inputs, correlations=self.correlations[places])
        return made


def integrated_joint_density(joint: JointResult, study: str) -> Array:
    """Return log p(y_j | theta) of one study at every draw (sample,), its effects in every cause integrated."""
    rows = JointStudyRows(joint, study)
    several = () if rows.inputs is None else rows.inputs.arms
    kinds = sum(len(arms.places[0]) if arms.log_weight is None else arms.log_weight.size for arms in several)
    step = max(1, CELLS // max(rows.size + kinds * NODES, 1))
    places = np.arange(rows.count)
    parts = (places[start : start + step] for start in range(0, rows.count, step))
    return np.concatenate([integrated(rows.part(part)) for part in parts])


# ---------------------------------------------------------------------------------------------- one study


def _leave_out(given: tuple[JointResult, str, str], seeds: np.random.SeedSequence) -> dict[str, Any]:
    """Return the numbers of one study left out, as plain data."""
    joint, study, treatment = given
    log_density = integrated_joint_density(joint, study)
    log_weight, k = pareto_smoothed(-log_density)
    rng = np.random.default_rng(seeds)
    said: dict[str, Any] = {"rows": JointStudyRows(joint, study).size, "pareto_k": k, "lpd": log_mean(log_density)}
    said["note"] = ""
    if k <= HIGH_K:
        places = resampled(np.exp(log_weight), len(log_weight), rng)
        source, there, weight = joint, log_density, np.exp(log_weight)
        said["method"] = "psis"
    else:
        source = fit_causes(joint.causes, without_study(joint.evidence, study), seed=int(seeds.generate_state(1)[0]))
        places = np.arange(source.first.predictors.draws.samples)
        there = integrated_joint_density(_shared(joint, source, places), study)
        weight = np.full(len(there), 1 / len(there))
        said["method"] = "refit"
        if not source.gate.passed:
            said["note"] = f"the gate of the fit without it failed: {source.gate.reasons[0]}"
    elpd = float(np.logaddexp.reduce(np.log(weight) + there))
    said |= {"elpd": elpd, "elpd_mcse": mcse(weight, there, elpd)}
    numbers = _numbers(_shared(joint, source, places), study, rng)
    ratios = {
        name: ratio(replace(one, posterior=draws_of(one.posterior, places)), treatment)
        for name, one in source.results.items()
    }
    return {**said, "ratios": ratios, "numbers": numbers.where(numbers.notna(), None).to_dict("records")}


def _shared(joint: JointResult, source: JointResult, places: Array) -> JointResult:
    """Return the evidence of one result with what studies share of another, at these draws."""
    results = {
        name: replace(one, posterior=shared_draws(source.results[name].posterior, places))
        for name, one in joint.results.items()
    }
    pairs = source.correlation.transpose("chain", "draw", "pair").to_numpy()
    values = pairs.reshape(-1, pairs.shape[-1])[places][None]
    tied = xr.DataArray(values, dims=("chain", "draw", "pair"), coords={"pair": joint.correlation["pair"]})
    return replace(joint, results=results, correlation=tied)


def _numbers(joint: JointResult, study: str, rng: np.random.Generator) -> pd.DataFrame:
    """Return printed numbers of a study not seen, beside what is foretold: fresh effects in every cause."""
    rows = JointStudyRows(joint, study)
    scores = rows.scores(rng.standard_normal((rows.count, rows.effects)))
    alone: dict[str, Result] = {}
    for name, own in rows.held.items():
        seen = replace(own.result, evidence=keep_study(own.result.evidence, study))
        alone[name] = with_effects_of(seen, StudyRows(seen, study), scores[name])
    tables = [reconcile(one).assign(cause=name) for name, one in alone.items()]
    if rows.inputs is not None:
        whole = replace(joint, evidence=rows.evidence, results=alone)
        level = joint.first.spec.interval
        tables += [_complement_numbers(part, level.tails, rng) for part in printed_complements(whole)]
    columns = ["cause", *NUMBER_COLUMNS]
    return pd.concat([table.reindex(columns=columns).astype(object) for table in tables], ignore_index=True)


def _complement_numbers(part: PrintedComplements, tails: Sequence[float], rng: np.random.Generator) -> pd.DataFrame:
    """Return printed 1 - F beside replicates of it: binomials of each step, multiplied along the arm."""
    size = np.maximum(np.rint(part.size), 1).astype(int)
    replicate = part.along_arm(rng.binomial(size, np.clip(part.step, 0, 1)) / size)
    found = []
    for place, own in enumerate(part.labels.to_dict("records")):
        low, high = np.quantile(replicate[:, place], tails)
        named = {"kind": "cumulative incidence", "quantity": f"1 - F({own['time']:g})", "printed": part.printed[place]}
        predicted = {"predicted": float(np.median(part.complement[:, place])), "predicted_low": float(low)}
        predicted |= {"predicted_high": float(high), "p": two_sided(replicate[:, place], float(part.printed[place]))}
        found.append({"cause": part.cause, **own, **named, **predicted})
    return pd.DataFrame(found)


# ---------------------------------------------------------------------------------------------- tables


def _gather(joint: JointResult, treatment: str, outcomes: Sequence[Outcome]) -> LeaveOneOut:
    spec = joint.first.spec
    whole = {name: ratio(one, treatment) for name, one in joint.results.items()}
    named = {"treatment": treatment, "reference": spec.treatments.reference, "model": joint.causes.digest()}
    rows: list[dict[str, Any]] = []
    numbers: list[Mapping[str, Any]] = []
    for name, own in whole.items():
        rows.append({"study": ALL, "cause": name, **named, **own, "method": "", "note": ""})
    for outcome in outcomes:
        said = outcome.value or {"method": "failed", "note": outcome.failure, "ratios": {}, "numbers": []}
        for name, own in whole.items():
            without = said["ratios"].get(name, {"measure": own["measure"]})
            row = {"study": outcome.name, "cause": name, **named, **said, **without}
            if "log_mean" in without:
                row["shift"] = (without["log_mean"] - own["log_mean"]) / own["log_sd"]
            rows.append(row)
        numbers += said["numbers"]
    columns = [STUDY_COLUMNS[0], "cause", *STUDY_COLUMNS[1:]]
    return LeaveOneOut(
        studies=pd.DataFrame(rows).reindex(columns=columns),
        numbers=pd.DataFrame(numbers, columns=["cause", *NUMBER_COLUMNS]),
        kept=sum(outcome.status == "cached" for outcome in outcomes),
        failed=tuple(outcome.name for outcome in outcomes if outcome.value is None),
    )
