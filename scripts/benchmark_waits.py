"""What a user waits for in a fresh process: import, help, the first answer; and how much memory it takes."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MAIN = "os_reresection_vs_resrs"


def fresh(command: list[str], times: int = 3, **environment: str) -> tuple[float, float, float]:
    """Best wall seconds and CPU seconds, and most megabytes, of fresh processes."""
    walls, cpus, sizes = [], [], []
    for _ in range(times):
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ | environment)
        _, status, used = os.wait4(process.pid, 0)
        if status:
            raise RuntimeError(f"{' '.join(command)} ended with {status}")
        walls.append(time.perf_counter() - started)
        cpus.append(used.ru_utime + used.ru_stime)
        sizes.append(used.ru_maxrss / 1024)
    return min(walls), min(cpus), max(sizes)


def waits() -> list[str]:
    """Rows of the table."""
    with tempfile.TemporaryDirectory() as folder:
        out, page, run = (str(Path(folder) / name) for name in ("result.nc", "report.html", "run"))
        patients = Path(folder) / "patients.csv"
        patients.write_text("kps70\n" + "1\n0\n" * 500)
        command = [sys.executable, "-m", "bayes_bm"]
        answer = [sys.executable, "-c", f"import bayes_bm as bb; bb.fit(bb.read_spec('{MAIN}'))"]
        one = [*command, "predict", out, "--patient", "kps70=1", "--times", "12"]
        many = [*command, "predict", out, "--patients", str(patients), "--times", "6,12,24"]
        found = {
            "nothing (`python -c pass`)": fresh([sys.executable, "-c", "pass"]),
            "`import bayes_bm`": fresh([sys.executable, "-c", "import bayes_bm"]),
            "`bayes-bm --help`": fresh([*command, "--help"]),
            "first posterior, nothing compiled before": fresh(answer, 1, NUMBA_CACHE_DIR=folder),
            "first posterior, compiled code on disk": fresh(answer),
            "`bayes-bm fit`, compiled code on disk": fresh([*command, "fit", MAIN, "--out", out]),
            "`bayes-bm compare` of its result": fresh([*command, "compare", out]),
            "`bayes-bm rank`": fresh([*command, "rank", out]),
            "`bayes-bm predict`, one patient": fresh(one),
            "`bayes-bm predict`, 1,000 patients": fresh(many, 1),
            "`bayes-bm report` with its checks": fresh([*command, "report", out, "--out", page], 1),
            "`bayes-bm check --leave-one-out study`": fresh([*command, "check", out, "--leave-one-out", "study"], 1),
            "`bayes-bm run`": fresh([*command, "run", MAIN, "--out", run], 1),
        }
    return [f"| {name} | {wall:.2f} | {cpu:.2f} | {size:.0f} |" for name, (wall, cpu, size) in found.items()]


if __name__ == "__main__":
    print("\n".join(waits()))
