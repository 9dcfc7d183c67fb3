"""Standard output where nobody can write: a full disk, a closed pipe, a terminal of ASCII; in other processes."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.builders import posteriors, worlds

COMMAND = [sys.executable, "-m", "bayes_bm"]
UMLAUT = "Müller 2001"


@pytest.fixture(scope="module")
def result(tmp_path_factory) -> Path:
    """A stored result with a name that ASCII cannot write."""
    path = tmp_path_factory.mktemp("streams") / "r.nc"
    spec = worlds.spec(question=f"as in {UMLAUT}?")
    posteriors.result(spec, worlds.evidence(spec, worlds.TABLES), draws=20).save(path)
    return path


def ended(*arguments: Any, **given: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **given.pop("environment", {})}
    return subprocess.run([*COMMAND, *map(str, arguments)], text=True, env=environment, timeout=60, **given)


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_status_2() -> None:
    """Before, exit status 3."""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        said = ended("schema", stdout=full, stderr=subprocess.PIPE)
    assert said.returncode == 2
    assert said.stderr == (
        "bayes-bm: standard output: found cannot write there (No space left on device); "
        "make room, or send it elsewhere\n"
    )


PROGRESS = """
import sys
from bayes_bm.cli.streams import written_streams
with written_streams():
    print("sampling", file=sys.stderr)
    sys.stderr.flush()
    print("done")
"""


@pytest.mark.slow
def test_progress_that_cannot_be_written_stops_nothing() -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        said = subprocess.run([sys.executable, "-c", PROGRESS], stdout=subprocess.PIPE, stderr=full, check=False)
        assert (said.returncode, said.stdout) == (0, b"done\n")
        assert ended("nonsense", stderr=full).returncode == 2


@pytest.mark.slow
def test_a_reader_that_left_is_status_141_without_a_word() -> None:
    """128 + SIGPIPE, as the shell has it; rich, which draws this table, ended with 1."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe:
        said = ended("models", stdout=pipe, stderr=subprocess.PIPE)
    assert (said.returncode, said.stderr) == (141, "")


ASCII = ({"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"})
PRINTED = f"from bayes_bm.cli.streams import written_streams\nwith written_streams():\n    print({UMLAUT!a})"


@pytest.mark.slow
def test_a_terminal_of_ascii_gets_escapes(result: Path) -> None:
    said = ended("compare", result, environment=ASCII[0], capture_output=True)
    assert (said.returncode, said.stderr) == (0, "")
    assert "as in M\\xfcller 2001?" in said.stdout
    for environment in ASCII:
        call = [sys.executable, "-c", PRINTED]
        done = subprocess.run(call, env=os.environ | environment, capture_output=True, text=True, check=True)
        assert done.stdout == "M\\xfcller 2001\n"


@pytest.mark.slow
def test_a_closed_output_is_nobody_to_tell() -> None:
    command = " ".join([*COMMAND, "schema"])
    said = subprocess.run(["sh", "-c", f"{command} >&-"], stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert (said.returncode, said.stderr) == (0, "")
