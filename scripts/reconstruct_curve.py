"""Patients from a digitised curve, with what was honoured and what stays uncertain.

    python scripts/reconstruct_curve.py CURVE.csv [AT_RISK.csv]

Without a file: a curve with drops of known size, so that the answer can be checked by eye.
"""

import sys

import pandas as pd

import bayes_bm as bb
from bayes_bm.evidence.tables.reading import read_table

EXAMPLE = pd.DataFrame({"time": [0, 2, 2, 5, 5, 9, 9, 12], "survival": [1, 1, 0.9, 0.9, 0.8, 0.8, 0.6, 0.6]})
AT_RISK = pd.DataFrame({"time": [0, 6, 12], "at_risk": [10, 8, 3]})


def main() -> None:
    files = sys.argv[1:]
    curve = read_table("curve", files[0]) if files else EXAMPLE
    at_risk = read_table("at_risk", files[1]) if len(files) > 1 else (None if files else AT_RISK)
    rec = bb.reconstruct(curve, at_risk=at_risk)
    print(rec.patients.to_string(index=False))
    print(rec.diagnostics.to_string(index=False))


if __name__ == "__main__":
    main()
