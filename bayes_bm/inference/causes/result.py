"""A posterior of several causes, stored in one file and read back."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_bm.evidence.causes import CausesEvidence
from bayes_bm.evidence.storage import read_stored_evidence, stored_evidence
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.inference.gate import Gate, remedy
from bayes_bm.inference.result import Result, read_result
from bayes_bm.inference.stored import ENGINE, add_digests, open_tree, readable, tree_bytes
from bayes_bm.model.causes.incidence import NODES
from bayes_bm.model.causes.joint_inputs import ArmLevels, JointInputs, arm_levels, row_terms
from bayes_bm.runtime.errors import GateRefused, InputError
from bayes_bm.runtime.files import atomic_write
from bayes_bm.runtime.summaries import listed, summary
from bayes_bm.spec.cause_keys import Joint
from bayes_bm.spec.causes import Causes

CELLS = 4_000_000
"""Draws x rows x kinds of patients x nodes whose hazards are worked out at once."""


@dataclass(frozen=True)
class JointResult:
    """Hold the posterior of a joint model: a result of each cause, whose draws belong together, and the correlation.

    Attributes
    ----------
    causes : Causes
        The document, and the spec of each cause as it was fitted.
    evidence : CausesEvidence
        Rows of each cause, and rows of several.
    results : dict of str to Result
        Of each cause its posterior; draw by draw they are one joint draw.
    correlation : xarray.DataArray
        Of a study's levels between causes (chain, draw, pair).
    gate : Gate
        Whether the joint posterior has converged, and why not.
    provenance : dict
        Digest of the document, how it was sampled, versions, seconds.
    """

    causes: Causes
    evidence: CausesEvidence
    results: dict[str, Result]
    correlation: xr.DataArray
    gate: Gate
    provenance: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        sizes = self.first.posterior.sizes
        rows = {
            "question": self.first.spec.question,
            "causes": listed(list(self.results)),
            "gate": self.gate.state + ("" if self.gate.passed else f": {'; '.join(self.gate.reasons[:3])}"),
            "draws": f"{sizes['chain']} chains of {sizes['draw']}",
            "look at": "bb.cumulative_incidence, bb.all_cause_survival, bb.time_lost; results[NAME] of one cause",
        }
        return summary(f"Joint result of {self.causes.name}", rows)

    @property
    def first(self) -> Result:
        """The first cause's result: treatments, times and clocks are those of all."""
        return next(iter(self.results.values()))

    @property
    def correlated(self) -> bool:
        """Whether levels of studies go together between causes in any draw."""
        return bool(np.any(self.correlation.to_numpy()))

    @cached_property
    def inputs(self) -> JointInputs:
        """Everything that specs and evidence say to the model."""
        return JointInputs(self.causes, self.evidence, tuple(result.inputs for result in self.results.values()))

    def levels_at(self, samples: np.ndarray | slice) -> list[ArmLevels]:
        """Return predictors of every arm at some draws, cause by cause."""
        results = self.results.values()
        return [arm_levels(one.inputs, one.predictors.draws.at(samples).effects, xp=NUMPY) for one in results]

    def levels_in_parts(self) -> Iterator[list[ArmLevels]]:
        """Yield them part by part of the draws, as many as fit into memory where arms are averaged over patients."""
        samples = self.first.predictors.draws.samples
        size = max((arms.log_weight.size for arms in self.inputs.arms if arms.log_weight is not None), default=0)
        count = 1 + samples * size * NODES // CELLS
        for part in np.array_split(np.arange(samples), min(count, samples)):
            yield self.levels_at(part)

    @cached_property
    def log_likelihood(self) -> dict[str, np.ndarray]:
        """Pointwise, of every kind of row of several causes (sample, row)."""
        parts = [dict(row_terms(self.inputs, levels, xp=NUMPY)) for levels in self.levels_in_parts()]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def require_gate(self, *, allow_failed: bool = False) -> None:
        """Refuse to answer from a posterior that has not converged (exit status 1)."""
        if not self.gate.passed and not allow_failed:
            reasons, helps = "; ".join(self.gate.reasons), remedy(self.gate, self.first.spec.sampling.draws)
            raise GateRefused(f"the convergence gate failed: {reasons}. {helps}; or say --allow-failed-gate")

    def at_level(self, level: float) -> "JointResult":
        """Return the same with intervals of another level."""
        results = {name: one.at_level(level) for name, one in self.results.items()}
        return JointResult(self.causes, self.evidence, results, self.correlation, self.gate, self.provenance)

    def save(self, path: str | Path) -> Path:
        """Write NetCDF (HDF5), whole or not at all: the file of each cause inside it."""
        parts = {f"cause_{place}": _bytes(result.stored()) for place, result in enumerate(self.results.values())}
        parts |= {f"incidence_{name}": stored_evidence(one) for name, one in self.evidence.incidence.items()}
        if self.evidence.first_of_all is not None:
            parts["first_of_all"] = stored_evidence(self.evidence.first_of_all)
        parts["correlation"] = self.correlation.to_dataset(name="correlation")
        tree = xr.DataTree.from_dict(parts)
        tree.attrs = {
            "causes": json.dumps({"names": list(self.results), "after_others": list(self.causes.after_others)}),
            "spec": json.dumps(self.causes.document),
            "provenance": json.dumps(self.provenance),
            "gate": json.dumps(self.gate.document()),
            "gate_state": self.gate.state,
            "set_aside": json.dumps(self.evidence.set_aside.to_dict(orient="list")),
        }
        add_digests(tree)
        content = tree_bytes(tree)
        with atomic_write(Path(path)) as file:
            file.write_bytes(content)
        return Path(path)


def _bytes(content: bytes) -> xr.Dataset:
    return xr.Dataset({"content": ("byte", np.frombuffer(content, dtype=np.uint8))})


def holds_causes(path: str | Path) -> bool:
    """Return whether a file is a joint result; of what cannot be read, no."""
    try:
        with xr.open_dataset(path, engine=ENGINE) as opened:
            return "causes" in opened.attrs
    except (OSError, ValueError):
        return False


def load_causes(path: str | Path) -> JointResult:
    """Read a joint result that `JointResult.save` wrote, and check that it is whole.

    Parameters
    ----------
    path : str or Path
        A NetCDF file of `bayes-bm fit` on a spec of several causes.

    Returns
    -------
    JointResult
        As it was written.

    Raises
    ------
    InputError
        For anything else, and where a part is missing, changed or damaged (exit status 2).

    Examples
    --------
    >>> import bayes_bm as bb
    >>> try:
    ...     bb.load_causes("nowhere.nc")
    ... except bb.InputError as problem:
    ...     print(problem)
    nowhere.nc: found no such file; make one with: bayes-bm fit SPEC --out RESULT.nc
    """
    where = str(path)
    if not Path(path).is_file():
        raise InputError(where, found="no such file", hint="make one with: bayes-bm fit SPEC --out RESULT.nc")
    tree = open_tree(Path(path).read_bytes(), where)
    if "causes" not in tree.attrs:
        hint = "a result of one endpoint is read by bb.load"
        raise InputError(where, found="no joint result", allowed="what fit writes of several causes", hint=hint)
    with readable(where):
        return _read(tree, where)


def _read(tree: xr.DataTree, where: str) -> JointResult:
    named = dict(json.loads(tree.attrs["causes"]))
    results: dict[str, Result] = {}
    for place, name in enumerate(named["names"]):
        content = tree[f"cause_{place}"].to_dataset()["content"].to_numpy().astype(np.uint8).tobytes()
        results[name] = read_result(content, where=f"{where}, {name}")
    document = dict(json.loads(tree.attrs["spec"]))
    joint = Joint.model_validate(document.get("joint", {}))
    specs = {name: result.spec for name, result in results.items()}
    causes = Causes(_stem(specs), document, specs, tuple(named["after_others"]), joint)
    return JointResult(
        causes=causes,
        evidence=_read_evidence(tree, results),
        results=results,
        correlation=tree["correlation"].to_dataset()["correlation"],
        gate=Gate.from_document(json.loads(tree.attrs["gate"])),
        provenance=dict(json.loads(tree.attrs["provenance"])),
    )


def _stem(specs: Mapping[str, Any]) -> str:
    """The joint model's name: that of a cause's spec without the cause."""
    name, spec = next(iter(specs.items()))
    return str(spec.name).removesuffix(f".{name}")


def _read_evidence(tree: xr.DataTree, results: Mapping[str, Result]) -> CausesEvidence:
    groups = {name: child.to_dataset() for name, child in tree.children.items()}
    first = groups.get("first_of_all")
    return CausesEvidence(
        causes={name: result.evidence for name, result in results.items()},
        incidence={
            name: read_stored_evidence(groups[f"incidence_{name}"]) for name in results if f"incidence_{name}" in groups
        },
        first_of_all=None if first is None else read_stored_evidence(first),
        set_aside=pd.DataFrame(json.loads(tree.attrs["set_aside"])),
    )
