"""A manifest of curves as the clicks and lines of R that IPDfromKM reads."""

from pathlib import Path

import pandas as pd

from bayes_bm.evidence.neighbours.r_lines import SCRIPT, Bundle
from bayes_bm.evidence.tables.foreign_clicks import read_clicks
from bayes_bm.evidence.tables.frames import records
from bayes_bm.evidence.tables.reading import read_table


def ipdfromkm_bundle(manifest: Path) -> Bundle:
    """Return clicks of every arm of a manifest, and a call of `preprocess` and `getIPD` for each.

    Censor marks are left out: IPDfromKM spreads censoring between the numbers at risk.
    """
    curves = read_table("curves", manifest)
    files, lines, left_out = {}, ["library(IPDfromKM)", "patients <- list()"], []
    for number, row in enumerate(records(curves), start=1):
        clicks = read_clicks("curve", manifest.parent / row["curve"])[["time", "survival"]]
        name = f"clicks_{number}.csv"
        files[name] = clicks.to_csv(index=False)
        settings = [f'dat = read.csv("{name}")', "maxy = 1", *_at_risk(manifest, row)]
        events = "" if pd.isna(row["events"]) else f", tot.events = {row['events']:g}"
        title = " ".join(f"{row['study']}: {row['arm']}".split())
        lines += [
            f"# {title}",
            f"prepared <- preprocess({', '.join(settings)})",
            f"patients[[{number}]] <- getIPD(prep = prepared, armID = {number}{events})$IPD",
        ]
        if row["ticks"] is not None:
            left_out.append(f"censor marks of {title}")
    return Bundle({**files, SCRIPT: "\n".join(lines) + "\n"}, tuple(left_out))


def _at_risk(manifest: Path, row: dict) -> list[str]:
    """Return the arguments that say how many were at risk: the printed table, or else how many began."""
    if row["at_risk"] is not None:
        table = read_clicks("at_risk", manifest.parent / row["at_risk"])
        times = ", ".join(f"{time:g}" for time in table["time"])
        return [f"trisk = c({times})", f"nrisk = c({', '.join(str(n) for n in table['at_risk'])})"]
    return [] if pd.isna(row["n"]) else [f"totalpts = {row['n']:g}"]
