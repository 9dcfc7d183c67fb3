"""A command that is stopped while it samples writes nothing, leaves the old file, and says so with its own status."""

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

import bayes_bm as bb
from bayes_bm.runtime.signals import Stopped, pass_stops_on, stoppable
from tests.builders.small_spec import OLD, write_world

LOGNORMAL = {
    "[priors]": '[hazard]\nfamily = "lognormal"\n[priors]',
    "log_hr": "log_time_ratio",
    "log_shape": "log_sd",
}
"""Changes of the spec for a family that is sampled through the graph."""


class Ended(NamedTuple):
    status: int
    message: str
    seconds: float


def _said(terminal: int, seconds: float) -> str:
    """What comes out of a terminal within the time; nothing where its other end is closed."""
    if not select.select([terminal], [], [], seconds)[0]:
        return ""
    try:
        return os.read(terminal, 4096).decode(errors="replace")
    except OSError:
        return ""


def stopped(folder: Path, number: signal.Signals, command: str, *, after: str, options: Sequence[str] = ()) -> Ended:
    """Run a command on the folder's spec and send it the signal once its terminal has said `after`.

    Standard error is a terminal, because a pipe is told nothing of how far the work is.
    """
    out = folder / ("r.nc" if command == "fit" else "out")
    call = [sys.executable, "-m", "bayes_bm", command, str(folder / "small.toml"), "--out", str(out), *options]
    mine, theirs = pty.openpty()
    terminal = os.environ | {"TERM": "xterm", "COLUMNS": "200"}
    running = subprocess.Popen(call, stderr=theirs, stdout=subprocess.DEVNULL, env=terminal)
    os.close(theirs)
    try:
        text = ""
        while after not in text:
            more = _said(mine, 60)
            assert more, f"the command ended without {after}: {text}"
            text += more
        time.sleep(0.5)
        start = time.perf_counter()
        running.send_signal(number)
        while more := _said(mine, 30):
            text += more
        running.wait(timeout=30)
        seconds = time.perf_counter() - start
        lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "\n").strip().splitlines()
        return Ended(running.returncode, lines[-1].strip(), seconds)
    finally:
        running.kill()
        running.wait()
        os.close(mine)


def assert_nothing_written(folder: Path, ended: Ended, number: signal.Signals) -> None:
    assert ended.status == 128 + number
    assert ended.message == f"bayes-bm: stopped by {number.name}; nothing half-written is left behind"
    assert ended.seconds < 10
    assert (folder / "r.nc").read_bytes() == OLD
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    assert not (folder / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "command", "chains"),
    [(signal.SIGINT, "fit", "1"), (signal.SIGTERM, "run", "2")],
    ids=["SIGINT, one chain", "SIGTERM of run, two chains"],
)
def test_a_stopped_fit_writes_nothing(tmp_path: Path, number: signal.Signals, command: str, chains: str) -> None:
    """Before, Ctrl-C in one chain wrote a third of the draws over the old file, gate passed."""
    write_world(tmp_path, {})
    ended = stopped(tmp_path, number, command, after="sampling", options=["--chains", chains])
    assert_nothing_written(tmp_path, ended, number)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "after"),
    [
        (LOGNORMAL, "sampling"),
        ({"chains = 1": 'chains = 1\nsampler = "pymc"'}, "NUTS"),
        ({"chains = 1": 'chains = 2\nsampler = "pymc"'}, "NUTS"),
    ],
    ids=["graph", "PyMC, one chain", "PyMC, two chains"],
)
def test_a_stopped_fit_of_the_other_samplers_writes_nothing(
    tmp_path: Path, changes: dict[str, str], after: str
) -> None:
    # PyMC keeps room for all draws before the first
    write_world(tmp_path, {**changes, "draws = 2000000": "draws = 200000"})
    ended = stopped(tmp_path, signal.SIGINT, "fit", after=after)
    assert_nothing_written(tmp_path, ended, signal.SIGINT)


@pytest.mark.slow
@pytest.mark.parametrize("processes", ["1", "2"])
def test_stopped_imputations_write_nothing(tmp_path: Path, processes: str) -> None:
    curve = pd.DataFrame({"time": np.arange(0, 25, 2.0), "survival": np.exp(-np.arange(0, 25, 2.0) / 12)})
    curve.to_csv(tmp_path / "curve.csv", index=False)
    (tmp_path / "curves.csv").write_text(
        "study,arm,treatment,endpoint,curve,n\n" + "".join(f"s,{arm},{arm},os,curve.csv,40\n" for arm in "ab"),
        encoding="utf-8",
    )
    write_world(tmp_path, {'patients = ["ipd.csv"]': 'curves = ["curves.csv"]'})
    options = ["--imputations", "20", "--processes", processes]
    ended = stopped(tmp_path, signal.SIGINT, "fit", after="drawing patients", options=options)
    assert_nothing_written(tmp_path, ended, signal.SIGINT)


SLEEPERS = """
import os, sys, time
from pathlib import Path
from bayes_bm.runtime.parallel import map_fits
from bayes_bm.runtime.signals import stoppable
from bayes_bm.runtime.tasks import Task

def sleep(given, seeds):
    (Path(given) / str(os.getpid())).touch()
    time.sleep(60)

if __name__ == "__main__":
    with stoppable():
        map_fits(sleep, [Task(name, sys.argv[1]) for name in "ab"], cores=2)
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_parent(tmp_path: Path, number: signal.Signals) -> None:
    """Before, they went on for as long as their fits, and one for ever."""
    script, marks = tmp_path / "sleepers.py", tmp_path / "marks"
    script.write_text(SLEEPERS, encoding="utf-8")
    marks.mkdir()
    parent = subprocess.Popen([sys.executable, str(script), str(marks)], stderr=subprocess.DEVNULL)
    assert waited(lambda: len(list(marks.iterdir())) == 2, 30)
    workers = [int(path.name) for path in marks.iterdir()]
    parent.send_signal(number)
    parent.wait(timeout=10)
    assert waited(lambda: not any(alive(worker) for worker in workers), 10)


def waited(done, seconds: float) -> bool:
    """Whether it came true in so many seconds."""
    end = time.perf_counter() + seconds
    while not done():
        if time.perf_counter() > end:
            return False
        time.sleep(0.05)
    return True


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    # whoever has ended and was not yet asked for is a zombie
    return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"


@pytest.mark.slow
def test_a_library_call_raises_what_stopped_it(tmp_path: Path) -> None:
    """Before, one chain gave back the draws so far as a whole result."""
    write_world(tmp_path, {})
    spec = bb.read_spec(tmp_path / "small.toml")
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        bb.fit(spec, say=lambda stage: timer.start() if "sampling" in stage else None)


def test_a_stop_that_was_swallowed_is_passed_on() -> None:
    def swallow() -> None:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), pass_stops_on():
        swallow()
    with pytest.raises(Stopped, match="SIGTERM"), stoppable():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
