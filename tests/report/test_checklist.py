"""The checklist says what the result holds and leaves blank what only authors know."""

import re
from dataclasses import replace

import pytest

from bayes_bm.inference.gate import Gate
from bayes_bm.report.checklist import checklist, checklist_text
from tests.builders import posteriors, worlds


@pytest.mark.slow
def test_items_are_filled_from_the_result_and_authors_have_theirs_blank() -> None:
    spec = worlds.spec(cannot_say=["No trial is among them."])
    diagnosed = {"parameter": "log_hr", "rhat": 1.0042, "ess_bulk": 812.0, "ess_tail": 655.0}
    gate = Gate((diagnosed,), 3, 4000, 0.9, 0.9, ())
    result = posteriors.result(spec, worlds.evidence(spec))
    whole = checklist(replace(result, gate=gate))
    table = whole.set_index(["guideline", "item"])["says"]
    evidence = result.evidence
    assert f"{len(evidence.hazard_ratios)} hazard ratios" in table["BARG", "1A"]
    assert "1.0042, 3 divergences of 4000" in table["BARG", "2B"]
    assert "812 of the middle, 655 of the tails" in table["BARG", "2C"]
    assert "log_hr[b]: normal(mean 0, sd 1) (test)" in table["BARG", "1D"]
    assert table["PRISMA-NMA", "4"] == spec.question
    assert table["PRISMA-NMA", "25"] == "No trial is among them."
    assert table["PRISMA-NMA", "S1"].startswith("3 treatments, 1 connected parts; side by side: ")
    prisma = table["PRISMA-NMA"]
    blank = {*prisma[prisma == ""].index}
    assert {"1", "2", "5", "8", "27"} <= blank and not {"11", "13", "14", "21"} & blank
    assert len(table) == len(set(table.index)) == 16 + 32
    text = checklist_text(whole)
    assert len(re.findall(r"^\| \S+ \|", text, flags=re.MULTILINE)) == 48 + 2 and "| 27 | funding |  |" in text
