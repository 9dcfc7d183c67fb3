"""What every formula's file needs: its signature, and its arrays from their addresses."""

from typing import Any

from numba import carray, njit, types  # pyright: ignore[reportPrivateImportUsage]

SIGNATURE = types.void(types.int64, types.CPointer(types.float64), types.CPointer(types.float64))
"""Of a formula: the number of cells, `given` and `found` (`formulas/__init__.py`)."""
JIT: dict[str, Any] = {"error_model": "numpy", "fastmath": False}


@njit(inline="always")
def table(address: Any, rows: int, n: int) -> Any:
    """An array (rows, cells) at an address."""
    return carray(address, (rows, n))
