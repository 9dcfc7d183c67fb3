"""Golden numbers of tests/witness/golden/scores_sksurv.json, from scikit-survival 0.28.0 (Python 3.13).

It is not a dependency here:

pip install scikit-survival; python scores.py lung.csv > scores_sksurv.json
where lung.csv is lifelines.datasets.load_lung() without rows that lack age, sex, time or status.
"""

import json
import sys

import numpy as np
import pandas as pd
from sksurv.metrics import (
    brier_score,
    concordance_index_censored,
    concordance_index_ipcw,
    integrated_brier_score,
)
from sksurv.util import Surv

lung = pd.read_csv(sys.argv[1])
# scikit-survival weighs by G(T), not G(T-): the same where no event and no censoring are at one time
time = lung["time"].to_numpy(float) + 1e-4 * np.arange(len(lung))
event = lung["status"].to_numpy() == 1
risk = np.exp(0.02 * (lung["age"].to_numpy() - 62) - 0.5 * (lung["sex"].to_numpy() - 1))
times = np.array([100.0, 200.0, 365.0, 500.0, 700.0])
survival = np.exp(-((times / 420.0) ** 1.3) * risk[:, None])
seen = Surv.from_arrays(event, time)
print(
    json.dumps(
        {
            "brier": list(brier_score(seen, seen, survival, times)[1]),
            "integrated_brier": integrated_brier_score(seen, seen, survival, times),
            "harrell": concordance_index_censored(event, time, risk)[0],
            "uno": concordance_index_ipcw(seen, seen, risk)[0],
            "uno_500": concordance_index_ipcw(seen, seen, risk, tau=500.0)[0],
        },
        indent=1,
    )
)
