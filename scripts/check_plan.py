"""Promised intervals against refits: a planned study is simulated, promised by weights, and sampled with the evidence.

python scripts/check_plan.py RESULT.nc --futures 10 [--design DESIGN.toml]
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

import bayes_bm as bb
from bayes_bm.updates.answers import read_answers
from bayes_bm.updates.designs import check_designs, planned_studies, read_designs
from bayes_bm.updates.future_study import Numbers, future_study
from bayes_bm.updates.plan import _drawn, _one_future


def joined(evidence: bb.Evidence, study: bb.Evidence, numbers: Numbers, t0: float) -> bb.Evidence:
    """Return the evidence with a planned study of patients or points, whose numbers are these."""
    tables = {name: getattr(study, name).copy() for name in ("patients", "sequences")}
    if "patients" in numbers:
        arrays = numbers["patients"]
        tables["patients"] = tables["patients"].assign(time=t0 * np.exp(arrays["log_u"]), event=arrays["exact"])
    if "points" in numbers:
        tables["sequences"] = tables["sequences"].assign(
            ratio=numbers["points"]["ratio"], size=numbers["points"]["size"]
        )
    moved = {
        name: pd.concat([getattr(evidence, name), rows.assign(arm_row=rows["arm_row"] + len(evidence.arms))])
        for name, rows in tables.items()
        if len(rows)
    }
    arms = pd.concat([evidence.arms, study.arms], ignore_index=True)
    return replace(evidence, arms=arms, **{name: rows.reset_index(drop=True) for name, rows in moved.items()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", type=Path)
    parser.add_argument("--design", type=Path, required=True)
    parser.add_argument("--futures", type=int, default=10)
    given = parser.parse_args()
    whole = bb.load(given.result)
    result = whole.thinned(2000)
    [design] = check_designs(result, read_designs(given.design)[:1], str(given.design))
    answers, rng = read_answers(result, bb.NewStudy()), np.random.default_rng(1)
    study = future_study(result, design, planned_studies(design)[0], rng)
    for future, drawn in enumerate(_drawn(study, rng.integers(2000, size=given.futures), rng)):
        promised = _one_future([study], [drawn], answers, rng)
        evidence = joined(whole.evidence, study.inputs.evidence, drawn[0], whole.spec.reference_time)
        again = read_answers(bb.fit(whole.spec, evidence, seed=future), bb.NewStudy()).log_ratio[:, 0]
        low, high = np.quantile(again, [0.025, 0.975])
        print(
            f"{future}: weights {promised.low[0]:.3f} {promised.high[0]:.3f} ({promised.method}, k {promised.k:.2f}),"
            f" refit {low:.3f} {high:.3f}, width {(promised.high[0] - promised.low[0]) / (high - low):.3f} of it",
            flush=True,
        )


if __name__ == "__main__":
    main()
