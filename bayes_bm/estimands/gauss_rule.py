"""Gauss's rule of a law that stands on many atoms: a few nodes with the same moments.

With n nodes the moments up to 2 n - 1 are those of the atoms (Gautschi 2004, "Orthogonal Polynomials", chapter 2): the
recurrence of the law's polynomials by Stieltjes' procedure, then nodes and weights by Golub and Welsch.
"""

from typing import NamedTuple

import numpy as np

from bayes_bm.runtime.compiling import cached_njit
from bayes_bm.runtime.types import Array

NODES = 12
"""Of a rule: E exp(-exp(eta + z)) to 3e-6 for sds of z up to 1, to 1e-4 up to 1.5
(tests/estimands/test_not_given.py)."""
NOTHING = 1e-12
"""Norm of a polynomial relative to the one before it (no unit) below which the atoms are no more than its degree."""


class Rule(NamedTuple):
    """Nodes and their weights (..., node), which sum to one."""

    node: Array
    weight: Array


def gauss_rule(atoms: Array, share: Array) -> Rule:
    """The rule of each law, whose atoms (..., atom) have shares (..., atom); where they are few, the atoms."""
    share = np.broadcast_to(share, atoms.shape)
    if atoms.shape[-1] <= NODES:
        return Rule(atoms, share)
    flat = np.ascontiguousarray(atoms.reshape(-1, atoms.shape[-1]))
    # a copy: for an array that cannot be written numba compiles once more
    flat_share = np.array(share.reshape(flat.shape), order="C")
    mean = np.sum(flat * flat_share, axis=1)
    sd = np.sqrt(np.sum((flat - mean[:, None]) ** 2 * flat_share, axis=1))
    scale = np.where(sd > 0, sd, 1.0)
    diagonal, off_diagonal = _recurrence((flat - mean[:, None]) / scale[:, None], flat_share, NODES, NOTHING)
    matrix = np.zeros((len(flat), NODES, NODES))
    place = np.arange(NODES)
    matrix[:, place, place] = diagonal
    matrix[:, place[1:], place[:-1]] = off_diagonal
    values, vectors = np.linalg.eigh(matrix)
    nodes = mean[:, None] + scale[:, None] * values
    size = (*atoms.shape[:-1], NODES)
    return Rule(nodes.reshape(size), (vectors[:, 0] ** 2).reshape(size))


@cached_njit()
def _recurrence(atoms, share, nodes, nothing):  # pragma: no cover
    """Diagonal (law, node) and what stands beside it (law, node - 1) in the matrix of the recurrence; 0 once the
    polynomials have as many roots as there are atoms.
    """
    densities, count = atoms.shape
    diagonal, off_diagonal = np.zeros((densities, nodes)), np.zeros((densities, nodes - 1))
    earlier, now = np.empty(count), np.empty(count)
    for density in range(densities):
        x, w = atoms[density], share[density]
        earlier[:], now[:] = 0.0, 1.0
        norm, ratio = np.sum(w), 0.0
        for k in range(nodes):
            moment = 0.0
            for m in range(count):
                moment += w[m] * x[m] * now[m] * now[m]
            diagonal[density, k] = moment / norm
            following = 0.0
            for m in range(count):
                new = (x[m] - diagonal[density, k]) * now[m] - ratio * earlier[m]
                earlier[m], now[m] = now[m], new
                following += w[m] * new * new
            if k == nodes - 1 or following <= nothing * norm:
                break
            ratio, norm = following / norm, following
            off_diagonal[density, k] = np.sqrt(ratio)
    return diagonal, off_diagonal
