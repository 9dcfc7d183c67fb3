"""CPU seconds, memory and effective draws of whole fits against the number of patients, as a table.

python scripts/benchmark_patients.py [FIGURE] [MOST]    e.g. docs/figures/patients.png (`patients_figure.py`) 1000000
python scripts/benchmark_patients.py million            a million with three covariates, continuous or few-valued
python scripts/benchmark_patients.py one 1000000 3 few  one of the rows; then draws and tuning draws, and shards
"""

import json
import subprocess
import sys
import time
from resource import RUSAGE_SELF, getrusage

SIZES = ((1_000, 0), (10_000, 0), (100_000, 0), (1_000_000, 0), (1_000, 3), (10_000, 3), (100_000, 3))
STUDIES = 100
COLUMNS = ("patients", "covariates", "evidence", "fit", "sampling", "ess", "megabytes")


FEW = "few"
"""Covariates of three values each, so that patients of an arm are of 27 kinds."""
MILLION = (("few", 1000, 1000), ("continuous", 500, 500))
"""Kind of covariates, draws and tuning draws of each of four chains: enough for 1,000 effective draws."""


def one(n: int, covariates: int, kind: str = "", draws: str = "", tune: str = "", shards: str = "1") -> None:
    """In a process of its own: CPU seconds of evidence, whole fit and, in it, from the first transition to the end."""
    from benchmark_world import world

    import bayes_bm as bb

    stages: list[float] = []
    before = time.process_time()
    asked = {"draws": int(draws), "tune": int(tune), "thin": 1} if draws else {}
    spec, evidence = world(n, studies=STUDIES, covariates=covariates, few_valued=kind == FEW, **asked)
    read, begun = time.process_time(), time.perf_counter()
    # the first thing told of a compiled density is that sampling begins
    result = bb.fit(spec, evidence, shards=int(shards), say=lambda stage: stages.append(time.process_time()))
    end = time.process_time()
    seconds = {"evidence": read - before, "fit": end - read, "sampling": end - stages[0]}
    ess, size = min(row["ess_bulk"] for row in result.gate.rows), getrusage(RUSAGE_SELF).ru_maxrss / 1024
    found = {**seconds, "ess": ess, "megabytes": size, "wall": time.perf_counter() - begun}
    print(json.dumps(found | {"gate": result.gate.passed, "steps": float(result.sample_stats["n_steps"].mean())}))


def measured(n: int, covariates: int, *more: object) -> dict[str, float]:
    """A row of the table."""
    command = [sys.executable, __file__, "one", *(str(given) for given in (n, covariates, *more))]
    said = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return {"patients": n, "covariates": covariates, **json.loads(said.stdout)}


def main(figure: str = "", most: str = "1000000") -> None:
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    rows = []
    for size in [size for size in SIZES if size[0] <= int(most)]:
        rows.append(row := measured(*size))
        print(f"| {' | '.join(f'{row[name]:,.{name in COLUMNS[2:5]:d}f}' for name in COLUMNS)} |", flush=True)
    if figure:
        from patients_figure import draw

        draw(rows, figure)


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        one(int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
    elif sys.argv[1:2] == ["million"]:
        for kind, draws, tune in MILLION:
            print(kind, measured(1_000_000, 3, kind, draws, tune), flush=True)
    else:
        main(*sys.argv[1:])
