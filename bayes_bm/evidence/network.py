"""The network of treatments: which are held side by side, by which studies, and into what parts it falls
(docs/decisions.md#11-free-levels).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bayes_bm.evidence.reading import read_evidence
from bayes_bm.evidence.records import Evidence
from bayes_bm.evidence.tables.frames import records
from bayes_bm.spec.document import Spec
from bayes_bm.spec.reading import as_spec


@dataclass(frozen=True)
class Network:
    """Hold the tables of a network, in the order of the spec's treatments.

    Attributes
    ----------
    nodes : pandas.DataFrame
        treatment, studies (that hold it), counted (of them, those that print an n), patients (their sum), part.
    edges : pandas.DataFrame
        treatment, reference, studies (how many hold both), names (of those studies).
    several : pandas.DataFrame
        study, treatments: studies with three or more of the treatments.
    parts : tuple of tuple of str
        Sets of treatments joined by studies that hold two of them, the reference's first; with several, comparisons
        between them rest on exchangeable study levels or cannot be made.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> spec = bb.read_spec("published_os_extent_of_resection")
    >>> bb.network(spec, bb.read_evidence(spec)).connected
    True
    """

    nodes: pd.DataFrame
    edges: pd.DataFrame
    several: pd.DataFrame
    parts: tuple[tuple[str, ...], ...]

    @property
    def connected(self) -> bool:
        return len(self.parts) <= 1


def network(spec: Spec | str | Path, evidence: Evidence | None = None) -> Network:
    """Return the nodes, edges, studies with many arms, and connected parts of the evidence in use.

    Parameters
    ----------
    spec : Spec, str or Path
        What is assumed: its treatments give the order; or its TOML file, or the name of a shipped model.
    evidence : Evidence, optional
        The rows in use; by default what `read_evidence` gives for the spec.

    Returns
    -------
    Network
        One table each of nodes, edges and studies with several treatments, and the connected parts.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> table = bb.network("published_os_extent_of_resection")
    >>> table.parts, table.edges["studies"].tolist()
    ((('str', 'gtr'),), [1])
    """
    spec = as_spec(spec)
    evidence = read_evidence(spec) if evidence is None else evidence
    held, parts = treatments_by_study(evidence), parts_of(spec, evidence)
    both = side_by_side(spec, evidence)
    part = {name: number for number, members in enumerate(parts, start=1) for name in members}
    sized = evidence.arms[evidence.arms["n"].notna()].astype({"n": float}).groupby("treatment")
    patients, counted = sized["n"].sum(), sized["study"].nunique()
    nodes = [
        {
            "treatment": name,
            "studies": sum(name in treatments for treatments in held.values()),
            "counted": int(counted.get(name, 0)),
            "patients": float(patients.get(name, 0.0)),
            "part": part.get(name, np.nan),
        }
        for name in spec.treatments.names
    ]
    edges = [
        {"treatment": treatment, "reference": reference, "studies": len(studies), "names": "; ".join(studies)}
        for (treatment, reference), studies in both.items()
    ]
    several = [
        {"study": study, "treatments": tuple(name for name in spec.treatments.names if name in treatments)}
        for study, treatments in sorted(held.items())
        if len(treatments) > 2
    ]
    return Network(
        nodes=pd.DataFrame(nodes),
        edges=pd.DataFrame(edges, columns=["treatment", "reference", "studies", "names"]),
        several=pd.DataFrame(several, columns=["study", "treatments"]),
        parts=tuple(parts),
    )


def treatments_by_study(evidence: Evidence) -> Mapping[str, set[str]]:
    """What each study holds, by its arms and by its hazard ratios."""
    held: dict[str, set[str]] = {}
    for study, treatment in zip(evidence.arms["study"], evidence.arms["treatment"], strict=True):
        held.setdefault(study, set()).add(treatment)
    for row in records(evidence.hazard_ratios):
        held.setdefault(row["study"], set()).update((row["treatment"], row["reference"]))
    return held


def parts_of(spec: Spec, evidence: Evidence) -> list[tuple[str, ...]]:
    """Connected parts among the treatments with evidence, each and all in the order of the spec."""
    used = [name for name in spec.treatments.names if name in evidence.treatments]
    groups = components(list(side_by_side(spec, evidence)), used)
    ordered = [tuple(name for name in used if name in group) for group in groups]
    return sorted(ordered, key=lambda group: used.index(group[0]))


def parts_text(parts: Sequence[Sequence[str]]) -> str:
    """`a, b; c`."""
    return "; ".join(", ".join(part) for part in parts)


def components(links: Sequence[tuple[str, str]], names: Sequence[str]) -> list[set[str]]:
    """Connected sets of treatments, given which pairs a study compares side by side."""
    group = {name: {name} for name in names}
    for treatment, other in links:
        merged = group[treatment] | group[other]
        group.update(dict.fromkeys(merged, merged))
    return [set(members) for members in {frozenset(members) for members in group.values()}]


def side_by_side(spec: Spec, evidence: Evidence) -> dict[tuple[str, str], list[str]]:
    """Studies that hold both treatments of a pair, by (treatment, other); order within a pair follows the spec."""
    held: dict[str, set[str]] = {}
    for study, treatment in zip(evidence.arms["study"], evidence.arms["treatment"], strict=True):
        held.setdefault(study, set()).add(treatment)
    for row in records(evidence.hazard_ratios):
        held.setdefault(row["study"], set()).update((row["treatment"], row["reference"]))
    names = spec.treatments.names
    both = {
        (later, earlier): sorted(study for study, treatments in held.items() if {earlier, later} <= treatments)
        for position, earlier in enumerate(names)
        for later in names[position + 1 :]
    }
    return {pair: studies for pair, studies in both.items() if studies}
