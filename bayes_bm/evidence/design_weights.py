"""Series without a comparator count for less: the sizes of their rows are multiplied (docs/decisions.md#13-bias).

With weight w every row of a study of which the evidence knows one treatment counts as if w n patients stood behind it:
variances are divided by w, as in a design-adjusted analysis (Efthimiou et al. 2017, doi 10.1002/sim.7223). Studies that
hold two treatments, and printed ratios, keep their sizes.
"""

from dataclasses import replace

import numpy as np

from bayes_bm.evidence.biases import treatments_by_study
from bayes_bm.evidence.records import Evidence
from bayes_bm.spec.document import Spec


def down_weighted(spec: Spec, evidence: Evidence) -> Evidence:
    """Return the evidence with rows of single-arm studies at the spec's weight; as it is where that is 1."""
    weight = spec.evidence.single_arm_weight.value
    if weight == 1.0:
        return evidence
    several = treatments_by_study(evidence.arms, evidence.hazard_ratios)
    by_arm = np.where(evidence.arms["study"].map(several) == 1, weight, 1.0)

    def of_rows(name: str) -> np.ndarray:
        return by_arm[getattr(evidence, name)["arm_row"].to_numpy(dtype=int)]

    patients, sequences, medians = evidence.patients, evidence.sequences, evidence.medians
    counts, registry = evidence.counts, evidence.registry
    share = of_rows("medians")
    return replace(
        evidence,
        patients=patients.assign(weight=patients["weight"] * of_rows("patients")),
        sequences=sequences.assign(size=sequences["size"] * of_rows("sequences")),
        medians=medians.assign(
            n=medians["n"] * share,
            sd=medians["sd"] / np.sqrt(share),
            # alpha = (a n + 1) / 2 of the order statistic (decision 6), at w n
            alpha=(share * (2 * medians["alpha"] - 1) + 1) / 2,
        ),
        counts=counts.assign(**{name: counts[name] * of_rows("counts") for name in ("events", "n")}),
        registry=registry.assign(**{name: registry[name] * of_rows("registry") for name in ("alive", "n")}),
    )
