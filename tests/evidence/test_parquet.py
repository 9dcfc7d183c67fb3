"""Patients from a Parquet file are those of the CSV file, and are refused in the same words."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayes_bm.evidence.reading import read_evidence
from bayes_bm.evidence.records import Evidence
from bayes_bm.evidence.tables.reading import read_table
from bayes_bm.inference.fit import fit
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.document import Spec
from tests.builders import worlds


def patients(n: int = 60) -> pd.DataFrame:
    """With blanks, a number that is printed to the last digit, whole numbers and a column of one's own."""
    rng = np.random.default_rng(1)
    arm = np.arange(n) % 3
    found = {
        "study": np.array(["one", "one", "two"])[arm],
        "arm": np.array(["x", "y", "x"])[arm],
        "treatment": np.array(["a", "b", "a"])[arm],
        "time": rng.exponential(12, n) + 1,
        "event": (rng.random(n) < 0.7).astype(int),
        "entry": np.where(arm == 1, 0.5, np.nan),
        "use": np.where(arm == 2, "use", None),
        "x_note": np.where(arm == 0, "seen", None),
    }
    return pd.DataFrame(found)


def written(frame: pd.DataFrame, folder: Path, name: str) -> Path:
    path = folder / name
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    return path


def evidence(folder: Path, name: str) -> tuple[Spec, Evidence]:
    spec = worlds.spec(treatments={"reference": "a", "compare": ["b"]}, evidence={"patients": name})
    spec = spec.model_copy(update={"folder": str(folder)})
    return spec, read_evidence(spec)


@pytest.mark.slow
@pytest.mark.parametrize("categories", [False, True])
@pytest.mark.usefixtures("one_try")
def test_the_table_and_the_evidence_are_those_of_the_csv_file(tmp_path: Path, categories: bool) -> None:
    frame = patients()
    written(frame, tmp_path, "rows.csv")
    names = ["study", "arm", "treatment"] if categories else []
    written(frame.astype(dict.fromkeys(names, "category")), tmp_path, "rows.parquet")
    by_text, by_arrow = (read_table("patients", tmp_path / f"rows.{end}") for end in ("csv", "parquet"))
    pd.testing.assert_frame_equal(by_arrow, by_text)
    (spec, one), (_, other) = evidence(tmp_path, "rows.csv"), evidence(tmp_path, "rows.parquet")
    assert one.digest() == other.digest()
    assert len(other.patients) == 60
    few = {"draws": 100, "tune": 200, "chains": 2}
    draws = [fit(spec, found, **few).posterior["log_hr"].to_numpy() for found in (one, other)]
    np.testing.assert_array_equal(*draws)


def test_a_column_of_names_shares_its_texts(tmp_path: Path) -> None:
    """One Python object a name, not one a patient."""
    found = read_table("patients", written(patients(3000), tmp_path, "rows.parquet"))
    assert len({id(value) for value in found["study"]}) == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"time": -1.0}, "row 1, column time"),
        ({"event": 2}, "subtract 1"),
        ({"study": None}, "row 1, column study"),
        ({"entry": 900.0}, "a patient is observed from entry to time"),
    ],
)
def test_cells_are_refused_as_in_a_csv_file(tmp_path: Path, change: dict, said: str) -> None:
    frame = patients()
    for name, value in change.items():
        frame.loc[0, name] = value
    refused = []
    for name in ("rows.csv", "rows.parquet"):
        with pytest.raises(InputError) as error:
            read_table("patients", written(frame, tmp_path, name))
        refused.append(str(error.value).replace(" (line 2)", "").replace("rows.csv", "rows.parquet"))
    assert refused[0] == refused[1]
    assert said in refused[1]


def test_what_is_no_parquet_file_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "rows.parquet"
    with pytest.raises(InputError, match="no such file"):
        read_table("patients", broken)
    broken.write_text("study,arm")
    with pytest.raises(InputError, match="a Parquet file"):
        read_table("patients", broken)
    with pytest.raises(InputError, match="no rows"):
        read_table("patients", written(patients().head(0), tmp_path, "none.parquet"))
    with pytest.raises(InputError, match="no such column"):
        read_table("patients", written(patients().drop(columns="time"), tmp_path, "short.parquet"))
