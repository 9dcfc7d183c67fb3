"""A posterior with everything needed to read it, stored and read back."""

import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bayes_bm.evidence.records import Evidence
from bayes_bm.evidence.storage import read_stored_evidence, stored_evidence
from bayes_bm.inference.arviz_tree import arviz_groups
from bayes_bm.inference.gate import Gate, remedy
from bayes_bm.inference.imputations import (
    Imputations,
)
from bayes_bm.inference.log_likelihood import pointwise_log_likelihood
from bayes_bm.inference.predictors import Predictors, read_predictors
from bayes_bm.inference.stored import add_digests, check_agreement, read_tree, readable, tree_bytes
from bayes_bm.model.covariates.case_mix import CaseMix, case_mix
from bayes_bm.model.model_inputs import ModelInputs, prepare
from bayes_bm.runtime.errors import GateRefused, InputError
from bayes_bm.runtime.files import atomic_write
from bayes_bm.runtime.summaries import counted, listed, summary
from bayes_bm.spec.document import Spec
from bayes_bm.spec.reading import parse_spec


@dataclass(frozen=True)
class Result:
    """Hold a posterior with everything needed to read it: spec, evidence, gate and provenance.

    With `imputations` it is the mixture of several posteriors, told apart by the coordinate `imputation(chain)`;
    `evidence` is then that of the best reconstruction, and `log_likelihood` is empty: what is pointwise belongs to the
    patients of one imputation (`of_imputation`). Where it is not stored it is worked out when it is first read.

    Attributes
    ----------
    spec : Spec
        The model as it was fitted.
    evidence : Evidence
        Rows that entered the likelihood, in the spec's time unit.
    posterior : xarray.Dataset
        Parameters (chain, draw, ...), with labels of treatments, studies and covariates.
    sample_stats : xarray.Dataset
        What the sampler says of each transition (chain, transition).
    stored_log_likelihood : xarray.Dataset or None
        As it was read from a file; None where it is worked out.
    observed_data : xarray.Dataset
        What was observed, in the spec's time unit.
    gate : Gate
        Whether the posterior has converged, and why not.
    provenance : dict
        Digests of spec and files, seed, versions, seconds.
    imputations : Imputations or None
        Patients and gates of each imputation.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> from bayes_bm.inference.prior_result import prior_result
    >>> result = prior_result(bb.read_spec("published_os_extent_of_resection"), draws=200)  # or bb.fit(spec)
    >>> sorted(result.posterior), result.thinned(50).posterior.sizes["draw"], result.gate.passed
    (['intercept', 'log_hr', 'log_shape'], 50, True)
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

    def __repr__(self) -> str:
        sizes, gate = self.posterior.sizes, self.gate
        imputed = "" if self.imputations is None else f", {self.imputations.m} imputations"
        rows = {
            "question": self.spec.question,
            "gate": gate.state + ("" if gate.passed else f": {'; '.join(gate.reasons[:3])}"),
            "draws": f"{sizes['chain']} chains of {sizes['draw']}{imputed}",
            "parameters": listed([str(name) for name in self.posterior.data_vars]),
            "evidence": counted({"studies": len(self.inputs.design.studies), "arms": len(self.evidence.arms)}),
            "look at": "bb.compare, bb.predict, bb.check, bb.write_report; posterior, to_arviz(); spec, evidence, gate,"
            " provenance; save(path)",
        }
        return summary(f"Result of {self.spec.name}", rows)

    @cached_property
    def inputs(self) -> ModelInputs:
        """Everything that spec and evidence say to the model: design, family, arrays of every kind of evidence."""
        return prepare(self.spec, self.evidence)

    @cached_property
    def predictors(self) -> Predictors:
        """Draws of the parameters and the linear predictors of all rows at them."""
        return read_predictors(self.inputs, self.posterior)

    @cached_property
    def log_likelihood(self) -> xr.Dataset:
        """Pointwise, by kind of evidence (chain, draw, row). Refused for a stack of imputations."""
        if self.stored_log_likelihood is not None:
            return self.stored_log_likelihood
        # a row is another patient in each imputation, and LOO over the stack would mix them
        hint = "result.of_imputation(1).log_likelihood"
        self.require_one_target("pointwise log-likelihood", differ="patients", hint=hint)
        return pointwise_log_likelihood(self.predictors)

    @cached_property
    def case_mix(self) -> CaseMix:
        """Covariates of the evidence's patients, as far as they are known; mixes of arms at their posterior means."""
        if self.inputs.arm_mixes is None:
            return case_mix(self.inputs)
        draws = self.predictors.draws
        return case_mix(self.inputs, draws.mix.mean(axis=0), draws.mix_within.mean(axis=0))

    def of_imputation(self, label: int) -> "Result":
        """One imputation (1 to M) by itself: its chains, its patients, its gate, its pointwise log-likelihood."""
        if self.imputations is None:
            raise InputError("imputation", found=label, hint="this result was fitted to the best reconstruction alone")
        evidence = self.imputations.evidence(self.evidence, label)
        return replace(
            self,
            evidence=evidence,
            provenance=self.provenance | {"imputation": label, "evidence_digest": evidence.digest()},
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
        return replace(self, posterior=thin, stored_log_likelihood=of_draws).with_inputs(self.inputs)

    def at_level(self, level: float) -> "Result":
        """Return the same with intervals of another level, such as 0.9; nothing is fitted again.

        Examples
        --------
        >>> import bayes_bm as bb
        >>> from bayes_bm.inference.prior_result import prior_result
        >>> result = prior_result(bb.read_spec("published_os_extent_of_resection"), draws=200)  # or bb.fit(spec)
        >>> result.spec.interval.words, result.at_level(0.8).spec.interval.words
        ('95 %', '80 %')
        """
        if not 0.5 <= level <= 0.999:
            raise InputError("level", found=level, allowed="0.5 to 0.999", hint="0.95 is 95 %")
        return replace(self, spec=self.spec.model_copy(update={"level": level}))

    def with_inputs(self, inputs: ModelInputs) -> "Result":
        """The same, with inputs that were prepared before from its own spec and evidence."""
        vars(self)["inputs"] = inputs
        return self

    def require_one_target(self, where: str, *, differ: str, hint: str) -> None:
        """Raises `InputError` for a stack of imputations (docs/decisions.md#19-multiple-imputation); `differ`: what is
        not the same in all of them.
        """
        if self.imputations is not None:
            described = f"{self.imputations.m} imputations, whose {differ} differ"
            raise InputError(
                where, found=described, allowed="one imputation at a time", hint=f"{hint} (docs/decisions.md, 19)"
            )

    def to_arviz(self) -> xr.DataTree:
        """Return the groups as ArviZ reads them, spec and provenance in the attributes.

        `az.loo`, `az.compare`, `az.plot_ppc_dist` and `az.plot_prior_posterior` work on it unchanged: it has draws of
        the priors, replicates of every row of evidence, and one log-likelihood of all rows (`evidence`, by row; its
        coordinates `kind` and `study` say which), so that leave-one-out leaves out one row of evidence: a patient, a
        survival at a time, a median. A stack of imputations has no pointwise groups: see `of_imputation`.

        Examples
        --------
        >>> import bayes_bm as bb
        >>> result = bb.fit("published_os_extent_of_resection", draws=100, tune=200)
        >>> tree = result.to_arviz()
        >>> tree["log_likelihood"]["evidence"].dims
        ('chain', 'draw', 'row')
        >>> tree["posterior"]["log_hr"].attrs["long_name"]
        'log hazard ratio against str'
        """
        imputed = self.imputations is not None
        groups = arviz_groups(self.predictors, self.posterior, kinds=self.log_likelihood, imputed=imputed)
        return self._tree({**groups, "constant_data": self.observed_data, "sample_stats": self.sample_stats})

    def _tree(self, groups: dict[str, xr.Dataset]) -> xr.DataTree:
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
        # in memory first: where a disk is full, HDF5 has no error that says so
        content = self.stored()
        with atomic_write(Path(path)) as file:
            file.write_bytes(content)
        return Path(path)

    def stored(self) -> bytes:
        """Return the bytes of the file that `save` writes."""
        tree = self._tree(
            {
                "posterior": self.posterior,
                "sample_stats": self.sample_stats,
                "log_likelihood": self.log_likelihood,
                "observed_data": self.observed_data,
            }
        )
        tree["evidence"] = xr.DataTree(stored_evidence(self.evidence))
        if self.imputations is not None:
            tree["imputation"] = xr.DataTree(self.imputations.stored())
        add_digests(tree)
        return tree_bytes(tree)

    def require_alone(self, where: str) -> None:
        """Refuse to fit one cause of a joint model again: without the others it is another model."""
        if "joint" in self.provenance:
            raise InputError(
                where, found=f"one cause of the joint model {self.provenance['joint']}", allowed="a fit of its own",
                hint="rows of several causes and correlated levels would be left out; fit the joint model again",
            )  # fmt: skip

    def require_gate(self, *, allow_failed: bool = False) -> None:
        """Refuse to answer from a posterior that has not converged (exit status 1)."""
        if not self.gate.passed and not allow_failed:
            reasons = "; ".join(self.gate.reasons)
            helps = remedy(self.gate, self.spec.sampling.draws)
            raise GateRefused(f"the convergence gate failed: {reasons}. {helps}; or say --allow-failed-gate")


def _of_label(group: xr.Dataset, label: int) -> xr.Dataset:
    """The chains of one imputation, counted from 0."""
    chains = group.isel(chain=np.flatnonzero(group["imputation"].to_numpy() == label)).drop_vars("imputation")
    return chains.assign_coords(chain=range(chains.sizes["chain"]))


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
    """Read a result written by `Result.save`, and check that it is whole.

    Parameters
    ----------
    path : str or Path
        A NetCDF file of `bayes-bm fit`, `bayes-bm run` or `Result.save`.

    Returns
    -------
    Result
        The posterior with its spec, evidence, gate and provenance, as they were written.

    Raises
    ------
    InputError
        For anything else, and for a result of which a part is missing, changed, damaged or older than this version; the
        message names the part (exit status 2).

    Examples
    --------
    >>> import tempfile
    >>> import bayes_bm as bb
    >>> result = bb.fit(bb.read_spec("published_os_extent_of_resection"), draws=200, tune=300)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     back = bb.load(result.save(f"{folder}/result.nc"))
    >>> back.posterior.equals(result.posterior)
    True
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(str(path), found="no such file", hint="make one with: bayes-bm fit SPEC --out RESULT.nc")
    try:
        content = file.read_bytes()
    except OSError as problem:
        raise InputError(str(path), found=f"cannot be read ({problem.strerror})") from None
    return read_result(content, where=str(file))


def read_result(content: bytes, *, where: str) -> Result:
    """Return the result that the bytes of a file hold. Raises `InputError` that names the part that is wrong."""
    tree = read_tree(content, where)

    def group(name: str) -> xr.Dataset:
        return tree[name].to_dataset() if name in tree.children else xr.Dataset()

    with readable(f"{where}, spec"):
        spec = parse_spec(json.loads(tree.attrs["spec"]), where=f"{where}, spec")
    with readable(f"{where}, gate"):
        gate = Gate.from_document(json.loads(tree.attrs["gate"]))
    with readable(f"{where}, provenance"):
        provenance = dict(json.loads(tree.attrs["provenance"]))
    with readable(f"{where}, evidence"):
        evidence = read_stored_evidence(group("evidence"))
    with readable(f"{where}, imputation"):
        imputations = Imputations.from_stored(group("imputation")) if "imputation" in tree.children else None
    result = Result(
        spec=spec,
        evidence=evidence,
        posterior=group("posterior"),
        sample_stats=group("sample_stats"),
        stored_log_likelihood=group("log_likelihood"),
        observed_data=group("observed_data"),
        gate=gate,
        provenance=provenance,
        imputations=imputations,
    )
    with readable(f"{where}, evidence"):
        check_agreement(spec, evidence, result.posterior, provenance, where)
    with readable(f"{where}, evidence"):
        # spec and evidence joined: a column that the model needs is missed here, not in the middle of an answer
        result.with_inputs(prepare(spec, evidence))
        _check_deviations(result, where)
    return result


def _check_deviations(result: Result, where: str) -> None:
    """Refuse a result of before the reference had deviations too (docs/decisions.md#10-order-and-reference)."""
    if "study_treatment" not in result.posterior.dims:
        return
    stored, wanted = set(result.posterior["study_treatment"].values.tolist()), set(result.inputs.design.pair_labels)
    if missing := sorted(wanted - stored):
        raise InputError(
            f"{where}, posterior, study_treatment_effect",
            found=f"no deviation of {missing[0]!r}" + (f" and {len(missing) - 1} more" if len(missing) > 1 else ""),
            allowed="one for every treatment of every study, the reference too",
            hint="the result was made by an older version, whose reference had none; fit again: bayes-bm fit SPEC",
        )
