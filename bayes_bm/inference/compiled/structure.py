"""The parts of a problem that both compiled densities read: structure, hazard ratios, binomials, prognosis."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import gammaln

from bayes_bm.inference.compiled import fields
from bayes_bm.inference.compiled.blocks import SHARE, truncation
from bayes_bm.inference.compiled.classes import class_places
from bayes_bm.inference.compiled.coordinates import LAWS, Coordinates, prior_numbers
from bayes_bm.model.design import Design
from bayes_bm.model.prognosis import PrognosticRatios
from bayes_bm.spec.document import Spec

Arrays = Mapping[str, np.ndarray]
Fields = dict[str, Any]


def pack_structure(coordinates: Coordinates, spec: Spec, design: Design) -> Fields:
    return {
        "law": coordinates.laws,
        **dict(zip(("prior_a", "prior_b", "prior_df", "prior_constant"), coordinates.numbers.T, strict=True)),
        "place": _places(coordinates, spec, design),
        "arm_study": design.arm_study + 1,
        "arm_treatment": design.arm_treatment,
        "arm_pair": design.arm_pair,
        "pair_first": _first_of_study(design),
        "pair_base": design.pair_base,
        "pair_cholesky": design.pair_cholesky,
        "pair_treatment": whole_numbers([design.treatments.index(treatment) for _, treatment in design.pairs]),
        "pair_centred": coordinates.centring.pair,
        "level_centred": coordinates.centring.level,
        "level_treatment": design.arm_treatment[coordinates.centring.main],
        "level_pair": design.arm_pair[coordinates.centring.main],
        "level_base": coordinates.level_base,
        "pair_level": coordinates.pair_level,
        "shape_centred": coordinates.centring.shape,
        "class_at": class_places(spec, coordinates.starts),
        "coefficient_at": whole_numbers([coordinates.starts[f"coefficient_{name}"] for name in spec.covariates]),
        "interaction_at": _interaction_places(coordinates, spec, len(design.compared)),
        "bias_at": whole_numbers([bias_place(coordinates, name) for name in spec.modelled_biases]),
        **_truncated(coordinates, spec, design),
        "bias_given": [0.0 if term.value is None else term.value.value for term in spec.modelled_biases.values()],
        "arm_bias": design.arm_bias,
        "ratio_bias": design.hr_bias,
    }


def bias_place(coordinates: Coordinates, name: str) -> int:
    """The coordinate of a bias, -1 where its size is given."""
    return coordinates.starts.get(f"bias_{name}", coordinates.starts.get(f"bias_{name}{SHARE}", -1))


def _truncated(coordinates: Coordinates, spec: Spec, design: Design) -> Fields:
    """Coordinate, law and numbers of a time whose prior the evidence ends."""
    for name in spec.unknown_clocks:
        prior, latest = spec.modelled_biases[name].prior, truncation(name, design)
        if prior is not None and latest is not None:
            a, b, df, constant = prior_numbers(prior)
            law = LAWS.index(type(prior))
            return {
                "truncated_at": [bias_place(coordinates, name), law],
                "truncated": [a, b, df, constant],
                "truncated_constant": float(np.log(latest)),
            }
    return {"truncated_at": [], "truncated": [], "truncated_constant": 0.0}


NAMES = {
    "log_hr": fields.LOG_HR,
    "log_time_ratio": fields.LOG_HR,
    "study_treatment_sd": fields.DEVIATION_SD,
    "study_treatment_effect_standard": fields.DEVIATION,
    "intercept": fields.INTERCEPT,
    "study_sd": fields.LEVEL_SD,
    "study_effect_standard": fields.LEVEL,
    "study_effect": fields.LEVEL,
    "log_shape": fields.SHAPE,
    "log_sd": fields.SHAPE,
    "slope": fields.SHAPE,
    "study_shape_sd": fields.SHAPE_SD,
    "study_log_shape_standard": fields.STUDY_SHAPE,
    "study_log_shape": fields.STUDY_SHAPE,
    "study_shape": fields.STUDY_SHAPE,
    "treatment_log_shape": fields.TREATMENT_SHAPE,
}
"""The kernel's block of each variable."""


def _places(coordinates: Coordinates, spec: Spec, design: Design) -> np.ndarray:
    place = np.full(fields.COVARIATES + 1, -1)
    for name, start in coordinates.starts.items():
        if name in NAMES:
            place[NAMES[name]] = start
    if spec.treatments.classes:
        place[fields.LOG_HR] = coordinates.size
    place[fields.NATURAL_SHAPE] = "study_shape" in coordinates.starts
    place[fields.STUDIES], place[fields.COVARIATES] = len(design.studies), len(spec.covariates)
    return place


def _first_of_study(design: Design) -> np.ndarray:
    studies = [study for study, _ in design.pairs]
    return whole_numbers([studies.index(study) for study in studies])


def _interaction_places(coordinates: Coordinates, spec: Spec, treatments: int) -> np.ndarray:
    places = np.full((treatments, len(spec.covariates)), -1)
    for name in spec.modifiers:
        alone = spec.covariates[name].interaction_by == "treatment"
        start = coordinates.starts[f"interaction_{name}"]
        places[:, list(spec.covariates).index(name)] = start + (np.arange(treatments) if alone else 0)
    return places.ravel()


def whole_numbers(values: list[int]) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def pack_binomial(
    arm: np.ndarray, end: np.ndarray, start: np.ndarray, alive: np.ndarray, size: np.ndarray
) -> np.ndarray:
    dead = size - alive
    constant = gammaln(size + 1) - gammaln(alive + 1) - gammaln(dead + 1)
    return np.column_stack([arm, end, start, alive, dead, constant])


def pack_ratios(data: Arrays | None, design: Design) -> Fields:
    data = {} if data is None else data
    rows = len(data.get("log_hr", ()))
    return {
        "ratio_study": design.hr_study,
        "ratio_treatment": design.hr_treatment,
        "ratio_reference": design.hr_reference,
        "ratio_pair": design.hr_pair,
        "ratio_reference_pair": design.hr_reference_pair,
        "ratio_apart": [0],
        "ratio_log": data.get("log_hr", np.zeros(0)),
        "ratio_log_diagonal": data.get("log_diagonal", np.zeros(0)),
        "ratio_whitener": data.get("whitener", np.zeros((rows, rows))),
        "ratio_log_followup": data.get("log_followup", np.zeros(0)),
    }


def pack_prognosis(coordinates: Coordinates, spec: Spec, ratios: PrognosticRatios | None) -> Fields:
    """Published ratios of covariates, those of one study and covariate together."""
    if ratios is None:
        whole = dict.fromkeys(("covariate", "external", "at", "log", "se", "change"), np.zeros(0))
        return {f"prognosis_{name}": none for name, none in whole.items()} | {
            "prognosis_group": np.zeros(1),
            "transport_at": np.full(len(spec.covariates), -1),
        }
    order, start = np.argsort(ratios.group, kind="stable"), coordinates.starts
    transport = np.full(len(spec.covariates), -1)
    if "transport_standard" in start:
        places = [list(spec.covariates).index(name) for name in ratios.transported]
        transport[places] = start["transport_standard"] + np.arange(len(places))
    return {
        "prognosis_group": np.searchsorted(ratios.group[order], np.arange(len(ratios.groups) + 1)),
        "prognosis_covariate": ratios.covariate[order],
        "prognosis_external": ratios.external[order],
        "prognosis_at": whole_numbers([start["prognosis_sd"], start.get("transport_sd", -1)]),
        "transport_at": transport,
        "prognosis_log": ratios.log_hr[order],
        "prognosis_se": ratios.se[order],
        "prognosis_change": ratios.change[order],
    }
