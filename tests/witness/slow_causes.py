"""A slow, scalar second implementation of rows that speak about several causes: the witness of the joint density.

Written from docs/competing-causes.md alone: one row at a time, floats, scipy's adaptive quadrature in log time.
`parameters` are those of each cause by name (`slow_twin`); Weibull hazards. An arm whose patients differ has `kinds`,
pairs of weight and covariates (less their centres) by name, and is the sum over them.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from scipy import integrate, special, stats

type Row = Mapping[str, object]
type Parameters = Mapping[str, Mapping]
SHARE = 0.8
"""effective_share of the specs that it is asked about."""


def law(own: Mapping, row: Row, t0: float) -> tuple[float, float]:
    """eta and shape of one cause in an arm."""
    study, treatment = row["study"], row["treatment"]
    eta = own["intercept"] + own["study_effect"].get(study, 0.0) + own["log_hr"].get(treatment, 0.0)
    eta += own["study_treatment_effect"].get((study, treatment), 0.0)
    for name, value in row.get("covariates", {}).items():
        eta += value * (own["coefficient"][name] + own["interaction"].get((treatment, name), 0.0))
    return eta - math.exp(shape_of(own, study)) * math.log(t0), math.exp(shape_of(own, study))


def shape_of(own: Mapping, study: object) -> float:
    return own["log_shape"] + own["study_log_shape"].get(study, 0.0)


def cum_hazards(parameters: Parameters, row: Row, t0: float, time: float) -> dict[str, float]:
    """H of every cause at a time."""
    found = {}
    for name, own in parameters.items():
        level, shape = law(own, row, t0)
        found[name] = math.exp(level + shape * math.log(time)) if time > 0 else 0.0
    return found


def kinds(arm: Row) -> list[tuple[float, Row]]:
    """Weight of each kind of patients of an arm, and the arm as if all were of it."""
    return [(weight, {**arm, "kinds": None, "covariates": own}) for weight, own in arm.get("kinds") or ()]


def incidence(parameters: Parameters, row: Row, t0: float, cause: str, entry: float, time: float) -> float:
    """F of a cause: who has it first by a time, of those who are free of all at entry."""
    if kinds(row):
        return sum(weight * incidence(parameters, own, t0, cause, entry, time) for weight, own in kinds(row))
    level, shape = law(parameters[cause], row, t0)
    before = sum(cum_hazards(parameters, row, t0, entry).values())

    def density(z: float) -> float:
        used = sum(cum_hazards(parameters, row, t0, math.exp(z)).values())
        return shape * math.exp(level + shape * z - used + before)

    low = math.log(entry) if entry > 0 else -60.0 / shape
    if time <= entry:
        return 0.0
    cuts = [low + (math.log(time) - low) * part / 20 for part in range(21)]
    return sum(integrate.quad(density, a, b, epsabs=1e-14, epsrel=1e-13)[0] for a, b in pairwise(cuts))


def binomial(successes: float, size: float, share: float) -> float:
    """Log of the binomial with real numbers."""
    constant = math.lgamma(size + 1) - math.lgamma(successes + 1) - math.lgamma(size - successes + 1)
    return constant + successes * math.log(share) + (size - successes) * math.log1p(-share)


def sequence(points: Sequence[Row], n: float, survival) -> float:
    """Conditional binomials of one arm's points, sizes from n alone; `survival` at a time, of those at entry."""
    total, printed, known = 0.0, 1.0, 1.0
    for row in points:
        ratio, size = row["survival"] / printed, SHARE * n * printed
        now = survival(row["time"])
        total += binomial(ratio * size, size, now / known)
        printed, known = row["survival"], now
    return total


def incidence_points(parameters: Parameters, arm: Row, points: Sequence[Row], t0: float, cause: str) -> float:
    """Log density of one arm's points of 1 - F."""
    entry = arm.get("survived_to") or 0.0
    return sequence(points, arm["n"], lambda t: 1 - incidence(parameters, arm, t0, cause, entry, t))


def incidence_count(parameters: Parameters, arm: Row, row: Row, t0: float, cause: str) -> float:
    """Log density of d of n who had the cause first by a time."""
    entry = arm.get("survived_to") or 0.0
    return binomial(row["events"], row["n"], incidence(parameters, arm, t0, cause, entry, row["time"]))


def free(parameters: Parameters, arm: Row, t0: float, time: float) -> float:
    """Share free of all causes at a time."""
    if kinds(arm):
        return sum(weight * free(parameters, own, t0, time) for weight, own in kinds(arm))
    return math.exp(-sum(cum_hazards(parameters, arm, t0, time).values()))


def first_points(parameters: Parameters, arm: Row, points: Sequence[Row], t0: float) -> float:
    return sequence(points, arm["n"], lambda t: free(parameters, arm, t0, t))


def first_median(parameters: Parameters, arm: Row, row: Row, t0: float) -> float:
    """A median of the time to the first of all: normal on its log with an interval, else its order statistic."""
    if row.get("ci_low"):
        sd = math.log(row["ci_high"] / row["ci_low"]) / (2 * stats.norm.ppf(0.975))
        low, high = 1e-9, 1e9
        for _ in range(200):
            middle = math.sqrt(low * high)
            low, high = (middle, high) if free(parameters, arm, t0, middle) > 0.5 else (low, middle)
        return float(stats.norm.logpdf(math.log(row["median"]), math.log(middle), sd))
    alpha, time = (SHARE * arm["n"] + 1) / 2, row["median"]
    alive = free(parameters, arm, t0, time)
    density = 0.0
    for weight, row in kinds(arm) or [(1.0, arm)]:
        for own in parameters.values():
            level, shape = law(own, row, t0)
            rate = shape * math.exp(level + shape * math.log(time)) / time
            density += weight * rate * free(parameters, row, t0, time)
    beta = (alpha - 1) * (math.log1p(-alive) + math.log(alive)) - special.betaln(alpha, alpha)
    return float(beta + math.log(density))


def first_count(parameters: Parameters, arm: Row, row: Row, t0: float) -> float:
    return binomial(row["events"], row["n"], 1 - free(parameters, arm, t0, row["time"]))


def patient(parameters: Parameters, row: Row, t0: float) -> float:
    """A patient of known cause, or censored: the hazard of what came, and free of all until then."""
    if kinds(row):
        return math.log(sum(weight * math.exp(patient(parameters, own, t0)) for weight, own in kinds(row)))
    found = -sum(cum_hazards(parameters, row, t0, row["time"]).values())
    if row["event"]:
        level, shape = law(parameters[row["cause"]], row, t0)
        found += math.log(shape / row["time"]) + level + shape * math.log(row["time"])
    return found
