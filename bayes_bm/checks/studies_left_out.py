"""What leaving out studies gives, of one endpoint and of several causes: its tables, and the draws without a study."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_bm.checks.study_likelihood import StudyRows, fresh_scores, keep_study
from bayes_bm.estimands.compare import compared_pairs
from bayes_bm.estimands.who import AverageStudy
from bayes_bm.inference.result import Result
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.files import write_csv
from bayes_bm.runtime.parallel import map_fits
from bayes_bm.runtime.stores import JsonStore
from bayes_bm.runtime.tasks import Outcome, Task
from bayes_bm.runtime.types import Array, Progress
from bayes_bm.spec.document import Spec
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
        deviations. Of several causes one row a study and cause: the ratio is of that cause, everything else of all
        rows of the study.
    numbers : pandas.DataFrame
        One row a number that a study printed (of several causes with its cause), beside what the others foretell:
        predicted, predicted_low, predicted_high (its interval) and the two-sided p.
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
        return float(self.studies.drop_duplicates("study")["elpd"].sum())

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


def write_tables(done: LeaveOneOut, folder: Path) -> None:
    """Write studies.csv and numbers.csv."""
    for name, table in {"studies": done.studies, "numbers": done.numbers}.items():
        write_csv(table, folder / f"{name}.csv")


def chosen_treatment(spec: Spec, treatment: str | None) -> str:
    """Return the treatment whose ratio is followed: the first that is compared, unless another is asked for."""
    chosen = treatment or spec.treatments.compare[0]
    if chosen not in spec.treatments.compare:
        raise InputError("treatment", found=chosen, allowed=", ".join(spec.treatments.compare))
    return chosen


def run_tasks(
    leave_out: Callable[..., dict[str, Any]],
    tasks: Sequence[Task],
    out: str | Path | None,
    *,
    seed: int,
    cores: int,
    scheduler: str | None,
    say: Progress,
) -> list[Outcome]:
    """Leave out every study, saying how; with a folder `out` the numbers of each stay there and are not made again."""

    def told(done: int, total: int, outcome: Outcome) -> None:
        say(f"{done} of {total}, {outcome.name}: {outcome_words(outcome)}")

    store = None if out is None else JsonStore(Path(out) / "studies")
    return map_fits(leave_out, tasks, seed=seed, store=store, cores=cores, scheduler=scheduler, progress=told)


def outcome_words(outcome: Outcome) -> str:
    """Say how a study was left out, or why it was not."""
    if outcome.value is None:
        return f"failed: {outcome.failure}"
    return f"{outcome.value['method']}, Pareto k {outcome.value['pareto_k']:.2f}"


def with_fixed_correlations(result: Result) -> Result:
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


def log_mean(values: Array) -> float:
    """Return the log of the mean of exp(values)."""
    return float(np.logaddexp.reduce(values) - np.log(len(values)))


def mcse(weight: Array, log_density: Array, elpd: float) -> float:
    """Return the Monte Carlo error of elpd = log sum w p, by the delta method, as if draws were independent."""
    return float(np.sqrt(np.sum(weight**2 * np.expm1(log_density - elpd) ** 2)))


def shared_draws(posterior: xr.Dataset, places: Array) -> xr.Dataset:
    """Return what studies share, at these draws, as one chain (chain, draw, ...)."""
    own = [name for name, array in posterior.data_vars.items() if set(array.dims) & set(SHARED_BY_STUDIES)]
    return draws_of(posterior.drop_vars(own), places)


def draws_of(posterior: xr.Dataset, places: Array) -> xr.Dataset:
    """Return everything at these draws, as one chain (chain, draw, ...)."""
    variables = {}
    for name, array in posterior.data_vars.items():
        values = array.transpose("chain", "draw", ...).to_numpy()
        flat = values.reshape(-1, *values.shape[2:])[places][None]
        variables[name] = (("chain", "draw", *(dim for dim in array.dims if dim not in ("chain", "draw"))), flat)
    used = {dim for dims, _ in variables.values() for dim in dims}
    return xr.Dataset(variables, coords={dim: posterior[dim] for dim in used & {*posterior.coords} - {"chain", "draw"}})


def with_fresh_effects(result: Result, study: str, posterior: xr.Dataset, rng: np.random.Generator) -> Result:
    """Make the study one not seen: its rows, and effects drawn from the population of studies."""
    alone = replace(result, evidence=keep_study(result.evidence, study), posterior=posterior)
    rows = StudyRows(alone, study)
    return with_effects_of(alone, rows, fresh_scores(rows, rng))


def with_effects_of(alone: Result, rows: StudyRows, z: Array) -> Result:
    """Return the result of one study with effects of these scores (sample, effect) in its posterior."""
    draws = rows.with_effects(z)
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
    return replace(alone, posterior=alone.posterior.assign(made))


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
