"""One reader for every table that a person gives: what is read as it stands, and what is refused with its place."""

from pathlib import Path

import pandas as pd
import pytest

from bayes_bm.evidence.people import read_cohort, read_people
from bayes_bm.evidence.tables.csv_records import MOST_COLUMNS
from bayes_bm.evidence.tables.reading import read_table
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.numbers import parse_number
from tests.builders import worlds
from tests.builders.worlds import normal

SPEC = worlds.spec(covariates={"age": {"prior": normal(0.5), "lower": 18.0, "upper": 110.0, "unit": "years"}})
HEADER = "study,arm,treatment,time,event\n"


@pytest.fixture
def file(tmp_path: Path):
    def write(text: str | bytes, name: str = "table.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_lines_may_end_as_on_any_machine(file, ending) -> None:
    text = HEADER + '"A\u2028 b",a,x,3,1\n\nA,a,x,4,0\n'
    frame = read_table("patients", file(text.replace("\n", ending).replace("\u2028", ",")))
    assert frame["time"].tolist() == [3.0, 4.0]
    with pytest.raises(InputError, match=r"row 2 \(line 4\), column time: found 'x'"):
        read_table("patients", file((HEADER + "A,a,x,3,1\n\nA,a,x,x,0\n").replace("\n", ending)))


WRONG = [
    (HEADER.encode("utf-16"), "found UTF-16; allowed: a CSV file in UTF-8; save it again"),
    (HEADER.encode("utf-16-le"), "line 1: found a NUL byte; .* UTF-16"),
    (HEADER.encode() + b"A,a,x,3,1\0\n", "line 2: found a NUL byte"),
    (b"PK\x03\x04 xlsx", "a spreadsheet"),
    (HEADER + "\u0645,a,x,\u0663,1\n", r"row 1 \(line 2\), column time: found '\u0663'; .* write the digits 0 to 9"),
    (HEADER + "A\u200b,a,x,3,1\n", r"column study: found 'A\\u200b'; .* U\+200B \(zero width space\)"),
    (HEADER + "A\ufffd,a,x,3,1\n", r"column study: .* U\+FFFD \(replacement character\)"),
    (HEADER + "A,a,x,\u22123,1\n", "write the minus sign as a hyphen"),
    (HEADER + "A,a,x,1_000,1\n", "found '1_000'"),
    (HEADER + "A,a,x,infinity,1\n", "infinity is no measurement"),
    (HEADER + "A,a,x,1e999,1\n", "found inf; .* larger than a computer holds"),
    (HEADER + "A,a,x,true,1\n", "write 1 for yes and 0 for no"),
    (HEADER + f"A,a,x,{'9' * 5000},1\n", r"found '9{80}\.\.\. \(5000 letters\)'"),
    (HEADER[:-1] + "".join(f",g{i}" for i in range(MOST_COLUMNS)) + "\n", r"found 1005 columns; allowed: at most 1000"),
]


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_what_is_no_table_is_refused_with_its_place(file, text, said) -> None:
    with pytest.raises(InputError, match=said):
        read_table("patients", file(text))


@pytest.mark.slow
def test_a_million_columns_are_refused_at_once(file) -> None:
    with pytest.raises(InputError, match="found 1000000 columns; allowed: at most 1000"):
        read_table("patients", file(",".join(map(str, range(10**6))) + "\n"))


def test_names_of_files_are_refused_that_no_disk_takes(tmp_path) -> None:
    with pytest.raises(InputError, match=r"\(\d+ letters\): found File name too long"):
        read_table("patients", tmp_path / ("x" * 5000))


PEOPLE = [
    ("patient,age\n\xfc,50\n".encode("latin-1"), "line 2: found byte 0xfc, which is not UTF-8"),
    ("", "an empty file"),
    ("patient,age\n", "a header and no rows"),
    ('patient,age\n"a,50\n', "close the double quotes"),
    ("patient,age\na,50,1\n", r"row 1 \(line 2\): found 3 cells; allowed: 2"),
    ("age,age\n50,50\n", "'age' twice"),
    (
        "patient,age\na,old\n",
        r"row 1 \(line 2\), column age: found 'old'; allowed: a number at least 18 and at most 110",
    ),
    ("patient,age\na,5\n", r"row 1 \(line 2\), column age: found 5; .* age is in years"),
    ("patient,age\na,inf\n", "found 'inf'"),
    ("patient,age\na,True\n", "write 1 for yes"),
    ("patient,age\na,50\nb,51\na,52\n", r"row 3 \(line 4\), column patient: found 'a'; .* row 1 is called so already"),
    ("patient,age\n2,50\n,51\n", r"row 2 \(line 3\), column patient: found '2'"),
    ("patient,kps\na,50\n", r"column kps: found an unknown column; allowed: patient, age"),
]


PEOPLE.append(("patient,age\na,50\n,60\n", "row 2, column patient: found a blank"))


@pytest.mark.parametrize(("text", "said"), PEOPLE)
def test_files_of_patients_to_predict_go_through_the_same_reader(file, text, said) -> None:
    with pytest.raises(InputError, match=said):
        read_people(SPEC, file(text))


def test_patients_are_read_as_written(file) -> None:
    people = read_people(SPEC, file("patient,age,x_note\n,50.5,n\n,NA,\n"))
    assert people.names == ["1", "2"] and people.patients == [{"age": 50.5}, {}]
    cohort = read_cohort(SPEC, file("time,event,treatment,age\n,,,50\n"))
    pd.testing.assert_frame_equal(cohort, pd.DataFrame({"age": [50.0]}), check_column_type=False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time,event,age\n3,1,50\n", "column treatment: found no such column"),
        ("time,event,treatment\ninf,1,a\n", "column time: found 'inf'"),
        ("time,event,treatment\n3,,a\n", "column event: found a blank"),
        ("time,event,treatment\n3,1,\n", "column treatment: found a blank; allowed: a, b, c"),
        ("time,event,treatment,age\n3,1,a,old\n", "column age: found 'old'"),
    ],
)
def test_cohorts_that_cannot_be_scored_are_refused(file, text, said) -> None:
    with pytest.raises(InputError, match=said):
        read_cohort(SPEC, file(text), outcomes=True)


@pytest.mark.parametrize(
    ("text", "number"),
    [(" 1.5 ", 1.5), ("-.5E2", -50.0), ("nan", None), ("inf", None), ("1_0", None), ("\u0663", None), ("", None)],
)
def test_numbers_are_what_people_type(text, number) -> None:
    assert parse_number(text) == number
