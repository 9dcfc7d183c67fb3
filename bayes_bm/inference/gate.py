"""The convergence gate (docs/decisions.md#18-convergence-gate): a refusal, not a warning."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import xarray as xr

from bayes_bm.inference.convergence import bulk_ess, rank_rhat, tail_ess

TOP_LEVEL = (
    *("intercept", "log_hr", "log_time_ratio", "log_shape", "treatment_log_shape", "coefficient", "bias"),
    *("study_sd", "study_treatment_sd", "study_shape_sd", "prognosis_sd", "transport_sd", "transport"),
    *("waning_start", "class_log_hr", "class_log_time_ratio", "class_sd"),
    *("case_mix_mean", "case_mix_sd", "case_mix_by_treatment", "case_mix_within"),
    *("log_sd", "q", "slope", "logit_constant", "log_shape_ratio", "log_gap", "logit_early", "logit_cure"),
    *("smooth_sd", "log_coefficient"),
    *("treatment_smooth_sd", "treatment_log_coefficient"),
)
MAX_RHAT = 1.01
MIN_ESS = 400
MAX_DIVERGENT = 0.001
MIN_BFMI = 0.3
MEASURES = {"rhat": rank_rhat, "ess_bulk": bulk_ess, "ess_tail": tail_ess}


@dataclass(frozen=True)
class Gate:
    """What the gate saw: one row a parameter, and the reasons for refusing, none where it passed."""

    rows: tuple[dict[str, Any], ...]
    divergences: int
    draws: int
    min_bfmi: float
    target_accept: float
    reasons: tuple[str, ...]
    first_try: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.reasons

    @property
    def state(self) -> str:
        return "passed" if self.passed else "failed"

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "state": self.state}

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> "Gate":
        fields = {name: value for name, value in document.items() if name != "state"}
        lists = {name: tuple(fields[name]) for name in ("rows", "reasons", "first_try")}
        return cls(**{**fields, **lists})


def convergence_gate(posterior: xr.Dataset, stats: xr.Dataset, *, target_accept: float) -> Gate:
    """Rank R-hat < 1.01, bulk and tail ESS >= 400, divergences <= 0.1 %, E-BFMI > 0.3, on parameters and contrasts."""
    watched = watched_parameters(posterior)
    rows = tuple(_diagnose(watched))
    divergences = int(stats["diverging"].sum()) if "diverging" in stats else 0
    transitions = stats["diverging"].size if "diverging" in stats else 0
    bfmi = _bfmi(stats["energy"].values) if "energy" in stats else np.inf
    reasons = [reason for row in rows for reason in _reasons(row)]
    if divergences > MAX_DIVERGENT * transitions:
        reasons.append(f"{divergences} divergences in {transitions} transitions (allowed: {MAX_DIVERGENT:.1%})")
    if not bfmi > MIN_BFMI:
        reasons.append(f"E-BFMI {bfmi:.2f} (allowed: above {MIN_BFMI})")
    return Gate(rows, divergences, transitions, float(bfmi), target_accept, tuple(reasons))


def watched_parameters(posterior: xr.Dataset) -> xr.Dataset:
    """Top-level parameters, study levels where they are absolute, and contrasts between the compared treatments."""
    names = [name for name in TOP_LEVEL if name in posterior]
    if "intercept" not in posterior:
        names += [name for name in ("study_effect",) if name in posterior]
    if not {"log_shape", "log_sd", "slope"} & set(posterior.data_vars):
        names += [name for name in ("study_log_shape", "study_log_coefficient") if name in posterior]
    watched = posterior[names]
    effect = "log_time_ratio" if "log_time_ratio" in posterior else "log_hr"
    treatments = list(posterior["treatment"].values) if effect in posterior else []
    contrasts = {
        f"{effect}[{unwatched} v {right}]": posterior[effect].sel(treatment=unwatched, drop=True)
        - posterior[effect].sel(treatment=right, drop=True)
        for positions, unwatched in enumerate(treatments)
        for right in treatments[positions + 1 :]
    }
    # one variable a modifier: labels are those of one dimension
    modifiers = posterior["effect_modifier"].values if "interaction" in posterior else []
    added = {
        f"interaction[{name}]": posterior["interaction"].sel(effect_modifier=name, drop=True) for name in modifiers
    }
    return watched.assign(contrasts | added)


def _diagnose(watched: xr.Dataset):
    for name, variable in watched.data_vars.items():
        draws = variable.transpose("chain", "draw", ...).to_numpy().astype(float)
        draws = draws.reshape(*draws.shape[:2], -1)
        for column, label in enumerate(_labels(variable)):
            row = {measure: values(draws[..., column]) for measure, values in MEASURES.items()}
            yield {"parameter": f"{name}[{label}]" if str(label) else str(name), **row}


def _labels(variable: xr.DataArray) -> list[Any]:
    extra = [dim for dim in variable.dims if dim not in ("chain", "draw")]
    return list(variable[extra[0]].values) if extra else [""]


def _reasons(row: dict[str, Any]):
    name = row["parameter"]
    if not row["rhat"] < MAX_RHAT:
        yield f"R-hat of {name} is {row['rhat']:.3f} (allowed: below {MAX_RHAT})"
    for kind in ("bulk", "tail"):
        if not row[f"ess_{kind}"] >= MIN_ESS:
            yield f"{kind} ESS of {name} is {row[f'ess_{kind}']:.0f} (allowed: at least {MIN_ESS})"


SDS = {
    "study_sd": "effects.study",
    "study_treatment_sd": "effects.study_treatment",
    "study_shape_sd": "effects.study_shape",
}
"""The table of a spec behind each spread between studies."""
STUCK = 1.05
"""An R-hat from which on chains are in different places, and more draws do not help."""
ENOUGH = 1.3
"""Draws that a remedy asks for, over those that would just reach `MIN_ESS`."""


def remedy(gate: Gate, draws: int) -> str:
    """Return what helps where a gate failed after its retry, by what it failed; `draws` are those of a chain.

    More draws help where they are few, and nothing else: divergences and chains in different places stay.
    """
    spreads = [SDS[row["parameter"]] for row in gate.rows if row["parameter"] in SDS]
    if gate.divergences > MAX_DIVERGENT * gate.draws or not gate.min_bfmi > MIN_BFMI:
        if not spreads:
            return "Divergences do not go away with more draws: give the priors less room, or use fewer parameters"
        return (
            "More draws do not help: few studies tell little of a spread between studies; leave one effect out "
            f"({', '.join(spreads)}), or give its sd a prior with less room"
        )
    if not all(row["rhat"] < STUCK for row in gate.rows):
        return "Chains are in different places: ask for more warm-up (--tune), or look for evidence in conflict (audit)"
    least = min((min(row["ess_bulk"], row["ess_tail"]) for row in gate.rows), default=MIN_ESS)
    wanted = max(draws * ENOUGH * MIN_ESS / max(least, 1.0), 1.5 * draws)
    return f"Ask for more draws: --draws {math.ceil(wanted / 100) * 100}"


def _bfmi(energy: np.ndarray) -> float:
    """Smallest energy fraction of missing information over chains (Betancourt 2016)."""
    return float(np.min(np.mean(np.diff(energy, axis=1) ** 2, axis=1) / np.var(energy, axis=1, ddof=1)))
