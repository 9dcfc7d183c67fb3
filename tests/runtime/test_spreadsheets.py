"""Cells that a spreadsheet would run are written as text and read back as they were."""

import csv

import pandas as pd
import pytest

from bayes_bm.evidence.tables.reading import read_table
from bayes_bm.runtime.files import write_csv
from bayes_bm.runtime.spreadsheets import defuse, defuse_text, restore, restore_text

FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", '=HYPERLINK("http://x")', "'=1", "''-a"]
HARMLESS = ["Smith 2020", "-5", "+3.5e2", "a=b", "", "'t Hooft 1999", "O'Neil"]


@pytest.mark.parametrize("name", FORMULAS + HARMLESS)
def test_names_are_written_so_that_no_cell_is_a_formula_and_read_back(tmp_path, name) -> None:
    frame = pd.DataFrame({"study": [name or "x"], "arm": ["a"], "treatment": ["b"], "time": [-0.0 + 3.5], "event": [1]})
    path = write_csv(frame, tmp_path / "patients.csv")
    cell = next(csv.DictReader(path.open(encoding="utf-8", newline="")))["study"]
    assert (cell[0] not in "=+-@") or name in HARMLESS
    assert (cell == f"'{name}") == (name in FORMULAS)
    assert read_table("patients", path)["study"].tolist() == [name or "x"]


def test_numbers_and_blanks_are_left_alone_and_headers_are_not() -> None:
    frame = pd.DataFrame({"=x": [-1.0, 2.0], "b": [None, "=y"], "c": [True, False]})
    written = defuse(frame)
    assert list(written) == ["'=x", "b", "c"] and written["'=x"].tolist() == [-1.0, 2.0]
    assert written["b"].tolist()[1] == "'=y" and pd.isna(written["b"][0])
    pd.testing.assert_frame_equal(restore(written), frame)
    assert restore_text(defuse_text("\t=x")) == "\t=x"
