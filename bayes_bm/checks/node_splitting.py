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
from typing import Any

import numpy as np
import pandas as pd

from bayes_bm.checks.direct_indirect import against_own_reference, within_parts
from bayes_bm.evidence.network import components, treatments_by_study
from bayes_bm.evidence.records import Evidence
from bayes_bm.inference.fit import fit
from bayes_bm.inference.result import Result
from bayes_bm.runtime.errors import GateRefused, InputError
from bayes_bm.runtime.files import atomic_write
from bayes_bm.runtime.types import Progress
from bayes_bm.spec.document import Spec
from bayes_bm.spec.effect_measure import contrast_measure
from bayes_bm.spec.effects import Treatments

Pair = tuple[str, str]
COLUMNS = ["treatment", "reference", "source", "studies", "mean", "sd", "median", "q2_5", "q97_5", "p", "note"]
MODELS = ["model", "part", "treatment", "reference", "deviance", "p_d", "dic", "study_treatment_sd", "gate"]


@dataclass(frozen=True)
class Splits:
    """What splitting found.

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
    """Pairs with direct evidence, and whether they have independent indirect evidence too.

    A pair is split only where its treatments stay connected when every study that holds both is left out: a loop
    inside one study cannot disagree with itself (van Valkenhoef et al. 2016, doi 10.1002/jrsm.1167).
    """
    held, names = treatments_by_study(evidence), spec.treatments.names
    rows = []
    for at, reference in enumerate(names):
        for treatment in names[at + 1 :]:
            direct = sorted(study for study, found in held.items() if {treatment, reference} <= found)
            if direct:
                others = [sorted(found) for study, found in held.items() if study not in direct]
                links = [(found[0], name) for found in others for name in found[1:] if {found[0], name} <= set(names)]
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
    return pd.DataFrame(rows, columns=["treatment", "reference", "studies", "names", "split", "why"])


# ---------------------------------------------------------------------------------------------- other names


def relabelled(evidence: Evidence, name: Callable[[str, str], str]) -> Evidence:
    """Treatments by another name, given the study; nothing else moves."""

    def renamed(table: pd.DataFrame) -> pd.DataFrame:
        sides = [side for side in ("treatment", "reference") if side in table]
        if table.empty or "study" not in table:
            return table
        found = {side: [name(*row) for row in zip(table["study"], table[side], strict=True)] for side in sides}
        return table.assign(**found)

    tables = {kind: renamed(table) for kind, table in evidence.tables().items() if kind != "set_aside"}
    return replace(evidence, **tables)


def split_world(spec: Spec, evidence: Evidence, pair: Pair) -> tuple[Spec, Evidence, str, str]:
    """The pair's second name in the studies that hold both: (spec, evidence, which of the two, its second name).

    The reference of the model keeps its name; of two others the later in the alphabet is renamed, whatever the order
    in which the spec lists them: in a study with more arms it matters a little which.
    """
    reference = spec.treatments.reference
    one = max(name for name in pair if name != reference)
    other = next(name for name in pair if name != one)
    alias = f"{one} (beside {other})"
    both = {study for study, found in treatments_by_study(evidence).items() if set(pair) <= found}
    compare = (*spec.treatments.compare, alias)
    changed = relabelled(evidence, lambda study, name: alias if name == one and study in both else name)
    if one not in changed.treatments:
        compare = tuple(name for name in compare if name != one)
    return _with_treatments(spec, reference, compare), changed, one, alias


def unrelated_world(spec: Spec, evidence: Evidence) -> tuple[Spec, Evidence]:
    """Every contrast of a study's own first treatment a parameter of its own.

    First is the reference, else the first in the alphabet: in a study with many arms it matters which, so it must not
    follow the order in which the spec lists treatments.
    """
    reference = spec.treatments.reference
    held = treatments_by_study(evidence)
    base = {study: reference if reference in found else min(found) for study, found in held.items()}

    def name(study: str, treatment: str) -> str:
        return reference if treatment == base[study] else f"{treatment} v {base[study]}"

    changed = relabelled(evidence, name)
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
    say: Progress = lambda stage: None,
) -> Splits:
    """Fit the consistent model, every split and unrelated mean effects; with `folder` each fit is kept and not redone.

    `pairs` names the comparisons to split, in either order; all that can be where left out. Raises `GateRefused` where
    nothing can be split, `InputError` where a pair cannot.
    """
    measure = contrast_measure(spec).name
    listed = comparisons(spec, evidence)
    chosen = _chosen(spec, listed, pairs)
    # a spec with free levels stands as it is, so that its own answers can be put beside
    parts = [(spec, evidence)] if spec.free_levels else within_parts(spec, evidence)
    tasks: list[tuple[int, str, Pair | None]] = []
    for at, (of, _) in enumerate(parts):
        inside = [pair for pair in chosen if set(pair) <= set(of.treatments.names)]
        if inside:
            tasks += [(at, "consistent", None), *((at, "split", pair) for pair in inside)]
            tasks += [(at, "unrelated", None)] if unrelated else []
    rows, models, network = [], [], {}
    for done, (at, kind, pair) in enumerate(tasks, start=1):
        words = kind if pair is None else f"{pair[0]} v {pair[1]}"
        told = _numbered(say, f"fit {done} of {len(tasks)}, {words}")
        found = _kept(folder, parts[at], kind, pair, sampling or {}, told)
        models.append({**found["model"], "model": kind, "part": at + 1})
        if kind == "consistent":
            network = {(row["treatment"], row["reference"]): row for row in found["rows"]}
        elif pair is not None:
            models[-1] |= {"treatment": pair[0], "reference": pair[1]}
            rows += [*found["rows"], {**network[pair], "source": "network"}]
    count = {(row["treatment"], row["reference"]): row["studies"] for row in listed.to_dict("records")}
    table = pd.DataFrame(rows, columns=COLUMNS)
    studies = [count[pair] for pair in zip(table["treatment"], table["reference"], strict=True)]
    return Splits(listed, table.assign(studies=studies), pd.DataFrame(models, columns=MODELS), measure)


def _numbered(say: Progress, words: str) -> Progress:
    return lambda stage: say(f"{words}: {stage}")


def _chosen(spec: Spec, listed: pd.DataFrame, pairs: Iterable[Pair] | None) -> list[Pair]:
    """Pairs as (treatment, reference) in the order of the spec."""
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
        turned = next((known for known in able if set(known) == set(pair)), None)
        if turned not in ready:
            why = able[turned]["why"] if turned is not None else "no study holds both"
            allowed = ", ".join(" v ".join(known) for known in ready) or "none"
            raise InputError("compare", found=" v ".join(pair), allowed=allowed, hint=why)
        chosen.append(turned)
    return chosen


def _kept(
    folder: Path | None,
    part: tuple[Spec, Evidence],
    kind: str,
    pair: Pair | None,
    sampling: Mapping[str, int | None],
    say: Progress,
) -> dict[str, Any]:
    """Rows of one fit, from the folder where they were made of the same spec, evidence and settings."""
    spec, evidence = part
    asked = [spec.digest(), evidence.digest(), kind, pair, sorted((sampling or {}).items())]
    key = hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]
    path = None if folder is None else folder / "fits" / f"{kind}-{key}.json"
    if path is not None and path.is_file():
        say("kept from before")
        return json.loads(path.read_text(encoding="utf-8"))
    found = _fitted(spec, evidence, kind, pair, sampling, say)
    if path is not None:
        with atomic_write(path) as file:
            file.write_text(json.dumps(found), encoding="utf-8")
    return found


def _fitted(
    spec: Spec, evidence: Evidence, kind: str, pair: Pair | None, sampling: Mapping[str, Any], say: Progress
) -> dict[str, Any]:
    one, alias = "", ""
    if pair is not None:
        spec, evidence, one, alias = split_world(spec, evidence, pair)
    elif kind == "unrelated":
        spec, evidence = unrelated_world(spec, evidence)
    result = fit(spec, evidence, say=say, **sampling)
    note = "" if result.gate.passed else f"the gate of this fit failed: {'; '.join(result.gate.reasons)}"
    if pair is not None:
        rows = split_rows(result, pair, one, alias, note)
    elif kind == "consistent":
        rows = [
            _row(
                (treatment, reference),
                "network",
                against_own_reference(result, treatment) - against_own_reference(result, reference),
                note,
            )
            for at, reference in enumerate(spec.treatments.names)
            for treatment in spec.treatments.names[at + 1 :]
        ]
    else:
        rows = []
    return {"rows": rows, "model": {**fit_quality(result), "gate": result.gate.state}}


def split_rows(result: Result, pair: Pair, one: str, alias: str, note: str = "") -> list[dict[str, Any]]:
    """Direct, indirect and their difference from a split fit; treatment against reference of the pair."""

    def contrast(name: str) -> np.ndarray:
        here = {one: name}
        return against_own_reference(result, here.get(pair[0], pair[0])) - against_own_reference(
            result, here.get(pair[1], pair[1])
        )

    direct, indirect = contrast(alias), contrast(one)
    apart = direct - indirect
    tail = min(float(np.mean(apart > 0)), float(np.mean(apart < 0)))
    return [
        _row(pair, "direct", direct, note),
        _row(pair, "indirect", indirect, note),
        {**_row(pair, "difference", apart, note), "p": 2 * tail},
    ]


def _row(pair: Pair, source: str, values: np.ndarray, note: str) -> dict[str, Any]:
    low, middle, high = (float(value) for value in np.quantile(values, [0.025, 0.5, 0.975]))
    named = {"treatment": pair[0], "reference": pair[1], "source": source, "p": None, "note": note}
    numbers = {"mean": float(np.mean(values)), "sd": float(np.std(values, ddof=1))}
    return {**named, **numbers, "median": middle, "q2_5": low, "q97_5": high}


def fit_quality(result: Result) -> dict[str, float | None]:
    """Posterior mean deviance, effective parameters p_D (deviance at the mean predictor) and DIC.

    With free study levels leaving a study out leaves its level to the prior, so that LOO by study would compare
    priors; DIC is what NICE DSU TSD 4 compares these models by.
    """
    deviance = -2 * _total(result)
    means = result.posterior.mean(("chain", "draw")).expand_dims(chain=1, draw=1)
    plugged = -2 * float(_total(replace(result, posterior=means, stored_log_likelihood=None)).item())
    sd = result.posterior.get("study_treatment_sd")
    mean = float(deviance.mean())
    return {
        "deviance": mean,
        "p_d": mean - plugged,
        "dic": 2 * mean - plugged,
        "study_treatment_sd": None if sd is None else float(sd.median()),
    }


def _total(result: Result) -> np.ndarray:
    """Log likelihood of all rows by draw."""
    terms = [values.to_numpy().sum(axis=-1) for values in result.log_likelihood.data_vars.values()]
    return np.sum(terms, axis=0)
