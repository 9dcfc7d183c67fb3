"""Our density beside PyMC's graph (and hand-written Stan): smallest bulk ESS per CPU second, and gradients against n.

python scripts/benchmark_density.py [PYTHON_WITH_PYSTAN]
"""

import sys
import time
from unittest.mock import patch

import numpy as np
from benchmark_rival import SEEDS, stan
from benchmark_world import world

import bayes_bm as bb
from bayes_bm import sampling
from bayes_bm.density.chains import log_density
from bayes_bm.density.problem import problem


def fits(covariates: int) -> tuple[float, float]:
    """Median ESS per CPU second of the second and later fits of a process: sampling alone, the whole call."""
    spec, evidence = world(776, covariates=covariates)
    sample = sampling.sampler(spec, evidence, print)
    bb.fit(spec, evidence)
    alone, whole = [], []
    for seed in SEEDS:
        started = time.process_time()
        sample(spec.sampling.target_accept, seed)
        between = time.process_time()
        result = bb.fit(spec, evidence, seed=seed)
        ess = min(row["ess_bulk"] for row in result.gate.rows)
        alone.append(ess / (between - started))
        whole.append(ess / (time.process_time() - between))
    return float(np.median(alone)), float(np.median(whole))


def microseconds(n: int, covariates: int) -> float:
    at, data = problem(*world(n, covariates=covariates))
    started, calls = time.process_time(), max(5, 2_000_000 // n if covariates else 2000)
    for _ in range(calls):
        log_density(at.start, data)
    return (time.process_time() - started) / calls * 1e6


def main() -> None:
    for covariates in (0, 3):
        print(f"776 patients, {covariates} covariates: ESS per CPU s, sampling and whole fit {fits(covariates)}")
    with patch.object(sampling, "why_not", lambda *of: "the graph is asked for"):
        print(f"the same, PyMC's graph by PyTensor's C linker: {fits(0)}")
    for n, covariates in ((776, 0), (10**4, 0), (10**5, 0), (10**6, 0), (776, 3), (10**4, 3), (10**5, 3)):
        print(f"gradient, {n} patients, {covariates} covariates: {microseconds(n, covariates):.1f} microseconds")
    if len(sys.argv) > 1:
        print(f"Stan, per-arm sums: ESS per CPU s of sampling {stan(sys.argv[1]):.0f}")


if __name__ == "__main__":
    main()
