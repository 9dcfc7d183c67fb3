"""The observed variable of prognostic ratios, and the parameters that only they speak about."""

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayes_bm.model import likelihoods
from bayes_bm.model.linear_predictor import Effects
from bayes_bm.model.model_inputs import ModelInputs
from bayes_bm.model.prognosis import NAME, PrognosticRatios, draw_log_ratios, prognostic_means
from bayes_bm.model.pymc_graph.priors import exchangeable_effect, variable
from bayes_bm.model.pymc_graph.pytensor_namespace import TENSOR


def observe_prognosis(inputs: ModelInputs, effects: Effects) -> None:
    """Log ratios of covariates about their coefficients under the reference treatment (decision 24)."""
    rows, prognosis = inputs.prognostic_ratios, inputs.spec.prognosis
    if rows is None or prognosis is None:
        return
    sd = variable("prognosis_sd", prognosis.sd)
    coefficient = effects.slopes[0] if effects.by_treatment else effects.slopes
    mean = prognostic_means(rows, coefficient, _transport(inputs, rows), xp=TENSOR)
    log_hr = pm.Data(f"{NAME}_log_hr", rows.log_hr)
    se, change = pm.Data(f"{NAME}_se", rows.se), pm.Data(f"{NAME}_change", rows.change)

    def log_density(value, mean, se, change, sd):
        terms = likelihoods.prognostic_ratios(
            value, mean, se, change=change, sd=sd, members=rows.members, dot=TENSOR.product, xp=TENSOR
        )
        return pt.sum(terms)

    def draw(mean, se, change, sd, rng, size):
        return draw_log_ratios(rows, np.atleast_2d(mean), np.atleast_1d(sd), rng)[0]

    pm.CustomDist(
        NAME,
        mean,
        se,
        change,
        sd,
        logp=log_density,
        random=draw,
        signature="(n),(n),(n),()->(n)",
        observed=log_hr,
    )


def _transport(inputs: ModelInputs, rows: PrognosticRatios) -> Any:
    """What each coefficient differs by in other settings (covariate,); None where no ratio is from one."""
    prior = None if inputs.spec.prognosis is None else inputs.spec.prognosis.transport_sd
    if not rows.transported or prior is None:
        return None
    effect = exchangeable_effect("transport", "transport_sd", prior, "transported")
    names = list(inputs.spec.covariates)
    places = [names.index(name) for name in rows.transported]
    return pt.set_subtensor(pt.zeros(len(names))[places], effect)
