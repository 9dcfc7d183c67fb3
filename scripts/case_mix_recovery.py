"""Worlds with three two-valued covariates that half of the arms print: how often intervals hold the truth.

Each world has 14 studies without patients' covariates, shares that differ by treatment, and six studies that print
adjusted ratios. It is fitted with mixes as they are, and with every arm at the centres, as a spec without `case_mix`
does. Call: python scripts/case_mix_recovery.py WORLDS [FIRST_SEED]
"""

import sys

import numpy as np

import bayes_bm as bb
from bayes_bm.evidence.reading import select
from bayes_bm.evidence.tables.checking import check_table
from bayes_bm.spec.reading import parse_spec

NAMES = {"performance": 0.4, "systemic": 0.5, "single": 0.6}
"""Hazard ratio of each covariate's 1 against 0."""
SHARES = {"b": 0.8, "a": 0.5}
"""Share of ones in the arms of a treatment."""
PRIOR_SDS = {"intercept": 1.0, "log_hr": 1.0, "log_shape": 0.3}
MIX = {"points": 6, "medians": 6, "counts": 2}


def prior(dist: str, sd: float, mean: float | None = None) -> dict:
    """A prior as a spec has it."""
    return {"dist": dist, "sd": sd, "why": "simulation"} | ({} if mean is None else {"mean": mean})


def spec(*, mixes: bool) -> bb.Spec:
    """The model of the worlds, with case mixes or with arms at centres of one half."""
    case_mix = {"mean": prior("normal", 1.0, 0.0), "sd": prior("half_normal", 0.5)}
    case_mix["by_treatment"] = prior("normal", 0.7, 0.0)
    own = {"kind": "two_valued", "case_mix": case_mix} if mixes else {}
    covariate = {"prior": prior("normal", 1.0, 0.0), "centre": 0.0 if mixes else 0.5, "lower": 0.0, "upper": 1.0}
    effects = {name: {"sd": prior("half_normal", sd)} for name, sd in (("study", 0.4), ("study_shape", 0.2))}
    return parse_spec(
        {"schema": 1, "name": "recovery", "question": "is the truth found?", "endpoint": "os"}
        | {"treatments": {"reference": "a", "compare": ["b"]}, "effects": effects}
        | {"priors": {name: prior("normal", sd) for name, sd in PRIOR_SDS.items()}}
        | {"covariates": dict.fromkeys(NAMES, covariate | own)}
        | {"prognosis": {"sd": prior("half_normal", 0.2)}, "sampling": {"chains": 2, "draws": 500, "tune": 500}}
    )


def truth() -> dict:
    """Parameters that are given: a treatment without effect, covariates with one, unlike mixes."""
    logit = {name: float(np.log(share / (1 - share))) for name, share in SHARES.items()}
    by = {f"{treatment}, {name}": value for name in NAMES for treatment, value in logit.items()}
    return {
        "log_hr": {"b": 0.0},
        "coefficient": {name: float(np.log(hr)) for name, hr in NAMES.items()},
        "case_mix_mean": 0.0,
        "case_mix_sd": 0.4,
        "case_mix_by_treatment": by,
    } | {"intercept": 0.8, "log_shape": 0.1, "study_sd": 0.25, "study_shape_sd": 0.1, "prognosis_sd": 0.1}


def main(worlds: int, first: int) -> None:
    """Print the log hazard ratio of every world, and coverage."""
    inside = {True: 0, False: 0}
    for seed in range(first, first + worlds):
        world = bb.simulate(
            spec(mixes=True), seed=seed, truth=truth(), mix=MIX, sizes=(30, 150), printed_covariates=0.5
        )
        tables = {kind: check_table(kind, table, where=kind) for kind, table in world.tables.items()}
        for mixes in (True, False):
            evidence_spec = {**spec(mixes=mixes).document(), "evidence": world.spec.document()["evidence"]}
            model = parse_spec(evidence_spec)
            result = bb.fit(model, select(model, tables), seed=seed)
            low, middle, high = np.quantile(result.posterior["log_hr"], [0.05, 0.5, 0.95])
            inside[mixes] += low <= 0 <= high
            said = " ".join(f"{float(value):.2f}" for value in result.posterior["coefficient"].mean(("chain", "draw")))
            print(f"world {seed} mixes {mixes}: log HR {middle:.2f} ({low:.2f} to {high:.2f}), {said}", flush=True)
            print(f"  gate {result.gate.state} {result.gate.reasons[:2]}", flush=True)
    print({"with mixes": inside[True], "at centres": inside[False], "worlds": worlds})


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
