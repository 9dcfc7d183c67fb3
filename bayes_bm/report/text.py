"""Numbers and names as text: rounded so that a reader is neither misled by digits nor by their absence."""

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from types import MappingProxyType

import numpy as np

from bayes_bm.spec.document import Spec

MISSING = "–"
DIGITS = {"days": 0, "weeks": 1, "months": 1, "years": 2}
"""Decimals of a time, by unit."""
RATIO_CAP = 1000.0


def number(value: float | None, digits: int) -> str:
    """Return fixed decimals with a real minus sign; a dash where there is nothing.

    >>> number(-0.004, 2), number(-1.25, 1), number(float("nan"), 2)
    ('0.00', '−1.2', '–')
    """
    if value is None or not np.isfinite(value):
        return MISSING
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def probability(value: float | None) -> str:
    """Return two decimals, never a certainty that draws cannot show.

    >>> probability(0.99975), probability(0.5), probability(0.001)
    ('> 0.99', '0.50', '< 0.01')
    """
    if value is None or not np.isfinite(value):
        return MISSING
    return "> 0.99" if value > 0.99 else "< 0.01" if value < 0.01 else f"{value:.2f}"


def error_text(value: float | None) -> str:
    """Return a Monte Carlo error to one figure; nothing where it is not known.

    >>> error_text(0.0131), error_text(0.00004), error_text(float("nan"))
    ('0.01', '< 0.001', '')
    """
    if value is None or not np.isfinite(value):
        return ""
    return "< 0.001" if value < 0.001 else f"{float(f'{value:.1g}'):g}"


def estimate(values: Sequence[float], *, digits: int, null: float | None = None, cap: float = np.inf) -> str:
    """Return `median (low to high)`; a limit gets more decimals where rounding would put it on `null` itself.

    Above `cap` only that it is above is said: a median far beyond all data is no number to print.

    >>> estimate((0.7, 0.55, 0.9961), digits=2, null=1.0)
    '0.70 (0.55 to 0.996)'
    """
    if not np.isfinite(values[0]):
        return MISSING
    middle, low, high = (_limited(value, digits, null if index else None, cap) for index, value in enumerate(values))
    return f"{middle} ({low} to {high})"


def _limited(value: float, digits: int, null: float | None, cap: float) -> str:
    if value > cap:
        return f"> {cap:.0f}"
    while null is not None and value != null and round(value, digits) == null and digits < 4:
        digits += 1
    return number(value, digits)


def ratio_estimate(values: Sequence[float]) -> str:
    """Return a hazard ratio with its interval: two decimals, and more where a limit would round to 1."""
    return estimate(values, digits=2, null=1.0, cap=RATIO_CAP)


def printed_interval(value: float, low: float, high: float, *, digits: int, cap: float = np.inf) -> str:
    """Return a number with an interval that may be absent, or open above.

    >>> printed_interval(9.8, 7.0, float("nan"), digits=1), printed_interval(9.8, float("nan"), float("nan"), digits=1)
    ('9.8 (7.0 to not reached)', '9.8')
    """
    if not np.isfinite(low):
        return number(value, digits)
    top = number(high, digits) if np.isfinite(high) and high <= cap else "not reached"
    return f"{number(value, digits)} ({number(low, digits)} to {top})"


_LABELS: ContextVar[Mapping[str, str]] = ContextVar("labels of treatments", default=MappingProxyType({}))
"""What the spec that is told about calls its treatments. Every sentence, table and figure of a page says a treatment;
the labels would else be an argument of all of them. A thread of its own starts without."""


@contextmanager
def labels_of(spec: Spec) -> Generator[None]:
    """Have `treatment_text` say the labels that a spec gives its treatments, until the block ends."""
    token = _LABELS.set(spec.treatments.labels)
    try:
        yield
    finally:
        _LABELS.reset(token)


def labelled[**Asked, Returned](function: Callable[Asked, Returned]) -> Callable[Asked, Returned]:
    """Return a function that says treatments as the spec among its arguments, or theirs, labels them."""

    @wraps(function)
    def inside(*args: Asked.args, **named: Asked.kwargs) -> Returned:
        specs = [one if isinstance(one, Spec) else getattr(one, "spec", None) for one in (*args, *named.values())]
        spec = next((one for one in specs if isinstance(one, Spec)), None)
        if spec is None:
            return function(*args, **named)
        with labels_of(spec):
            return function(*args, **named)

    return inside


def treatment_text(name: str) -> str:
    """Return a treatment in words: its label (`labels_of`), or its name with `re_` and `non_` taking a hyphen.

    Words of a name without a vowel are initials.

    >>> treatment_text("re_srs"), treatment_text("re_resection_re_rt"), treatment_text("supportive_care")
    ('re-SRS', 're-resection re-RT', 'supportive care')
    """
    if name in (labels := _LABELS.get()):
        return labels[name]
    words = re.sub(r"(?:^|(?<=_))(re|non)_", r"\1-", name).split("_")
    return " ".join("-".join(_initials(part) for part in word.split("-")) for word in words)


INITIALS = {"litt"}
"""Initials that hold a vowel, so that the rule below would miss them."""


def _initials(word: str) -> str:
    bare = len(word) > 1 and word.isalpha() and not set(word.lower()) & set("aeiouy")
    return word.upper() if bare or word in INITIALS else word


def treatment_words(spec: Spec) -> dict[str, str]:
    """Return every treatment of a spec in words, the reference first."""
    with labels_of(spec):
        return {name: treatment_text(name) for name in spec.treatments.names}


def counted(size: int, name: str) -> str:
    """Return `1 study`, `2 studies`."""
    if size == 1:
        return f"1 {name}"
    return f"{size} {name[:-1]}ies" if name.endswith("y") else f"{size} {name}s"


def time_ticks(limit: float) -> list[float]:
    """Return four to seven ticks at multiples that people count survival in (3, 6, 12 months and their like)."""
    steps = [base * 10.0**power for power in range(-2, 5) for base in (1, 1.5, 2, 3, 6)] + [12.0, 24.0, 48.0]
    step = next(step for step in sorted(steps) if limit / step <= 6.5)
    return [float(tick) for tick in np.arange(0, limit * (1 + 1e-9), step)]
