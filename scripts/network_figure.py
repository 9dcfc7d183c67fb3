"""docs/figures/network.png, from a simulated network: nine studies of five treatments, two of them with three arms.

python scripts/network_figure.py
"""

from pathlib import Path

import numpy as np
import pandas as pd

from bayes_bm import network, plot_network
from bayes_bm.evidence.reading import select
from bayes_bm.evidence.tables.checking import check_table
from bayes_bm.runtime.files import atomic_write
from bayes_bm.spec.reading import parse_spec

STUDIES = ("usual drug_a", "usual drug_a", "usual drug_a drug_b", "usual drug_b", "drug_a drug_b", "drug_b drug_c")
STUDIES += ("usual drug_c surgery", "drug_a surgery", "usual drug_c")
RISK = {"usual": 0.5, "drug_a": 0.42, "drug_b": 0.4, "drug_c": 0.45, "surgery": 0.3}


def main() -> None:
    rng, rows = np.random.default_rng(7), []
    for at, arms in enumerate(STUDIES, start=1):
        for name in arms.split():
            n = int(rng.integers(40, 260))
            rows.append(
                {"study": f"trial {at}", "arm": name, "endpoint": "os", "n": n, "treatment": name, "time": 12.0}
            )
            rows[-1]["events"] = int(rng.binomial(n, RISK[name]))
    table = pd.DataFrame(rows)
    prior = {"dist": "normal", "mean": 0.0, "sd": 1.0, "why": "a picture only"}
    spec = parse_spec(
        {
            "schema": 1,
            "name": "simulated",
            "question": "Five simulated treatments",
            "endpoint": "os",
            "treatments": {"reference": "usual", "compare": ["drug_a", "drug_b", "drug_c", "surgery"]},
            "priors": dict.fromkeys(("intercept", "log_hr", "log_shape"), prior),
        }
    )
    columns = {"arms": ["study", "arm", "treatment", "endpoint", "n"]}
    columns["counts"] = ["study", "arm", "endpoint", "events", "n", "time"]
    evidence = select(spec, {kind: check_table(kind, table[names], where=kind) for kind, names in columns.items()})
    drawn = plot_network(network(spec, evidence)).get_figure(root=True)
    assert drawn is not None
    with atomic_write(Path("docs/figures/network.png")) as file:
        drawn.savefig(file, format="png", dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
