"""Hand-written Stan on the world of the speed benchmark, run by another Python that has pystan."""

import json
import subprocess
import tempfile
from pathlib import Path

import arviz as az
import numpy as np
from benchmark_world import world

from bayes_bm.effects import design

SEEDS = range(1, 6)


def stan_data(n: int) -> dict[str, object]:
    """The world without covariates as `benchmark_stan.MODEL` reads it: patients in order of arm."""
    spec, evidence = world(n)
    shape = design(spec, evidence)
    rows = evidence.patients.sort_values("arm_row", kind="stable")
    log_u, event = np.log(rows["time"].to_numpy(float) / spec.reference_time), rows["event"].to_numpy(float)
    size = np.bincount(rows["arm_row"])
    sums = {"d": event, "power": event * log_u}
    found = {name: np.bincount(rows["arm_row"], weights=values) for name, values in sums.items()}
    found |= {"study": shape.arm_study + 1, "treated": shape.arm_treatment, "pair": np.maximum(shape.arm_pair, 1)}
    found |= {"log_u": log_u, "size": size, "first": np.cumsum(size) - size + 1}
    counts: dict[str, object] = {"J": len(shape.studies), "A": len(size), "P": len(shape.pairs), "N": n}
    return counts | {name: values.tolist() for name, values in found.items()}


def stan(python: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        data, out = Path(folder) / "data.json", Path(folder) / "draws.npz"
        data.write_text(json.dumps(stan_data(776)))
        script = Path(__file__).with_name("benchmark_stan.py")
        subprocess.run([python, str(script), str(data), str(out)], check=True, capture_output=True)
        found = np.load(out)
    names = [name for name in found.files if name != "seconds"]
    ess = {seed: min(float(az.ess(found[name])) for name in names if name.endswith(f"_{seed}")) for seed in SEEDS}
    return float(np.median([ess[seed] / cpu for seed, cpu in zip(SEEDS, found["seconds"], strict=True)]))
