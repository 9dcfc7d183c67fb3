"""Hand-written Stan, kept running: builds what it is told on a line, samples, says CPU seconds.

PYTHON_WITH_PYSTAN scripts/benchmark_stan.py     a line in: program, data, seed, settings, out; a line out: seconds
                                                 or in: program, data, points; out: log densities of these parameters
"""

import json
import os
import sys
from pathlib import Path

import aiohttp  # pyright: ignore[reportMissingImports]
import numpy as np
import stan  # pyright: ignore[reportMissingImports]

# compiling may take longer than the five minutes pystan waits
aiohttp.client.DEFAULT_TIMEOUT = aiohttp.ClientTimeout(total=3600)
CHAINS = 4
EFFECTS = ("level", "shape", "deviation")


def cpu_seconds() -> float:
    """Of the processes that sample. What pystan spends on carrying draws about is not counted against Stan."""
    total = 0.0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid():
            total += sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")
    return total


def sampled(program: str, data: str, seed: int, settings: dict, out: str) -> float:
    given = json.loads(Path(data).read_text())
    posterior = stan.build(Path(program).read_text(), data=given, random_seed=seed)
    started, chains = cpu_seconds(), settings.setdefault("num_chains", CHAINS)
    fit = posterior.sample(**settings)
    spent = cpu_seconds() - started
    names = [name for name in posterior.param_names if name not in EFFECTS and np.size(fit[name])]
    # draws lie chain by chain within each transition: (value, transition, chain) -> (chain, transition, value)
    shaped = {name: fit[name].reshape(len(fit[name]), -1, chains).T for name in [*names, "n_leapfrog__"]}
    np.savez(out, **shaped)
    return spent


def densities(program: str, data: str, points: list[dict]) -> list[float]:
    """Log densities of parameters, on the scale that is sampled."""
    posterior = stan.build(Path(program).read_text(), data=json.loads(Path(data).read_text()), random_seed=1)
    return [posterior.log_prob(list(posterior.unconstrain_pars(point))) for point in points]


def main() -> None:
    # what pystan prints goes to where it disturbs nobody
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        asked = json.loads(line)
        answer = densities(**asked) if "points" in asked else sampled(**asked)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
