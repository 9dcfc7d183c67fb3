"""Dashed lines of one ink take the keys whose dashes are as long as theirs."""

from typing import Any

import numpy as np
import pytest

from bayes_bm.digitizing.raster.arms import Traced, Wanted
from bayes_bm.digitizing.raster.dashes import by_dashes, dash_length
from bayes_bm.digitizing.raster.tracing import Path

COLUMNS = 240


def dashed(row: int, dash: int, gap: int, key: float, name: str) -> Traced:
    """A level line, three pixels wide, of dashes and gaps."""
    share = np.zeros((60, COLUMNS))
    share[row - 1 : row + 2, np.arange(COLUMNS) % (dash + gap) < dash] = 1.0
    share[row - 10 : row + 11, 100] = 1.0  # a censor mark
    seen = np.ones(COLUMNS, bool)
    path = Path(0, np.full(COLUMNS, row), seen, ~seen, 0.0, 0.0)
    wanted = Wanted(np.zeros(3), "dashed", name, "legend", np.zeros((0, 2)), stroke=key)
    nothing: Any = None
    return Traced(wanted, share, np.zeros((60, COLUMNS)), 3.0, path, nothing, nothing)


def names(*arms: Traced) -> list[str]:
    return [arm.wanted.name for arm in by_dashes(arms)]


def test_the_length_of_dashes_is_measured_beside_marks() -> None:
    assert dash_length(dashed(20, 12, 6, 0, "a")) == pytest.approx(12)


def test_lines_are_exchanged_where_their_dashes_are_those_of_the_other_key() -> None:
    long, short = (20, 12, 6), (40, 6, 6)
    assert names(dashed(*long, 6, "short"), dashed(*short, 12, "long")) == ["long", "short"]
    assert names(dashed(*long, 12, "long"), dashed(*short, 6, "short")) == ["long", "short"]


def test_lines_stay_where_dashes_do_not_tell_them_apart() -> None:
    assert names(dashed(20, 7, 6, 6, "a"), dashed(40, 6, 6, 7, "b")) == ["a", "b"]
    assert names(dashed(20, 12, 6, 6, "a"), dashed(40, 6, 6, 0, "b")) == ["a", "b"]  # a key without length
