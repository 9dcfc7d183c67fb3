"""The priors alone claim something, before any evidence (docs/decisions.md#specs-are-data)."""

from pathlib import Path

import pandas as pd

from bayes_bm.estimands.compare import compare
from bayes_bm.estimands.who import NewHospital, NewStudy
from bayes_bm.inference.prior_result import prior_result, with_even_knots
from bayes_bm.spec.document import Spec
from bayes_bm.spec.reading import as_spec


def prior_predictive(spec: Spec | str | Path, *, draws: int = 4000, seed: int | None = None) -> pd.DataFrame:
    """Return what the priors alone claim for a new study and a new hospital, before any evidence.

    Free study levels and shapes are read as one study drawn from its prior. Knots that would follow from the evidence
    stand evenly up to the horizon: the smoothing prior is of the change over the follow-up, wherever they are.

    Parameters
    ----------
    spec : Spec, str or Path
        The priors, and the times and the horizon that are asked about; or a TOML file, or a shipped model's name.
    draws : int
        Draws from the priors.
    seed : int, optional
        Seed of the draws; by default the spec's.

    Returns
    -------
    pandas.DataFrame
        Rows and columns of `bayes_bm.compare`, with who ("new-study" or "new-hospital") and label "prior only".

    Examples
    --------
    >>> import bayes_bm as bb
    >>> table = bb.prior_predictive("published_os_extent_of_resection", draws=200)
    >>> table["who"].unique().tolist(), table["label"].unique().tolist()
    (['new-study', 'new-hospital'], ['prior only'])
    >>> survival = table.query("estimand == 'survival' and who == 'new-study' and treatment == 'str'")
    >>> survival["time"].tolist()
    [6.0, 12.0, 24.0]
    """
    result = prior_result(with_even_knots(as_spec(spec)), draws=draws, seed=seed)
    tables = [compare(result, who=who).assign(who=who.name, label="prior only") for who in (NewStudy(), NewHospital())]
    return pd.concat(tables, ignore_index=True)
