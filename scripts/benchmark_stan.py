"""Hand-written Stan on the world of the speed benchmark: per-arm sums, H(t) by hand, effects non-centred.

PYTHON_WITH_PYSTAN scripts/benchmark_stan.py DATA.json OUT.npz     draws and CPU seconds of each seed
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

MODEL = Path(__file__).with_name("benchmark.stan").read_text()
NAMES = ("log_hr", "intercept", "log_shape", "study_sd", "study_treatment_sd", "study_shape_sd")


def cpu_seconds() -> float:
    """Of this process and of those it started."""
    total = 0.0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(folder.name) == os.getpid() or int(fields[1]) == os.getpid():
            total += (int(fields[11]) + int(fields[12]) + int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
    return total


def main() -> None:
    data, out = json.loads(Path(sys.argv[1]).read_text()), {}
    seconds = []
    for seed in range(1, 6):
        posterior = stan.build(MODEL, data=data, random_seed=seed)
        started = cpu_seconds()
        fit = posterior.sample(num_chains=4, num_samples=1000, num_warmup=1000, delta=0.8)
        seconds.append(cpu_seconds() - started)
        out |= {f"{name}_{seed}": fit[name].reshape(1000, 4).T for name in NAMES}
    np.savez(sys.argv[2], seconds=seconds, **out)


if __name__ == "__main__":
    main()
