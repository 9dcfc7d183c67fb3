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
        out = Path(self.folder.name) / "draws.npz"
        asked = self._asked(program, data | {"centred": centred})
        seconds = float(self._answer(asked | {"out": str(out), "seed": seed, "settings": settings}))
        return dict(np.load(out)), seconds

    def densities(self, program: str, data: dict[str, Any], points: list[dict[str, Any]]) -> np.ndarray:
        """Log densities of parameters by name, on the scale that Stan samples."""
        return np.array(self._answer(self._asked(program, data) | {"points": points}))

    def _asked(self, program: str, data: dict[str, Any]) -> dict[str, Any]:
        """Where the program and its data stand; the data are written."""
        given = Path(self.folder.name) / "data.json"
        plain = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in data.items()}
        given.write_text(json.dumps(plain))
        return {"program": str(HERE / f"benchmark_{program}.stan"), "data": str(given)}

    def _answer(self, asked: dict[str, Any]) -> Any:
        assert self.process.stdin
        assert self.process.stdout
        print(json.dumps(asked), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())
