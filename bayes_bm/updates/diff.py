"""What changed between two results: rows, spec, versions, answers, and how much of the move each study's rows made.

The new posterior is weighed as if a study's rows were what they had been: 1 / p(rows now) x p(rows before), the study's
own effects integrated out, so that the weights depend on what studies share alone. The move that a study made is the
new answer less the answer under these weights. Where they are too uneven (Pareto k above 0.7), or where it is asked
for, the spec is sampled again on the evidence with that study as before.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from bayes_bm.checks.pareto_smoothing import HIGH_K, pareto_smoothed
from bayes_bm.checks.studies_left_out import shared_draws
from bayes_bm.checks.study_likelihood import drop_study, integrated_log_density, keep_study, studies_of
from bayes_bm.estimands.compare import compare, compared_pairs
from bayes_bm.estimands.who import AverageStudy
from bayes_bm.evidence.records import Evidence
from bayes_bm.inference.causes.result import JointResult
from bayes_bm.inference.fit import fit
from bayes_bm.inference.result import Result
from bayes_bm.runtime.errors import BayesBmError, InputError
from bayes_bm.runtime.progress import each
from bayes_bm.runtime.summaries import counted, listed, summary
from bayes_bm.runtime.types import Array, Progress
from bayes_bm.spec.effect_measure import measure_of
from bayes_bm.updates.changed_rows import changed_rows, changed_studies, joined
from bayes_bm.updates.joint_diff import joint_answers_moved, joint_moves, joint_rows_changed

DRAWS = 2000
"""Draws of the new posterior that are weighed."""
ANSWER_COLUMNS = (
    *("estimand", "treatment", "reference", "time", "old", "old_low", "old_high"),
    *("new", "new_low", "new_high", "move", "move_in_sd"),
)
MOVE_COLUMNS = ("study", "rows", "treatment", "reference", "measure", "move", "method", "pareto_k", "note")
NOT_BY_ROWS = ""
"""The study in the row of what no study's rows made."""


@dataclass(frozen=True)
class Diff:
    """Hold what changed between two results.

    Attributes
    ----------
    rows : pandas.DataFrame
        Rows added and gone, and cells changed: change, table, study, arm, row, column, old, new.
    spec : pandas.DataFrame
        Keys of the spec that differ: key, old, new.
    versions : pandas.DataFrame
        Packages whose versions differ: package, old, new.
    answers : pandas.DataFrame
        Medians and intervals of each answer before and after; `move_in_sd` in posterior sds of before.
    moves : pandas.DataFrame
        How much of the move of each log ratio a study's rows made, and what is left (study ""): spec, versions, what
        studies did together, Monte Carlo error.

    Examples
    --------
    >>> import pandas as pd
    >>> import bayes_bm as bb
    >>> nothing = pd.DataFrame()
    >>> bb.Diff(nothing, nothing, nothing, nothing, nothing).same
    True
    """

    rows: pd.DataFrame
    spec: pd.DataFrame
    versions: pd.DataFrame
    answers: pd.DataFrame
    moves: pd.DataFrame

    def __repr__(self) -> str:
        ratios = self.answers[self.answers["estimand"].astype(str).str.endswith("ratio")]
        answers = [
            f"{row.estimand} {row.treatment} v {row.reference}: {row.old:.2f} to {row.new:.2f}"
            for row in ratios.itertuples()
            if not str(row.estimand).startswith("log")
        ]
        moves = [f"{row.study or 'all else'} {row.move:+.2f}" for row in self.moves.itertuples()]
        rows = {
            "rows": counted({str(name): int(n) for name, n in self.rows["change"].value_counts().items()}),
            "spec": listed(list(self.spec["key"])),
            "versions": listed(list(self.versions["package"])),
            "answers": "; ".join(answers),
            "moves of logs": "; ".join(moves),
            "look at": "rows, spec, versions, answers, moves (tables)",
        }
        return summary("Nothing but the draws changed" if self.same else "What changed", rows)

    @property
    def same(self) -> bool:
        """Return whether rows, spec and versions are the same."""
        return self.rows.empty and self.spec.empty and self.versions.empty


def diff[Fitted: (Result, JointResult)](
    old: Fitted, new: Fitted, *, refit: bool = False, say: Progress = lambda stage: None
) -> Diff:
    """Return what changed from one result to another, and which study's rows moved the answer by how much.

    Parameters
    ----------
    old, new : Result, or JointResult
        Two fits of a question, usually of one spec before and after evidence was added. Of two joint results the tables
        have a column `cause`, and moves are parted by study where `refit` is true alone.
    refit : bool, default False
        Whether each changed study is put back by sampling again instead of by importance weights.
    say : callable, optional
        Is called with a line of text as each study is done.

    Returns
    -------
    Diff
        Rows, spec, versions, answers, and moves of the average study's log ratios.

    Raises
    ------
    InputError
        For a joint result beside one of one endpoint.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> result = bb.fit(bb.read_spec("published_os_extent_of_resection"), draws=200, tune=300)
    >>> bb.diff(result, result).same
    True
    """
    versions = _changed_keys(old.provenance.get("versions", {}), new.provenance.get("versions", {}), "package")
    if isinstance(old, JointResult) and isinstance(new, JointResult):
        rows = joint_rows_changed(old, new)
        return Diff(
            rows=rows,
            spec=_changed_keys(_flat(old.causes.document), _flat(new.causes.document), "key"),
            versions=versions,
            answers=joint_answers_moved(old, new),
            moves=joint_moves(old, new, rows, refit=refit, say=say),
        )
    if isinstance(old, JointResult) or isinstance(new, JointResult):
        raise InputError(
            "diff", found="a joint result beside one of one endpoint", allowed="two of one kind",
            hint="a cause's own result is joint.results[NAME] in Python",
        )  # fmt: skip
    rows = changed_rows(old.evidence, new.evidence)
    return Diff(
        rows=rows,
        spec=_changed_keys(_flat(old.spec.document()), _flat(new.spec.document()), "key"),
        versions=versions,
        answers=_answers(old, new),
        moves=_moves(old, new, rows, refit, say),
    )


def _flat(document: Any, prefix: str = "") -> dict[str, Any]:
    """The document as dotted keys."""
    if not isinstance(document, dict):
        return {prefix: document}
    return {
        key: value
        for name, part in document.items()
        for key, value in _flat(part, f"{prefix}.{name}".strip(".")).items()
    }


def _changed_keys(earlier: dict[str, Any], later: dict[str, Any], name: str) -> pd.DataFrame:
    keys = [key for key in {**earlier, **later} if earlier.get(key) != later.get(key)]
    rows = [{name: key, "old": earlier.get(key), "new": later.get(key)} for key in sorted(keys)]
    return pd.DataFrame(rows, columns=[name, "old", "new"])


def _answers(old: Result, new: Result) -> pd.DataFrame:
    """Answers of the average study that both give."""
    names = ["estimand", "treatment", "reference", "time"]
    both = [compare(result).set_index(names) for result in (old, new)]
    earlier, later = (table[~table.index.duplicated()] for table in both)
    common = earlier.index.intersection(later.index, sort=False)
    earlier, later = earlier.loc[common], later.loc[common]
    table = pd.DataFrame(
        {
            **_numbers("old", earlier, old),
            **_numbers("new", later, new),
            "move": later["median"] - earlier["median"],
            "move_in_sd": (later["mean"] - earlier["mean"]) / earlier["sd"],
        }
    )
    return table.reset_index()[list(ANSWER_COLUMNS)]


def _numbers(name: str, table: pd.DataFrame, result: Result) -> dict[str, pd.Series]:
    low, high = result.spec.interval.names
    return {name: table["median"], f"{name}_low": table[low], f"{name}_high": table[high]}


# ---------------------------------------------------------------------------------------------- who moved it


def log_ratios(result: Result) -> dict[str, Array]:
    """Return draws of the average study's log ratio of each treatment, by name."""
    measure = measure_of(result.spec).estimand
    pairs = compared_pairs(result, who=AverageStudy(), times=[result.spec.reference_time])
    return {row["treatment"]: np.log(values) for row, values in pairs if row["estimand"] == measure}


def _moves(old: Result, new: Result, rows: pd.DataFrame, refit: bool, say: Progress) -> pd.DataFrame:
    earlier, later = log_ratios(old), log_ratios(new)
    treatments = [name for name in later if name in earlier]
    measure, reference = f"log {measure_of(new.spec).words}", new.spec.treatments.reference
    table = []
    total = dict.fromkeys(treatments, 0.0)
    for study in each(changed_studies(rows), "study"):
        moved, named = _study_move(old, new, study, treatments, refit)
        say(f"{study}: {named['method']}")
        for treatment in treatments:
            move = moved.get(treatment, float("nan"))
            total[treatment] += move if np.isfinite(move) else 0.0
            described = {"treatment": treatment, "reference": reference, "measure": measure, "move": move}
            table.append({"study": study, "rows": int((rows["study"] == study).sum()), **described, **named})
    for treatment in treatments:
        rest = later[treatment].mean() - earlier[treatment].mean() - total[treatment]
        named = {"treatment": treatment, "reference": reference, "measure": measure, "move": float(rest)}
        note = "spec, versions, studies together, Monte Carlo error"
        table.append({"study": NOT_BY_ROWS, "rows": 0, **named, "method": "what is left", "note": note})
    return pd.DataFrame(table, columns=list(MOVE_COLUMNS))


def _study_move(
    old: Result, new: Result, study: str, treatments: list[str], refit: bool
) -> tuple[dict[str, float], dict[str, Any]]:
    """The new mean of each log ratio less its mean had the study's rows not changed, and how that is known."""
    try:
        thin = new.thinned(DRAWS)
        smooth, k = pareto_smoothed(_log_weight(old, thin, study))
        if k > HIGH_K or refit:
            again = log_ratios(fit(new.spec, _as_before(old.evidence, new.evidence, study)))
            whole = log_ratios(new)
            moves = {name: float(whole[name].mean() - again[name].mean()) for name in treatments}
            return moves, {"method": "refit", "pareto_k": k, "note": ""}
    except BayesBmError as problem:
        return {}, {"method": "unknown", "pareto_k": float("nan"), "note": str(problem)}
    ratios, weight = log_ratios(thin), np.exp(smooth)
    moves = {name: float(ratios[name].mean() - weight @ ratios[name]) for name in treatments}
    return moves, {"method": "weights", "pareto_k": k, "note": ""}


def _log_weight(old: Result, new: Result, study: str) -> Array:
    """Of the study's rows as before against those now, at every draw of the new posterior (sample,)."""
    shared = shared_draws(new.posterior, np.arange(new.predictors.draws.samples))
    total = np.zeros(new.predictors.draws.samples)
    for evidence, sign in ((old.evidence, 1.0), (new.evidence, -1.0)):
        if study in studies_of(evidence):
            alone = replace(new, evidence=keep_study(evidence, study), posterior=shared)
            total += sign * integrated_log_density(alone, study)
    return total


def _as_before(old: Evidence, new: Evidence, study: str) -> Evidence:
    """The new evidence with one study as it was."""
    kept = drop_study(new, study) if study in studies_of(new) else new
    return joined(kept, keep_study(old, study)) if study in studies_of(old) else kept
