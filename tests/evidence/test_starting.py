"""What `init` writes runs as it is and says from what it was filled; `lint` says everything that is wrong."""

import json
from pathlib import Path

import pandas as pd
import pytest

import bayes_bm as bb
from bayes_bm.cli.app import main
from bayes_bm.evidence.starting.analysis import start_from_patients, start_from_question, treatments_of
from bayes_bm.evidence.starting.patients import read_patients_file
from bayes_bm.runtime.errors import InputError
from tests.builders.commands import call


def patients(studies=("s", "t"), scale=1.0) -> pd.DataFrame:
    """Eight patients of three treatments in each study; half of them have died at 5 months."""
    rows = [
        {
            "study": study,
            "arm": arm,
            "treatment": arm,
            "time": scale * time,
            "event": event,
            "age": 50 + time,
            "male": time % 2,
        }
        for study in studies
        for arm, times in {"srs": (2, 4, 6, 30), "surgery": (3, 5, 9), "laser": (8,)}.items()
        for time, event in zip(times, (1, 1, 1, 0), strict=False)
    ]
    table = pd.DataFrame(rows)
    return table.assign(male=(table["age"] % 2).astype(int))


def start(table: pd.DataFrame, folder: Path, **asked) -> bb.Spec:
    table.to_csv(folder / "series.csv", index=False)
    shown = read_patients_file(folder / "series.csv", **asked)
    start_from_patients(shown, folder / "analysis", endpoint="os").write(folder / "analysis")
    return bb.read_spec(folder / "analysis" / "spec.toml")


def test_a_table_of_patients_fills_the_spec(tmp_path) -> None:
    spec = start(patients(), tmp_path)
    assert spec.treatments.names == ("srs", "surgery", "laser")
    assert (spec.time_unit, spec.reference_time, spec.horizon) == ("months", 6.0, 12.0)
    assert spec.effects.study.sd.sd == 0.5
    assert (spec.effects.study_treatment, spec.effects.study_shape) == (None, None)
    assert list(spec.sensitivity) == ["sceptical", "wide_heterogeneity"]
    text = (tmp_path / "analysis" / "spec.toml").read_text(encoding="utf-8")
    assert "guessed: the longest follow-up is 30; is that right?" in text
    assert "near the median of all patients together, 5\n" in text
    assert 'patients = ["../series.csv"]' in text
    assert len(bb.audit(tmp_path / "analysis" / "spec.toml").rows) == 6
    # comments taken away, covariates are there
    adjusted = (
        text.replace("# [cov", "[cov")
        .replace("# prior", "prior")
        .replace("# centre", "centre")
        .replace("# scale", "scale")
    )
    (tmp_path / "analysis" / "adjusted.toml").write_text(adjusted, encoding="utf-8")
    terms = bb.read_spec(tmp_path / "analysis" / "adjusted.toml").covariates
    assert {name: term.scale for name, term in terms.items()} == {"age": 10.0, "male": 1.0}


def test_names_of_other_programs_are_understood_and_said(tmp_path) -> None:
    own = (
        patients(("s",), scale=30.0)
        .rename(columns={"event": "status", "treatment": "group"})
        .drop(columns=["study", "arm"])
    )
    named = own.assign(trial=["s", "t"] * (len(own) // 2) + ["s"] * (len(own) % 2))
    named.to_csv(tmp_path / "named.csv", index=False)
    assert read_patients_file(tmp_path / "named.csv").studies == ("s", "t")
    spec = start(own, tmp_path)
    assert (spec.time_unit, spec.reference_time, spec.effects.study) == ("days", 180.0, None)
    made = pd.read_csv(tmp_path / "analysis" / "patients.csv")
    assert set(made["study"]) == {"own series"}
    assert list(made["arm"]) == list(made["treatment"])
    shown = read_patients_file(tmp_path / "series.csv", unit="weeks")
    assert (shown.unit, shown.reference_time) == ("weeks", 156.0)
    assert shown.changes[:2] == ("column status is taken as event", "column group is taken as treatment")


def hospital(**columns) -> pd.DataFrame:
    """A table as a hospital keeps it: identifiers, words for events, a unit in a heading."""
    table = {
        "Patient ID": ["P1", "P2", "P3", "P4"],
        "Centre": ["north", "north", "south", "south"],
        "Therapy": ["SRS", "surgery", "SRS", "surgery"],
        "OS (months)": [2, 3, 4, 30],
        "Died": ["yes", "Yes", "no", "no"],
        "Age (years)": [51, 60, "NA", 72],
        "Diabetes": ["no", "yes", "no", "yes"],
        "MRN": [11, 12, 13, 14],
    }
    return pd.DataFrame({**table, **columns})


def test_a_hospitals_table_is_taken_as_it_is_and_said(tmp_path) -> None:
    spec = start(hospital(), tmp_path)
    assert (spec.time_unit, spec.treatments.names) == ("months", ("SRS", "surgery"))
    shown = read_patients_file(tmp_path / "series.csv")
    assert shown.unit_reason.startswith("as the column's name says")
    assert shown.table["event"].tolist() == ["1", "1", "0", "0"]
    assert [(column.name, column.two_valued, column.blank) for column in shown.covariates] == [
        ("Age (years)", False, 1),
        ("Diabetes", True, 0),
    ]
    assert shown.changes == (
        "column OS (months) is taken as time",
        "column Died is taken as event",
        "column Therapy is taken as treatment",
        "column Centre is taken as study",
        "column arm is added: an arm is a treatment of a study",
        "column event: no is 0, yes is 1",
        "column Diabetes: no is 0, yes is 1",
        "columns Patient ID, MRN: kept with x_ before the name, which no model reads (to adjust for categories, make"
        " columns of 0 and 1 of them)",
    )


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (hospital().drop(columns=["Died", "Therapy"]), "columns event and treatment: found no such column among Pat"),
        (hospital(Died=["yes", "lost", "no", "no"]), "column event: found 'yes'; allowed: a whole number"),
        (hospital(Diabetes=[1, 0, "unknown", 1]), "row 3, column Diabetes: found 'unknown'; allowed: a number"),
        (hospital(**{"Age (years)": ["51,5", "60,5", "70,5", "40,5"]}), "write the decimal comma as a point"),
    ],
)
def test_what_init_cannot_tell_is_asked(tmp_path, table, said) -> None:
    table.to_csv(tmp_path / "wrong.csv", index=False)
    with pytest.raises(InputError, match=said):
        read_patients_file(tmp_path / "wrong.csv")


def test_three_studies_have_every_effect(tmp_path) -> None:
    spec = start(patients(("s", "t", "u")), tmp_path)
    assert (spec.effects.study_treatment.sd.sd, spec.effects.study_shape.sd.sd) == (0.3, 0.2)


def test_one_treatment_is_no_comparison(tmp_path) -> None:
    table = patients()
    table[table["treatment"] == "srs"].to_csv(tmp_path / "one.csv", index=False)
    with pytest.raises(InputError, match="column treatment: found srs alone; allowed: two treatments or more"):
        read_patients_file(tmp_path / "one.csv")


@pytest.mark.parametrize("question", ["surgery", "a v a", " v b", "a v " + "b" * 99])
def test_a_question_names_two_treatments(question) -> None:
    with pytest.raises(InputError, match=r'--question: found .*; allowed: "A v B"'):
        treatments_of(question)


@pytest.mark.slow
def test_a_question_gives_tables_that_fit_as_they_are(tmp_path) -> None:
    begun = start_from_question("Surgery vs. laser ablation versus srs", endpoint="pfs", unit="weeks")
    begun.write(tmp_path)
    spec = bb.read_spec(tmp_path / "spec.toml")
    assert spec.treatments.names == ("srs", "Surgery", "laser_ablation")
    assert (spec.reference_time, spec.time_unit) == (52.0, "weeks")
    result = bb.fit(spec, draws=30, tune=60, chains=1)
    # three studies with arms, one more of the third treatment; the ratio's study has no arm
    assert list(result.posterior["study"].to_numpy()) == ["Example 1", "Example 10", "Example 2", "Example 3"]
    assert float(bb.survival(result, [52]).mean()) == pytest.approx(0.45, abs=0.15)


def test_nothing_is_replaced(tmp_path, capsys) -> None:
    assert call("init", tmp_path / "new", "--question", "a v b") == 0
    said = capsys.readouterr().out
    assert f"bayes-bm run {tmp_path / 'new' / 'spec.toml'}" in said
    spec = tmp_path / "new" / "spec.toml"
    before = spec.read_text(encoding="utf-8")
    assert call("init", tmp_path / "new") == 2
    assert "found spec.toml, arms.csv, medians.csv, points.csv, hazard_ratios.csv, spec.schema.json already" in (
        capsys.readouterr().err
    )
    assert spec.read_text(encoding="utf-8") == before


@pytest.mark.slow
def test_lint_says_what_rows_teach_and_what_is_missing(tmp_path, capsys) -> None:
    call("init", tmp_path, "--question", "a v b")
    capsys.readouterr()
    assert call("lint", tmp_path, "--json") == 0
    [look] = json.loads(capsys.readouterr().out)["specs"]
    assert look["errors"] == []
    assert [row["kind"] for row in look["rows"]] == ["points", "median", "median", "median", "hazard ratio"]
    assert "b: no row shows its shape; patients, a curve or survival at two times would" in look["missing"]
    assert (
        "Example 3, b: a median with n alone; its interval (ci_low, ci_high) would say how sure it is"
        in look["missing"]
    )
    assert not any(line.startswith("a: no row") for line in look["missing"])


def test_lint_says_everything_that_is_wrong(tmp_path, capsys) -> None:
    call("init", tmp_path, "--question", "a v b")
    for name, old, new in (("medians.csv", "9.6", "many"), ("points.csv", "0.55", "55")):
        text = (tmp_path / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    capsys.readouterr()
    assert call("lint", tmp_path) == 2
    said = capsys.readouterr().out
    assert f"{tmp_path / 'spec.toml'}: 2 errors" in said
    assert "row 1 (line 2), column survival: found 55" in said
    assert "row 2 (line 3), column median: found 'many'" in said
    spec = tmp_path / "spec.toml"
    spec.write_text(spec.read_text(encoding="utf-8").replace("horizon", "horizn").replace("seed = 1", "seed = -1"))
    assert call("lint", tmp_path) == 2
    said = capsys.readouterr().out
    assert "- horizn: found an unknown key; did you mean horizon?" in said
    assert "- seed: found -1; allowed: a whole number at least 0" in said
    (tmp_path / "empty").mkdir()
    assert call("lint", tmp_path / "empty") == 2
    assert "found no spec; allowed: a folder with a TOML file" in capsys.readouterr().err


def test_the_schema_is_printed(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["schema"])
    assert json.loads(capsys.readouterr().out)["title"] == "A spec of bayes_bm"
