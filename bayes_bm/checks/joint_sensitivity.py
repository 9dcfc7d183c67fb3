"""The answers of a joint model under every named analysis of its spec; fits are kept in a folder and not made again."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bayes_bm.checks.joint_studies import joint_parts
from bayes_bm.checks.sensitivity import BASE, FAILED, FITTED, KEPT
from bayes_bm.estimands.joint_compare import compare_causes
from bayes_bm.evidence.causes import CausesEvidence, read_causes_evidence
from bayes_bm.inference.causes.fit import fit_causes
from bayes_bm.inference.causes.result import JointResult, load_causes
from bayes_bm.runtime.errors import BayesBmError, InputError
from bayes_bm.runtime.files import file_name_part
from bayes_bm.runtime.toml_text import parse_toml
from bayes_bm.runtime.types import Progress
from bayes_bm.spec.causes import Causes, read_causes
from bayes_bm.spec.reading import find_spec, text_of


def joint_sensitivity(
    spec: str | Path,
    out: str | Path,
    *,
    only: Sequence[str] | None = None,
    changes: Mapping[str, Any] | None = None,
    sampling: Mapping[str, Any] | None = None,
    say: Progress = lambda stage: None,
) -> pd.DataFrame:
    """Return the average study's answers under the spec as it stands and under each of its named analyses.

    Columns of `compare_causes`, with `analysis`, `state` (fitted, kept from before, failed), `gate`, `note` and the
    `file` of the fit. An analysis that fails is one row whose note says why. `only` keeps analyses by name; the base
    always stays. Raises `InputError` for an analysis that the spec does not name.
    """
    read_causes(spec, changes=changes)
    named = _named(spec)
    if wrong := [name for name in only or () if name not in named]:
        raise InputError("--only", found=wrong[0], allowed=", ".join(named) or "no analysis: the spec names none")
    chosen = [name for name in named if only is None or name in only]
    tables = []
    for name in [BASE, *chosen]:
        table = _analysis(spec, name, Path(out), changes or {}, dict(sampling or {}))
        tables.append(table)
        say(f"{name}: {table['state'].iloc[0]}")
    return pd.concat(tables, ignore_index=True)


def _named(spec: str | Path) -> list[str]:
    """The named analyses of a file: a checked document does not hold them."""
    file = find_spec(spec)
    return list(parse_toml(text_of(file), str(file)).get("sensitivity", {}))


def _analysis(
    spec: str | Path, name: str, out: Path, changes: Mapping[str, Any], sampling: dict[str, Any]
) -> pd.DataFrame:
    try:
        causes = read_causes(spec, sensitivity=None if name == BASE else name, changes=changes)
        evidence = read_causes_evidence(causes)
        file = out / "fits" / f"{file_name_part(name)}-{_digest(causes, evidence, sampling)}.nc"
        found = _kept(file)
        result = _fitted(causes, evidence, sampling, file) if found is None else found
    except BayesBmError as problem:
        return pd.DataFrame([{"analysis": name, "state": FAILED, "note": str(problem)}])
    note = "" if result.gate.passed else "; ".join(result.gate.reasons[:2])
    last = {"gate": result.gate.state, "note": note, "file": str(file.relative_to(out))}
    answers = compare_causes(result).assign(**last)
    answers.insert(0, "analysis", name)
    answers.insert(1, "state", FITTED if found is None else KEPT)
    return answers


def _kept(file: Path) -> JointResult | None:
    """The fit that the folder has; None where it is gone, cut or broken."""
    try:
        return load_causes(file)
    except InputError:
        return None


def _fitted(causes: Causes, evidence: CausesEvidence, sampling: dict[str, Any], file: Path) -> JointResult:
    result = fit_causes(causes, evidence, **sampling)
    file.parent.mkdir(parents=True, exist_ok=True)
    result.save(file)
    return result


def _digest(causes: Causes, evidence: CausesEvidence, sampling: Mapping[str, Any]) -> str:
    parts = {name: one.digest() for name, one in joint_parts(evidence).items()}
    said = json.dumps([causes.digest(), parts, sampling], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:12]
