"""The shipped specs stand before their audit in every named variant; reproductions give back what was printed."""

import numpy as np
import pytest
from scipy import stats

from bayes_bm.estimands.compare import compare
from bayes_bm.estimands.who import AverageStudy
from bayes_bm.evidence.audit import audit
from bayes_bm.evidence.reading import read_evidence
from bayes_bm.inference.fit import fit
from bayes_bm.spec.prior_distributions import scipy_distribution
from bayes_bm.spec.reading import list_models, read_spec

MODELS = {path.stem: path for path in list_models()}
VARIANTS = [(name, variant) for name in MODELS for variant in read_spec(MODELS[name]).sensitivity]
WITHOUT_EVIDENCE = {"os_extent_of_resection"}
ASKED_FOR = {
    *(
        "os_reresection_vs_resrs",
        "os_reresection_vs_nonsurgical",
        "os_extent_of_resection",
        "os_adjuvant_reirradiation",
    ),
    *(
        "local_control_three_arms",
        "os_salvage_network",
        "os_systemic",
        "os_radiation_necrosis",
        "pfs_radiation_necrosis",
    ),
    *("published_os_reresection_vs_resrs", "published_os_reresection_vs_nonsurgical"),
    "published_os_extent_of_resection",
}
# printed in the abstract of Basaran 2025: HR, then median (low, high) of the first treatment and of the reference
PRINTED = {
    "published_os_reresection_vs_resrs": (0.62, (14.74, 10.51, 18.98), (10.97, 9.10, 12.84)),
    "published_os_reresection_vs_nonsurgical": (0.664, (14.74, 11.68, 17.80), (10.34, 8.59, 12.08)),
    "published_os_extent_of_resection": (0.400, (23.97, 15.95, 31.99), (7.06, 5.21, 8.90)),
}


def test_the_models_asked_for_are_shipped() -> None:
    assert MODELS.keys() >= ASKED_FOR


@pytest.mark.parametrize("name", MODELS)
def test_header_says_question_evidence_limits_and_external_check(name: str) -> None:
    lines = MODELS[name].read_text(encoding="utf-8").splitlines()
    header = [line for line in lines[: lines.index("")] if line.startswith("#")]
    for heading in ("Question", "Evidence used", "Cannot say", "External check"):
        said = [line for line in header if line.startswith(f"# {heading}")]
        assert len(said) == 1, heading
        assert len(said[0].removeprefix(f"# {heading}").strip()) >= len("none printed"), heading
    spec = read_spec(MODELS[name])
    assert spec.name == name
    assert spec.cannot_say
    assert spec.external_checks or any(line.startswith("# External check none") for line in header)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_every_shipped_spec_is_audited_and_only_one_lacks_evidence(name: str) -> None:
    spec = read_spec(MODELS[name])
    found = audit(spec, read_evidence(spec))
    if name in WITHOUT_EVIDENCE:
        [reason] = found.refusals
        assert "no usable evidence on os for str" in reason
        assert "Needed: for each arm patients, a digitised curve, survival at a time" in reason
    else:
        assert found.refusals == ()
        assert len(found.rows) > 0


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_every_sensitivity_analysis_parses_and_differs(name: str, variant: str) -> None:
    changed = read_spec(MODELS[name], sensitivity=variant)
    assert changed.digest() != read_spec(MODELS[name]).digest()


@pytest.mark.parametrize("name", PRINTED)
def test_reproductions_have_the_structure_of_rule_9(name: str) -> None:
    """One pseudo-study, no effects, vague priors, the second-named arm as reference, labelled."""
    spec = read_spec(MODELS[name])
    assert (spec.effects.study, spec.effects.study_treatment, spec.effects.study_shape) == (None, None, None)
    sds = [
        scipy_distribution(prior).std() for prior in (spec.priors.log_shape, spec.priors.log_hr, spec.priors.intercept)
    ]
    assert sds == pytest.approx([1.0, 2.0, 2.0])
    assert (
        spec.treatments.reference
        == {"resrs": "re_srs", "nonsurgical": "non_surgical", "resection": "str"}[name.rsplit("_", 1)[1]]
    )
    assert spec.reproduction
    evidence = read_evidence(spec)
    assert evidence.arms["study"].nunique() == 1
    assert (len(evidence.medians), len(evidence.hazard_ratios)) == (2, 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", PRINTED)
def test_reproductions_give_back_what_was_printed(name: str) -> None:
    """Decision 9 (docs/decisions.md): HR within 0.06, medians within a quarter of their interval's width."""
    spec = read_spec(MODELS[name])
    result = fit(spec)
    result.require_gate()
    table = compare(result, who=AverageStudy()).set_index(["estimand", "treatment"])["median"]
    hr, *medians = PRINTED[name]
    [treatment] = spec.treatments.compare
    assert table["hazard_ratio", treatment] == pytest.approx(hr, abs=0.06)
    for arm, (printed, low, high) in zip((treatment, spec.treatments.reference), medians, strict=True):
        assert table["median", arm] == pytest.approx(printed, abs=(high - low) / 4)


def rows_of(heading: str, columns: int) -> list[list[str]]:
    """Cells of the tables under a heading of docs/method.md."""
    text = (MODELS["os_systemic"].parents[1] / "docs" / "method.md").read_text(encoding="utf-8")
    lines = text.split(f"## {heading}\n")[1].split("\n## ")[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return [row for row in cells if len(row) == columns and not set(row[0]) <= {"-"}][1:]


@pytest.mark.slow
def test_what_method_says_of_heterogeneity_is_what_shipped_priors_are() -> None:
    said = {row[0].removeprefix("half-normal "): row[2:5] for row in rows_of("Heterogeneity: what the priors claim", 6)}
    found = set()
    for name in ASKED_FOR:
        for variant in (None, "wide_heterogeneity"):
            if name.startswith("published") or variant not in (None, *read_spec(MODELS[name]).sensitivity):
                continue
            effects = read_spec(MODELS[name], sensitivity=variant).effects
            sds = [effects.study.sd, effects.study_treatment.sd, effects.study_shape.sd]
            assert all(prior.dist == "half_normal" for prior in sds)
            found |= {f"{prior.sd:g}" for prior in sds}
    assert {f"{float(scale):g}" for scale in said} == found
    for scale, (median, upper, spread) in said.items():
        law = stats.halfnorm(scale=float(scale))
        assert float(median) == pytest.approx(law.median(), abs=0.005)
        assert float(upper) == pytest.approx(law.ppf(0.95), abs=0.005)
        assert float(spread) == pytest.approx(np.exp(3.92 * law.median()), rel=0.02)
    elsewhere = rows_of("Heterogeneity: what the priors claim", 4)[:3]
    laws = [stats.invgamma(2.42, scale=0.30)]
    laws += [stats.lognorm(sd / 2, scale=np.exp(mean / 2)) for mean, sd in ((-4.06, 1.45), (-3.93, 1.51))]
    for row, law in zip(elsewhere, laws, strict=True):
        assert [float(cell) for cell in row[2:]] == pytest.approx([law.median(), law.ppf(0.95)], abs=0.005)
