"""A slow, scalar second implementation of the model's joint log density: the outside witness of the fast one.

Written from the decisions (docs/decisions.md) and the formats of the tables alone, without sight of the package, in
mpmath with 40 digits. Everything is in the constrained space: standard deviations are standard deviations, without the
Jacobian of a sampler's transform.

    log H(t) = k (log t - log t0) + eta          k = exp(log_shape + study_log_shape + treatment_log_shape)

`spec` is the TOML document as a dict. `tables` maps `patients`, `arms`, `points`, `medians`, `hazard_ratios`, `counts`,
`registry` and `background` to lists of dict rows (an absent table is empty, a blank cell is None or left out), already
selected and in the spec's time unit. `parameters` is a nested dict of numbers; its keys say which studies and pairs
have an effect:

    intercept, log_shape, study_sd, study_treatment_sd, study_shape_sd        a number each
    log_hr, treatment_log_shape {treatment: number}      coefficient {covariate: number}
    study_effect, study_log_shape {study: number}        study_treatment_effect {(study, treatment): number}

Where the rules leave a choice, the function that makes it says so ("Settled here").
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from mpmath import mp, mpf

mp.dps = 40


class NotCovered(ValueError):
    """What the twin does not model: it refuses, and never approximates."""


KINDS = ("patients", "points", "medians", "hazard_ratios", "counts", "registry")
LESION_LEVEL = ("lesion", "cavity")
DEFAULT_EFFECTIVE_SHARE = 0.8
DEVIATION_VARIANCE = mpf("0.5")

type Row = Mapping[str, object]
type Tables = Mapping[str, Sequence[Row]]


# Prognostic ratios ---------------------------------------------------------------------------------------------------


def prognostic_term(spec: Mapping, parameters: Mapping, rows: Sequence[Row]) -> mpf:
    """Ratios of one study and covariate, their common deviation integrated by the trapezoid rule.

    Settled here: the deviation is per scale of the covariate, as the coefficient is; what another setting adds is one
    number for each covariate, `transport`.
    """
    name = rows[0]["covariate"]
    sd, errors = mpf(parameters["prognosis_sd"]), [ratio_se(row) for row in rows]

    def joint(z):
        total = log_normal_density(z, 0, 1)
        for row, error in zip(rows, errors, strict=True):
            slope = mpf(parameters["coefficient"][name]) + sd * z
            if row.get("population") == "external":
                slope += mpf(parameters["transport"][name])
            mean = slope * prognostic_change(row) / mpf(spec["covariates"][name].get("scale", 1))
            total += log_normal_density(mp.log(mpf(row["hr"])), mean, error)
        return mp.exp(total)

    step = mpf("0.1")
    return mp.log(step * mp.fsum(joint(step * k) for k in range(-100, 101)))


def prognostic_change(row: Row) -> mpf:
    """Units of the covariate between the patients compared: 1 where nothing is said."""
    if row.get("level") is not None:
        return mpf(row["level"]) - mpf(row["reference"])
    return mpf(row.get("per") or 1)


# Joint density -------------------------------------------------------------------------------------------------------


def log_density(spec: Mapping, tables: Tables, parameters: Mapping) -> mpf:
    """Log prior plus log likelihood, every normalising constant kept."""
    pointwise = log_likelihood(spec, tables, parameters)
    return log_prior(spec, tables, parameters) + sum((mp.fsum(terms) for terms in pointwise.values()), mpf(0))


def log_likelihood(spec: Mapping, tables: Tables, parameters: Mapping) -> dict[str, list[mpf]]:
    """Pointwise: one term per patient, per arm's sequence of points, lone median, study's block of ratios, count."""
    _refuse_what_is_not_covered(spec, tables)
    steps = point_steps(spec, tables, parameters)
    return {
        "patients": [patient_term(spec, tables, parameters, row) for row in tables.get("patients", ())],
        "points": [mp.fsum(terms) for terms in steps.values()],
        "medians": [median_term(spec, tables, parameters, row) for row in lone_medians(tables)],
        "hazard_ratios": [hazard_ratio_term(spec, parameters, rows) for rows in ratio_blocks(tables).values()],
        "counts": [count_term(spec, tables, parameters, row) for row in tables.get("counts", ())],
        "registry": [registry_term(spec, tables, parameters, row) for row in tables.get("registry", ())],
    }


def _refuse_what_is_not_covered(spec: Mapping, tables: Tables) -> None:
    """Settled here: what the twin does not model is refused, never approximated."""
    if spec.get("hazard", {}).get("family", "weibull") != "weibull":
        raise NotCovered("the twin knows the Weibull family only")
    mixed = any("case_mix" in term for term in spec.get("covariates", {}).values())
    if spec.get("covariates") and not mixed and any(tables.get(kind) for kind in ("points", "medians", "counts")):
        raise NotCovered("the twin does not integrate an arm over its covariates")
    if tables.get("background") and tables.get("hazard_ratios"):
        raise NotCovered("with a background a ratio has no single counterpart in the twin")


# Latent hazard -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Curve:
    """One latent Weibull as a paper prints it: paper time t is model time t + shift, given survival past `start`.

    `background` (time, hazard): what everybody dies of besides, on the model's clock.
    """

    shape: mpf
    eta: mpf
    log_t0: mpf
    shift: mpf
    start: mpf
    background: tuple[tuple[mpf, mpf], ...] = ()

    def cum_hazard(self, time) -> mpf:
        """H at model time `time`; not conditional."""
        return mpf(0) if time <= 0 else self.excess(time) + self.spent(time)

    def excess(self, time) -> mpf:
        return mp.exp(self.shape * (mp.log(time) - self.log_t0) + self.eta)

    def spent(self, time) -> mpf:
        """Background hazard spent up to `time`: each step's rate times the time in it."""
        ends = [*(start for start, _ in self.background[1:]), mp.inf]
        steps = zip(self.background, ends, strict=True) if self.background else ()
        return _sum(rate * (min(mpf(time), end) - start) for (start, rate), end in steps if time > start)

    def rate(self, time) -> mpf:
        """Background hazard at `time`: of the last step that has begun."""
        begun = [rate for start, rate in self.background if start <= time]
        return begun[-1] if begun else mpf(0)

    def log_hazard(self, time) -> mpf:
        """Log h = log(dH/dt) at paper time `time`."""
        t = mpf(time) + self.shift
        return mp.log(self.shape * self.excess(t) / t + self.rate(t))

    def since_start(self, time) -> mpf:
        """H(t + d) - H(e + d); zero up to `start`, where nobody can be seen to die."""
        latest = max(mpf(time), self.start)
        return self.cum_hazard(latest + self.shift) - self.cum_hazard(self.start + self.shift)

    def median(self) -> mpf:
        """Paper time at which the printed curve passes one half."""
        target = mp.log(2) + self.cum_hazard(self.start + self.shift)
        log_target = mp.log(target)
        if self.background:
            without = mp.exp(self.log_t0 + (log_target - self.eta) / self.shape)
            # cum_hazard has corners at the steps: bisection holds through them
            inside = (mpf("1e-9"), without * (1 + mpf("1e-9")))
            return (
                mp.findroot(
                    lambda t: self.cum_hazard(t) - target, inside, solver="illinois", tol=mpf("1e-50"), maxsteps=400
                )
                - self.shift
            )
        return mp.exp(self.log_t0 + (log_target - self.eta) / self.shape) - self.shift


@dataclass(frozen=True)
class MixedCurve:
    """An arm of unlike patients: survival sums share times exp(-H) over them, the density share times h exp(-H)."""

    parts: tuple[tuple[mpf, Curve], ...]
    shift: mpf
    start: mpf

    def survival(self, time) -> mpf:
        """At model time `time`, of those who started."""
        return _sum(share * mp.exp(-curve.cum_hazard(time)) for share, curve in self.parts)

    def cum_hazard(self, time) -> mpf:
        return -mp.log(self.survival(time))

    def log_hazard(self, time) -> mpf:
        t = mpf(time) + self.shift
        dying = _sum(share * mp.exp(c.log_hazard(time) - c.cum_hazard(t)) for share, c in self.parts)
        return mp.log(dying / self.survival(t))

    def since_start(self, time) -> mpf:
        latest = max(mpf(time), self.start)
        return mp.log(self.survival(self.start + self.shift) / self.survival(latest + self.shift))

    def median(self) -> mpf:
        target = self.survival(self.start + self.shift) / 2

        def above(log_time):
            return self.survival(mp.exp(log_time)) - target

        inside = (mp.log(mpf("1e-6")), mp.log(mpf("1e6")))
        return mp.exp(mp.findroot(above, inside, solver="illinois", tol=mpf("1e-45"), maxsteps=500)) - self.shift


def kinds_of_patients(spec, parameters, row) -> list[tuple[mpf, dict[str, mpf]]]:
    """Shares and covariates of an arm's kinds of patients, covariates independent: two values, or a normal by the
    trapezoid rule (whose error for a Gaussian is far below 1e-20 at this step).
    """
    kinds: list[tuple[mpf, dict[str, mpf]]] = [(mpf(1), {})]
    for name, entry in spec["covariates"].items():
        value = mpf(parameters["case_mix"][row["study"], row["arm"]][name])
        if entry["kind"] == "two_valued":
            laws = [(1 - value, mpf(0)), (value, mpf(1))]
        else:
            sd, step = mpf(parameters["case_mix_spread"][row["study"], row["arm"]][name]), mpf("0.7")
            grid = [step * k for k in range(-10, 11)]
            laws = [(step * mp.npdf(z), value + sd * z) for z in grid]
        kinds = [(share * weight, {**x, name: one}) for share, x in kinds for weight, one in laws]
    return kinds


def curve_of(spec, tables, parameters, row, *, entry=0) -> Curve | MixedCurve:
    """The curve of an evidence row's arm, of all its kinds of patients where the spec models mixes and the row has no
    covariates of its own; a patient's own `entry` counts where it is later than the arm's."""
    covariates = spec.get("covariates", {})
    mixed = any("case_mix" in term for term in covariates.values())
    if not mixed or all(row.get(name) is not None for name in covariates):
        return _one_curve(spec, tables, parameters, row, entry)
    parts = tuple(
        (share, _one_curve(spec, tables, parameters, {**row, **x}, entry))
        for share, x in kinds_of_patients(spec, parameters, row)
    )
    return MixedCurve(parts, parts[0][1].shift, parts[0][1].start)


def printed_mix_term(spec, arm: Row, name: str, location, sd, spread) -> mpf:
    """What an arm prints of one covariate, given the population of arms: a share of n is binomial about its own share,
    whose logit is normal; a mean is normal about its own, which is normal."""
    if spec["covariates"][name]["kind"] == "two_valued":
        n, present = mpf(arm["n"]), mpf(arm["n"]) * mpf(arm[f"share_{name}"])

        def joint(z):
            return mp.exp(share_term(present, n, mpf(location) + mpf(sd) * z)) * mp.npdf(z)

        step = mpf("0.05")
        return mp.log(step * mp.fsum(joint(step * k) for k in range(-200, 201)))
    return log_normal_density(arm[f"mean_{name}"], location, mp.sqrt(mpf(sd) ** 2 + mpf(spread) ** 2 / mpf(arm["n"])))


def share_term(present, n, logit) -> mpf:
    """Binomial with real numbers of patients, by the logit of the share."""
    share = 1 / (1 + mp.exp(-logit))
    constant = mp.loggamma(n + 1) - mp.loggamma(present + 1) - mp.loggamma(n - present + 1)
    return constant + present * mp.log(share) + (n - present) * mp.log(1 - share)


def _one_curve(spec, tables, parameters, row, entry) -> Curve:
    """The curve of patients alike in all covariates."""
    arm = arm_row(tables, row)
    treatment = row.get("treatment") or arm["treatment"]
    return Curve(
        shape=mp.exp(log_shape(spec, parameters, row["study"], treatment)),
        eta=level(spec, parameters, row["study"], treatment) + covariate_part(spec, parameters, row),
        log_t0=mp.log(mpf(spec["reference_time"])),
        shift=mpf(arm.get("clock_shift") or 0),
        start=max(mpf(entry or 0), mpf(arm.get("survived_to") or 0)),
        background=tuple((mpf(step["time"]), mpf(step["hazard"])) for step in tables.get("background", ())),
    )


def arm_row(tables: Tables, row: Row) -> Row:
    """The arms row of the same study and arm. Settled here: only patients, who carry their treatment, may have none."""
    for arm in tables.get("arms", ()):
        if (arm["study"], arm["arm"]) == (row["study"], row["arm"]):
            return arm
    if row.get("treatment") is None:
        raise ValueError(f"no arms row for {row['study']}, {row['arm']}")
    return {}


def log_shape(spec, parameters, study, treatment) -> mpf:
    """log k. With free shapes `study_log_shape` is absolute and there is no `log_shape`."""
    common = mpf(0) if is_free(spec, "study_shape") else mpf(parameters["log_shape"])
    own = mpf(parameters["study_log_shape"][study]) if has(spec, "study_shape") else mpf(0)
    return common + own + treatment_log_shape(spec, parameters, treatment)


def treatment_log_shape(spec, parameters, treatment) -> mpf:
    """Zero unless `priors.treatment_log_shape` turns it on, and for the reference."""
    if "treatment_log_shape" not in spec["priors"] or treatment == reference(spec):
        return mpf(0)
    return mpf(parameters["treatment_log_shape"][treatment])


def level(spec, parameters, study, treatment) -> mpf:
    """eta without covariates. With free levels `study_effect` is absolute and there is no `intercept`."""
    common = mpf(0) if is_free(spec, "study") else mpf(parameters["intercept"])
    own = mpf(parameters["study_effect"][study]) if has(spec, "study") else mpf(0)
    return common + own + study_log_hr(spec, parameters, study, treatment)


def study_log_hr(spec, parameters, study, treatment) -> mpf:
    """log_hr[a] + study_treatment_effect[j, a]; the reference has log_hr of zero and a deviation (decision 10)."""
    own = parameters["study_treatment_effect"][study, treatment] if has(spec, "study_treatment") else 0
    return (mpf(0) if treatment == reference(spec) else mpf(parameters["log_hr"][treatment])) + mpf(own)


def covariate_part(spec, parameters, row) -> mpf:
    """Sum of coefficient (x - centre) / scale."""
    total = mpf(0)
    for name, entry in spec.get("covariates", {}).items():
        standardised = (mpf(row[name]) - mpf(entry.get("centre", 0))) / mpf(entry.get("scale", 1))
        total += mpf(parameters["coefficient"][name]) * standardised
    return total


def reference(spec: Mapping) -> str:
    return spec["treatments"]["reference"]


def has(spec: Mapping, effect: str) -> bool:
    return effect in spec.get("effects", {})


def is_free(spec: Mapping, effect: str) -> bool:
    """Whether each study has its own absolute value instead of a draw from a population of studies."""
    return has(spec, effect) and not spec["effects"][effect].get("exchangeable", True)


# Patients ------------------------------------------------------------------------------------------------------------


def patient_term(spec, tables, parameters, row) -> mpf:
    """Weighted log density, survival or interval probability, given survival past entry."""
    curve = curve_of(spec, tables, parameters, row, entry=row.get("entry"))
    weight = row.get("weight")
    return mpf(1 if weight is None else weight) * _unweighted_patient(curve, row)


def _unweighted_patient(curve: Curve, row: Row) -> mpf:
    """Settled here: `time_upper` makes the row an interval whatever `event` says; the part of an interval, or of a
    censored time, before entry carries nothing; an event at or before entry contradicts the entry and is an error."""
    if row.get("time_upper") is not None:
        return _interval(curve, row["time"], row["time_upper"])
    if not row["event"]:
        return -curve.since_start(row["time"])
    if row["time"] <= curve.start:
        raise ValueError(f"event at {row['time']}, not after entry at {curve.start}")
    return curve.log_hazard(row["time"]) - curve.since_start(row["time"])


def _interval(curve: Curve, lower, upper) -> mpf:
    """log(S(lower) - S(upper)) as -H(lower) + log(1 - exp(-(H(upper) - H(lower)))): no cancellation in the tail."""
    if upper <= max(mpf(lower), curve.start):
        raise ValueError(f"interval ({lower}, {upper}] is empty, or ends before entry at {curve.start}")
    start, end = curve.since_start(lower), curve.since_start(upper)
    return -start + _log1mexp(end - start)


# Sizes and intervals -------------------------------------------------------------------------------------------------


def z_of(row: Row) -> mpf:
    """Half-width of the row's interval in standard deviations; `ci_level` is 0.95 where it is not given."""
    return mp.sqrt(2) * mp.erfinv(mpf(row.get("ci_level") or 0.95))


def log_sd(row: Row) -> mpf | None:
    """log(hi / lo) / (2 z), or None without both limits. A lower limit of zero tells nothing on the log scale."""
    low, high = row.get("ci_low"), row.get("ci_high")
    if low is None or high is None or low <= 0:
        return None
    return mp.log(mpf(high) / mpf(low)) / (2 * z_of(row))


def design_effect(spec: Mapping, arm: Row) -> mpf:
    """1 + (lesions per patient - 1) icc for arms that count lesions or cavities, else 1 (decision 13)."""
    if arm.get("unit_of_analysis") not in LESION_LEVEL or not (arm.get("n_lesions") and arm.get("n_patients")):
        return mpf(1)
    return 1 + (mpf(arm["n_lesions"]) / mpf(arm["n_patients"]) - 1) * _setting(spec, "icc", 0)


def effective_n(spec: Mapping, arm: Row, row: Row) -> mpf | None:
    """n of the row, else of the arm, over the design effect. Settled here: a lesion-level arm's n is `n_lesions` where
    lesions and patients are both known, and a row's own n in such an arm also counts lesions."""
    n = row.get("n")
    if n is None:
        known = arm.get("unit_of_analysis") in LESION_LEVEL and arm.get("n_lesions") and arm.get("n_patients")
        n = arm["n_lesions"] if known else arm.get("n")
    return None if n is None else mpf(n) / design_effect(spec, arm)


def effective_share(spec: Mapping, arm: Row) -> mpf:
    """a: the spec's share, or the arm's share of events where that is larger (1 if all died)."""
    return max(_setting(spec, "effective_share", DEFAULT_EFFECTIVE_SHARE), median_share(spec, arm))


def median_share(spec: Mapping, arm: Row) -> mpf:
    """a of a median: the arm's share of events where it is printed, else the spec's share (decision 6)."""
    if arm.get("events") is None or not arm.get("n"):
        return _setting(spec, "effective_share", DEFAULT_EFFECTIVE_SHARE)
    return min(mpf(1), mpf(arm["events"]) / mpf(arm["n"]))


def _setting(spec: Mapping, name: str, default) -> mpf:
    """A number in `[evidence]`, bare or as a table with `value` and `why`."""
    entry = spec.get("evidence", {}).get(name, default)
    return mpf(entry["value"] if isinstance(entry, Mapping) else entry)


# Points --------------------------------------------------------------------------------------------------------------


def point_sequences(tables: Tables) -> dict[tuple[str, str], list[Row]]:
    """Rows of each (study, arm) with points, in time order, the arm's median among them as (median, 0.5).

    Settled here: the joined median's own interval is not used; a median that was not reached is set aside, as the
    points already say so. Two values at one time, or a rising curve, have no likelihood and are errors.
    """
    sequences: dict[tuple[str, str], list[Row]] = {}
    for row in tables.get("points", ()):
        sequences.setdefault(_arm_key(row), []).append(row)
    for row in tables.get("medians", ()):
        if _arm_key(row) in sequences and row.get("median") is not None:
            sequences[_arm_key(row)].append(_as_point(row))
    return {key: _in_time_order(key, rows) for key, rows in sequences.items()}


def _arm_key(row: Row) -> tuple[str, str]:
    return row["study"], row["arm"]


def _as_point(row: Row) -> Row:
    return {"study": row["study"], "arm": row["arm"], "time": row["median"], "survival": 0.5, "n": row.get("n")}


def _in_time_order(key, rows: list[Row]) -> list[Row]:
    ordered = sorted(rows, key=lambda row: row["time"])
    for before, after in pairwise(ordered):
        if after["time"] == before["time"] or after["survival"] > before["survival"]:
            raise ValueError(f"points of {key} tie or rise at time {after['time']}")
    return ordered


def point_steps(spec, tables, parameters) -> dict[tuple[str, str], list[mpf]]:
    """Per (study, arm), the conditional binomial term of each step, in time order."""
    return {
        key: _sequence_terms(curve_of(spec, tables, parameters, rows[0]), rows, point_sizes(spec, tables, rows))
        for key, rows in point_sequences(tables).items()
    }


def _sequence_terms(curve: Curve, rows: list[Row], steps: list[tuple[mpf, mpf]]) -> list[mpf]:
    terms, passed = [], mpf(0)
    for row, (share, size) in zip(rows, steps, strict=True):
        reached = curve.since_start(row["time"])
        terms.append(_log_binomial(share * size, size, log_q=passed - reached))
        passed = reached
    return terms


def point_sizes(spec, tables, rows: Sequence[Row]) -> list[tuple[mpf, mpf]]:
    """(p_k, m_k) of each step of one arm: the share that survives it and its effective size (decision 5)."""
    arm = arm_row(tables, rows[0])
    steps, survival, variance = [], mpf(1), mpf(0)
    begin = mpf(arm.get("survived_to") or 0)
    for row in rows:
        if survival == 0:  # nobody left: the step says nothing
            steps.append((mpf(1), mpf(0)))
            continue
        share = mpf(row["survival"]) / survival
        size = _step_size(spec, arm, row, share, survival, variance, begin)
        variance = _next_variance(row, share, size, variance)
        steps.append((share, size))
        survival, begin = mpf(row["survival"]), mpf(row["time"])
    return steps


def _step_size(spec, arm, row, share, survival, variance, begin) -> mpf:
    """m = (1 - p) / (p (v_k - v_{k-1})), at most n S_{k-1}; without a usable rise in variance a n S_{k-1}, or the size
    that the integral of Greenwood's sum gives under the censoring of the arm's median follow-up."""
    n, sd = effective_n(spec, arm, row), log_sd(row)
    if sd is None or sd**2 <= variance or share in (0, 1):
        if n is None:
            raise ValueError(f"point at {row['time']} needs n: its interval does not give a size")
        if arm.get("followup") is None or effective_share(spec, arm) == 1:
            return effective_share(spec, arm) * n * survival
        return _watched_size(n * survival, share, begin, mpf(row["time"]), arm)
    size = (1 - share) / (share * (sd**2 - variance))
    return size if n is None else min(size, n * survival)


def _watched_size(alive, share, begin, end, arm) -> mpf:
    """(1 - p) / (p v), v the integral of h / (n S G) by quadrature, G from when everybody was alive and watched."""
    since = mpf(arm.get("survived_to") or 0)

    def at_risk(time, hazard):
        return alive * mp.exp(-hazard * (time - begin)) * mpf(2) ** (-(time - since) / mpf(arm["followup"]))

    if share == 1:
        return (end - begin) / mp.quad(lambda time: 1 / at_risk(time, 0), [begin, end])
    if share == 0:
        return at_risk(end, 0)
    hazard = -mp.log(share) / (end - begin)
    return (1 - share) / (share * mp.quad(lambda time: hazard / at_risk(time, hazard), [begin, end]))


def _next_variance(row, share, size, variance) -> mpf:
    """v_k as printed, else what the binomial of this step adds. Settled here: a printed v_k that does not rise still
    replaces the running one; after p = 0 nothing follows, so v stays."""
    sd = log_sd(row)
    if sd is not None:
        return sd**2
    return variance if share == 0 else variance + (1 - share) / (share * size)


def _log_binomial(successes, size, *, log_q) -> mpf:
    """Binomial log pmf with gamma functions, so that the size may be any real number."""
    choose = mp.loggamma(size + 1) - mp.loggamma(successes + 1) - mp.loggamma(size - successes + 1)
    return choose + _times(successes, log_q) + _times(size - successes, _log1mexp(-log_q))


# Medians -------------------------------------------------------------------------------------------------------------


def lone_medians(tables: Tables) -> list[Row]:
    """Medians of arms without points, in the table's order."""
    with_points = {_arm_key(row) for row in tables.get("points", ())}
    return [row for row in tables.get("medians", ()) if _arm_key(row) not in with_points]


def median_term(spec, tables, parameters, row) -> mpf:
    """Normal on the log with an interval, a beta law of F(m) with n only, an upper tail where it was not reached."""
    curve, sd = curve_of(spec, tables, parameters, row), median_log_sd(spec, tables, row)
    if row.get("median") is None:
        return _not_reached(curve, arm_row(tables, row)["followup"], _beta_size(spec, tables, row))
    if sd is not None:
        # Density of log(median), so without the Jacobian 1 / median: a constant, but it moves the log likelihood.
        return log_normal_density(mp.log(mpf(row["median"])), mp.log(curve.median()), sd)
    return _beta_law(curve, row["median"], _beta_size(spec, tables, row))


def median_log_sd(spec, tables, row: Row) -> mpf | None:
    """sd of the log median from both limits; from the lower one alone where the upper was not reached, but not less
    than that of the middle of so many exponential times."""
    if row.get("median") is None or not row.get("ci_low") or row["ci_low"] <= 0:
        return None
    if row.get("ci_high") is not None:
        return log_sd(row)
    lower_half = mp.log(mpf(row["median"]) / mpf(row["ci_low"])) / z_of(row)
    return max(lower_half, 1 / (mp.log(2) * mp.sqrt(_median_size(spec, tables, row) + 2)))


def _beta_size(spec, tables, row) -> mpf:
    return (_median_size(spec, tables, row) + 1) / 2


def _median_size(spec, tables, row) -> mpf:
    """a n of a median."""
    arm = arm_row(tables, row)
    n = effective_n(spec, arm, row)
    if n is None:
        raise ValueError(f"median of {_arm_key(row)} needs n or an interval of two limits")
    return median_share(spec, arm) * n


def _beta_law(curve: Curve, median, alpha) -> mpf:
    """Log density of the sample median in its own unit: F(m) ~ Beta(alpha, alpha), times f(m)."""
    hazard = curve.since_start(median)
    if hazard == 0:
        return mpf("-inf")
    log_beta = 2 * mp.loggamma(alpha) - mp.loggamma(2 * alpha)
    return (alpha - 1) * (_log1mexp(hazard) - hazard) - log_beta + curve.log_hazard(median) - hazard


def _not_reached(curve: Curve, followup, alpha) -> mpf:
    """log P(sample median > followup) = log(1 - I_F(alpha, alpha)) = log I_S(alpha, alpha), by symmetry."""
    if followup is None:
        raise ValueError("a median that was not reached needs the arm's followup")
    survival = mp.exp(-curve.since_start(followup))
    return mp.log(mp.betainc(alpha, alpha, 0, survival, regularized=True))


# Hazard ratios -------------------------------------------------------------------------------------------------------


def ratio_blocks(tables: Tables) -> dict[str, list[Row]]:
    """Rows of each study, redundant ones left out: they give covariance only."""
    blocks: dict[str, list[Row]] = {}
    for row in tables.get("hazard_ratios", ()):
        blocks.setdefault(row["study"], []).append(row)
    return blocks


def hazard_ratio_term(spec, parameters, rows: Sequence[Row]) -> mpf:
    """One multivariate normal for all log hazard ratios of a study, about the study's own in the model."""
    if "treatment_log_shape" in spec["priors"]:
        raise NotCovered("with non-proportional hazards a ratio has no single counterpart in the twin")
    kept = [row for row in rows if not _is_redundant(row, rows)]
    residual = [mp.log(mpf(row["hr"])) - _model_log_hr(spec, parameters, row) for row in kept]
    return log_multivariate_normal(residual, ratio_covariance(kept, rows))


def _model_log_hr(spec, parameters, row) -> mpf:
    return study_log_hr(spec, parameters, row["study"], row["treatment"]) - study_log_hr(
        spec, parameters, row["study"], row["reference"]
    )


def ratio_se(row: Row) -> mpf:
    """Standard error of a log hazard ratio; the first given of interval, `se_log_hr`, `p`, `p_below`."""
    if log_sd(row) is not None:
        return log_sd(row)
    if row.get("se_log_hr") is not None:
        return mpf(row["se_log_hr"])
    p = row["p"] if row.get("p") is not None else row["p_below"]  # p < bound: the largest se that agrees with it
    return abs(mp.log(mpf(row["hr"]))) / (mp.sqrt(2) * mp.erfinv(1 - mpf(p)))


def ratio_covariance(kept: Sequence[Row], rows: Sequence[Row]) -> list[list[mpf]]:
    return [[ratio_se(a) ** 2 if a is b else _shared_variance(a, b, rows) for b in kept] for a in kept]


def _shared_variance(one: Row, other: Row, rows: Sequence[Row]) -> mpf:
    """Covariance of two log ratios of one study: the variance of the reference arm they share, else zero.

    Settled here: arms shared in another way (one treatment against two references, or a chain) are refused.
    """
    arms = {one["treatment"], one["reference"]} & {other["treatment"], other["reference"]}
    if not arms:
        return mpf(0)
    if arms != {one["reference"]} or one["reference"] != other["reference"]:
        raise NotCovered(f"ratios of {one['study']} share {sorted(arms)}, and not as the reference of both")
    stated = {row["se_reference"] for row in (one, other) if row.get("se_reference") is not None}
    if len(stated) > 1:
        raise ValueError(f"two values of se_reference for one arm of {one['study']}")
    return mpf(stated.pop()) ** 2 if stated else _covariance_from_third(one, other, rows)


def _covariance_from_third(one: Row, other: Row, rows: Sequence[Row]) -> mpf:
    """var(x - y) = var x + var y - 2 cov, with x - y printed as the redundant row."""
    for row in rows:
        if {row["treatment"], row["reference"]} == {one["treatment"], other["treatment"]}:
            return (ratio_se(one) ** 2 + ratio_se(other) ** 2 - ratio_se(row) ** 2) / 2
    raise ValueError(f"ratios of {one['study']} share {one['reference']} without se_reference or a third ratio")


def _is_redundant(row: Row, rows: Sequence[Row]) -> bool:
    """Whether two other rows with one common reference already compare this row's two treatments."""

    def references_of(treatment):
        return {other["reference"] for other in rows if other is not row and other["treatment"] == treatment}

    return bool(references_of(row["treatment"]) & references_of(row["reference"]))


# Counts --------------------------------------------------------------------------------------------------------------


def count_term(spec, tables, parameters, row) -> mpf:
    """Binomial log pmf of the survivors; without a time, H = exp(eta) at a time common to the study's arms.

    Settled here: in lesion-level arms events and n are both divided by the design effect. No effective share: a count
    by a time is taken as complete.
    """
    arm = arm_row(tables, row)
    curve = curve_of(spec, tables, parameters, row)
    hazard = mp.exp(curve.eta) if row.get("time") is None else curve.since_start(row["time"])
    size = effective_n(spec, arm, row)
    events = mpf(row["events"]) / design_effect(spec, arm)
    return _log_binomial(size - events, size, log_q=-hazard)


def registry_term(spec, tables, parameters, row) -> mpf:
    """Binomial: `alive` of the `n` alive at `start` are so at `stop`; lesions of one patient weigh less."""
    curve, effect = curve_of(spec, tables, parameters, row), design_effect(spec, arm_row(tables, row))
    log_q = curve.since_start(row["start"]) - curve.since_start(row["stop"])
    return _log_binomial(mpf(row["alive"]) / effect, mpf(row["n"]) / effect, log_q=log_q)


# Priors --------------------------------------------------------------------------------------------------------------


def log_prior(spec: Mapping, tables: Tables, parameters: Mapping) -> mpf:
    """Log density of all parameters, effects given their standard deviations. `tables` is not used: keys decide."""
    parts = (
        _level_prior(spec, parameters),
        _shape_prior(spec, parameters),
        _treatment_prior(spec, parameters),
        _study_treatment_prior(spec, parameters),
        _coefficient_prior(spec, parameters),
    )
    return mp.fsum(parts)


def _level_prior(spec, parameters) -> mpf:
    intercept = spec["priors"].get("intercept")
    if is_free(spec, "study"):
        return _sum(log_prior_density(intercept, value) for value in parameters["study_effect"].values())
    return log_prior_density(intercept, parameters["intercept"]) + _population(spec, parameters, "study")


def _shape_prior(spec, parameters) -> mpf:
    if is_free(spec, "study_shape"):
        return _sum(_log_shape_density(spec, value) for value in parameters["study_log_shape"].values())
    return _log_shape_density(spec, parameters["log_shape"]) + _population(spec, parameters, "study_shape")


def _population(spec, parameters, effect) -> mpf:
    """Normal effects of studies about zero, and the prior of their standard deviation; nothing where left out."""
    if not has(spec, effect):
        return mpf(0)
    values = parameters["study_effect" if effect == "study" else "study_log_shape"].values()
    sd = parameters[f"{effect}_sd"]
    return log_prior_density(spec["effects"][effect]["sd"], sd) + _sum(log_normal_density(x, 0, sd) for x in values)


def _log_shape_density(spec, value) -> mpf:
    """Density of a log shape. A prior on the natural scale carries the Jacobian exp(log shape) of this change."""
    if "shape" in spec["priors"]:
        return log_prior_density(spec["priors"]["shape"], mp.exp(mpf(value))) + mpf(value)
    return log_prior_density(spec["priors"]["log_shape"], value)


def _treatment_prior(spec, parameters) -> mpf:
    names = [name for name in ("log_hr", "treatment_log_shape") if name in spec["priors"]]
    return _sum(
        log_prior_density(spec["priors"][name], value)
        for name in names
        for treatment, value in parameters.get(name, {}).items()
        if treatment != reference(spec)
    )


def _study_treatment_prior(spec, parameters) -> mpf:
    """Every treatment of a study, the reference too: independent normals of variance `study_treatment_sd`^2 / 2."""
    if not has(spec, "study_treatment"):
        return mpf(0)
    sd = mpf(parameters["study_treatment_sd"])
    return log_prior_density(spec["effects"]["study_treatment"]["sd"], sd) + _sum(
        log_normal_density(value, 0, sd * mp.sqrt(DEVIATION_VARIANCE))
        for value in parameters["study_treatment_effect"].values()
    )


def _coefficient_prior(spec, parameters) -> mpf:
    covariates = spec.get("covariates", {})
    return _sum(log_prior_density(entry["prior"], parameters["coefficient"][c]) for c, entry in covariates.items())


def log_prior_density(prior: Mapping, value) -> mpf:
    """Normalised log density of one prior. Settled here: `sd` of the t laws is the scale, as in scipy, not the sd."""
    x = mpf(value)
    terms = {name: mpf(number) for name, number in prior.items() if name not in ("dist", "why", "source")}
    return DENSITIES[prior["dist"]](x, **terms)


def log_normal_density(x, mean, sd) -> mpf:
    """Log density of a normal (not the log-normal law)."""
    x, mean, sd = mpf(x), mpf(mean), mpf(sd)
    return -mp.log(2 * mp.pi) / 2 - mp.log(sd) - ((x - mean) / sd) ** 2 / 2


def _student_t(x, df, mean, sd) -> mpf:
    norm = mp.loggamma((df + 1) / 2) - mp.loggamma(df / 2) - mp.log(df * mp.pi) / 2 - mp.log(sd)
    return norm - (df + 1) / 2 * mp.log1p(((x - mean) / sd) ** 2 / df)


def _on_positive(density: Callable) -> Callable:
    return lambda x, **terms: density(x, **terms) if x > 0 else mpf("-inf")


def _uniform(x, lower, upper) -> mpf:
    return -mp.log(upper - lower) if lower <= x <= upper else mpf("-inf")


DENSITIES: dict[str, Callable] = {
    "normal": log_normal_density,
    "student_t": _student_t,
    "half_normal": _on_positive(lambda x, sd: mp.log(2) + log_normal_density(x, 0, sd)),
    "half_student_t": _on_positive(lambda x, df, sd: mp.log(2) + _student_t(x, df, 0, sd)),
    "exponential": _on_positive(lambda x, rate: mp.log(rate) - rate * x),
    "gamma": _on_positive(
        lambda x, shape, rate: shape * mp.log(rate) - mp.loggamma(shape) + (shape - 1) * mp.log(x) - rate * x
    ),
    "log_normal": _on_positive(lambda x, mean, sd: log_normal_density(mp.log(x), mean, sd) - mp.log(x)),
    "uniform": _uniform,
}


# Arithmetic ----------------------------------------------------------------------------------------------------------


def log_multivariate_normal(residual: Sequence[mpf], covariance: Sequence[Sequence[mpf]]) -> mpf:
    """Log density at a residual; the Cholesky factor refuses a covariance that is not one."""
    factor = mp.cholesky(mp.matrix(covariance))
    scaled = mp.lu_solve(factor, mp.matrix(residual))
    log_root_det = sum(mp.log(factor[i, i]) for i in range(len(residual)))
    return -len(residual) * mp.log(2 * mp.pi) / 2 - log_root_det - sum(x**2 for x in scaled) / 2


def _log1mexp(x) -> mpf:
    """log(1 - exp(-x)), x >= 0."""
    return mpf("-inf") if x == 0 else mp.log(-mp.expm1(-x))


def _times(count, log_value) -> mpf:
    """count * log_value with 0 * -inf = 0: an event that did not happen costs nothing."""
    return mpf(0) if count == 0 else count * log_value


def _sum(terms: Iterable[mpf]) -> mpf:
    return mp.fsum(terms)


def gradient(f: Callable, x, *, step="1e-12", known=None):
    """Central differences of f at x, a list or a nested dict of numbers, in the shape of x.

    With 40 digits and this step both the truncation and the rounding error are below 1e-20 for values of order one.
    Where f at x is `known`, forward differences, whose error is a step's half of the second derivative.
    """
    return _map_leaves(x, lambda path, value: _slope(f, x, path, mpf(value), mpf(step), known))


def _slope(f, x, path, value, step, known) -> mpf:
    if known is not None:
        return (f(_replaced(x, path, value + step)) - known) / step
    return (f(_replaced(x, path, value + step)) - f(_replaced(x, path, value - step))) / (2 * step)


def _map_leaves(x, function, path=()):
    if isinstance(x, Mapping):
        return {key: _map_leaves(value, function, (*path, key)) for key, value in x.items()}
    if isinstance(x, Sequence):
        return [_map_leaves(value, function, (*path, i)) for i, value in enumerate(x)]
    return function(path, x)


def _replaced(x, path, new):
    return _map_leaves(x, lambda here, value: new if here == path else value)
