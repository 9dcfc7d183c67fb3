"""Many curves in one call: the same with one process or two, an arm that is refused stops no other, files are whole."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayes_bm as bb
from bayes_bm.evidence.manifest import reconstruct_all
from bayes_bm.evidence.tables.checking import check_table
from bayes_bm.reconstruction.reconstruct import reconstruct
from bayes_bm.report.plots.reconstruction import new_panels, plot_reconstruction
from bayes_bm.report.reconstructions import figure_name, write_reconstructions
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.reading import parse_spec
from tests.builders import worlds
from tests.builders.connections import WatchedProcesses
from tests.builders.trials import clicked, drawn, printed, trial


def registered(folder: Path, study: str, arm: str, seed: int, *, n=60, clicks=False, **row) -> dict:
    """The files of one simulated arm, and its row of the manifest."""
    time, event = trial(seed, n)
    known = printed(time, event)
    axis = known["axis_max"]
    name = f"{study}_{arm}"
    curve = clicked(time, event, axis, seed) if clicks else drawn(time, event, axis)
    curve.to_csv(folder / f"{name}.csv", index=False)
    known["at_risk"].to_csv(folder / f"{name}_risk.csv", index=False)
    files = {"curve": f"{name}.csv", "at_risk": f"{name}_risk.csv"}
    if not clicks:
        known["ticks"].to_csv(folder / f"{name}_ticks.csv", index=False)
        files["ticks"] = f"{name}_ticks.csv"
    totals = {"n": n, "events": known["events"], "axis_max": axis}
    return {"study": study, "arm": arm, "treatment": f"t_{arm}", "endpoint": "os", **files, **totals, **row}


@pytest.fixture
def manifest(tmp_path) -> Path:
    rows = [
        registered(tmp_path, "one", "a", 1, time_unit="months"),
        registered(tmp_path, "one", "b", 2, clicks=True, time_unit="months"),
        registered(tmp_path, "two", "a", 3, n=20, time_unit="months"),
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "curves.csv", index=False)
    return tmp_path / "curves.csv"


def spoil(manifest: Path, row: int, column: str, value) -> None:
    table = pd.read_csv(manifest).astype(object)
    table.loc[row, column] = value
    table.to_csv(manifest, index=False)


@pytest.mark.slow
def test_a_manifest_gives_what_single_calls_give(manifest) -> None:
    found = bb.reconstruct_all(manifest, cores=1)
    assert list(found.arms) == [("one", "a", "os"), ("one", "b", "os"), ("two", "a", "os")]
    rows = pd.read_csv(manifest)
    for (_, row), rec in zip(rows.iterrows(), found.arms.values(), strict=True):
        read = {name: pd.read_csv(manifest.parent / row[name]) for name in ("curve", "at_risk")}
        ticks = pd.read_csv(manifest.parent / row["ticks"]) if isinstance(row["ticks"], str) else None
        alone = reconstruct(**read, ticks=ticks, n=row["n"], events=row["events"], axis_max=row["axis_max"])
        pd.testing.assert_frame_equal(rec.patients, alone.patients)
        pd.testing.assert_frame_equal(rec.draw(2)[1], alone.draw(2)[1])
    check_table("patients", found.patients, where="patients")
    assert found.patients.groupby(["study", "arm"]).size().tolist() == [60, 60, 20]
    assert found.time_unit == "months"
    summary = found.summary.set_index(["study", "arm"])
    assert summary["verdict"].tolist() == ["exact", "good", "exact"]
    assert summary["events"].tolist() == rows["events"].tolist() == summary["events_printed"].tolist()
    assert summary.loc[("one", "a"), "at_risk_honoured"] == "6/6"
    assert summary.loc[("one", "a"), "largest_residual"] < 1e-6
    assert 0.001 < summary.loc[("one", "b"), "click_error"] < 0.01
    found.require_all()


@pytest.mark.slow
def test_the_number_of_cores_changes_nothing_but_the_seconds(manifest, tmp_path, monkeypatch) -> None:
    """And none of the processes speaks to another machine."""
    processes = WatchedProcesses(tmp_path, monkeypatch)
    spoil(manifest, 1, "curve", "none.csv")
    said = []
    one, two = (
        reconstruct_all(manifest, cores=cores, draws=2, say=lambda done, total, name: said.append((done, total)))
        for cores in (1, 2)
    )
    assert said == [(1, 3), (2, 3), (3, 3)] * 2
    for name in ("patients", "diagnostics"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(two, name))
    pd.testing.assert_frame_equal(one.summary.drop(columns="seconds"), two.summary.drop(columns="seconds"))
    watched, elsewhere = processes.count_and_places()
    assert watched >= 2 and elsewhere == []
    for key, sets in one.draws.items():
        for mine, theirs, again in zip(sets, two.draws[key], two.arms[key].draw(2), strict=True):
            pd.testing.assert_frame_equal(mine, theirs)
            pd.testing.assert_frame_equal(mine, again)  # drawn here from an arm rebuilt in another process


@pytest.mark.slow
def test_a_refused_arm_stops_no_other_and_is_named(manifest) -> None:
    spoil(manifest, 0, "n", 61)
    found = reconstruct_all(manifest, cores=1)
    assert list(found.refused) == [("one", "a", "os")]
    row = found.summary.iloc[0]
    assert row["verdict"] == "refused"
    assert "[n_against_at_risk]" in row["reason"]
    assert len(found.patients) == 80
    with pytest.raises(InputError, match=r"1 of 3 arms refused: found study one, arm a, os: at_risk, time 0"):
        found.require_all()


@pytest.mark.slow
def test_a_fault_in_one_arm_is_that_arms(manifest, monkeypatch) -> None:
    def broken(curve, **_):
        raise ZeroDivisionError("somewhere")

    monkeypatch.setattr("bayes_bm.evidence.manifest.reconstruct", broken)
    found = reconstruct_all(manifest, cores=1)
    assert found.arms == {}
    assert all("ZeroDivisionError: somewhere" in reason for reason in found.refused.values())
    assert found.patients.empty


@pytest.mark.slow
def test_exchanged_tables_are_refused_for_both_arms(tmp_path) -> None:
    rows = []
    for arm, scale in (("low", 1.0), ("high", 4.0)):
        rng = np.random.default_rng(len(arm))
        death, leave = rng.exponential(10 * scale, 80), rng.uniform(15, 36, 80)
        time, event = np.minimum(death, leave), (death <= leave).astype(int)
        drawn(time, event, 36.0).to_csv(tmp_path / f"{arm}.csv", index=False)
        printed(time, event)["at_risk"].to_csv(tmp_path / f"{arm}_risk.csv", index=False)
        rows.append({"study": "s", "arm": arm, "treatment": arm, "endpoint": "os", "curve": f"{arm}.csv"})
    table = pd.DataFrame(rows).assign(axis_max=36, at_risk=["high_risk.csv", "low_risk.csv"])
    table.to_csv(tmp_path / "curves.csv", index=False)
    found = reconstruct_all(tmp_path / "curves.csv", cores=1)
    assert set(found.refused) == {("s", "low", "os"), ("s", "high", "os")}
    assert all("[swapped_arms]" in why and "low and high exchanged?" in why for why in found.refused.values())
    spec = parse_spec(
        worlds.document(evidence={"curves": "curves.csv"}, treatments={"reference": "low", "compare": ["high"]}),
        folder=str(tmp_path),
    )
    with pytest.raises(
        InputError, match=r"curves, study s, arms low and high: found numbers at risk.*\[swapped_arms\]"
    ):
        bb.read_evidence(spec)
    table.assign(at_risk=["low_risk.csv", "high_risk.csv"]).to_csv(tmp_path / "curves.csv", index=False)
    assert len(bb.read_evidence(spec).patients) == 160
    assert not reconstruct_all(tmp_path / "curves.csv", cores=1).refused


@pytest.mark.slow
def test_units_are_one_or_said(manifest) -> None:
    spoil(manifest, 2, "time_unit", "weeks")
    with pytest.raises(InputError, match="one patients table has one unit"):
        reconstruct_all(manifest, cores=1)
    with pytest.raises(InputError, match="time_unit: found fortnights"):
        reconstruct_all(manifest, time_unit="fortnights")
    found = reconstruct_all(manifest, cores=1, time_unit="months")
    own = found.arms["two", "a", "os"].patients["time"]
    theirs = found.patients.loc[found.patients["study"] == "two", "time"]
    np.testing.assert_allclose(theirs, own * 7 / 30.4375)


def test_a_manifest_that_cannot_be_read_raises(tmp_path) -> None:
    with pytest.raises(InputError, match="no such file"):
        reconstruct_all(tmp_path / "curves.csv")
    with pytest.raises(InputError, match="treatment"):
        reconstruct_all(pd.DataFrame({"study": ["a"], "arm": ["b"], "endpoint": ["os"], "curve": ["c.csv"]}))


# --- files and figures --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_files_of_a_manifest(manifest, tmp_path) -> None:
    found = reconstruct_all(manifest, cores=1, draws=3)
    out = tmp_path / "out"
    files = write_reconstructions(found, out, figures=True)
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in files)
    assert {path.name for path in files} == {
        *("patients.csv", "summary.csv", "diagnostics.csv", "draws.csv"),
        *("one-a-os.png", "one-b-os.png", "two-a-os.png"),
    }
    draws = pd.read_csv(out / "draws.csv")
    assert draws.groupby(["study", "arm", "draw"]).size().tolist() == [60] * 6 + [20] * 3
    verdicts = pd.read_csv(out / "diagnostics.csv").query("check == 'verdict'")
    assert verdicts["study"].tolist() == ["one", "one", "two"]


@pytest.mark.slow
def test_nothing_is_left_where_writing_stops(manifest, tmp_path, monkeypatch) -> None:
    found = reconstruct_all(manifest, cores=1)
    out = tmp_path / "out"

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("bayes_bm.report.plots.reconstruction.reconstruction_figure", stop)
    with pytest.raises(KeyboardInterrupt):
        write_reconstructions(found, out, figures=True)
    assert list(out.iterdir()) == []


def test_figure_names_differ_where_keys_do() -> None:
    keys = [("a", "b", "os"), ("a-b", "c", "os"), ("a", "b-c", "os"), ("a/b", "c", "os"), ("a b", "c", "os")]
    names = [figure_name(key) for key in keys]
    assert len(set(names)) == len(names)
    assert names[0] == "a-b-os.png"
    assert not any("/" in name for name in names)


def test_the_figure_shows_what_disagrees() -> None:
    time, event = trial(4, 60)
    known = printed(time, event)
    wrong = known["at_risk"].copy()
    wrong.loc[2, "at_risk"] = wrong.loc[1, "at_risk"]
    rec = reconstruct(drawn(time, event, known["axis_max"]), **{**known, "at_risk": wrong})
    panels = plot_reconstruction(rec, new_panels(), name="arm", unit="months", draws=4)
    texts = {text.get_text(): text for text in panels.at_risk.texts}
    right = str(int(known["at_risk"].loc[2, "at_risk"]))
    assert texts[right].get_weight() == "bold"
    assert [text.get_text() for text in panels.at_risk.texts if text.get_weight() == "bold"] == [right, "at risk"]
    assert "contradictory" in panels.curve.get_title(loc="left")
    assert panels.residuals.get_xlabel() == "time (months)"
    labels = [text.get_text() for text in panels.curve.get_legend().get_texts()]
    assert labels == ["90 % of draws", "reconstructed", "corners given", "ticks given"]


@pytest.mark.slow
def test_the_picture_holds_the_numbers_of_the_figure() -> None:
    time, event = trial(5, 80)
    known = printed(time, event)
    rec = reconstruct(clicked(time, event, 36.0, 1), n=80, at_risk=known["at_risk"], axis_max=36)
    picture = rec.picture(draws=10)
    assert picture.band is not None
    assert (picture.band["low"] <= picture.band["high"]).all()
    assert picture.at_risk["agrees"].all()
    assert picture.at_risk["printed"].tolist() == known["at_risk"]["at_risk"].tolist()
    assert picture.points["distance"].max() < 0.05
    assert (picture.points["residual"].abs() <= picture.points["survival"].abs() + 1).all()
    assert 0.001 < picture.error < 0.01
    assert rec.picture().band is None
