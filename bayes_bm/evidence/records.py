"""The record of all selected evidence of one spec."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes_bm.evidence.tables.frames import with_plain_names
from bayes_bm.runtime.summaries import counted, listed, summary

if TYPE_CHECKING:
    from bayes_bm.reconstruction.reconstruct import Reconstruction


@dataclass(frozen=True)
class RebuiltArm:
    """A study arm whose patients come from a curve; what is kept is enough to draw them again
    (docs/decisions.md#19-multiple-imputation).

    `printed` are the arguments of `reconstruct` as read, in the curve's own time unit; `factor` makes it the spec's.
    """

    study: str
    arm: str
    factor: float
    printed: Mapping[str, Any] = field(repr=False)

    @property
    def key(self) -> tuple[str, str]:
        return self.study, self.arm

    @cached_property
    def reconstruction(self) -> "Reconstruction":
        from bayes_bm.reconstruction.reconstruct import (
            reconstruct,  # half a second that evidence without curves does without
        )

        return reconstruct(**self.printed)

    @property
    def patients(self) -> pd.DataFrame:
        """The best patients (time, event), in the spec's time unit."""
        return self._converted(self.reconstruction.patients)

    def draw(self, m: int, *, seed: int) -> list[pd.DataFrame]:
        """`m` plausible sets of patients, from the curve alone, in the spec's time unit."""
        return [self._converted(patients) for patients in self.reconstruction.draw(m, seed=seed)]

    def document(self) -> dict[str, Any]:
        """As plain data, tables column by column; `from_document` gives it back."""
        printed = {
            name: {"table": value.to_dict(orient="list")} if isinstance(value, pd.DataFrame) else value
            for name, value in self.printed.items()
        }
        return {"study": self.study, "arm": self.arm, "factor": self.factor, "printed": printed}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "RebuiltArm":
        printed = {
            name: pd.DataFrame(value["table"]) if isinstance(value, dict) else value
            for name, value in document["printed"].items()
        }
        return cls(document["study"], document["arm"], document["factor"], printed)

    def _converted(self, patients: pd.DataFrame) -> pd.DataFrame:
        return patients.assign(time=patients["time"] * self.factor)


REGISTRY_COLUMNS = ("arm_row", "study", "arm", "treatment", "start", "time", "alive", "n")


def no_registry() -> pd.DataFrame:
    return pd.DataFrame(columns=list(REGISTRY_COLUMNS))


PROGNOSTIC_COLUMNS = (
    *("study", "covariate", "level", "reference", "per", "hr", "ci_low", "ci_high", "ci_level", "log_hr", "se"),
    *("change", "external", "n", "events", "adjusted_for", "source"),
)


def no_prognostic_ratios() -> pd.DataFrame:
    return pd.DataFrame(columns=list(PROGNOSTIC_COLUMNS))


TEXTS = ("study", "arm", "treatment", "reference", "p_below", "adjusted_for")
"""Columns of evidence that hold texts."""


@cache
def _no_rows(columns: tuple[str, ...]) -> pd.DataFrame:
    types: dict[str, type] = {**dict.fromkeys(TEXTS, str), "arm_row": int}
    return pd.DataFrame({name: pd.Series(dtype=types.get(name, float)) for name in columns})


def no_rows(columns: tuple[str, ...]) -> pd.DataFrame:
    """Return what most specs have of most kinds: none, with the types of some."""
    return _no_rows(columns).copy()


def no_background() -> pd.DataFrame:
    return pd.DataFrame({"time": np.empty(0), "hazard": np.empty(0)})


@dataclass(frozen=True)
class Evidence:
    """Hold all rows that enter the likelihood, in the spec's time unit.

    `arm_row` counts rows of `arms` from 0.

    Attributes
    ----------
    arms : pandas.DataFrame
        study, arm, treatment, n, entry (S is conditional on it, model clock), shift, share, followup, kind, ..., and
        with biases `bias_NAME`, as have hazard_ratios (`evidence.biases`).
    patients : pandas.DataFrame
        arm_row, time, event, time_upper, entry, weight and covariates; times on the model's clock; covariates are
        blank in an arm that is averaged over those its row states.
    sequences : pandas.DataFrame
        arm_row, start, time, ratio, size and the printed survival: conditional binomials.
    medians : pandas.DataFrame
        arm_row, median, law (order / interval / not_reached), alpha, sd.
    hazard_ratios : pandas.DataFrame
        study, treatment, reference, log_hr, se, followup, adjusted_for, and what their arms state of the covariates;
        `hr_cholesky` factors their covariance.
    counts : pandas.DataFrame
        arm_row, events, n, time.
    registry : pandas.DataFrame
        arm_row, start, time, alive, n: those alive at `time` of the n alive at `start`, on the model's clock.
    prognostic_ratios : pandas.DataFrame
        study, covariate, log_hr, se, `change` (units of the covariate that the ratio is for), external.
    background : pandas.DataFrame
        time, hazard: what everybody dies of besides, constant from each time to the next; empty for none.
    set_aside : pandas.DataFrame
        kind, study, arm, reason.
    digests : Mapping
        sha256 of each file read.
    rebuilt : tuple of RebuiltArm
        The arms in use whose patients come from a curve, in the order of `arms`.
    remarks : tuple of str
        Rows that a name leaves out, names that look alike, patients that seem to stand there twice, in words.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> evidence = bb.read_evidence(bb.read_spec("published_os_extent_of_resection"))
    >>> sorted(evidence.treatments), len(evidence.medians), len(evidence.hazard_ratios)
    (['gtr', 'str'], 2, 1)
    """

    arms: pd.DataFrame
    patients: pd.DataFrame
    sequences: pd.DataFrame
    medians: pd.DataFrame
    hazard_ratios: pd.DataFrame
    hr_cholesky: np.ndarray
    counts: pd.DataFrame
    set_aside: pd.DataFrame
    digests: Mapping[str, str] = field(default_factory=dict)
    rebuilt: tuple[RebuiltArm, ...] = ()
    registry: pd.DataFrame = field(default_factory=no_registry)
    background: pd.DataFrame = field(default_factory=no_background)
    prognostic_ratios: pd.DataFrame = field(default_factory=no_prognostic_ratios)
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in (*self.tables(), "background"):
            object.__setattr__(self, name, with_plain_names(getattr(self, name)))

    def __repr__(self) -> str:
        tables = {name: len(table) for name, table in self.tables().items() if name not in ("arms", "set_aside")}
        studies = {*self.arms["study"], *self.hazard_ratios["study"]}
        rows = {
            "in use": counted({"studies": len(studies), "arms": len(self.arms)}),
            "rows": counted({**tables, "background": len(self.background)}),
            "treatments": listed(sorted(self.treatments)),
            "set aside": counted({"rows": len(self.set_aside)}),
            "remarks": counted({"remarks": len(self.remarks)}),
            "look at": "arms, patients, medians, ... (tables); set_aside (with reasons); remarks; digests",
        }
        return summary("Evidence, in the spec's time unit", rows)

    def tables(self) -> dict[str, pd.DataFrame]:
        """Every table of studies by name."""
        names = (
            *("arms", "patients", "sequences", "medians", "hazard_ratios", "counts", "registry"),
            *("prognostic_ratios", "set_aside"),
        )
        return {name: getattr(self, name) for name in names}

    @property
    def treatments(self) -> set[str]:
        """Treatments that any row in use speaks about."""
        contrasts = set(self.hazard_ratios["treatment"]) | set(self.hazard_ratios["reference"])
        return set(self.arms["treatment"]) | contrasts

    def digest(self, *, digits: int | None = None) -> str:
        """sha256 of every row in use, in an order that does not depend on the files'.

        With `digits` numbers are rounded to as many: logarithms of two processors differ in their last bit.
        """
        later = {name: getattr(self, name) for name in ("registry", "background", "prognostic_ratios")}
        tables = {**self.tables(), **later}
        used = [table for name, table in tables.items() if name not in later or len(table)]
        text = "".join(_sorted_csv(table, digits) for table in used)
        factor = self.hr_cholesky if digits is None else np.round(self.hr_cholesky, digits) + 0.0
        return hashlib.sha256(text.encode() + factor.tobytes()).hexdigest()


def _sorted_csv(table: pd.DataFrame, digits: int | None) -> str:
    written = None if digits is None else f"%.{digits}g"
    lines = table.drop(columns="arm_row", errors="ignore").to_csv(index=False, float_format=written).splitlines()
    return "\n".join([*lines[:1], *sorted(lines[1:])])
