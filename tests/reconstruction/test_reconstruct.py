"""Reconstruction: what was printed is honoured or reported, draws repeat, the benchmark beside the clone."""

import sys

import numpy as np
import pandas as pd
import pytest

from bayes_bm.hazards.nonparametric import at_risk
from bayes_bm.reconstruction.contradictions import CONTRADICTIONS
from bayes_bm.reconstruction.patients import staggered
from bayes_bm.reconstruction.reconstruct import Reconstruction, reconstruct
from bayes_bm.runtime.errors import InputError
from tests.builders.trials import clicked, drawn, printed, trial


def statuses(rec: Reconstruction, check: str) -> list[str]:
    return rec.diagnostics.loc[rec.diagnostics["check"] == check, "status"].tolist()


# --- contradictions -----------------------------------------------------------------------------------------------


def test_a_wrong_total_is_reported_and_does_not_bend_a_drawn_curve():
    time, event = trial(4, 60)
    numbers = printed(time, event)
    rec = reconstruct(drawn(time, event, numbers["axis_max"]), **{**numbers, "events": int(event.sum()) - 9})
    row = rec.diagnostics[rec.diagnostics["check"] == "events"].iloc[0]
    assert (row["status"], row["reconstructed"]) == ("contradicted", event.sum())
    assert "9 more than printed" in row["note"]
    assert len(rec.patients) == 60


def test_a_corner_is_compared_with_the_nearer_of_its_two_heights():
    table = pd.DataFrame({"time": [0.0, 2, 2, 5, 5, 9], "survival": [1.0, 1, 0.8, 0.8, 0.6003, 0.6003]})
    rec = reconstruct(table, n=5, axis_max=10)
    row = rec.diagnostics[rec.diagnostics["check"] == "survival"].iloc[0]
    assert row["status"] == "honoured"
    assert abs(row["printed"] - row["reconstructed"]) < 5e-4
    for moved in (0.0, 1e-4):  # a corner, and the same one a hair beside the step
        table.loc[3, "time"] = table.loc[4, "time"] = 5 + moved
        rec = reconstruct(table, n=5, ticks=pd.DataFrame({"time": [9.0]}), axis_max=10)
        row = rec.diagnostics[rec.diagnostics["check"] == "survival"].iloc[0]
        assert abs(row["printed"] - row["reconstructed"]) < 5e-4


def test_a_wrong_number_at_risk_is_reported_with_its_time():
    time, event = trial(4, 60)
    numbers = printed(time, event)
    wrong = numbers["at_risk"].copy()
    right = int(wrong.loc[1, "at_risk"])
    wrong.loc[1, "at_risk"] = right + 3
    rec = reconstruct(drawn(time, event, numbers["axis_max"]), **{**numbers, "at_risk": wrong})
    rows = rec.diagnostics[rec.diagnostics["check"] == "at_risk"]
    bad = rows[rows["status"] == "contradicted"]
    assert bad["time"].tolist() == [6.0]
    assert (bad["printed"].iloc[0], bad["reconstructed"].iloc[0]) == (right + 3, right)
    np.testing.assert_allclose(rec.patients["time"], np.sort(time))


def test_clicks_against_an_impossible_total_say_so():
    time, event = trial(5, 100)
    table = clicked(time, event, 36.0, 1)
    rec = reconstruct(table, n=100, events=5, at_risk=printed(time, event)["at_risk"], axis_max=36)
    assert "contradicted" in statuses(rec, "events")
    assert len(rec.patients) == 100
    assert abs(rec.patients["event"].sum() - event.sum()) < 15


def test_clicks_against_an_impossible_number_at_risk_say_so():
    time, event = trial(5, 100)
    numbers = printed(time, event)
    table = numbers["at_risk"].copy()
    table.loc[1, "at_risk"] = 98  # the curve has fallen to about 0.6
    rec = reconstruct(clicked(time, event, 36.0, 1), n=100, at_risk=table, axis_max=36)
    bad = rec.diagnostics[rec.diagnostics["status"] == "contradicted"]
    assert set(bad["check"]) == {"at_risk", "at_risk_above_curve", "verdict"}
    assert bad.loc[bad["check"] != "verdict", "time"].tolist() == [6, 6]
    assert bad["note"].str.contains("this number gave way").any()
    assert len(rec.patients) == 100


def test_wrong_input_is_refused_before_anything_is_rebuilt():
    with pytest.raises(InputError, match="n: found nothing"):
        reconstruct(pd.DataFrame({"time": [0, 1], "survival": [1, 0.5]}))


# --- draws --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["drawn", "clicked"])
def test_draws_repeat_with_their_seed_and_keep_what_was_printed(kind):
    time, event = trial(21, 80)
    numbers = printed(time, event)
    table = (
        drawn(time, event, numbers["axis_max"], rounded=True)
        if kind == "drawn"
        else clicked(time, event, numbers["axis_max"], 4)
    )
    rec = reconstruct(table, n=80, events=numbers["events"], at_risk=numbers["at_risk"], axis_max=numbers["axis_max"])
    one, two, other = rec.draw(5), rec.draw(5), rec.draw(5, seed=2)
    for a, b in zip(one, two, strict=True):
        pd.testing.assert_frame_equal(a, b)
    assert any(not a.equals(b) for a, b in zip(one, other, strict=True))
    for patients in one:
        assert len(patients) == 80
        assert patients["event"].sum() == numbers["events"]
        np.testing.assert_array_equal(
            at_risk(patients["time"], numbers["at_risk"]["time"]), numbers["at_risk"]["at_risk"]
        )


@pytest.mark.slow
def test_draws_vary_the_total_of_events_where_it_was_not_printed():
    time, event = trial(3, 150)
    rec = reconstruct(clicked(time, event, 36.0, 4), n=150, axis_max=36)
    totals = [d["event"].sum() for d in rec.draw(20)]
    assert np.std(totals) > 2
    assert min(totals) <= event.sum() <= max(totals)


def test_staggered_entry_is_the_average_over_accrual_lengths():
    x, f = 0.37, (np.arange(20000) + 0.5) / 20000
    assert staggered(np.array(x)) == pytest.approx(np.minimum(1, (1 - x) / (1 - f)).mean(), abs=1e-4)
    np.testing.assert_array_equal(staggered(np.array([0.0, 1.0])), [1, 0])


# --- the benchmark beside the clone -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kmbench(shared, tmp_path_factory):
    """Score arms of the benchmark: `given` asks for arms (name, n, events, axis_max), and returns one row for each."""
    bench, folder = shared / "kmbench", tmp_path_factory.mktemp("kmbench")
    sys.path.insert(0, str(bench))
    try:
        import score
    finally:
        sys.path.remove(str(bench))
    given = pd.read_csv(bench / "given.csv")

    def scored(level: str, arms: pd.DataFrame) -> pd.DataFrame:
        """Return the scores of these arms at one level; no arm's numbers contradict its curve."""
        for row in arms.itertuples():
            table = pd.read_csv(bench / "risk" / f"{row.arm}.csv")
            ticks = pd.read_csv(bench / "marks" / f"{row.arm}.csv") if level == "V" else None
            curve = pd.read_csv(bench / "inputs" / f"{row.arm}.{level}.csv")
            rec = reconstruct(curve, ticks=ticks, n=row.n, events=row.events, axis_max=row.axis_max, at_risk=table)
            assert not set(rec.diagnostics["check"]) & set(CONTRADICTIONS), (row.arm, level, rec.reason)
            rec.patients.to_csv(folder / f"{row.arm}.{level}.full.csv", index=False)
        cases, missing = score.score_set(bench, folder, levels=(level,), infos=("full",))
        assert {gone[0] for gone in missing} == set(given["arm"]) - set(arms["arm"])
        assert (cases["n_wrong"] == 0).all()
        return cases

    return given, scored


@pytest.mark.slow
def test_kmbench_is_exact_for_drawn_curves(kmbench):
    given, scored = kmbench
    vector = scored("V", given[given["n"] < 1000])
    assert vector["events_abs"].max() == 0
    assert vector["risk_max"].max() == 0
    assert vector["iae"].median() < 4e-5
    assert vector["log_hr_abs"].median() < 0.001
    assert vector["log_hr_abs"].max() < 0.02


@pytest.mark.slow
@pytest.mark.parametrize(("level", "largest"), [("D1", 0.0042), ("D2", 0.010)])
def test_kmbench_is_better_than_clicking_allows_others(kmbench, level, largest):
    given, scored = kmbench
    cases = scored(level, given.iloc[::3])
    assert cases["iae"].median() < largest
    assert cases["events_rel"].median() == 0
