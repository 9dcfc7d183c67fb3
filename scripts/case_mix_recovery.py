"""Worlds with three two-valued covariates that half of the arms print: how often intervals hold the truth.

Each world has 14 studies without patients' covariates, shares that differ by treatment, and six studies that print
adjusted ratios. It is fitted with mixes as they are, and the first 200 also with every arm at the centres, as a spec
without `case_mix` does where an arm prints nothing. Worlds that the file holds are not done again.
Call: python scripts/case_mix_recovery.py WORLDS FIRST_SEED OUT.csv
"""

import sys
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

import bayes_bm as bb
from bayes_bm.evidence.reading import select
from bayes_bm.evidence.tables.checking import check_table
from bayes_bm.spec.reading import parse_spec

NAMES = {"performance": 0.4, "systemic": 0.5, "single": 0.6}
"""Hazard ratio of each covariate's 1 against 0."""
SHARES = {"b": 0.8, "a": 0.5}
"""Share of ones in the arms of a treatment."""
LOG_HR, LEVEL, STUDY_SD = -0.3, 0.8, 0.25
"""Of treatment b against a between patients alike; log H(12) of a patient with nothing; sd between studies."""
MIX_ASKED = {f"share_{name}": 0.65 for name in NAMES}
"""The population that the marginal difference is about."""
PATIENT = {"performance": 1.0, "systemic": 1.0, "single": 0.0}
PRIOR_SDS = {"intercept": 1.0, "log_hr": 1.0, "log_shape": 0.3}
MIX = {"points": 6, "medians": 6, "counts": 2}
SAMPLING = {"chains": 2, "draws": 1200, "thin": 1, "tune": 300, "target_accept": 0.65, "cores": 1}
"""One fit costs 2 CPU s; with fewer draws the gate asks for a retry, which costs 5 more."""
AT_CENTRES = 200
"""Worlds, by seed, that are also analysed at the centres: how badly that covers shows at once."""
ANSWER_DRAWS = 1000
"""Draws of which answers are worked out: an average over studies costs more than a draw."""


def prior(dist: str, sd: float, mean: float | None = None) -> dict:
    """A prior as a spec has it."""
    return {"dist": dist, "sd": sd, "why": "simulation"} | ({} if mean is None else {"mean": mean})


def spec(*, mixes: bool) -> bb.Spec:
    """The model of the worlds, with case mixes or with arms at centres of one half."""
    case_mix = {"mean": prior("normal", 1.0, 0.0), "sd": prior("half_normal", 0.5)}
    case_mix["by_treatment"] = prior("normal", 0.7, 0.0)
    own = {"case_mix": case_mix} if mixes else {}
    covariate = {"prior": prior("normal", 1.0, 0.0), "centre": 0.0 if mixes else 0.5, "lower": 0.0, "upper": 1.0}
    covariate["kind"] = "two_valued"
    effects = {name: {"sd": prior("half_normal", sd)} for name, sd in (("study", 0.4), ("study_shape", 0.2))}
    return parse_spec(
        {"schema": 1, "name": "recovery", "question": "is the truth found?", "endpoint": "os"}
        | {"treatments": {"reference": "a", "compare": ["b"]}, "effects": effects}
        | {"priors": {name: prior("normal", sd) for name, sd in PRIOR_SDS.items()}}
        | {"covariates": dict.fromkeys(NAMES, covariate | own)}
        | {"prognosis": {"sd": prior("half_normal", 0.2)}, "sampling": SAMPLING}
    )


def truth() -> dict:
    """Parameters that are given: treatment and covariates with an effect, unlike mixes."""
    logit = {name: float(np.log(share / (1 - share))) for name, share in SHARES.items()}
    by = {f"{treatment}, {name}": value for name in NAMES for treatment, value in logit.items()}
    return {
        "log_hr": {"b": LOG_HR},
        "coefficient": {name: float(np.log(hr)) for name, hr in NAMES.items()},
        "case_mix_mean": 0.0,
        "case_mix_sd": 0.4,
        "case_mix_by_treatment": by,
    } | {"intercept": LEVEL, "log_shape": 0.1, "study_sd": STUDY_SD, "study_shape_sd": 0.1, "prognosis_sd": 0.1}


def survival_at_12(log_hr: float, shares: dict[str, float]) -> float:
    """S(12) averaged over kinds of patients and studies, by hand: at the reference time the shape says nothing."""
    node, weight = np.polynomial.hermite_e.hermegauss(60)
    total = 0.0
    for kind in product((0, 1), repeat=len(NAMES)):
        share = np.prod([shares[name] if here else 1 - shares[name] for name, here in zip(NAMES, kind, strict=True)])
        eta = LEVEL + log_hr + sum(np.log(hr) for hr, here in zip(NAMES.values(), kind, strict=True) if here)
        total += share * float(weight @ np.exp(-np.exp(eta + STUDY_SD * node)) / weight.sum())
    return float(total)


def true_answers() -> dict[str, float]:
    """What the intervals should hold."""
    mix = {name.removeprefix("share_"): share for name, share in MIX_ASKED.items()}
    difference = survival_at_12(LOG_HR, mix) - survival_at_12(0.0, mix)
    return {"log HR": LOG_HR, "marginal difference": difference, "patient": survival_at_12(LOG_HR, PATIENT)}


def answers(result: bb.Result) -> dict[str, np.ndarray]:
    """The same, draws of a fit."""
    result = result.thinned(ANSWER_DRAWS)
    together = bb.survival(result, [12.0], who=bb.PatientMix(MIX_ASKED)).sel(time=12.0)
    one = bb.survival(result, [12.0], who=bb.Patient(PATIENT)).sel(time=12.0)
    difference = together.sel(treatment="b") - together.sel(treatment="a")
    return {
        "log HR": result.posterior["log_hr"].to_numpy().ravel(),
        "marginal difference": difference.to_numpy().ravel(),
        "patient": one.sel(treatment="b").to_numpy().ravel(),
    }


def rows_of(seed: int) -> list[dict]:
    """One world and its analyses: for each answer whether its 90 % interval holds the truth, and its error."""
    world = bb.simulate(spec(mixes=True), seed=seed, truth=truth(), mix=MIX, sizes=(30, 150), printed_covariates=0.5)
    rows = []
    for mixes in (True, False)[: 1 + (seed <= AT_CENTRES)]:
        tables = dict(world.tables)
        if not mixes:
            tables["arms"] = tables["arms"].drop(columns=[f"share_{name}" for name in NAMES])
        model = parse_spec({**spec(mixes=mixes).document(), "evidence": world.spec.document()["evidence"]})
        checked = {kind: check_table(kind, table, where=kind) for kind, table in tables.items()}
        result = bb.fit(model, select(model, checked), seed=seed)
        given = {"seed": seed, "analysis": "mixes" if mixes else "centres", "gate": result.gate.passed}
        for name, draws in answers(result).items():
            low, middle, high = np.quantile(draws, [0.05, 0.5, 0.95])
            true = true_answers()[name]
            numbers = {"true": true, "low": low, "median": middle, "high": high}
            rows.append({**given, "answer": name, **numbers, "covered": low <= true <= high})
    return rows


def main(worlds: int, first: int, out: Path) -> None:
    """Add the rows of so many worlds to the file, and print coverage of all in it."""
    done = set(pd.read_csv(out)["seed"]) if out.exists() else set()
    for seed in sorted({*range(first, first + worlds)} - done):
        pd.DataFrame(rows_of(seed)).to_csv(out, mode="a", header=not out.exists(), index=False)
    table = pd.read_csv(out)
    table["error"] = table["median"] - table["true"]
    table["width"] = table["high"] - table["low"]
    columns = {"worlds": ("seed", "nunique"), "covered": ("covered", "mean"), "bias": ("error", "mean")}
    columns |= {"width": ("width", "mean"), "gate": ("gate", "mean")}
    print(table.groupby(["analysis", "answer"]).agg(**columns).round(3).to_string())


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
