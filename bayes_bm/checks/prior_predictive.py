"""What the priors alone claim, before any evidence (decision 17; docs/decisions.md#specs-are-data)."""

import pandas as pd

from bayes_bm.estimands.compare import compare
from bayes_bm.estimands.who import NewHospital, NewStudy
from bayes_bm.inference.prior_result import prior_result, with_even_knots
from bayes_bm.spec.document import Spec


def prior_predictive(spec: Spec, *, draws: int = 4000, seed: int | None = None) -> pd.DataFrame:
    """The table of `compare`, for a new study and a new hospital, drawn from the priors alone.

    Free study levels and shapes are read as one study drawn from its prior. Knots that would follow from the evidence
    stand evenly up to the horizon: the smoothing prior is of the change over the follow-up, wherever they are. Rows and
    columns as `compare`, with `who`.
    """
    result = prior_result(with_even_knots(spec), draws=draws, seed=seed)
    tables = [compare(result, who=who).assign(who=who.name, label="prior only") for who in (NewStudy(), NewHospital())]
    return pd.concat(tables, ignore_index=True)
