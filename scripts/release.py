"""Build wheel and sdist, and try each in fresh environments of every supported Python that uv has.

python scripts/release.py [--uv .uv/bin/uv] [--out dist]
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PYTHONS = ("3.12", "3.13", "3.14")
"""Versions that a release is tried on."""
ROOT = Path(__file__).parents[1]
TRIAL = """
import bayes_bm as bb
result = bb.fit("analysis/spec.toml", draws=100, tune=200, chains=2)
print(bb.__version__, len(bb.compare(result)), "rows")
"""
CHECKLIST = """
Before a release is published:
- make test passes; CHANGELOG.md names the version and its date
- version in pyproject.toml and CITATION.cff are the same
- make demo from a fresh clone; the report was looked at
- the lines above say that wheel and sdist ran on every Python
"""


def main() -> None:
    """Build, try, and print what is left to do by hand."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uv", default=".uv/bin/uv")
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    asked = parser.parse_args()
    uv = str(Path(asked.uv).resolve())
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", str(asked.out.resolve())], check=True, cwd=ROOT)
    files = sorted([*asked.out.glob("*.whl"), *asked.out.glob("*.tar.gz")], key=lambda file: file.stat().st_mtime)[-2:]
    tries = {f"{file.name} on {version}": tried(uv, file, version) for version in PYTHONS for file in files}
    print(CHECKLIST)
    failed = [name for name, ran in tries.items() if ran is False]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")
    if not any(tries.values()):
        sys.exit(f"nothing was tried: this machine has none of Python {', '.join(PYTHONS)} that uv can find")


def pyenv_choice(version: str) -> dict[str, str]:
    """Return the environment in which uv finds this Python; shims of pyenv refuse a version that is not chosen."""
    if shutil.which("pyenv") is None:
        return dict(os.environ)
    kept = subprocess.run(["pyenv", "versions", "--bare"], capture_output=True, text=True).stdout.split()
    chosen = [name for name in kept if name.startswith(f"{version}.")]
    return {**os.environ, "PYENV_VERSION": chosen[-1]} if chosen else dict(os.environ)


def tried(uv: str, file: Path, version: str) -> bool | None:
    """Install a file in a fresh environment, run its command and its library there; None without such a Python."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        made = subprocess.run(
            [uv, "venv", "--quiet", "--no-python-downloads", "--python", version, "env"],
            cwd=folder,
            env=pyenv_choice(version),
            capture_output=True,
        )
        if made.returncode:
            print(f"{file.name} on {version}: left out, uv finds no Python {version} here", flush=True)
            return None
        python = folder / "env" / "bin" / "python"
        steps = {
            "install": [uv, "pip", "install", "--quiet", "--python", str(python), str(file.resolve())],
            "command": [str(folder / "env" / "bin" / "bayes-bm"), "init", "analysis", "--question", "a v b"],
            "lint": [str(python), "-m", "bayes_bm", "lint", "analysis"],
            "library": [str(python), "-c", TRIAL],
        }
        for name, command in steps.items():
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
            if done.returncode:
                print(f"{file.name} on {version}: {name} failed\n{done.stderr[-2000:]}", flush=True)
                return False
        print(f"{file.name} on {version}: runs ({done.stdout.strip()})", flush=True)
    return True


if __name__ == "__main__":
    main()
