"""What is drawn is what the table says: line ends, markers, bands; labels carry units; legends cover nothing."""

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from bayes_bm.report.plots import compact_svg, contrasts, curves, forest, posterior, style
from bayes_bm.report.plots.compact_svg import compact
from bayes_bm.report.plots.style import MARKERS, PALETTE, figure, looks, svg
from bayes_bm.report.text import estimate, time_ticks

NAN = np.nan
LOOKS = looks(["a", "b"])


def axes_of(width=5.0, height=4.0):
    return figure(width, height, left_margin=0.8, right_margin=0.2, bottom_margin=0.9, top_margin=0.3)


def drawn_lines(axes):
    return [np.asarray(line.get_xydata()) for line in axes.get_lines()]


def has_line(axes, x, y):
    wanted = np.column_stack([x, y]).astype(float)
    return any(line.shape == wanted.shape and np.allclose(line, wanted) for line in drawn_lines(axes))


def band_table(last=24.0):
    time = np.linspace(0.1, last, 13)
    middle = np.exp(-time / 15)
    edges = {"low": middle - 0.2, "low50": middle - 0.1, "high50": middle + 0.1, "high": middle + 0.2}
    return pd.DataFrame({"time": time, "median": middle, **edges})


def panel(axes, **changes):
    settings = {"look": LOOKS["a"], "follow_up_end": 12.0, "unit": "weeks", "limit": 24.0, "ylabel": "proportion"}
    return curves.arm_panel(axes, band=band_table(), **{**settings, **changes})


def test_a_panel_draws_the_predicted_median_in_two_parts():
    _, axes = axes_of()
    panel(axes)
    table = band_table()
    seen, beyond = table[table["time"] <= 12], table[table["time"] >= 12]
    assert has_line(axes, seen["time"], seen["median"])
    assert has_line(axes, beyond["time"], beyond["median"])


def test_a_panel_marks_what_is_extrapolated():
    _, axes = axes_of()
    panel(axes)
    styles = [line.get_linestyle() for line in axes.get_lines() if line.get_label() != "predicted"]
    assert styles == ["--"]
    hatched = [band for band in axes.collections if band.get_hatch()]
    assert len(hatched) == 1
    assert hatched[0].get_paths()[0].get_extents().x0 >= 12.0 - 1e-9


def test_nothing_is_hatched_where_follow_up_outlasts_the_axis():
    _, axes = axes_of()
    panel(axes, follow_up_end=30.0)
    assert all(not band.get_hatch() or not len(band.get_paths()) for band in axes.collections)


def test_the_bands_of_a_panel_are_those_of_the_table():
    _, axes = axes_of()
    panel(axes, follow_up_end=30.0)
    outer = axes.collections[0].get_paths()[0].vertices
    table = band_table()
    for edge in ("low", "high"):
        for point in table[["time", edge]].to_numpy():
            assert np.isclose(outer, point).all(axis=1).any()


def test_printed_numbers_stand_where_they_were_printed():
    printed = pd.DataFrame(
        [
            {"time": 9.8, "survival": 0.5, "low": NAN, "high": NAN, "time_low": 7.0, "time_high": 14.0},
            {"time": 12.0, "survival": 0.4, "low": 0.3, "high": 0.5, "time_low": NAN, "time_high": NAN},
        ]
    )
    _, axes = axes_of()
    panel(axes, printed=printed)
    assert has_line(axes, [9.8, 12.0], [0.5, 0.4])
    assert has_line(axes, [7.0, 14.0], [0.5, 0.5])
    assert has_line(axes, [12.0, 12.0], [0.3, 0.5])


def test_observed_steps_ticks_and_numbers_at_risk():
    steps = pd.DataFrame({"time": [0.0, 3.0, 7.0, 9.0], "survival": [1.0, 0.75, 0.5, 0.5]})
    ticks = pd.DataFrame({"time": [5.0, 9.0], "survival": [0.75, 0.5]})
    at_risk = pd.DataFrame({"time": [0.0, 6.0, 30.0], "at_risk": [4.0, 2.0, 1.0]})
    _, axes = axes_of()
    panel(axes, steps=steps, ticks=ticks, at_risk=at_risk)
    line = next(line for line in axes.get_lines() if line.get_label() == "observed")
    assert line.get_drawstyle() == "steps-post"
    assert np.allclose(line.get_xydata(), steps.to_numpy())
    assert has_line(axes, ticks["time"], ticks["survival"])
    texts = {text.get_text(): text.xy[0] for text in axes.texts}
    assert texts["4"] == 0.0
    assert texts["2"] == 6.0
    assert "1" not in texts, "beyond the axis"


def test_time_axes_carry_the_unit_and_proportions_their_range():
    _, axes = axes_of()
    panel(axes)
    assert axes.get_xlabel() == "time (weeks)"
    assert axes.get_ylim()[0] <= 0 <= 1 <= axes.get_ylim()[1]


@pytest.mark.parametrize("limit", [1.5, 10, 24, 36, 60, 120, 730])
def test_time_ticks_are_few_and_start_at_zero(limit):
    ticks = time_ticks(limit)
    assert ticks[0] == 0
    assert 4 <= len(ticks) <= 7
    assert ticks[-1] <= limit * (1 + 1e-9)


def treatment_table():
    time = np.linspace(0.1, 24, 9)
    rows = [
        pd.DataFrame({"treatment": name, "time": time, "median": np.exp(-time / scale)})
        for name, scale in (("a", 12), ("b", 18))
    ]
    table = pd.concat(rows, ignore_index=True)
    return table.assign(low=table["median"] * 0.8, high=np.minimum(table["median"] * 1.2, 1))


def treatment_axes(draw, **changes):
    settings = {
        "looks": LOOKS,
        "names": {"a": "A", "b": "B"},
        "follow_up_ends": {"a": 24.0, "b": 24.0},
        "unit": "months",
    }
    return draw(treatment_table(), **{**settings, "limit": 24.0, "ylabel": "survival", **changes})


def test_treatment_curves_are_those_of_the_table_in_their_colours():
    drawn = treatment_axes(curves.treatment_figure)
    axes, table = drawn.axes[0], treatment_table()
    for name, color in (("a", PALETTE[0]), ("b", PALETTE[1])):
        mine = table[table["treatment"] == name]
        line = next(line for line in axes.get_lines() if line.get_label() == name.upper())
        assert np.allclose(line.get_xydata(), mine[["time", "median"]].to_numpy())
        assert line.get_color() == color


@pytest.mark.parametrize("make", ["treatment", "difference", "prior"])
def test_legends_stand_clear_of_the_data(make):
    table = treatment_table()
    if make == "treatment":
        drawn = treatment_axes(curves.treatment_figure)
    elif make == "difference":
        mine = table[table["treatment"] == "b"]
        drawn = curves.difference_figure(
            mine,
            wider=mine,
            look=LOOKS["b"],
            follow_up_end=24.0,
            unit="months",
            limit=24.0,
            ylabel="d",
            label="new study",
        )
    else:
        histogram = pd.DataFrame({"left": [0.0, 1.0], "right": [1.0, 2.0], "density": [0.4, 0.6]})
        line = pd.DataFrame({"value": [0.0, 1.0, 2.0], "density": [0.2, 0.5, 0.2]})
        drawn = posterior.prior_posterior_figure(posterior=histogram, prior=line, xlabel="log_hr")
    canvas = FigureCanvasAgg(drawn)
    canvas.draw()
    axes = drawn.axes[0]
    legend = axes.get_legend().get_window_extent()
    assert not legend.overlaps(axes.get_window_extent())
    assert not legend.overlaps(axes.xaxis.label.get_window_extent())
    assert legend.y0 >= -1, "cut off at the foot of the figure"
    assert legend.x1 <= drawn.bbox.x1 + 1, "cut off at the right"


def test_a_difference_is_drawn_about_zero_with_the_wider_interval_dotted():
    table = treatment_table()
    mine, far = table[table["treatment"] == "b"], table[table["treatment"] == "a"]
    _, axes = axes_of()
    curves.difference_curve(
        axes, mine, wider=far, look=LOOKS["b"], follow_up_end=24.0, unit="months", limit=24.0, ylabel="d", label="near"
    )
    assert has_line(axes, [0, 1], [0, 0])
    assert has_line(axes, mine["time"], mine["median"])
    for edge in ("low", "high"):
        line = next(
            ln for ln in axes.get_lines() if ln.get_linestyle() == ":" and np.allclose(ln.get_ydata(), far[edge])
        )
        assert np.allclose(line.get_xdata(), far["time"])


def forest_table():
    nothing = {
        "n": NAN,
        "median": NAN,
        "low": NAN,
        "high": NAN,
        "printed": NAN,
        "printed_low": NAN,
        "printed_high": NAN,
    }
    arm = {"treatment": "b", "kind": "arm", "n": 40.0, "median": 10.0, "low": 7.0, "high": 15.0}
    rows = [
        {**nothing, "label": "B", "treatment": "b", "kind": "heading"},
        {**nothing, **arm, "label": "One 2001", "printed": 9.8, "printed_low": 6.0, "printed_high": 16.0},
        {**nothing, **arm, "label": "Two 2002", "high": 90.0, "median": 20.0, "n": 160.0},
        {
            **nothing,
            "label": "B, average",
            "treatment": "b",
            "kind": "average",
            "median": 12.0,
            "low": 9.0,
            "high": 16.0,
        },
        {
            **nothing,
            "label": "B, hospital",
            "treatment": "b",
            "kind": "hospital",
            "median": 12.0,
            "low": 4.0,
            "high": 30.0,
        },
    ]
    return pd.DataFrame(rows).assign(text=["", "10.0 (7.0 to 15.0)", "20.0", "12.0", "12.0"])


def forest_axes(**changes):
    _, axes = axes_of(9, 4)
    settings = {"looks": LOOKS, "xlabel": "median (months)", "xlim": (3.0, 48.0), "log": True, "wide": True}
    return forest.forest(axes, forest_table(), columns={"model": "text"}, **{**settings, **changes})


def test_a_forest_draws_each_interval_estimate_and_printed_number():
    axes = forest_axes()
    for y, row in enumerate(forest_table().to_dict("records")):
        if row["kind"] != "heading":
            assert has_line(axes, [row["low"], row["high"]], [y, y])
            assert has_line(axes, [row["median"]], [y])
    assert has_line(axes, [9.8], [1.26])
    assert has_line(axes, [6.0, 16.0], [1.26, 1.26])


def test_a_forest_shows_an_arrow_only_where_an_interval_leaves_the_axis():
    arrows = [line for line in forest_axes().get_lines() if line.get_label() == "_arrow"]
    assert [(line.get_xdata()[0], line.get_ydata()[0], line.get_marker()) for line in arrows] == [(48.0, 2, ">")]


def test_a_forest_sizes_its_markers_and_tells_overall_lines_apart():
    assert forest.marker_size(160) > forest.marker_size(40) > forest.marker_size(5)
    assert forest.marker_size(NAN) == forest.marker_size(1)
    axes = forest_axes()
    style = {line.get_ydata()[0]: line.get_linestyle() for line in axes.get_lines() if len(line.get_xdata()) == 2}
    assert style[3] == "-"
    assert style[4] == ":"


def test_a_forest_writes_labels_and_columns_at_their_rows():
    for wide, up in ((True, 0.0), (False, 0.36)):
        texts = {text.get_text(): text.xy[1] for text in forest_axes(wide=wide).texts}
        assert texts["One 2001"] == pytest.approx(1 - up)
    texts = {text.get_text(): text.xy[1] for text in forest_axes().texts}
    assert texts["10.0 (7.0 to 15.0)"] == 1
    assert forest_axes().get_xlabel() == "median (months)"


def test_a_wide_forest_keeps_labels_and_columns_inside_the_figure():
    table = forest_table().assign(label=["A very long name of a study and of its arm " * 2] * 5)
    settings = {"looks": LOOKS, "xlabel": "median (months)", "xlim": (3.0, 48.0), "log": True}
    drawn = forest.forest_figure(table, wide=True, columns={"model (95 %)": "text"}, **settings)
    FigureCanvasAgg(drawn).draw()
    axes = drawn.axes[0]
    inside = drawn.bbox
    for text in axes.texts:
        box = text.get_window_extent()
        assert box.x0 >= inside.x0 - 1
        assert box.x1 <= inside.x1 + 1
        assert not (box.x1 > axes.bbox.x0 and box.x0 < axes.bbox.x1), "over the plot"


def test_contrasts_draw_the_ratio_with_its_interval_and_words_where_there_is_none():
    table = pd.DataFrame(
        [
            {"label": "within", "text": "no side-by-side study", "kind": "within", "treatment": "b", "ratio": NAN},
            {
                "label": "combined",
                "text": "",
                "kind": "combined",
                "treatment": "b",
                "ratio": 0.8,
                "low": 0.6,
                "high": 1.1,
            },
            {"label": "published", "text": "0.62", "kind": "published", "treatment": "b", "ratio": 0.62},
        ]
    )
    drawn = contrasts.contrasts_figure(table, looks=LOOKS, xlabel="hazard ratio")
    axes = drawn.axes[0]
    assert has_line(axes, [0.6, 1.1], [1.12, 1.12])
    assert has_line(axes, [0.8], [1.12])
    assert has_line(axes, [0.62], [2.12])
    assert "within: no side-by-side study" in [text.get_text() for text in axes.texts]
    assert axes.get_xlim()[0] <= 0.6
    assert axes.get_xscale() == "log"


def test_rank_plots_draw_every_chain_and_the_band():
    rows = [
        {"chain": chain, "left": left, "right": left + 10, "count": count}
        for chain, counts in enumerate(([4, 6], [7, 3]))
        for left, count in zip((0, 10), counts, strict=True)
    ]
    table = pd.DataFrame(rows).assign(low=2.0, expected=5.0, high=8.0)
    drawn = posterior.rank_figure(table)
    heights = [list(patch.get_data().values) for patch in drawn.axes[0].patches if hasattr(patch, "get_data")]
    assert heights == [[4, 6], [7, 3]]


def test_treatments_differ_in_colour_and_in_shape():
    many = looks([f"t{at}" for at in range(12)])
    assert len(set(many.values())) == 12
    assert len({look.marker for look in list(many.values())[:8]}) == len(MARKERS)


@pytest.mark.slow
def test_an_svg_is_reproducible_named_and_asks_for_nothing():
    first, second = (svg(treatment_axes(curves.treatment_figure), title='<A> & "B"') for _ in range(2))
    assert first == second
    assert first.startswith("<svg ")
    assert 'aria-label="&lt;A&gt; &amp; &quot;B&quot;"' in first
    assert "<script" not in first
    assert "url(http" not in first
    assert 'href="http' not in first


def test_letters_of_a_compact_svg_stand_where_they_stood(monkeypatch):
    """Each outline, followed point by point, is matplotlib's to a unit of 1/6400 of the letter."""
    monkeypatch.setattr(style, "compact", lambda text: text)
    whole = svg(treatment_axes(curves.treatment_figure), title="one")
    small = compact(whole)
    shapes = dict(compact_svg.GLYPH.findall(small))
    written = re.findall(r'id="DejaVuSans-([0-9a-f]+)" d="([^"]*)"', whole)
    assert len(written) > 20
    for name, path in written:
        assert np.abs(corners(shapes[f"g{name}"]) - corners(path)).max() <= 1
    assert len(re.findall(r'<use xlink:href="#g', small)) == len(
        re.findall(r'<use xlink:href="#DejaVuSans-(?!3")', whole)
    )
    assert len(small) < 0.7 * len(whole)
    assert "stroke-width:0.8" in small


def corners(path: str) -> np.ndarray:
    """The points that an outline names, from absolute or relative steps."""
    here, points = np.zeros(2), []
    for command, text in re.findall(r"([MLQlq])([^A-Za-z]*)", path):
        steps = np.array(re.findall(r"-?[\d.]+", text), dtype=float).reshape(-1, 2)
        points.append(steps + (here if command.islower() else 0.0))
        here = points[-1][-1]
    return np.concatenate(points)


@pytest.mark.slow
def test_two_svgs_share_no_name():
    def names(text):
        found = {part.split('"')[0] for part in text.split('id="')[1:]}
        return {name for name in found if not re.fullmatch(compact_svg.LETTER, name)}

    first, second = (svg(treatment_axes(curves.treatment_figure), title=title) for title in ("one", "two"))
    assert names(first)
    assert not names(first) & names(second)


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((0.65, 0.5, 0.82), "0.65 (0.50 to 0.82)"),
        ((0.65, 0.5, 0.9991), "0.65 (0.50 to 0.999)"),
        ((np.nan, np.nan, np.nan), "–"),
    ],
)
def test_estimates_never_hide_on_which_side_of_one_a_limit_lies(values, shown):
    assert estimate(values, digits=2, null=1.0) == shown
