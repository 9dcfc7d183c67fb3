"""`[prognosis]`: how prognostic ratios differ between studies, and outside the evidence's setting."""

from pydantic import model_validator

from bayes_bm.spec.effects import require_positive
from bayes_bm.spec.priors import Prior
from bayes_bm.spec.record import Record


class Prognosis(Record):
    """Spread of prognostic log ratios around their coefficient, per scale of the covariate (decision 24).

    `sd` is between studies; `transport_sd` is of what a coefficient differs by in patients of another setting, common
    to all ratios whose `population` is external.
    """

    sd: Prior
    transport_sd: Prior | None = None

    @model_validator(mode="after")
    def _positive(self) -> "Prognosis":
        for prior in (self.sd, self.transport_sd):
            if prior is not None:
                require_positive(prior)
        return self
