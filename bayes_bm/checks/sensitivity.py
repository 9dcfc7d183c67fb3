"""The main answer under every named analysis of a spec and every hazard family, one row an analysis
(docs/decisions.md#22-one-run).

Each fit is kept in the folder under its name and the digest of its spec and evidence, so that a second call does
nothing, an interrupted one goes on, and a changed spec is fitted anew. What fails is a row that says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayes_bm.checks.family_priors import NAMED_ONLY, left_out, of_family
from bayes_bm.checks.kept_fits import KeptFits, analysis_key, analysis_model, write_changed
from bayes_bm.checks.pareto_smoothing import HIGH_K
from bayes_bm.checks.stacking import row_elpd
from bayes_bm.estimands.compare import compare
from bayes_bm.estimands.who import AverageStudy, NewStudy
from bayes_bm.evidence.audit import require_usable
from bayes_bm.evidence.centres import with_centres
from bayes_bm.evidence.reading import read_evidence
from bayes_bm.evidence.records import Evidence
from bayes_bm.hazards import FAMILIES
from bayes_bm.inference.fit import fit, refit
from bayes_bm.inference.result import Result
from bayes_bm.runtime.errors import BayesBmError, GateRefused, InputError
from bayes_bm.runtime.parallel import map_fits
from bayes_bm.runtime.spreadsheets import restore
from bayes_bm.runtime.tasks import Outcome, Task
from bayes_bm.runtime.types import Progress
from bayes_bm.spec.defaults import with_defaults
from bayes_bm.spec.document import Spec
from bayes_bm.spec.effect_measure import measure_of
from bayes_bm.spec.patches import patched
from bayes_bm.spec.reading import as_spec, parse_spec

BASE = "base"
"""Name of the row of the spec as it stands."""
KEPT = "kept from before"
"""State of a fit that the folder had already."""
FITTED = "fitted"
"""State of a fit that was made now."""
FAILED = "failed"
"""State of an analysis without numbers; its note says why."""
STATES = {"cached": KEPT, "computed": FITTED, "failed": FAILED}
"""State of each status of `bayes_bm.runtime.tasks.Outcome`."""
COLUMNS = (
    *("analysis", "kind", "family", "treatment", "reference", "measure", "ratio", "ratio_low", "ratio_high"),
    *("prob_better", "horizon", "rmst_difference", "rmst_low", "rmst_high", "rmst_prob_better"),
    *("time", "survival_difference", "survival_low", "survival_high"),
    *("elpd", "elpd_se", "elpd_difference", "elpd_difference_se", "loo"),
    *("gate", "seconds", "note", "file", "digest", "model"),
)
"""Columns of `Sensitivity.table` and of sensitivity.csv."""
REASONS = 2
"""Reasons of a failed gate that a row repeats."""


@dataclass(frozen=True)
class Sensitivity:
    """Hold the main answer under every analysis, one row each.

    Parameters
    ----------
    spec : str
        Name of the spec.
    table : pandas.DataFrame
        One row an analysis, the base first: what it is (analysis, kind, family), the contrast (treatment, reference,
        measure), its ratio with the 95 % interval and prob_better, the differences of restricted mean and of survival
        in a new study, elpd with its difference from the base's, gate, seconds, note and where the fit is.
    fitted, kept, failed : int
        Analyses fitted now, kept from before, and without numbers.
    time_unit : str
        Unit of all times.
    changed : bool
        Whether sensitivity.csv was written anew.

    Examples
    --------
    >>> import bayes_bm as bb, pandas as pd
    >>> bb.Sensitivity("pooled", pd.DataFrame(), fitted=0, kept=4, failed=0, time_unit="months", changed=False).told
    'nothing to do: all 4 analyses were kept from before'
    """

    spec: str
    table: pd.DataFrame
    fitted: int
    kept: int
    failed: int
    time_unit: str
    changed: bool

    def require_some(self) -> None:
        """Refuse a call in which every analysis failed (exit status 1); a failed one beside others is a row."""
        if self.failed and not self.fitted and not self.kept:
            raise GateRefused(f"all {self.failed} analyses failed: {self.table['note'].iloc[0]}")

    @property
    def told(self) -> str:
        """Say what this call did."""
        if not self.fitted and not self.failed:
            return f"nothing to do: all {self.kept} analyses were kept from before"
        failed = f", {self.failed} could not be fitted (see their notes)" if self.failed else ""
        return f"{self.fitted} fitted, {self.kept} kept from before{failed}"


@dataclass(frozen=True)
class Analysis:
    """Name one analysis: the base, a named patch, another family, or both."""

    name: str
    kind: str
    patch: str | None = None
    family: str | None = None

    def spec(self, base: Spec) -> Spec:
        """Return the base's spec with the patch, then under the family. Raises `InputError` where either cannot be."""
        changed = base
        if self.patch is not None:
            where = f"{base.name}, sensitivity.{self.patch}"
            document = patched(base.document(), base.sensitivity[self.patch], where=where)
            changed = parse_spec(with_defaults(document, Path(base.name)), where=where, folder=base.folder)
        return changed if self.family is None else of_family(changed, self.family)


def analyses(
    spec: Spec, *, families: Sequence[str] | None = None, only: Sequence[str] | None = None, cross: bool = False
) -> list[Analysis]:
    """List the base, each named analysis, each family; with `cross` each family under each named analysis too.

    `families` defaults to every family but the spec's own and those of `NAMED_ONLY`; `only` keeps analyses by name; the
    base always stays, for the others are compared with it.
    """
    for name in families or ():
        if name not in FAMILIES:
            raise InputError("--families", found=name, allowed=", ".join(FAMILIES))
    usual = [name for name in FAMILIES if name not in NAMED_ONLY]
    chosen = [name for name in (usual if families is None else dict.fromkeys(families)) if name != spec.hazard.family]
    named = [Analysis(name, "named", patch=name) for name in spec.sensitivity]
    others = [Analysis(_family_row_name(name, spec), "family", family=name) for name in chosen]
    both = [Analysis(f"{one}+{name}", "crossed", patch=one, family=name) for one in spec.sensitivity for name in chosen]
    planned = [Analysis(BASE, "base"), *named, *others, *(both if cross else [])]
    if only is None:
        return planned
    names = [analysis.name for analysis in planned]
    for name in only:
        if name not in names:
            raise InputError("--only", found=name, allowed=", ".join(names))
    return [analysis for analysis in planned if analysis.name in {BASE, *only}]


def _family_row_name(family: str, spec: Spec) -> str:
    """Name a family's row by the family, unless a named analysis has it already."""
    return f"family_{family}" if family in {BASE, *spec.sensitivity} else family


# ---------------------------------------------------------------------------------------------- all of them


def sensitivity(
    spec: Spec | str | Path,
    out: str | Path,
    *,
    families: Sequence[str] | None = None,
    only: Sequence[str] | None = None,
    cross: bool = False,
    treatment: str | None = None,
    sampling: Mapping[str, int | None] | None = None,
    cores: int = 1,
    scheduler: str | None = None,
    say: Progress = lambda stage: None,
) -> Sensitivity:
    """Fit the spec under every named analysis and every hazard family, and give the main answer of each.

    Fits that the folder has already are not made again. The ratio is the average study's, differences are of a new
    study, as in the report.

    Parameters
    ----------
    spec : Spec, str or Path
        The base, with its named analyses; or its TOML file, or the name of a shipped model.
    out : str or pathlib.Path
        A folder: fits are kept in `fits`, the table is written to sensitivity.csv.
    families : sequence of str, optional
        Hazard families besides the spec's own; by default all that need no name (`NAMED_ONLY`).
    only : sequence of str, optional
        Names of the analyses to make; the base always stays, for the others are compared with it.
    cross : bool
        Whether each family is fitted under each named analysis too.
    treatment : str, optional
        Treatment that is compared with the spec's reference; by default the first of `compare`.
    sampling : mapping, optional
        draws, tune, chains, seed for every fit, where not the spec's.
    cores : int
        Fits that run side by side, in processes of their own.
    scheduler : str, optional
        Address of a Dask scheduler, on whose workers the fits run.
    say : callable, optional
        Is called with a line of text at each stage.

    Returns
    -------
    Sensitivity
        One row an analysis. A fit that fails, or whose gate does, is a row with the reason; the others go on.

    Raises
    ------
    InputError
        For an unknown family, analysis or treatment; nothing is fitted then.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> try:
    ...     bb.sensitivity("published_os_extent_of_resection", "out", treatment="srs")
    ... except bb.InputError as problem:
    ...     print(problem)
    --treatment: found srs; allowed: gtr
    """
    spec = as_spec(spec)
    pair = (treatment or spec.treatments.compare[0], spec.treatments.reference)
    if pair[0] not in spec.treatments.compare:
        raise InputError("--treatment", found=pair[0], allowed=", ".join(spec.treatments.compare))
    given = {name: value for name, value in (sampling or {}).items() if value is not None}
    base = _with_sampling(spec, given)
    if any(term.centre is None for term in base.covariates.values()):
        # every analysis speaks about patients at the same centres, whatever evidence it leaves out
        base = with_centres(base, read_evidence(base))
    folder = Path(out)
    prepared = [
        _prepared(base, analysis, pair) for analysis in analyses(base, families=families, only=only, cross=cross)
    ]
    rows = _with_base(_run(prepared, KeptFits(folder / "fits", pair, _fit_numbers), cores, scheduler, say))
    table = pd.DataFrame(rows)
    done = [row["done"] for row in rows]
    shown = pd.DataFrame(table.reindex(columns=list(COLUMNS)))
    changed = write_changed(shown, folder / "sensitivity.csv")
    counts = {name: done.count(state) for name, state in (("fitted", FITTED), ("kept", KEPT), ("failed", FAILED))}
    return Sensitivity(spec.name, shown, **counts, time_unit=spec.time_unit, changed=changed)


def _with_sampling(spec: Spec, given: Mapping[str, int]) -> Spec:
    seed = {"seed": given["seed"]} if "seed" in given else {}
    changed = {name: value for name, value in given.items() if name != "seed"}
    return spec.model_copy(update={"sampling": spec.sampling.model_copy(update=changed), **seed})


@dataclass(frozen=True)
class _Prepared:
    """Hold one analysis ready to fit: what its row says in any case, its spec and evidence, or why it cannot be."""

    named: dict[str, Any]
    left_out: tuple[str, ...] = ()
    spec: Spec | None = None
    evidence: Evidence | None = None
    refusal: str = ""

    @property
    def name(self) -> str:
        return self.named["analysis"]


def _prepared(base: Spec, analysis: Analysis, pair: tuple[str, str]) -> _Prepared:
    family = analysis.family or base.hazard.family
    named = {"analysis": analysis.name, "kind": analysis.kind, "family": family}
    named |= {"treatment": pair[0], "reference": pair[1]}
    try:
        spec = analysis.spec(base)
        evidence = read_evidence(spec)
        require_usable(spec, evidence)
        named |= {
            "family": spec.hazard.family,
            "digest": analysis_key(spec, evidence),
            "model": analysis_model(spec, evidence),
        }
    except BayesBmError as problem:
        return _Prepared(named, refusal=f"not fitted: {problem}")
    return _Prepared(named, tuple(left_out(base, spec)), spec, evidence)


def _run(
    prepared: Sequence[_Prepared], fits: KeptFits, cores: int, scheduler: str | None, say: Progress
) -> list[dict[str, Any]]:
    """Return rows of all analyses, in their order; those that cannot be fitted are told first."""
    total, refused = len(prepared), [one for one in prepared if one.refusal]
    for done, one in enumerate(refused, start=1):
        say(f"{done} of {total}, {one.name}: failed: {one.refusal}")

    def told(done: int, _: int, outcome: Outcome) -> None:
        say(f"{len(refused) + done} of {total}, {outcome.name}: {_outcome_words(outcome)}")

    apart = cores > 1 or scheduler is not None
    work = partial(_fitted, pair=fits.pair, progress=None if apart else say)
    tasks = [Task(one.name, (one.name, one.spec, one.evidence), one.named["digest"]) for one in prepared if one.spec]
    outcomes = map_fits(work, tasks, store=fits, cores=cores, scheduler=scheduler, progress=told)
    by_name = {outcome.name: outcome for outcome in outcomes}
    return [_analysis_row(one, by_name.get(one.name), fits) for one in prepared]


def _outcome_words(outcome: Outcome) -> str:
    if outcome.status == "failed":
        return f"failed: {_failure(outcome)}"
    seconds = f" in {outcome.value['seconds']:.0f} s" if outcome.status == "computed" else ""
    return f"{STATES[outcome.status]}{seconds}, gate {outcome.value['gate']}"


def _failure(outcome: Outcome) -> str:
    return f"not fitted: {outcome.failure}" if outcome.refused else f"the fit failed ({outcome.failure})"


def _analysis_row(one: _Prepared, outcome: Outcome | None, fits: KeptFits) -> dict[str, Any]:
    """Return the row of one analysis; a failure is a row too."""
    if outcome is None or one.spec is None:
        return {**one.named, "gate": "", "note": one.refusal, "done": FAILED}
    if outcome.status == "failed":
        return {**one.named, "gate": "", "note": _failure(outcome), "done": FAILED}
    gone = [f"without {name}, which {one.spec.hazard.family} does not have" for name in one.left_out]
    numbers = dict(outcome.value)
    notes = "; ".join(filter(None, [*gone, numbers.pop("note")]))
    file = f"fits/{fits.file_name(one.name, one.named['digest'])}"
    return {**one.named, **numbers, "note": notes, "file": file, "done": STATES[outcome.status]}


# ---------------------------------------------------------------------------------------------- one of them


def _fitted(
    given: tuple[str, Spec, Evidence],
    seeds: np.random.SeedSequence,
    *,
    pair: tuple[str, str],
    progress: Progress | None,
) -> tuple[Result, dict[str, Any]]:
    """Return a fit and its numbers; the seed is the spec's own, and the base is what a fit by itself is."""
    name, spec, evidence = given
    said: Progress = (lambda stage: None) if progress is None else lambda stage: progress(f"{name}: {stage}")
    result = fit(spec, evidence, say=said) if name == BASE else refit(spec, evidence, say=said)
    return result, _fit_numbers(result, pair)


def _fit_numbers(result: Result, pair: tuple[str, str]) -> dict[str, Any]:
    """Return the main contrast, the gate, and what leave-one-out says row by row."""
    provenance = result.provenance
    seconds = sum(provenance.get(f"seconds_to_{step}", 0.0) for step in ("compile", "sample"))
    gate = {"gate": result.gate.state, "seconds": round(seconds, 1)}
    note = "" if result.gate.passed else f"the gate failed: {_shortened(result.gate.reasons)}"
    missing = set(pair) - set(result.spec.treatments.names)
    if missing:
        note = "; ".join(filter(None, [f"{', '.join(sorted(missing))} is not in this analysis", note]))
        return {**gate, "note": note, "evidence": result.evidence.digest(), **_row_densities(result)}
    contrast = _contrast(result, pair)
    return {**gate, **contrast, "note": note, "evidence": result.evidence.digest(), **_row_densities(result)}


def _shortened(reasons: Sequence[str]) -> str:
    more = f"; and {len(reasons) - REASONS} more, see bayes-bm check" if len(reasons) > REASONS else ""
    return f"{'; '.join(reasons[:REASONS])}{more}"


def _contrast(result: Result, pair: tuple[str, str]) -> dict[str, Any]:
    """Return the ratio in the average study, differences of restricted means and of survival in a new study."""
    spec, measure = result.spec, measure_of(result.spec)
    reference_times, interval = [spec.reference_time], partial(_interval, ends=spec.interval.names)
    row = _estimand_row(
        compare(result, who=AverageStudy(), reference=pair[1], times=reference_times), measure.estimand, pair[0]
    )
    when = "" if pd.isna(row["time"]) else f" at {row['time']:g} {spec.time_unit}"
    numbers = {
        "measure": f"{measure.words}{when}",
        **interval("ratio", row, middle="ratio"),
        "prob_better": row["prob_better"],
        "horizon": spec.horizon,
        "time": spec.reference_time,
    }
    if spec.needs_baseline:
        return numbers
    new = compare(result, who=NewStudy(), reference=pair[1], times=reference_times)
    mean, alive = (_estimand_row(new, f"{what}_difference", pair[0]) for what in ("rmst", "survival"))
    numbers |= {**interval("rmst", mean), "rmst_prob_better": mean["prob_better"], **interval("survival", alive)}
    return numbers


def _estimand_row(table: pd.DataFrame, estimand: str, treatment: str) -> dict[Any, Any]:
    return table[(table["estimand"] == estimand) & (table["treatment"] == treatment)].to_dict("records")[0]


def _interval(name: str, row: Mapping[Any, Any], *, ends: tuple[str, str], middle: str = "") -> dict[str, float]:
    low, high = (row[end] for end in ends)
    return {middle or f"{name}_difference": row["median"], f"{name}_low": low, f"{name}_high": high}


# ---------------------------------------------------------------------------------------------- leave-one-out


def _row_densities(result: Result) -> dict[str, Any]:
    """Return the expected log predictive density of each row left out (PSIS), and how many Pareto k are too high."""
    if not result.log_likelihood.data_vars:
        return {"pointwise": [], "high_k": 0}
    elpd = row_elpd(result)
    return {"pointwise": elpd.to_list(), "high_k": elpd.attrs["high_k"]}


def _with_base(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add elpd of each row and its difference from the base's, where both speak about the same data."""
    base = rows[0].get("pointwise"), rows[0].get("evidence")
    return [{**row, **_elpd_columns(row, *base)} for row in rows]


def _elpd_columns(row: Mapping[str, Any], base: Sequence[float] | None, evidence: str | None) -> dict[str, Any]:
    pointwise = row.get("pointwise")
    if not pointwise:
        return {"loo": ""}
    elpd, rows = np.asarray(pointwise), len(pointwise)
    numbers: dict[str, Any] = {"elpd": float(elpd.sum()), "elpd_se": _sum_error(elpd)}
    high = f"; {row['high_k']} of {rows} rows have Pareto k above {HIGH_K}" if row["high_k"] else ""
    if row["kind"] == "base":
        return {**numbers, "loo": f"base{high}"}
    if not base:
        return {**numbers, "loo": f"not comparable: no base{high}"}
    if row["evidence"] != evidence or len(base) != rows:
        return {**numbers, "loo": f"not comparable: other data{high}"}
    apart = elpd - np.asarray(base)
    numbers |= {"elpd_difference": float(apart.sum()), "elpd_difference_se": _sum_error(apart)}
    return {**numbers, "loo": f"comparable{high}"}


def _sum_error(pointwise: np.ndarray) -> float:
    return float(np.sqrt(len(pointwise)) * np.std(pointwise, ddof=1)) if len(pointwise) > 1 else float("nan")


# ---------------------------------------------------------------------------------------------- kept tables


def saved_with(result: Result, folder: Path) -> pd.DataFrame | None:
    """Return the table kept in a result's folder or in `sensitivity` inside it, where it is of this model."""
    model = analysis_model(result.spec, result.evidence)
    for path in (folder / "sensitivity.csv", folder / "sensitivity" / "sensitivity.csv"):
        if path.is_file():
            table = restore(pd.read_csv(path))
            base = table[table["analysis"] == BASE] if {"analysis", "model"} <= set(table) else table.iloc[:0]
            if len(base) and base["model"].iloc[0] == model:
                return table
    return None
