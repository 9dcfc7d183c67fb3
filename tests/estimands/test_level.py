"""One level of interval, chosen once in the spec: tables, sentences, terminal, and no digest of before is moved."""

import numpy as np
import pytest

import bayes_bm as bb
from bayes_bm.checks.direct_indirect import Split, contrast_table
from bayes_bm.estimands.compare import COMPARE_COLUMNS
from bayes_bm.report.sentences import estimate_text, verdict
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.level import Level
from tests.builders import posteriors, worlds

RATIOS = np.exp(np.linspace(-1.0, 0.2, 101))


def stated(**changes):
    spec = worlds.spec(**changes)
    draws = np.stack([np.log(RATIOS), np.zeros(101)], axis=1)[None]
    return posteriors.result(spec, worlds.evidence(spec), chains=1, draws=101, log_hr=draws)


@pytest.mark.slow
def test_the_level_of_the_spec_is_that_of_the_answers() -> None:
    """Of 101 even draws of log HR from -1 to 0.2 the central 80 % are -0.88 to 0.08, in columns of their own."""
    result = stated(level=0.8)
    table = bb.compare(result, times=[12.0])
    assert list(table)[: len(COMPARE_COLUMNS)] == list(COMPARE_COLUMNS) and list(table)[-6:-4] == ["q10", "q90"]
    row = table[(table["estimand"] == "log_hazard_ratio") & (table["treatment"] == "b")].iloc[0]
    assert row[["q10", "q90"]].tolist() == pytest.approx([-0.88, 0.08])
    assert row[["q2_5", "q97_5"]].tolist() == pytest.approx([-0.97, 0.17])
    ratio = table[(table["estimand"] == "hazard_ratio") & (table["treatment"] == "b")].iloc[0]
    assert estimate_text(result.spec, ratio) == "0.67 (0.41 to 1.08)"
    contrasts = contrast_table(result, Split(within_fit=None, across_fit=None))
    assert np.log(contrasts.loc[contrasts["source"] == "combined", "hr_low"].iloc[0]) == pytest.approx(-0.88)


def test_another_level_of_a_fit_needs_no_new_fit() -> None:
    result = stated()
    half = result.at_level(0.5)
    table = bb.compare(half, times=[12.0])
    row = table[(table["estimand"] == "hazard_ratio") & (table["treatment"] == "b")].iloc[0]
    assert verdict(half.spec, row) == "lower" and verdict(result.spec, row) == "unclear"
    with pytest.raises(InputError, match=r"level: found 95; allowed: 0\.5 to 0\.999"):
        result.at_level(95)


def test_the_usual_level_leaves_no_trace_in_a_digest() -> None:
    assert worlds.spec(level=0.95).digest() == worlds.spec().digest() != worlds.spec(level=0.9).digest()
    assert worlds.spec().interval == Level(0.95)
