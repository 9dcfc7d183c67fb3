"""Gather everything that is checked after a fit, for printing, for `run` and for the report."""

from dataclasses import dataclass, field

import pandas as pd

from bayes_bm.checks.arm_mixes import MixGap, mix_gap
from bayes_bm.checks.battery import Battery, battery
from bayes_bm.checks.heterogeneity_conflict import heterogeneity_conflict
from bayes_bm.checks.power_scaling import parameters
from bayes_bm.checks.small_studies import Funnel, funnel, has_funnel
from bayes_bm.inference.gate import Gate
from bayes_bm.inference.result import Result
from bayes_bm.runtime.errors import GateRefused
from bayes_bm.runtime.progress import counting
from bayes_bm.runtime.summaries import counted, summary


@dataclass(frozen=True)
class Check:
    """Hold the convergence gate, the battery with the reconciliation, and what moves each parameter.

    Parameters
    ----------
    gate : Gate
        R-hat, effective sample sizes and divergences of the fit, and whether they pass.
    battery : Battery
        The checks that need no further fit; its reconciliation is here as `reconciliation`, its red rows as `red`.
    parameters : pandas.DataFrame
        One row a top-level parameter: prior beside posterior, with what `bayes_bm.power_scaling` says where the
        likelihood is kept.
    reproduction : bool
        Whether the fit is of a reproduction (docs/decisions.md#9-reproductions), whose red rows are its finding.
    mix : MixGap, optional
        How far the curve of an arm is from the average over its mix of its patients' curves; None where no arm has one.
    funnel : Funnel, optional
        Whether small studies differ from large ones; None for free levels and flexible baselines.
    conflict : pandas.DataFrame
        What `bayes_bm.heterogeneity_conflict` gives: prior against evidence of each standard deviation between studies.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> result = bb.fit(bb.read_spec("published_os_extent_of_resection"), draws=200, tune=300)
    >>> checks = bb.check(result)
    >>> len(checks.red), checks.reproduction
    (0, True)
    >>> checks.require_no_red()
    """

    gate: Gate
    battery: Battery
    parameters: pd.DataFrame
    reproduction: bool = False
    mix: MixGap | None = None
    funnel: Funnel | None = None
    conflict: pd.DataFrame = field(default_factory=pd.DataFrame)

    def __repr__(self) -> str:
        rows = {
            "gate": self.gate.state,
            "red": counted({"rows of the reconciliation": len(self.red)}) or "no row of the reconciliation",
            "battery": " ".join(self.battery.sentences()) or "nothing is flagged",
            "look at": "battery.flags, reconciliation, red, parameters (tables); gate; require_no_red()",
        }
        return summary("Checks of a result", rows)

    @property
    def reconciliation(self) -> pd.DataFrame:
        """Return each printed number beside what the model predicts for it."""
        return self.battery.reconciliation

    @property
    def red(self) -> pd.DataFrame:
        """Return the rows of evidence that the model cannot reproduce."""
        return self.reconciliation[self.reconciliation["status"] == "red"]

    def require_no_red(self) -> None:
        """Raise `GateRefused` where a row is red, which stops the report (docs/decisions.md#checks-with-every-answer).

        In a reproduction a red row is the finding, and is shown.
        """
        if len(self.red) and not self.reproduction:
            worst = "; ".join(f"{row['study']}, {row['arm']}: {row['quantity']}" for row in self.red.to_dict("records"))
            raise GateRefused(
                f"{len(self.red)} rows of evidence are red: the model cannot reproduce them ({worst}). "
                "Check the numbers, widen the effects, or say --allow-red-rows"
            )


def check(result: Result) -> Check:
    """Gather what is checked after a fit: gate, battery with reconciliation, and what moves each parameter.

    Parameters
    ----------
    result : Result
        A fit, of any spec; no further fit is made.

    Returns
    -------
    Check
        The gate, the battery and the table of parameters. Nothing is raised for what they say: `Result.require_gate`
        and `Check.require_no_red` refuse.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> result = bb.fit(bb.read_spec("published_os_extent_of_resection"), draws=200, tune=300)
    >>> checks = bb.check(result)
    >>> checks.parameters["parameter"].tolist()
    ['intercept', 'log_shape', 'log_hr[gtr]']
    >>> checks.reconciliation["status"].tolist()
    ['green', 'green', 'green']
    """
    with counting(2) as step:
        flags = battery(result)
        step()
        moved = parameters(result)
    return Check(
        result.gate,
        flags,
        moved,
        reproduction=result.spec.reproduction,
        mix=mix_gap(result),
        funnel=funnel(result) if has_funnel(result.spec) else None,
        conflict=heterogeneity_conflict(result),
    )
