"""Ranks of every parameter (sbc), or coverage of intervals (coverage; patient: with a covariate), over many worlds.

14 studies. sbc: rows from the model's own law; else numbers worked out from patients; clicks: curves, rebuilt;
vector, png: figures in journals' styles, read and rebuilt. mixes: sbc of two covariates of which arms print half their
shares, with ratios of four studies, 8 studies, sampled.
One row a world, taken up where it stopped. BREAK breaks a likelihood or is `sampler` (`bb.fit`), `imputed` (20 draws).
calibrate_model.py sbc|mixes|coverage|patient|clicks|vector|png OUT.csv WORLDS [MINUTES] [BREAK] [--cores N]
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from figure_evidence import figure_evidence

import bayes_bm as bb
from bayes_bm.runtime.errors import BayesBmError
from bayes_bm.runtime.parallel import map_fits
from bayes_bm.runtime.stores import CsvStore
from bayes_bm.runtime.tasks import Task
from bayes_bm.validation.broken_likelihoods import break_likelihood
from bayes_bm.validation.calibration import coverage, parameter_ranks, tail_shares, uniformity
from bayes_bm.validation.two_stage import two_stage_fit

OTHERS = ("extracranial_controlled", "single_met", "interval_over_6_months")
PRINTED = {
    "evidence.prognostic_ratios": [],
    "prognosis": "none",
    "external_checks": [],
    "sensitivity": {},
    "sensitivity_words": {},
}
DROP = {**{f"covariates.{name}": "none" for name in OTHERS}, "covariates.kps70.case_mix": "none", **PRINTED}
FEWER = {**{f"covariates.{name}": "none" for name in OTHERS[1:]}, "external_checks": [], "sampling.chains": 2}
FEWER |= {
    "sensitivity": {},
    "sensitivity_words": {},
    "sampling.thin": 1,
    "sampling.target_accept": 0.7,
    "effects.study_treatment": "none",
}
FEWER |= {"sampling.draws": 1500, "sampling.tune": 400}  # fewer draws ask for a retry, which costs more
SPECS = {"patient": {**DROP, "integration.points": 16}, "mixes": FEWER}  # else none
MIXED = {"studies": 8, "prognosis_studies": 4, "printed_covariates": 0.5}
MIXED |= {"mix": {"patients": 1, "points": 3, "medians": 3, "counts": 1}}
ALIKE = {"covariates": {}, **PRINTED}
"""Patients without covariates, as the worlds of 2026-11-27 had them."""
CURVES = {
    "clicks": {"curves": "clicked"},
    "vector": {"curves": "figures", "figure_files": ("svg", "pdf")},
    "png": {"curves": "figures", "figure_files": ("png",)},
}
COUNTS = ("arms", "read", "asked", "taken")
"""Arms of figures, drawn, written by the reader, in figures with open questions, and taken by the fit."""
FEW = {"sampling.draws": 500, "sampling.tune": 500, "sampling.cores": 1}


def world(given: tuple[bb.Spec, str, int, str, float], _: np.random.SeedSequence) -> dict[str, float]:
    spec, what, seed, how, until = given
    if time.time() > until:
        raise BayesBmError("the minutes are over")
    break_likelihood(how)
    curves = {**CURVES[what], "mix": {"patients": 1.0}} if what in CURVES else {}
    ranked, more = what in ("sbc", "mixes"), MIXED if what == "mixes" else curves
    made = bb.simulate(spec, seed=seed, numbers="likelihood" if ranked else "patients", **more)
    how = "sampler" if what == "mixes" else how
    evidence, counts = figure_evidence(made) if what in ("vector", "png") else (made.evidence(), {})
    sampled, count = how in ("sampler", "imputed"), 20 if how == "imputed" else None
    fit = bb.fit(made.spec, evidence, imputations=count) if sampled else two_stage_fit(made.spec, evidence)
    ranks = parameter_ranks(fit, made.truth, np.random.default_rng(seed)) if ranked else None
    return {"seed": seed, "gate": float(fit.gate.passed), **counts, **(ranks or tail_shares(fit, made.truth))}


if __name__ == "__main__":
    said = argparse.ArgumentParser()
    for name, more in {"what": {}, "out": {"type": Path}, "worlds": {"type": int}}.items():
        said.add_argument(name, **more)
    said.add_argument("minutes", nargs="?", type=float, default=float("inf"))
    said.add_argument("how", nargs="?", default="")
    said.add_argument("--cores", type=int, default=1)
    of = said.parse_args()
    spec = bb.read_spec("os_reresection_vs_resrs", changes={**FEW, **SPECS.get(of.what, ALIKE)})
    until = time.time() + 60 * of.minutes
    tasks = [Task(str(seed), (spec, of.what, seed, of.how, until)) for seed in range(of.worlds)]
    found = map_fits(world, tasks, store=CsvStore(of.out, ("seed",)), cores=of.cores)
    known = pd.DataFrame([one.value for one in found if one.status != "failed"])
    for why, count in (
        pd.Series([one.failure for one in found if one.status == "failed"], dtype=str).value_counts().items()
    ):
        print(f"{count} worlds are not here: {why}")
    print(f"{len(known)} worlds, gate failed in {int((known['gate'] == 0).sum())}")
    counted = known.reindex(columns=COUNTS).dropna(axis=1)
    for name, count in counted.sum().items():
        print(f"arms {name}: {count:g}")
    summary = uniformity if of.what in ("sbc", "mixes") else coverage
    print(summary(known.drop(columns=["seed", "gate", *counted])).to_string(index=False))
