"""Drawn figures hold what their patients say: the corners of an SVG's lines are those of the Kaplan-Meier curve."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lxml import etree

from bayes_bm.hazards.nonparametric import kaplan_meier
from bayes_bm.validation.simulation.journal_figures import (
    FigureStyle,
    axis_end,
    draw_figure,
    labels_touch,
    random_style,
)

PATIENTS = (np.array([2.0, 5.0, 5.0, 7.0, 9.0, 11.0]), np.array([1, 0, 1, 1, 0, 1]))


def test_the_line_in_the_file_is_the_kaplan_meier_curve(tmp_path: Path) -> None:
    style = FigureStyle(width=5.0, height=2.0, table=False, legend="none", marks="")
    file = draw_figure(tmp_path / "one", {"GTR": PATIENTS}, style)
    paths = [node.get("d") for node in etree.parse(file).iter("{*}path") if node.get("clip-path")]
    places = np.array(paths[0].replace("M", " ").replace("L", " ").split(), float).reshape(-1, 2)
    # the panel is 5 by 2 inches, its left edge 0.65 inch in; 12 months and 1.02 of survival span it, 72 units an inch
    time = (places[:, 0] / 72 - 0.65) / 5.0 * 12.0
    survival = 1.02 * (0.15 + 2.0 - places[:, 1] / 72) / 2.0
    curve = kaplan_meier(*PATIENTS)
    assert axis_end({"GTR": PATIENTS}, style) == 12.0
    np.testing.assert_allclose(np.unique(time.round(4)), [0, *curve.time], atol=1e-4)
    np.testing.assert_allclose(np.unique(survival.round(4))[::-1], [1, *curve.survival], atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_one_seed_draws_one_file(tmp_path: Path, seed: int) -> None:
    arms = {"Re-resection": PATIENTS, "Repeat SRS": PATIENTS}
    styles = [random_style(np.random.default_rng(seed), 2, file="svg") for _ in range(2)]
    assert styles[0] == styles[1]
    first = draw_figure(tmp_path / "a.svg", arms, styles[0]).read_bytes()
    assert draw_figure(tmp_path / "a.svg", arms, styles[1]).read_bytes() == first


def test_the_axis_ends_where_the_style_cuts_it() -> None:
    arms = {"GTR": (np.array([3.0, 35.5]), np.array([1, 1]))}
    assert axis_end(arms, FigureStyle()) == 36.0
    assert axis_end(arms, replace(FigureStyle(), cut=0.8)) == 25.0


@pytest.mark.parametrize(
    ("left", "height", "touch"), [(3, 2.8, False), (1, 2.0, True), (1, 6.0, False), (3, 0.8, True)]
)
def test_names_beside_lines_touch_where_the_ends_are_near(left: int, height: float, touch: bool) -> None:
    # ten patients each: one line ends at 0.1, the other at (1 + left) / 10, 0.1 or 0.3 of the height apart
    time = np.arange(1.0, 11.0)
    arms = {"a": (time, (time <= 9).astype(int)), "b": (time, (time <= 9 - left).astype(int))}
    assert labels_touch(arms, FigureStyle(height=height)) is touch


@pytest.mark.parametrize("band", ["filled", "lines"])
def test_an_arm_in_which_nobody_died_is_a_line_at_one(tmp_path: Path, band: str) -> None:
    alive = (np.array([3.0, 8.0]), np.array([0, 0]))
    style = FigureStyle(width=5.0, height=2.0, table=False, legend="none", marks="", band=band)
    file = draw_figure(tmp_path / "one", {"GTR": alive}, style)
    lines = [node.get("d") for node in etree.parse(file).iter("{*}path") if node.get("clip-path")]
    places = np.concatenate(
        [np.array(line.translate(str.maketrans("MLz", "   ")).split(), float).reshape(-1, 2) for line in lines]
    )
    survival = 1.02 * (0.15 + 2.0 - places[:, 1] / 72) / 2.0
    np.testing.assert_allclose(survival, 1.0, atol=1e-4)
