"""CPU seconds, memory and effective draws of whole fits against the number of patients, as a table.

python scripts/benchmark_patients.py [FIGURE]    e.g. docs/figures/patients.png (`patients_figure.py`)
"""

import json
import os
import subprocess
import sys
import time
from typing import Any
from unittest.mock import patch

SIZES = ((1_000, 0), (10_000, 0), (100_000, 0), (1_000_000, 0), (1_000, 3), (10_000, 3), (100_000, 3))
STUDIES = 100
COLUMNS = ("patients", "covariates", "evidence", "fit", "sampling", "ess", "megabytes")


def one(n: int, covariates: int) -> None:
    """In a process of its own: CPU seconds of evidence, whole fit and sampling in it; the smallest ESS."""
    from benchmark_world import world

    import bayes_bm as bb
    from bayes_bm import sampling

    run, spent = sampling._run, []

    def timed(*given: Any, **more: Any) -> Any:
        before = time.process_time()
        found = run(*given, **more)
        spent.append(time.process_time() - before)
        return found

    times = [time.process_time()]
    spec, evidence = world(n, studies=STUDIES, covariates=covariates)
    times.append(time.process_time())
    with patch.object(sampling, "_run", timed):
        result = bb.fit(spec, evidence)
    times.append(time.process_time())
    seconds = {"evidence": times[1] - times[0], "fit": times[2] - times[1], "sampling": sum(spent)}
    print(json.dumps(seconds | {"ess": min(row["ess_bulk"] for row in result.gate.rows)}))


def measured(n: int, covariates: int) -> dict[str, float]:
    """A row of the table."""
    process = subprocess.Popen([sys.executable, __file__, str(n), str(covariates)], stdout=subprocess.PIPE)
    assert process.stdout
    said = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{n} patients, {covariates} covariates ended with {status}")
    return {"patients": n, "covariates": covariates, **json.loads(said), "megabytes": used.ru_maxrss / 1024}


def main(figure: str = "") -> None:
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    rows = []
    for size in SIZES:
        rows.append(row := measured(*size))
        print(f"| {' | '.join(f'{row[name]:,.{name in COLUMNS[2:5]:d}f}' for name in COLUMNS)} |", flush=True)
    if figure:
        from patients_figure import draw

        draw(rows, figure)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        one(int(sys.argv[1]), int(sys.argv[2]))
    else:
        main(*sys.argv[1:])
