"""Ours beside PyMC and hand-written Stan in one run, as markdown tables: rates, gradients, what a user waits for.

python scripts/benchmark_speed.py [--stan PYTHON_WITH_PYSTAN] [--seeds 5] [--largest 1000000] [--no-pymc]
"""

import argparse
import logging
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

from benchmark_averaged_rival import averaged_rivals
from benchmark_averages import POINTS, averages
from benchmark_contenders import by_pymc, by_stan, ours
from benchmark_gradients import SIZES, gradients
from benchmark_rates import race
from benchmark_rival import Stan


def asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stan", default="", help="a Python that has pystan")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--largest", type=int, default=SIZES[-1], help="most patients")
    parser.add_argument("--no-pymc", action="store_true")
    return parser.parse_args()


def show(title: str, columns: str, rows: list[str]) -> None:
    print(f"\n{title}\n\n| {columns} |\n|{'---|' * (columns.count('|') + 1)}")
    print("\n".join(rows), flush=True)


def main() -> None:
    given, started = asked(), time.perf_counter()
    logging.getLogger("pymc").setLevel(logging.ERROR)
    stan = Stan(given.stan) if given.stan else None
    machine = f"{os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f} before the start"
    print(f"{time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC, {machine}")
    # from a small process: the memory of a child begins as that of its parent
    script = str(Path(__file__).with_name("benchmark_waits.py"))
    waits = subprocess.run([sys.executable, script], check=True, stdout=subprocess.PIPE, text=True).stdout
    show("What a user waits for, fresh process", "what | wall s | CPU s | MB", waits.splitlines())
    columns = "776 patients, 14 studies | ESS per CPU s | range | ours is times | first run s | seeds"
    for covariates in (0, 3):
        contenders = ours(covariates, given.seeds)
        contenders += by_stan(stan, covariates, given.seeds) if stan else []
        contenders += [] if given.no_pymc else by_pymc(covariates, given.seeds)
        show(f"{covariates} covariates", columns, race(contenders, given.seeds))
    columns = "patients | ours, microseconds a gradient | Stan | ratio | three covariates: ours | Stan | ratio"
    show("Gradients, 14 studies", columns, gradients(stan, given.largest))
    columns = f"family, rows: microseconds a gradient by points | {' | '.join(f'{n:,}' for n in POINTS)} | 4,096 by 64"
    show("Arms averaged over covariates", columns, averages(graph=not given.no_pymc))
    if stan:
        columns = "family, how Stan is written, seed | ours, ESS per CPU s | Stan | ratio | what was run"
        show("ML-NMR against Stan", columns, averaged_rivals(stan, seeds=1))
    print(f"\n{(time.perf_counter() - started) / 60:.1f} minutes; load {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
