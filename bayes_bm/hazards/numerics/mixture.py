"""An arm whose patients have proportional hazards: its S and f are means over points, in few passes over (row, point).

With H = z r_m, z = exp(log_cum) of a patient at offset zero and r_m = exp(offset_m), and E_m = exp(-H_m):

    S = mean E      T = mean r E      U = mean r^2 E
    log(-log S)                        the arm's log cumulative hazard
    log(T / S)                         what its log hazard has on that of a patient at offset zero

`modifiers.averaged_over_covariates` works out the same of any family in some fifteen passes; here one exponential of
every point is taken. Arrays only.
"""

from typing import NamedTuple

import numpy as np

from bayes_bm.hazards.numerics.constants import LARGEST_LOG_HAZARD

SMALL_LOG_HAZARD = -30.0
"""log z below which nobody counts as dead: S is taken as 1, and the hazard as the mean of the points' hazards."""
SMALL_HAZARD = 1e-2
"""z below which no difference from 1 is taken, which would cancel."""


class Mixture(NamedTuple):
    """Both functions (...,), and what their derivatives need of each point (..., point) and of each row.

    `log_used` is log(-log S), `tilt` log(T / S). r is relative to the largest of its row, z to match, and E to the
    survivors of the least hazard. `steep` is z / -log S.
    """

    log_used: np.ndarray
    tilt: np.ndarray
    ratio: np.ndarray
    each: np.ndarray
    z: np.ndarray
    steep: np.ndarray
    survivors: np.ndarray
    weighted: np.ndarray


def mixture(log_cum: np.ndarray, offsets: np.ndarray) -> Mixture:
    """Average the points; `log_cum` (...,) and `offsets` (..., point) broadcast against each other."""
    top = offsets.max(axis=-1)
    ratio = np.exp(offsets - top[..., None])
    log_z, ratio = np.broadcast_arrays(log_cum + top, ratio[..., 0])[0], _broadcast_ratio(ratio, log_cum)
    tiny, points = log_z < SMALL_LOG_HAZARD, ratio.shape[-1]
    # the guarded value keeps every branch finite
    z = np.exp(np.minimum(np.where(tiny, 0.0, log_z), LARGEST_LOG_HAZARD))
    least = ratio.min(axis=-1)
    exponent = (least[..., None] - ratio) * z[..., None]
    alive = np.exp(exponent)
    # arrays also where there is one row
    survivors = np.asarray(alive.sum(axis=-1) / points)
    lost = np.asarray(np.log(survivors))
    is_small = z < SMALL_HAZARD
    if is_small.any():
        # no difference from 1 is taken where hazards are small
        lost[is_small] = np.log1p(np.expm1(exponent[is_small]).sum(axis=-1) / points)
    if tiny.any():
        # nobody has died yet: S is 1, and the hazard the mean
        alive[tiny], survivors[tiny] = 1.0, 1.0
    each = alive * ratio
    weighted = each.sum(axis=-1) / points
    used = np.where(tiny, weighted * z, z * least - lost)
    log_used = np.where(tiny, log_z + np.log(weighted), np.log(used))
    tilt = top + np.log(weighted / survivors)
    return Mixture(log_used, tilt, ratio, each, np.where(tiny, 0.0, z), z / used, survivors, weighted)


def _broadcast_ratio(ratio: np.ndarray, log_cum: np.ndarray) -> np.ndarray:
    """Broadcast the ratios against all axes of `log_cum`."""
    return np.broadcast_to(ratio, (*np.broadcast_shapes(np.shape(log_cum), ratio.shape[:-1]), ratio.shape[-1]))


def slopes(means: Mixture, by_used: np.ndarray, by_tilt: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what by_used d log_used + by_tilt d tilt is by log_cum (...,) and by offsets (..., point)."""
    share = by_used * means.steep / means.survivors
    squares = np.einsum("...m,...m->...", means.each, means.ratio) / means.ratio.shape[-1]
    by_log_cum = share * means.weighted - by_tilt * means.z * (
        squares / means.weighted - means.weighted / means.survivors
    )
    constant = share + by_tilt * (1 / means.weighted + means.z / means.survivors)
    falling = by_tilt * means.z / means.weighted
    by_offsets = constant[..., None] - falling[..., None] * means.ratio
    by_offsets *= means.each
    by_offsets /= means.ratio.shape[-1]
    return by_log_cum, by_offsets
