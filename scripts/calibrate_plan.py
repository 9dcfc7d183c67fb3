"""What a plan promises against refits, future by future: a study is simulated, read by `plan`, and sampled.

python scripts/calibrate_plan.py FUTURES OUT.csv [--series] [--result RESULT.nc --design DESIGN.toml]

Without a result: eight simulated studies of two treatments, and a trial of 60 per arm, or with --series four
single-arm series of 40. With one: the first design of the file. A row a future, taken up where it stopped; the last
lines say how the mean width and the probabilities agree.
"""

import argparse
import time
from collections.abc import Hashable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import bayes_bm as bb
from bayes_bm.inference.convergence import rank_rhat
from bayes_bm.inference.samplers import sampler
from bayes_bm.model.model_inputs import prepare
from bayes_bm.updates.answers import Answers, read_answers
from bayes_bm.updates.designs import check_designs, planned_studies, read_designs
from bayes_bm.updates.future_study import FutureStudy, Numbers, future_study
from bayes_bm.updates.plan import MARGIN, SETTLED, _drawn, _one_future

PLAIN = {"covariates": {}, "evidence.prognostic_ratios": [], "prognosis": "none", "external_checks": []}
PLAIN |= {"sensitivity": {}, "sensitivity_words": {}, "sampling.cores": 1, "sampling.thin": 1, "sampling.chains": 2}
AGAIN = {"draws": 1000, "tune": 250, "chains": 2, "thin": 1, "cores": 1}
TRIAL = {"name": "trial", "arms": {"re_srs": 60, "re_resection": 60}, "followup": 36, "accrual": 24, "lost": 0.05}
SERIES = {"name": "series", "arms": {"re_srs": 40, "re_resection": 40}, "side_by_side": False, "studies": 4}
SERIES |= {"prints": "points"}
DRAWS = 8000
"""Four times those of `plan`: all futures share them, and with 2,000 their width alone was off by two parts in 100."""
Row = dict[Hashable, Any]


def small_result() -> bb.Result:
    """A fit of eight simulated studies that print patients, points or medians, about which no truth is stated."""
    spec = bb.read_spec("os_reresection_vs_resrs", changes=PLAIN)
    made = bb.simulate(spec, seed=3, studies=8, mix={"patients": 2, "points": 4, "medians": 2})
    return bb.fit(made.spec, made.evidence(), draws=8000, tune=500)


def joined(evidence: bb.Evidence, studies: Sequence[FutureStudy], numbers: Sequence[Numbers]) -> bb.Evidence:
    """The evidence with planned studies of patients or points, whose numbers are these, each under its own name."""
    for place, (study, own) in enumerate(zip(studies, numbers, strict=True)):
        planned = study.inputs.evidence
        tables = {name: getattr(planned, name).copy() for name in ("arms", "patients", "sequences")}
        if "patients" in own:
            arrays = own["patients"]
            times = study.spec.reference_time * np.exp(arrays["log_u"])
            tables["patients"] = tables["patients"].assign(time=times, event=arrays["exact"])
        if "points" in own:
            arrays = own["points"]
            tables["sequences"] = tables["sequences"].assign(ratio=arrays["ratio"], size=arrays["size"])
        moved = {}
        for name, rows in tables.items():
            if len(rows):
                rows = rows.assign(study=rows["study"] + f" {place + 1}") if "study" in rows else rows
                rows = rows.assign(arm_row=rows["arm_row"] + len(evidence.arms)) if "arm_row" in rows else rows
                moved[name] = pd.concat([getattr(evidence, name), rows], ignore_index=True)
        evidence = replace(evidence, **moved)
    return evidence


def read(low: float, high: float, better: float, worse: float, name: str) -> Row:
    """Interval of the log ratio, and what it and the probabilities of better and worse settle."""
    return {
        f"{name}_low": low,
        f"{name}_high": high,
        f"{name}_excludes": float(low > 0 or high < 0),
        f"{name}_better": float(better > SETTLED),
        f"{name}_worse": float(worse > SETTLED),
    }


def refitted(spec: bb.Spec, evidence: bb.Evidence, treatment: str, seed: int) -> tuple[np.ndarray, float]:
    """Draws of a log hazard ratio given the evidence, sampled once without the gate's second try, and their R-hat."""
    sampling = spec.sampling.model_copy(update=AGAIN)
    inputs = prepare(spec.model_copy(update={"sampling": sampling}), evidence)
    posterior, _ = sampler(inputs, lambda stage: None)(sampling.target_accept, seed)
    values = posterior["log_hr"].sel(treatment=treatment).transpose("chain", "draw").to_numpy()
    return values.ravel(), float(rank_rhat(values))


def one_row(whole: bb.Result, studies: Sequence[FutureStudy], answers: Answers, future: int) -> Row:
    """Promise and refit in one future, whose numbers depend on its place alone."""
    started, rng = time.process_time(), np.random.default_rng([1, future])
    places = rng.integers(len(answers.log_ratio), size=1)
    drawn = [_drawn(study, places, rng)[0] for study in studies]
    promised = _one_future(studies, drawn, answers, rng)
    beyond = promised.beyond(float(np.log(MARGIN)))[:, 0]
    seconds = time.process_time() - started
    evidence = joined(whole.evidence, studies, [numbers for numbers, _ in drawn])
    values, rhat = refitted(whole.spec, evidence, answers.treatments[0], 1000 + future)
    low, high = np.quantile(values, answers.level.tails)
    edge = float(np.log(MARGIN))
    return {
        "future": future,
        "method": promised.method,
        "k": promised.k,
        **read(promised.low[0], promised.high[0], beyond[0], beyond[1], "plan"),
        **read(low, high, np.mean(values < edge), np.mean(values > -edge), "refit"),
        "rhat": rhat,
        "plan_seconds": seconds,
        "seconds": time.process_time() - started,
    }


def summary(rows: pd.DataFrame) -> str:
    """Mean widths, and probabilities with the standard error of their paired difference."""
    width = {name: rows[f"{name}_high"] - rows[f"{name}_low"] for name in ("plan", "refit")}
    means = {name: one.mean() for name, one in width.items()}
    ratio, count = means["plan"] / means["refit"], len(rows)
    error = (width["plan"] - ratio * width["refit"]).std() / np.sqrt(count) / means["refit"]
    lines = [
        f"{count} futures; {', '.join(f'{n} by {name}' for name, n in rows['method'].value_counts().items())};"
        f" R-hat of a refit above 1.02 in {int((rows['rhat'] > 1.02).sum())}",
        f"width: promised {means['plan']:.3f}, refit {means['refit']:.3f}, ratio {ratio:.3f} (error {error:.3f});"
        f" of one future sd {(width['plan'] / width['refit']).std():.3f}",
    ]
    for what in ("excludes", "better", "worse"):
        plan, refit = rows[f"plan_{what}"], rows[f"refit_{what}"]
        own = np.sqrt(refit.mean() * (1 - refit.mean()) / count)
        paired = (plan - refit).std() / np.sqrt(count)
        lines.append(
            f"{what}: promised {plan.mean():.3f}, refit {refit.mean():.3f} (error of either {own:.3f},"
            f" of the difference {paired:.3f}); they disagree in {int((plan != refit).sum())}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("futures", type=int)
    parser.add_argument("out", type=Path)
    parser.add_argument("--series", action="store_true")
    parser.add_argument("--result", type=Path)
    parser.add_argument("--design", type=Path)
    given = parser.parse_args()
    whole = small_result() if given.result is None else bb.load(given.result)
    asked = [SERIES if given.series else TRIAL] if given.design is None else read_designs(given.design)[:1]
    [design] = check_designs(whole, asked, str(given.design))
    thin, rng = whole.thinned(DRAWS), np.random.default_rng(1)
    answers = read_answers(thin, bb.NewStudy())
    made = {arms: future_study(thin, design, arms, rng) for arms in dict.fromkeys(planned_studies(design))}
    studies = [made[arms] for arms in planned_studies(design)]
    rows = pd.read_csv(given.out).to_dict("records") if given.out.exists() else []
    for future in range(len(rows), given.futures):
        rows.append(one_row(whole, studies, answers, future))
        pd.DataFrame(rows).to_csv(given.out, index=False)
    print(f"width now {answers.width_now[0]:.3f}\n{summary(pd.DataFrame(rows))}")


if __name__ == "__main__":
    main()
