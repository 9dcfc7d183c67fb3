"""ML-NMR and M-spline ML-NMR in the speed benchmark: ours beside hand-written Stan, ESS per CPU second.

Stan is written as multinma writes it, row by row and vectorised over points, and with rows and points in one matrix,
which is faster. Before they race, log densities of all three are compared at the same parameters.

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
from bayes_bm.inference.compiled.coordinates import Coordinates
from bayes_bm.inference.compiled.nutpie import log_density
from bayes_bm.inference.compiled.packing import pack_problem
from bayes_bm.model.model_inputs import ModelInputs, prepare

ROWS, POINTS = 2000, 64
"""Patients of the four averaged arms, beside 1,000 who have covariates: the size of `ndmm`; its points."""
FORMS = {"as multinma": "", "in a matrix": "_matrix"}
"""How Stan is written, and the ends of its programs' names."""
SETTINGS = {"num_chains": 2, "num_warmup": 200, "num_samples": 200, "delta": 0.8, "save_warmup": True}
"""Of Stan: its rate is that of the sampling phase alone, which does not depend on how long it is."""
AGREED = 1e-6
"""By how much differences of log densities between parameters may differ."""
COMPARED = ("log_hr", "coefficient", "interaction", "smooth_sd")
"""Parameters whose smallest bulk ESS is compared. `coefficient` of Stan has the interaction as its last."""


def rival_data(inputs: ModelInputs) -> dict[str, Any]:
    """The world as Stan reads it; rows of averaged arms in order of arm, those with the event first."""
    design, known, rows = inputs.design, inputs.kinds["patients"], inputs.kinds["patients_averaged"]
    averaged, order = np.flatnonzero(inputs.averaged_arms), np.lexsort((1 - rows["exact"], rows["arm_row"]))
    sizes, events = (
        np.bincount(rows["arm_row"], weights, minlength=len(design.arm_study)).astype(int)[averaged]
        for weights in (None, rows["exact"])
    )
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
        "events": events,
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


def parameters(coordinates: Coordinates, x: np.ndarray) -> dict[str, Any]:
    """Coordinates as Stan names its parameters."""
    blocks = {block.name: x[coordinates.starts[block.name] :][: block.size] for block in coordinates.blocks}
    slopes = [blocks[name] for name in ("coefficient_age", "coefficient_male", "interaction_age")]
    values = {"log_hr": blocks["log_hr"][0], "coefficient": np.concatenate(slopes), "level": blocks["study_effect"]}
    if "smooth_sd" in blocks:
        deviation = blocks["study_log_coefficient_standard"].reshape(len(blocks["study_effect"]), -1)
        values |= {"smooth_sd": np.exp(blocks["smooth_sd"][0]), "deviation": deviation}
    else:
        values["shape"] = blocks["study_log_shape"]
    return {name: value.tolist() for name, value in values.items()}


def require_agreement(stan: Stan, family: str, inputs: ModelInputs, data: dict[str, Any]) -> dict[str, Any]:
    """Compare log densities at four places, but for their constants. Return one of these, for chains to begin at."""
    coordinates, problem = pack_problem(inputs)
    places = coordinates.start + 0.3 * np.random.default_rng(1).standard_normal((4, coordinates.size))
    given = [parameters(coordinates, x) for x in places]
    mine = np.array([log_density(x, problem)[0] for x in places])
    for ending in FORMS.values():
        apart = stan.densities(f"averaged_{family}{ending}", data, given) - mine
        assert np.ptp(apart) < AGREED, f"log densities of {family}{ending} differ by {np.ptp(apart):.1e}"
    return given[0]


def by_stan(stan: Stan, program: str, data: dict[str, Any], start: dict[str, Any], seed: int) -> tuple[float, str]:
    """ESS per CPU second of the sampling phase, and what was run."""
    beginnings = [start] * SETTINGS["num_chains"]
    draws, seconds = stan(program, data, (), seed, **SETTINGS, init=beginnings)
    steps = draws.pop("n_leapfrog__")[..., 0]
    kept = {name: values[:, -SETTINGS["num_samples"] :] for name, values in draws.items() if name in COMPARED}
    sampling = steps[:, -SETTINGS["num_samples"] :]
    ess = smallest_ess(kept)
    told = f"{seconds:.0f} CPU s, {sampling.mean():.0f} steps, {seconds / steps.sum() * 1e3:.1f} ms a gradient"
    rate = ess / (seconds * sampling.sum() / steps.sum())
    return rate, f"{told}, ESS {ess:.0f} of {sampling.size}"


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
    """Rows of the table: family, how Stan is written, seed, rates of both, their ratio, and what was run."""
    table = []
    for family in ("weibull", "mspline"):
        spec, evidence = averaged_world(family, ROWS, POINTS)
        inputs = prepare(bb.fit(spec, evidence, draws=50, tune=50).spec, evidence)
        data = rival_data(inputs)
        start = require_agreement(stan, family, inputs, data)
        for seed in range(1, seeds + 1):
            mine, said = by_ours(spec, evidence, seed)
            for form, ending in FORMS.items():
                theirs, told = by_stan(stan, f"averaged_{family}{ending}", data, start, seed)
                rates = f"{mine:.0f} | {theirs:.2f} | {mine / theirs:.0f}"
                table.append(f"| {family}, Stan {form}, seed {seed} | {rates} | {said}; {told} |")
                print(table[-1], file=sys.stderr, flush=True)
    return table


if __name__ == "__main__":
    print("\n".join(averaged_rivals(Stan(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)))
