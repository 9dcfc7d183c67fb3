"""Likelihoods that are wrong on purpose: calibration that does not see them sees nothing (`docs/checks.md`)."""

from dataclasses import replace
from typing import Any

from bayes_bm.model.observations import KINDS

RIGHT = dict(KINDS)
BREAKS: dict[str, tuple[str, Any]] = {
    # events without the shape in their hazard; censored patients left out; points that count twice; narrow intervals
    "no_shape": ("patients", lambda old, d, s: old(d) - d.weight * d.exact * s[..., 0]),
    "forgotten": ("patients", lambda old, d, s: old(type(d)(**{**vars(d), "weight": d.weight * d.exact}))),
    "twice": ("points", lambda old, d, s: 2 * old(d)),
    "narrow": ("median_intervals", lambda old, d, s: old(type(d)(**{**vars(d), "sd": d.sd / 2}))),
}
"""By name: the kind of evidence, and its log density from the right one, the data and the shape."""


def break_likelihood(name: str) -> None:
    """From here on, in this process, one kind of evidence has the wrong density of that name; no name, no change."""
    KINDS.update(RIGHT)
    if name in BREAKS:
        kind, change = BREAKS[name]
        right = RIGHT[kind].log_density

        def density(family: Any, data: Any, eta: Any, shape: Any, *, xp: Any) -> Any:
            return change(lambda other: right(family, other, eta, shape, xp=xp), data, shape)

        KINDS[kind] = replace(RIGHT[kind], log_density=density)
