"""Evidence inside a stored result, and back."""

import json
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_bm.evidence.records import Evidence, RebuiltArm

TABLES = (
    *("arms", "patients", "sequences", "medians", "hazard_ratios", "counts", "registry", "set_aside"),
    *("background", "prognostic_ratios"),
)
"""Tables of the evidence, each a variable of the file; of older files some are absent, which were empty."""


def stored_evidence(evidence: Evidence) -> xr.Dataset:
    """Each table as one JSON text: a variable, because an attribute of HDF5 ends at 64 KiB."""
    tables = {**evidence.tables(), "background": evidence.background}
    return xr.Dataset({name: _stored_table(table) for name, table in tables.items()}).assign(
        rebuilt=((), np.array(json.dumps([arm.document() for arm in evidence.rebuilt]), dtype=object)),
        hr_cholesky=(("hr_row", "hr_column"), evidence.hr_cholesky),
        digests=((), np.array(json.dumps(dict(evidence.digests)), dtype=object)),
        remarks=((), np.array(json.dumps(evidence.remarks), dtype=object)),
    )


def _stored_table(table: pd.DataFrame) -> tuple[tuple[()], np.ndarray, dict[str, str]]:
    """With the type of each column, which the text of a table without rows, or of an empty column, does not tell."""
    kinds = json.dumps({name: str(kind) for name, kind in table.dtypes.items()})
    return (), np.array(json.dumps(table.to_dict(orient="list")), dtype=object), {"dtypes": kinds}


def _read_table(stored: xr.DataArray) -> pd.DataFrame:
    columns = json.loads(str(stored.item()))
    return pd.DataFrame(columns, dtype=object).astype(json.loads(stored.attrs["dtypes"]))


def read_stored_evidence(stored: xr.Dataset) -> Evidence:
    """Return the evidence that `stored_evidence` stored."""
    tables: dict[str, Any] = {name: _read_table(stored[name]) for name in TABLES if name in stored}
    rebuilt = json.loads(str(stored["rebuilt"].item()))
    return Evidence(
        **tables,
        remarks=tuple(json.loads(str(stored["remarks"].item()))),
        hr_cholesky=stored["hr_cholesky"].values,
        digests=json.loads(str(stored["digests"].item())),
        rebuilt=tuple(RebuiltArm.from_document(arm) for arm in rebuilt),
    )
