"""No command opens a connection beyond this machine: Python tells of every socket, in children too."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.builders.small_spec import SPEC

WATCH = """
import os, sys

def watch(event, arguments, log=os.environ["SOCKETS_LOG"]):
    if event in ("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg"):
        place = arguments[1]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        place = arguments[0]
    else:
        return
    host = place[0] if isinstance(place, tuple) else place
    with open(log, "a", encoding="utf-8") as file:
        print(event, host.decode() if isinstance(host, bytes) else host, file=file)

sys.addaudithook(watch)
"""
MORE = """
[effects.study]
sd = { dist = "half_normal", sd = 0.5, why = "test" }
[sampling]
draws = 40
tune = 100
chains = 2
thin = 1
"""
"""An effect of studies and few draws, beside the small spec."""
COMMANDS = """
import threading, urllib.request
from bayes_bm.cli.app import main

def call(*arguments):
    try:
        main(arguments)
    except SystemExit as end:
        assert end.code in (0, 1, None), (arguments, end.code)

def ask(page):
    with urllib.request.urlopen(f"http://127.0.0.1:{page.server_address[1]}/about") as reply:
        assert reply.status == 200

if __name__ == "__main__":
    call("audit", "s.toml")
    call("reconstruct", "--manifest", "curves.csv", "--cores", "2", "--out", "rebuilt")
    call("run", "s.toml", "--out", "out", "--allow-failed-gate")
    call("compare", "out/result.nc", "--allow-failed-gate")
    from bayes_bm.inference.result import load
    from bayes_bm.report.server import PatientPage, server
    page = server(PatientPage(load("out/result.nc")))
    threading.Thread(target=page.serve_forever, daemon=True).start()
    ask(page)
    page.shutdown()
"""
HERE = ("127.0.0.1", "::1", "localhost")


@pytest.mark.slow
def test_no_command_speaks_to_another_machine(tmp_path: Path) -> None:
    """What compiled libraries do without Python is not seen."""
    rng = np.random.default_rng(2)
    rows = [
        f"{study},{arm},{arm},{time:.3f},{int(time < 20)}"
        for study in ("s", "t")
        for arm in "ab"
        for time in np.minimum(rng.exponential(12, 20) + 0.1, 20)
    ]
    files = {
        "sitecustomize.py": WATCH,
        "commands.py": COMMANDS,
        "s.toml": SPEC + MORE,
        "ipd.csv": "study,arm,treatment,time,event\n" + "\n".join(rows) + "\n",
        "curve.csv": "time,survival\n" + "".join(f"{time},{np.exp(-time / 12):.4f}\n" for time in range(0, 26, 2)),
        "curves.csv": "study,arm,treatment,endpoint,curve,n\n"
        + "".join(f"u,{arm},{arm},os,curve.csv,30\n" for arm in "ab"),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    log = tmp_path / "sockets.log"
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    environment = {**os.environ, "PYTHONPATH": path, "SOCKETS_LOG": str(log)}
    done = subprocess.run(
        [sys.executable, "commands.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "report.html").exists() and list((tmp_path / "rebuilt").iterdir())
    told = log.read_text(encoding="utf-8").splitlines()
    assert "socket.bind 127.0.0.1" in told
    assert [line for line in told if line.split(" ", 1)[1] not in HERE] == []
