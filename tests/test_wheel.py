"""The wheel carries models and evidence, and works from any folder in a fresh environment."""

import json
import subprocess
import sys
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
    """A fresh environment with the wheel and its pinned dependencies, away from the clone."""
    if not UV.is_file():
        pytest.skip("make setup puts uv into .uv; without it there is no quick fresh environment")
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    wheel = next(folder.glob("bayes_bm-*.whl"))
    run(UV, "venv", "--quiet", "--python", sys.executable, folder / "env", cwd=folder)
    python = folder / "env" / "bin" / "python"
    run(UV, "pip", "install", "--quiet", "--python", python, "-c", ROOT / "requirements.lock", wheel, cwd=folder)
    return folder


@pytest.mark.slow
def test_wheel_has_models_and_evidence(installed: Path) -> None:
    command = installed / "env" / "bin" / "bayes-bm"
    shipped = {model["name"] for model in json.loads(run(command, "models", "--json", cwd=installed))["models"]}
    assert shipped == {path.stem for path in (ROOT / "models").rglob("*.toml")}
    audit = json.loads(run(command, "audit", "os_reresection_vs_resrs", "--json", cwd=installed))
    assert [row["arms"] for row in audit["treatments"]] == [7, 12]


@pytest.mark.slow
def test_wheel_is_imported_from_the_environment_not_the_clone(installed: Path) -> None:
    python = installed / "env" / "bin" / "python"
    home = run(python, "-c", "import bayes_bm; print(bayes_bm.__file__, bayes_bm.__version__)", cwd=installed)
    assert str(installed) in home
    assert home.split()[1] == "0.1.0"
