"""Type aliases that rooms share."""

from collections.abc import Callable
from typing import Any

import numpy as np

type Array = np.ndarray
"""An array of floats; the docstring of its user names the axes."""
type Progress = Callable[[str], None]
"""Told each stage of long work as it begins."""
type Row = dict[str, Any]
"""One row of a table, by column."""
