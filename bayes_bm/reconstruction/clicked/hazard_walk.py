"""Hazards behind clicks: the prior of patients' times, and the steps of the chain for the hazards given the patients.

Patients die with hazard lambda(t) and are censored with hazard gamma(t), both constant in short pieces with a random
walk on their logs; some leave together at the end of follow-up. Compiled with numba.
"""

# pyright: reportArgumentType=false, reportCallIssue=false
# numba's decorator hides the types of what it compiles

import math
from functools import partial
from typing import NamedTuple

import numpy as np
from numba import njit

from bayes_bm.reconstruction.clicked import staircase
from bayes_bm.reconstruction.clicked.staircase import CENSORED, DEATH, State
from bayes_bm.reconstruction.curve import Floats
from bayes_bm.runtime.compiling import cached_njit
from bayes_bm.runtime.inner_functions import INNER

# Pairs: the first speaks about death, the second about censoring.

PIECES = 96, 48
"""Pieces of constant hazard over the time axis."""
ROUGHEST = 0.5, 1.0
"""Scale of the half-normal prior of the scale of the random walk, from piece to piece of the log hazard."""
LEVELS = 0.0, -1.5
"""Mean of the normal prior of the first log hazard, per length of the time axis."""
WIDE = 3.0, 3.0
"""Sd of that prior."""


_compiled = partial(cached_njit, staircase)


class Hazards(NamedTuple):
    """Log hazards of both kinds by piece, their cumulative hazards at the limits of the pieces, and the walks' sds."""

    death: Floats
    lost: Floats
    cum_death: Floats
    cum_lost: Floats
    spread: Floats


@njit(**INNER)
def _piece(t: float, upper: float, pieces: int) -> int:
    """Return the number of the piece that holds time t."""
    return min(max(int(t / upper * pieces), 0), pieces - 1)


@_compiled()
def cumulate(log_hazard: Floats, upper: float, out: Floats) -> None:
    """Write the cumulative hazard at the limits of the pieces (pieces + 1,)."""
    out[0] = 0.0
    for b in range(len(log_hazard)):
        out[b + 1] = out[b] + upper / len(log_hazard) * math.exp(log_hazard[b])


@njit(**INNER)
def log_prior(t: float, kind: int, upper: float, hazards: Hazards) -> float:
    """Return the log density of one patient: nothing before t, then the hazard of what happened; LAST has none."""
    b, c = _piece(t, upper, len(hazards.death)), _piece(t, upper, len(hazards.lost))
    into_b, into_c = t - upper * b / len(hazards.death), t - upper * c / len(hazards.lost)
    value = (
        -hazards.cum_death[b]
        - into_b * math.exp(hazards.death[b])
        - hazards.cum_lost[c]
        - into_c * math.exp(hazards.lost[c])
    )
    if kind == DEATH:
        value += hazards.death[b]
    elif kind == CENSORED:
        value += hazards.lost[c]
    return value


@njit(**INNER)
def _jump(size: float, spread: float) -> float:
    """Return the log density of a step of the walk, Student's t with 2 degrees of freedom, but for log spread.

    Most steps are small, some are jumps, because people are censored and found to have relapsed at visits.
    """
    return -1.5 * math.log1p(size * size / (2.0 * spread * spread))


@njit(**INNER)
def _walk(count: Floats, exposure: Floats, log_hazard: Floats, which: int, spread: float, rng) -> float:
    """Take Metropolis steps for the log hazards of all pieces, and for the sd of their random walk; return the sd."""
    pieces = len(log_hazard)
    for b in range(pieces):
        step = 2.4 / math.sqrt(count[b] + 1.0 / (spread * spread) + 0.3)
        old = log_hazard[b]
        new = old + step * rng.standard_normal()
        change = count[b] * (new - old) - exposure[b] * (math.exp(new) - math.exp(old))
        if b == 0:
            change -= ((new - LEVELS[which]) ** 2 - (old - LEVELS[which]) ** 2) / (2 * WIDE[which] ** 2)
        else:
            change += _jump(new - log_hazard[b - 1], spread) - _jump(old - log_hazard[b - 1], spread)
        if b < pieces - 1:
            change += _jump(new - log_hazard[b + 1], spread) - _jump(old - log_hazard[b + 1], spread)
        if math.log(rng.random()) < change:
            log_hazard[b] = new
    for _ in range(3):
        new = spread * math.exp(0.4 * rng.standard_normal())
        change = -(pieces - 2) * math.log(new / spread)
        for b in range(1, pieces):
            size = log_hazard[b] - log_hazard[b - 1]
            change += _jump(size, new) - _jump(size, spread)
        change -= (new**2 - spread**2) / (2 * ROUGHEST[which] ** 2)
        if new > 0.02 and math.log(rng.random()) < change:
            spread = new
    return spread


@_compiled()
def update_hazards(state: State, hazards: Hazards, upper: float, rng) -> None:
    """Update the hazards given the patients: events and time at risk in each piece."""
    for which in range(2):
        log_hazard = hazards.death if which == 0 else hazards.lost
        pieces = len(log_hazard)
        width = upper / pieces
        count, leaving = np.zeros(pieces), np.zeros(pieces)
        exposure = np.zeros(pieces)
        for i in range(len(state.time)):
            b = _piece(state.time[i], upper, pieces)
            leaving[b] += 1
            exposure[b] += state.time[i] - b * width
            if (which == 0 and state.kind[i] == DEATH) or (which == 1 and state.kind[i] == CENSORED):
                count[b] += 1
        later = 0.0
        for b in range(pieces - 1, -1, -1):
            exposure[b] += later * width
            later += leaving[b]
        for _ in range(3):
            hazards.spread[which] = _walk(count, exposure, log_hazard, which, hazards.spread[which], rng)
    cumulate(hazards.death, upper, hazards.cum_death)
    cumulate(hazards.lost, upper, hazards.cum_lost)
