"""Rank R-hat, effective sizes and Monte Carlo errors of one quantity (Vehtari et al. 2021, doi 10.1214/20-BA1221).

The numbers are ArviZ's (`tests/inference/test_convergence.py`), which takes two seconds to import: half of what the
first posterior of a model takes. `draws` are (chain, draw); NaN where any of them is. The tail is the paper's, 5 % and
95 %, `arviz.ess(method="tail", prob=(0.05, 0.95))`: without `prob` ArviZ takes the ends of its own interval, of
89 % unless `rcParams["stats.ci_prob"]` says otherwise, and so other numbers.
"""

import numpy as np
from scipy.special import betaincinv, ndtr, ndtri

TAILS = (0.05, 0.95)
ONE_SD = (float(ndtr(-1.0)), float(ndtr(1.0)))
"""Shares of a normal below one standard deviation under and above its middle."""


def rank_rhat(draws: np.ndarray) -> float:
    """The larger R-hat of the ranks and of the ranks of distances from the median, of chains split in halves."""
    if np.isnan(draws).any():
        return float("nan")
    halves = _split(draws)
    return max(_rhat(_scores(halves)), _rhat(_scores(np.abs(halves - np.median(halves)))))


def bulk_ess(draws: np.ndarray) -> float:
    """Effective size of the normal scores of the ranks."""
    return _ess(_scores(_split(draws)))


def tail_ess(draws: np.ndarray) -> float:
    """The smaller effective size of being below the 5 % and the 95 % quantile."""
    if np.isnan(draws).any():
        return float("nan")
    return min(_ess(_split((draws <= limit).astype(float))) for limit in np.quantile(draws, TAILS))


def mean_ess(draws: np.ndarray) -> float:
    """Effective size for the mean."""
    return _ess(_split(draws))


def mean_mcse(draws: np.ndarray) -> float:
    """Monte Carlo error of the mean; of a share, draws of 0 and 1.

    Where all draws agree, what one draw would change: a share that no draw contradicts is not certain.
    """
    if np.isnan(draws).any():
        return float("nan")
    if np.ptp(draws) == 0:
        return 1.0 / draws.size
    return float(draws.std(ddof=1) / np.sqrt(mean_ess(draws)))


def quantile_mcse(draws: np.ndarray, share: float) -> float:
    """Monte Carlo error of a quantile: half the distance of the order statistics one sd of its rank to either side.

    NaN where one of them is infinite, and of fewer than six draws a chain.
    """
    if np.isnan(draws).any():
        return float("nan")
    ordered = np.sort(draws, axis=None)
    size = draws.size
    with np.errstate(invalid="ignore"):  # between two infinite draws
        ess = _ess(_split((draws <= np.quantile(ordered, share)).astype(float)))
    if np.isnan(ess):
        return float("nan")
    low, high = betaincinv(ess * share + 1, ess * (1 - share) + 1, ONE_SD) * size - 1
    below, above = ordered[int(np.floor(max(low, 0)))], ordered[int(np.ceil(min(high, size - 1)))]
    return float(above - below) / 2 if np.isfinite(above) and np.isfinite(below) else float("nan")


def _split(draws: np.ndarray) -> np.ndarray:
    half = draws.shape[1] // 2
    return np.concatenate([draws[:, :half], draws[:, -half:]])


def _scores(chains: np.ndarray) -> np.ndarray:
    """Normal scores of the ranks of all draws, Blom's 3/8; ties get the mean of their ranks."""
    if np.isnan(chains).any():
        return np.full(chains.shape, np.nan)
    _, place, count = np.unique(chains.ravel(), return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]
    return ndtri((rank - 3 / 8) / (chains.size + 1 / 4)).reshape(chains.shape)


def _rhat(chains: np.ndarray) -> float:
    n, within_chains = chains.shape[1], chains.var(axis=1, ddof=1).mean()
    if within_chains == 0:
        return float("nan")
    return float(np.sqrt(chains.mean(axis=1).var(ddof=1) / within_chains + (n - 1) / n))


def _ess(chains: np.ndarray) -> float:
    """Geyer's initial monotone sequence of paired autocorrelations over several chains; nan below three draws."""
    m, n = chains.shape
    if n < 3 or np.isnan(chains).any():
        return float("nan")
    if np.ptp(chains) < np.finfo(float).resolution:
        return float(chains.size)
    covariance = _autocovariance(chains).mean(axis=0)
    within_chains = covariance[0] * n / (n - 1)
    total = covariance[0] + (chains.mean(axis=1).var(ddof=1) if m > 1 else 0.0)
    correlation = 1 - (within_chains - covariance) / total
    correlation[0] = 1.0
    last = (n - 1) // 2
    pairs = correlation[: 2 * last].reshape(-1, 2)
    sums = pairs.sum(axis=1)
    negative = np.flatnonzero(sums <= 0)
    stop = int(negative[0]) if negative.size else last - 1
    tau = -1 + 2 * np.minimum.accumulate(sums[:stop]).sum() + max(pairs[stop, 0], 0.0)
    return float(m * n / max(tau, 1 / np.log10(m * n)))


def _autocovariance(chains: np.ndarray) -> np.ndarray:
    n = chains.shape[1]
    waves = np.fft.rfft(chains - chains.mean(axis=1, keepdims=True), n=2 * n, axis=1)
    return np.fft.irfft(np.abs(waves) ** 2, n=2 * n, axis=1)[:, :n] / n
