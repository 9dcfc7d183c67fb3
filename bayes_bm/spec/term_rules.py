"""What covariates of studies and effects that wane may not stand beside."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bayes_bm.hazards import FAMILIES
from bayes_bm.spec.biases import Biases

if TYPE_CHECKING:
    from bayes_bm.spec.document import Spec

NAME = re.compile(r"[A-Za-z]\w*")
"""Name of a term that is a parameter."""


def waning_rules(spec: "Spec") -> Iterator[str]:
    """Yield faults: effects of hazards alone, the same for everybody, of a family that places no times before."""
    if spec.waning is None:
        return
    family = FAMILIES[spec.hazard.family]
    allowed = [name for name, one in FAMILIES.items() if one.effect == "hazard" and not one.flexible]
    if spec.hazard.family not in allowed:
        yield f"waning: found beside hazard.family = {family.name}; allowed: {', '.join(allowed)}"
    others = {
        "hazard.cure = true": spec.hazard.cure,
        "evidence.background": spec.evidence.background is not None,
        "priors.treatment_log_shape": spec.priors.treatment_log_shape is not None,
        "a covariate's interaction": bool(spec.modifiers),
    }
    for name, present in others.items():
        if present:
            yield f"waning: found beside {name}; allowed: effects on the log hazard that are the same for everybody"


def regression_rules(spec: "Spec") -> Iterator[str]:
    """Yield faults: names that biases or covariates have, treatments that are not known, or all of them."""
    for name, term in spec.meta_regression.items():
        where, treatments = f"meta_regression.{name}", spec.treatments.names
        if name in Biases.model_fields or name in spec.covariates or not NAME.fullmatch(name):
            taken = (
                "letters, digits and _"
                if not NAME.fullmatch(name)
                else "a name that no bias and no covariate of patients has"
            )
            yield f"{where}: found this name; allowed: {taken}"
        if unknown := set(term.treatments or ()) - set(treatments):
            yield f"{where}.treatments: found {', '.join(sorted(unknown))}; allowed: {', '.join(treatments)}"
        elif term.treatments is not None and set(term.treatments) == set(treatments):
            yield f"{where}.treatments: found all treatments; allowed: some, or leave it out for the level of studies"
