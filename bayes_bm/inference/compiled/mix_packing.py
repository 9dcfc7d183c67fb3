"""Mixes of arms -> the arrays that `populations.py` reads."""

from typing import Any

import numpy as np
from scipy.special import gammaln

from bayes_bm.inference.compiled.coordinates import Coordinates
from bayes_bm.inference.compiled.structure import whole_numbers
from bayes_bm.model.covariates.arm_mixes import SHARE_NODES, ArmMixes
from bayes_bm.model.covariates.cell_shares import FACTOR_NODES
from bayes_bm.spec.document import Spec

Fields = dict[str, Any]


def pack_mixes(coordinates: Coordinates, spec: Spec, mixes: ArmMixes | None) -> Fields:
    """The population of arms, what they print and the cells of their patients; none where no mix is modelled."""
    if mixes is None:
        return dict.fromkeys(MIX_FIELDS, np.zeros(0))
    start, names, terms = coordinates.starts, mixes.names, spec.covariates.values()
    unknown = np.full(mixes.printed.shape, -1)
    unknown[mixes.unknown] = start.get("case_mix_standard", 0) + np.arange(mixes.unknown.sum())
    arm, covariate = np.nonzero(mixes.informative)
    behind, printed = mixes.behind[arm, covariate], mixes.printed[arm, covariate]
    two, size = mixes.two_valued[covariate], np.where(np.isfinite(behind), behind, np.inf)
    present = printed[two] * behind[two]
    counted = np.nonzero(np.isfinite(mixes.counted) & mixes.averaged[:, None])
    node, weight = np.polynomial.hermite_e.hermegauss(SHARE_NODES)
    # binomials' constants have no parameter
    constant = _log_choose(present, behind[two]).sum() + _log_choose(mixes.counted[counted], mixes.size[counted]).sum()
    return {
        "mix_constant": constant,
        "mix_two": mixes.two_valued,
        "mix_mean_at": whole_numbers([start[f"mix_mean_{name}"] for name in names]),
        "mix_sd_at": whole_numbers([start[f"mix_sd_{name}"] for name in names]),
        "mix_by_at": whole_numbers([start.get(f"mix_by_{name}", -1) for name in names]),
        "mix_within_at": whole_numbers([start.get(f"mix_within_{name}", -1) for name in names]),
        "mix_unknown_at": unknown,
        "mix_middle": [term.middle for term in terms],
        "mix_scale": [term.scale for term in terms],
        "mix_printed": np.nan_to_num(mixes.printed),
        "mix_within": np.where(mixes.two_valued, 0.0, np.where(np.isnan(mixes.within), -1.0, mixes.within)),
        "part_x": mixes.parts.values.T,
        "part_node": mixes.parts.node,
        "part_log_weight": mixes.parts.log_weight,
        **_common_factor(mixes),
        "printed_arm": arm,
        "printed_covariate": covariate,
        "printed_value": np.where(two, printed * np.where(two, behind, 1.0), printed),
        "printed_size": size,
        "share_node": node,
        "share_log_weight": np.log(weight) + 0.5 * node**2,
        "counted_arm": counted[0],
        "counted_covariate": counted[1],
        "counted_present": mixes.counted[counted],
        "counted_size": mixes.size[counted],
    }


MIX_FIELDS = (
    *("mix_constant", "mix_two", "mix_mean_at", "mix_sd_at", "mix_by_at", "mix_within_at", "mix_unknown_at"),
    *("mix_middle", "mix_scale", "mix_printed", "mix_within", "part_x", "part_node", "part_log_weight"),
    *("mix_loading", "factor_node", "factor_log_weight"),
    *("printed_arm", "printed_covariate", "printed_value", "printed_size", "share_node", "share_log_weight"),
    *("counted_arm", "counted_covariate", "counted_present", "counted_size"),
)
"""Of `pack_mixes`, in order."""


def _common_factor(mixes: ArmMixes) -> Fields:
    """How covariates go together inside arms; nothing where they do not."""
    if not mixes.loading.any():
        return {"mix_loading": [], "factor_node": [], "factor_log_weight": []}
    node, weight = np.polynomial.hermite_e.hermegauss(FACTOR_NODES)
    return {"mix_loading": mixes.loading, "factor_node": node, "factor_log_weight": np.log(weight / weight.sum())}


def _log_choose(present: np.ndarray, n: np.ndarray) -> np.ndarray:
    return gammaln(n + 1) - gammaln(present + 1) - gammaln(n - present + 1)
