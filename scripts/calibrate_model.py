"""Ranks of every parameter (sbc), or coverage of intervals (coverage; patient: with a covariate), over many worlds.

The default model, 14 studies. sbc: every row from the model's own law; the others: numbers worked out from patients.
One row a world in OUT.csv, taken up where it stopped. BREAK breaks a likelihood on purpose, or is `sampler`: `bb.fit`.
python scripts/calibrate_model.py sbc|coverage|patient OUT.csv WORLDS [MINUTES] [BREAK]
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

MODEL, PROPOSALS = "os_reresection_vs_resrs", 4000
NO_COVARIATES = {"covariates": {}}
ONE = {
    "covariates.extracranial_controlled": "none",
    "covariates.interval_over_6_months": "none",
    "integration.points": 16,
}
BREAKS = {
    # events without the shape in their hazard; points that count twice; intervals taken for half as wide
    "no_shape": ("patients", lambda old, d, s: old(d) - d.weight * d.exact * s[..., 0]),
    "twice": ("points", lambda old, d, s: 2 * old(d)),
    "narrow": ("median_intervals", lambda old, d, s: old(type(d)(**{**vars(d), "sd": d.sd / 2}))),
}


def broken(name: str) -> None:
    kind, change = BREAKS[name]
    right = KINDS[kind].log_density
    KINDS[kind] = replace(
        KINDS[kind], log_density=lambda f, d, e, s, xp: change(lambda data: right(f, data, e, s, xp=xp), d, s)
    )


def world(spec: bb.Spec, what: str, seed: int, sampled: bool) -> dict[str, float]:
    made = bb.simulate(spec, seed=seed, numbers="likelihood" if what == "sbc" else "patients")
    evidence, at = made.evidence(), {"draws": 500, "tune": 500, "chains": 4, "cores": 1}
    changed = made.spec.model_copy(update={"sampling": made.spec.sampling.model_copy(update=at)})
    fit = bb.fit(changed, evidence) if sampled else two_stage_fit(made.spec, evidence, proposals=PROPOSALS)
    ranks = parameter_ranks(fit, made.truth, np.random.default_rng(seed)) if what == "sbc" else {}
    every = max(1, fit.posterior.sizes["draw"] // 150)
    thin = replace(fit, posterior=fit.posterior.isel(draw=slice(None, None, every)))
    return {"seed": seed, "gate": float(fit.gate.passed), **(ranks or tail_shares(thin, made.truth))}


if __name__ == "__main__":
    what, out, worlds, minutes, how, *_ = [*sys.argv[1:], *("inf", "")[max(0, len(sys.argv) - 4) :]]
    if how in BREAKS:
        broken(how)
    spec, begun = bb.read_spec(MODEL, changes=ONE if what == "patient" else NO_COVARIATES), time.time()
    known = pd.read_csv(out) if Path(out).exists() else pd.DataFrame({"seed": []})
    for seed in sorted(set(range(int(worlds))) - set(known["seed"])):
        if time.time() - begun < 60 * float(minutes):
            known = pd.concat([known, pd.DataFrame([world(spec, what, seed, how == "sampler")])])
            known.to_csv(out, index=False)
    print(f"{len(known)} worlds, gate failed in {int((known['gate'] == 0).sum())}")
    print((uniformity if what == "sbc" else coverage)(known.drop(columns=["seed", "gate"])).to_string(index=False))
