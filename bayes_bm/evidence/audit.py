"""Audit before fitting: what each row informs, what was set aside, what is compared side by side
(docs/decisions.md#checks-with-every-answer).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayes_bm.evidence import biases, clocks
from bayes_bm.evidence.arm_covariates import averaged_arms, states_covariate
from bayes_bm.evidence.covariate_notes import covariate_notes
from bayes_bm.evidence.left_out import left_out_notes
from bayes_bm.evidence.network import parts_of, parts_text, side_by_side
from bayes_bm.evidence.prognostic_ratios import contrast_text, prognostic_notes, prognostic_summary
from bayes_bm.evidence.reading import read_evidence
from bayes_bm.evidence.records import Evidence
from bayes_bm.evidence.tables.frames import records
from bayes_bm.runtime.errors import GateRefused
from bayes_bm.runtime.summaries import counted, listed, summary
from bayes_bm.spec.biases import CLOCK_BIASES, Biases, StudyCovariate
from bayes_bm.spec.document import Spec
from bayes_bm.spec.priors import describe
from bayes_bm.spec.reading import as_spec

NO_SIDE_BY_SIDE = "no side-by-side study"


@dataclass(frozen=True)
class Audit:
    """Hold the tables of an audit, and what stands against a fit.

    rows        one row a piece of evidence in use: kind, study, arm, treatment, size, until (last time it speaks about)
    treatments  studies, arms, size and follow-up of each treatment
    contrasts   for each compared treatment, the studies that hold it beside the reference
    coefficients  for each coefficient and interaction of a covariate, what informs it, and its published ratios
    set_aside   what is not used, and why
    notes       what a reader must know, in words
    refusals    reasons not to fit; empty where a fit may run

    Examples
    --------
    >>> import bayes_bm as bb
    >>> spec = bb.read_spec("published_os_extent_of_resection")
    >>> table = bb.audit(spec, bb.read_evidence(spec))
    >>> table.treatments[["treatment", "studies", "arms"]].to_dict("records")
    [{'treatment': 'str', 'studies': 1, 'arms': 1}, {'treatment': 'gtr', 'studies': 1, 'arms': 1}]
    """

    rows: pd.DataFrame
    treatments: pd.DataFrame
    contrasts: pd.DataFrame
    coefficients: pd.DataFrame
    set_aside: pd.DataFrame
    notes: tuple[str, ...]
    refusals: tuple[str, ...]

    def __repr__(self) -> str:
        holders = [f"{row['treatment']} ({row['studies']} studies)" for row in records(self.treatments)]
        rows = {
            "fit": "refused: " + " ".join(self.refusals) if self.refusals else "nothing stands against it",
            "treatments": listed(holders),
            "rows": counted({"in use": len(self.rows), "set_aside": len(self.set_aside)}),
            "notes": f"{len(self.notes)}; the first: {self.notes[0]}" if self.notes else "",
            "look at": "notes, refusals; rows, treatments, contrasts, coefficients, set_aside (tables)",
        }
        return summary("Audit of the evidence", rows)


def audit(spec: Spec | str | Path, evidence: Evidence | None = None) -> Audit:
    """Return what the evidence of a spec can and cannot say, before anything compiles.

    Parameters
    ----------
    spec : Spec, str or Path
        What is assumed; or its TOML file, or the name of a shipped model.
    evidence : Evidence, optional
        The rows in use; by default what `read_evidence` gives for the spec.

    Returns
    -------
    Audit
        What each row and treatment informs, what was set aside, notes, and the reasons not to fit.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> bb.audit("published_os_extent_of_resection").contrasts[["treatment", "reference", "studies"]].to_dict("records")
    [{'treatment': 'gtr', 'reference': 'str', 'studies': 1}]
    """
    spec = as_spec(spec)
    evidence = read_evidence(spec) if evidence is None else evidence
    rows = evidence_rows(spec, evidence)
    return Audit(
        rows=rows,
        treatments=_treatments(spec, rows),
        contrasts=_contrasts(spec, evidence),
        coefficients=coefficients(spec, evidence),
        set_aside=evidence.set_aside,
        notes=tuple(_notes(spec, evidence)),
        refusals=tuple(refusals(spec, evidence)),
    )


def evidence_rows(spec: Spec, evidence: Evidence) -> pd.DataFrame:
    """One row an arm and kind of evidence, and one a hazard ratio: what it is, how much it weighs, what it informs."""
    parts = [
        _by_arm(evidence, "patients", evidence.patients.assign(size=evidence.patients["weight"])),
        _by_arm(evidence, "points", evidence.sequences, first=True),
        _by_arm(evidence, "median", _on_model_clock(evidence, _medians_as_rows(evidence))),
        _by_arm(evidence, "count", _on_model_clock(evidence, evidence.counts.assign(size=evidence.counts["n"]))),
        _by_arm(evidence, "registry", evidence.registry.assign(size=evidence.registry["n"]), first=True),
        _ratio_rows(evidence),
    ]
    parts = [part for part in [*parts, _prognostic_rows(spec, evidence)] if len(part)]
    columns = ["kind", "study", "arm", "treatment", "size", "until", "informs"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _by_arm(evidence: Evidence, kind: str, table: pd.DataFrame, *, first: bool = False) -> pd.DataFrame:
    """Size and last time by arm. The size of a sequence is that of its first step: those alive at the start."""
    if table.empty:
        return pd.DataFrame()
    grouped = table.astype({"size": float, "time": float}).groupby("arm_row")
    size = grouped["size"].first() if first else grouped["size"].sum(min_count=1)
    arms = evidence.arms.loc[size.index, ["study", "arm", "treatment"]]
    several = kind == "patients" or (kind in ("points", "registry") and grouped.size() > 1)
    informs = np.where(several, "level and shape of its study and treatment", "level of its study and treatment")
    return arms.assign(kind=kind, size=size, until=grouped["time"].max(), informs=informs)


def _on_model_clock(evidence: Evidence, table: pd.DataFrame) -> pd.DataFrame:
    """Medians and counts keep their printed clock; follow-up is said on the model's, as for patients and points."""
    shift = evidence.arms["shift"].to_numpy(dtype=float)[table["arm_row"].astype(int)] if len(table) else 0.0
    return table.assign(time=table["time"].astype(float) + shift)


def _medians_as_rows(evidence: Evidence) -> pd.DataFrame:
    """Size and reach of a median: n, or the n whose exponential curve has that interval, (1 / (ln 2 sd))^2.

    A median speaks about its time and, where it has one, up to the upper limit of its interval.
    """
    medians = evidence.medians
    from_interval = (1 / (np.log(2) * medians["sd"].astype(float))) ** 2
    size = medians["n"].astype(float).where(medians["law"] != "interval", from_interval)
    reach = medians[["time", "ci_high"]].astype(float).max(axis=1)
    return medians.assign(size=size, time=reach)


def _ratio_rows(evidence: Evidence) -> pd.DataFrame:
    ratios = evidence.hazard_ratios
    if ratios.empty:
        return pd.DataFrame()
    # a log hazard ratio between equal arms has variance 4 / events
    return pd.DataFrame(
        {
            "kind": "hazard ratio",
            "study": ratios["study"],
            "arm": ratios["treatment"] + " v " + ratios["reference"],
            "treatment": ratios["treatment"],
            "size": 4 / ratios["se"].astype(float) ** 2,
            "until": np.nan,
            "informs": "the contrast within its study",
        }
    )


def _prognostic_rows(spec: Spec, evidence: Evidence) -> pd.DataFrame:
    table = evidence.prognostic_ratios
    if table.empty:
        return pd.DataFrame()
    scale = table["covariate"].map({name: term.scale for name, term in spec.covariates.items()}).astype(float)
    # events of a ratio between equal halves, for a change of one scale
    size = 4 * (table["change"].astype(float) / scale / table["se"].astype(float)) ** 2
    return pd.DataFrame(
        {
            "kind": "prognostic ratio",
            "study": table["study"],
            "arm": [contrast_text(row) for row in records(table)],
            "treatment": "",
            "size": size,
            "until": np.nan,
            "informs": "the coefficient of " + table["covariate"],
        }
    )


def _treatments(spec: Spec, rows: pd.DataFrame) -> pd.DataFrame:
    records = []
    for name in spec.treatments.names:
        treatment_rows = rows[(rows["treatment"] == name) & (rows["kind"] != "hazard ratio")]
        records.append(
            {
                "treatment": name,
                "studies": treatment_rows["study"].nunique(),
                "arms": treatment_rows[["study", "arm"]].drop_duplicates().shape[0],
                "size": float(treatment_rows["size"].sum()),
                "until": float(treatment_rows["until"].max()) if len(treatment_rows) else np.nan,
            }
        )
    return pd.DataFrame(records)


def _contrasts(spec: Spec, evidence: Evidence) -> pd.DataFrame:
    both = side_by_side(spec, evidence)
    names = spec.treatments.names
    rows = []
    for position, reference in enumerate(names):
        for treatment in names[position + 1 :]:
            studies = both.get((treatment, reference), [])
            if studies or reference == spec.treatments.reference:
                shown = "; ".join(studies) if studies else NO_SIDE_BY_SIDE
                rows.append(
                    {"treatment": treatment, "reference": reference, "studies": len(studies), "side_by_side": shown}
                )
    return pd.DataFrame(rows)


def coefficients(spec: Spec, evidence: Evidence) -> pd.DataFrame:
    """What informs each coefficient: covariate, interaction_with (blank: the prognostic term), source, studies, rows.

    source is "within-study data" where patients of one arm differ in the covariate, else "across-study data" where
    arms of unlike case mix are compared, else "published ratios", else "prior only". `rows` counts patients, or arms.
    Beside prognostic ratios also what these are: ratios, ratio_studies, ratio_patients, and share_external of their
    precision.
    """
    columns = ["covariate", "interaction_with", "source", "studies", "rows"]
    ratios = ["ratios", "ratio_studies", "ratio_patients", "share_external"] if len(evidence.prognostic_ratios) else []
    records = []
    for name, term in spec.covariates.items():
        informed = _informed(spec, evidence, name, None) | prognostic_summary(spec, evidence, name)
        if informed["ratios"] and informed["source"] == PRIOR_ONLY:
            informed["source"] = PUBLISHED
        records.append({"covariate": name, "interaction_with": "", **informed})
        if term.interaction is not None:
            compared = list(spec.treatments.compare)
            for treatments in [compared] if term.interaction_by == "shared" else [[one] for one in compared]:
                informed = _informed(spec, evidence, name, treatments)
                records.append({"covariate": name, "interaction_with": ", ".join(treatments), **informed})
    return pd.DataFrame(records, columns=[*columns, *ratios])


PRIOR_ONLY, PUBLISHED = "prior only", "published ratios"
"""What informs a coefficient that no patients and arms in use differ in."""


def _informed(spec: Spec, evidence: Evidence, name: str, treatments: list[str] | None) -> dict:
    """`treatments`: those whose patients and arms speak about an interaction; None is everybody."""
    arms, patients = evidence.arms, evidence.patients
    concerned = arms["treatment"].isin(treatments or spec.treatments.names).to_numpy()
    complete = patients[patients[name].notna()] if len(patients) else patients
    varies = {row for row, rows in complete.groupby("arm_row") if concerned[int(str(row))] and _differ(rows[name])}
    informative = complete[complete["arm_row"].isin(varies)] if varies else complete.iloc[:0]
    if len(informative):
        return {"source": "within-study data", "studies": informative["study"].nunique(), "rows": len(informative)}
    says = np.array([bool(states_covariate(arm, name)) for arm in records(arms)], dtype=bool)
    stated = averaged_arms(spec, arms, patients) & concerned & says
    table = arms[stated].assign(middle=[_middle(row, name) for row in records(arms[stated])])
    # free levels compare arms within a study only; an interaction is told from the treatment's effect by two case mixes
    grouping = [*(["treatment"] if treatments else []), *(["study"] if spec.free_levels and not treatments else [])]
    groups = [rows for _, rows in table.groupby(grouping)] if grouping else [table]
    unlike = [rows for rows in groups if _differ(rows["middle"])]
    if not unlike:
        return {"source": PRIOR_ONLY, "studies": 0, "rows": 0}
    compared_arms = pd.concat(unlike)
    return {"source": "across-study data", "studies": compared_arms["study"].nunique(), "rows": len(compared_arms)}


def _differ(values: pd.Series) -> bool:
    return len(set(values)) > 1


def _middle(arm: Mapping[Any, Any], name: str) -> float:
    return float(arm[f"share_{name}"] if states_covariate(arm, name) == "share" else arm[f"mean_{name}"])


def _coefficient_notes(spec: Spec, evidence: Evidence):
    """A line for each coefficient."""
    for row in records(coefficients(spec, evidence)):
        with_them = f" with {row['interaction_with']}" if row["interaction_with"] else ""
        term = f"{'Interaction' if with_them else 'Coefficient'} of {row['covariate']}{with_them}"
        unit = "patients" if row["source"].startswith("within") else "arms"
        amount = f" ({row['studies']} studies, {row['rows']} {unit})" if row["rows"] else ": no data inform it"
        amount = "" if row["source"] == PUBLISHED else amount
        yield f"{term}: {row['source']}{amount}."


def bias_rows(spec: Spec, evidence: Evidence) -> pd.DataFrame:
    """What each bias acts on and what informs it: bias, size, arms, ratios, unstated (arms that do not say), source."""
    columns = ["bias", "size", "arms", "ratios", "unstated", "source"]
    records = []
    for name, term in (spec.bias.named(Biases.model_fields) | spec.meta_regression).items():
        rows = _term_rows(name, spec, evidence) if name in spec.modelled_biases else _clock_rows(name, spec, evidence)
        if term.prior is not None:
            source = _source(name, spec, evidence)
            records.append({"bias": name, "size": f"prior {describe(term.prior)}", **rows, "source": source})
        if term.value is not None:
            records.append({"bias": name, "size": f"fixed at {term.value.value:g}", **rows, "source": "fixed"})
    return pd.DataFrame(records, columns=columns)


def _source(name: str, spec: Spec, evidence: Evidence) -> str:
    if name in CLOCK_BIASES:
        return clocks.informed_by(name, spec, evidence)
    return biases.informed_by(name, spec, evidence.arms, evidence.hazard_ratios)


def _term_rows(name: str, spec: Spec, evidence: Evidence) -> dict[str, Any]:
    arms, ratios = (table[biases.bias_column(name)].astype(float) for table in (evidence.arms, evidence.hazard_ratios))
    studies = _names(evidence.arms[(arms.fillna(0) != 0).to_numpy(dtype=bool)])
    unstated = int(arms.isna().sum() + ratios.isna().sum())
    return {"arms": studies, "ratios": int((ratios.fillna(0) != 0).sum()), "unstated": unstated}


def _clock_rows(name: str, spec: Spec, evidence: Evidence) -> dict[str, Any]:
    term, arms = getattr(spec.bias, name), evidence.arms
    acted_arms = biases.chosen_arms(name, term, spec, arms) & (arms[CLOCK_BIASES[name]] == term.value.value)
    return {"arms": _names(arms[acted_arms]), "ratios": 0, "unstated": 0}


def _names(arms: pd.DataFrame) -> str:
    return "; ".join(sorted(set(arms["study"])))


def _at_centre(term: StudyCovariate) -> str:
    return f"with {term.column} = {term.centre:g}"


def _bias_notes(spec: Spec, evidence: Evidence):
    """A line for each bias that is on."""
    for row in records(bias_rows(spec, evidence)):
        ratios = f" and {row['ratios']} hazard ratios" if row["ratios"] else ""
        regressed = row["bias"] in spec.meta_regression
        free = "count as at its centre" if regressed else "are taken as free of it"
        blank = f" {row['unstated']} arms do not say how much and {free}." if row["unstated"] else ""
        informed = "" if row["source"] == "fixed" else f" Informed by: {row['source']}."
        where = f"acts on arms of {row['arms'] or 'no study'}{ratios}"
        kind = "Meta-regression" if regressed else "Bias"
        of_whom = _at_centre(spec.meta_regression[row["bias"]]) if regressed else "without it"
        yield f"{kind} {row['bias']}, {row['size']}: {where}.{informed}{blank} Answers are for a study {of_whom}."


def _tail_notes(spec: Spec, evidence: Evidence):
    """Where registries or a background speak: what informs each treatment's tail, up to where."""
    unit, background, registry = spec.time_unit, evidence.background, evidence.registry
    if registry.empty and background.empty:
        return
    patients = evidence.patients
    for name in spec.treatments.names:
        seen = [
            f"{kind} to {float(treatment_rows['time'].max()):.4g} {unit}"
            for kind, table in (("patients", patients), ("registry intervals", registry))
            if len(treatment_rows := table[table["treatment"] == name])
        ]
        other = "the treatment effect and" if name != spec.treatments.reference else ""
        informed = f"{' and '.join(seen)}; beyond" if seen else "no patients and no registry:"
        yield f"Tail of {name}: {informed} {other} the shape of the {spec.hazard.family} hazard.".replace("  ", " ")
    if len(background):
        low, high = float(background["hazard"].min()), float(background["hazard"].max())
        yield (
            f"Background mortality, {low:.3g} to {high:.3g} per {unit.removesuffix('s')}, known to"
            f" {float(background['time'].max()):g} {unit} and constant after: survival, medians, restricted means and"
            " hazard ratios are of all deaths; level, shape and treatment effects are of the excess hazard."
        )


def follow_up(spec: Spec, evidence: Evidence) -> dict[str, float]:
    """Last time any row in use speaks about each treatment, on the model's clock: beyond it a curve is extrapolated."""
    table = _treatments(spec, evidence_rows(spec, evidence))
    return dict(zip(table["treatment"], table["until"], strict=True))


def require_usable(spec: Spec, evidence: Evidence) -> None:
    """Raise `GateRefused` (exit status 1) where there is nothing to fit."""
    reasons = refusals(spec, evidence)
    if reasons:
        raise GateRefused(f"{spec.name}: the audit refuses before any fit: {' '.join(reasons)}")


def refusals(spec: Spec, evidence: Evidence) -> list[str]:
    """Reasons not to fit (exit status 1): nothing to learn from, or no path between treatments (decision 11)."""
    treatments, missing = evidence.treatments, []
    if spec.treatments.reference not in treatments:
        missing = [spec.treatments.reference]
    elif not treatments & set(spec.treatments.compare):
        missing = list(spec.treatments.compare)
    if missing:
        aside = len(evidence.set_aside)
        return [
            f"no usable evidence on {spec.endpoint} for {', '.join(missing)}"
            + (f" ({aside} rows were set aside; see the audit)" if aside else "")
            + ". Needed: for each arm patients, a digitised curve, survival at a time or a median with n or"
            " an interval, or events of n; or a hazard ratio with its interval."
        ]
    parts = parts_of(spec, evidence)
    if spec.free_levels and len(parts) > 1:
        return [
            f"study levels are free and the network is not connected: {parts_text(parts)}."
            " Needed: studies that hold both sides."
        ]
    return []


def _notes(spec: Spec, evidence: Evidence):
    """What a reader must know, in words."""
    yield from left_out_notes(spec, evidence)
    yield from evidence.remarks
    silent = [name for name in spec.treatments.names if name not in evidence.treatments]
    if silent:
        yield f"No evidence for {', '.join(silent)}: their answers are the prior only."
    both = side_by_side(spec, evidence)
    indirect = [
        name for name in spec.treatments.compare if (name, spec.treatments.reference) not in both and name not in silent
    ]
    if indirect:
        yield f"Across studies only, {NO_SIDE_BY_SIDE}: {', '.join(indirect)} v {spec.treatments.reference}."
    parts = parts_of(spec, evidence)
    if len(parts) > 1 and not spec.free_levels:
        yield (
            f"The network is not connected ({parts_text(parts)}); comparisons between its parts rest on exchangeable"
            " study levels (docs/decisions.md, 11)."
        )
    yield from _coefficient_notes(spec, evidence)
    yield from prognostic_notes(spec, evidence)
    yield from covariate_notes(spec, evidence)
    yield from _bias_notes(spec, evidence)
    yield from _tail_notes(spec, evidence)
    lesions = evidence.arms["unit_of_analysis"].isin(["lesion", "cavity"])
    if lesions.any():
        icc = spec.evidence.icc.value
        yield f"{int(lesions.sum())} arms count lesions; n is reduced for a correlation of {icc:g} in a patient."
    delayed = evidence.arms[evidence.arms["entry"] > evidence.arms["shift"]]
    if len(delayed):
        studies = "; ".join(sorted(set(delayed["study"])))
        yield f"Survival is conditional on a delayed entry (immortal time) in: {studies}."
