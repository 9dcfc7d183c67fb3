"""The summary of findings against a posterior stated by hand, and its files read back by other readers."""

import math
import zipfile
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

import bayes_bm as bb
from bayes_bm.estimands.findings import findings
from bayes_bm.inference.result import Result
from bayes_bm.runtime.table_files import write_table
from tests.builders import posteriors, worlds
from tests.builders.commands import call


def known() -> Result:
    """One draw of everything: S(12) of the average study is exp(-exp(0.1)) under a, and log HR -0.5 of b."""
    spec = worlds.spec()
    fixed = {"intercept": 0.1, "log_hr": [-0.5, 0.2], "log_shape": 0.0, "study_sd": 0.0}
    return posteriors.result(spec, worlds.evidence(spec), chains=1, draws=4, **fixed)


def test_numbers_per_100_are_those_of_the_stated_posterior() -> None:
    table = findings(known(), who="average-study").set_index("treatment")
    alive, alive_b = math.exp(-math.exp(0.1)), math.exp(-math.exp(0.1 - 0.5))
    row = table.to_dict("index")["b"]
    assert row["ratio"] == pytest.approx(math.exp(-0.5)) and row["time"] == 12.0
    assert row["per_100_reference"] == pytest.approx(100 * alive)
    assert row["per_100"] == pytest.approx(100 * alive_b)
    assert row["difference_per_100"] == pytest.approx(100 * (alive_b - alive))
    assert row["certainty"] == "" and row["who"] == "average-study"


def test_studies_and_patients_behind_a_comparison_are_counted_by_hand() -> None:
    """b against a: p1 and c1 hold both, h1 and h2 print ratios; s1 and m1 hold a alone, s2, m2 and l1 b alone."""
    row = findings(known()).set_index("treatment").to_dict("index")["b"]
    arms = known().evidence.arms
    chosen = arms[arms["treatment"].isin(["a", "b"])]
    ratios = known().evidence.hazard_ratios
    printed = set(ratios.loc[(ratios["treatment"] == "b") & (ratios["reference"] == "a"), "study"])
    both = {"p1", "c1"} | printed
    assert row["side_by_side"] == len(both) and row["studies"] == len(set(chosen["study"]) | both)
    assert row["basis"] == "within and across studies"
    # l1 has 36 lesions of 30 patients
    assert row["patients"] == 3 + 25 + 28 + 55 + 30


@pytest.mark.slow
def test_judgements_are_counted_by_domain() -> None:
    result = known()
    arms = result.evidence.arms.assign(
        x_robins_confounding=["serious", "moderate"] + ["serious"] * (len(result.evidence.arms) - 2)
    )
    with_judgements = replace(result, evidence=replace(result.evidence, arms=arms))
    said = findings(with_judgements)["risk_of_bias"][0]
    chosen = arms[arms["treatment"].isin(["a", "b"])]["x_robins_confounding"].value_counts()
    assert said == f"confounding: {chosen['serious']} serious, {chosen['moderate']} moderate"
    assert (findings(result)["risk_of_bias"] == "").all()
    assert findings(with_judgements)["robins_confounding"][0] == said.removeprefix("confounding: ")
    assert not [name for name in findings(result) if name.startswith("robins_")]


@pytest.mark.slow
def test_further_references_have_rows_of_their_own() -> None:
    """c against b beside b and c against a: log HR 0.2 + 0.5, and no pair twice."""
    spec = worlds.spec(treatments={**worlds.document()["treatments"], "also_against": ["b"]})
    fixed = {"intercept": 0.1, "log_hr": [-0.5, 0.2], "log_shape": 0.0, "study_sd": 0.0}
    result = posteriors.result(spec, worlds.evidence(spec), chains=1, draws=4, **fixed)
    table = findings(result, who="average-study")
    assert table[["treatment", "reference"]].to_numpy().tolist() == [["b", "a"], ["c", "a"], ["c", "b"]]
    assert table["ratio"].tolist() == pytest.approx(np.exp([-0.5, 0.2, 0.7]))
    assert table["per_100_reference"].tolist()[2] == pytest.approx(table["per_100"].tolist()[0])


def test_free_levels_have_ratios_and_no_patients_of_100() -> None:
    spec = worlds.spec(effects={"study": {"exchangeable": False}})
    table = findings(posteriors.result(spec, worlds.evidence(spec)), who="average-study")
    assert table["ratio"].notna().all() and table["per_100"].isna().all()


HOSTILE = pd.DataFrame({"name": ["=1+1", "a & b_c <50 %"], "value": [1.5, np.nan], "count": [3, 4]})


def test_a_workbook_holds_numbers_and_texts_as_they_are(tmp_path) -> None:
    write_table(HOSTILE, tmp_path / "t.xlsx")
    with zipfile.ZipFile(tmp_path / "t.xlsx") as book:
        sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
        for part in book.namelist():
            ElementTree.fromstring(book.read(part))
    main = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    cells = [["".join(cell.itertext()) for cell in row] for row in sheet.iter(f"{main}row")]
    assert cells == [["name", "value", "count"], ["=1+1", "1.5", "3"], ["a & b_c <50 %", "", "4"]]
    kinds = [cell.get("t") for cell in sheet.iter(f"{main}c")][3:]
    assert kinds == ["inlineStr", None, None, "inlineStr", None, None]


def test_latex_and_csv_hold_the_same_rows(tmp_path) -> None:
    write_table(HOSTILE, tmp_path / "t.tex")
    lines = (tmp_path / "t.tex").read_text(encoding="utf-8").splitlines()
    assert lines[0] == r"\begin{tabular}{lrr}"
    assert lines[5] == r"a \& b\_c <50 \% &  & 4 \\"
    write_table(HOSTILE, tmp_path / "t.csv")
    assert pd.read_csv(tmp_path / "t.csv")["name"].tolist() == ["'=1+1", "a & b_c <50 %"]


@pytest.mark.slow
def test_compare_writes_the_table_and_refuses_other_endings(tmp_path, capsys) -> None:
    stored = known().save(tmp_path / "r.nc")
    assert call("compare", stored, "--to", tmp_path / "t.csv", "--json") == 0
    table = pd.read_csv(tmp_path / "t.csv")
    assert table["per_100"].tolist() == pytest.approx(bb.findings(known(), who="average-study")["per_100"].tolist())
    capsys.readouterr()
    assert call("compare", stored, "--to", tmp_path / "t.docx") == 2
    assert "--to: found t.docx; allowed: .csv, .tex, .xlsx" in capsys.readouterr().err
