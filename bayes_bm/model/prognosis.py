"""What published ratios of covariates say of their coefficients: the arrays, and the ratio each row should print.

    log hr = change (coefficient + study's deviation [+ transport of the covariate, where external]) + error

A study has one deviation for each covariate, N(0, prognosis_sd^2); it is integrated out in closed form. `transport` is
common to all external ratios of a covariate: many of them never tell what it is (decision 24).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from bayes_bm.evidence.records import Evidence
from bayes_bm.hazards.numerics.numpy_namespace import Namespace
from bayes_bm.spec.document import Spec

NAME = "prognostic_ratios"
"""Of the observed variable and of its rows of the log likelihood."""


@dataclass(frozen=True)
class PrognosticRatios:
    """Rows of prognostic ratios: log_hr, se, change in scales of the covariate (row,) and who shares what.

    `covariate` is the place of each row's covariate in the spec, `external` whether its setting is another (row,);
    `group` is the study and covariate of each row, counted from 0, `groups` their labels.
    """

    log_hr: np.ndarray
    se: np.ndarray
    change: np.ndarray
    covariate: np.ndarray
    external: np.ndarray
    group: np.ndarray
    groups: tuple[str, ...]
    transported: tuple[str, ...]

    @cached_property
    def members(self) -> np.ndarray:
        """1 where a row belongs to a group (group, row)."""
        return (np.arange(len(self.groups))[:, None] == self.group).astype(float)


def prognostic_arrays(spec: Spec, evidence: Evidence) -> PrognosticRatios | None:
    """Return the rows as arrays; None where there are none."""
    table = evidence.prognostic_ratios
    if table.empty:
        return None
    names = list(spec.covariates)
    places = [names.index(name) for name in table["covariate"]]
    scale = np.array([spec.covariates[name].scale for name in table["covariate"]])
    external = table["external"].to_numpy(dtype=bool)
    keys = pd.Categorical(table["study"].astype(str) + " | " + table["covariate"].astype(str))
    return PrognosticRatios(
        log_hr=table["log_hr"].to_numpy(dtype=float),
        se=table["se"].to_numpy(dtype=float),
        change=table["change"].to_numpy(dtype=float) / scale,
        covariate=np.array(places, dtype=int),
        external=external,
        group=np.asarray(keys.codes, dtype=int),
        groups=tuple(map(str, keys.categories)),
        transported=tuple(name for name in names if name in set(table.loc[external, "covariate"])),
    )


def prognostic_means(rows: PrognosticRatios, coefficient: Any, transport: Any, *, xp: Namespace) -> Any:
    """Return the log ratio of each row in the average study (..., row).

    `coefficient` and `transport` (..., covariate); `transport` is zero, or None, where no row is external.
    """
    mean = xp.take(coefficient, rows.covariate)
    if transport is not None:
        mean = mean + rows.external * xp.take(transport, rows.covariate)
    return rows.change * mean


def draw_log_ratios(rows: PrognosticRatios, mean: np.ndarray, sd: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw printed log ratios about their means (sample, row), a fresh deviation for each study; `sd` (sample,)."""
    deviation = sd[:, None] * rng.standard_normal((len(mean), len(rows.groups)))
    return mean + rows.change * deviation[:, rows.group] + rows.se * rng.standard_normal(mean.shape)
