"""Each study is left out: how well the others foretell it, and what the answer is without it.

The study's own effects are integrated (`study_likelihood`), so the density of all its rows depends only on what studies
share. Importance sampling from the full posterior, weights 1 / p(y_j | theta), is smoothed (PSIS, Vehtari et al. 2024)
and used where its Pareto k is at most 0.7; else the posterior is sampled again without the study. Either way the
posterior without the study then predicts every number that the study printed, fresh effects and sampling included.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_bm.checks.kept_fits import analysis_model
from bayes_bm.checks.pareto_smoothing import HIGH_K, pareto_smoothed, resampled
from bayes_bm.checks.reconciliation import reconcile
from bayes_bm.checks.study_likelihood import (
    StudyRows,
    drop_study,
    fresh_scores,
    integrated_log_density,
    keep_study,
    require_population,
    studies_of,
)
from bayes_bm.estimands.compare import compared_pairs
from bayes_bm.estimands.who import AverageStudy
from bayes_bm.inference.fit import refit
from bayes_bm.inference.result import Result
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.files import write_csv
from bayes_bm.runtime.parallel import map_fits
from bayes_bm.runtime.spreadsheets import restore
from bayes_bm.runtime.stores import JsonStore
from bayes_bm.runtime.tasks import Outcome, Task
from bayes_bm.runtime.types import Array, Progress
from bayes_bm.spec.effect_measure import measure_of

ALL = ""
"""The study in the row of nothing left out."""
STUDY_COLUMNS = (
    *("study", "rows", "method", "pareto_k", "elpd", "elpd_mcse", "lpd"),
    *("treatment", "reference", "measure", "ratio", "ratio_low", "ratio_high", "shift", "note", "model"),
)
"""Columns of `LeaveOneOut.studies`."""
NUMBER_COLUMNS = (
    *("study", "arm", "treatment", "kind", "quantity", "time", "printed", "reconstructed"),
    *("predicted", "predicted_low", "predicted_high", "p"),
)
"""Columns of `LeaveOneOut.numbers`."""
LEVELS = (0.5, 0.8, 0.95)
"""Central shares that `coverage` counts."""
SHARED_BY_STUDIES = ("study", "study_treatment", "case_mix_arm")
"""Dimensions of what belongs to single studies in a posterior."""


@dataclass(frozen=True)
class LeaveOneOut:
    """Hold how well the other studies foretell each study, and what the answer is without it.

    Parameters
    ----------
    studies : pandas.DataFrame
        One row a study left out, after one of nothing left out (study ""): rows (a count), method (psis or refit),
        pareto_k, elpd with its Monte Carlo error elpd_mcse, lpd of the full posterior, and the ratio of treatment to
        reference without the study, with its interval; shift is how far its log moves, in posterior standard
        deviations.
    numbers : pandas.DataFrame
        One row a number that a study printed, beside what the others foretell: predicted, predicted_low,
        predicted_high (its interval) and the two-sided p.
    kept : int
        Studies whose numbers were kept from before.
    failed : tuple of str
        Studies without numbers; their rows say why.

    Examples
    --------
    >>> import bayes_bm as bb, pandas as pd
    >>> studies = pd.DataFrame({"study": ["", "A 2019", "B 2021"], "elpd": [float("nan"), -3.5, -2.25]})
    >>> left_out = bb.LeaveOneOut(studies, pd.DataFrame({"p": [0.3, 0.9, 0.04, 0.6]}), kept=0, failed=())
    >>> left_out.elpd
    -5.75
    >>> print(left_out.coverage.to_string(index=False))
     level  inside  numbers  share
      0.50       2        4   0.50
      0.80       3        4   0.75
      0.95       3        4   0.75
    """

    studies: pd.DataFrame
    numbers: pd.DataFrame
    kept: int
    failed: tuple[str, ...]

    @property
    def elpd(self) -> float:
        """Return the sum of the studies' expected log predictive densities."""
        return float(self.studies["elpd"].sum())

    @property
    def coverage(self) -> pd.DataFrame:
        """Return the share of printed numbers inside the central 50, 80 and 95 % of what the other studies foretell."""
        return coverage(self.numbers)


def coverage(numbers: pd.DataFrame) -> pd.DataFrame:
    """Return columns level, inside, numbers, share, by the two-sided p of each number."""
    p = numbers["p"].to_numpy(dtype=float)
    p = p[np.isfinite(p)]
    rows = [{"level": level, "inside": int((p >= 1 - level).sum()), "numbers": len(p)} for level in LEVELS]
    return pd.DataFrame(rows).assign(share=lambda table: table["inside"] / table["numbers"])


def leave_one_out(
    result: Result,
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
    result : Result
        A fit whose study levels and shapes come from a population of studies.
    out : str or pathlib.Path, optional
        A folder, where each study's numbers are kept and not made again, and studies.csv and numbers.csv are written.
    treatment : str, optional
        Treatment whose ratio to the reference is followed, in the average study; by default the first compared.
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
    spec = result.spec
    require_population(result)
    result.require_alone("leave-one-out")
    result.require_one_target("leave-one-out", differ="patients", hint="result.of_imputation(1)")
    chosen = treatment or spec.treatments.compare[0]
    if chosen not in spec.treatments.compare:
        raise InputError("treatment", found=chosen, allowed=", ".join(spec.treatments.compare))
    slim = replace(
        _with_fixed_correlations(result),
        stored_log_likelihood=xr.Dataset(),
        observed_data=xr.Dataset(),
        sample_stats=xr.Dataset(),
    )
    key = _key(result, chosen)
    names = studies_of(result.evidence)
    tasks = [Task(name, (slim, name, chosen), key) for name in names]

    def told(done: int, total: int, outcome: Outcome) -> None:
        say(f"{done} of {total}, {outcome.name}: {_outcome_words(outcome)}")

    store = None if out is None else JsonStore(Path(out) / "studies")
    outcomes = map_fits(_leave_out, tasks, seed=spec.seed, store=store, cores=cores, scheduler=scheduler, progress=told)
    done = _gather(result, chosen, outcomes)
    if out is not None:
        _write_tables(done, Path(out))
    return done


def _with_fixed_correlations(result: Result) -> Result:
    """Keep correlations of covariates that follow from the patients as those of the whole evidence."""
    from bayes_bm.model.covariates.integration_points import correlation
    from bayes_bm.spec.covariates import Correlation

    spec = result.spec
    some = result.inputs.any_integrated or result.inputs.averaged_ratios.any()
    if not some or spec.integration.correlation is not None:
        return result
    correlations, names = correlation(spec, result.evidence), list(spec.covariates)
    pairs = tuple(
        Correlation(
            between=(one, names[j]), value=float(correlations[i, j]), why="pooled over the patients of all studies"
        )
        for i, one in enumerate(names)
        for j in range(i)
    )
    return replace(
        result,
        spec=spec.model_copy(update={"integration": spec.integration.model_copy(update={"correlation": pairs})}),
    )


def _key(result: Result, treatment: str) -> str:
    """Return a digest of the posterior, its spec and evidence, and the contrast."""
    digest = hashlib.sha256(f"{result.spec.digest()} {result.evidence.digest()} {treatment}".encode())
    for name in sorted(map(str, result.posterior.data_vars)):
        digest.update(np.ascontiguousarray(result.posterior[name].to_numpy(), dtype=float).tobytes())
    return digest.hexdigest()[:12]


def _outcome_words(outcome: Outcome) -> str:
    if outcome.value is None:
        return f"failed: {outcome.failure}"
    return f"{outcome.value['method']}, Pareto k {outcome.value['pareto_k']:.2f}"


# ---------------------------------------------------------------------------------------------- one study


def _leave_out(given: tuple[Result, str, str], seeds: np.random.SeedSequence) -> dict[str, Any]:
    """Return the numbers of one study left out, as plain data."""
    result, study, treatment = given
    log_density = integrated_log_density(result, study)
    log_weight, k = pareto_smoothed(-log_density)
    numbers_out = {"rows": StudyRows(result, study).size, "pareto_k": k, "lpd": _log_mean(log_density), "note": ""}
    rng = np.random.default_rng(seeds)
    if k <= HIGH_K:
        chosen = resampled(np.exp(log_weight), len(log_weight), rng)
        elpd = float(np.logaddexp.reduce(log_weight + log_density))
        numbers_out |= {"method": "psis", "elpd": elpd, "elpd_mcse": _mcse(np.exp(log_weight), log_density, elpd)}
        posterior = shared_draws(result.posterior, chosen)
    else:
        again = refit(result.spec, drop_study(result.evidence, study), seed=int(seeds.generate_state(1)[0]))
        posterior = shared_draws(again.posterior, np.arange(again.predictors.draws.samples))
        there = integrated_log_density(replace(result, posterior=posterior), study)
        equal = np.full(len(there), 1 / len(there))
        elpd = _log_mean(there)
        numbers_out |= {"method": "refit", "elpd": elpd, "elpd_mcse": _mcse(equal, there, elpd)}
        if not again.gate.passed:
            numbers_out["note"] = f"the gate of the fit without it failed: {again.gate.reasons[0]}"
    alone = _with_fresh_effects(result, study, posterior, rng)
    numbers = reconcile(alone).reindex(columns=list(NUMBER_COLUMNS)).astype(object)
    return {
        **numbers_out,
        **ratio(alone, treatment),
        "numbers": numbers.where(numbers.notna(), None).to_dict("records"),
    }


def _log_mean(values: Array) -> float:
    return float(np.logaddexp.reduce(values) - np.log(len(values)))


def _mcse(weight: Array, log_density: Array, elpd: float) -> float:
    """Return the Monte Carlo error of elpd = log sum w p, by the delta method, as if draws were independent."""
    return float(np.sqrt(np.sum(weight**2 * np.expm1(log_density - elpd) ** 2)))


def shared_draws(posterior: xr.Dataset, places: Array) -> xr.Dataset:
    """Return what studies share, at these draws, as one chain (chain, draw, ...)."""
    variables = {}
    for name, array in posterior.data_vars.items():
        if not set(array.dims) & set(SHARED_BY_STUDIES):
            values = array.transpose("chain", "draw", ...).to_numpy()
            flat = values.reshape(-1, *values.shape[2:])[places][None]
            variables[name] = (("chain", "draw", *(dim for dim in array.dims if dim not in ("chain", "draw"))), flat)
    used = {dim for dims, _ in variables.values() for dim in dims}
    return xr.Dataset(variables, coords={dim: posterior[dim] for dim in used & {*posterior.coords} - {"chain", "draw"}})


def _with_fresh_effects(result: Result, study: str, posterior: xr.Dataset, rng: np.random.Generator) -> Result:
    """Make the study one not seen: its rows, and effects drawn from the population of studies."""
    alone = replace(result, evidence=keep_study(result.evidence, study), posterior=posterior)
    rows = StudyRows(alone, study)
    draws = rows.with_effects(fresh_scores(rows, rng))
    effects: dict[str, tuple[str, Array]] = {}
    if rows.has_level:
        effects["study_effect"] = ("study", draws.study_effect)
    if rows.has_shape:
        effects["study_log_shape"] = ("study", draws.study_shape[..., 0])
    if rows.design.pairs:
        effects["study_treatment_effect"] = ("study_treatment", draws.study_treatment_effect[:, 1:])
    made: dict[str, Any] = {name: (("chain", "draw", dim), values[None]) for name, (dim, values) in effects.items()}
    if alone.inputs.arm_mixes is not None:
        made["case_mix"] = (("chain", "draw", "case_mix_arm", "covariate"), np.array(draws.mix)[None])
    return replace(alone, posterior=posterior.assign(made))


def ratio(result: Result, treatment: str) -> dict[str, Any]:
    """Return the average study's ratio of a treatment to the reference: median, interval, mean and sd of its log."""
    spec, measure = result.spec, measure_of(result.spec)
    for named, values in compared_pairs(result, who=AverageStudy(), times=[spec.reference_time]):
        if named["estimand"] == measure.estimand and named["treatment"] == treatment:
            low, middle, high = np.quantile(values, spec.interval.quantiles)
            when = "" if named["time"] is None else f" at {named['time']:g} {spec.time_unit}"
            return {
                "measure": f"{measure.words}{when}",
                "ratio": float(middle),
                "ratio_low": float(low),
                "ratio_high": float(high),
                "log_mean": float(np.log(values).mean()),
                "log_sd": float(np.log(values).std(ddof=1)),
            }
    raise KeyError(treatment)


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


def _write_tables(done: LeaveOneOut, folder: Path) -> None:
    for name, table in {"studies": done.studies, "numbers": done.numbers}.items():
        write_csv(table, folder / f"{name}.csv")


def saved_with(result: Result, folder: Path) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Return studies.csv and numbers.csv kept in `leave_one_out` of a result's folder, where they are of this model."""
    files = [folder / "leave_one_out" / f"{name}.csv" for name in ("studies", "numbers")]
    if not all(file.is_file() for file in files):
        return None
    studies, numbers = (restore(pd.read_csv(file)) for file in files)
    same = "model" in studies and studies["model"].iloc[0] == analysis_model(result.spec, result.evidence)
    return (studies.fillna({"study": ALL}), numbers) if same else None
