"""Plots by one call draw what the answers say, on the axes that they are given; the obvious calls of answers work."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import bayes_bm as bb
from bayes_bm.runtime.errors import InputError
from tests.builders import posteriors, worlds


@pytest.fixture(scope="module")
def result() -> bb.Result:
    spec = worlds.spec()
    return posteriors.result(spec, worlds.evidence(spec), chains=2, draws=50)


def line_of(axes, label: str) -> np.ndarray:
    return np.asarray(next(line for line in axes.get_lines() if line.get_label() == label).get_xydata())


def test_survival_is_drawn_on_the_axes_given_with_its_medians(result) -> None:
    given = Figure().add_subplot()
    axes = bb.plot_survival(result, given, who="average-study", treatments=["a", "b"], title="two")
    assert axes is given and axes.get_title(loc="left") == "two"
    drawn = line_of(axes, "b")
    medians = bb.survival(result, list(drawn[:, 0]), who="average-study").sel(treatment="b").median(("chain", "draw"))
    np.testing.assert_allclose(drawn[:, 1], medians, atol=1e-12)
    assert {line.get_label() for line in axes.get_lines() if line.get_label()[0] != "_"} == {"a", "b"}


@pytest.mark.slow
def test_forest_draws_every_arm_and_the_printed_numbers(result) -> None:
    axes = bb.plot_forest(result)
    labels = [text.get_text() for text in axes.texts]
    arms = result.evidence.arms
    assert sum(f"{study}: " in label for study in set(arms["study"]) for label in labels) == len(arms)
    printed = [
        line.get_xdata()[0] for line in axes.get_lines() if line.get_marker() == "D" and len(line.get_xdata()) == 1
    ]
    assert 20.2 in printed and 27.2 in printed


@pytest.mark.slow
def test_patient_has_curves_and_outcomes_on_one_figure_or_on_axes_given(result) -> None:
    panels = bb.plot_patient(result, alive_at=3.0)
    assert panels.curves.figure is panels.outcomes.figure
    drawn = line_of(panels.curves, "a")
    expected = bb.survival(result, [float(drawn[-1, 0])], alive_at=3.0).sel(treatment="a").median()
    assert drawn[-1, 1] == pytest.approx(float(expected), abs=1e-12)
    upper, lower = Figure().subplots(2)
    assert bb.plot_patient(result, axes=bb.PatientPanels(upper, lower)) == (upper, lower)
    assert len(lower.get_lines()) > 0


def test_ranks_need_axes_for_each_treatment(result) -> None:
    panels = list(Figure().subplots(1, 3))
    drawn = bb.plot_ranks(result, panels)
    assert drawn == panels
    heights = [bar.get_height() for bar in drawn[0].patches]
    first = bb.rank(result).probabilities
    np.testing.assert_allclose(heights, first[first["treatment"] == first["treatment"].iloc[0]]["probability"])
    with pytest.raises(InputError, match="axes: found 2; allowed: 3, one for each treatment"):
        bb.plot_ranks(result, panels[:2])


def test_networks_and_tables_are_drawn_on_axes_given(result) -> None:
    given = Figure().add_subplot()
    assert bb.plot_network(result, given) is given
    texts = {text.get_text().split("\n")[0] for text in given.texts}
    assert {"a", "b", "c"} <= {text.split(",")[0] for text in texts}
    studies = pd.DataFrame(
        {
            "study": ["", "Lee"],
            "method": ["", "psis"],
            "treatment": "b",
            "reference": "a",
            "measure": "hazard ratio",
            "ratio": [0.7, 0.8],
            "ratio_low": [0.5, 0.6],
            "ratio_high": [0.9, 1.1],
            "shift": [np.nan, 0.2],
            "elpd": [np.nan, -3.0],
        }
    )
    assert bb.plot_leave_one_out(studies, given) is given
    with pytest.raises(InputError, match="time_unit: found nothing"):
        bb.plot_sensitivity(studies)


@pytest.mark.slow
def test_pyplot_knows_what_was_drawn_on_no_axes_once_it_is_in_use() -> None:
    """Without it a notebook shows nothing below the cell."""
    import matplotlib.pyplot as plt

    plt.close("all")
    bb.plot_network("published_os_extent_of_resection", Figure().add_subplot())
    assert plt.get_fignums() == []
    axes = bb.plot_network("published_os_extent_of_resection")
    curve = pd.DataFrame({"time": [0, 2, 2, 5], "survival": [1, 1, 0.5, 0.5]})
    panels = bb.plot_reconstruction(bb.reconstruct(curve, n=4))
    assert [plt.figure(number) for number in plt.get_fignums()] == [axes.figure, panels.curve.figure]
    plt.close("all")


def test_the_ratio_of_two_treatments_is_asked_by_their_names(result) -> None:
    every = bb.hazard_ratio(result, [12], who="average-study")
    pair = bb.hazard_ratio(result, "b", "c", times=[12], who="average-study")
    expected = every.sel(treatment="b", drop=True) / every.sel(treatment="c", drop=True)
    np.testing.assert_allclose(pair.to_numpy(), expected.to_numpy(), rtol=1e-12)
    assert bb.hazard_ratio(result, "b").dims == ("chain", "draw", "time")
    with pytest.raises(InputError, match="treatment: found z; allowed: a, b, c"):
        bb.hazard_ratio(result, "z", "a")


def test_bands_have_times_of_their_own_where_none_are_named(result) -> None:
    bands = bb.predictive_bands(result)
    assert bands["time"].unique().tolist() == pytest.approx(list(np.linspace(0, 24, 41)[1:]))
    assert bands["arm_row"].nunique() == len(result.evidence.arms)
