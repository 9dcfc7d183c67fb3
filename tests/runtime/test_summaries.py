"""Records print a screen of what they hold, not all of it."""

import pytest

import bayes_bm as bb
from bayes_bm.inference.prior_result import prior_result
from bayes_bm.runtime.summaries import WIDTH, counted, listed, summary


def test_a_summary_wraps_beside_its_names_and_leaves_out_what_is_empty() -> None:
    text = summary("Title", {"long": "word " * 40, "nothing": "", "short": "two words"})
    lines = text.splitlines()
    assert lines[0] == "Title"
    assert max(map(len, lines)) <= WIDTH
    assert [line[:14].strip() for line in lines[1:]] == ["long", "", "", "short"]


def test_lists_are_cut_and_say_how_many_they_are() -> None:
    assert listed(list(range(9))) == "0, 1, 2, 3, 4, 5, 6, 7, ... (9)"
    assert counted({"arms": 2, "hazard_ratios": 0, "set_aside": 1}) == "2 arms, 1 set aside"


@pytest.mark.slow
def test_records_say_what_they_hold_on_a_screen() -> None:
    spec = bb.read_spec("os_reresection_vs_resrs")
    evidence = bb.read_evidence(spec)
    result = prior_result(spec, draws=40)
    shown = {"spec": repr(spec), "evidence": repr(evidence), "audit": repr(bb.audit(spec, evidence))}
    shown["result"] = repr(result)
    assert all(len(text) < 1000 and len(text.splitlines()) < 20 for text in shown.values())
    assert "re_resection against re_srs" in shown["spec"]
    assert f"{evidence.arms['study'].nunique()} studies, {len(evidence.arms)} arms" in shown["evidence"]
    assert f"{len(evidence.set_aside)} set aside" in shown["audit"]
    assert "1 chains of 40" in shown["result"]
