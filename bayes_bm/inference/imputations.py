"""Multiple imputation over reconstructed curves (docs/decisions.md#19-multiple-imputation).

A curve does not say who its patients were; it leaves a set of possible ones. Each imputation takes one of them for
every arm rebuilt from a curve, drawn from the curve alone and never from the outcome model, and the posterior is
sampled for each. The answer is the mixture with equal weights. Its variance has two parts (Rubin 1987, chapter 3):

    W = mean of the M posterior variances            within: what is left when the patients are known
    B = variance of the M posterior means            between: what the reconstruction leaves open
    T = W + (1 + 1/M) B
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_bm.evidence.records import Evidence, RebuiltArm
from bayes_bm.inference.convergence import mean_ess
from bayes_bm.inference.gate import Gate
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.types import Array
from bayes_bm.spec.level import USUAL, Level

FEWEST = 20


@dataclass(frozen=True)
class Imputations:
    """What the M fits were made of: patients' time and event (imputation, row), on the model's clock, and the gates.

    Rows are those of `evidence.patients`; only arms rebuilt from a curve differ between imputations. Labels run 1 to M.
    """

    time: Array
    event: Array
    gates: tuple[Gate, ...]

    @property
    def m(self) -> int:
        return len(self.time)

    def evidence(self, best: Evidence, label: int) -> Evidence:
        """The evidence that imputation `label` was fitted to."""
        if not 1 <= label <= self.m:
            raise InputError("imputation", found=label, allowed=f"1 to {self.m}")
        return with_patients(best, self.time[label - 1], self.event[label - 1])

    def stored(self) -> xr.Dataset:
        """As a group of NetCDF; the gates as one text, because an attribute of HDF5 ends at 64 KiB."""
        rows, gates = ("imputation", "patients_row"), json.dumps([gate.document() for gate in self.gates])
        values = {"time": (rows, self.time), "event": (rows, self.event)}
        labels = np.arange(1, self.m + 1)
        return xr.Dataset({**values, "gates": ((), np.array(gates, dtype=object))}, coords={"imputation": labels})

    @classmethod
    def from_stored(cls, stored: xr.Dataset) -> "Imputations":
        gates = (Gate.from_document(document) for document in json.loads(str(stored["gates"].item())))
        return cls(stored["time"].values, stored["event"].values, tuple(gates))

    @property
    def worst(self) -> int:
        """The imputation whose chains agree least: one that failed its gate, else the one of the largest R-hat."""
        return 1 + max(range(self.m), key=lambda m: (not self.gates[m].passed, _largest_rhat(self.gates[m])))


def _largest_rhat(gate: Gate) -> float:
    return max((row["rhat"] for row in gate.rows), default=0.0)


# ---------------------------------------------------------------------------------------------- drawing


def count_of(imputations: int | None, evidence: Evidence) -> int:
    """How many fits are asked for: 1 is the best reconstruction. Raises `InputError` for what cannot be meant."""
    if imputations is None or imputations == 1:
        return 1
    if imputations < FEWEST:
        raise InputError(
            "imputations",
            found=imputations,
            allowed=f"{FEWEST} or more, or 1 for the best reconstruction alone",
            hint=f"the variance between M fits has a relative error of sqrt(2 / (M - 1)): {_error(imputations)}"
            " here (docs/decisions.md, 19)",
        )
    if not rebuilt_arms(evidence):
        raise InputError(
            "imputations",
            found=f"{imputations}, and no arm in use whose patients were rebuilt from a curve",
            hint="nothing is uncertain about the patients: leave it out, or register curves in evidence.curves",
        )
    return imputations


def _error(m: int) -> str:
    return f"{np.sqrt(2 / (m - 1)):.0%}" if m > 1 else "without bound"


def rebuilt_arms(evidence: Evidence) -> tuple[RebuiltArm, ...]:
    """Arms in use whose patients come from a curve."""
    used = set(zip(evidence.patients["study"], evidence.patients["arm"], strict=True))
    return tuple(arm for arm in evidence.rebuilt if arm.key in used)


def imputed(evidence: Evidence, m: int, *, seed: int) -> list[Evidence]:
    """`m` evidences in which every arm rebuilt from a curve has plausible patients, and all else is the same.

    The seed of an arm follows from `seed` and the arm's name, so neither the order nor the number of arms matters, and
    the first of 40 sets are those of 20.
    """
    rows = evidence.patients
    time, event = (np.tile(rows[name].to_numpy(dtype=float), (m, 1)) for name in ("time", "event"))
    for arm in rebuilt_arms(evidence):
        arm_patients = np.flatnonzero((rows["study"] == arm.study) & (rows["arm"] == arm.arm))
        shift = float(evidence.arms["shift"].iloc[int(rows["arm_row"].iloc[arm_patients[0]])])
        for arm_index, patients in enumerate(arm.draw(m, seed=arm_seed(seed, arm))):
            time[arm_index, arm_patients], event[arm_index, arm_patients] = _in_order(patients, shift)
        _check_entry(
            arm, time[:, arm_patients], event[:, arm_patients], rows["entry"].to_numpy(dtype=float)[arm_patients]
        )
    return [with_patients(evidence, *imputed_sets) for imputed_sets in zip(time, event, strict=True)]


def arm_seed(seed: int, arm: RebuiltArm) -> int:
    """A stream of its own for every arm, by name: curves of two arms are drawn independently."""
    text = json.dumps([seed, arm.study, arm.arm])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


def _in_order(patients: pd.DataFrame, shift: float) -> tuple[Array, Array]:
    """Times on the model's clock and events, in the order in which evidence keeps an arm's patients."""
    ordered = patients.sort_values(["time", "event"], kind="stable")
    return ordered["time"].to_numpy(dtype=float) + shift, ordered["event"].to_numpy(dtype=float)


def _check_entry(arm: RebuiltArm, time: Array, event: Array, entry: Array) -> None:
    """Nobody is seen before entry; who is lost at entry itself, as early losses of a curve may be, says nothing."""
    wrong = (time < entry) | ((time == entry) & (event == 1))
    if wrong.any():
        raise InputError(
            f"imputations, study {arm.study}, arm {arm.arm}",
            found=f"a plausible patient seen until {time[wrong].min():g}, not after entry {entry.max():g}",
            hint="survived_to lies beyond what the curve shows as flat: correct it, or fit the best reconstruction",
        )


def with_patients(evidence: Evidence, time: Array, event: Array) -> Evidence:
    """The evidence with other times and events of its patients (row,)."""
    events = event.astype(evidence.patients["event"].to_numpy().dtype)
    return replace(evidence, patients=evidence.patients.assign(time=time, event=events))


# ---------------------------------------------------------------------------------------------- gate, stack


def joint_gate(gates: Sequence[Gate]) -> Gate:
    """Passed only where every imputation passed; of each number the worst, never one computed on the stack.

    Chains of different imputations have different targets: an R-hat across them would measure the reconstruction.
    """
    by_parameter: dict[str, list[Mapping[str, Any]]] = {}
    for gate in gates:
        for row in gate.rows:
            by_parameter.setdefault(row["parameter"], []).append(row)
    return Gate(
        rows=tuple(_worst_row(name, rows) for name, rows in by_parameter.items()),
        divergences=sum(gate.divergences for gate in gates),
        draws=sum(gate.draws for gate in gates),
        min_bfmi=min(gate.min_bfmi for gate in gates),
        target_accept=max(gate.target_accept for gate in gates),
        reasons=_labelled_reasons(gates, "reasons"),
        first_try=_labelled_reasons(gates, "first_try"),
    )


def _worst_row(name: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    # NaN is the worst of all: numpy's max and min carry it on
    worst = {"rhat": np.max, "ess_bulk": np.min, "ess_tail": np.min}
    return {"parameter": name, **{key: float(reduce([row[key] for row in rows])) for key, reduce in worst.items()}}


def _labelled_reasons(gates: Sequence[Gate], what: str) -> tuple[str, ...]:
    said = [(label, getattr(gate, what)) for label, gate in enumerate(gates, start=1)]
    return tuple(f"imputation {label} of {len(gates)}: {'; '.join(reasons)}" for label, reasons in said if reasons)


def stacked(parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """Chains of all imputations along one dimension, with the label of each as the coordinate `imputation(chain)`."""
    chains = [part.sizes["chain"] for part in parts]
    labels = np.repeat(np.arange(1, len(parts) + 1), chains)
    whole = xr.concat(parts, dim="chain")
    return whole.assign_coords(chain=np.arange(sum(chains)), imputation=("chain", labels))


# ---------------------------------------------------------------------------------------------- variance


def variance_columns(level: Level) -> tuple[str, ...]:
    """Columns of a table of `variance_parts`."""
    ends = ("mean", "within", "between", "total", "share", "mcse"), ("width_within", "width", "wider")
    return *ends[0], *level.names, *ends[1]


def variance_parts(draws: Array, level: Level = USUAL) -> dict[str, float]:
    """Within, between and total variance of one quantity from its draws (imputation, chain, draw).

    `share` is what the reconstruction contributes, (1 + 1/M) B / T. `mcse` is the Monte Carlo standard error of the
    mixture's mean: B is a variance of estimated means, so B / M holds the chains' own error already; where B happens to
    fall below that error, W / ESS, the error stands. The level's ends are the mixture's. `width_within` is the mean
    width of the M intervals, `width` what it becomes with T in place of W, `wider` = sqrt(T / W) - 1: by standard
    deviations, because the ratio of two widths from draws has an error of a hundredth, as large as many a widening.
    """
    m = len(draws)
    flat = draws.reshape(m, -1)
    within_imputations, between_imputations = (
        float(flat.var(axis=1, ddof=1).mean()),
        float(flat.mean(axis=1).var(ddof=1)),
    )
    total = within_imputations + (1 + 1 / m) * between_imputations
    wider = float(np.sqrt(total / within_imputations))
    low, high = np.quantile(flat, level.tails)
    low_name, high_name = level.names
    each = mean_width(flat, level)
    return {
        "mean": float(flat.mean()),
        "within": within_imputations,
        "between": between_imputations,
        "total": total,
        "share": (1 + 1 / m) * between_imputations / total,
        "mcse": float(np.sqrt(max(between_imputations, _chain_error(draws)) / m)),
        low_name: float(low),
        high_name: float(high),
        "width_within": each,
        "width": each * wider,
        "wider": wider - 1,
    }


def mean_width(flat: Array, level: Level = USUAL) -> float:
    """Mean over imputations of the width of the interval of draws (imputation, sample).

    numpy's usual quantile draws an interval of 500 draws in by 1 %; the median-unbiased one does not.
    """
    return float(np.diff(np.quantile(flat, level.tails, axis=1, method="median_unbiased"), axis=0).mean())


def _chain_error(draws: Array) -> float:
    """Mean over imputations of the squared Monte Carlo error of a posterior mean, W / ESS."""
    return float(np.mean([values.var(ddof=1) / mean_ess(values) for values in draws]))


def by_imputation(draws: Array, labels: Array) -> Array:
    """Draws (chain, draw) of a stack as (imputation, chain, draw); every imputation has equally many."""
    return np.stack([draws[labels == label] for label in np.unique(labels)])


def variance_table(watched: xr.Dataset, level: Level = USUAL) -> pd.DataFrame:
    """`variance_parts` of every scalar in a stack, by `quantity`, as `name` or `name[entry]`."""
    labels = watched["imputation"].to_numpy()
    rows = []
    for name, variable in watched.data_vars.items():
        values = variable.transpose("chain", "draw", ...)
        entries = values[values.dims[2]].to_numpy() if values.ndim > 2 else [None]
        flat = values.to_numpy().reshape(*values.shape[:2], -1)
        for column, entry in enumerate(entries):
            label = str(name) if entry is None else f"{name}[{entry}]"
            rows.append({"quantity": label, **variance_parts(by_imputation(flat[..., column], labels), level)})
    return pd.DataFrame(rows, columns=["quantity", *variance_columns(level)])
