"""What a spec's file may leave out, and what stands there then (docs/spec-keys.md).

Defaults are put in when a file is read, so that records, results and digests hold every prior with its reason.
"""

import re
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

from bayes_bm.hazards import FAMILIES
from bayes_bm.spec.hazard import EFFECT_NAMES

Table = dict[str, Any]
MARK = "default: "
"""How the reason of a prior begins that the spec leaves out."""
YEAR = {"days": 365.0, "weeks": 52.0, "months": 12.0, "years": 1.0}
"""The reference time by default: one year."""

LONGEST = 1e6
"""A time that a spec may have at most."""


def _normal(mean: float, sd: float, why: str) -> Table:
    return {"dist": "normal", "mean": mean, "sd": sd, "why": MARK + why}


def _half_normal(sd: float, why: str) -> Table:
    return {"dist": "half_normal", "sd": sd, "why": MARK + why}


EFFECT = _normal(0.0, 1.0, "ratios from 1/7 to 7 in 95 of 100 draws; no direction assumed")
PRIORS: dict[str, Table] = {
    "intercept": _normal(
        0.0, 2.0, "any level: from 2 in 100 to all have had the event at the reference time, in 95 of 100 draws"
    ),
    "log_hr": EFFECT,
    "log_time_ratio": EFFECT,
    "log_shape": _normal(0.0, 0.5, "shapes from 0.4 to 2.7 in 95 of 100 draws: hazards that fall or rise"),
    "log_sd": _normal(0.2, 0.5, "the spread of log times of a Weibull with a shape from 0.4 to 2.7"),
    "q": _normal(0.5, 0.5, "between log-normal (0) and Weibull (1), each one sd away"),
    "slope": _normal(0.0, 0.5, "the hazard changes by a factor of up to 2.7 within a reference time"),
    "logit_constant": _normal(
        0.0, 1.5, "a constant part with 5 to 95 of 100 of the hazard up to the reference time, in 95 of 100 draws"
    ),
    "log_shape_ratio": _normal(0.0, 0.3, "shapes of the two groups apart by a factor of up to 1.8 (2 sd)"),
    "log_gap": _normal(0.0, 0.5, "the late group lives 1.5 to 14 times as long as the early one in 95 of 100 draws"),
    "logit_early": _normal(0.0, 1.0, "12 to 88 of 100 patients are of the early group in 95 of 100 draws"),
    "smooth_sd": _half_normal(1.0, "over the follow-up the hazard changes by a factor of up to seven (2 sd)"),
}
"""Priors that stand where the spec gives none; a cured share has none that suits every disease."""
EFFECTS: dict[str, Table] = {
    "study": _half_normal(
        0.5, "levels of studies apart by a factor of up to 2.7 (2 sd); Friede 2017, 10.1002/jrsm.1217"
    ),
    "study_treatment": _half_normal(0.3, "effects of studies apart by a factor of up to 1.8 (2 sd)"),
    "study_shape": _half_normal(0.2, "shapes of studies apart by a factor of up to 1.5 (2 sd)"),
}
"""Priors of the standard deviations between studies, of effects that the spec has by name alone."""


def with_defaults(document: Mapping[str, Any], file: Path) -> Table:
    """Return a document with what its file leaves out; what is no table, or wrong, stays for the check to say."""
    filled = deepcopy(dict(document))
    filled.setdefault("name", re.sub(r"[^A-Za-z0-9_.-]+", "_", file.stem)[:100] or "spec")
    filled.setdefault("question", _question(filled))
    year = YEAR.get(str(filled.get("time_unit", "months")))
    if year is not None:
        filled.setdefault("reference_time", year)
    reference_time = filled.get("reference_time")
    if isinstance(reference_time, int | float) and 0 < reference_time <= LONGEST / 2:
        filled.setdefault("horizon", 2.0 * reference_time)
    priors = filled.setdefault("priors", {})
    if isinstance(priors, dict):
        _fill_priors(cast(Table, priors), filled)
    for name, prior in EFFECTS.items():
        effect = _table(_table(filled, "effects"), name)
        if name in _table(filled, "effects") and effect.get("exchangeable", True) is True:
            effect.setdefault("sd", deepcopy(prior))
    return filled


def _table(document: Table, name: str) -> Table:
    """Return a table of the document; another one where there is none."""
    value = document.get(name)
    return cast(Table, value) if isinstance(value, dict) else {}


def _fill_priors(priors: Table, document: Table) -> None:
    """Add the priors that the family needs, and take out defaults of another family."""
    family = FAMILIES.get(str(_table(document, "hazard").get("family", "weibull")))
    if family is None:
        return
    needed = {"intercept", EFFECT_NAMES[family.effect], *family.shapes, *(["smooth_sd"] if family.flexible else [])}
    if "shape" in priors:
        needed.discard("log_shape")
    for name, prior in PRIORS.items():
        if name in needed:
            priors.setdefault(name, deepcopy(prior))
        elif priors.get(name) == prior:
            del priors[name]


def _question(document: Table) -> str:
    treatments = _table(document, "treatments")
    compared = treatments.get("compare")
    names = ", ".join(str(name) for name in cast(list[Any], compared)) if isinstance(compared, list) else "treatments"
    return f"{document.get('endpoint', 'survival')}: {names} against {treatments.get('reference', 'a reference')}"
