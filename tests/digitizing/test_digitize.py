"""A figure drawn from patients is read back: curves, files and names, and what a person says of it wins."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

import bayes_bm as bb
from bayes_bm.digitizing import verdict
from bayes_bm.digitizing.calibration import Calibration, GivenArm
from bayes_bm.digitizing.calibration_file import read_calibration
from bayes_bm.digitizing.figure import Finding
from bayes_bm.digitizing.folder import answer_line
from bayes_bm.digitizing.many import Asked, Saved, _digitize_task, write_together
from bayes_bm.hazards.nonparametric import kaplan_meier
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.files import write_csv
from bayes_bm.runtime.spreadsheets import restore
from bayes_bm.validation.simulation.curves import varied
from bayes_bm.validation.simulation.journal_figures import FigureStyle, draw_figure
from tests.builders.commands import call

ARMS = {
    "Re-resection": varied(1, 40, censoring="staggered"),
    "Repeat SRS": varied(2, 60, censoring="dropout"),
}


@pytest.fixture(scope="module")
def figure(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures")
    return draw_figure(folder / "smith_2020", ARMS, FigureStyle(percent=True))


@pytest.fixture(scope="module")
def read(figure: Path) -> bb.Digitized:
    return bb.digitize(figure)


@pytest.mark.slow
def test_a_figure_too_coarse_is_asked_about_until_somebody_accepts_it(read, monkeypatch) -> None:
    """Where nothing at all may be left open, the hundredths of a file are too coarse for both arms."""
    monkeypatch.setattr(verdict, "GOOD_COARSE", 1e-6)
    again = bb.digitize(read.figure, calibration=Calibration(accepted=("coarse_figure: Repeat SRS",)))
    assert [(asked.kind, asked.arm) for asked in again.questions] == [("coarse_figure", 0)]
    assert [one.verdict for one in again.verdicts] == ["doubtful", "exact"]


@pytest.mark.slow
def test_corners_are_those_of_the_kaplan_meier_curves(read) -> None:
    assert list(read) == list(ARMS)
    for name, (time, event) in ARMS.items():
        curve, km = read[name], kaplan_meier(time, event)
        drops = curve[curve["survival"].diff() < 0]
        np.testing.assert_allclose(drops["time"], km.time, atol=2e-4 * time.max())
        np.testing.assert_allclose(drops["survival"], km.survival, atol=2e-4)
        assert (curve["time"].iloc[0], curve["survival"].iloc[0]) == (0, 1)
    assert (read.verdict, read.time_unit, read.endpoint) == ("exact", "months", "os")


def test_marks_and_numbers_at_risk_are_those_of_the_patients(read) -> None:
    for name, (time, event) in ARMS.items():
        np.testing.assert_allclose(read.ticks[name]["time"], np.unique(time[event == 0]), atol=3e-3 * time.max())
        table = read.at_risk[name]
        assert table["at_risk"].tolist() == [(time >= t).sum() for t in table["time"]]
        assert read.patients(name) == len(time)


@pytest.mark.slow
def test_what_is_saved_rebuilds_the_patients(read, tmp_path: Path) -> None:
    files = read.save(tmp_path, treatments={"Re-resection": "re_resection"})
    assert files[0] == tmp_path / "curves.csv"
    manifest = pd.read_csv(files[0])
    assert manifest["treatment"].tolist() == ["re_resection", "Repeat SRS"]
    assert manifest["study"].unique().tolist() == ["smith_2020"]
    assert manifest["x_verdict"].tolist() == ["exact", "exact"]
    rebuilt = bb.reconstruct_all(files[0], cores=1)
    for row, (time, event) in zip(rebuilt.summary.to_dict("records"), ARMS.values(), strict=True):
        assert (row["n"], row["events"]) == (len(time), int(event.sum()))


@pytest.mark.slow
def test_a_calibration_given_back_unchanged_changes_nothing(read, tmp_path: Path) -> None:
    read.save(tmp_path / "one")
    again = bb.digitize(read.figure, tmp_path / "one" / "calibration.toml")
    again.save(tmp_path / "two")
    for name in ("curves.csv", "Re-resection.curve.csv", "Repeat_SRS.ticks.csv"):
        first, second = (pd.read_csv(tmp_path / folder / name) for folder in ("one", "two"))
        pd.testing.assert_frame_equal(first, second, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_what_a_person_says_wins_and_is_written_as_given(figure: Path) -> None:
    typed = GivenArm("typed", corners=((0.0, 1.0), (6.0, 1.0), (6.0, 0.5), (20.0, 0.5)), marks=(7.0,))
    plain = bb.digitize(figure).calibration
    first = replace(plain.arms[0], name="surgery", source="given")
    given = replace(plain, arms=(first, typed, replace(plain.arms[1], drop=True)), time_unit="weeks", rows=())
    read = bb.digitize(figure, given)
    assert list(read) == ["surgery", "typed"]
    assert read.time_unit == "weeks"
    assert read["typed"]["survival"].tolist() == [1.0, 1.0, 0.5, 0.5]
    assert read.ticks["typed"]["time"].tolist() == [7.0]
    assert [(arm.name, arm.source, arm.drop) for arm in read.calibration.arms][-1][2]
    assert read.calibration.arms[1] == typed
    # the typed line has no ink beneath it, and that is said
    assert next(finding.kind for finding in read.findings if finding.arm == 1) == "line_without_ink"


@pytest.mark.slow
def test_an_axis_that_is_given_moves_the_curve(figure: Path, read) -> None:
    axis = read.calibration.time
    doubled = replace(axis, source="given", ticks=tuple(replace(t, value=2 * t.value) for t in axis.ticks))
    again = bb.digitize(figure, Calibration(time=doubled))
    name = "Re-resection"
    assert again[name]["time"].iloc[-1] == pytest.approx(2 * read[name]["time"].iloc[-1], rel=1e-6)
    assert again.calibration.time.source == "given"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.eps", "found a file that ends in .eps; allowed: .svg, .pdf.*print it to PDF"),
        ("a.gif", "save it as PNG"),
        ("a.docx", "print the page to PDF"),
        ("a", "ends in nothing"),
        ("absent.pdf", "found no such file"),
    ],
)
def test_files_of_other_kinds_are_refused_with_what_to_do(tmp_path: Path, name: str, said: str) -> None:
    if not name.startswith("absent"):
        (tmp_path / name).write_bytes(b"GIF89a")
    with pytest.raises(InputError, match=said):
        bb.digitize(tmp_path / name)


def _page(survival: list[float] | None) -> Figure:
    page = Figure((4, 3))
    axes = page.add_subplot()
    axes.set(xlim=(0, 12), ylim=(0, 1.05), xlabel="Time (months)", ylabel="Overall survival")
    if survival is not None:
        axes.step([0, 3, 7, 10], survival, where="post", label="control")
    return page


@pytest.mark.slow
def test_the_page_with_the_curve_is_found_and_two_are_asked_about(tmp_path: Path) -> None:
    for name, pages in {"one": [None, [1, 0.8, 0.5, 0.5]], "two": [[1, 0.9, 0.6, 0.6], [1, 0.8, 0.5, 0.5]]}.items():
        with PdfPages(tmp_path / f"{name}.pdf") as file:
            for survival in pages:
                file.savefig(_page(survival))
    one, two = (bb.digitize(tmp_path / f"{name}.pdf") for name in ("one", "two"))
    assert (one.reading.page, two.reading.page) == (2, 1)
    assert next(iter(one.values()))["survival"].min() == pytest.approx(0.5, abs=1e-4)
    assert "several_pages" in [finding.kind for finding in two.questions]
    chosen = bb.digitize(tmp_path / "two.pdf", page=2)
    assert next(iter(chosen.values()))["survival"].min() == pytest.approx(0.5, abs=1e-4)
    with pytest.raises(InputError, match="page"):
        bb.digitize(tmp_path / "two.pdf", page=3)


@pytest.mark.slow
def test_the_command_writes_a_folder_and_says_what_it_asks(figure: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    assert call("digitize", figure, "--out", out, "--study", "Smith", "--endpoint", "os", "--json",
                "--treatment", "Repeat SRS=re_srs") == 0  # fmt: skip
    document = json.loads(capsys.readouterr().out)
    assert document["status"] == 0
    assert [arm["verdict"] for arm in document["figures"][0]["arms"]] == ["exact", "exact"]
    assert {file.name for file in out.iterdir()} >= {"curves.csv", "calibration.toml", "overlay.png"}
    assert pd.read_csv(out / "curves.csv")["treatment"].tolist() == ["Re-resection", "re_srs"]
    assert read_calibration(out / "calibration.toml").time_unit == "months"
    assert call("digitize", figure, "--out", out, "--treatment", "Repeat=re_srs") == 2
    assert "--treatment: found Repeat; allowed: Re-resection, Repeat SRS" in capsys.readouterr().err


@pytest.mark.slow
def test_open_questions_are_status_1_each_with_its_line(tmp_path: Path, capsys) -> None:
    page = _page([1, 0.8, 0.5, 0.5])
    page.axes[0].set(xlabel="Time")
    page.savefig(tmp_path / "figure.svg")
    assert call("digitize", tmp_path / "figure.svg", "--out", tmp_path / "out", "--json") == 1
    [figure] = json.loads(capsys.readouterr().out)["figures"]
    text = (tmp_path / "out" / "calibration.toml").read_text().splitlines()
    questions = {one["kind"]: one for one in figure["findings"] if one["severity"] == "question"}
    assert "time_unit" in questions
    assert all(1 <= one["line"] <= len(text) and one["answer"] for one in questions.values())
    [patients] = [one for one in figure["findings"] if one["kind"] == "patients_not_printed"]
    assert patients["message"] == "Nothing in the figure says how many patients arm 1 has: n is blank in curves.csv."
    assert patients["answer"] == '[[rows]]: kind = "at_risk", arm = "arm 1", times = [0], counts = [...]'
    rows = '[[rows]]\nkind = "at_risk"\narm = "arm 1"\ntimes = [0]\ncounts = [40]\n'
    (tmp_path / "given.toml").write_text(f'time_unit = "weeks"\n{rows}')
    status = call(
        "digitize", tmp_path / "figure.svg", "--out", tmp_path / "out", "--calibration", tmp_path / "given.toml"
    )
    assert status == 0
    assert pd.read_csv(tmp_path / "out" / "curves.csv")[["time_unit", "n"]].to_numpy().tolist() == [["weeks", 40]]


@pytest.mark.slow
def test_what_is_not_read_is_status_2_and_nothing_is_written(tmp_path: Path, capsys) -> None:
    _page(None).savefig(tmp_path / "empty.svg")
    assert call("digitize", tmp_path / "empty.svg", "--out", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert "empty.svg: found" in said
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_folder_is_read_in_one_call(figure: Path, tmp_path: Path, capsys) -> None:
    folder = tmp_path / "figures"
    folder.mkdir()
    (folder / "a.svg").write_bytes(figure.read_bytes())
    (folder / "b.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 300"/>')
    assert call("digitize", folder, "--out", tmp_path / "out", "--cores", "1", "--endpoint", "os") == 2
    manifest = pd.read_csv(tmp_path / "out" / "curves.csv")
    assert manifest["study"].tolist() == ["a", "a"]
    assert all((tmp_path / "out" / curve).is_file() for curve in manifest["curve"])
    assert pd.read_csv(tmp_path / "out" / "figures.csv")["verdict"].tolist() == ["exact", "exact", "refused"]
    assert "not read" in capsys.readouterr().err


@pytest.mark.slow
def test_what_goes_to_another_process_and_back_can_be_sent(read, tmp_path: Path) -> None:
    asked = Asked(read.figure, tmp_path, read.calibration, overlay=False)
    task, sent = pickle.loads(pickle.dumps((_digitize_task, asked)))
    saved = pickle.loads(pickle.dumps(task(sent, np.random.SeedSequence(1))))
    assert saved.status == 0 and saved.files[0] == tmp_path / "curves.csv"
    assert saved.table["arm"].tolist() == list(ARMS)


def test_a_name_that_starts_as_a_formula_keeps_its_letters_in_the_table_of_many_figures(tmp_path: Path) -> None:
    table = pd.DataFrame({"arm": ["+ surgery"], "curve": ["a.csv"], "at_risk": [None], "ticks": [None]})
    file = write_csv(table, tmp_path / "one" / "curves.csv")
    together, _ = write_together([Saved(tmp_path / "one.svg", tmp_path / "one", (file,), table)], tmp_path)
    assert list(restore(pd.read_csv(together, dtype=object))["arm"]) == ["+ surgery"]
    assert list(pd.read_csv(together)["curve"]) == ["one/a.csv"]


def test_a_saved_figure_without_overlay_has_all_else(read, tmp_path: Path) -> None:
    files = read.save(tmp_path, overlay=False)
    assert {file.name for file in files} == {file.name for file in tmp_path.iterdir()}
    assert not (tmp_path / "overlay.png").exists() and files[0].name == "curves.csv"


def test_a_finding_without_a_key_is_answered_before_the_first_table() -> None:
    finding = Finding("several_panels", "question", "", "panel = 2")
    assert answer_line(finding, [], "# words\npage = 1\npanel = 1\n[time]\n") == 3
    assert answer_line(replace(finding, answer="time_unit = 1"), [], "page = 1\n[time]\n") == 2
    assert answer_line(replace(finding, arm=1), [], "page = 1\n[[arms]]\n\n[[arms]]\n") == 4


@pytest.mark.slow
def test_an_arm_whose_name_holds_a_word_of_events_has_its_numbers_at_risk(tmp_path: Path) -> None:
    arms = {"Surgery after SRS failure": ARMS["Re-resection"], "No events before": ARMS["Repeat SRS"]}
    read = bb.digitize(draw_figure(tmp_path / "figure", arms, FigureStyle(file="pdf")))
    assert [row.kind for row in read.reading.rows] == ["at_risk", "at_risk"]
    assert [read.patients(name) for name in arms] == [40, 60]
