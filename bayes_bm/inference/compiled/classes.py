"""Treatment effects of members of classes (decision 27): class effect + sd x standard, or the class effect alone.

Effects of treatments then are no coordinates: they stand behind the parameters, where the other stages read them.
"""

import numpy as np
from numba import njit

from bayes_bm.inference.compiled.fields import INNER, LOG_HR, Field, whole
from bayes_bm.spec.document import Spec

CLASS_AT, SD_AT, STANDARD_AT = range(3)
"""Of a compared treatment: coordinates of its class's effect or its own, and of its sd and standard normal or -1."""


def class_places(spec: Spec, starts: dict[str, int]) -> np.ndarray:
    """Coordinates of each compared treatment's effect (treatment, 3); no rows without classes."""
    places, compared = np.full((len(spec.treatments.compare), 3), -1), list(spec.treatments.compare)
    if not spec.treatments.classes:
        return places[:0]
    for number, (name, term) in enumerate(spec.treatments.classes.items()):
        for member in term.members:
            row = places[compared.index(member)]
            row[CLASS_AT] = starts[f"class_{spec.hazard.treatment_effect}"] + number
            if term.sd is not None:
                row[SD_AT], row[STANDARD_AT] = starts[f"class_member_sd_{name}"], starts[f"class_member_{member}"]
    for treatment, row in zip(compared, places, strict=True):
        if row[CLASS_AT] < 0:
            row[CLASS_AT] = starts[f"class_member_{treatment}"]
    return places


def effects_of_members(spec: Spec, parameters: dict[str, np.ndarray]) -> np.ndarray:
    """Effect of each compared treatment (..., treatment)."""
    effects: dict[str, np.ndarray] = {}
    for number, (name, term) in enumerate(spec.treatments.classes.items()):
        middle = parameters[f"class_{spec.hazard.treatment_effect}"][..., number]
        for member in term.members:
            effects[member] = middle
            if term.sd is not None:
                effects[member] = middle + parameters[f"class_member_sd_{name}"] * parameters[f"class_member_{member}"]
    alone = {one: parameters[f"class_member_{one}"] for one in spec.treatments.compare if one not in effects}
    return np.stack([(effects | alone)[treatment] for treatment in spec.treatments.compare], axis=-1)


@njit(**INNER)
def add_classes(theta, data):
    """Put effects of treatments behind the parameters, from those of their classes."""
    at, first = whole(data, Field.class_at), whole(data, Field.place)[LOG_HR]
    for a in range(at.size // 3):
        theta[first + a] = theta[at[3 * a + CLASS_AT]]
        if at[3 * a + SD_AT] >= 0:
            theta[first + a] += theta[at[3 * a + SD_AT]] * theta[at[3 * a + STANDARD_AT]]


@njit(**INNER)
def add_classes_back(theta, data, score):
    """From derivatives by effects of treatments to those by what they are made of."""
    at, first = whole(data, Field.class_at), whole(data, Field.place)[LOG_HR]
    for a in range(at.size // 3):
        score[at[3 * a + CLASS_AT]] += score[first + a]
        if at[3 * a + SD_AT] >= 0:
            score[at[3 * a + SD_AT]] += theta[at[3 * a + STANDARD_AT]] * score[first + a]
            score[at[3 * a + STANDARD_AT]] += theta[at[3 * a + SD_AT]] * score[first + a]
