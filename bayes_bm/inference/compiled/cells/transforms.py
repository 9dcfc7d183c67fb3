"""Averages of many cells over many points, at a cost that grows with neither times the other.

Of an arm, with r = exp(offset) relative to the largest and z the hazard used by its worst patient,

    S(z) = mean exp(-(r - least) z),   D(z) = (1 - S) / z,   T(z) = mean r exp(..),   U(z) = mean r^2 exp(..)

are sums of one function, exp(-(r - least) z), which between 0 and the largest z, and between the least r and 1, is a
polynomial in each of the two but for rounding: its Chebyshev coefficients are Bessel functions of w / 2, with w =
(1 - least) times the largest z, and fall faster than geometrically. So the points are summed up as `nodes` moments, the
cells read a polynomial of as many terms, and exponentials are taken of nodes alone:

    points -> moments -> weights of nodes r_k -> D, T, U at nodes z_j -> their coefficients -> cells

Both ways back are the same sums transposed. Nothing is approximated beyond rounding: the number of nodes follows from w
(`NODES`), and a cell beyond the last of them, or of which next to nobody is left, takes the points themselves.
"""

import numpy as np
from numba import njit

from bayes_bm.inference.compiled.exponentials import exponential
from bayes_bm.inference.compiled.fields import INNER, INNER_SUMS, JIT

NODES = np.array([16, 24, 32, 48, 64])
"""Numbers of nodes that are used."""
WIDEST = np.array([3.0, 10.5, 22.5, 60.0, 113.0])
"""Largest w of each, for which 4 sum_{n >= nodes} I_n(w / 2) exp(-w / 2), a bound of the error, is below 1e-15."""
TURN = 768
"""Of `COSINES`: four times each number of nodes divides it."""
COSINES = np.cos(2 * np.pi * np.arange(TURN) / TURN)
LEAST_ALIVE = 1e-4
"""S below which a cell takes the points themselves: the error is one of S = 1."""
NARROWEST = 1e-9
"""1 - least is taken as this much at least: points that are all alike."""
BLOCK = 256
"""Points, or cells, that are worked on at a time, so that a processor does eight at once."""


@njit(**JIT)
def nodes_for(width):
    """How many nodes are enough for w."""
    for i in range(WIDEST.size):
        if width <= WIDEST[i]:
            return NODES[i]
    return NODES[-1]


@njit(**JIT)
def pays(cells, points, nodes):
    """Whether sums over nodes cost less than one exponential a cell and point.

    In units of 7 nanoseconds, as 75 sizes took there and back (docs/speed.md): the sums are right to rounding whatever
    is chosen.
    """
    return cells * (24 + points) > 700 + 2 * nodes * nodes + (cells + points) * (6 + nodes // 8)


def _polynomials(nodes: int) -> np.ndarray:
    """Chebyshev polynomials at the nodes (degree, node), times 2 / nodes; the first halved."""
    angle = np.outer(np.arange(nodes), 2 * np.arange(nodes) + 1) * (TURN // (4 * nodes)) % TURN
    found = COSINES[angle] * 2 / nodes
    found[0] *= 0.5
    return found


POLYNOMIALS = np.concatenate([_polynomials(nodes).ravel() for nodes in NODES])
"""Of each number of nodes, one after the other."""


@njit(**INNER)
def polynomials(nodes):
    """`_polynomials`. Values at nodes times these are coefficients, and moments times these are weights of nodes."""
    begin = 0
    for other in NODES:
        if other < nodes:
            begin += other * other
    return POLYNOMIALS[begin : begin + nodes * nodes].reshape((nodes, nodes))


@njit(**INNER)
def places(nodes, start, length):
    """Nodes between two numbers."""
    found, stride = np.empty(nodes), TURN // (4 * nodes)
    for k in range(nodes):
        found[k] = start + 0.5 * length * (1 + COSINES[(2 * k + 1) * stride])
    return found


@njit(**INNER_SUMS)
def moments(x, start, length, weights, found):
    """Sums over x of weights (function, x) times each polynomial (function, degree).

    A polynomial times a weight follows the same recurrence as the polynomial. Four degrees are taken at a time, so that
    they stay in the processor.
    """
    this, previous, twice = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    found[:] = 0.0
    for first in range(0, x.size, BLOCK):
        part = x[first : first + BLOCK]
        for i in range(part.size):
            twice[i] = (part[i] - start) * (4 / length) - 2
        for f in range(found.shape[0]):
            weight = weights[f, first : first + BLOCK]
            for i in range(part.size):
                this[i], previous[i] = weight[i], 0.5 * twice[i] * weight[i]
            for j in range(0, found.shape[1], 4):
                one, two, three, four = 0.0, 0.0, 0.0, 0.0
                for i in range(part.size):
                    a = this[i]
                    b = twice[i] * a - previous[i]
                    c = twice[i] * b - a
                    d = twice[i] * c - b
                    one, two, three, four = one + a, two + b, three + c, four + d
                    this[i], previous[i] = twice[i] * d - c, d
                found[f, j] += one
                found[f, j + 1] += two
                found[f, j + 2] += three
                found[f, j + 3] += four


@njit(**INNER_SUMS)
def summed(x, start, length, coefficients, found):
    """Polynomials of coefficients (function, degree) at x: `found` (function, x), by Clenshaw's recurrence."""
    this, previous, twice = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    for first in range(0, x.size, BLOCK):
        part = x[first : first + BLOCK]
        for i in range(part.size):
            twice[i] = (part[i] - start) * (4 / length) - 2
        for f in range(found.shape[0]):
            value, of_degree = found[f, first : first + BLOCK], coefficients[f]
            for i in range(part.size):
                this[i], previous[i] = 0.0, 0.0
            for j in range(of_degree.size - 1, 0, -4):
                four, three, two, one = of_degree[j], of_degree[j - 1], of_degree[j - 2], of_degree[j - 3]
                for i in range(part.size):
                    d = twice[i] * this[i] - previous[i] + four
                    c = twice[i] * d - this[i] + three
                    b = twice[i] * c - d + two
                    this[i], previous[i] = twice[i] * b - c + one, b
            for i in range(part.size):
                # the lowest term has t once
                value[i] = this[i] - 0.5 * twice[i] * previous[i]


@njit(**INNER)
def largest(z, spread):
    """The largest z that nodes reach."""
    # a shorter reach costs D its digits and gains nothing
    furthest, most = WIDEST[-1] / spread, 1 / spread
    for value in z:
        if most < value <= furthest:
            most = value
    return most


@njit(**INNER)
def kernel_of(r, least, z):
    """exp(-(r - least) z) at both nodes (z, r)."""
    found = np.empty((z.size, r.size))
    for j in range(z.size):
        for k in range(r.size):
            found[j, k] = exponential((least - r[k]) * z[j])
    return found


@njit(**INNER_SUMS)
def transforms(least, r, z, weight, kernel, found):
    """D, T and U at the nodes z (3, node)."""
    for j in range(z.size):
        dead, weighted, squares, row = 0.0, 0.0, 0.0, kernel[j]
        for k in range(r.size):
            part = weight[k] * row[k]
            dead += weight[k] * (1 - row[k])
            weighted += part * r[k]
            squares += part * r[k] * r[k]
        found[0, j], found[1, j], found[2, j] = dead / z[j], weighted, squares


@njit(**INNER_SUMS)
def coefficients_of(values, basis):
    """Of functions known at the nodes (function, degree)."""
    found = np.empty(values.shape)
    for f in range(values.shape[0]):
        of_nodes = values[f]
        for j in range(basis.shape[0]):
            total, row = 0.0, basis[j]
            for k in range(row.size):
                total += of_nodes[k] * row[k]
            found[f, j] = total
    return found


@njit(**INNER_SUMS)
def weights_of(sums, basis):
    """Of the nodes (function, node), from moments (function, degree)."""
    found = np.zeros(sums.shape)
    for f in range(sums.shape[0]):
        weight = found[f]
        for j in range(basis.shape[0]):
            row, moment = basis[j], sums[f, j]
            for k in range(row.size):
                weight[k] += moment * row[k]
    return found


@njit(**INNER)
def means(ratios, least, z, reach, nodes):
    """D, T and U of cells (3, cell), of points with these r; z of the cells up to `reach`."""
    spread, basis = max(1 - least, NARROWEST), polynomials(nodes)
    r, z_nodes = places(nodes, least, spread), places(nodes, 0.0, reach)
    of_points = np.empty((1, nodes))
    equal = np.empty((1, ratios.size))
    for m in range(ratios.size):
        equal[0, m] = 1 / ratios.size
    moments(ratios, least, spread, equal, of_points)
    weight = weights_of(of_points, basis)[0]
    at_nodes = np.empty((3, nodes))
    transforms(least, r, z_nodes, weight, kernel_of(r, least, z_nodes), at_nodes)
    found = np.empty((3, z.size))
    summed(z, 0.0, reach, coefficients_of(at_nodes, basis), found)
    return found


@njit(**INNER_SUMS)
def means_back(ratios, least, z, reach, nodes, slopes, by_offsets):
    """Add r (slope 0 - r slope 1) exp(-(r - least) z), summed over cells, to derivatives by offsets: its mean."""
    spread, basis = max(1 - least, NARROWEST), polynomials(nodes)
    r, z_nodes = places(nodes, least, spread), places(nodes, 0.0, reach)
    of_cells = np.empty((2, nodes))
    moments(z, 0.0, reach, slopes, of_cells)
    weight, kernel = weights_of(of_cells, basis), kernel_of(r, least, z_nodes)
    at_nodes = np.zeros((1, nodes))
    for j in range(nodes):
        constant, falling, row, value = weight[0, j], weight[1, j], kernel[j], at_nodes[0]
        for k in range(nodes):
            value[k] += (constant - r[k] * falling) * row[k]
    found = np.empty((1, ratios.size))
    summed(ratios, least, spread, coefficients_of(at_nodes, basis), found)
    value = found[0]
    for m in range(ratios.size):
        by_offsets[m] += value[m] * ratios[m] / ratios.size
