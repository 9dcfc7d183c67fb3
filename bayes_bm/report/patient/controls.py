"""What a patient page asks of each covariate, made from the spec and the evidence: a choice in words, or a slider."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bayes_bm.inference.result import Result
from bayes_bm.model.covariates.case_mix import limits
from bayes_bm.spec.covariates import Covariate

STEPS = 100
"""Steps of a slider, about; each is a round number."""
WIDER = 0.25
"""Part of the evidence's range by which a slider reaches beyond it, where the covariate has no limits of its own.

What is never negative in the evidence (an age, a score) is not asked below 0 either.
"""


@dataclass(frozen=True)
class Choice:
    """A value of a two-valued covariate: what the page sends, and its words."""

    value: str
    words: str


@dataclass(frozen=True)
class Control:
    """One covariate: `choices` of a two-valued one, else a slider from `least` to `most`.

    `low` and `high` are the range that the evidence covers, as numbers and in `covered`; None where it prints none.
    """

    name: str
    label: str
    unit: str
    choices: tuple[Choice, ...] = ()
    least: float = 0.0
    most: float = 1.0
    step: float = 1.0
    start: float = 0.0
    low: float | None = None
    high: float | None = None
    covered: str = ""


def covariate_controls(result: Result) -> list[Control]:
    """Return the control of every covariate of the spec."""
    return [_control(result, name, term) for name, term in result.spec.covariates.items()]


def _control(result: Result, name: str, term: Covariate) -> Control:
    label = term.words(name)
    choices = two_values(result, name, term)
    if choices:
        return Control(name, label, "", tuple(Choice(f"{value:g}", words) for value, words in choices.items()))
    mix = result.case_mix
    low, high = mix.range(name) if mix.known else (None, None)
    least, most = _slider_ends(term, low, high)
    step = round_step((most - least) / STEPS)
    middle = float(mix.moments([name])[0][0]) if mix.known else term.middle
    covered = "" if low is None or high is None else f"{low:.4g} to {high:.4g}"
    start = float(f"{round(middle / step) * step:.10g}")
    return Control(name, label, term.unit, (), least, most, step, start, low, high, covered)


def two_values(result: Result, name: str, term: Covariate) -> Mapping[float, str]:
    """Return the two values of a covariate with their words; nothing of a continuous one."""
    if set(term.choices) == {0.0, 1.0}:
        return term.choices
    values = result.case_mix.x[:, result.case_mix.names.index(name)] if result.case_mix.known else np.zeros(0)
    only_two = len(values) > 0 and set(np.unique(values).tolist()) <= {0.0, 1.0}
    if term.kind == "two_valued" or (only_two and term.lower in (None, 0.0) and term.upper in (None, 1.0)):
        return {0.0: "no", 1.0: "yes"}
    return {}


def _slider_ends(term: Covariate, low: float | None, high: float | None) -> tuple[float, float]:
    """Ends of the slider: the covariate's limits, else somewhat beyond the evidence, else about its centre."""
    least, most = limits(term)
    if low is None or high is None:
        low, high = term.middle - 2 * term.scale, term.middle + 2 * term.scale
    room = WIDER * (high - low) or term.scale
    step = round_step((high - low + 2 * room) / STEPS)
    least = math.floor((low - room) / step) * step if math.isinf(least) else least
    most = math.ceil((high + room) / step) * step if math.isinf(most) else most
    least = max(least, 0.0) if low >= 0 else least
    return float(f"{least:.10g}"), float(f"{most:.10g}")


def round_step(size: float) -> float:
    """Return the nearest of 1, 2, 5 and 10 times a power of ten that is not below half of `size`.

    >>> round_step(0.92), round_step(0.03), round_step(0.24)
    (1.0, 0.02, 0.2)
    """
    power = 10.0 ** math.floor(math.log10(size))
    return float(f"{min((1, 2, 5, 10), key=lambda one: abs(math.log(one * power / size))) * power:.10g}")
