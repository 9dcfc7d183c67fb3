"""Curves, numbers at risk and ticks as other programs write them: read where one reading is possible, and said."""

import json

import numpy as np
import pandas as pd
import pytest

import bayes_bm as bb
from bayes_bm.cli.app import main
from bayes_bm.evidence.tables.foreign_clicks import read_clicks
from bayes_bm.runtime.errors import InputError

CURVE = [[0.0, 1.0], [1.5, 0.95], [4.0, 0.5]]
AT_RISK = [[0.0, 21.0], [5.0, 12.0]]


def read(folder, kind, text, name="file.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return read_clicks(kind, path)


@pytest.mark.parametrize(
    "text, changes",
    [
        ("time,survival\n0,1\n1.5,0.95\n4,0.5\n", []),
        ("Time;Survival\n0;1\n1,5;0,95\n4;0,5\n", ["semicolons", "decimal commas"]),
        ("sep=;\ntime;survival\n0;1\n1,5;0,95\n4;0,5\n", ["semicolons", "decimal commas"]),
        ("time;survival\n0;1\n1.5;0.95\n4;0.5;\n".replace(";\n", "\n"), ["semicolons"]),
        ("time\tsurvival\n0\t1\n1.5\t0.95\n4\t0.5\n", ["tabs"]),
        ("time\tsurvival\r\n0\t1\r\n1,5\t0,95\r\n4\t0,5\r\n", ["tabs", "decimal commas"]),
        ("0,1\n1.5,0.95\n4,0.5\n", ["no header"]),
        ("0,100\n1.5,95\n4,50\n", ["no header", "percent"]),
        ("time,survival\n0,100\n1.5,95\n4,50\n", ["percent"]),
        ("time,survival\n0,100%\n1.5,95 %\n4,50%\n", ["percent"]),
        ("Time (months);Survival (%)\n0;100\n1,5;95\n4;50\n", ["'Time (months)' as time", "percent"]),
        ("Default Dataset,\nX,Y\n0, 1\n1.5, 0.95\n4, 0.5\n", ["'x' as time and 'y' as survival"]),  # WebPlotDigitizer
        ("0, 1\n1.5, 0.95\n4, 0.5\n", ["no header"]),
        ("x\tControl arm\n0\t1\n1,5\t0,95\n4\t0,5\n", ["'control arm' as survival"]),  # DigitizeIt
        ("x;y\n0;1;\n1,5;0,95;\n4;0,5;\n", ["semicolons", "'y' as survival"]),
        ('"","time","survival"\n"1",0,1\n"2",1.5,0.95\n"3",4,0.5\n', ["1 column left out"]),  # R, write.csv
        ('"time" "surv"\n"1" 0 1\n"2" 1.5 0.95\n"3" 4 0.5\n', ["blanks", "'surv' as survival"]),  # R, write.table
        ('"ID" "time" "survival"\n1 0 1\n2 1.5 0.95\n3 4 0.5\n', ["blanks", "1 column left out"]),  # survHE
        ("survival;time\n1;0\n0,95;1,5\n0,5;4\n", ["semicolons"]),
        ("\ufeffTIME,SURVIVAL\n0,1\n1.5,0.95\n4,0.5\n", ["as time"]),
    ],
)
def test_curves_of_other_programs(tmp_path, text, changes):
    table = read(tmp_path, "curve", text)
    np.testing.assert_allclose(table[["time", "survival"]], CURVE)
    said = "; ".join(table.attrs["changes"]).lower()
    assert all(change.lower() in said for change in changes)
    assert bool(said) == bool(changes)


@pytest.mark.parametrize(
    "kind, text, numbers",
    [
        ("at_risk", "Interval t.risk lower upper n.risk\n1 0 1 3 21\n2 5 4 9 12\n", AT_RISK),  # survHE
        ("at_risk", "Interval time lower upper n.risk\n1 0 1 3 21\n2 5 4 9 12\n", AT_RISK),
        ("at_risk", "trisk;nrisk\n0;21\n5,0;12\n", AT_RISK),  # IPDfromKM
        ("at_risk", "Time,Number at risk\n0,21\n5,12\n", AT_RISK),
        ("ticks", "1.5\n4\n", [[1.5], [4.0]]),
        ("ticks", "x, y\n1.5, 0.95\n4, 0.5\n", [[1.5], [4.0]]),
        ("ticks", "time\n1,5\n4,0\n", [[1.5], [4.0]]),
    ],
)
def test_numbers_at_risk_and_ticks_of_other_programs(tmp_path, kind, text, numbers):
    table = read(tmp_path, kind, text)
    np.testing.assert_allclose(table[["time", "at_risk"] if kind == "at_risk" else ["time"]], numbers)
    assert table.attrs["changes"]


@pytest.mark.parametrize(
    "kind, text, message",
    [
        ("ticks", "1,5\n2,4\n", "two readings, .* one way only"),  # 1.5 and 2.4, or 1 and 2 with heights
        ("ticks", "time\n1,5\n2,4\n", "two readings"),  # 1.5 and 2.4, or 5 and 4 with row names
        ("curve", "A,,B,\nX,Y,X,Y\n0,1,0,1\n1.2,0.95,1,.9\n", "2 columns 'x'; allowed: one curve a file"),
        ("curve", "time,survival\n0,1\n1,5,0,95\n", "row 2 .line 3.: found 4 cells"),
        ("curve", "1.200;0,95\n1.300;0,9\n", "unknown column"),  # a thousand, or a decimal point
        ("curve", "a;b\n0;1\n1;0,9\n", "found 'a;b'"),
        ("curve", "time,survival,dose\n0,1,2\n1,0.9,2\n", "column dose: found an unknown column"),
        ("curve", "time;survival\n0;1\n1,5;0,9x\n", "columns separated by commas"),
        ("curve", "time;survival\n", "columns separated by commas"),
        ("curve", "time,survival\n0,62\n1,50\n", "found 62"),  # no percent that starts at 100
        ("curve", "", "an empty file"),
    ],
)
def test_what_can_be_read_in_two_ways_or_in_none_is_refused(tmp_path, kind, text, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, kind, text)


FOREIGN = {
    "km.txt": "x\tArm A\n" + "".join(f"{k}\t{str(100 - 5 * (k // 2)).replace('.', ',')}\n" for k in range(20)),
    "risk.txt": "Interval t.risk lower upper n.risk\n1 0 1 10 40\n2 10 11 20 30\n",
}


def test_the_command_says_what_it_changed(tmp_path, capsys):
    for name, text in FOREIGN.items():
        (tmp_path / name).write_text(text)
    files = [str(tmp_path / name) for name in (*FOREIGN, "out.csv")]
    with pytest.raises(SystemExit) as ended:
        main(["reconstruct", files[0], "--at-risk", files[1], "--axis-max", "20", "--out", files[2], "--json"])
    assert not ended.value.code
    rows = json.loads(capsys.readouterr().out)["diagnostics"]
    said = [row["note"] for row in rows if row["check"] in ("input", "percent") and row["status"] == "changed"]
    assert any("tabs between columns" in text for text in said)
    assert any("at risk read with blanks between columns" in text for text in said)
    assert any("in percent (largest 100): divided by 100" in text for text in said)
    assert len(pd.read_csv(files[2])) == 40


def test_a_manifest_takes_them_too(tmp_path):
    for name, text in FOREIGN.items():
        (tmp_path / name).write_text(text)
    manifest = tmp_path / "curves.csv"
    header = "study,arm,treatment,endpoint,curve,at_risk,axis_max"
    manifest.write_text(f"{header}\none,a,gtr,os,km.txt,risk.txt,20\n")
    result = bb.reconstruct_all(manifest, cores=1)
    assert not result.refused
    assert result.diagnostics["note"].str.contains("tabs between columns").any()
