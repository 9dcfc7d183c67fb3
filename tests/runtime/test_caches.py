"""Compiled code where no usual folder can be written: a read-only installation, a home that is none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import bayes_bm
from bayes_bm.runtime import caches

MODULE = """
from bayes_bm.runtime.compiling import cached_njit

@cached_njit()
def doubled(x):
    return 2 * x

@cached_njit()
def tripled(x):
    return 3 * x
"""
CALL = "import module; print(module.doubled(21), module.tripled(14))"
NO_TEMPORARY = """
import tempfile
def none():
    raise FileNotFoundError(2, "No usable temporary directory found")
tempfile.gettempdir = none
"""
FULL = """
import errno
from numba.core.caching import IndexDataCacheFile
def full(self, key, data):
    raise OSError(errno.ENOSPC, "No space left on device")
IndexDataCacheFile.save = full
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder of compiled functions in which no __pycache__ can be made, not even by root."""
    (tmp_path / "module.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "__pycache__").touch()
    (tmp_path / "temporary").mkdir()
    return tmp_path


def called(folder: Path, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What the code prints without a home, with a temporary folder of its own."""
    nowhere = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"), "/dev/null/none")
    usual = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA", "PYTENSOR", "MPL"))}
    set_so = {**usual, **nowhere, "TMPDIR": str(folder / "temporary"), **environment}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=folder, env=set_so, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.slow
def test_a_temporary_folder_takes_compiled_code_and_it_is_told_once(installed: Path) -> None:
    """Before, numba's RuntimeError ended the command with exit status 3."""
    lent = installed / "temporary" / f"bayes-bm-{os.getuid()}"
    said = called(installed, CALL)
    assert (said.returncode, said.stdout) == (0, "42 42\n")
    assert said.stderr == f"bayes-bm: the usual folders for compiled code cannot be written; {lent} takes it\n"
    assert {path.name.split("-")[0] for path in lent.rglob("*.nbi")} == {"module.doubled", "module.tripled"}
    assert lent.stat().st_mode & 0o077 == 0


@pytest.mark.slow
def test_without_any_folder_code_is_compiled_for_the_process(installed: Path) -> None:
    said = called(installed, NO_TEMPORARY + CALL)
    assert (said.returncode, said.stdout) == (0, "42 42\n")
    assert said.stderr.startswith("bayes-bm: compiled code is not kept (") and said.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_disk_that_is_full_loses_compiled_code_alone(installed: Path) -> None:
    said = called(installed, FULL + CALL)
    assert (said.returncode, said.stdout) == (0, "42 42\n")
    assert "not kept (No space left on device)" in said.stderr


@pytest.mark.slow
def test_graphs_and_figures_have_folders_too(installed: Path) -> None:
    code = (
        "import bayes_bm.model.pymc_graph, pytensor, matplotlib, sys; "
        "print(pytensor.config.base_compiledir, matplotlib.get_cachedir())"
    )
    said = called(installed, code)
    lent = installed / "temporary" / f"bayes-bm-{os.getuid()}"
    assert (said.returncode, said.stdout) == (0, f"{lent / 'pytensor'} {lent / 'matplotlib'}\n")
    assert said.stderr.count("\n") == 1


def test_a_folder_of_another_user_is_not_taken(tmp_path: Path, monkeypatch, caplog) -> None:
    """What lies there would be run."""
    monkeypatch.setattr(caches.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(caches.tempfile, "tempdir", str(tmp_path))
    (tmp_path / f"bayes-bm-{os.getuid()}").mkdir()
    (tmp_path / f"bayes-bm-{os.getuid()}").chmod(0o777)
    folder = caches.lend_folder.__wrapped__()
    assert folder is not None and folder.name != f"bayes-bm-{os.getuid()}"
    assert str(folder) in caplog.text


def test_compiled_functions_are_kept_in_one_way() -> None:
    """numba's own `cache=True` ends with an error where nothing can be written."""
    package = Path(bayes_bm.__file__).parent
    users = {path.name for path in package.rglob("*.py") if "cache=True" in path.read_text(encoding="utf-8")}
    assert users == {"compiling.py"}
