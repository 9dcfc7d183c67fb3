"""Fuzz the readers of everything that people give: no exception but ours.

    PYTHONPATH=. python scripts/fuzz_readers.py [SECONDS, by default 600]

Counts inputs, refusals and faults by reader; a fault is printed with its input and ends the run with status 1.
"""

import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.builders.bad_inputs import READERS, mutated

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 600.0
"""Length of the run, shared evenly between the readers."""


def main() -> int:
    """Mutate good inputs of each reader until its time is over."""
    counts: Counter[tuple[str, str]] = Counter()
    rng = random.Random(time.time_ns())
    with tempfile.TemporaryDirectory() as folder:
        for name, reader in READERS.items():
            end = time.monotonic() + SECONDS / len(READERS)
            while time.monotonic() < end:
                data = mutated(reader.good, rng)
                outcome = reader.outcome(data, Path(folder))
                counts[name, outcome.split(":")[0]] += 1
                if outcome.startswith("fault") and counts[name, "fault"] <= 3:
                    print(f"{name}: {outcome}\n  {data!r}", flush=True)
    for name in READERS:
        print(f"{name:12s}", {kind: counts[name, kind] for kind in ("read", "refused", "fault")})
    return int(any(kind == "fault" for _, kind in counts))


if __name__ == "__main__":
    sys.exit(main())
