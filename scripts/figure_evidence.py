"""The evidence of a simulated world whose studies are figures, with what was read of them, nobody answering questions.

Figures that `bb.digitize` refuses, and arms that reconstruction refuses, are left out and counted; an arm about which
questions are open is taken as it was read.
"""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

import bayes_bm as bb
from bayes_bm.digitizing.many import Asked, digitize_all, write_together
from bayes_bm.evidence.records import Evidence
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.files import write_csv
from bayes_bm.runtime.spreadsheets import restore

ARM = re.compile(r"study (?P<study>.+?), arms? (?P<arm>.+?)(?: and (?P<other>.+?))?(?:,|$)")
"""How an error about a curve names its arm, or two arms."""


def figure_evidence(made: bb.World) -> tuple[Evidence, dict[str, int]]:
    """Return the evidence and how many arms were drawn, read, asked about and left out."""
    with TemporaryDirectory() as folder:
        drawn = [file for file in made.write(folder) if file.parent.name == "figures"]
        together = Path(folder) / "digitized"
        asked = [Asked(file, together / file.stem, endpoint=made.spec.endpoint, overlay=False) for file in drawn]
        saved = digitize_all(asked, cores=1)
        write_together(saved, together)
        counts = {"arms": sum(len(figure.arms) for figure in made.figures.values())}
        counts["read"] = len(pd.read_csv(together / "curves.csv"))
        counts["asked"] = sum(len(one.table) for one in saved if one.status == 1 and one.table is not None)
        evidence = _without_refused(Path(folder) / "spec.toml", together / "curves.csv")
        counts["taken"] = len(pd.read_csv(together / "curves.csv"))
    return evidence, counts


def _without_refused(spec: Path, manifest: Path) -> Evidence:
    """Return the evidence without the arms that are refused, which are struck from the manifest."""
    while True:
        try:
            return bb.read_evidence(bb.read_spec(spec))
        except InputError as problem:
            named, rows = ARM.search(problem.where), restore(pd.read_csv(manifest, dtype=object))
            lost = rows["arm"].isin([named["arm"], named["other"]]) if named else pd.Series(False, index=rows.index)
            lost &= rows["study"].eq(named["study"]) if named else False
            if not lost.any():
                raise
            write_csv(rows[~lost], manifest)
