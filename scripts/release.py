"""Build wheel and sdist, and try each in fresh environments of every supported Python that uv has.

python scripts/release.py [--uv .uv/bin/uv] [--out dist]
"""

import argparse
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
    failed = [f"{file.name} on {version}" for version in PYTHONS for file in files if not tried(uv, file, version)]
    print(CHECKLIST)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def tried(uv: str, file: Path, version: str) -> bool:
    """Install a file in a fresh environment and run its command and its library there; say what became of it."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        made = subprocess.run(
            [uv, "venv", "--quiet", "--no-python-downloads", "--python", version, "env"],
            cwd=folder,
            capture_output=True,
        )
        if made.returncode:
            print(f"{file.name} on {version}: left out, uv has no Python {version} here", flush=True)
            return True
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
