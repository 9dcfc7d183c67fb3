"""Tables of other programs, as their help pages show them, become ours with signs and codes as meant; and back."""

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayes_bm.evidence.neighbours.clicks import convert_curve
from bayes_bm.evidence.neighbours.ipdfromkm import ipdfromkm_bundle
from bayes_bm.evidence.neighbours.r_lines import PROGRAMS, r_bundle
from bayes_bm.evidence.neighbours.reading import Given, convert_table
from bayes_bm.evidence.reading import read_evidence, select
from bayes_bm.evidence.tables.checking import check_table
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.reading import read_spec
from tests.builders import worlds
from tests.builders.commands import call


def written(folder: Path, text: str, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


CONTRASTS = {
    "netmeta": "studlab,treat1,treat2,TE,seTE\nLee,b,a,-0.5,0.2\n",
    "metafor": "slab,yi,vi\nLee,-0.5,0.04\n",
    "multinma": "study,trt,y,se\nLee,a,NA,NA\nLee,b,-0.5,0.2\n",
    "gemtc": "study,treatment,diff,std.err\nLee,a,NA,NA\nLee,b,-0.5,0.2\n",
}


@pytest.mark.parametrize("program", CONTRASTS)
def test_a_contrast_keeps_its_sign_and_its_standard_error(tmp_path, program) -> None:
    names = Given(treatment="b", reference="a")
    [row] = convert_table("hazard_ratios", written(tmp_path, CONTRASTS[program]), names).table.to_dict("records")
    assert (row["study"], row["treatment"], row["reference"]) == ("Lee", "b", "a")
    assert (row["hr"], row["se_log_hr"]) == (pytest.approx(np.exp(-0.5)), pytest.approx(0.2))


def test_a_converted_contrast_is_the_log_ratio_of_the_evidence(tmp_path) -> None:
    table = convert_table("hazard_ratios", written(tmp_path, CONTRASTS["netmeta"])).table
    evidence = select(worlds.spec(), {"hazard_ratios": check_table("hazard_ratios", table, where="test")})
    assert evidence.hazard_ratios["log_hr"].tolist() == [pytest.approx(-0.5)]
    assert evidence.hazard_ratios["se"].tolist() == [pytest.approx(0.2)]


def test_ratios_of_three_arms_share_the_error_of_their_baseline(tmp_path) -> None:
    text = "study,trt,y,se\nLee,a,NA,0.1\nLee,b,-0.5,0.2\nLee,c,0.3,0.25\n"
    table = convert_table("hazard_ratios", written(tmp_path, text)).table
    assert table["reference"].tolist() == ["a", "a"] and table["se_reference"].tolist() == [0.1, 0.1]
    with pytest.raises(InputError, match="study Lee: found 0 arms of Lee without an effect"):
        convert_table("hazard_ratios", written(tmp_path, text.replace("NA", "0")))


@pytest.mark.parametrize(
    ("text", "events"),
    [
        ("time,status,treat\n3,1,0\n5,0,1\n", [1, 0]),
        ("time,status,rx\n3,2,a\n5,1,b\n", [1, 0]),
        ("study,trt,time,status\nLee,a,3,TRUE\nLee,b,5,FALSE\n", [1, 0]),
        ("time,event,arm\n3,1,a\n5,0,b\n", [1, 0]),
    ],
    ids=["IPDfromKM", "Surv with 1 and 2", "multinma", "kmdata"],
)
def test_patients_keep_times_and_what_an_event_is(tmp_path, text, events) -> None:
    table = convert_table("patients", written(tmp_path, text), Given(study="Lee")).table
    assert table["time"].tolist() == [3, 5] and table["event"].tolist() == events
    assert table["study"].tolist() == ["Lee", "Lee"] and table["treatment"].nunique() == 2


@pytest.mark.parametrize(
    "text",
    [
        "study,treatment,responders,sampleSize\nLee,a,21,45\n",
        "studlab,treat,event,n\nLee,a,21,45\n",
        "study,trt,r,n\nLee,a,21,45\n",
    ],
)
def test_arms_become_counts_and_rows_of_arms(tmp_path, text) -> None:
    path = written(tmp_path, text)
    [count] = convert_table("counts", path).table.to_dict("records")
    assert (count["study"], count["arm"], count["events"], count["n"]) == ("Lee", "a", 21, 45)
    [arm] = convert_table("arms", path).table.to_dict("records")
    assert (arm["treatment"], arm["endpoint"], arm["n"]) == ("a", "os", 45)


DATASETS = {"Surgery": [(0.0, 100.0), (6.0, 80.5)], "SRS": [(0.0, 100.0), (5.0, 70.0)]}


def projects(folder: Path) -> dict[str, Path]:
    """The same clicks as WebPlotDigitizer keeps them, version 3 and 4, alone and in a tar; and as tables."""
    data = [
        {"name": name, "data": [{"x": 1, "y": 2, "value": pair} for pair in pairs]} for name, pairs in DATASETS.items()
    ]
    four, three = json.dumps({"version": [4, 2], "datasetColl": data}), json.dumps({"wpd": {"dataSeries": data}})
    with tarfile.open(folder / "project.tar", "w") as archive:
        member = tarfile.TarInfo("project/wpd.json")
        member.size = len(four)
        archive.addfile(member, io.BytesIO(four.encode()))
    pairs = "Surgery,,SRS,\nX,Y,X,Y\n0,100,0,100\n6,80.5,5,70\n"
    engauge = "x,Surgery,SRS\n0,100,100\n5,,70\n6,80.5,\n"
    texts = {"four.json": four, "three.json": three, "pairs.csv": pairs, "engauge.csv": engauge}
    return {name: written(folder, text, name) for name, text in texts.items()} | {"tar": folder / "project.tar"}


def test_several_curves_of_a_digitiser_are_chosen_by_name(tmp_path) -> None:
    for name, path in projects(tmp_path).items():
        curve = convert_curve(path, "SRS").table
        assert curve["time"].tolist() == [0, 5] and curve["survival"].tolist() == [1, 0.7], name
        with pytest.raises(InputError, match="2 curves; choose one: --dataset NAME; names: Surgery, SRS"):
            convert_curve(path)
        with pytest.raises(InputError, match="--dataset: found 'surgery'; allowed: Surgery, SRS"):
            convert_curve(path, "surgery")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "{", "allowed: a project of WebPlotDigitizer"),
        ("a.json", '{"datasetColl": [{"name": "a", "data": [{"value": ["x", 1]}]}]}', "found JSON of another kind"),
        ("a.json", '{"datasetColl": []}', "found no clicks"),
        ("a.tar", "no tar", "allowed: a tar of WebPlotDigitizer"),
        ("a.csv", "x,a,b\n0,1,1\n3,7,\n", "data set"),
    ],
)
def test_files_of_no_digitiser_are_refused(tmp_path, name, text, message) -> None:
    path = written(tmp_path, text, name)
    if name == "a.csv":
        assert convert_curve(path, "a").changes[-1] == "survival was in percent: divided by 100"
        return
    with pytest.raises(InputError, match=message):
        convert_curve(path)


def test_every_program_gets_what_it_reads_and_the_script_says_what_not() -> None:
    spec = worlds.spec()
    evidence = worlds.evidence(spec)
    for program in PROGRAMS:
        bundle = r_bundle(program, spec, evidence)
        assert f"library({program})" in bundle.files["analysis.R"]
        assert any("medians" in sentence for sentence in bundle.left_out)
    bundle = r_bundle("survival", spec, evidence)
    patients, known = pd.read_csv(io.StringIO(bundle.files["patients.csv"])), evidence.patients["time_upper"].isna()
    assert patients["time"].sum() == pytest.approx(evidence.patients.loc[known, "time"].sum())
    assert patients["status"].sum() == evidence.patients.loc[known, "event"].sum()
    assert "survival does not take patients known within an interval alone: 1 row" in bundle.left_out
    weighted = replace(evidence, patients=evidence.patients.assign(weight=2.0))
    assert "data = patients, weights = weight)" in r_bundle("survival", spec, weighted).files["analysis.R"]
    assert any("weights" in sentence for sentence in r_bundle("multinma", spec, weighted).left_out)
    ratios = pd.read_csv(io.StringIO(r_bundle("metafor", spec, evidence).files["ratios.csv"]))
    assert ratios["yi"].tolist() == pytest.approx(evidence.hazard_ratios["log_hr"].tolist())


def test_contrasts_of_multinma_come_back_as_they_were(tmp_path) -> None:
    spec = worlds.spec()
    evidence = worlds.evidence(spec)
    text = r_bundle("multinma", spec, evidence).files["contrasts.csv"]
    table = convert_table("hazard_ratios", written(tmp_path, text)).table
    assert np.log(table["hr"]).tolist() == pytest.approx(evidence.hazard_ratios["log_hr"].tolist())
    again = select(spec, {"hazard_ratios": check_table("hazard_ratios", table, where="test")})
    np.testing.assert_allclose(again.hr_cholesky, evidence.hr_cholesky, atol=1e-12)


@pytest.mark.slow
def test_a_spec_without_ratios_has_nothing_for_metafor() -> None:
    spec = read_spec("os_reresection_vs_resrs")
    with pytest.raises(InputError, match="--to: found metafor, and no rows that it reads"):
        r_bundle("metafor", spec, read_evidence(spec))


def test_a_manifest_becomes_calls_of_ipdfromkm(tmp_path) -> None:
    written(tmp_path, "time,survival\n0,1\n3,0.8\n", "lee.csv")
    written(tmp_path, "time,at_risk\n0,60\n6,41\n", "risk.csv")
    header = "study,arm,treatment,endpoint,curve,at_risk,n,events"
    rows = f"{header}\nLee,a,a,os,lee.csv,risk.csv,60,21\nKim,a,a,os,lee.csv,,40,\n"
    lines = ipdfromkm_bundle(written(tmp_path, rows, "curves.csv")).files["analysis.R"].splitlines()
    assert (
        'prepared <- preprocess(dat = read.csv("clicks_1.csv"), maxy = 1, trisk = c(0, 6), nrisk = c(60, 41))' in lines
    )
    assert "patients[[1]] <- getIPD(prep = prepared, armID = 1, tot.events = 21)$IPD" in lines
    assert 'prepared <- preprocess(dat = read.csv("clicks_2.csv"), maxy = 1, totalpts = 40)' in lines


def test_the_command_writes_a_table_or_a_folder_and_says_how_it_read(tmp_path, capsys) -> None:
    path = written(tmp_path, CONTRASTS["netmeta"])
    out = tmp_path / "ratios.csv"
    assert call("convert", path, "--to", "hazard_ratios", "--out", out) == 0
    assert "read as a table of netmeta" in capsys.readouterr().out
    assert pd.read_csv(out)["hr"].tolist() == [pytest.approx(np.exp(-0.5))]
    assert call("convert", path, "--to", "winbugs", "--out", out) == 2
    assert "--to: found 'winbugs'; allowed: curve, at_risk" in capsys.readouterr().err
    assert call("convert", path, "--to", "counts", "--out", tmp_path / "counts.csv") == 2
    assert "allowed: gemtc (study, treatment, responders, samplesize) or" in capsys.readouterr().err
    assert not (tmp_path / "counts.csv").exists()
