"""Names that match nothing are refused, and rows that a name leaves out are counted and said."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bayes_bm.evidence.names import look_alike
from bayes_bm.evidence.reading import read_evidence
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.reading import parse_spec
from tests.builders import worlds
from tests.builders.commands import call

PATIENTS = pd.DataFrame(
    {
        "study": "Smith 2020",
        "arm": ["x"] * 12 + ["y"] * 12,
        "treatment": ["a"] * 12 + ["b"] * 12,
        "time": [*(1.5 * k for k in range(1, 13)), *(1.7 * k for k in range(1, 13))],
        "event": [1, 0, 1, 1] * 6,
    }
)
ARMS = "study,arm,treatment,endpoint,n,x_site\nJones 2019,x,a,os,40,north\n"
MEDIANS = "study,arm,endpoint,median\nJones 2019,x,os,9\n"


@pytest.fixture
def evidence(tmp_path: Path):
    """Evidence of a spec over the files, patients and two tables of a second study; keys of the spec may change."""

    def read(files: dict[str, Any] | None = None, **changes: Any):
        frames = {"patients": [PATIENTS], "arms": [ARMS], "medians": [MEDIANS], **(files or {})}
        names: dict[str, list[str]] = {}
        for kind, tables in frames.items():
            for place, table in enumerate(tables):
                names.setdefault(kind, []).append(f"{kind}{place}.csv")
                text = table if isinstance(table, str) else table.to_csv(index=False)
                (tmp_path / names[kind][-1]).write_text(text, encoding="utf-8")
        document = worlds.document(evidence=names, treatments={"reference": "a", "compare": ["b"]}, **changes)
        return read_evidence(parse_spec(document, folder=str(tmp_path)))

    return read


def why(study: str, **more: str) -> list[dict[str, str]]:
    return [{"study": study, "why": "test", **more}]


@pytest.mark.parametrize("key", ["exclude", "also", "allow_overlap"])
def test_a_choice_of_a_study_that_no_table_has_is_refused(evidence, key) -> None:
    with pytest.raises(InputError, match=rf"evidence.{key}, entry 1: found 'Smith 2002', .* did you mean 'Smith 2020'"):
        evidence(**{f"evidence__{key}": why("Smith 2002")}, evidence__patients=["patients0.csv"])


def test_a_choice_of_an_arm_that_the_study_lacks_is_refused(evidence) -> None:
    with pytest.raises(InputError, match="found 'z', no arm of 'Smith 2020' of any table; allowed: x, y"):
        evidence(evidence__exclude=why("Smith 2020", arm="z"))


def test_a_choice_of_a_study_of_another_endpoint_stands(evidence) -> None:
    assert evidence(evidence__exclude=why("Jones 2019")).arms["study"].unique().tolist() == ["Smith 2020"]


def test_an_include_that_no_row_meets_is_refused(evidence) -> None:
    with pytest.raises(InputError, match=r"include.x_site: found nort, which no row has; allowed: north; did you mean"):
        evidence(evidence__include={"x_site": ["nort"]})
    with pytest.raises(InputError, match=r"include.x_sit: found no such column in the arms table; .* 'x_site'"):
        evidence(evidence__include={"x_sit": ["north"]})


def test_rows_of_other_treatments_are_counted_and_a_slip_is_said(evidence) -> None:
    third = PATIENTS.iloc[12:].assign(study="Lee 2021", treatment=["B "] * 7 + ["radiation"] * 5, time=range(1, 13))
    third["arm"] = third["treatment"]
    read = evidence({"patients": [pd.concat([PATIENTS, third])]})
    assert read.remarks == (
        "patients: 7 rows of treatment 'B' are left out, for the spec says 'b'; did you mean 'b'?",
        "patients: 12 rows of other treatments are left out: B (7), radiation (5).",
    )


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        (
            "medians",
            MEDIANS.replace(",os,", ",OS,"),
            "column endpoint: found 'OS' .1 rows., .* allowed: os; did you mean 'os'",
        ),
        (
            "patients",
            PATIENTS.assign(treatment="B"),
            "column treatment: found 'B' .24 rows., .* did you mean 'b'",
        ),
        ("arms", ARMS.replace(",a,", ",c,"), "column treatment: found 'c'"),
    ],
)
def test_a_file_of_which_no_row_is_left_is_refused(evidence, kind, text, said) -> None:
    with pytest.raises(InputError, match=rf"{kind}0.csv, {said}"):
        evidence({kind: [text]})


def test_a_table_that_is_there_twice_is_refused(evidence) -> None:
    with pytest.raises(InputError, match=r"patients0.csv: found its first 24 rows 2 times; .* pasted twice"):
        evidence({"patients": [pd.concat([PATIENTS, PATIENTS])]})
    with pytest.raises(InputError, match=r"patients1.csv, the same rows as patients0.csv"):
        evidence({"patients": [PATIENTS, PATIENTS]})


def test_the_same_patients_under_two_names_are_said(evidence) -> None:
    copy = PATIENTS.assign(study="smith  2020").iloc[::-1]
    assert evidence({"patients": [PATIENTS, copy]}).remarks == (
        "Studies 'Smith 2020' and 'smith  2020' differ only in case, blanks or signs: are they one?",
        "Smith 2020: x and smith  2020: x have the same 12 times and events: are they the same patients?",
        "Smith 2020: y and smith  2020: y have the same 12 times and events: are they the same patients?",
    )


def test_patients_beyond_the_limits_of_a_covariate_are_refused_by_row(evidence) -> None:
    ages = PATIENTS.assign(age=[50.0] * 23 + [500.0])
    limits = {"age": {"prior": worlds.normal(0.5), "lower": 18.0, "upper": 110.0}}
    with pytest.raises(InputError, match=r"row 24 \(line 25\), column age: found 500; allowed: .* at most 110"):
        evidence({"patients": [ages]}, covariates=limits)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("Re-SRS", "re_srs", True),
        ("surgery ", "Surgery", True),
        ("surgrey", "surgery", True),
        ("radiatio", "radiation", True),
        ("gtr", "str", False),
        ("resection", "re_resection", False),
        ("treatment1", "treatment2", False),
        ("litt", "litt_srt", False),
    ],
)
def test_slips_of_the_pen_are_told_from_other_names(one, other, alike) -> None:
    assert look_alike(one, other) is alike and look_alike(other, one) is alike


@pytest.mark.slow
def test_remarks_stand_in_the_audit_and_in_the_stored_evidence(evidence, tmp_path, capsys) -> None:
    from bayes_bm.evidence.storage import read_stored_evidence, stored_evidence
    from bayes_bm.spec.reading import spec_toml

    third = PATIENTS.iloc[12:].assign(study="Lee 2021", arm="z", treatment="B")
    changes = {"effects": None}
    read = evidence({"patients": [pd.concat([PATIENTS, third])]}, **changes)
    assert read_stored_evidence(stored_evidence(read)).remarks == read.remarks != ()
    names = {"patients": ["patients0.csv"], "arms": ["arms0.csv"], "medians": ["medians0.csv"]}
    spec = parse_spec(worlds.document(evidence=names, treatments={"reference": "a", "compare": ["b"]}, **changes))
    (tmp_path / "s.toml").write_text(spec_toml(spec), encoding="utf-8")
    assert call("audit", tmp_path / "s.toml") == 0
    assert "12 rows of treatment 'B' are left out, for the spec says 'b'" in capsys.readouterr().out
