"""Everything that is checked after a fit, gathered for printing, for `run` and for the report."""

from dataclasses import dataclass

import pandas as pd

from bayes_bm.checks.battery import Battery, battery
from bayes_bm.checks.power_scaling import parameters
from bayes_bm.inference.gate import Gate
from bayes_bm.inference.result import Result
from bayes_bm.runtime.errors import GateRefused


@dataclass(frozen=True)
class Check:
    """The gate, the battery with the reconciliation of printed numbers, prior beside posterior and what moves it."""

    gate: Gate
    battery: Battery
    parameters: pd.DataFrame
    reproduction: bool = False

    @property
    def reconciliation(self) -> pd.DataFrame:
        return self.battery.reconciliation

    @property
    def red(self) -> pd.DataFrame:
        return self.reconciliation[self.reconciliation["status"] == "red"]

    def require_no_red(self) -> None:
        """A red row stops the report (docs/decisions.md#checks-with-every-answer); in a reproduction it is the finding,
        and is shown.
        """
        if len(self.red) and not self.reproduction:
            worst = "; ".join(f"{row['study']}, {row['arm']}: {row['quantity']}" for row in self.red.to_dict("records"))
            raise GateRefused(
                f"{len(self.red)} rows of evidence are red: the model cannot reproduce them ({worst}). "
                "Check the numbers, widen the effects, or say --allow-red-rows"
            )


def check(result: Result) -> Check:
    """Gates, reconciliation, predictive checks and consistency of a result; no further fit is made."""
    return Check(result.gate, battery(result), parameters(result), reproduction=result.spec.reproduction)
