"""What is compiled: every shipped spec, every named analysis, every problem with a published answer."""

from pathlib import Path

import pytest

from bayes_bm.hazards import FAMILIES
from bayes_bm.inference.compiled.coverage import KNOWN, why_not_spec
from bayes_bm.inference.compiled.formulas import FILES
from bayes_bm.model.observations import KINDS
from bayes_bm.spec.causes import read_causes
from bayes_bm.spec.document import Spec
from bayes_bm.spec.reading import list_models, read_spec

ROOT = Path(__file__).parents[2]
PROBLEMS = ROOT / "tests/witness/problems"
CAUSES = sorted((ROOT / "models/causes").glob("*.toml"))
SPECS = [*list_models(), *sorted(PROBLEMS.glob("*/*.toml"))]


def analyses(path: Path) -> list[Spec]:
    """The spec and each of its named analyses."""
    base = read_spec(path)
    return [base, *(read_spec(path, sensitivity=name) for name in base.sensitivity)]


def test_every_family_and_kind_of_evidence_is_compiled() -> None:
    assert set(FILES) == set(FAMILIES)
    assert {*KINDS, "hazard_ratios"} <= KNOWN


@pytest.mark.slow
def test_all_specs_analyses_and_problems_are_compiled() -> None:
    """All kinds of evidence are known (above), so that the spec alone says whether a model is compiled."""
    found = [spec for path in SPECS for spec in analyses(path)]
    found += [spec for path in CAUSES for spec in read_causes(path).specs.values()]
    assert len(found) > 100 and CAUSES
    assert not {(spec.name, reason) for spec in found if (reason := why_not_spec(spec)) is not None}
    assert any(spec.waning is not None for spec in found)
    assert {spec.sampling.sampler for spec in found} == {"nutpie"}
