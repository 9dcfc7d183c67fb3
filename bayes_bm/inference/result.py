"""A posterior with everything needed to read it, stored and read back."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bayes_bm.evidence.clocks import arm_family
from bayes_bm.evidence.records import Evidence
from bayes_bm.evidence.storage import read_stored_evidence, stored_evidence
from bayes_bm.hazards import Family
from bayes_bm.hazards.modifiers.averaged_over_covariates import averaged
from bayes_bm.inference.gate import Gate
from bayes_bm.inference.imputations import (
    Imputations,
)
from bayes_bm.inference.log_likelihood import pointwise_log_likelihood
from bayes_bm.model.baseline_hazard import family_of
from bayes_bm.model.covariates.case_mix import CaseMix, case_mix
from bayes_bm.model.covariates.integration_points import any_averaged, arm_points
from bayes_bm.model.covariates.missing import CovariateModel, covariate_models
from bayes_bm.model.design import Design, make_design
from bayes_bm.model.linear_predictor import (
    Draws,
    arm_predictors,
    missing_offsets,
    point_offsets,
    ratio_means,
    read_draws,
    shifts,
)
from bayes_bm.model.observations import is_arm_level, observations
from bayes_bm.runtime.errors import GateRefused, InputError
from bayes_bm.runtime.files import atomic_write
from bayes_bm.spec.document import Spec
from bayes_bm.spec.reading import parse_spec


@dataclass(frozen=True)
class Result:
    """A posterior with everything needed to read it: spec, evidence, gate and provenance.

    With `imputations` it is the mixture of several posteriors, told apart by the coordinate `imputation(chain)`;
    `evidence` is then that of the best reconstruction, and `log_likelihood` is empty: what is pointwise belongs to the
    patients of one imputation (`of_imputation`). Where it is not stored it is worked out when it is first read.
    """

    spec: Spec
    evidence: Evidence
    posterior: xr.Dataset
    sample_stats: xr.Dataset
    stored_log_likelihood: xr.Dataset | None
    observed_data: xr.Dataset
    gate: Gate
    provenance: dict[str, Any] = field(default_factory=dict)
    imputations: Imputations | None = None

    @cached_property
    def design(self) -> Design:
        return make_design(self.spec, self.evidence)

    @cached_property
    def family(self) -> Family:
        return family_of(self.spec, self.evidence)

    @cached_property
    def arm_family(self) -> Family:
        """The family of study arms at their covariates' centres: on their own clocks, where these are unknown."""
        return arm_family(self.family, self.design.clocks)

    @cached_property
    def draws(self) -> Draws:
        return read_draws(self.posterior, self.design, self.spec, self.family)

    @cached_property
    def log_likelihood(self) -> xr.Dataset:
        """Pointwise, by kind of evidence (chain, draw, row)."""
        stored = self.stored_log_likelihood
        return pointwise_log_likelihood(self) if stored is None else stored

    @cached_property
    def case_mix(self) -> CaseMix:
        """Covariates of the evidence's patients, as far as they are known."""
        return case_mix(self.spec, self.evidence)

    @cached_property
    def arm_law(self) -> tuple[Family, np.ndarray, np.ndarray]:
        """Family, eta (sample, arm row) and shape of each arm as a whole: what its printed numbers speak about.

        Where an arm is averaged over its covariates, so is the family (`hazards.averaged`).
        """
        eta, of_arm = self.arm_predictors
        if not any_averaged(self.spec, self.evidence):
            return self.arm_family, eta, of_arm
        offsets = self.point_offsets
        return averaged(self.family, offsets.shape[-1]), eta, np.concatenate([of_arm, offsets], axis=-1)

    @cached_property
    def point_offsets(self) -> np.ndarray:
        """What each integration point adds to eta of each arm (sample, arm row, point)."""
        return point_offsets(self.draws, self.design, arm_points(self.spec, self.evidence))

    @cached_property
    def arm_predictors(self) -> tuple[np.ndarray, np.ndarray]:
        """eta (sample, arm row) and shape (sample, arm row, shape) of every arm at its covariates' centres."""
        return arm_predictors(self.draws, self.design)

    @cached_property
    def covariate_laws(self) -> tuple[CovariateModel, ...]:
        """Laws of the covariates that single patients lack."""
        return covariate_models(self.spec, self.evidence)

    def law_of(
        self, name: str, arrays: Mapping[str, np.ndarray], samples: np.ndarray | slice = slice(None)
    ) -> tuple[Family, np.ndarray, np.ndarray]:
        """Family, eta (sample, row) and shape (sample, row, shape) of the rows of a kind of evidence, at some draws."""
        rows = arrays["arm_row"]
        law, eta, shape = self.arm_law if is_arm_level(name) else (self.arm_family, *self.arm_predictors)
        at, of_rows = eta[samples][:, rows], shape[samples][:, rows]
        if "x" in arrays and arrays["x"].shape[1]:
            at = at + shifts(self.draws, self.design, rows, arrays["x"], samples)
        if name != "patients_imputed":
            return law, at, of_rows
        lacked = missing_offsets(self.draws, self.design, self.spec, self.covariate_laws, arrays, samples)
        return averaged(law, lacked.shape[-1] // 2, weighted=True), at, np.concatenate([of_rows, lacked], axis=-1)

    @cached_property
    def ratio_means(self) -> np.ndarray:
        """The study's own log hazard ratio behind each hazard-ratio row (sample, row)."""
        arrays = observations(self.spec, self.evidence, self.family).get("hazard_ratios", {})
        return ratio_means(self.draws, self.design, self.family, arrays, proportional=self.spec.proportional)

    def of_imputation(self, label: int) -> "Result":
        """One imputation (1 to M) by itself: its chains, its patients, its gate, its pointwise log-likelihood."""
        if self.imputations is None:
            raise InputError("imputation", found=label, hint="this result was fitted to the best reconstruction alone")
        evidence = self.imputations.evidence(self.evidence, label)
        return replace(
            self,
            evidence=evidence,
            posterior=_of_label(self.posterior, label),
            sample_stats=_of_label(self.sample_stats, label),
            observed_data=observed_dataset(self.spec, evidence),
            gate=self.imputations.gates[label - 1],
            imputations=None,
            stored_log_likelihood=None,
        )

    def thinned(self, draws: int) -> "Result":
        """The same with about so many draws, evenly from all chains: what a line, or a page, needs."""
        step = max(1, self.posterior.sizes["chain"] * self.posterior.sizes["draw"] // draws)
        of_draws = None if self.imputations is None else self.stored_log_likelihood
        thin = self.posterior.isel(draw=slice(None, None, step))
        return replace(self, posterior=thin, stored_log_likelihood=of_draws)

    def require_one_target(self, where: str, *, differ: str, hint: str) -> None:
        """Raises `InputError` for a stack of imputations (docs/decisions.md#19-multiple-imputation); `differ`: what is
        not the same in all of them.
        """
        if self.imputations is not None:
            found = f"{self.imputations.m} imputations, whose {differ} differ"
            raise InputError(
                where, found=found, allowed="one imputation at a time", hint=f"{hint} (docs/decisions.md, 19)"
            )

    def to_arviz(self) -> xr.DataTree:
        """The groups as ArviZ reads them, spec and provenance in the attributes."""
        groups = {
            "posterior": self.posterior,
            "sample_stats": self.sample_stats,
            "log_likelihood": self.log_likelihood,
            "observed_data": self.observed_data,
        }
        tree = xr.DataTree.from_dict({name: group for name, group in groups.items() if group.data_vars})
        tree.attrs = {
            "spec": json.dumps(self.spec.document()),
            "provenance": json.dumps(self.provenance),
            "gate": json.dumps(self.gate.document()),
            "gate_state": self.gate.state,
        }
        return tree

    def save(self, path: str | Path) -> Path:
        """Write NetCDF (HDF5), whole or not at all."""
        tree = self.to_arviz()
        tree["evidence"] = xr.DataTree(stored_evidence(self.evidence))
        if self.imputations is not None:
            tree["imputation"] = xr.DataTree(self.imputations.stored())
        with atomic_write(Path(path)) as file:
            tree.to_netcdf(file, engine="h5netcdf")
        return Path(path)

    def require_gate(self, *, allow_failed: bool = False) -> None:
        """Refuse to answer from a posterior that has not converged (exit status 1)."""
        if not self.gate.passed and not allow_failed:
            reasons = "; ".join(self.gate.reasons)
            raise GateRefused(f"the convergence gate failed: {reasons}. Sample longer, or say --allow-failed-gate")


def _of_label(group: xr.Dataset, label: int) -> xr.Dataset:
    """The chains of one imputation, counted from 0."""
    mine = group.isel(chain=np.flatnonzero(group["imputation"].to_numpy() == label)).drop_vars("imputation")
    return mine.assign_coords(chain=range(mine.sizes["chain"]))


def observed_dataset(spec: Spec, evidence: Evidence) -> xr.Dataset:
    """What was observed, in the spec's time unit."""
    columns = {
        "patients": ("time", "event", "time_upper", "entry", "weight", "arm_row"),
        "sequences": ("time", "ratio", "size", "arm_row"),
        "medians": ("time", "arm_row"),
        "counts": ("time", "events", "n", "arm_row"),
        "registry": ("start", "time", "alive", "n", "arm_row"),
        "hazard_ratios": ("log_hr", "se"),
    }
    variables = {
        f"{table}_{column}": (f"{table}_row", evidence.tables()[table][column].to_numpy(dtype=float))
        for table, names in columns.items()
        for column in names
        if len(evidence.tables()[table])
    }
    return xr.Dataset(variables, attrs={"time_unit": spec.time_unit})


def load(path: str | Path) -> Result:
    """Read a result written by `Result.save`. Raises `InputError` for anything else."""
    file = Path(path)
    if not file.is_file():
        raise InputError(str(path), found="no such file", hint="make one with: bayes-bm fit SPEC --out RESULT.nc")
    try:
        tree = xr.open_datatree(file, engine="h5netcdf").load()
        document, attributes = json.loads(tree.attrs["spec"]), tree.attrs
    except (OSError, KeyError, ValueError) as problem:
        raise InputError(str(path), found=f"not a result of bayes-bm fit ({problem})") from None
    finally:
        if "tree" in locals():
            tree.close()

    def group(name: str) -> xr.Dataset:
        return tree[name].to_dataset() if name in tree.children else xr.Dataset()

    return Result(
        spec=parse_spec(document, where=f"{file}, spec"),
        evidence=read_stored_evidence(group("evidence")),
        posterior=group("posterior"),
        sample_stats=group("sample_stats"),
        stored_log_likelihood=group("log_likelihood"),
        observed_data=group("observed_data"),
        gate=Gate.from_document(json.loads(attributes["gate"])),
        provenance=json.loads(attributes["provenance"]),
        imputations=Imputations.from_stored(group("imputation")) if "imputation" in tree.children else None,
    )
