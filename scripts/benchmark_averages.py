"""Microseconds a gradient of arms averaged over covariates: against points, against rows, and PyMC's graph.

python scripts/benchmark_averages.py [--graph]      the graph takes half a minute to compile and minutes of 4,096 points
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from benchmark_world import prior

from bayes_bm.evidence.reading import select
from bayes_bm.evidence.records import Evidence
from bayes_bm.evidence.tables.checking import check_table
from bayes_bm.inference.compiled.nutpie import log_density
from bayes_bm.inference.compiled.packing import pack_problem
from bayes_bm.model.model_inputs import prepare
from bayes_bm.spec.document import Spec
from bayes_bm.spec.reading import parse_spec

POINTS = (16, 64, 256, 1024, 4096)
ROWS = (500, 2000, 10_000)
"""Patients of the four averaged arms, each with a time of its own."""
FAMILIES = {
    "weibull": {"hazard": {"family": "weibull"}, "log_shape": prior(0.3)},
    "mspline": {"hazard": {"family": "mspline", "knots": 7}, "smooth_sd": prior(1.0, "half_normal")},
}
STATED = {"age": {"prior": prior(1.0), "interaction": prior(1.0)}, "male": {"prior": prior(1.0), "kind": "two_valued"}}


def averaged_world(family: str, rows: int, points: int) -> tuple[Spec, Evidence]:
    """Two trials of 500 patients with covariates, and two of `rows` patients whose arms state theirs."""
    chosen = FAMILIES[family]
    spec = parse_spec(
        {
            "schema": 1,
            "name": "averages",
            "question": "how fast?",
            "endpoint": "os",
            "treatments": {"reference": "a", "compare": ["b"]},
            "hazard": chosen["hazard"],
            "effects": {"study": {"exchangeable": False}, "study_shape": {"exchangeable": False}},
            "priors": {"intercept": prior(10.0), "log_hr": prior(10.0)}
            | {name: value for name, value in chosen.items() if name != "hazard"},
            "covariates": STATED,
            "integration": {"points": points},
            # as `ndmm` has it
            "sampling": {"thin": 1},
        }
    )
    rng = np.random.default_rng(1)
    sizes = {"known1": 250, "known2": 250, "curve1": rows // 4, "curve2": rows // 4}
    parts = [_arm(rng, study, name, n) for study, n in sizes.items() for name in "ab"]
    patients = pd.concat(parts, ignore_index=True)
    stated = patients[patients["study"].str.startswith("curve")].groupby(["study", "arm"], as_index=False)
    arms = stated.agg(n=("age", "size"), mean_age=("age", "mean"), sd_age=("age", "std"), share_male=("male", "mean"))
    arms = arms.assign(treatment=arms["arm"], endpoint="os")
    patients.loc[patients["study"].str.startswith("curve"), ["age", "male"]] = np.nan
    tables = {"patients": patients, "arms": arms}
    return spec, select(spec, {name: check_table(name, table, where="benchmark") for name, table in tables.items()})


def _arm(rng: np.random.Generator, study: str, name: str, n: int) -> pd.DataFrame:
    age, male = rng.standard_normal(n), rng.integers(2, size=n)
    eta = 0.8 * age + 0.2 * male - 0.5 * (name == "b")
    time_to_death, censor = 12 * rng.exponential(size=n) * np.exp(-eta), rng.uniform(12, 60, n)
    seen = {"time": np.minimum(time_to_death, censor), "event": (time_to_death <= censor).astype(int)}
    return pd.DataFrame({"study": study, "arm": name, "treatment": name, **seen, "age": age, "male": male})


def least(call: Callable[[], Any], calls: int) -> float:
    """Microseconds of CPU, least of five rounds."""
    rounds = []
    for _ in range(5):
        started = time.process_time()
        for _ in range(calls):
            call()
        rounds.append((time.process_time() - started) / calls * 1e6)
    return min(rounds)


def ours(spec: Spec, evidence: Evidence) -> float:
    at, data = pack_problem(prepare(spec, evidence))
    x = at.start + 0.2 * np.random.default_rng(1).standard_normal(at.size)
    return least(lambda: log_density(x, data), 100)


def of_graph(spec: Spec, evidence: Evidence) -> float:
    """The same model's graph, compiled by PyTensor to C."""
    from pymc.blocking import DictToArrayBijection

    from bayes_bm.model.pymc_graph.build import build_model

    model = build_model(spec, evidence)
    density = model.logp_dlogp_function(ravel_inputs=True, mode="CVM")
    density.set_extra_values({})
    start = DictToArrayBijection.map(model.initial_point()).data
    call: Any = density._pytensor_function
    call.trust_input = True
    return least(lambda: call(start), 3)


def averages(*, graph: bool) -> list[str]:
    """Rows of the table: family, rows, and microseconds at each number of points."""
    table = []
    for family in FAMILIES:
        for rows in ROWS:
            found = [ours(*averaged_world(family, rows, points)) for points in POINTS]
            ratio = found[-1] / found[POINTS.index(64)]
            table.append(f"| {family}, {rows:,} | {' | '.join(f'{value:.0f}' for value in found)} | {ratio:.2f} |")
        if graph:
            value = of_graph(*averaged_world(family, ROWS[1], 64))
            table.append(f"| {family}, {ROWS[1]:,}, PyMC's graph | | {value:.0f} | | | | |")
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graph", action="store_true")
    print("\n".join(averages(graph=parser.parse_args().graph)))
