"""More than 400 kinds of bad input, each given to the command line: status 2, one message with the facts, nothing left.

A case is a place (table, spec, option), a change of a good input and words that the message must have. Every message
names the file or option, so that alone is never asked for. Cells are changed by the same list in every table.
"""

import itertools
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from bayes_bm.evidence.tables.schema import TABLES
from bayes_bm.inference import result as stored_results
from tests.builders import posteriors, small_spec, worlds
from tests.builders.bad_inputs import GOOD
from tests.builders.commands import call
from tests.builders.worlds import normal

PATIENTS = small_spec.PATIENTS
SPEC = """
schema = 1
name = "small"
question = "is a better than b?"
endpoint = "os"
[evidence]
patients = ["patients.csv"]
[treatments]
reference = "a"
compare = ["b"]
[effects.study]
sd = { dist = "half_normal", sd = 0.5, why = "test" }
[priors]
intercept = { dist = "normal", sd = 1.0, why = "test" }
log_hr = { dist = "normal", sd = 1.0, why = "test" }
log_shape = { dist = "normal", sd = 0.3, why = "test" }
"""
PROGNOSIS = """
[covariates.age]
prior = { dist = "normal", sd = 1.0, why = "test" }
[prognosis]
sd = { dist = "half_normal", sd = 0.25, why = "test" }
"""
EVIDENCE = {
    "arms": "study,arm,treatment,endpoint,n,events,share_male,mean_age\nA,x,a,os,30,12,0.4,61\n",
    "points": "study,arm,endpoint,time,survival,ci_low,ci_high,n\nA,x,os,12,0.5,0.3,0.7,30\n",
    "medians": "study,arm,endpoint,median,ci_low,ci_high,n\nA,x,os,8.5,6,12,30\n",
    "hazard_ratios": "study,endpoint,treatment,reference,hr,ci_low,ci_high,p\nB,os,b,a,0.6,0.4,0.9,\n",
    "counts": "study,arm,endpoint,events,n,time\nA,x,os,12,20,6\n",
    "registry": "study,arm,endpoint,start,stop,n,alive\nA,x,os,0,5,30,22\n",
    "background": GOOD["background"],
    "prognostic_ratios": "study,covariate,endpoint,hr,ci_low,ci_high,level,reference,n\nC,age,os,0.6,0.4,0.9,1,0,50\n",
}
PEOPLE = "patient,age\nA,50\nB,61.5\n"
OUTCOMES = "age,time,event,treatment\n" + "".join(f"{40 + k},{k + 1},{k % 2},{'ab'[k % 2]}\n" for k in range(20))
RECONSTRUCT = {"curve": GOOD["curve"], "at_risk": GOOD["at_risk"], "ticks": GOOD["ticks"]}


class Case(NamedTuple):
    """A file and its bad bytes, the arguments of the command, and what the message must say."""

    file: str
    data: bytes
    arguments: tuple[str, ...]
    words: tuple[str, ...]


Change = Callable[[str], str | bytes]


def longer(text: str, name: str | None, cell: str) -> str:
    """Return the table with one cell more in every row, and in its header unless there is no name."""
    header, *rows = text.rstrip("\n").split("\n")
    return "\n".join([header if name is None else f"{header},{name}", *(f"{row},{cell}" for row in rows)])


WHOLE_FILE: dict[str, tuple[Change, str]] = {
    "empty": (lambda text: "", "an empty file"),
    "blank lines": (lambda text: "\n\n , ,\n", ""),
    "header only": (lambda text: text.split("\n")[0] + "\n", "no rows"),
    "utf-16": (lambda text: text.encode("utf-16"), "UTF-16"),
    "utf-16 without a mark": (lambda text: text.encode("utf-16-le"), "NUL"),
    "windows-1252": (lambda text: text.encode() + b"\xfc,\n", "byte 0xfc, which is not UTF-8"),
    "nul": (lambda text: text.encode() + b"\0", "a NUL byte"),
    "a spreadsheet": (lambda text: b"PK\x03\x04" + text.encode(), "a zip file or a spreadsheet"),
    "a row too long": (lambda text: text.rstrip("\n") + ",9\n", "cells; allowed"),
    "every row too long": (lambda text: longer(text, None, "9"), "cells"),
    "an open quote": (lambda text: text + '"', "close the double quotes"),
    "a quote inside": (lambda text: text.replace("\n", '\n"a"b,', 1), "expected after"),
    "a column twice": (lambda text: longer(text, text.split(",")[0].split("\n")[0], "1"), "twice"),
    "a column without a name": (lambda text: longer(text, "", "1"), "a blank name"),
    "an unknown column": (lambda text: longer(text, "colour", "red"), "colour"),
    "a thousand columns": (lambda text: text.replace("\n", ",x" * 1000 + "\n", 1), "at most 1000"),
}
"""Changes of a whole file that every table refuses, and a word of the message."""
CELLS = [
    *("old", "1,5x", "50%", "<0.001", "\u0663", "\u22125", "inf"),
    *("-inf", "1e999", "true", "1_0", "9" * 500, "0x10", "--1"),
]
"""Cells that are no number anywhere."""


EACH = 5
"""Cells of the list for one column, in turn over all columns; with all 14 the cases are 837, with the same outcome."""


def with_cell(text: str, column: str, cell: str) -> str:
    """Return the table with another cell in its first row, in quotes where it needs them."""
    header, row, *rest = text.split("\n")
    cells = row.split(",")
    cells[header.split(",").index(column)] = f'"{cell}"'
    return "\n".join([header, ",".join(cells), *rest])


def spec_with(kind: str) -> str:
    """Return a spec that names a table of the kind beside its patients."""
    tables = {kind, *(("arms",) if kind in ("points", "medians", "counts", "registry") else ())} - {"patients"}
    named = "".join(f"{name} = '{name}.csv'\n" for name in sorted(tables))
    return SPEC.replace("[treatments]", f"{named}[treatments]", 1) + (PROGNOSIS if kind == "prognostic_ratios" else "")


def table_cases() -> Iterator[tuple[str, Case]]:
    """Every table under every change of a file, and every column of numbers under every bad cell."""
    audit = ("audit", "s.toml")
    predict = ("predict", "result.nc", "--patients", "people.csv")
    places = {
        **{kind: (text, audit) for kind, text in {"patients": PATIENTS, **EVIDENCE}.items()},
        "people": (PEOPLE, predict),
        "cohort": (OUTCOMES, ("standardise", "result.nc", "--cohort", "cohort.csv")),
        "outcomes": (OUTCOMES, ("score", "result.nc", "--cohort", "outcomes.csv")),
        "curve": (GOOD["curve"], ("reconstruct", "curve.csv", "--n", "40", "--out", "out.csv")),
        "at_risk": (
            GOOD["at_risk"],
            ("reconstruct", "good.csv", "--at-risk", "at_risk.csv", "--n", "40", "--out", "out.csv"),
        ),
        "ticks": (GOOD["ticks"], ("reconstruct", "good.csv", "--ticks", "ticks.csv", "--n", "40", "--out", "out.csv")),
    }
    cells = itertools.cycle(CELLS)
    for kind, (text, arguments) in places.items():
        for name, (change, word) in WHOLE_FILE.items():
            foreign = kind in ("curve", "at_risk", "ticks") and name in FOREIGN
            free = kind == "patients" and name == "an unknown column"
            if not foreign:
                words = (f"{kind}.csv", "red" if free else word)
                if not (kind == "ticks" and name == "header only"):
                    changed = change(text)
                    data = changed if isinstance(changed, bytes) else changed.encode()
                    yield f"{kind}: {name}", Case(f"{kind}.csv", data, arguments, words)
        numbers = [
            column
            for column in text.split("\n")[0].split(",")
            if column in ("age", "mean_age", "share_male")
            or (column in TABLES[kind] and TABLES[kind][column].kind in ("number", "whole"))
        ]
        for column in numbers:
            for cell in itertools.islice(cells, EACH):
                if kind in ("curve", "at_risk", "ticks") and cell in ("50%", "1,5x"):
                    continue
                data = with_cell(text, column, cell).encode()
                words = (f"{kind}.csv, row 1 (line 2), column {column}: found ", "allowed: a")
                yield f"{kind}: {column} {cell[:9]}", Case(f"{kind}.csv", data, arguments, words)


FOREIGN = (
    *("utf-16", "utf-16 without a mark", "windows-1252", "a row too long", "every row too long"),
    *("an unknown column", "a column without a name", "a thousand columns"),
)
"""Changes that a reader of clicks from other programs may take for one of its formats."""
SPECS = {
    "unknown key": ('name = "small"', 'nam = "small"', "did you mean name?"),
    "no endpoint": ('endpoint = "os"\n', "", "this key is required"),
    "long name": ('"small"', f'"{"x" * 300}"', "name"),
    "blank endpoint": ('endpoint = "os"', 'endpoint = " "', "endpoint"),
    "no file": ("patients.csv", "patient.csv", "did you mean 'patients.csv'"),
    "a folder": ("patients.csv", ".", "a folder"),
    "a file twice": ('["patients.csv"]', '["patients.csv", "./patients.csv"]', "a file named twice"),
    "a long file": ("patients.csv", "x" * 400, "File name too long"),
    "shipped: unknown": ('["patients.csv"]', '["shipped:recurrent"]', "'shipped:recurrent', no shipped tables"),
    "shipped: a path": ('["patients.csv"]', '["shipped:../models"]', "no shipped tables"),
    "exclude unknown": (
        "[treatments]",
        'exclude = [{study = "t", why = "w"}]\n[treatments]',
        "'t', no study of any table",
    ),
    "also unknown": ("[treatments]", 'also = [{study = "t", why = "w"}]\n[treatments]', "evidence.also, entry 1"),
    "overlap unknown": ("[treatments]", 'allow_overlap = [{study = "t", why = "w"}]\n[treatments]', "allow_overlap"),
    "arm unknown": ("[treatments]", 'exclude = [{study = "s", arm = "c", why = "w"}]\n[treatments]', "no arm of 's'"),
    "include unknown": ("[treatments]", "include = {quality = [1]}\n[treatments]", "no such column in the arms table"),
    "no such treatments": ('reference = "a"\ncompare = ["b"]', 'reference = "c"\ncompare = ["d"]', "no row of it"),
    "treatment twice": ('compare = ["b"]', 'compare = ["a"]', "named twice"),
    "two slips": ('name = "small"\nquestion', 'nam = "small"\nqestion', "2 errors"),
    "unknown family": ("[priors]", '[hazard]\nfamily = "weibul"\n[priors]', "'weibul' is not known"),
    "prior without why": ('sd = 0.3, why = "test"', "sd = 0.3", "why"),
    "negative sd": ("sd = 0.3", "sd = -0.3", "a number above 0"),
    "sd 0": ("sd = 0.3", "sd = 0.0", "a number above 0"),
    "sd 1e308": ("sd = 0.3", "sd = 1e308", "priors.log_shape.sd: found 1e+308"),
    "sd 1e-300": ("sd = 0.3", "sd = 1e-300", "priors.log_shape.sd: found 1e-300"),
    "mean 1e308": ("sd = 0.3", "mean = -1e308, sd = 0.3", "priors.log_shape.mean: found -1e+308"),
    "nan sd": ("sd = 0.3", "sd = nan", "finite"),
    "inf sd": ("sd = 0.3", "sd = inf", "finite"),
    "no such prior": ('dist = "half_normal"', 'dist = "half_norm"', "half_norm"),
    "covariate time": (
        "[priors]",
        "[covariates.time]\nprior = {dist='normal', sd=1.0, why='t'}\n[priors]",
        "another meaning",
    ),
    "covariate absent": (
        "[priors]",
        "[covariates.kps]\nprior = {dist='normal', sd=1.0, why='t'}\n[priors]",
        "column kps",
    ),
    "lower above upper": (
        *("[priors]", "[covariates.k]\nlower=2\nupper=1\nprior={dist='normal', sd=1.0, why='t'}\n[priors]"),
        "lower below upper",
    ),
    "ratios without prognosis": ("[treatments]", "prognostic_ratios = ['p.csv']\n[treatments]", "prognosis"),
    "prognosis below zero": (
        *("[priors]", "[prognosis]\nsd = {dist='normal', sd=1.0, why='t'}\n[priors]"),
        "a prior on positive numbers",
    ),
    "cause without causes": ('endpoint = "os"', 'endpoint = "os"\ncause = "death"', "no cause in any row"),
    "horizon 1e308": ('endpoint = "os"', 'endpoint = "os"\nhorizon = 1e308', "horizon"),
    "seed too large": ('endpoint = "os"', f'endpoint = "os"\nseed = 1{"0" * 30}', "31 digits"),
    "seed 10^400": ('endpoint = "os"', f'endpoint = "os"\nseed = 1{"0" * 400}', "at most 400 digits"),
    "seed negative": ('endpoint = "os"', 'endpoint = "os"\nseed = -1', "seed"),
    "draws none": ("[priors]", "[sampling]\ndraws = 0\n[priors]", "draws"),
    "deep lists": ("schema = 1", "x = " + "[" * 500 + "]" * 500, "20 deep"),
    "deep tables": ("schema = 1", "x = " + "{a=" * 500 + "1" + "}" * 500, "20 deep"),
    "deep key": ("schema = 1", ".".join("a" * 10**4) + " = 1", "very many parts"),
    "digits": ("schema = 1", "x = " + "1" * 10**5, "very many digits"),
    "schema 2": ("schema = 1", "schema = 2", "schema"),
    "not TOML": ("schema = 1", "schema 1", "not valid TOML"),
    "a key twice": ("schema = 1", "schema = 1\nschema = 1", "not valid TOML"),
    "a slip in a patch": ("[priors]", "[sensitivity.one]\n'prior.log_hr.sd' = 1.0\n[priors]", "sensitivity.one, prior"),
}
OPTIONS = [
    *(("compare", "result.nc", f"--horizon={text}") for text in ("nan", "inf", "0", "-1", "", "1e308")),
    *(("compare", "result.nc", f"--times={text}") for text in ("nan", "0", "6,,12", "", "1e308", "six", "-6")),
    *(("rank", "result.nc", "--estimand", "survival", f"--time={text}") for text in ("nan", "inf", "0", "-1", "")),
    *(("predict", "result.nc", f"--alive-at={text}") for text in ("nan", "inf", "-1", "")),
    *(
        ("predict", "result.nc", f"--patient={text}")
        for text in ("=1", "age", "age=", "age=nan", "age=inf", "", "kps=1", "age=5")
    ),
    *(
        (command, "result.nc", f"--population={text}")
        for command in ("compare", "predict")
        for text in ("", "share_age=0.5", "mean_age=5", "mean_age=nan", "age=61", "share_age=0.5,share_age=0.5")
    ),
    *(("predict", "result.nc", f"--treatment={text}") for text in ("", "z", "a,,b")),
    *(("predict", "result.nc", f"--estimand={text}") for text in ("", "hope", "quantile:2")),
    *(("predict", "result.nc", f"--margin={text}") for text in ("", "rmst", "rmst=nan", "hope=1", "survival=2")),
    *(("predict", "result.nc", f"--who={text}") for text in ("", "hospital", "study:", "study:none")),
    *(
        ("simulate", "s.toml", "--out", "w", f"--sizes={text}")
        for text in ("inf,inf", "nan,1", "9", "9,3", "0,9", "1,1e30", "")
    ),
    *(("simulate", "s.toml", "--out", "w", f"--truth={text}") for text in (".", "none.toml")),
    *(("simulate", "s.toml", "--out", "w", f"--mix={text}") for text in ("=1", "points", "points=nan", "")),
    *(
        ("audit", "s.toml", f"--set={text}")
        for text in ("", "x", "=1", "a..b=1", "seed=" + "[" * 999, "seed=" + "9" * 5000)
    ),
    *(("audit", text) for text in ("", "x" * 5000, "none", ".")),
    ("reconstruct", "good.csv", "--out", "o.csv", "--n=" + "9" * 30),
    ("reconstruct", "good.csv", "--out", "o.csv", "--n", "9", "--axis-max=nan"),
]


def cases() -> dict[str, Case]:
    """All cases by name."""
    named = dict(table_cases())
    for name, (old, new, word) in SPECS.items():
        assert old in SPEC, name
        data = SPEC.replace(old, new, 1).encode()
        place = "evidence" if word.startswith(("evidence", "'t'", "no arm", "allow")) or "shipped" in name else ""
        named[f"spec: {name}"] = Case("s.toml", data, ("audit", "s.toml"), (word, place))
    for arguments in OPTIONS:
        option = arguments[-1].split("=")[0]
        word = "SPEC" if option == "" or option.startswith("x") else option.lstrip("-").split("-")[0]
        named[f"option: {' '.join(arguments)[:60]}"] = Case("unused", b"", arguments, (OPTION_WORDS.get(option, word),))
    return named


OPTION_WORDS = {
    **dict.fromkeys(("--patient", "--who", "--estimand", "--mix"), ""),
    "--truth": "found",
    "--treatment": "treatment",
}
"""Where the library names what was asked for in other words than the option."""
CASES = cases()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Iterator[Path]:
    """Good files of every kind, and a stored result, which commands read once for all cases: a third of a second."""
    place = tmp_path_factory.mktemp("bad")
    spec = worlds.spec(covariates={"age": {"prior": normal(0.5), "lower": 18.0, "upper": 110.0, "unit": "years"}})
    tables = {kind: rows for kind, rows in worlds.TABLES.items() if kind != "patients"}
    posteriors.result(spec, worlds.evidence(spec, tables)).save(place / "result.nc")
    (place / "good.csv").write_text(GOOD["curve"], encoding="utf-8")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(stored_results, "load", cache(stored_results.load))
        yield place


def test_there_are_many_kinds() -> None:
    assert len(CASES) >= 400


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_bad_input_ends_in_one_message(name, folder, capsys, monkeypatch) -> None:
    case = CASES[name]
    monkeypatch.chdir(folder)
    kind = case.file.removesuffix(".csv")
    for other, text in {"patients": PATIENTS, **EVIDENCE}.items():
        Path(f"{other}.csv").write_text(text, encoding="utf-8")
    Path("s.toml").write_text(spec_with(kind) if kind in EVIDENCE else SPEC, encoding="utf-8")
    Path(case.file).write_bytes(case.data)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert call(*case.arguments) == 2
    said = capsys.readouterr()
    assert said.out == "" and "Traceback" not in said.err and "fault of the program" not in said.err
    for word in case.words:
        assert word in said.err
    assert len(said.err) < 2500
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
