"""A small joint model of local failure and death: its spec, its rows and its evidence in memory."""

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytensor
import pytest
from pytensor.compile.mode import Mode

from bayes_bm.evidence.causes import CausesEvidence, select_causes
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.inference.causes.density import JointDensity, joint_density, joint_inputs
from bayes_bm.model.causes import correlation
from bayes_bm.model.causes.joint_inputs import ArmLevels, arm_levels, correlation_terms, row_terms
from bayes_bm.model.linear_predictor import read_draws
from bayes_bm.spec.causes import Causes, parse_causes
from tests.builders import worlds
from tests.witness import slow_causes

T0 = 12.0
PLAIN = Mode(linker="py", optimizer=None)
"""A graph as it stands: a value costs more, and no second of compiling comes before it."""
DOCUMENT: dict[str, Any] = {
    **{key: value for key, value in worlds.DOCUMENT.items() if key != "treatments"},
    "endpoint": "local_control",
    "treatments": {"reference": "a", "compare": ["b"]},
    "sampling": {"draws": 200, "tune": 300, "chains": 2},
    "causes": {"failure": {}, "death": {"endpoint": "death_without"}},
    "joint": {"first_of_all": "free"},
}
NAMED = {"endpoint": "local_control", "arm": "x"}
ARMS = [
    {**NAMED, "study": "k", "treatment": "a", "n": 40, "measure": "km"},
    {**NAMED, "study": "f1", "treatment": "a", "n": 50, "measure": "cif_complement"},
    {**NAMED, "study": "f2", "treatment": "b", "n": 33, "measure": "cif_complement", "survived_to": 1.5},
    {**NAMED, "study": "f3", "treatment": "b", "n": 28, "measure": "cif_complement"},
    {**NAMED, "study": "a1", "treatment": "a", "endpoint": "free", "n": 44},
    {**NAMED, "study": "a2", "treatment": "b", "endpoint": "free", "n": 31},
    {**NAMED, "study": "a3", "treatment": "b", "endpoint": "free", "n": 25},
    {**NAMED, "study": "a4", "treatment": "a", "endpoint": "free", "n": 36},
]
ROWS: dict[str, list[dict[str, Any]]] = {
    "patients": [],
    "arms": ARMS,
    "points": [
        {**NAMED, "study": "k", "time": 12.0, "survival": 0.7},
        {**NAMED, "study": "f1", "time": 6.0, "survival": 0.9},
        {**NAMED, "study": "f1", "time": 12.0, "survival": 0.81},
        {**NAMED, "study": "f1", "time": 24.0, "survival": 0.74},
        {**NAMED, "study": "f2", "time": 12.0, "survival": 0.85},
        {**NAMED, "study": "a1", "endpoint": "free", "time": 6.0, "survival": 0.6},
        {**NAMED, "study": "a1", "endpoint": "free", "time": 18.0, "survival": 0.3},
    ],
    "medians": [
        {**NAMED, "study": "a2", "endpoint": "free", "median": 9.0},
        {**NAMED, "study": "a3", "endpoint": "free", "median": 8.0, "ci_low": 6.0, "ci_high": 11.0},
    ],
    "counts": [
        {**NAMED, "study": "f3", "time": 12.0, "events": 6, "n": 28},
        {**NAMED, "study": "a4", "endpoint": "free", "time": 12.0, "events": 22, "n": 36},
    ],
}


def patients(n: int = 12, seed: int = 4, study: str = "p") -> list[dict[str, Any]]:
    """Two arms of a study: Weibull failures of shape 0.8 and deaths of shape 1.3, followed 6 to 40 months."""
    rng = np.random.default_rng(seed)
    rows = []
    for treatment, (failing, dying) in (("a", (0.4, 0.1)), ("b", (1.1, -0.2))):
        failure = T0 * (rng.exponential(size=n) * np.exp(failing)) ** (1 / 0.8)
        death = T0 * (rng.exponential(size=n) * np.exp(dying)) ** (1 / 1.3)
        censored = rng.uniform(6, 40, n)
        time = np.minimum(np.minimum(failure, death), censored)
        for own, failed, died, lost in zip(time, failure, death, censored, strict=True):
            cause = None if own == lost else "failure" if failed < died else "death"
            known = {"time": float(own), "event": int(cause is not None), "cause": cause}
            rows.append({"study": study, "arm": treatment, "treatment": treatment, **known})
    return rows


def document(**changes: Any) -> dict[str, Any]:
    """The world's document with tables replaced as a whole; `None` removes one."""
    found = copy.deepcopy(DOCUMENT) | changes
    return {key: value for key, value in found.items() if value is not None}


def causes(**changes: Any) -> Causes:
    return parse_causes(document(**changes))


def evidence(of: Causes, rows: dict[str, list[dict[str, Any]]]) -> CausesEvidence:
    """Rows read once for a document: five tables of each cause take a second."""
    key = f"{of.digest()} {rows}"
    if key not in READ:
        tables = {kind: worlds.checked(kind, own) for kind, own in {"arms": ARMS[:1], **rows}.items() if own}
        READ[key] = select_causes(of, dict.fromkeys(of.names, tables))
    return READ[key]


READ: dict[str, CausesEvidence] = {}
"""Evidence read before, by the text of document and rows."""


def with_patients() -> dict[str, list[dict[str, Any]]]:
    return {**ROWS, "patients": patients()}


@cache
def whole_density() -> JointDensity:
    """Every kind of row, patients and a prior on the correlation."""
    of = causes(joint={"first_of_all": "free", "correlation": {"eta": 2.0, "why": "test"}})
    return plain_density(of, evidence(of, with_patients()))


def plain_density(of: Causes, rows: CausesEvidence) -> JointDensity:
    """A density whose ties are a graph as it stands.

    The graphs inside a graph are compiled by C whatever the mode, where there is a compiler: 40 s for one evaluation.
    """
    with pytensor.config.change_flags(cxx=""):
        return joint_density(joint_inputs(of, rows), mode=PLAIN)


def point(density: JointDensity, seed: int = 1) -> np.ndarray:
    """A point on the sampler's scale, not too far from the prior."""
    return density.start + 0.3 * np.random.default_rng(seed).standard_normal(density.size)


def levels_at(density: JointDensity, x: np.ndarray) -> list[ArmLevels]:
    """Predictors of every arm at one point, from the named posterior of it."""
    found = []
    for inputs, posterior in zip(density.joint.inputs, density.posteriors(x[None, None]), strict=True):
        draws = read_draws(posterior, inputs.design, inputs.spec, inputs.family)
        found.append(arm_levels(inputs, draws.effects, xp=NUMPY))
    return found


def parameters_at(density: JointDensity, x: np.ndarray) -> dict[str, dict[str, Any]]:
    """The same as the slow twin reads it."""
    named = {}
    for name, posterior in zip(density.joint.causes.names, density.posteriors(x[None, None]), strict=True):
        one = posterior.isel(chain=0, draw=0)
        own: dict[str, Any] = {key: float(one[key]) for key in ("intercept", "log_shape")}
        for key, dim in (("log_hr", "treatment"), ("study_effect", "study"), ("study_log_shape", "study")):
            own[key] = dict(zip(one[dim].to_numpy(), one[key].to_numpy(), strict=True))
        pairs = [tuple(label.split(" | ")) for label in one["study_treatment"].to_numpy()]
        own["study_treatment_effect"] = dict(zip(pairs, one["study_treatment_effect"].to_numpy(), strict=True))
        if "coefficient" in one:
            own["coefficient"] = dict(zip(one["covariate"].to_numpy(), one["coefficient"].to_numpy(), strict=True))
            own["interaction"] = {
                (treatment, covariate): float(one["interaction"].sel(treatment=treatment, effect_modifier=covariate))
                for treatment in one["treatment"].to_numpy()
                for covariate in one["effect_modifier"].to_numpy()
            }
        named[name] = own
    return named


def printed(kind: str, study: str) -> list[dict[str, Any]]:
    """What a study of ROWS prints of a kind."""
    return [row for row in ROWS[kind] if row["study"] == study]


def terms_at(density: JointDensity, x: np.ndarray) -> dict[str, np.ndarray]:
    """Pointwise log density of every kind of row of several causes, by the formulas."""
    return {name: np.asarray(one)[0] for name, one in row_terms(density.joint, levels_at(density, x), xp=NUMPY)}


def tied_value(density: JointDensity, x: np.ndarray) -> float:
    """What ties two causes together, by the formulas: rows of both, correlated levels, and the prior with eta of 2."""
    values = density.correlations(x[None, None])[0]
    plain = [
        own.plain(x[first:end])[own.starts["study_effect_standard"] :][: len(own.design.studies)][None]
        for own, first, end in zip(density.coordinates, density.ends[:-1], density.ends[1:], strict=True)
    ]
    terms = [*terms_at(density, x).values(), *correlation_terms(density.joint, plain, values, xp=NUMPY)]
    return sum(float(np.sum(one)) for one in terms) + float(correlation.log_prior([x[-1]], 2, 2.0, xp=NUMPY))


def assert_rows_are_the_twins(
    terms: dict[str, np.ndarray], own: dict[str, dict[str, Any]], arm_of: Callable[[str], dict[str, Any]]
) -> None:
    """Every kind of row of `whole_density` as the slow twin has it, of arms as `arm_of` gives them."""
    found = terms["incidence of failure"]
    wanted = slow_causes.incidence_points(own, arm_of("f1"), printed("points", "f1"), T0, "failure")
    assert found[:3].sum() == pytest.approx(wanted, abs=1e-10)
    # after its entry
    wanted = slow_causes.incidence_points(own, arm_of("f2"), printed("points", "f2"), T0, "failure")
    assert found[3] == pytest.approx(wanted, abs=1e-10)
    wanted = slow_causes.incidence_count(own, arm_of("f3"), printed("counts", "f3")[0], T0, "failure")
    assert found[4] == pytest.approx(wanted, abs=1e-10)
    wanted = slow_causes.first_points(own, arm_of("a1"), printed("points", "a1"), T0)
    assert terms["first of all, points"].sum() == pytest.approx(wanted, abs=1e-10)
    for name, study in (("medians", "a2"), ("median_intervals", "a3")):
        wanted = slow_causes.first_median(own, arm_of(study), printed("medians", study)[0], T0)
        assert terms[f"first of all, {name}"][0] == pytest.approx(wanted, abs=1e-10)
    wanted = slow_causes.first_count(own, arm_of("a4"), printed("counts", "a4")[0], T0)
    assert terms["first of all, counts"][0] == pytest.approx(wanted, abs=1e-10)
