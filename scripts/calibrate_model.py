"""Ranks of every parameter (sbc), or coverage of intervals (coverage; patient: with a covariate), over many worlds.

14 studies. sbc: rows from the model's own law; else numbers worked out from patients; clicks: curves, rebuilt.
One row a world, taken up where it stopped. BREAK breaks a likelihood or is `sampler` (`bb.fit`), `imputed` (20 draws).
python scripts/calibrate_model.py sbc|coverage|patient|clicks OUT.csv WORLDS [MINUTES] [BREAK]
"""

import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

import bayes_bm as bb
from bayes_bm.checks.calibration import coverage, parameter_ranks, tail_shares, uniformity
from bayes_bm.checks.twostage import two_stage_fit
from bayes_bm.observations import KINDS

DROP = {f"covariates.{name}": "none" for name in ("extracranial_controlled", "interval_over_6_months")}
SPECS = {"patient": {**DROP, "integration.points": 16}}  # else none
FEW = {"sampling.draws": 500, "sampling.tune": 500, "sampling.cores": 1}
BREAKS = {
    # events without the shape in their hazard; censored patients left out; points that count twice; narrow intervals
    "no_shape": ("patients", lambda old, d, s: old(d) - d.weight * d.exact * s[..., 0]),
    "forgotten": ("patients", lambda old, d, s: old(type(d)(**{**vars(d), "weight": d.weight * d.exact}))),
    "twice": ("points", lambda old, d, s: 2 * old(d)),
    "narrow": ("median_intervals", lambda old, d, s: old(type(d)(**{**vars(d), "sd": d.sd / 2}))),
}


def broken(name: str) -> None:
    kind, change = BREAKS[name]
    right = KINDS[kind].log_density
    density = lambda f, d, e, s, xp: change(lambda data: right(f, data, e, s, xp=xp), d, s)  # noqa: E731
    KINDS[kind] = replace(KINDS[kind], log_density=density)


def world(spec: bb.Spec, what: str, seed: int, how: str) -> dict[str, float]:
    curves = {"curves": "clicked", "mix": {"patients": 1.0}} if what == "clicks" else {}
    made = bb.simulate(spec, seed=seed, numbers="likelihood" if what == "sbc" else "patients", **curves)
    evidence, sampled, count = made.evidence(), how in ("sampler", "imputed"), 20 if how == "imputed" else None
    fit = bb.fit(made.spec, evidence, imputations=count) if sampled else two_stage_fit(made.spec, evidence)
    ranks = parameter_ranks(fit, made.truth, np.random.default_rng(seed)) if what == "sbc" else None
    return {"seed": seed, "gate": float(fit.gate.passed), **(ranks or tail_shares(fit, made.truth))}


if __name__ == "__main__":
    what, out, worlds, minutes, how, *_ = [*sys.argv[1:], *("inf", "")[max(0, len(sys.argv) - 4) :]]
    broken(how) if how in BREAKS else None
    spec = bb.read_spec("os_reresection_vs_resrs", changes={**SPECS.get(what, {"covariates": {}}), **FEW})
    begun = time.time()
    known = pd.read_csv(out) if Path(out).exists() else pd.DataFrame({"seed": []})
    for seed in sorted(set(range(int(worlds))) - set(known["seed"])):
        if time.time() - begun < 60 * float(minutes):
            known = pd.concat([known, pd.DataFrame([world(spec, what, seed, how)])])
            known.to_csv(out, index=False)
    print(f"{len(known)} worlds, gate failed in {int((known['gate'] == 0).sum())}")
    print((uniformity if what == "sbc" else coverage)(known.drop(columns=["seed", "gate"])).to_string(index=False))
