"""ML-NMR and M-spline ML-NMR in the speed benchmark: ours beside Stan as multinma writes it, ESS per CPU second.

python scripts/benchmark_averaged_rival.py PYTHON_WITH_PYSTAN [SEEDS]      Stan takes minutes a seed
"""

import sys
from typing import Any

import numpy as np
from benchmark_averages import averaged_world
from benchmark_rates import smallest_ess, timed
from benchmark_rival import Stan

import bayes_bm as bb
from bayes_bm.hazards.family import placed
from bayes_bm.model.model_inputs import ModelInputs, prepare

ROWS, POINTS = 2000, 64
"""Patients of the four averaged arms, beside 1,000 who have covariates: the size of `ndmm`; its points."""
SETTINGS = {"num_chains": 2, "num_warmup": 150, "num_samples": 150, "delta": 0.8, "save_warmup": True}
"""Of Stan: its rate is that of the sampling phase alone, which does not depend on how long it is."""
COMPARED = ("log_hr", "coefficient", "interaction", "smooth_sd")
"""Parameters whose smallest bulk ESS is compared. `coefficient` of Stan has the interaction as its last."""


def rival_data(inputs: ModelInputs) -> dict[str, Any]:
    """The world as Stan reads it; rows of averaged arms in order of arm."""
    design, known, rows = inputs.design, inputs.kinds["patients"], inputs.kinds["patients_averaged"]
    averaged, order = np.flatnonzero(inputs.averaged_arms), np.argsort(rows["arm_row"], kind="stable")
    sizes = np.bincount(rows["arm_row"], minlength=len(design.arm_study))[averaged]
    treated, arm = design.arm_treatment, known["arm_row"]
    data: dict[str, Any] = {
        "J": len(design.studies),
        "N": len(arm),
        "M": len(order),
        "A": len(averaged),
        "P": inputs.arm_points.shape[1],
        "study": design.arm_study[arm] + 1,
        "treated": treated[arm],
        "x": _with_interaction(known["x"], treated[arm]),
        "log_u": known["log_u"],
        "event": known["exact"],
        "arm_study": design.arm_study[averaged] + 1,
        "arm_treated": treated[averaged],
        "points": np.array([_with_interaction(inputs.arm_points[a], treated[a]) for a in averaged]),
        "first": np.cumsum(sizes) - sizes + 1,
        "size": sizes,
        "row_log_u": rows["log_u"][order],
        "row_event": rows["exact"][order].astype(int),
    }
    data["K"] = data["x"].shape[1]
    if inputs.family.knots is None:
        return data
    functions = len(inputs.family.knots.location)
    for name, values in (("", known[placed("log_u")]), ("row_", rows[placed("log_u")][order])):
        data |= {f"{name}integral": values[:, :functions], f"{name}spline": values[:, functions:]}
    reference = inputs.family.place(np.zeros(1))[0, :functions]
    return data | {"F": functions, "reference": reference, "step_root": np.sqrt(inputs.family.knots.step)}


def _with_interaction(x: np.ndarray, treated: Any) -> np.ndarray:
    """Covariates, then the first of them where treated (row, covariate + 1)."""
    return np.column_stack([x, x[:, 0] * treated])


def by_stan(stan: Stan, program: str, data: dict[str, Any], seed: int) -> tuple[float, str]:
    """ESS per CPU second of the sampling phase, and what was run."""
    draws, seconds = stan(program, data, (), seed, **SETTINGS)
    steps = draws.pop("n_leapfrog__")[..., 0]
    kept = {name: values[:, -SETTINGS["num_samples"] :] for name, values in draws.items() if name in COMPARED}
    share = steps[:, -SETTINGS["num_samples"] :].sum() / steps.sum()
    ess = smallest_ess(kept)
    told = f"{seconds:.0f} CPU s, {steps.mean():.0f} steps, {seconds / steps.sum() * 1e6:.0f} microseconds a gradient"
    return ess / (seconds * share), f"{told}, ESS {ess:.0f} of {2 * SETTINGS['num_samples']}"


def by_ours(spec: Any, evidence: Any, seed: int) -> tuple[float, str]:
    """ESS per CPU second of a whole fit: warm-up, parameters and gate counted."""
    draws, seconds = timed(
        lambda seed: bb.fit(spec, evidence, seed=seed),
        lambda result: {name: result.posterior[name].to_numpy() for name in COMPARED if name in result.posterior},
        seed,
    )
    ess = smallest_ess(draws)
    return ess / seconds, f"{seconds:.1f} CPU s, ESS {ess:.0f}"


def averaged_rivals(stan: Stan, seeds: int) -> list[str]:
    """Rows of the table: family, seed, rates of both, their ratio, and what was run."""
    table = []
    for family in ("weibull", "mspline"):
        spec, evidence = averaged_world(family, ROWS, POINTS)
        result = bb.fit(spec, evidence, draws=50, tune=50)
        data = rival_data(prepare(result.spec, evidence))
        for seed in range(1, seeds + 1):
            mine, said = by_ours(spec, evidence, seed)
            theirs, told = by_stan(stan, f"averaged_{family}", data, seed)
            table.append(f"| {family}, {seed} | {mine:.0f} | {theirs:.2f} | {mine / theirs:.0f} | {said}; {told} |")
            print(table[-1], file=sys.stderr, flush=True)
    return table


if __name__ == "__main__":
    print("\n".join(averaged_rivals(Stan(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)))
