"""The rivals of the speed benchmark: hand-written Stan in a process of its own, and a hand-written PyMC model."""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_world import COVARIATES, world

from bayes_bm.model.design import make_design

HERE = Path(__file__).parent


def rival_data(n: int, covariates: int = 0) -> dict[str, Any]:
    """The world as its rivals read it: patients in order of arm, exact events also as sums by arm."""
    spec, evidence = world(n, covariates=covariates)
    shape, rows = make_design(spec, evidence), evidence.patients.sort_values("arm_row", kind="stable")
    log_u, event = np.log(rows["time"].to_numpy(float) / spec.reference_time), rows["event"].to_numpy(float)
    x, arm, size = rows[list(COVARIATES[:covariates])].to_numpy(float), rows["arm_row"], np.bincount(rows["arm_row"])
    counts = {"J": len(shape.studies), "A": len(size), "P": len(shape.pairs), "N": n, "K": covariates}
    sums = {
        "d": np.bincount(arm, weights=event),
        "power": np.bincount(arm, weights=event * log_u),
        "event_x": event @ x,
    }
    index = {"study": shape.arm_study + 1, "treated": shape.arm_treatment, "pair": np.maximum(shape.arm_pair, 1)}
    of_rows = {"arm": arm.to_numpy() + 1, "event": event, "log_u": log_u, "x": x}
    return counts | sums | index | of_rows | {"size": size, "first": np.cumsum(size) - size + 1}


class Stan:
    """A running `benchmark_stan.py`; programs are compiled when first asked for, and kept by pystan."""

    def __init__(self, python: str) -> None:
        self.folder = tempfile.TemporaryDirectory()
        command = [python, str(HERE / "benchmark_stan.py")]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, text=True, **pipes)

    def __call__(
        self, program: str, data: dict[str, Any], centred: tuple[int, ...], seed: int, **settings: Any
    ) -> tuple[dict[str, np.ndarray], float]:
        """Draws (chain, transition, value) by name, and CPU seconds of sampling."""
        given, out = Path(self.folder.name) / f"{id(data)}.{sum(centred)}.json", Path(self.folder.name) / "draws.npz"
        plain = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in data.items()}
        given.write_text(json.dumps(plain | {"centred": centred}))
        asked = {"program": str(HERE / f"benchmark_{program}.stan"), "data": str(given), "out": str(out)}
        assert self.process.stdin
        assert self.process.stdout
        print(json.dumps(asked | {"seed": seed, "settings": settings}), file=self.process.stdin, flush=True)
        seconds = float(json.loads(self.process.stdout.readline()))
        return dict(np.load(out)), seconds
