"""The main answer under every named analysis of a spec and every hazard family, one row an analysis
(docs/decisions.md#22-one-run).

Each fit is kept in the folder under its name and the digest of its spec and evidence, so that a second call does
nothing, an interrupted one goes on, and a changed spec is fitted anew. What fails is a row that says so.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayes_bm.checks.family_priors import left_out, of_family
from bayes_bm.checks.pareto_smoothing import HIGH_K
from bayes_bm.checks.stacking import row_elpd
from bayes_bm.estimands.compare import compare
from bayes_bm.estimands.who import AverageStudy, NewStudy
from bayes_bm.evidence.audit import require_usable
from bayes_bm.evidence.reading import read_evidence
from bayes_bm.evidence.records import Evidence
from bayes_bm.hazards import FAMILIES
from bayes_bm.inference.fit import fit
from bayes_bm.inference.result import Result, load
from bayes_bm.model.baseline_hazard import with_knots
from bayes_bm.runtime.errors import BayesBmError, InputError
from bayes_bm.runtime.files import atomic_write
from bayes_bm.runtime.parallel import map_fits
from bayes_bm.runtime.stores import file_name_part
from bayes_bm.runtime.tasks import Outcome, Task
from bayes_bm.runtime.types import Progress
from bayes_bm.spec.document import Spec
from bayes_bm.spec.effect_measure import measure_of
from bayes_bm.spec.patches import patched
from bayes_bm.spec.reading import parse_spec

BASE = "base"
KEPT, FITTED, FAILED = "kept from before", "fitted", "failed"
STATES = {"cached": KEPT, "computed": FITTED, "failed": FAILED}
COLUMNS = (
    *("analysis", "kind", "family", "treatment", "reference", "measure", "ratio", "ratio_low", "ratio_high"),
    *("prob_better", "horizon", "rmst_difference", "rmst_low", "rmst_high", "rmst_prob_better"),
    *("time", "survival_difference", "survival_low", "survival_high"),
    *("elpd", "elpd_se", "elpd_difference", "elpd_difference_se", "loo"),
    *("gate", "seconds", "note", "file", "digest", "model"),
)
REASONS = 2
"""Reasons of a failed gate that a row repeats."""


@dataclass(frozen=True)
class Sensitivity:
    """One row an analysis: `table` (COLUMNS), how many were fitted now, kept from before, and failed; whether
    sensitivity.csv `changed`.
    """

    spec: str
    table: pd.DataFrame
    fitted: int
    kept: int
    failed: int
    time_unit: str
    changed: bool

    @property
    def told(self) -> str:
        """What this call did."""
        if not self.fitted and not self.failed:
            return f"nothing to do: all {self.kept} analyses were kept from before"
        failed = f", {self.failed} could not be fitted (see their notes)" if self.failed else ""
        return f"{self.fitted} fitted, {self.kept} kept from before{failed}"


@dataclass(frozen=True)
class Analysis:
    """One analysis: the base, a named patch, another family, or both."""

    name: str
    kind: str
    patch: str | None = None
    family: str | None = None

    def spec(self, base: Spec) -> Spec:
        """The base's spec with the patch, then under the family. Raises `InputError` where either cannot be."""
        found = base
        if self.patch is not None:
            where = f"{base.name}, sensitivity.{self.patch}"
            document = patched(base.document(), base.sensitivity[self.patch], where=where)
            found = parse_spec(document, where=where, folder=base.folder)
        return found if self.family is None else of_family(found, self.family)


def analyses(
    spec: Spec, *, families: Sequence[str] | None = None, only: Sequence[str] | None = None, cross: bool = False
) -> list[Analysis]:
    """The base, each named analysis, each family; with `cross` each family under each named analysis too.

    `families` defaults to every family but the spec's own, `only` keeps analyses by name; the base always stays, for
    the others are compared with it.
    """
    for name in families or ():
        if name not in FAMILIES:
            raise InputError("--families", found=name, allowed=", ".join(FAMILIES))
    chosen = [
        name for name in (FAMILIES if families is None else dict.fromkeys(families)) if name != spec.hazard.family
    ]
    named = [Analysis(name, "named", patch=name) for name in spec.sensitivity]
    others = [Analysis(_apart(name, spec), "family", family=name) for name in chosen]
    both = [Analysis(f"{one}+{name}", "crossed", patch=one, family=name) for one in spec.sensitivity for name in chosen]
    found = [Analysis(BASE, "base"), *named, *others, *(both if cross else [])]
    if only is None:
        return found
    known = [analysis.name for analysis in found]
    for name in only:
        if name not in known:
            raise InputError("--only", found=name, allowed=", ".join(known))
    return [analysis for analysis in found if analysis.name in {BASE, *only}]


def _apart(family: str, spec: Spec) -> str:
    """A family's row by its name, unless a named analysis has it already."""
    return f"family_{family}" if family in {BASE, *spec.sensitivity} else family


# ---------------------------------------------------------------------------------------------- all of them


def sensitivity(
    spec: Spec,
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
    """Fit what is not yet kept in `out`/fits, write `out`/sensitivity.csv, and give the table.

    `treatment` is compared with the spec's reference, by default the first of `compare`; the ratio is the average
    study's, differences are of a new study, as in the report. `sampling` (draws, tune, chains, seed) overrides the
    spec's for every fit. `cores` fits run side by side in processes of their own, or all on the Dask cluster of a
    `scheduler` (`map_fits`). A fit that fails, or whose gate does, is a row with the reason; the others go on.
    """
    pair = (treatment or spec.treatments.compare[0], spec.treatments.reference)
    if pair[0] not in spec.treatments.compare:
        raise InputError("--treatment", found=pair[0], allowed=", ".join(spec.treatments.compare))
    given = {name: value for name, value in (sampling or {}).items() if value is not None}
    base = _with_sampling(spec, given)
    folder = Path(out)
    prepared = [
        _prepared(base, analysis, pair) for analysis in analyses(base, families=families, only=only, cross=cross)
    ]
    rows = _with_base(_run(prepared, _Fits(folder / "fits", pair), cores, scheduler, say))
    table = pd.DataFrame(rows)
    done = [row["done"] for row in rows]
    shown = pd.DataFrame(table.reindex(columns=list(COLUMNS)))
    changed = _write_table(shown, folder / "sensitivity.csv")
    counts = {name: done.count(state) for name, state in (("fitted", FITTED), ("kept", KEPT), ("failed", FAILED))}
    return Sensitivity(spec.name, shown, **counts, time_unit=spec.time_unit, changed=changed)


def _with_sampling(spec: Spec, given: Mapping[str, int]) -> Spec:
    seed = {"seed": given["seed"]} if "seed" in given else {}
    changed = {name: value for name, value in given.items() if name != "seed"}
    return spec.model_copy(update={"sampling": spec.sampling.model_copy(update=changed), **seed})


def _write_table(table: pd.DataFrame, path: Path) -> bool:
    """Whole or not at all; a file that already says this is left alone."""
    text = table.to_csv(index=False)
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    with atomic_write(path) as file:
        file.write_text(text, encoding="utf-8")
    return True


@dataclass(frozen=True)
class _Prepared:
    """One analysis ready to fit: what its row says in any case, its spec and evidence, or why it cannot be."""

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
    prepared: Sequence[_Prepared], fits: "_Fits", cores: int, scheduler: str | None, say: Progress
) -> list[dict[str, Any]]:
    """Rows of all analyses, in their order; those that cannot be fitted are told first."""
    total, refused = len(prepared), [one for one in prepared if one.refusal]
    for done, one in enumerate(refused, start=1):
        say(f"{done} of {total}, {one.name}: failed: {one.refusal}")

    def told(done: int, _: int, outcome: Outcome) -> None:
        say(f"{len(refused) + done} of {total}, {outcome.name}: {_told(outcome)}")

    apart = cores > 1 or scheduler is not None
    work = partial(_fitted, pair=fits.pair, progress=None if apart else say)
    tasks = [Task(one.name, (one.name, one.spec, one.evidence), one.named["digest"]) for one in prepared if one.spec]
    found = map_fits(work, tasks, store=fits, cores=cores, scheduler=scheduler, progress=told)
    by_name = {outcome.name: outcome for outcome in found}
    return [_row(one, by_name.get(one.name), fits) for one in prepared]


def _told(outcome: Outcome) -> str:
    if outcome.status == "failed":
        return f"failed: {_failure(outcome)}"
    seconds = f" in {outcome.value['seconds']:.0f} s" if outcome.status == "computed" else ""
    return f"{STATES[outcome.status]}{seconds}, gate {outcome.value['gate']}"


def _failure(outcome: Outcome) -> str:
    return f"not fitted: {outcome.failure}" if outcome.refused else f"the fit failed ({outcome.failure})"


def _row(one: _Prepared, outcome: Outcome | None, fits: "_Fits") -> dict[str, Any]:
    """The row of one analysis; a failure is a row too."""
    if outcome is None or one.spec is None:
        return {**one.named, "gate": "", "note": one.refusal, "done": FAILED}
    if outcome.status == "failed":
        return {**one.named, "gate": "", "note": _failure(outcome), "done": FAILED}
    gone = [f"without {name}, which {one.spec.hazard.family} does not have" for name in one.left_out]
    found = dict(outcome.value)
    notes = "; ".join(filter(None, [*gone, found.pop("note")]))
    file = f"fits/{fits.file_name(one.name, one.named['digest'])}"
    return {**one.named, **found, "note": notes, "file": file, "done": STATES[outcome.status]}


# ---------------------------------------------------------------------------------------------- one of them


def _fitted(
    given: tuple[str, Spec, Evidence],
    seeds: np.random.SeedSequence,
    *,
    pair: tuple[str, str],
    progress: Progress | None,
) -> tuple[Result, dict[str, Any]]:
    """A fit and its numbers. The seed is the spec's own, as of a fit by itself."""
    name, spec, evidence = given
    result = fit(
        spec, evidence, say=(lambda stage: None) if progress is None else lambda stage: progress(f"{name}: {stage}")
    )
    return result, _numbers(result, pair)


@dataclass(frozen=True)
class _Fits:
    """Fits as NetCDF, named by analysis and digest; beside each the numbers of one contrast."""

    path: Path
    pair: tuple[str, str]

    def file_name(self, name: str, key: str) -> str:
        return f"{file_name_part(name)}-{key}.nc"

    def get(self, task: Task) -> dict[str, Any] | None:
        """The numbers kept, or those of the fit that is kept."""
        fit_file = self.path / self.file_name(task.name, task.key)
        if not fit_file.is_file():
            return None
        numbers = self._numbers_file(fit_file)
        if numbers.is_file():
            return json.loads(numbers.read_text(encoding="utf-8"))
        return self._put_numbers(fit_file, _numbers(load(fit_file), self.pair))

    def put(self, task: Task, value: tuple[Result, dict[str, Any]]) -> dict[str, Any]:
        """The fit is written before its numbers."""
        fit_file = self.path / self.file_name(task.name, task.key)
        value[0].save(fit_file)
        return self._put_numbers(fit_file, value[1])

    def _numbers_file(self, fit_file: Path) -> Path:
        return fit_file.with_name(f"{fit_file.stem}.{file_name_part('.'.join(self.pair))}.json")

    def _put_numbers(self, fit_file: Path, numbers: dict[str, Any]) -> dict[str, Any]:
        with atomic_write(self._numbers_file(fit_file)) as file:
            file.write_text(json.dumps(numbers), encoding="utf-8")
        return numbers


def analysis_key(spec: Spec, evidence: Evidence) -> str:
    """Digest of what a fit follows from: spec (without the names of other analyses), settings, evidence."""
    alone = with_knots(spec, evidence).model_copy(update={"sensitivity": {}})
    return _digest(alone.digest(), evidence.digest())


def analysis_model(spec: Spec, evidence: Evidence) -> str:
    """The same without sampler settings and seed: whether two fits are of one model and its evidence."""
    plain = {"sensitivity": {}, "sampling": type(spec.sampling)(), "seed": 0}
    return _digest(with_knots(spec, evidence).model_copy(update=plain).digest(), evidence.digest())


def _digest(*parts: str) -> str:
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:12]


def _numbers(result: Result, pair: tuple[str, str]) -> dict[str, Any]:
    """The main contrast, the gate, and what leave-one-out says row by row."""
    known = result.provenance
    seconds = sum(known.get(f"seconds_to_{step}", 0.0) for step in ("compile", "sample"))
    gate = {"gate": result.gate.state, "seconds": round(seconds, 1)}
    note = "" if result.gate.passed else f"the gate failed: {_shortened(result.gate.reasons)}"
    missing = set(pair) - set(result.spec.treatments.names)
    if missing:
        note = "; ".join(filter(None, [f"{', '.join(sorted(missing))} is not in this analysis", note]))
        return {**gate, "note": note, "evidence": result.evidence.digest(), **_loo(result)}
    contrast = _contrast(result, pair)
    return {**gate, **contrast, "note": note, "evidence": result.evidence.digest(), **_loo(result)}


def _shortened(reasons: Sequence[str]) -> str:
    more = f"; and {len(reasons) - REASONS} more, see bayes-bm check" if len(reasons) > REASONS else ""
    return f"{'; '.join(reasons[:REASONS])}{more}"


def _contrast(result: Result, pair: tuple[str, str]) -> dict[str, Any]:
    """Ratio in the average study; differences of restricted means and of survival in a new study."""
    spec, measure = result.spec, measure_of(result.spec)
    at = [spec.reference_time]
    row = _found(compare(result, who=AverageStudy(), reference=pair[1], times=at), measure.estimand, pair[0])
    when = "" if pd.isna(row["time"]) else f" at {row['time']:g} {spec.time_unit}"
    found = {
        "measure": f"{measure.words}{when}",
        **_interval("ratio", row, middle="ratio"),
        "prob_better": row["prob_better"],
        "horizon": spec.horizon,
        "time": spec.reference_time,
    }
    if spec.needs_baseline:
        return found
    new = compare(result, who=NewStudy(), reference=pair[1], times=at)
    mean, alive = (_found(new, f"{what}_difference", pair[0]) for what in ("rmst", "survival"))
    found |= {**_interval("rmst", mean), "rmst_prob_better": mean["prob_better"], **_interval("survival", alive)}
    return found


def _found(table: pd.DataFrame, estimand: str, treatment: str) -> dict[Any, Any]:
    return table[(table["estimand"] == estimand) & (table["treatment"] == treatment)].to_dict("records")[0]


def _interval(name: str, row: Mapping[Any, Any], *, middle: str = "") -> dict[str, float]:
    return {middle or f"{name}_difference": row["median"], f"{name}_low": row["q2_5"], f"{name}_high": row["q97_5"]}


# ---------------------------------------------------------------------------------------------- leave-one-out


def _loo(result: Result) -> dict[str, Any]:
    """Expected log predictive density of each row left out (PSIS), and how many Pareto k are too high."""
    if not result.log_likelihood.data_vars:
        return {"pointwise": [], "high_k": 0}
    elpd = row_elpd(result)
    return {"pointwise": elpd.to_list(), "high_k": elpd.attrs["high_k"]}


def _with_base(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """elpd of each row and its difference from the base's, where both speak about the same data."""
    base = rows[0].get("pointwise"), rows[0].get("evidence")
    return [{**row, **_elpd(row, *base)} for row in rows]


def _elpd(row: Mapping[str, Any], base: Sequence[float] | None, evidence: str | None) -> dict[str, Any]:
    mine = row.get("pointwise")
    if not mine:
        return {"loo": ""}
    elpd, rows = np.asarray(mine), len(mine)
    found: dict[str, Any] = {"elpd": float(elpd.sum()), "elpd_se": _se(elpd)}
    high = f"; {row['high_k']} of {rows} rows have Pareto k above {HIGH_K}" if row["high_k"] else ""
    if row["kind"] == "base":
        return {**found, "loo": f"base{high}"}
    if not base:
        return {**found, "loo": f"not comparable: no base{high}"}
    if row["evidence"] != evidence or len(base) != rows:
        return {**found, "loo": f"not comparable: other data{high}"}
    apart = elpd - np.asarray(base)
    found |= {"elpd_difference": float(apart.sum()), "elpd_difference_se": _se(apart)}
    return {**found, "loo": f"comparable{high}"}


def _se(pointwise: np.ndarray) -> float:
    return float(np.sqrt(len(pointwise)) * np.std(pointwise, ddof=1)) if len(pointwise) > 1 else float("nan")


# ---------------------------------------------------------------------------------------------- kept tables


def saved_beside(result: Result, folder: Path) -> pd.DataFrame | None:
    """The table kept in a result's folder, or in `sensitivity` inside it, where its base is this result's model."""
    mine = analysis_model(result.spec, result.evidence)
    for path in (folder / "sensitivity.csv", folder / "sensitivity" / "sensitivity.csv"):
        if path.is_file():
            table = pd.read_csv(path)
            base = table[table["analysis"] == BASE] if {"analysis", "model"} <= set(table) else table.iloc[:0]
            if len(base) and base["model"].iloc[0] == mine:
                return table
    return None
