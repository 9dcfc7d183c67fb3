"""Each study is left out: how well the others foretell it, and what the answer is without it.

The study's own effects are integrated (`study_likelihood`), so the density of all its rows depends only on what studies
share. Importance sampling from the full posterior, weights 1 / p(y_j | theta), is smoothed (PSIS, Vehtari et al. 2024)
and used where its Pareto k is at most 0.7; else the posterior is sampled again without the study. Either way the
posterior without the study then predicts every number that the study printed, fresh effects and sampling included.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_bm.checks.joint_leave_one_out import leave_one_out_of_causes
from bayes_bm.checks.kept_fits import analysis_model
from bayes_bm.checks.pareto_smoothing import HIGH_K, pareto_smoothed, resampled
from bayes_bm.checks.reconciliation import reconcile
from bayes_bm.checks.studies_left_out import (
    ALL,
    NUMBER_COLUMNS,
    STUDY_COLUMNS,
    LeaveOneOut,
    chosen_treatment,
    log_mean,
    mcse,
    ratio,
    run_tasks,
    shared_draws,
    with_fixed_correlations,
    with_fresh_effects,
    write_tables,
)
from bayes_bm.checks.study_likelihood import (
    StudyRows,
    drop_study,
    integrated_log_density,
    require_population,
    studies_of,
)
from bayes_bm.inference.causes.result import JointResult
from bayes_bm.inference.fit import refit
from bayes_bm.inference.result import Result
from bayes_bm.runtime.spreadsheets import restore
from bayes_bm.runtime.tasks import Outcome, Task
from bayes_bm.runtime.types import Progress


def leave_one_out(
    result: Result | JointResult,
    out: str | Path | None = None,
    *,
    treatment: str | None = None,
    cores: int = 1,
    scheduler: str | None = None,
    say: Progress = lambda stage: None,
) -> LeaveOneOut:
    """Leave out every study in turn: how well the others foretell it, and what the answer is without it.

    Importance sampling from the full posterior, Pareto-smoothed, is used where its k is at most 0.7; else the posterior
    is sampled again without the study.

    Parameters
    ----------
    result : Result or JointResult
        A fit whose study levels and shapes come from a population of studies. Of several causes each study is left out
        of every one of them at once.
    out : str or pathlib.Path, optional
        A folder, where each study's numbers are kept and not made again, and studies.csv and numbers.csv are written.
    treatment : str, optional
        Treatment whose ratio to the reference is followed, in the average study; by default the first compared. Of
        several causes it is the ratio of each.
    cores : int
        Studies that run side by side, in processes of their own.
    scheduler : str, optional
        Address of a Dask scheduler, on whose workers the studies run.
    say : callable, optional
        Is called with a line of text as each study is done.

    Returns
    -------
    LeaveOneOut
        A row a study, and a row a number that it printed. A study that fails is a row with the reason.

    Raises
    ------
    InputError
        For free study levels or shapes (docs/decisions.md#11-free-levels), whose studies nothing predicts; for patients
        whose missing covariates are averaged over, or multiple imputations (docs/decisions.md#19-multiple-imputation);
        and for a treatment that the spec does not compare.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> result = bb.fit(bb.read_spec("published_os_extent_of_resection"), draws=200, tune=300)
    >>> try:
    ...     bb.leave_one_out(result, treatment="srs")
    ... except bb.InputError as problem:
    ...     print(problem)
    treatment: found srs; allowed: gtr
    """
    if isinstance(result, JointResult):
        return leave_one_out_of_causes(result, out, treatment, cores=cores, scheduler=scheduler, say=say)
    spec = result.spec
    require_population(result)
    result.require_alone("leave-one-out")
    result.require_one_target("leave-one-out", differ="patients", hint="result.of_imputation(1)")
    chosen = chosen_treatment(spec, treatment)
    slim = replace(
        with_fixed_correlations(result),
        stored_log_likelihood=xr.Dataset(),
        observed_data=xr.Dataset(),
        sample_stats=xr.Dataset(),
    )
    key = _key(result, chosen)
    names = studies_of(result.evidence)
    tasks = [Task(name, (slim, name, chosen), key) for name in names]
    outcomes = run_tasks(_leave_out, tasks, out, seed=spec.seed, cores=cores, scheduler=scheduler, say=say)
    done = _gather(result, chosen, outcomes)
    if out is not None:
        write_tables(done, Path(out))
    return done


def _key(result: Result, treatment: str) -> str:
    """Return a digest of the posterior, its spec and evidence, and the contrast."""
    digest = hashlib.sha256(f"{result.spec.digest()} {result.evidence.digest()} {treatment}".encode())
    for name in sorted(map(str, result.posterior.data_vars)):
        digest.update(np.ascontiguousarray(result.posterior[name].to_numpy(), dtype=float).tobytes())
    return digest.hexdigest()[:12]


# ---------------------------------------------------------------------------------------------- one study


def _leave_out(given: tuple[Result, str, str], seeds: np.random.SeedSequence) -> dict[str, Any]:
    """Return the numbers of one study left out, as plain data."""
    result, study, treatment = given
    log_density = integrated_log_density(result, study)
    log_weight, k = pareto_smoothed(-log_density)
    numbers_out = {"rows": StudyRows(result, study).size, "pareto_k": k, "lpd": log_mean(log_density), "note": ""}
    rng = np.random.default_rng(seeds)
    if k <= HIGH_K:
        chosen = resampled(np.exp(log_weight), len(log_weight), rng)
        elpd = float(np.logaddexp.reduce(log_weight + log_density))
        numbers_out |= {"method": "psis", "elpd": elpd, "elpd_mcse": mcse(np.exp(log_weight), log_density, elpd)}
        posterior = shared_draws(result.posterior, chosen)
    else:
        again = refit(result.spec, drop_study(result.evidence, study), seed=int(seeds.generate_state(1)[0]))
        posterior = shared_draws(again.posterior, np.arange(again.predictors.draws.samples))
        there = integrated_log_density(replace(result, posterior=posterior), study)
        equal = np.full(len(there), 1 / len(there))
        elpd = log_mean(there)
        numbers_out |= {"method": "refit", "elpd": elpd, "elpd_mcse": mcse(equal, there, elpd)}
        if not again.gate.passed:
            numbers_out["note"] = f"the gate of the fit without it failed: {again.gate.reasons[0]}"
    alone = with_fresh_effects(result, study, posterior, rng)
    numbers = reconcile(alone).reindex(columns=list(NUMBER_COLUMNS)).astype(object)
    return {
        **numbers_out,
        **ratio(alone, treatment),
        "numbers": numbers.where(numbers.notna(), None).to_dict("records"),
    }


# ---------------------------------------------------------------------------------------------- tables


def _gather(result: Result, treatment: str, outcomes: Sequence[Outcome]) -> LeaveOneOut:
    whole = ratio(result, treatment)
    named = {
        "treatment": treatment,
        "reference": result.spec.treatments.reference,
        "measure": whole["measure"],
        "model": analysis_model(result.spec, result.evidence),
    }
    rows: list[dict[str, Any]] = [{"study": ALL, **named, **whole, "method": "", "note": ""}]
    numbers: list[Mapping[str, Any]] = []
    for outcome in outcomes:
        if outcome.value is None:
            rows.append({"study": outcome.name, **named, "method": "failed", "note": outcome.failure})
            continue
        shift = (outcome.value["log_mean"] - whole["log_mean"]) / whole["log_sd"]
        rows.append({"study": outcome.name, **named, **outcome.value, "shift": shift})
        numbers += outcome.value["numbers"]
    return LeaveOneOut(
        studies=pd.DataFrame(rows).reindex(columns=list(STUDY_COLUMNS)),
        numbers=pd.DataFrame(numbers, columns=list(NUMBER_COLUMNS)),
        kept=sum(outcome.status == "cached" for outcome in outcomes),
        failed=tuple(outcome.name for outcome in outcomes if outcome.value is None),
    )


def saved_with(result: Result, folder: Path) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Return studies.csv and numbers.csv kept in `leave_one_out` of a result's folder, where they are of this model."""
    files = [folder / "leave_one_out" / f"{name}.csv" for name in ("studies", "numbers")]
    if not all(file.is_file() for file in files):
        return None
    studies, numbers = (restore(pd.read_csv(file)) for file in files)
    same = "model" in studies and studies["model"].iloc[0] == analysis_model(result.spec, result.evidence)
    return (studies.fillna({"study": ALL}), numbers) if same else None
