"""Published and closed-form answers, recomputed on the user's machine: expected, found, tolerance, pass or fail.

What is expected comes from elsewhere: a closed form, quadrature or scipy's laws worked out here, R's numbers stored
with the call, what a paper printed. A check that raises counts as failed, with what it said.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from bayes_bm.runtime.progress import each
from bayes_bm.runtime.types import Progress
from bayes_bm.validation.known_answers.hazards import averages, families
from bayes_bm.validation.known_answers.networks import network, published, published_quick, recovered
from bayes_bm.validation.known_answers.posterior import conjugate, density
from bayes_bm.validation.known_answers.r_survival import reconstruction, survfit, survreg
from bayes_bm.validation.known_answers.record import COLUMNS, Group


def verify(
    *, quick: bool = False, groups: Sequence[Group] | None = None, say: Progress = lambda stage: None
) -> pd.DataFrame:
    """Every known answer (group, check, expected, found, tolerance, source, passed); with `quick` those in seconds."""
    rows = []
    asked = [group for group in (GROUPS if groups is None else groups) if group.quick or not quick]
    for group in each(asked, "group"):
        say(group.name)
        rows += _rows(group)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _rows(group: Group) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    try:
        for answer in group.answers():
            rows.append(answer.row(group.name))
    except Exception as problem:
        message = f"stopped: {type(problem).__name__}: {problem}"
        rows.append(
            {"group": group.name, "check": message, "source": "this check did not run to its end", "passed": False}
        )
    return rows


GROUPS: tuple[Group, ...] = (
    Group("hazard families", families),
    Group("averages over studies", averages),
    Group("maximum likelihood, R's survreg", survreg),
    Group("nonparametric, R's survfit", survfit),
    Group("reconstruction of drawn curves", reconstruction),
    Group("density of the model", density),
    Group("sampler, closed form", conjugate),
    Group("published, re-resection v re-SRS", published_quick),
    Group("published, others", published, quick=False),
    Group("network, closed form", network, quick=False),
    Group("simulated world", recovered, quick=False),
)
