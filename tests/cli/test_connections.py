"""No command opens a connection beyond this machine, in children too: Python tells of every socket.

Within a process every test watches (tests/conftest.py): runs, reports, pages and their servers among them.
"""

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
    if event == "told":
        place = "localhost"
    elif event in ("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg"):
        place = arguments[1]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        place = arguments[0]
    else:
        return
    host = place[0] if isinstance(place, tuple) else place
    with open(log, "a", encoding="utf-8") as file:
        print(event, host.decode() if isinstance(host, bytes) else host, file=file)

sys.addaudithook(watch)
sys.audit("told")
"""
COMMANDS = """
from bayes_bm.cli.app import main

def call(*arguments):
    try:
        main(arguments)
    except SystemExit as end:
        assert end.code in (0, 1, None), (arguments, end.code)

if __name__ == "__main__":
    call("audit", "s.toml")
    call("reconstruct", "--manifest", "curves.csv", "--cores", "2", "--out", "rebuilt")
"""
HERE = ("127.0.0.1", "::1", "localhost")


@pytest.mark.slow
def test_no_command_speaks_to_another_machine(tmp_path: Path) -> None:
    """What compiled libraries do without Python is not seen."""
    files = {
        "sitecustomize.py": WATCH,
        "commands.py": COMMANDS,
        "s.toml": SPEC,
        "ipd.csv": "study,arm,treatment,time,event\n" + "".join(f"s,{arm},{arm},5,1\n" for arm in "ab"),
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
    assert list((tmp_path / "rebuilt").iterdir())
    told = log.read_text(encoding="utf-8").splitlines()
    # the command and its two processes were watched
    assert told.count("told localhost") >= 3
    assert [line for line in told if line.split(" ", 1)[1] not in HERE] == []
