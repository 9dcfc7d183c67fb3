"""Consistency of a network: node-splitting, and unrelated mean effects beside the consistent model.

Both are the same model with other names. A split calls one treatment of a pair by a second name in the studies that
hold both: its effect there is the direct estimate, what all other studies say is the indirect one (Dias et al. 2010,
doi 10.1002/sim.3767). Unrelated mean effects name each treatment of a study by the study's own first one, so that no
loop has to close (Dias et al. 2013, NICE DSU TSD 4). Studies have free levels and shapes throughout
(docs/decisions.md#12-within-and-across): consistency is a question about what was compared within studies.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayes_bm.checks.direct_indirect import log_ratio_to_reference, within_parts
from bayes_bm.evidence.network import components, treatments_by_study
from bayes_bm.evidence.records import Evidence
from bayes_bm.inference.fit import fit
from bayes_bm.inference.result import Result
from bayes_bm.runtime.errors import GateRefused, InputError
from bayes_bm.runtime.files import read_kept_json, write_text
from bayes_bm.runtime.progress import each
from bayes_bm.runtime.types import Progress
from bayes_bm.spec.document import Spec
from bayes_bm.spec.effect_measure import contrast_measure
from bayes_bm.spec.effects import Treatments
from bayes_bm.spec.level import Level

Pair = tuple[str, str]
"""Treatment and reference of a comparison."""
COLUMNS = ("treatment", "reference", "source", "studies", "mean", "sd", "median")
"""Columns of `Splits.table`."""
COMPARISON_COLUMNS = ["treatment", "reference", "studies", "names", "split", "why"]
"""Columns of `Splits.comparisons`."""
MODELS = ["model", "part", "treatment", "reference", "deviance", "p_d", "dic", "study_treatment_sd", "gate"]
"""Columns of `Splits.models`."""


class SplitModel(NamedTuple):
    """Hold spec and evidence of a split: `renamed` is called `alias` in the studies that hold both of the pair."""

    spec: Spec
    evidence: Evidence
    renamed: str
    alias: str


@dataclass(frozen=True)
class Splits:
    """Hold what node-splitting gave.

    comparisons  every pair with direct evidence: studies, whether it was split, and why not
    table        by pair, rows direct, indirect, difference (direct - indirect; p: twice the smaller tail), network
    models       deviance (-2 log likelihood, posterior mean), effective parameters and DIC of the consistent model,
                 of each split and of unrelated mean effects; only differences mean something
    measure      what the table holds the logarithm of: hazard ratio, or of accelerated-time families time ratio
    """

    comparisons: pd.DataFrame
    table: pd.DataFrame
    models: pd.DataFrame
    measure: str


# ---------------------------------------------------------------------------------------------- which to split


def comparisons(spec: Spec, evidence: Evidence) -> pd.DataFrame:
    """Return pairs with direct evidence, and whether they have independent indirect evidence too.

    A pair is split only where its treatments stay connected when every study that holds both is left out: a loop
    inside one study cannot disagree with itself (van Valkenhoef et al. 2016, doi 10.1002/jrsm.1167).
    """
    held, names = treatments_by_study(evidence), spec.treatments.names
    rows = []
    for index, reference in enumerate(names):
        for treatment in names[index + 1 :]:
            direct = sorted(study for study, treatments in held.items() if {treatment, reference} <= treatments)
            if direct:
                others = [sorted(treatments) for study, treatments in held.items() if study not in direct]
                links = [
                    (treatments[0], name)
                    for treatments in others
                    for name in treatments[1:]
                    if {treatments[0], name} <= set(names)
                ]
                closes = any({treatment, reference} <= group for group in components(links, names))
                why = "" if closes else "no path between them without the studies that hold both"
                rows.append(
                    {
                        "treatment": treatment,
                        "reference": reference,
                        "studies": len(direct),
                        "names": "; ".join(direct),
                        "split": closes,
                        "why": why,
                    }
                )
    return pd.DataFrame(rows, columns=COMPARISON_COLUMNS)


# ---------------------------------------------------------------------------------------------- other names


def relabel(evidence: Evidence, name: Callable[[str, str], str]) -> Evidence:
    """Call treatments by another name, given the study; nothing else moves."""

    def renamed(table: pd.DataFrame) -> pd.DataFrame:
        sides = [side for side in ("treatment", "reference") if side in table]
        if table.empty or "study" not in table:
            return table
        labels = {side: [name(*row) for row in zip(table["study"], table[side], strict=True)] for side in sides}
        return table.assign(**labels)

    tables = {kind: renamed(table) for kind, table in evidence.tables().items() if kind != "set_aside"}
    return replace(evidence, **tables)


def split_world(spec: Spec, evidence: Evidence, pair: Pair) -> SplitModel:
    """Give one of the pair a second name in the studies that hold both.

    The reference of the model keeps its name; of two others the later in the alphabet is renamed, whatever the order
    in which the spec lists them: in a study with more arms it matters a little which.
    """
    reference = spec.treatments.reference
    renamed = max(name for name in pair if name != reference)
    other = next(name for name in pair if name != renamed)
    alias = f"{renamed} (beside {other})"
    both = {study for study, treatments in treatments_by_study(evidence).items() if set(pair) <= treatments}
    compare = (*spec.treatments.compare, alias)
    changed = relabel(evidence, lambda study, name: alias if name == renamed and study in both else name)
    if renamed not in changed.treatments:
        compare = tuple(name for name in compare if name != renamed)
    return SplitModel(_with_treatments(spec, reference, compare), changed, renamed, alias)


def unrelated_world(spec: Spec, evidence: Evidence) -> tuple[Spec, Evidence]:
    """Make every contrast of a study's own first treatment a parameter of its own.

    First is the reference, else the first in the alphabet: in a study with many arms it matters which, so it must not
    follow the order in which the spec lists treatments.
    """
    reference = spec.treatments.reference
    held = treatments_by_study(evidence)
    base = {study: reference if reference in treatments else min(treatments) for study, treatments in held.items()}

    def name(study: str, treatment: str) -> str:
        return reference if treatment == base[study] else f"{treatment} v {base[study]}"

    changed = relabel(evidence, name)
    return _with_treatments(spec, reference, tuple(sorted(changed.treatments - {reference}))), changed


def _with_treatments(spec: Spec, reference: str, compare: Sequence[str]) -> Spec:
    treatments = Treatments(reference=reference, compare=tuple(compare))
    return spec.model_copy(update={"treatments": treatments, "external_checks": ()})


# ---------------------------------------------------------------------------------------------- fits


def node_splits(
    spec: Spec,
    evidence: Evidence,
    *,
    pairs: Iterable[Pair] | None = None,
    unrelated: bool = True,
    sampling: Mapping[str, int | None] | None = None,
    folder: Path | None = None,
    progress: Progress = lambda stage: None,
) -> Splits:
    """Fit the consistent model, every split and unrelated mean effects; with `folder` each fit is kept and not redone.

    `pairs` names the comparisons to split, in either order; all that can be where left out. Raises `GateRefused` where
    nothing can be split, `InputError` where a pair cannot.
    """
    measure = contrast_measure(spec).name
    listed = comparisons(spec, evidence)
    chosen = _pairs_to_split(spec, listed, pairs)
    # a spec with free levels stands as it is, so that its own answers can be put beside
    parts = [(spec, evidence)] if spec.free_levels else within_parts(spec, evidence)
    tasks: list[tuple[int, str, Pair | None]] = []
    for part_index, (part_spec, _) in enumerate(parts):
        part_pairs = [pair for pair in chosen if set(pair) <= set(part_spec.treatments.names)]
        if part_pairs:
            tasks += [(part_index, "consistent", None), *((part_index, "split", pair) for pair in part_pairs)]
            tasks += [(part_index, "unrelated", None)] if unrelated else []
    rows, models, network = [], [], {}
    for task_number, (part_index, kind, pair) in enumerate(each(tasks), start=1):
        words = kind if pair is None else f"{pair[0]} v {pair[1]}"
        fit_progress = _numbered_progress(progress, f"fit {task_number} of {len(tasks)}, {words}")
        numbers = _stored_or_fitted(folder, parts[part_index], kind, pair, sampling or {}, fit_progress)
        models.append({**numbers["model"], "model": kind, "part": part_index + 1})
        if kind == "consistent":
            network = {(row["treatment"], row["reference"]): row for row in numbers["rows"]}
        elif pair is not None:
            models[-1] |= {"treatment": pair[0], "reference": pair[1]}
            rows += [*numbers["rows"], {**network[pair], "source": "network"}]
    count = {(row["treatment"], row["reference"]): row["studies"] for row in listed.to_dict("records")}
    table = pd.DataFrame(rows, columns=[*COLUMNS, *spec.interval.names, "p", "note"])
    studies = [count[pair] for pair in zip(table["treatment"], table["reference"], strict=True)]
    return Splits(listed, table.assign(studies=studies), pd.DataFrame(models, columns=MODELS), measure)


def _numbered_progress(progress: Progress, words: str) -> Progress:
    """Return a `progress` that says before each line which fit it is about."""
    return lambda stage: progress(f"{words}: {stage}")


def _pairs_to_split(spec: Spec, listed: pd.DataFrame, pairs: Iterable[Pair] | None) -> list[Pair]:
    """Return the pairs to split as (treatment, reference) in the order of the spec."""
    able = {(row["treatment"], row["reference"]): row for row in listed.to_dict("records")}
    ready = [pair for pair, row in able.items() if row["split"]]
    if pairs is None:
        if not ready:
            raise GateRefused(
                f"{spec.name}: no comparison can be split: none has direct and independent indirect evidence"
            )
        return ready
    chosen = []
    for pair in pairs:
        turned = next((listed_pair for listed_pair in able if set(listed_pair) == set(pair)), None)
        if turned not in ready:
            why = able[turned]["why"] if turned is not None else "no study holds both"
            allowed = ", ".join(" v ".join(listed_pair) for listed_pair in ready) or "none"
            raise InputError("compare", found=" v ".join(pair), allowed=allowed, hint=why)
        chosen.append(turned)
    return chosen


def _stored_or_fitted(
    folder: Path | None,
    part: tuple[Spec, Evidence],
    kind: str,
    pair: Pair | None,
    sampling: Mapping[str, int | None],
    progress: Progress,
) -> dict[str, Any]:
    """Return the numbers of one fit, from the folder where they were made of the same spec, evidence and settings."""
    spec, evidence = part
    asked = [spec.digest(), evidence.digest(), kind, pair, sorted((sampling or {}).items())]
    key = hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]
    path = None if folder is None else folder / "fits" / f"{kind}-{key}.json"
    kept = None if path is None else read_kept_json(path)
    if isinstance(kept, dict):
        progress("kept from before")
        return kept
    numbers = _fit_numbers(spec, evidence, kind, pair, sampling, progress)
    if path is not None:
        write_text(path, json.dumps(numbers))
    return numbers


def _fit_numbers(
    spec: Spec, evidence: Evidence, kind: str, pair: Pair | None, sampling: Mapping[str, Any], progress: Progress
) -> dict[str, Any]:
    """Fit one model and return its rows and quality as plain data."""
    split = None
    if pair is not None:
        split = split_world(spec, evidence, pair)
        spec, evidence = split.spec, split.evidence
    elif kind == "unrelated":
        spec, evidence = unrelated_world(spec, evidence)
    result = fit(spec, evidence, say=progress, **sampling)
    note = "" if result.gate.passed else f"the gate of this fit failed: {'; '.join(result.gate.reasons)}"
    if pair is not None and split is not None:
        rows = split_rows(result, pair, split.renamed, split.alias, note)
    elif kind == "consistent":
        rows = [
            _contrast_row(
                (treatment, reference),
                "network",
                log_ratio_to_reference(result, treatment) - log_ratio_to_reference(result, reference),
                note,
                spec.interval,
            )
            for index, reference in enumerate(spec.treatments.names)
            for treatment in spec.treatments.names[index + 1 :]
        ]
    else:
        rows = []
    return {"rows": rows, "model": {**fit_quality(result), "gate": result.gate.state}}


def split_rows(result: Result, pair: Pair, renamed: str, alias: str, note: str = "") -> list[dict[str, Any]]:
    """Return rows direct, indirect and difference of a split fit, treatment against reference of the pair."""

    def contrast(name: str) -> np.ndarray:
        here = {renamed: name}
        return log_ratio_to_reference(result, here.get(pair[0], pair[0])) - log_ratio_to_reference(
            result, here.get(pair[1], pair[1])
        )

    direct, indirect = contrast(alias), contrast(renamed)
    apart = direct - indirect
    level = result.spec.interval
    tail = min(float(np.mean(apart > 0)), float(np.mean(apart < 0)))
    return [
        _contrast_row(pair, "direct", direct, note, level),
        _contrast_row(pair, "indirect", indirect, note, level),
        {**_contrast_row(pair, "difference", apart, note, level), "p": 2 * tail},
    ]


def _contrast_row(pair: Pair, source: str, values: np.ndarray, note: str, level: Level) -> dict[str, Any]:
    """Return a row of `Splits.table` from draws of a log ratio (sample,)."""
    low, middle, high = (float(value) for value in np.quantile(values, level.quantiles))
    low_name, high_name = level.names
    named = {"treatment": pair[0], "reference": pair[1], "source": source, "p": None, "note": note}
    numbers = {"mean": float(np.mean(values)), "sd": float(np.std(values, ddof=1))}
    return {**named, **numbers, "median": middle, low_name: low, high_name: high}


def fit_quality(result: Result) -> dict[str, float | None]:
    """Return posterior mean deviance, effective parameters p_D (deviance at the mean predictor) and DIC.

    With free study levels leaving a study out leaves its level to the prior, so that LOO by study would compare
    priors; DIC is what NICE DSU TSD 4 compares these models by.
    """
    deviance = -2 * _total_log_likelihood(result)
    means = result.posterior.mean(("chain", "draw")).expand_dims(chain=1, draw=1)
    plugged = -2 * float(_total_log_likelihood(replace(result, posterior=means, stored_log_likelihood=None)).item())
    sd = result.posterior.get("study_treatment_sd")
    mean = float(deviance.mean())
    return {
        "deviance": mean,
        "p_d": mean - plugged,
        "dic": 2 * mean - plugged,
        "study_treatment_sd": None if sd is None else float(sd.median()),
    }


def _total_log_likelihood(result: Result) -> np.ndarray:
    """Return the log likelihood of all rows (chain, draw)."""
    terms = [values.to_numpy().sum(axis=-1) for values in result.log_likelihood.data_vars.values()]
    return np.sum(terms, axis=0)
