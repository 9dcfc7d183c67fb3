"""Tables are read as written, or refused: file, row and line, column, what was found, what is allowed, what to do."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayes_bm.evidence.tables.checking import check_table
from bayes_bm.evidence.tables.links import check_links, check_vocabulary, overlapping_rows
from bayes_bm.evidence.tables.reading import read_table
from bayes_bm.evidence.tables.schema import TABLES
from bayes_bm.evidence.tables.vocabulary import SHIPPED_VOCABULARY
from bayes_bm.runtime.errors import InputError

GOOD = {
    "patients": "study,arm,treatment,time,event,kps_10\nA,a,x,3.5,1,-1\nA,a,x,7,0,0.5\n",
    "arms": "study,arm,treatment,endpoint,n\nA,a,x,os,30\nA,b,y,os,\n",
    "points": "study,arm,endpoint,time,survival\nA,a,os,12,0.5\nA,a,os,6,0.7\nA,b,os,6,0.9\n",
    "medians": "study,arm,endpoint,median,ci_low,ci_high\nA,a,os,8.5,6,12\nA,b,os,,9,\n",
    "hazard_ratios": "study,endpoint,treatment,reference,hr,p_below\nA,os,x,y,0.62,0.001\n",
    "prognostic_ratios": "study,covariate,endpoint,hr,p_below,level,reference\nA,sex,os,2,.01,1,0\nA,age,os,2,.01,,\n",
    "counts": "study,arm,endpoint,events,n,time\nA,a,os,0,30,\nA,b,os,12,20,6\n",
    "registry": "study,arm,endpoint,start,stop,n,alive\nA,a,os,0,5,30,22\nA,a,os,5,6,20,20\n",
    "background": "time,hazard\n0,0.01\n1,0.02\n",
    "curves": "study,arm,treatment,endpoint,curve,n\nA,a,x,os,a.csv,30\n",
    "curve": "time,survival\n-0.3,1.006\n2.5,0.9\n",
    "at_risk": "time,at_risk\n0,34\n5,30\n",
    "ticks": "time\n",
    "people": "patient\nA\n",
    "cohort": "time,event\n3,1\n",
    "outcomes": "time,event,treatment\n3,1,x\n",
    "covariate_hazard_ratios": "study,covariate,level,reference,endpoint,hr,ci_low,ci_high\nA,sex,m,f,os,2,1.1,3\n",
}


@pytest.fixture
def file(tmp_path: Path):
    def write(text: str | bytes, name: str = "table.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.mark.parametrize("kind", TABLES)
def test_every_kind_comes_back_with_all_columns_of_the_contract(kind, file):
    table = read_table(kind, file(GOOD[kind]))
    assert set(TABLES[kind]) <= set(table.columns)
    for name, column in TABLES[kind].items():
        whole = (kind, name) in {("patients", "event"), ("outcomes", "event"), ("at_risk", "at_risk")}
        expected = "object" if column.kind in ("text", "untouched") else "int64" if whole else "float64"
        assert table[name].dtype == expected, name
    again = check_table(kind, table, where="memory")
    pd.testing.assert_frame_equal(again, table)


def test_numbers_and_blanks_are_read_as_written(file):
    table = read_table("medians", file(GOOD["medians"]))
    assert table["median"].tolist()[0] == 8.5 and np.isnan(table["median"][1])
    assert table["ci_low"].tolist() == [6.0, 9.0] and table["ci_high"][0] == 12.0
    assert table["n"].isna().all() and table["use"].tolist() == [None, None]
    assert table["ci_level"].tolist() == [0.95, 0.95]
    assert table.attrs["where"].endswith("table.csv")


def test_columns_of_ones_own_pass_through_untouched(file):
    text = "study,arm,endpoint,time,survival,x_mark\nA,a,os,12,0.5, 007 \n"
    assert read_table("points", file(text))["x_mark"].tolist() == ["007"]
    frame = pd.DataFrame({"time": [1.0], "survival": [0.5], "x_any": [{"kept": 1}]})
    assert check_table("curve", frame, where="memory")["x_any"][0] == {"kept": 1}


def test_spreadsheet_habits_are_read(file):
    text = (
        b'\xef\xbb\xbfstudy,arm,endpoint,time,survival,source\r\n"A, 2020",a,os,12,.5,"two\r\nlines"\r\n\r\n,,,,,\r\n'
    )
    table = read_table("points", file(text))
    assert table.loc[0, ["study", "survival"]].tolist() == ["A, 2020", 0.5] and len(table) == 1


def test_left_censored_and_interval_censored_patients_are_allowed(file):
    text = "study,arm,treatment,time,event,time_upper,entry\nA,a,x,0,1,3,\nA,a,x,3,1,6,3\nA,a,x,6,0,,2\n"
    assert read_table("patients", file(text))["time_upper"].tolist()[:2] == [3.0, 6.0]


POINTS = "study,arm,endpoint,time,survival,ci_low,ci_high,n\n"
MEDIANS = "study,arm,endpoint,median,ci_low,ci_high\n"
PATIENTS = "study,arm,treatment,time,event,entry,time_upper,weight\n"
ARMS = "study,arm,treatment,endpoint,n,events,share_male,measure\n"
RATIOS = "study,endpoint,treatment,reference,hr,ci_low,ci_high,se_log_hr,p,p_below\n"
REFUSED = [
    # kind, text, words the message must have
    ("points", POINTS + "A,a,os,12,55,,,\n", ["row 1 (line 2)", "column survival", "found 55", "0.55", "percent"]),
    ("points", POINTS + "\nA,a,os,6,0.9,,,\nA,a,os,12,1.2,,,\n", ["row 2 (line 4)", "found 1.2", "at most 1"]),
    ("points", POINTS + "A,a,os,12,0.5,0.6,0.7,\n", ["survival", "at least ci_low (0.6)"]),
    ("points", POINTS + "A,a,os,12,0.5,0.4,0.45,\n", ["survival", "at most ci_high (0.45)"]),
    ("points", POINTS + "A,a,os,12,0.5,0.6,0.4,\n", ["ci_low", "found 0.6", "swapped"]),
    ("points", POINTS + "A,a,os,12,0.5,0.4,,\n", ["ci_high", "together"]),
    ("points", POINTS + "A,a,os,6,0.5,,,\nA,a,os,12,0.6,,,\n", ["row 2", "found 0.6", "at most 0.5", "time 6"]),
    ("points", POINTS + "A,a,os,6,0.5,,,\nA,a,os,6,0.5,,,\n", ["row 2", "time 6", "row 1 has it already"]),
    ("points", POINTS + "A,a,os,0,1,,,\n", ["column time", "above 0", "leave that row out"]),
    ("points", POINTS + "A,a,os,12,,,,\n", ["column survival", "found a blank"]),
    ("points", POINTS + ",a,os,12,0.5,,,\n", ["column study", "found a blank"]),
    ("points", POINTS + 'A,a,os,12,"0,5",,,\n', ["'0,5'", "0.5", "decimal comma"]),
    ("points", POINTS + "A,a,os,12,50%,,,\n", ["'50%'", "divide by 100"]),
    ("points", POINTS + "A,a,os,12,0.5,,,20.5\n", ["column n", "20.5", "whole"]),
    ("points", POINTS + "A,a,os,12,0.5,,,0\n", ["column n", "found 0", "at least 1"]),
    ("points", POINTS + "A,a,os,12,0.5,,\n", ["row 1 (line 2)", "7 cells", "8"]),
    ("points", "study,arm,endpoint,time,survial\nA,a,os,12,0.5\n", ["survial", "unknown", "'survival'"]),
    ("points", "study,arm,endpoint,time\nA,a,os,12\n", ["column survival", "no such column"]),
    ("points", "study,arm,endpoint,time,time,survival\nA,a,os,1,1,0.5\n", ["'time' twice"]),
    ("points", "study,arm,endpoint,,survival\nA,a,os,1,0.5\n", ["column 4", "blank name"]),
    ("points", "study;arm;endpoint;time;survival\nA;a;os;1;0.5\n", ["commas"]),
    ("points", POINTS, ["a header and no rows"]),
    ("points", "", ["empty file"]),
    ("points", POINTS.encode() + b"M\xfcller,a,os,12,0.5,,,\n", ["line 2", "0xfc", "UTF-8"]),
    ("points", POINTS + '"A,a,os,12,0.5,,,\n', ["double quotes"]),
    ("points", POINTS + "A,a,os,inf,0.5,,,\n", ["column time", "'inf'"]),
    ("points", "study,arm,endpoint,time,survival,ci_level\nA,a,os,1,.5,95\n", ["ci_level", "0.95"]),
    ("medians", MEDIANS + "A,a,os,8,9,12\n", ["column median", "at least ci_low (9)"]),
    ("medians", MEDIANS + "A,a,os,18,9,12\n", ["column median", "at most ci_high (12)"]),
    ("medians", MEDIANS + "A,a,os,18,0,65\n", ["column ci_low", "no logarithm"]),
    ("medians", MEDIANS + "A,a,os,18,,65\n", ["column ci_low", "beside ci_high"]),
    ("medians", MEDIANS + "A,a,os,,6,65\n", ["column ci_high", "not reached"]),
    ("medians", MEDIANS + "A,a,os,NR,6,\n", ["'NR'", "leave the cell blank"]),
    ("medians", MEDIANS + "A,a,os,-3,,\n", ["found -3", "above 0"]),
    ("patients", PATIENTS + "A,a,x,0,1,,,\n", ["column time", "found 0", "half a day"]),
    ("patients", PATIENTS + "A,a,x,-1,1,,,\n", ["column time", "found -1"]),
    ("patients", PATIENTS + "A,a,x,3,2,,,\n", ["column event", "found 2", "1 = event", "subtract 1"]),
    ("patients", PATIENTS + "A,a,x,3,0.5,,,\n", ["column event", "0.5"]),
    ("patients", PATIENTS + "A,a,x,3,1,3,,\n", ["column entry", "below time (3)"]),
    ("patients", PATIENTS + "A,a,x,3,1,,3,\n", ["column time_upper", "above time (3)"]),
    ("patients", PATIENTS + "A,a,x,3,0,,6,\n", ["column event", "1 where time_upper"]),
    ("patients", PATIENTS + "A,a,x,3,1,,,0\n", ["column weight", "above 0"]),
    ("patients", "study,arm,treatment,time,event,entyr\nA,a,x,3,1,2\n", ["entyr", "'entry'"]),
    ("patients", "study,arm,treatment,time,event,sex\nA,a,x,3,1,male\n", ["column sex", "'male'", "0 and 1"]),
    ("arms", ARMS + "A,a,x,os,4,5,,\n", ["column events", "found 5", "at most n (4)"]),
    ("arms", ARMS + "A,a,x,os,4,,,\nA,a,x,os,4,,,\n", ["row 2", "endpoint 'os'", "row 1 has it already"]),
    ("arms", ARMS + "A,a,x,os,4,,,\nA,a,y,pfs,4,,,\n", ["row 2", "column treatment", "'y'", "'x'"]),
    ("arms", ARMS + "A,a,x,os,4,,47,\n", ["column share_male", "0.47"]),
    ("arms", ARMS + "A,a,x,os,4,,,KM\n", ["column measure", "km, cif_complement, crude"]),
    ("arms", "study,arm,treatment,endpoint,n,age\nA,a,x,os,4,60\n", ["column age", "unknown", "mean_*"]),
    ("arms", "study,arm,treatment,endpoint\nA,a,x,os\n", ["column n", "leave cells blank"]),
    ("hazard_ratios", RATIOS + "A,os,x,y,0.5,,,,,\n", ["column hr", "one of ci_low + ci_high", "p_below"]),
    ("hazard_ratios", RATIOS + "A,os,x,y,-0.5,,,0.2,,\n", ["found -0.5", "not its logarithm"]),
    ("hazard_ratios", RATIOS + "A,os,x,y,0.5,0.6,0.9,,,\n", ["column hr", "at least ci_low (0.6)"]),
    ("hazard_ratios", RATIOS + "A,os,x,y,0.5,,0.9,,,\n", ["together"]),
    ("hazard_ratios", RATIOS + "A,os,x,y,0.5,,,,,<0.001\n", ["'<0.001'", "p_below as 0.001"]),
    ("hazard_ratios", RATIOS + "A,os,x,y,1,,,,0.9,\n", ["column hr", "found 1", "se_log_hr"]),
    ("hazard_ratios", RATIOS + "A,os,x,y,0.5,,,,1,\n", ["column p", "below 1"]),
    ("hazard_ratios", RATIOS + "A,os,x,x,0.5,,,0.2,,\n", ["column reference", "another treatment"]),
    ("counts", "study,arm,endpoint,events,n\nA,a,os,5,4\n", ["column events", "at most n (4)"]),
    ("counts", "study,arm,endpoint,events,n\nA,a,os,5,9\nA,a,os,5,9\n", ["row 2", "time a blank"]),
    ("curves", "study,arm,treatment,endpoint,curve,time_unit\nA,a,x,os,a.csv,month\n", ["time_unit", "months"]),
    ("curve", "time,survival\n0,100\n", ["survival", "write 1"]),
    ("at_risk", "time,at_risk\n0,34.5\n", ["at_risk", "34.5", "whole"]),
    ("at_risk", "time,at_risk\n0,34\n0,33\n", ["row 2", "time 0"]),
    ("ticks", "time\n-1\n", ["found -1", "at least 0"]),
]


@pytest.mark.parametrize(("kind", "text", "words"), REFUSED, ids=[f"{k}-{i}" for i, (k, *_) in enumerate(REFUSED)])
def test_a_refusal_teaches(kind, text, words, file):
    path = file(text)
    with pytest.raises(InputError) as caught:
        read_table(kind, path)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    for word in words:
        assert word in message, f"{word!r} is not in: {message}"


def test_files_that_are_not_there(file, tmp_path):
    file("time\n", name="ticks.csv")
    with pytest.raises(InputError, match=r"no such file.*did you mean 'ticks\.csv'"):
        read_table("ticks", tmp_path / "tick.csv")
    with pytest.raises(InputError, match="a folder"):
        read_table("ticks", tmp_path)
    with pytest.raises(InputError, match=r"table kind.*did you mean 'medians'"):
        read_table("median", tmp_path / "ticks.csv")


def test_a_frame_in_memory_is_checked_the_same_way():
    frame = pd.DataFrame({"time": [1, 2], "survival": [0.9, np.nan]}, index=[7, 9])
    with pytest.raises(InputError, match=r"^my curve, row 2, column survival: found a blank"):
        check_table("curve", frame, where="my curve")
    checked = check_table("curve", frame.fillna(0.5), where="my curve")
    assert checked.index.tolist() == [0, 1] and frame.index.tolist() == [7, 9]


numbers = st.floats(min_value=0.01, max_value=500, allow_nan=False)


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(numbers, st.booleans(), st.floats(-1e6, 1e6)), min_size=1, max_size=20))
def test_what_is_written_is_what_is_read(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("round") / "patients.csv"
    frame = pd.DataFrame(
        {"study": "A", "arm": "a", "treatment": "x", "time": [t for t, _, _ in rows]}
        | {"event": [int(e) for _, e, _ in rows], "age": [a for *_, a in rows]}
    )
    frame.to_csv(path, index=False)
    table = read_table("patients", path)
    for name in ("time", "event", "age"):
        assert table[name].tolist() == frame[name].tolist()


def test_shipped_names_are_the_contracts():
    assert SHIPPED_VOCABULARY.endpoints == ("os", "pfs", "local_control", "intracranial_pfs")
    assert len(SHIPPED_VOCABULARY.treatments) == len(set(SHIPPED_VOCABULARY.treatments)) == 22
    frame = check_table("arms", _arms(("A", "a", "re_srss")), where="arms")
    with pytest.raises(InputError, match=r"column treatment: found 're_srss'.*did you mean 're_srs'"):
        check_vocabulary(frame, where="arms")
    frame = check_table("arms", _arms(("A", "a", "re_srs")).assign(use="used"), where="arms")
    with pytest.raises(InputError, match=r"column use: found 'used'.*target_or_check"):
        check_vocabulary(frame, where="arms")


def _arms(*rows: tuple[str, str, str]) -> pd.DataFrame:
    frame = pd.DataFrame(list(rows), columns=["study", "arm", "treatment"])
    return frame.assign(endpoint="os", n=10.0)


def _linked(medians: list[tuple], **of_arm) -> dict[str, pd.DataFrame]:
    frame = pd.DataFrame(medians, columns=["study", "arm", "endpoint", "median", "ci_low"])
    arms = _arms(("A", "a", "x"), ("A", "b", "y")).assign(**of_arm)
    return {"arms": check_table("arms", arms, where="arms"), "medians": check_table("medians", frame, where="medians")}


def test_links_between_tables():
    check_links(_linked([("A", "a", "os", 8.0, None), ("A", "b", "os", None, 9.0)]))
    check_links(_linked([("A", "a", "os", None, None)], followup=12.0))
    with pytest.raises(InputError, match=r"^medians, row 1, column arm: found 'A \| c \| os'.*did you mean 'A \| [ab]"):
        check_links(_linked([("A", "c", "os", 8.0, None)]))
    with pytest.raises(InputError, match=r"found 'A \| a \| pfs'"):
        check_links(_linked([("A", "a", "pfs", 8.0, None)]))
    with pytest.raises(InputError, match=r"medians, row 2, column median: found a blank.*followup"):
        check_links(_linked([("A", "a", "os", 8.0, None), ("A", "b", "os", None, None)]))
    with pytest.raises(InputError, match="give an arms table too"):
        check_links({"medians": _linked([("A", "a", "os", 8.0, None)])["medians"]})


def test_links_see_one_arm_in_two_files_and_two_treatments_of_one_arm():
    tables = _linked([("A", "a", "os", 8.0, None)])
    with pytest.raises(InputError, match="row 1 has it already"):
        check_links({"arms": pd.concat([tables["arms"]] * 2)})
    patients = pd.DataFrame({"study": ["A"], "arm": ["a"], "treatment": ["z"], "time": [3.0], "event": [1]})
    patients = check_table("patients", patients, where="patients")
    with pytest.raises(InputError, match=r"column treatment: found 'z'; allowed: 'x', as in arms"):
        check_links({**tables, "patients": patients})


def _group(*rows: tuple[str, str, str | None, str | None]) -> list[tuple[int, int]]:
    frame = _arms(*(("A", arm, "x") for arm, *_ in rows)).assign(overlap_group="g")
    names = ["x_overlap_role", "x_overlap_parent", "x_overlap_split"]
    frame[names] = [tuple(rest) for _, *rest in rows]
    return overlapping_rows(check_table("arms", frame, where="arms"))


def test_overlap_is_a_parent_or_its_subgroups_and_one_member():
    nested = [
        ("all", "parent", None, None),
        ("single", "subgroup", "all", "number"),
        ("multiple", "subgroup", "all", "number"),
        ("2-3", "subgroup", "multiple", "how many"),
        (">3", "subgroup", "multiple", "how many"),
    ]
    assert _group(*nested) == [(0, 1), (0, 2), (0, 3), (0, 4), (2, 3), (2, 4)]
    assert _group(("a", "member", None, None), ("b", "member", None, None)) == [(0, 1)]
    two_ways = [
        ("young", "subgroup", "all", "age"),
        ("old", "subgroup", "all", "age"),
        ("men", "subgroup", "all", "sex"),
    ]
    assert _group(*two_ways) == [(0, 2), (1, 2)]


def test_overlap_without_roles_goes_by_the_use_flag():
    frame = _arms(("A", "all", "x"), ("A", "one", "x"), ("A", "two", "x"), ("B", "b", "x"))
    frame = frame.assign(overlap_group=["g", "g", "g", None], use=["use", "subgroup", "subgroup", "use"])
    assert overlapping_rows(check_table("arms", frame, where="arms")) == [(0, 1), (0, 2)]
    assert overlapping_rows(check_table("arms", frame.assign(endpoint=["os", "pfs", "pfs", "os"]), where="arms")) == []


@pytest.mark.slow
def test_known_answer_tables_of_the_shared_folder_are_accepted(shared):
    for folder, kind in (("inputs", "curve"), ("risk", "at_risk"), ("marks", "ticks")):
        for path in sorted((shared / "kmbench" / folder).glob("*.csv"))[:20]:
            raw = pd.read_csv(path)
            table = read_table(kind, path)
            assert (table[raw.columns].to_numpy() == raw.to_numpy()).all(), path
