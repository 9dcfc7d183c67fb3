"""What the user waits for: import, help, compile, sample, answer. Prints ratios against PyMC's own sampler in one run.

python scripts/benchmark_speed.py [SPEC]
"""

import subprocess
import sys
import time

import arviz as az
import numpy as np

import bayes_bm as bb


def seconds(command: list[str]) -> float:
    """Wall time of a fresh process, best of three."""
    times = []
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    return min(times)


def smallest_ess(result: bb.Result) -> float:
    names = [row["parameter"].split("[")[0] for row in result.gate.rows]
    bulk = az.ess(result.posterior[[name for name in dict.fromkeys(names) if name in result.posterior]], method="bulk")
    return float(min(np.min(values) for values in bulk.to_array().to_numpy().ravel() if np.isfinite(np.min(values))))


def measured(name: str, sampler: str) -> dict[str, float]:
    spec = bb.read_spec(name, changes={"sampling.sampler": sampler})
    started = time.perf_counter()
    result = bb.fit(spec)
    whole = time.perf_counter() - started
    sampling = result.provenance["seconds_to_sample"]
    return {"whole": whole, "sampling": sampling, "ess": smallest_ess(result)}


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else "os_reresection_vs_resrs"
    print(f"import bayes_bm          {seconds([sys.executable, '-c', 'import bayes_bm']):6.2f} s")
    print(f"bayes-bm --help          {seconds([sys.executable, '-m', 'bayes_bm.cli', '--help']):6.2f} s")
    ours, theirs = measured(name, "nutpie"), measured(name, "pymc")
    for label, found in (("nutpie (default)", ours), ("PyMC's sampler", theirs)):
        rate = found["ess"] / found["sampling"]
        print(f"{label:<18} fit {found['whole']:6.1f} s, sampling {found['sampling']:6.1f} s, ESS/s {rate:7.1f}")
    print(f"whole fit, theirs / ours   {theirs['whole'] / ours['whole']:.2f}")


if __name__ == "__main__":
    main()
