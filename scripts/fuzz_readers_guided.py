"""Fuzz the readers with atheris, which looks for inputs that reach new code; seeds are the good inputs of each reader.

    PYTHONPATH=. python scripts/fuzz_readers_guided.py CORPUS -max_total_time=600

atheris is no dependency of the project: `pip install atheris` into an environment of one's own. The first byte of an
input chooses the reader. A fault ends the run, prints the exception and keeps the input.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import atheris as atheris_module  # pyright: ignore[reportMissingImports, reportMissingModuleSource]

atheris: Any = atheris_module

with atheris.instrument_imports(include=["bayes_bm.evidence", "bayes_bm.spec", "bayes_bm.runtime", "tomllib"]):
    from tests.builders.bad_inputs import READERS

NAMES = tuple(READERS)
FOLDER = tempfile.TemporaryDirectory()


def read(data: bytes) -> None:
    """Give the input to the reader that its first byte names."""
    if len(data) < 2:
        return
    name = NAMES[data[0] % len(NAMES)]
    outcome = READERS[name].outcome(data[1:], Path(FOLDER.name))
    if outcome.startswith("fault"):
        raise RuntimeError(f"{name}: {outcome}")


def main() -> None:
    """Write the seeds into the corpus, and fuzz until atheris ends the process."""
    corpus = Path(sys.argv[1])
    corpus.mkdir(exist_ok=True, parents=True)
    for number, name in enumerate(NAMES):
        for place, good in enumerate(READERS[name].good):
            (corpus / f"seed-{name}-{place}").write_bytes(bytes([number]) + good)
    atheris.Setup(sys.argv, read)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
