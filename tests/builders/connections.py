"""Processes that a test starts are watched for connections: Python tells of every socket.

What compiled libraries do without Python is not seen. Within a process every test watches (tests/conftest.py).
"""

import os
from pathlib import Path

import pytest

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
HERE = ("127.0.0.1", "::1", "localhost")


class WatchedProcesses:
    """Every process that is started from here on writes into one log whom it asks for."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._log = folder / "sockets.log"
        (folder / "sitecustomize.py").write_text(WATCH, encoding="utf-8")
        path = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
        monkeypatch.setenv("SOCKETS_LOG", str(self._log))

    def count_and_places(self) -> tuple[int, list[str]]:
        """How many processes were watched, and what they asked of other machines."""
        told = self._log.read_text(encoding="utf-8").splitlines()
        return told.count("told localhost"), [line for line in told if line.split(" ", 1)[1] not in HERE]
