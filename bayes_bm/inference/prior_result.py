"""A result whose draws are of the prior, so that every answer can be asked of it."""

from collections.abc import Callable

import numpy as np
import xarray as xr

from bayes_bm.evidence.files import read_background
from bayes_bm.evidence.reading import select
from bayes_bm.evidence.records import Evidence
from bayes_bm.inference.gate import Gate
from bayes_bm.inference.result import Result
from bayes_bm.model.baseline_hazard import LAST, MANY, family_of
from bayes_bm.runtime.random_stages import RandomStage, random_stream
from bayes_bm.spec.document import Spec
from bayes_bm.spec.effects import StudyLevel
from bayes_bm.spec.prior_distributions import scipy_distribution
from bayes_bm.spec.priors import Prior


def with_even_knots(spec: Spec) -> Spec:
    """The spec with knots as numbers, evenly spaced up to the end or the horizon where it states none."""
    hazard = spec.hazard
    if not hazard.flexible:
        return spec
    inner = hazard.knots if isinstance(hazard.knots, tuple) else ()
    end = hazard.end or max([spec.horizon, *(knot / LAST for knot in inner)])
    if not isinstance(hazard.knots, tuple):
        count = MANY if hazard.knots is None else hazard.knots
        inner = tuple(float(knot) for knot in np.linspace(0, end, count + 2)[1:-1])
    return spec.model_copy(update={"hazard": hazard.model_copy(update={"knots": inner, "end": float(end)})})


def prior_result(spec: Spec, *, draws: int = 4000, seed: int | None = None) -> Result:
    """A result whose "posterior" is drawn from the priors and whose evidence is empty, but for a background."""
    rng = random_stream(spec.seed if seed is None else seed, RandomStage.PRIOR_RESULT)
    compared, effect, family = list(spec.treatments.compare), spec.hazard.treatment_effect, family_of(spec)

    def drawn(prior: Prior, size: int | None = None) -> np.ndarray:
        shape = (1, draws) if size is None else (1, draws, size)
        return np.asarray(scipy_distribution(prior).rvs(size=shape, random_state=rng), dtype=float)

    variables: dict[str, tuple] = {
        "intercept": (("chain", "draw"), drawn(spec.priors.intercept)),
        effect: (("chain", "draw", "treatment"), drawn(getattr(spec.priors, effect), len(compared))),
    }
    if spec.treatments.classes:
        variables |= _class_variables(spec, drawn, variables[effect][1], rng)
    for name in spec.hazard.shapes:
        values = _shape(spec, name, drawn)
        variables[name] = (("chain", "draw"), values)
    if family.knots is not None and spec.priors.smooth_sd is not None:
        sd, step = drawn(spec.priors.smooth_sd), np.sqrt(family.knots.step)
        walk = np.cumsum(sd[..., None] * step * rng.standard_normal((1, draws, len(step))), axis=-1)
        variables["log_coefficient"] = (("chain", "draw", "location"), walk)
        if spec.priors.treatment_smooth_sd is not None:
            treatment_sd = drawn(spec.priors.treatment_smooth_sd)[..., None, None] * step
            walks = np.cumsum(treatment_sd * rng.standard_normal((1, draws, len(compared), len(step))), axis=-1)
            variables["treatment_log_coefficient"] = (("chain", "draw", "treatment", "location"), walks)
    if spec.waning is not None and spec.waning.prior is not None:
        variables["waning_start"] = (("chain", "draw"), drawn(spec.waning.prior))
    if spec.priors.treatment_log_shape is not None:
        shapes = drawn(spec.priors.treatment_log_shape, len(compared))
        variables["treatment_log_shape"] = (("chain", "draw", "treatment"), shapes)
    effects = spec.effects
    sds = {
        "study_sd": effects.study,
        "study_treatment_sd": effects.study_treatment,
        "study_shape_sd": effects.study_shape,
    }
    for name, effect in sds.items():
        if effect is not None and effect.sd is not None:
            variables[name] = (("chain", "draw"), drawn(effect.sd))
    if spec.covariates:
        coefficients = np.concatenate([drawn(term.prior, 1) for term in spec.covariates.values()], axis=-1)
        variables["coefficient"] = (("chain", "draw", "covariate"), coefficients)
    if spec.modifiers:
        # a shared interaction is one draw for all treatments
        interactions = [
            drawn(term.interaction, len(compared) if term.interaction_by == "treatment" else 1)
            for term in spec.covariates.values()
            if term.interaction is not None
        ]
        wide = [np.broadcast_to(values, (1, draws, len(compared))) for values in interactions]
        variables["interaction"] = (("chain", "draw", "treatment", "effect_modifier"), np.stack(wide, axis=-1))
    if spec.unknown_biases:
        bias_priors = [term.prior for term in spec.modelled_biases.values() if term.prior is not None]
        variables["bias"] = (
            ("chain", "draw", "bias_term"),
            np.concatenate([drawn(bias_prior, 1) for bias_prior in bias_priors], axis=-1),
        )
    if spec.prognosis is not None and spec.covariates:
        variables["prognosis_sd"] = (("chain", "draw"), drawn(spec.prognosis.sd))
        if spec.prognosis.transport_sd is not None:
            spread = drawn(spec.prognosis.transport_sd)
            scores = rng.standard_normal((1, draws, len(spec.covariates)))
            variables["transport_sd"] = (("chain", "draw"), spread)
            variables["transport"] = (("chain", "draw", "transported"), spread[..., None] * scores)
    if spec.case_mixes:
        variables |= _mix_variables(spec, drawn)
    classes = spec.treatments.classes
    coords = {
        "treatment_class": list(classes),
        "spread_class": [name for name, term in classes.items() if term.sd is not None],
        "treatment": compared,
        "covariate": list(spec.covariates),
        "effect_modifier": list(spec.modifiers),
        "bias_term": list(spec.unknown_biases),
    }
    if spec.case_mixes:
        coords |= _mix_labels(spec)
    if "transport" in variables:
        coords["transported"] = list(spec.covariates)
    posterior = xr.Dataset(variables, coords=coords)
    empty, passed = xr.Dataset(), Gate((), 0, draws, float("inf"), 0.0, ())
    evidence = _no_rows(spec)
    return Result(_levels_as_one(spec), evidence, posterior, empty, empty, empty, passed)


def _class_variables(
    spec: Spec, drawn: Callable[..., np.ndarray], alone: np.ndarray, rng: np.random.Generator
) -> dict[str, tuple]:
    """Effects of classes and of their members; `alone` are draws of every treatment as if it were in none."""
    effect, classes = spec.hazard.treatment_effect, spec.treatments.classes
    middle, sds = drawn(getattr(spec.priors, effect), len(classes)), []
    for place, term in enumerate(classes.values()):
        sd = np.zeros(alone.shape[:2]) if term.sd is None else drawn(term.sd)
        sds += [] if term.sd is None else [sd]
        for member in term.members:
            column = spec.treatments.compare.index(member)
            alone[..., column] = middle[..., place] + sd * rng.standard_normal(sd.shape)
    found = {
        f"class_{effect}": (("chain", "draw", "treatment_class"), middle),
        effect: (("chain", "draw", "treatment"), alone),
    }
    return found | ({"class_sd": (("chain", "draw", "spread_class"), np.stack(sds, axis=-1))} if sds else {})


def _no_rows(spec: Spec) -> Evidence:
    """Evidence without a row, but for a background."""
    if spec.evidence.background is not None:
        return select(spec, {"background": read_background(spec, {})})
    key = spec.digest()
    if key not in _KEPT:
        _KEPT.clear()
        _KEPT[key] = select(spec, {})
    return _KEPT[key]


_KEPT: dict[str, Evidence] = {}
"""What `_no_rows` gave for the last spec, by its digest: a thousand simulated worlds of a spec ask for it each time."""


def _mix_variables(spec: Spec, drawn: Callable[..., np.ndarray]) -> dict[str, tuple]:
    """The population of arms' mixes, drawn from its priors."""
    mixes = [term.case_mix for term in spec.covariates.values() if term.case_mix is not None]
    by_dim = {
        ("case_mix_mean", "covariate"): [drawn(mix.mean, 1) for mix in mixes],
        ("case_mix_sd", "covariate"): [drawn(mix.sd, 1) for mix in mixes],
        ("case_mix_by_treatment", "case_mix_term"): [
            drawn(prior, 1) for mix in mixes for prior in mix.differences(spec.treatments.names)
        ],
        ("case_mix_within", "spread_covariate"): [
            drawn(mix.within_sd, 1) for mix in mixes if mix.within_sd is not None
        ],
    }
    return {
        name: (("chain", "draw", dim), np.concatenate(parts, axis=-1)) for (name, dim), parts in by_dim.items() if parts
    }


def _mix_labels(spec: Spec) -> dict[str, list[str]]:
    """What the dimensions of `_mix_variables` are called."""
    mixes = {name: term.case_mix for name, term in spec.covariates.items() if term.case_mix is not None}
    differing = [name for name, mix in mixes.items() if mix.by_treatment is not None]
    return {
        "case_mix_term": [f"{treatment}, {name}" for name in differing for treatment in spec.treatments.names],
        "spread_covariate": [name for name, mix in mixes.items() if mix.within_sd is not None],
    }


def _shape(spec: Spec, name: str, drawn) -> np.ndarray:
    if name == "log_shape" and spec.priors.shape is not None:
        return np.log(drawn(spec.priors.shape))
    return drawn(getattr(spec.priors, name))


def _levels_as_one(spec: Spec) -> Spec:
    """Free levels become absent effects: the intercept's prior is then the level of the one study drawn."""
    free = {
        name: None
        for name in ("study", "study_shape")
        if isinstance(effect := getattr(spec.effects, name), StudyLevel) and not effect.exchangeable
    }
    return spec.model_copy(update={"effects": spec.effects.model_copy(update=free)})
