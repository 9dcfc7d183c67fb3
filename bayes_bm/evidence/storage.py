"""Evidence inside a stored result, and back."""

import json

import numpy as np
import pandas as pd
import xarray as xr

from bayes_bm.evidence.records import Evidence, RebuiltArm


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
    # results of before types were stored have none
    if "dtypes" not in stored.attrs:
        return pd.DataFrame(columns)
    return pd.DataFrame(columns, dtype=object).astype(json.loads(stored.attrs["dtypes"]))


def read_stored_evidence(stored: xr.Dataset) -> Evidence:
    names = ("arms", "patients", "sequences", "medians", "hazard_ratios", "counts", "set_aside")
    # results of before there were registries and backgrounds hold neither
    names = (*names, *(name for name in ("registry", "background") if name in stored))
    tables = {name: _read_table(stored[name]) for name in names}
    # results of version 0.1.0 before decision 19 (docs/decisions.md) was built hold no curves
    rebuilt = json.loads(str(stored["rebuilt"].item())) if "rebuilt" in stored else []
    remarks = json.loads(str(stored["remarks"].item())) if "remarks" in stored else []
    return Evidence(
        **tables,
        remarks=tuple(remarks),
        hr_cholesky=stored["hr_cholesky"].values,
        digests=json.loads(str(stored["digests"].item())),
        rebuilt=tuple(RebuiltArm.from_document(arm) for arm in rebuilt),
    )
