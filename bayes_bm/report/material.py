"""The tables behind a report, gathered before anything is written or drawn (`bayes_bm.report.gather` makes them)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from bayes_bm.report.text import treatment_text
from bayes_bm.spec.document import Spec
from bayes_bm.spec.effect_measure import Measure, contrast_measure, measure_of, ratio_of

if TYPE_CHECKING:
    from bayes_bm.checks.battery import Battery
    from bayes_bm.checks.small_studies import Funnel
    from bayes_bm.estimands.ranking import Ranking
    from bayes_bm.evidence.audit import Audit
    from bayes_bm.evidence.network import Network
    from bayes_bm.inference.result import Result


PLAN = "plan"
"""Name of the table of planned studies among those made elsewhere."""


@dataclass(frozen=True)
class ImputationSummary:
    """Study arms whose patients come from curves, and what not knowing those patients adds
    (docs/decisions.md#19-multiple-imputation).

    arms       how many
    m          fits behind the answer: 1 is the best reconstruction, taken as known
    variance   `imputation_summary` of the average study; empty where m is 1
    """

    arms: int
    m: int
    variance: pd.DataFrame

    def log_ratio(self, name: str, reference: str, *, time: float) -> dict[Any, Any]:
        """Return the row of a log ratio; of hazard ratios that change with time, of the time nearest to `time`."""
        table = self.variance
        mask = (table["treatment"] == name) & (table["reference"] == reference)
        rows = table.loc[mask & table["quantity"].isin(["log_hazard_ratio", "log_time_ratio"])].to_dict("records")
        return rows[0] if len(rows) == 1 else min(rows, key=lambda row: abs(row["time"] - time))


class Support(NamedTuple):
    """Counts of studies, effective patients and printed hazard ratios in use."""

    studies: int
    patients: float
    ratios: int


@dataclass(frozen=True)
class Answers:
    """What the answer in words needs.

    tables     rows of `compare` by who is asked about; without levels (decision 11) only the average study's ratios
    audit      what the evidence is
    contrasts  within, across, combined, discrepancy; None where those fits were not made
    refused    what a gate said where it was overridden
    rebuilt    what was made of curves; None where nothing was
    reconciled printed numbers beside what the model says of them; None where that was not asked
    """

    spec: Spec
    tables: Mapping[str, pd.DataFrame]
    audit: "Audit"
    contrasts: pd.DataFrame | None = None
    refused: tuple[str, ...] = ()
    rebuilt: ImputationSummary | None = None
    reconciled: pd.DataFrame | None = None

    @property
    def levels(self) -> bool:
        """Return whether survival itself is answered, not only ratios (decision 11)."""
        return not self.spec.needs_baseline

    @property
    def measure(self) -> Measure:
        """Return the ratio of the family: hazards or times."""
        return measure_of(self.spec)

    @property
    def contrasted(self) -> Measure:
        """Return what the contrast table holds; where it holds nothing, the ratio of the family."""
        return self.measure if self.contrasts is None else contrast_measure(self.spec)

    @property
    def compared(self) -> tuple[str, ...]:
        """Return the treatments that are compared with the reference."""
        return self.spec.treatments.compare

    @property
    def reference(self) -> str:
        """Return the reference treatment's name as words."""
        return treatment_text(self.spec.treatments.reference)

    @property
    def time(self) -> float:
        """Return the time of the answer's survival: the answered time nearest to the reference time."""
        return min(self.spec.answer_times, key=lambda time: abs(time - self.spec.reference_time))

    def row(self, who: str, estimand: str, name: str, *, time: float | None = None) -> dict[Any, Any]:
        """Return one row of `compare`, a contrast being against the reference; `time` picks the nearest of several."""
        rows = self._rows[who, estimand, name]
        return dict(rows[0] if time is None or len(rows) == 1 else min(rows, key=lambda row: abs(row["time"] - time)))

    @cached_property
    def _rows(self) -> dict[tuple[str, str, str], list[dict[Any, Any]]]:
        """Rows without a reference or against the spec's, by who is asked about, estimand and treatment."""
        found: dict[tuple[str, str, str], list[dict[Any, Any]]] = {}
        for who, table in self.tables.items():
            kept = table["reference"].isna() | (table["reference"] == self.spec.treatments.reference)
            for row in table.loc[kept].to_dict("records"):
                found.setdefault((who, row["estimand"], row["treatment"]), []).append(row)
        return found

    def ratio(self, name: str) -> dict[Any, Any]:
        """Return the family's ratio in the average study; one that changes with time is at the reference time."""
        return self.row("average-study", self.measure.estimand, name, time=self.spec.reference_time)

    def source(self, name: str, source: str) -> dict[Any, Any] | None:
        """Return a row of the contrast table, against the reference, that has numbers; else None. A row within counts
        only where studies hold both sides.
        """
        if self.contrasts is None:
            return None
        table = self.contrasts
        mask = (table["treatment"] == name) & (table["reference"] == self.spec.treatments.reference)
        rows = table.loc[mask & (table["source"] == source)].to_dict("records")
        direct = source not in ("within", "discrepancy") or (bool(rows) and rows[0]["studies"] > 0)
        return rows[0] if rows and direct and np.isfinite(ratio_of(rows[0])[0]) else None

    def side_by_side(self, name: str) -> int:
        """Return how many studies hold a treatment beside the reference."""
        table, reference = self.audit.contrasts, self.spec.treatments.reference
        rows = table.loc[(table["treatment"] == name) & (table["reference"] == reference)].to_dict("records")
        return int(rows[0]["studies"]) if rows else 0

    def strained(self) -> list[dict[Any, Any]]:
        """Return the amber and red rows of reconciliation of the compared arms, the least probable first."""
        if self.reconciled is None:
            return []
        rows = self.reconciled[self.reconciled["status"].isin(["amber", "red"])]
        return rows.sort_values("p", kind="stable").to_dict("records")

    def support(self) -> Support:
        """Return what the answer rests on: arms and contrasts; ratios of covariates speak about neither."""
        rows = self.audit.rows[self.audit.rows["kind"] != "prognostic ratio"]
        printed = (rows["kind"] == "hazard ratio").to_numpy()
        size = rows["size"].to_numpy(dtype=float)
        return Support(len(set(rows["study"])), float(np.nansum(size[~printed])), int(printed.sum()))


@dataclass(frozen=True)
class Observed:
    """What an arm's panel shows beside its band (see `plots.curves.arm_panel`); None where there is nothing."""

    steps: pd.DataFrame | None = None
    ticks: pd.DataFrame | None = None
    at_risk: pd.DataFrame | None = None
    printed: pd.DataFrame | None = None

    @property
    def last(self) -> float:
        """Return the last time at which something is printed; 0 where nothing is."""
        return 0.0 if self.printed is None else float(np.nanmax(self.printed[["time", "time_high"]].to_numpy()))


@dataclass(frozen=True)
class Curves:
    """Drawn curves: survival and differences by treatment (treatment, time, median, low, high), and one hospital's."""

    survival: pd.DataFrame
    difference: pd.DataFrame
    hospital: pd.DataFrame | None = None
    alive_at: float = 0.0


@dataclass(frozen=True)
class PatientAnswer:
    """A patient: covariates by name, since when alive, the rows of `predict`, the curves (None past the horizon); what
    becomes of covariates that are not given, and how far the patient is from the evidence, in words.
    """

    covariates: Mapping[str, float]
    alive_at: float
    table: pd.DataFrame
    curves: Curves | None
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class PopulationAnswer:
    """Patients of a named case mix together: who they are and both ratios, in words, and the rows of `compare`."""

    words: str
    table: pd.DataFrame


@dataclass(frozen=True)
class Density:
    """Posterior histogram (left, right, density) and prior density (value, density) of a parameter."""

    posterior: pd.DataFrame
    prior: pd.DataFrame


@dataclass(frozen=True)
class ReportData:
    """Every table behind the report.

    follow_up_ends  end of follow-up by treatment
    arms      one row a study arm: its own median or survival at the reference time (`measure`), and the printed one
    overall   the same of every treatment, for the average study and one new hospital
    bands     predicted bands by arm; `observed` what stands beside them, by arm row
    strata    our answer for each external check of a stratum, in the spec's order; None for the others
    at_risk   effective patients at risk by treatment and time; empty without arms
    ranking   ranks by the hazard ratio in the average study; None where only two treatments are compared
    mixes     who the patients of each arm were, prior beside posterior (`arm_mix_table`); empty where none is modelled
    whom      whose mix the averages are over, with both hazard ratios, in words
    informed  what informs the coefficient of each covariate, in words
    funnel    deviations of arms and ratios by standard error; None where studies have no average
    conflict  prior against evidence of each standard deviation between studies (`heterogeneity_conflict`)
    selection  ratios if arms that fared worse were printed more seldom
    population  the answer about a population whose case mix is named; None where none is
    """

    answers: Answers
    result: "Result"
    reconciliation: pd.DataFrame
    follow_up_ends: Mapping[str, float]
    arms: pd.DataFrame
    overall: pd.DataFrame
    bands: pd.DataFrame
    observed: Sequence[Observed]
    curves: Curves | None
    parameters: Sequence[Mapping[Any, Any]]
    densities: Mapping[str, Density]
    ranks: Mapping[str, pd.DataFrame]
    network: "Network"
    at_risk: pd.DataFrame = field(default_factory=pd.DataFrame)
    ranking: "Ranking | None" = None
    strata: Sequence[Mapping[Any, Any] | None] = ()
    patient: PatientAnswer | None = None
    elsewhere: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    battery: "Battery | None" = None
    mixes: pd.DataFrame = field(default_factory=pd.DataFrame)
    whom: str = ""
    informed: Mapping[str, str] = field(default_factory=dict)
    population: PopulationAnswer | None = None
    funnel: "Funnel | None" = None
    conflict: pd.DataFrame = field(default_factory=pd.DataFrame)
    selection: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def spec(self) -> Spec:
        """Return the spec of the result."""
        return self.answers.spec

    @property
    def compared(self) -> tuple[str, ...]:
        """Return the treatments that are compared with the reference."""
        return self.answers.compared

    @property
    def reference(self) -> str:
        """Return the reference treatment's name as words."""
        return self.answers.reference
