"""The page of a joint model: its numbers are those of the answers, and nothing in it leads outside."""

import re
from dataclasses import replace

import numpy as np
import pytest

from bayes_bm.estimands.competing_risks import cumulative_incidence, time_lost
from bayes_bm.report.joint_page import joint_page
from bayes_bm.report.tables import Table
from tests.builders.commands import call
from tests.builders.joint_results import by_hand


def cells(table: Table) -> list[list[str]]:
    return [[cell.text for cell in row.cells] for row in table.rows]


@pytest.mark.slow
def test_the_page_shows_what_the_answers_say() -> None:
    joint = by_hand(draws=8)
    page = joint_page(joint)
    shares = 100 * cumulative_incidence(joint, [12.0], who="average-study").sel(time=12.0, treatment="b", cause="death")
    low, middle, high = np.quantile(shares, [0.025, 0.5, 0.975])
    row = next(own for own in cells(page.shares)[6:12] if own[:2] == ["b", "12"])
    assert row[2] == f"{middle:.0f} ({low:.0f} to {high:.0f})"
    lost = time_lost(joint, 24.0, who="average-study").sel(treatment="a", cause="failure")
    assert cells(page.lost)[0][2].startswith(f"{np.median(lost):.1f} (")
    assert [own[0] for own in cells(page.ratios)] == ["Failure", "Death"]
    assert page.rows is not None and len(page.rows.rows) == 5


@pytest.mark.slow
def test_the_command_writes_a_page_that_stands_alone_and_names_a_failed_gate(tmp_path, capsys) -> None:
    joint = by_hand(draws=4)
    failed = replace(joint, gate=replace(joint.gate, reasons=("failure: R-hat of log_hr[b] is 1.07",)))
    stored, out = failed.save(tmp_path / "joint.nc"), tmp_path / "page.html"
    assert call("report", stored, "--out", out) == 1 and not out.exists()
    assert call("report", stored, "--out", out, "--patient", "age=60") == 2
    assert "--patient: found age=60 of a joint result" in capsys.readouterr().err
    assert call("report", stored, "--out", out, "--allow-failed-gate") == 0
    text = out.read_text(encoding="utf-8")
    assert "The convergence gate failed" in text and "<h2>Time lost to each cause</h2>" in text
    assert not re.search(r'(?:src|href)="(?!#|data:)', text) and "<script" not in text
