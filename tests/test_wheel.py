"""The wheel carries models and evidence, and works from any folder in a fresh environment."""

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.paths import ROOT

UV = ROOT / ".uv" / "bin" / "uv"


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel, away from the clone; its dependencies are those of this environment.

    That the wheel names all that it needs is seen by `make release`, in fresh environments of every Python.
    """
    if not UV.is_file():
        pytest.skip("make setup puts uv into .uv; without it there is no quick fresh environment")
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    wheel = next(folder.glob("bayes_bm-*.whl"))
    run(UV, "venv", "--quiet", "--python", sys.executable, folder / "env", cwd=folder)
    python = folder / "env" / "bin" / "python"
    run(UV, "pip", "install", "--quiet", "--python", python, "--no-deps", wheel, cwd=folder)
    home = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    # a path that is added so has no .pth files of its own: the clone is not there
    (Path(home) / "dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return folder


ASKED = """
import contextlib, io, json
import bayes_bm
from bayes_bm.cli.app import main

def told(*arguments):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        main(arguments)
    return json.loads(out.getvalue())

models, audit = told("models", "--json"), told("audit", "os_reresection_vs_resrs", "--json")
found = {"home": bayes_bm.__file__, "models": models["models"], "treatments": audit["treatments"]}
print(json.dumps(found))
"""


@pytest.mark.slow
def test_wheel_has_models_and_evidence(installed: Path) -> None:
    """And is imported from the environment, not from the clone."""
    there = installed / "env" / "bin"
    assert run(there / "bayes-bm", "--version", cwd=installed).split()[-1] == "0.1.0"
    found = json.loads(run(there / "python", "-c", ASKED, cwd=installed))
    assert found["home"].startswith(str(installed))
    assert {model["name"] for model in found["models"]} == {path.stem for path in (ROOT / "models").rglob("*.toml")}
    assert [row["arms"] for row in found["treatments"]] == [7, 12]
