"""Evidence of a joint model without one study, or with one study as it was in other evidence."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from bayes_bm.checks.study_likelihood import drop_study, keep_study, studies_of
from bayes_bm.evidence.causes import CausesEvidence
from bayes_bm.evidence.records import Evidence

INCIDENCE = "1 - F of "
"""Stands before a cause in the name of the part that holds its rows of 1 - F."""
FIRST = "first of all"
"""Name of the part that holds survival free of all causes."""


def joint_parts(evidence: CausesEvidence) -> dict[str, Evidence]:
    """Return every part by name: each cause, 1 - F of each, and the first of all."""
    parts = dict(evidence.causes) | {INCIDENCE + name: one for name, one in evidence.incidence.items()}
    return parts if evidence.first_of_all is None else parts | {FIRST: evidence.first_of_all}


def without_study(evidence: CausesEvidence, study: str) -> CausesEvidence:
    """Return all rows but those of one study; parts that are left without arms go, those of the causes stay."""
    return _changed(evidence, lambda name, one: drop_study(one, study))


def of_study(evidence: CausesEvidence, study: str) -> CausesEvidence:
    """Return the rows of one study; parts that are left without arms go, those of the causes stay."""
    return _changed(evidence, lambda name, one: keep_study(one, study))


def with_study_of(
    evidence: CausesEvidence, other: CausesEvidence, study: str, join: Callable[[Evidence, Evidence], Evidence]
) -> CausesEvidence:
    """Return the evidence with one study's rows as they are in other evidence; `join` puts two parts together."""
    kept = without_study(evidence, study)
    theirs = joint_parts(of_study(other, study))

    def both(name: str, one: Evidence) -> Evidence:
        return join(one, theirs[name]) if name in theirs and studies_of(theirs[name]) else one

    found = _changed(kept, both)
    have = joint_parts(found)
    new = {name: one for name, one in theirs.items() if name not in have and studies_of(one)}
    incidence = {name.removeprefix(INCIDENCE): one for name, one in new.items() if name != FIRST}
    return replace(
        found,
        incidence={**found.incidence, **incidence},
        first_of_all=new.get(FIRST, found.first_of_all),
    )


def _changed(evidence: CausesEvidence, change: Callable[[str, Evidence], Evidence]) -> CausesEvidence:
    incidence = {name: change(INCIDENCE + name, one) for name, one in evidence.incidence.items()}
    first = None if evidence.first_of_all is None else change(FIRST, evidence.first_of_all)
    return CausesEvidence(
        causes={name: change(name, one) for name, one in evidence.causes.items()},
        incidence=_with_arms(incidence),
        first_of_all=first if first is not None and len(first.arms) else None,
        set_aside=evidence.set_aside,
    )


def _with_arms(parts: Mapping[str, Evidence]) -> dict[str, Evidence]:
    return {name: one for name, one in parts.items() if len(one.arms)}
