"""The evidence of a joint model: that of each cause, and the rows that speak about several causes at once.

Each cause's own rows (patients, Kaplan-Meier with other causes censored, hazard ratios) are chosen as those of any
spec. Beside them stand rows of 1 - F_k, whose arms say `measure = "cif_complement"`, and rows of an endpoint that ends
with the first of all causes. An arm speaks once: patients before all else, then a cause's Kaplan-Meier or 1 - F, then
the first of all. Rows of several causes have their arms in every cause's evidence, so that each cause's model has the
effects of their studies.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from bayes_bm.evidence.arm_covariates import incomplete_patients, patients_with_missing_covariates
from bayes_bm.evidence.centres import with_centres
from bayes_bm.evidence.reading import read_tables, select
from bayes_bm.evidence.records import Evidence
from bayes_bm.evidence.selection import arm_keys
from bayes_bm.evidence.tables.links import counted_twice, overlapping_rows
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.summaries import counted, listed, summary
from bayes_bm.spec.causes import Causes
from bayes_bm.spec.document import Spec

INCIDENCE = "cif_complement"
"""The measure of rows of 1 - F."""
LIKELY = {"incidence": ("sequences", "counts"), "first": ("sequences", "medians", "counts", "registry")}
"""Tables whose rows have a density as rows of 1 - F, and of the time to the first of all causes."""
ARM = ("study", "arm", "treatment")


@dataclass(frozen=True)
class CausesEvidence:
    """Hold the rows of a joint model, in the specs' time unit.

    Attributes
    ----------
    causes : dict of str to Evidence
        Of each cause its own rows; their `arms` hold those of rows of several causes too, whose kind is `joint`.
    incidence : dict of str to Evidence
        Rows of 1 - F of each cause that has some: `sequences`, the conditional binomials, and `counts`.
    first_of_all : Evidence or None
        Rows of survival free of all causes.
    set_aside : pandas.DataFrame
        kind, study, arm, reason, cause; what no part of the model uses.
    """

    causes: dict[str, Evidence]
    incidence: dict[str, Evidence]
    first_of_all: Evidence | None
    set_aside: pd.DataFrame

    def __repr__(self) -> str:
        joint = {name: len(_rows(one, "incidence")) for name, one in self.incidence.items()}
        first = 0 if self.first_of_all is None else len(_rows(self.first_of_all, "first"))
        rows = {
            "causes": listed(list(self.causes)),
            "rows of 1 - F": counted(joint) if joint else "none",
            "rows of the first of all": str(first),
            "set aside": counted({"rows": len(self.set_aside)}),
            "look at": "causes[NAME], incidence[NAME], first_of_all, set_aside",
        }
        return summary("Evidence of several causes", rows)

    @property
    def joint(self) -> Iterator[Evidence]:
        """Yield the rows of several causes, part by part."""
        yield from self.incidence.values()
        if self.first_of_all is not None:
            yield self.first_of_all

    def tables(self) -> dict[str, pd.DataFrame]:
        """Rows of several causes by what they are of, and what nothing uses."""
        columns = ["study", "arm", "treatment", "time", "survival", "size"]
        parts = {f"1 - F of {name}": one for name, one in self.incidence.items()}
        parts |= {} if self.first_of_all is None else {"free of all causes": self.first_of_all}
        shown = {
            name: pd.concat([one.sequences, one.medians, one.counts], ignore_index=True) for name, one in parts.items()
        }
        found = {name: table[[column for column in columns if column in table]] for name, table in shown.items()}
        return found | {"set aside": self.set_aside}

    @property
    def separate(self) -> bool:
        """Whether no row speaks about several causes, so that causes meet in a correlation alone."""
        return not any(True for _ in self.joint)

    @cached_property
    def _places(self) -> dict[str, dict[tuple[str, ...], int]]:
        return {name: {key: row for row, key in enumerate(_arms(one.arms))} for name, one in self.causes.items()}

    def arm_rows(self, cause: str, part: Evidence) -> np.ndarray:
        """Row of each arm of a part in the arms of a cause (arm,)."""
        return np.array([self._places[cause][key] for key in _arms(part.arms)], dtype=int)


def read_causes_evidence(causes: Causes) -> CausesEvidence:
    """Read, check and select the evidence of a joint model."""
    digests: dict[str, dict[str, str]] = {name: {} for name in causes.names}
    tables = {name: read_tables(spec, digests[name]) for name, spec in causes.specs.items()}
    return select_causes(causes, tables, digests)


def select_causes(
    causes: Causes,
    tables: Mapping[str, Mapping[str, pd.DataFrame]],
    digests: Mapping[str, Mapping[str, str]] | None = None,
) -> CausesEvidence:
    """Evidence from tables already read: of each cause, frames by kind."""
    chosen, incidence = {}, {}
    for name, spec in causes.specs.items():
        own = _as_survival_of(spec, tables[name]) if name in causes.after_others else tables[name]
        chosen[name] = select(spec, own, None if digests is None else digests[name])
        if name not in causes.after_others:
            part = _of_several(spec.model_copy(update={"cause": None, "measure": INCIDENCE}), tables[name])
            incidence[name] = _without(part, arm_keys(chosen[name].patients), "its patients are used")
    _check_patients(chosen)
    aside = pd.concat([one.set_aside.assign(cause=name) for name, one in chosen.items()], ignore_index=True)
    incidence, late = _each_arm_once(incidence)
    first = _first_of_all(causes, tables, chosen, incidence)
    parts = {name: one for name, one in incidence.items() if len(_rows(one, "incidence"))}
    joint = [*parts.values(), *([] if first is None else [first])]
    _check_overlap(chosen, joint, causes)
    _check_joint(causes, joint)
    _check_unknown(causes, chosen[causes.names[0]])
    more = [one.set_aside for one in (*incidence.values(), *([] if first is None else [first]))]
    return CausesEvidence(
        causes={name: _with_arms(one, joint) for name, one in chosen.items()},
        incidence=parts,
        first_of_all=first,
        set_aside=_still_aside(pd.concat([aside, late, *more], ignore_index=True), joint),
    )


def _as_survival_of(spec: Spec, tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Arms of a cause that goes on after the others: survival that does not say its measure is exp(-H)."""
    arms = tables["arms"]
    silent = (arms["endpoint"] == spec.endpoint) & arms["measure"].isna()
    return {**tables, "arms": arms.assign(measure=arms["measure"].mask(silent, "km"))}


def _of_several(spec: Spec, tables: Mapping[str, pd.DataFrame]) -> Evidence:
    """Rows of one endpoint and measure without patients and ratios, which speak about one cause."""
    apart = ("patients", "curves", "hazard_ratios", "prognostic_ratios")
    return select(spec, {kind: frame[:0] if kind in apart else frame for kind, frame in tables.items()})


def _rows(part: Evidence, use: str) -> pd.DataFrame:
    """Study, arm and treatment of every row of a part that has a density."""
    tables = [getattr(part, name) for name in LIKELY[use]]
    return pd.concat([table[list(ARM)] for table in tables], ignore_index=True)


def _without(part: Evidence, taken: set[tuple[str, str]], reason: str) -> Evidence:
    """A part without the arms that speak elsewhere; rows without a density go too. What is left out is set aside."""
    kept, aside = {}, []
    for name in ("sequences", "medians", "counts", "registry"):
        table = getattr(part, name)
        keys = list(zip(table["study"], table["arm"], strict=True))
        out = np.array([key in taken for key in keys], dtype=bool)
        aside += [
            {"kind": name, "study": s, "arm": a, "reason": reason} for (s, a), o in zip(keys, out, strict=True) if o
        ]
        kept[name] = table[~out].reset_index(drop=True)
    return replace(part, **kept, set_aside=pd.DataFrame(aside, columns=["kind", "study", "arm", "reason"]))


def _each_arm_once(parts: dict[str, Evidence]) -> tuple[dict[str, Evidence], pd.DataFrame]:
    """1 - F of one cause for each arm, the first that has it; and no median of a cumulative incidence."""
    taken: dict[tuple[str, str], str] = {}
    once, late = {}, []
    for name, part in parts.items():
        others = {key for key, cause in taken.items() if cause != name}
        again = "1 - F of another cause of its arm is used: its patients would count twice"
        kept = _without(part, others & arm_keys(_rows(part, "incidence")), again)
        for kind in ("medians", "registry"):
            reason = f"{kind} of a cumulative incidence have no density here"
            for study, arm in sorted(arm_keys(getattr(kept, kind))):
                late.append({"kind": kind, "study": study, "arm": arm, "reason": reason})
        kept = replace(kept, medians=kept.medians[:0], registry=kept.registry[:0])
        taken |= dict.fromkeys(arm_keys(_rows(kept, "incidence")), name)
        once[name] = replace(kept, set_aside=pd.concat([part.set_aside, kept.set_aside], ignore_index=True))
    return once, pd.DataFrame(late, columns=["kind", "study", "arm", "reason"])


def _first_of_all(
    causes: Causes,
    tables: Mapping[str, Mapping[str, pd.DataFrame]],
    chosen: Mapping[str, Evidence],
    incidence: Mapping[str, Evidence],
) -> Evidence | None:
    """Rows of survival free of all causes, of arms that say nothing else."""
    endpoint = causes.joint.first_of_all
    if endpoint is None:
        return None
    spec = causes.first.model_copy(update={"cause": None, "measure": None, "endpoint": endpoint})
    part = _of_several(spec, tables[causes.names[0]])
    absolute = ("patients", "sequences", "medians", "counts", "registry")
    spoken = {key for one in chosen.values() for name in absolute for key in arm_keys(getattr(one, name))}
    spoken |= {key for one in incidence.values() for key in arm_keys(_rows(one, "incidence"))}
    part = _without(part, spoken, "rows of one of its causes are used: its patients would count twice")
    return part if len(_rows(part, "first")) else None


def _with_arms(evidence: Evidence, joint: list[Evidence]) -> Evidence:
    """A cause's evidence whose arms hold those of rows of several causes too."""
    known, new = set(_arms(evidence.arms)), []
    for part in joint:
        used = arm_keys(_rows(part, "first"))
        rows = [key not in known and key[:2] in used for key in _arms(part.arms)]
        new.append(part.arms[np.array(rows, dtype=bool)].assign(kind="joint"))
        known |= set(_arms(new[-1]))
    if not new or not sum(len(table) for table in new):
        return evidence
    fresh = pd.concat(new, ignore_index=True).sort_values(["study", "arm"], kind="stable")
    return replace(evidence, arms=pd.concat([evidence.arms, fresh], ignore_index=True))


def _arms(arms: pd.DataFrame) -> list[tuple[str, ...]]:
    return list(zip(*(arms[name] for name in ARM), strict=True))


def _still_aside(aside: pd.DataFrame, joint: list[Evidence]) -> pd.DataFrame:
    """What is set aside in one cause for its measure, and speaks as a row of several or is set aside as one for another
    reason, is not set aside for its measure.
    """
    measured = aside["reason"].str.startswith("its measure is not").to_numpy(dtype=bool)
    weighed = {key for part in joint for key in arm_keys(_rows(part, "first"))} | arm_keys(aside[~measured])
    keys = zip(aside["study"], aside["arm"], strict=True)
    speaks = np.array([key in weighed for key in keys], dtype=bool) & measured
    return aside[~speaks].drop_duplicates(["kind", "study", "arm", "reason"]).reset_index(drop=True)


def _check_patients(chosen: Mapping[str, Evidence]) -> None:
    """Every patient is followed for every cause."""
    names = ["study", "arm", "treatment", "time", "entry", "weight"]
    rows = {name: one.patients[names].sort_values(names).reset_index(drop=True) for name, one in chosen.items()}
    first, table = next(iter(rows.items()))
    for name, other in rows.items():
        if not other.equals(table):
            raise InputError(
                f"causes.{name}, patients", found=f"other patients than those of {first}",
                allowed="the same: each is followed for every cause", hint="leave evidence.patients to the common keys",
            )  # fmt: skip


def _check_overlap(chosen: Mapping[str, Evidence], joint: list[Evidence], causes: Causes) -> None:
    """No member of an overlap group speaks as a row of several causes while another speaks about one of them."""
    for name, one in chosen.items():
        others = [part.arms for part in joint if causes.specs[name].endpoint in set(part.arms["endpoint"])]
        arms = pd.concat([one.arms, *others], ignore_index=True)
        for first, second in overlapping_rows(arms):
            named = " and ".join(f"{arms.iloc[row]['study']}: {arms.iloc[row]['arm']}" for row in (first, second))
            raise counted_twice(f"arms, overlap_group {arms.iloc[first]['overlap_group']!r}, cause {name}", named)


def _check_joint(causes: Causes, joint: list[Evidence]) -> None:
    """Rows of several causes need hazards that are smooth, and kinds of patients that no parameter describes."""
    for name, spec in causes.specs.items() if joint else ():
        unfit = {
            f"hazard.family = {spec.hazard.family}": spec.hazard.flexible,
            "bias": bool(spec.modelled_biases) or bool(spec.bias.named(type(spec.bias).model_fields)),
        }
        for what, found in unfit.items():
            if found:
                raise InputError(
                    f"causes.{name}", found=f"{what}, beside rows of 1 - F or of the first of all causes",
                    allowed="a family without knots and no biases",
                    hint="their density of several causes at once is not built; leave the rows or the terms out",
                )  # fmt: skip
    if joint and causes.first.case_mixes:
        study, arm, _ = next(iter(_rows(joint[0], "first").itertuples(index=False)))
        raise InputError(
            "covariates, case_mix",
            found=f"case mixes that are parameters, beside rows of 1 - F or of the first of all causes, the first of"
            f" study {study}, arm {arm}",
            allowed="covariates without case_mix: an arm is averaged over the mean_, sd_ and share_ columns of its row",
            hint="each cause's model has parameters of its own for mixes; mixes that causes share are not built",
        )


def _check_unknown(causes: Causes, evidence: Evidence) -> None:
    """Patients who lack covariates stand in arms that state them: another law of theirs has parameters, which each
    cause's model would have for itself.
    """
    spec = causes.first
    wrong = incomplete_patients(spec, evidence) if spec.case_mixes else patients_with_missing_covariates(spec, evidence)
    if not wrong.any():
        return
    row = evidence.patients.iloc[int(np.argmax(wrong))]
    lacked = next(name for name in spec.covariates if pd.isna(row[name]))
    raise InputError(
        f"patients, study {row['study']}, arm {row['arm']}, column {lacked}",
        found="an empty cell, in a model of several causes",
        allowed=f"a number for every patient, or for none of an arm whose row states mean_{lacked} with sd_{lacked},"
        f" or share_{lacked}, and no case_mix",
        hint="a patient has one value for all causes, and each cause's model would average over it by itself; complete"
        " it, leave the covariate out, or fit each cause by a spec of its own (cause = NAME)",
    )


def with_common_centres(causes: Causes, evidence: CausesEvidence) -> Causes:
    """Return the causes with one centre for each covariate: of all patients and arms, so that all are about the same
    patient.
    """
    if not causes.first.covariates:
        return causes
    first, *others = evidence.causes.values()
    known, arms = set(_arms(first.arms)), [first.arms]
    for other in others:
        fresh = np.array([key not in known for key in _arms(other.arms)], dtype=bool)
        arms.append(other.arms[fresh])
        known |= set(_arms(other.arms))
    settled = with_centres(causes.first, replace(first, arms=pd.concat(arms, ignore_index=True)))
    centres = {name: {"centre": term.centre} for name, term in settled.covariates.items()}
    specs = {}
    for cause, spec in causes.specs.items():
        terms = {name: term.model_copy(update=centres[name]) for name, term in spec.covariates.items()}
        specs[cause] = spec.model_copy(update={"covariates": terms})
    return replace(causes, specs=specs)
