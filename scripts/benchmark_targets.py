"""What the compiled density is to reach, in one run: a row a target, what is aimed at, and what is reached.

PYTHONPATH=. python scripts/benchmark_targets.py [PROBLEMS]      PROBLEMS is the folder that holds `ndmm`
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from benchmark_averages import least

import bayes_bm as bb
from bayes_bm.checks.sensitivity import analyses
from bayes_bm.inference.compiled.nutpie import BoundDensity
from bayes_bm.inference.compiled.packing import pack_problem
from bayes_bm.model.model_inputs import prepare
from tests.witness.problems.tables import write

MAIN = "os_reresection_vs_resrs"
POINTS = (64, 4096)
"""Integration points whose gradients are compared."""
FITS = (
    ("base", "Weibull ML-NMR, 64 points", 20),
    ("mspline", "M-spline ML-NMR, 64 points", 60),
    ("mspline_without_covariates", "M-spline without covariates", 15),
)
"""Analyses of `ndmm`, in words, and the CPU seconds that are aimed at."""


@dataclass(frozen=True)
class Fitted:
    """CPU seconds of a whole fit whose code is compiled, whether the gate passed, and steps a transition."""

    seconds: float
    gate: str
    steps: float

    def __str__(self) -> str:
        return f"{self.seconds:.1f} CPU s, gate {self.gate}, {self.steps:.1f} steps"


def cpu_seconds() -> float:
    """Of this process and of those it waited for."""
    return sum(os.times()[:4])


def fitted(spec: bb.Spec, evidence: bb.Evidence) -> Fitted:
    # so that no compiling is counted
    bb.fit(spec, evidence, draws=10, tune=10)
    before = cpu_seconds()
    result = bb.fit(spec, evidence)
    steps = float(result.sample_stats["n_steps"].mean())
    state = result.gate.state + (" at its retry" if result.gate.first_try else "")
    return Fitted(cpu_seconds() - before, state, steps)


def gradient(spec: bb.Spec, evidence: bb.Evidence, points: int) -> float:
    """Microseconds, 0.2 from the start in each coordinate."""
    settings = spec.integration.model_copy(update={"points": points})
    coordinates, data = pack_problem(prepare(spec.model_copy(update={"integration": settings}), evidence))
    x = coordinates.start + 0.2 * np.random.default_rng(1).standard_normal(coordinates.size)
    density = BoundDensity(data)
    return least(lambda: density(x), 300)


def of_ndmm(problems: Path) -> Iterator[str]:
    """Rows of the multiple myeloma problem."""
    with tempfile.TemporaryDirectory() as folder:
        base = bb.read_spec(write("ndmm", problems, Path(folder)))
        evidence = bb.read_evidence(base)
        specs = {analysis.name: analysis.spec(base) for analysis in analyses(base, families=[])}
        for name, words, aim in FITS:
            yield f"| `ndmm`, {words}, 4 x (1,000 + 1,000) | {aim} CPU s | {fitted(specs[name], evidence)} |"
        for name, words in (("base", "Weibull"), ("mspline", "M-spline")):
            few, many = (gradient(specs[name], evidence, points) for points in POINTS)
            found = f"{many / few:.2f} ({few:.0f} and {many:.0f} microseconds)"
            yield f"| `ndmm`, {words}, gradient at 4,096 points by 64 | 1.5 | {found} |"


def of_families() -> Iterator[str]:
    """Rows of the main answer under its own family and every other, and their sum."""
    base, total = bb.read_spec(MAIN), 0.0
    evidence = bb.read_evidence(base)
    for analysis in (analysis for analysis in analyses(base) if analysis.kind in ("base", "family")):
        found = fitted(analysis.spec(base), evidence)
        total += found.seconds
        yield f"| main answer, {analysis.name} | | {found} |"
    yield f"| main answer, all families | 60 CPU s | {total:.0f} CPU s |"


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    for rows in (of_ndmm(folder) if folder else (), of_families()):
        for one in rows:
            print(one, flush=True)
