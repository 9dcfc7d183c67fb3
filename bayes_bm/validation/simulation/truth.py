"""What is true of a synthetic world: parameters drawn from the spec's priors or given, effects of its studies, and the
answers that a fit should find.

Answers come from the same code as those of a fit, asked of a "posterior" of one draw; the tests hold that code against
simulation.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_bm.estimands.compare import compared_pairs
from bayes_bm.estimands.who import AverageStudy, NewHospital, NewStudy, Patient, Who
from bayes_bm.inference.prior_result import prior_result
from bayes_bm.inference.result import Result
from bayes_bm.model.design import DEVIATION_VARIANCE
from bayes_bm.model.study_levels import standard_level
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.document import Spec
from bayes_bm.spec.prior_distributions import scipy_distribution
from bayes_bm.spec.priors import Prior


@dataclass(frozen=True)
class Truth:
    """Hold the parameters as a `result` of one draw, and what each study has besides, by study (and treatment).

    `level` is added to eta, `shape` to the family's first shape parameter. Where study levels (shapes) are free they
    are absolute, there is no common one, and only contrasts are answered (`absolute` is false).
    """

    result: Result
    level: Mapping[str, float]
    shape: Mapping[str, float]
    deviation: Mapping[tuple[str, str], float]
    absolute: bool = True

    @property
    def spec(self) -> Spec:
        return self.result.spec

    def arm(self, study: str, treatment: str) -> tuple[float, np.ndarray]:
        """eta and shape (shape,) of an arm, covariates at their centres."""
        draw, treatment_index = self.result.predictors.draws, self.spec.treatments.names.index(treatment)
        eta = (
            draw.intercept[0]
            + draw.log_hr[0, treatment_index]
            + self.level[study]
            + self.deviation.get((study, treatment), 0.0)
        )
        shape = draw.shape[0] + draw.treatment_shape[0, treatment_index]
        first = np.zeros(len(shape))
        first[:1] = self.shape[study]
        return float(eta), shape + first

    def slopes(self, treatment: str) -> np.ndarray:
        """Coefficient and interaction of each covariate under a treatment (covariate,)."""
        return self.result.predictors.draws.slopes[0, self.spec.treatments.names.index(treatment)]

    def parameters(self) -> dict[str, Any]:
        """Every top-level parameter by name; those of treatments and covariates by label."""
        return {str(name): _plain(values[0, 0]) for name, values in self.result.posterior.data_vars.items()}

    def document(self) -> dict[str, Any]:
        labelled = {f"{study} | {treatment}": value for (study, treatment), value in self.deviation.items()}
        return {
            "parameters": self.parameters(),
            "study_effect": dict(self.level),
            "study_log_shape": dict(self.shape),
            "study_treatment_effect": labelled,
        }


def _plain(values: xr.DataArray) -> Any:
    """A number, or numbers by label."""
    if not values.dims:
        return float(values)
    inner = (
        values[values.dims[0]].to_numpy() if values.dims[0] in values.coords else range(values.sizes[values.dims[0]])
    )
    return {str(label): _plain(values.isel({values.dims[0]: index})) for index, label in enumerate(inner)}


# ---------------------------------------------------------------------------------------------- parameters


def draw_parameters(spec: Spec, *, seed: np.random.SeedSequence, given: Mapping[str, Any] | None = None) -> Result:
    """One draw of every top-level parameter from its prior; those `given` by name take the place of the draw.

    A value of `given` is a number, or numbers by label ({"log_hr": {"b": -0.5}}). Raises InputError on names and labels
    that the spec does not have.
    """
    number = int(seed.generate_state(1)[0])
    drawn = prior_result(spec, draws=1, seed=number)
    posterior = drawn.posterior.copy(deep=True)
    for name, value in (given or {}).items():
        if name not in posterior:
            allowed = ", ".join(str(parameter) for parameter in posterior.data_vars)
            raise InputError(f"truth, {name}", found="an unknown parameter", allowed=allowed)
        _set(posterior[name], value, name)
    # fresh effects of a new hospital follow from the seed of the truth, not from that of the fit
    return replace(drawn, posterior=posterior, spec=drawn.spec.model_copy(update={"seed": number}))


def _set(variable: xr.DataArray, value: Any, name: str) -> None:
    if not isinstance(value, Mapping):
        variable[:] = _number(value, name)
        return
    dims = variable.dims[2:]
    labels = [str(label) for label in variable[dims[0]].to_numpy()] if dims else []
    for label, one in value.items():
        if label not in labels:
            raise InputError(
                f"truth, {name}, {label}", found="an unknown label", allowed=", ".join(labels) or "a number"
            )
        _set(variable.isel({dims[0]: labels.index(label)}), one, f"{name}, {label}")


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise InputError(f"truth, {name}", found=value, allowed="a number")
    if name.endswith("_sd") and value < 0:
        raise InputError(f"truth, {name}", found=value, allowed="0 or more")
    return float(value)


def draw_effects(result: Result, spec: Spec, pairs: list[tuple[str, str]], rng: np.random.Generator) -> Truth:
    """Effects of every study, and of every (study, treatment), the reference too, in sorted order
    (docs/decisions.md#10-order-and-reference).
    """
    studies, arms, draw = sorted({study for study, _ in pairs}), sorted(set(pairs)), result.predictors.draws
    if spec.free_levels:
        level = _free_values(rng, len(studies), spec.priors.intercept)
    else:
        level = draw.study_sd[0] * standard_level(spec, rng.standard_normal(len(studies)))
    shape_prior = (spec.priors.log_shape or spec.priors.shape) if spec.free_shapes else None
    if shape_prior is None:
        shape = draw.study_shape_sd[0] * rng.standard_normal(len(studies))
    else:
        shape = _free_values(rng, len(studies), shape_prior)
    if spec.free_shapes and spec.priors.log_shape is None:
        shape = np.log(shape)
    deviation = np.sqrt(DEVIATION_VARIANCE) * draw.study_treatment_sd[0] * rng.standard_normal(len(arms))
    absent = [*(["intercept"] if spec.free_levels else []), *(["log_shape"] if spec.free_shapes else [])]
    return Truth(
        replace(result, posterior=result.posterior.drop_vars(absent, errors="ignore")),
        dict(zip(studies, level.tolist(), strict=True)),
        dict(zip(studies, shape.tolist(), strict=True)),
        dict(zip(arms, deviation.tolist(), strict=True)),
        absolute=not (spec.free_levels or spec.free_shapes),
    )


def _free_values(rng: np.random.Generator, count: int, prior: Prior) -> np.ndarray:
    rng.standard_normal(count)  # worlds of before: a stream of theirs was drawn from first
    return np.asarray(scipy_distribution(prior).rvs(size=count, random_state=rng))


# ---------------------------------------------------------------------------------------------- answers

RATIOS = ("log_hazard_ratio", "log_time_ratio")
ABSOLUTE = ("survival", "survival_difference", "median", "rmst", "rmst_difference")


class Recorded(Mapping[str, Any]):
    """Give what is recorded of a world by name, as plain data; its answers are worked out when they are asked for.

    Answers are half of what a world costs, and who counts ranks of parameters never reads them.
    """

    def __init__(self, known: Mapping[str, Any], truth: Truth, patient: Mapping[str, float]) -> None:
        self._known, self._truth, self._patient = known, truth, patient

    @cached_property
    def _answers(self) -> list[dict[str, Any]]:
        table = answers(self._truth, self._patient)
        clean = table.astype(object).where(table.notna(), None)
        return [{str(name): value for name, value in row.items()} for row in clean.to_dict("records")]

    def __getitem__(self, name: str) -> Any:
        return self._answers if name == "answers" else self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter((*self._known, "answers"))

    def __len__(self) -> int:
        return len(self._known) + 1


def answers(truth: Truth, patient: Mapping[str, float]) -> pd.DataFrame:
    """The true answers of the world: who, estimand, treatment, reference, time, value.

    Who: average-study, new-study, one new-hospital (a fresh draw of its effects), and the patient on a new study and in
    that hospital. Where study levels or shapes are free only ratios are answered.
    """
    # a table of answers wants a spread, which one draw does not have
    twice = replace(truth.result, posterior=truth.result.posterior.isel(draw=[0, 0]).assign_coords(draw=[0, 1]))
    asked: list[Who] = [AverageStudy(), NewStudy(), NewHospital()] if truth.absolute else [AverageStudy()]
    if truth.spec.covariates and truth.absolute:
        asked += [Patient(patient, NewStudy()), Patient(patient, NewHospital())]
    wanted = (*RATIOS, *(ABSOLUTE if truth.absolute else ()))
    names = ("estimand", "treatment", "reference", "time")
    rows = [
        {"who": who.name, **{name: row[name] for name in names}, "value": float(values[0])}
        for who in asked
        for row, values in compared_pairs(twice, who=who)
        if row["estimand"] in wanted
    ]
    return pd.DataFrame(rows)
