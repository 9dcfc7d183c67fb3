"""Places of outputs are checked before the work: nothing that is read is replaced, and nothing is sampled in vain."""

from pathlib import Path
from typing import Any

import pytest

from tests.builders.commands import call
from tests.builders.small_spec import write_world

CURVE = "time,survival\n0,1\n2,1\n2,0.75\n4,0.75\n4,0.5\n8,0.5\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    """A spec with its evidence, a curve, and no sampler: whoever comes to sampling fails the test."""
    write_world(tmp_path, {'question = "': 'reference_time = 6.0\nquestion = "'})
    (tmp_path / "curve.csv").write_text(CURVE, encoding="utf-8")

    def sample(*arguments: Any, **more: Any) -> None:
        raise AssertionError("it was sampled")

    monkeypatch.setattr("bayes_bm.inference.fit.fit", sample)
    monkeypatch.setattr("bayes_bm.report.pipeline.fit", sample)
    monkeypatch.setattr("bayes_bm.checks.sensitivity.fit", sample)
    monkeypatch.setattr("bayes_bm.checks.sensitivity.refit", sample)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("fit", "small.toml", "--out", "."), ("found a folder; allowed: a file name",)),
        (("fit", "small.toml", "--out", "ipd.csv"), ("--out: found ipd.csv, which is an input",)),
        (("fit", "small.toml", "--out", "small.toml"), ("--out: found small.toml, which is an input",)),
        (("fit", "small.toml", "--out", "ipd.csv/r.nc"), ("a file; allowed: a folder there",)),
        (("fit", "small.toml", "--out", "/proc/none/r.nc"), ("/proc/none/r.nc: found cannot write there",)),
        (("fit", "small.toml", "--out", "/dev/null"), ("found a device or a pipe",)),
        (("fit", "small.toml", "--out", "x" * 300), ("a name of 300 bytes", "allowed: up to 255 bytes")),
        (("run", "small.toml", "--out", "ipd.csv"), ("--out: found ipd.csv, a file; allowed: a folder",)),
        (("run", "small.toml", "--out", "/proc/none"), ("found cannot write there",)),
        (("run", "small.toml", "--out", "out", "--patient", "kps=1"), ("patient, kps: found an unknown covariate",)),
        (("sensitivity", "small.toml", "--out", "ipd.csv"), ("--out: found ipd.csv, a file; allowed: a folder",)),
        (("split", "small.toml", "--out", "ipd.csv"), ("--out: found ipd.csv, a file; allowed: a folder",)),
        (("simulate", "small.toml", "--out", "ipd.csv"), ("--out: found ipd.csv, a file; allowed: a folder",)),
        (("audit", "small.toml", "--figure", "ipd.csv"), ("--figure: found ipd.csv; allowed: .pdf, .png, .svg",)),
        (("reconstruct", "curve.csv", "--out", "curve.csv"), ("--out: found curve.csv, which is an input",)),
        (
            ("reconstruct", "curve.csv", "--n", "4", "--out", "a.csv", "--draws", "2", "--draws-out", "a.csv"),
            ("--out, --draws-out: found a.csv for both",),
        ),
        (
            ("reconstruct", "curve.csv", "--n", "4", "--out", "a.csv", "--figure", "a.xyz"),
            ("--figure: found a.xyz; allowed: .pdf, .png, .svg",),
        ),
        (("report", "small.toml", "--out", "small.toml"), ("--out: found small.toml, which is an input",)),
    ],
    ids=lambda value: " ".join(value)[:60] if value and isinstance(value, tuple) else None,
)
def test_a_place_is_refused_before_the_work(folder: Path, monkeypatch, capsys, arguments, parts) -> None:
    monkeypatch.chdir(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert call(*arguments) == 2
    said = capsys.readouterr()
    message = said.err.strip().splitlines()[-1]
    assert message.startswith("bayes-bm: ")
    for part in parts:
        assert part in message
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_run_replaces_no_evidence_by_its_tables(folder: Path, monkeypatch, capsys) -> None:
    """Evidence named patient.csv in the folder of the outputs would become a table of predictions."""
    (folder / "patient.csv").write_bytes((folder / "ipd.csv").read_bytes())
    text = (folder / "small.toml").read_text(encoding="utf-8")
    (folder / "small.toml").write_text(text.replace("ipd.csv", "patient.csv"), encoding="utf-8")
    monkeypatch.chdir(folder)
    assert call("run", "small.toml", "--out", ".") == 2
    assert "--out, patient.csv: found patient.csv, which is an input" in capsys.readouterr().err
    assert (folder / "patient.csv").read_bytes() == (folder / "ipd.csv").read_bytes()
