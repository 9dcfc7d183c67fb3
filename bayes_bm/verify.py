"""Published and closed-form answers, recomputed on the user's machine: expected, found, tolerance, pass or fail.

What is expected comes from elsewhere: a closed form, quadrature or scipy's laws worked out here, R's numbers stored
with the call, what a paper printed. A check that raises counts as failed, with what it said.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import integrate, optimize, special, stats

from bayes_bm import estimands, likelihoods, nonparametric
from bayes_bm.arrays import NUMPY
from bayes_bm.cox import cox_log_hr
from bayes_bm.estimands import Population
from bayes_bm.hazards import FAMILIES, Family
from bayes_bm.hazards.base import inverse

Say = Callable[[str], None]
COLUMNS = ("group", "check", "expected", "found", "tolerance", "source", "passed")


@dataclass(frozen=True)
class Known:
    """One known answer: `found` is right where it is within `tolerance` (absolute) of `expected`."""

    check: str
    expected: float
    found: float
    tolerance: float
    source: str

    @property
    def passed(self) -> bool:
        return bool(abs(self.found - self.expected) <= self.tolerance)


@dataclass(frozen=True)
class Group:
    """Known answers of one kind; `quick` ones take seconds."""

    name: str
    answers: Callable[[], Iterator[Known]]
    quick: bool = True


def verify(
    *, quick: bool = False, groups: Sequence[Group] | None = None, say: Say = lambda stage: None
) -> pd.DataFrame:
    """Every known answer (group, check, expected, found, tolerance, source, passed); with `quick` those in seconds."""
    rows = []
    for group in GROUPS if groups is None else groups:
        if quick and not group.quick:
            continue
        say(group.name)
        rows += _rows(group)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _rows(group: Group) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    try:
        for one in group.answers():
            rows.append({"group": group.name, **one.__dict__, "passed": one.passed})
    except Exception as problem:
        told = f"stopped: {type(problem).__name__}: {problem}"
        rows.append(
            {"group": group.name, "check": told, "source": "this check did not run to its end", "passed": False}
        )
    return rows


# ---------------------------------------------------------------------------------------------- hazard families

ETA = 0.3
SHAPES: Mapping[str, tuple[float, ...]] = {
    "exponential": (),
    "weibull": (0.25,),
    "gompertz": (0.4,),
    "exponential_aft": (),
    "weibull_aft": (0.25,),
    "lognormal": (-0.1,),
    "loglogistic": (0.3,),
    "gamma": (0.2,),
    "gengamma": (-0.1, 0.6),
}


def _laws() -> dict[str, tuple[Any, str]]:
    """The law of u = t / t0 with eta = 0.3 and those shapes, by scipy, and what it is called there."""
    e = np.exp(ETA)
    k, odds, sd = np.exp(0.25), np.exp(0.3), np.exp(-0.1)
    g = np.exp(0.2)
    # Prentice: (log u - eta) / sd = log(q^2 G) / q, G ~ Gamma(1 / q^2), so u = exp(eta) (q^2 G)^(sd / q)
    q = 0.6
    power, unit = q / sd, np.exp(ETA) * q ** (2 * sd / q)
    return {
        "exponential": (stats.expon(scale=1 / e), "expon"),
        "weibull": (stats.weibull_min(k, scale=e ** (-1 / k)), "weibull_min"),
        "gompertz": (stats.gompertz(e / np.expm1(0.4), scale=1 / 0.4), "gompertz"),
        "exponential_aft": (stats.expon(scale=e), "expon"),
        "weibull_aft": (stats.weibull_min(k, scale=e), "weibull_min"),
        "lognormal": (stats.lognorm(sd, scale=e), "lognorm"),
        "loglogistic": (stats.fisk(odds, scale=e), "fisk"),
        "gamma": (stats.gamma(g, scale=e / g), "gamma"),
        "gengamma": (stats.gengamma(q**-2, power, scale=unit), "gengamma"),
    }


def families() -> Iterator[Known]:
    """log S and the density of each family at two times beside scipy; H as the integral of h; the median as a root."""
    for name, (law, known) in _laws().items():
        family, shape, eta = FAMILIES[name], np.array(SHAPES[name]), np.array(ETA)
        for u in (0.4, 2.5):
            at = np.array(np.log(u))
            survival = float(-np.exp(family.log_cum_hazard(at, eta, shape, xp=NUMPY)))
            source = f"scipy.stats.{known}"
            yield Known(f"{name}: log S({u:g})", float(law.logsf(u)), survival, 1e-9, source)
            density = float(family.log_hazard(at, eta, shape, xp=NUMPY)) + survival
            yield Known(f"{name}: log f({u:g})", float(law.logpdf(u)), density, 1e-9, source)
        yield Known(f"{name}: H(1.5)", *_integral(family, eta, shape, 1.5), 1e-8, "scipy.integrate.quad of h")
        median = float(np.exp(inverse(family, np.array(np.log(np.log(2))), eta, shape, xp=NUMPY)))
        yield Known(f"{name}: median", float(law.median()), median, 1e-9, f"scipy.stats.{known}")


def _integral(family: Family, eta: np.ndarray, shape: np.ndarray, u: float) -> tuple[float, float]:
    def hazard(v: float) -> float:
        return float(np.exp(family.log_hazard(np.array(np.log(v)), eta, shape, xp=NUMPY)))

    # v = w^4 removes the kink at zero
    expected, _ = integrate.quad(
        lambda w: hazard(w**4) * 4 * w**3, 1e-12, u**0.25, epsabs=1e-12, epsrel=1e-11, limit=200
    )
    return expected, float(np.exp(family.log_cum_hazard(np.array(np.log(u)), eta, shape, xp=NUMPY)))


def averages() -> Iterator[Known]:
    """E[S] over level and log shape beside the trapezoid rule on 801 x 401 points; the restricted mean over it."""
    of = Population(
        FAMILIES["weibull"], 12.0, np.array([[0.2]]), np.array([[[0.1]]]), np.array([[0.6]]), np.array([[0.3]])
    )
    z, y = np.linspace(-9, 9, 801), np.linspace(-9, 9, 401)
    weight = np.outer(stats.norm.pdf(z), stats.norm.pdf(y)) * (z[1] - z[0]) * (y[1] - y[0])

    def alive(time: float) -> float:
        log_cum = np.exp(0.1 + 0.3 * y)[None, :] * np.log(time / 12.0) + 0.2 + 0.6 * z[:, None]
        return float(np.sum(weight * np.exp(-np.exp(log_cum))))

    for time in (3.0, 12.0, 30.0):
        found = float(estimands.survival(of, np.array([time]))[0, 0, 0])
        yield Known(f"new study: E[S({time:g})]", alive(time), found, 1e-6, "trapezoid rule over both effects")
    node, step = np.polynomial.legendre.leggauss(24)
    area = sum(w / 2 * 24.0 * 4 * v**3 * alive(24.0 * v**4) for v, w in zip((node + 1) / 2, step, strict=True))
    yield Known("new study: RMST(24)", area, float(estimands.rmst(of, 24.0)[0, 0]), 1e-5, "quadrature of the trapezoid")


# ---------------------------------------------------------------------------------------------- R

AML = {  # Miller 1981; survival::aml of R. time, event, group (1 = not maintained)
    "time": [9, 13, 13, 18, 23, 28, 31, 34, 45, 48, 161, 5, 5, 8, 8, 12, 16, 23, 27, 30, 33, 43, 45],
    "event": [1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 0, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1],
    "group": [0] * 11 + [1] * 12,
}
R = "R 4.2.2, survival 3.5.3"
SURVREG = {  # survreg(Surv(time, status) ~ x, aml, dist = ...): intercept, coefficient, scale, log likelihood
    "weibull_aft": (4.109055051262132, -0.929341611365523, 0.790954436951233, -80.5216452034027),
    "lognormal": (3.578862028705883, -0.724473085572415, 0.86470193191605, -78.927612450323),
    "loglogistic": (3.502991827310100, -0.604490743583081, 0.513306428827882, -79.3526633855143),
    "exponential_aft": (4.101462029990965, -0.958093757630909, 1.0, -81.2872852058974),
}


def survreg() -> Iterator[Known]:
    """Maximum likelihood of the acute myelogenous leukaemia data under our densities, beside R's survreg."""
    time, event, group = (np.array(AML[name], dtype=float) for name in ("time", "event", "group"))
    data = _patients_record(time, event)
    for name, (intercept, coefficient, scale, best) in SURVREG.items():
        family, sign = FAMILIES[name], {"lognormal": 1.0}.get(name, -1.0)

        def loss(x: np.ndarray, family: Family = family) -> float:
            shape = np.broadcast_to(x[2:], (len(time), len(x) - 2))
            return -float(np.sum(likelihoods.patients(family, data, x[0] + x[1] * group, shape, xp=NUMPY)))

        start = np.array([1.0, -0.5, *([0.1] * len(family.shapes))])
        done = optimize.minimize(loss, start, method="BFGS", options={"gtol": 1e-7})
        call = f"{R}: survreg(Surv(time, status) ~ x, aml), {name}"
        yield Known(f"{name}: intercept", intercept - np.log(T0), float(done.x[0]), 1e-4, call)
        yield Known(f"{name}: coefficient", coefficient, float(done.x[1]), 1e-4, call)
        if len(done.x) > 2:
            yield Known(f"{name}: log scale", np.log(scale), sign * float(done.x[2]), 1e-4, call)
        yield Known(f"{name}: log likelihood", best, -float(done.fun), 1e-6, call)


T0 = 12.0


def _patients_record(time: np.ndarray, event: np.ndarray) -> Any:
    from types import SimpleNamespace

    log_u, nothing = np.log(time / T0), np.zeros(len(time))
    return SimpleNamespace(
        log_u=log_u,
        log_upper=log_u + 1,
        log_entry=nothing + likelihoods.NO_ENTRY,
        exact=event,
        interval=nothing,
        weight=nothing + 1,
        log_t0=np.log(T0),
        any_entry=False,
        any_interval=False,
    )


def survfit() -> Iterator[Known]:
    """Kaplan-Meier, log-rank and Cox on the same data, beside R."""
    time, event, group = (np.array(AML[name]) for name in ("time", "event", "group"))
    curves = [nonparametric.kaplan_meier(time[group == g], event[group == g]) for g in (0, 1)]
    call = f"{R}: survfit(Surv(time, status) ~ x, aml)"
    for which, curve, median, mean, se in (
        ("maintained", curves[0], 31.0, 31.8431818181818, 4.52788471175049),
        ("not maintained", curves[1], 23.0, 22.7083333333333, 4.18094198103315),
    ):
        yield Known(f"{which}: median", median, nonparametric.quantile(curve), 0.0, call)
        yield Known(f"{which}: RMST(48)", mean, nonparametric.restricted_mean(curve, horizon=48.0), 1e-10, call)
        yield Known(f"{which}: se of RMST(48)", se, nonparametric.restricted_mean_se(curve, horizon=48.0), 1e-10, call)
    chi = nonparametric.log_rank(time, event, group).chi_square
    yield Known("log-rank chi-square", 3.3963886989776, chi, 1e-10, f"{R}: survdiff(Surv(time, status) ~ x, aml)")
    cox = cox_log_hr(time, event, group)
    call = f"{R}: coxph(Surv(time, status) ~ x, aml)"
    yield Known("Cox: log hazard ratio", 0.915532575014718, cox.log_hr, 1e-8, call)
    yield Known("Cox: standard error", 0.511934275172005, cox.se, 1e-8, call)


# ---------------------------------------------------------------------------------------------- reconstruction


def reconstruction() -> Iterator[Known]:
    """Simulated patients, drawn as a vector figure and rebuilt from the drawing: events and times are theirs."""
    from bayes_bm.curves.simulated import drawn, printed, varied
    from bayes_bm.reconstruct import reconstruct

    for seed, (n, censoring) in enumerate(((40, "staggered"), (90, "dropout"), (150, "cut"))):
        time, event = varied(seed, n, censoring=censoring)
        known = printed(time, event)
        rec = reconstruct(drawn(time, event, known["axis_max"]), **known)
        rebuilt = rec.patients.sort_values(["time", "event"])
        truth = pd.DataFrame({"time": time, "event": event}).sort_values(["time", "event"])
        name, source = f"{n} patients, {censoring}", "the simulated patients"
        yield Known(f"{name}: n", n, len(rebuilt), 0, source)
        yield Known(f"{name}: events", int(event.sum()), int(rebuilt["event"].sum()), 0, source)
        gap = np.abs(rebuilt["time"].to_numpy() - truth["time"].to_numpy()) if len(rebuilt) == n else np.array([np.inf])
        yield Known(f"{name}: largest error of a time", 0.0, float(gap.max()), 1e-6, source)


# ---------------------------------------------------------------------------------------------- the model


def _document(**more: Any) -> dict[str, Any]:
    vague = {"dist": "normal", "mean": 0.0, "sd": 100.0, "why": "verify: flat beside the data"}
    return {
        "schema": 1,
        "name": "verify",
        "question": "a known answer",
        "endpoint": "os",
        "reference_time": T0,
        "seed": 11,
        "treatments": {"reference": "a", "compare": ["b"]},
        "priors": {"intercept": vague, "log_hr": vague},
        "hazard": {"family": "exponential"},
        "sampling": {"draws": 1000, "tune": 500, "chains": 4},
        **more,
    }


def _evidence(document: Mapping[str, Any], tables: Mapping[str, list[dict]]) -> tuple[Any, Any]:
    from bayes_bm.evidence import select
    from bayes_bm.spec import parse_spec
    from bayes_bm.tables import check_table

    spec = parse_spec(document, where="verify")
    return spec, select(
        spec, {kind: check_table(kind, pd.DataFrame(rows), where=kind) for kind, rows in tables.items()}
    )


def density() -> Iterator[Known]:
    """The model's log density at one point beside the sum of scipy's laws: patients, a count, a median, a ratio.

    Twice: PyMC's graph, and the compiled density that is sampled, with its gradient beside differences of the sum.
    """
    from bayes_bm.density.chains import log_density
    from bayes_bm.density.problem import problem
    from bayes_bm.model import build_model

    arms = [
        {"study": s, "arm": a, "treatment": a, "endpoint": "os", "n": 40}
        for s, a in (("p", "a"), ("p", "b"), ("m", "a"), ("o", "b"), ("c", "b"), ("s", "a"))
    ]
    keyed = {"endpoint": "os"}
    tables = {
        "arms": arms,
        "patients": [
            {"study": "p", "arm": arm, "treatment": arm, "time": time, "event": event}
            for arm, time, event in (("a", 4.0, 1), ("a", 15.0, 0), ("b", 9.0, 1), ("b", 22.0, 1))
        ],
        "medians": [
            {"study": "m", "arm": "a", **keyed, "median": 11.0, "ci_low": 8.0, "ci_high": 15.125},
            {"study": "o", "arm": "b", **keyed, "median": 14.0, "n": 40},
        ],
        "points": [
            {"study": "s", "arm": "a", **keyed, "time": 6.0, "survival": 0.75, "n": 40},
            {"study": "s", "arm": "a", **keyed, "time": 12.0, "survival": 0.5, "n": 40},
        ],
        "counts": [{"study": "c", "arm": "b", **keyed, "events": 17, "n": 40, "time": 9.0}],
        "hazard_ratios": [{"study": "h", **keyed, "treatment": "b", "reference": "a", "hr": 0.7, "se_log_hr": 0.2}],
    }
    spec, evidence = _evidence(
        _document(
            hazard={"family": "weibull"},
            priors={
                "intercept": {"dist": "normal", "mean": 0.0, "sd": 1.0, "why": "verify"},
                "log_hr": {"dist": "normal", "mean": 0.0, "sd": 1.0, "why": "verify"},
                "log_shape": {"dist": "normal", "mean": 0.0, "sd": 0.3, "why": "verify"},
            },
        ),
        tables,
    )
    point = {"intercept": 0.1, "log_hr": -0.4, "log_shape": 0.2}
    source = "scipy.stats, rules 5 to 8"
    expected = _by_scipy(**point)
    graph = build_model(spec, evidence).compile_logp(mode="FAST_COMPILE")
    found = graph({name: np.array([value] if name == "log_hr" else value) for name, value in point.items()})
    yield Known("log density, every kind of evidence", expected, float(found), 1e-7, source)
    at, data = problem(spec, evidence)
    x = np.zeros(len(point))
    x[[at.starts[name] for name in point]] = list(point.values())
    value, gradient = log_density(x, data)
    yield Known("the same, as sampled", expected, value, 1e-7, source)
    for name, here in point.items():
        ends = [_by_scipy(**(point | {name: here + step})) for step in (-1e-4, 1e-4)]
        yield Known(
            f"its derivative by {name}", (ends[1] - ends[0]) / 2e-4, float(gradient[at.starts[name]]), 1e-5, source
        )


def _by_scipy(intercept: float, log_hr: float, log_shape: float) -> float:
    """The log density of the tables of `density`."""
    k = np.exp(log_shape)
    laws: list[Any] = [stats.weibull_min(k, scale=T0 * np.exp(-eta / k)) for eta in (intercept, intercept + log_hr)]
    a, b = laws[0], laws[1]
    beta: Any = stats.beta(16.5, 16.5)
    normal: Any = stats.norm
    found = normal.logpdf([intercept, log_hr]).sum() + normal.logpdf(log_shape, 0, 0.3)
    found += a.logpdf(4.0) + a.logsf(15.0) + b.logpdf([9.0, 22.0]).sum()
    found += normal.logpdf(np.log(11.0), np.log(a.median()), np.log(15.125 / 8) / (2 * normal.ppf(0.975)))
    found += beta.logpdf(b.cdf(14.0)) + b.logpdf(14.0)
    # survival at 6 and 12 of 0.8 x 40: 24 of 32, then 16 of 0.8 x 40 x 0.75
    found += stats.binom.logpmf(24, 32, a.sf(6.0))
    size, alive, p = 24.0, 24.0 * 0.5 / 0.75, a.sf(12.0) / a.sf(6.0)
    found += special.gammaln(size + 1) - special.gammaln(alive + 1) - special.gammaln(size - alive + 1)
    found += alive * np.log(p) + (size - alive) * np.log1p(-p)
    found += stats.binom.logpmf(17, 40, b.cdf(9.0)) + normal.logpdf(np.log(0.7), log_hr, 0.2)
    return float(found)


def conjugate() -> Iterator[Known]:
    """Exponential survival under a flat prior: the rate is Gamma(deaths, time), its log has digamma and trigamma."""
    from bayes_bm.fit import fit

    rng = np.random.default_rng(5)
    rows = [
        {"study": "s", "arm": arm, "treatment": arm, "time": round(float(time), 3), "event": int(at % 4 > 0)}
        for arm, scale in (("a", 10.0), ("b", 16.0))
        for at, time in enumerate(rng.exponential(scale, 60) + 0.01)
    ]
    spec, evidence = _evidence(_document(), {"patients": rows})
    posterior = fit(spec, evidence, cores=1).posterior
    law = {}
    for arm in ("a", "b"):
        mine = [row for row in rows if row["arm"] == arm]
        dead, units = sum(row["event"] for row in mine), sum(row["time"] for row in mine) / T0
        law[arm] = float(special.digamma(dead) - np.log(units)), float(special.polygamma(1, dead))
    level, ratio = posterior["intercept"].to_numpy().ravel(), posterior["log_hr"].to_numpy().ravel()
    source = "log of Gamma(deaths, time at risk), closed form"
    expected = {
        "log rate": (law["a"][0], np.sqrt(law["a"][1]), level),
        "log hazard ratio": (law["b"][0] - law["a"][0], np.sqrt(law["a"][1] + law["b"][1]), ratio),
    }
    for name, (mean, sd, draws) in expected.items():
        # four Monte Carlo errors of 1,000 effective draws
        yield Known(f"sampler, {name}: mean", mean, float(draws.mean()), 4 * sd / np.sqrt(1000), source)
        yield Known(f"sampler, {name}: sd", float(sd), float(draws.std(ddof=1)), 4 * sd / np.sqrt(2 * 1000), source)


NETWORK = (("ab", "b", "a", -0.30, 0.20), ("ac", "c", "a", -0.50, 0.25), ("bc", "c", "b", 0.10, 0.15))


def network() -> Iterator[Known]:
    """A loop of three printed log hazard ratios: generalised least squares, and Bucher's direct less indirect."""
    from bayes_bm.checks.splitting import split_world
    from bayes_bm.fit import fit

    rows = [
        {
            "study": study,
            "endpoint": "os",
            "treatment": one,
            "reference": other,
            "hr": float(np.exp(y)),
            "se_log_hr": se,
        }
        for study, one, other, y, se in NETWORK
    ]
    free = {"exchangeable": False}
    document = _document(
        treatments={"reference": "a", "compare": ["b", "c"]}, effects={"study": free}, hazard={"family": "exponential"}
    )
    spec, evidence = _evidence(document, {"hazard_ratios": rows})
    posterior = fit(spec, evidence, cores=1).posterior["log_hr"]
    contrast = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 1.0]])
    y, weight = np.array([row[3] for row in NETWORK]), np.array([row[4] ** -2 for row in NETWORK])
    covariance = np.linalg.inv(contrast.T @ (weight[:, None] * contrast))
    mean = covariance @ contrast.T @ (weight * y)
    for at, name in enumerate("bc"):
        sd, draws = float(np.sqrt(covariance[at, at])), posterior.sel(treatment=name).to_numpy()
        tolerance = 4 * sd / np.sqrt(1000)
        yield Known(
            f"log HR of {name} v a", float(mean[at]), float(draws.mean()), tolerance, "generalised least squares"
        )
    changed, renamed, one, alias = split_world(spec, evidence, ("b", "a"))
    split = fit(changed, renamed, cores=1).posterior["log_hr"]
    gap = (split.sel(treatment=alias) - split.sel(treatment=one)).to_numpy().ravel()
    expected, sd = -0.30 - (-0.50 - 0.10), float(np.sqrt(0.20**2 + 0.25**2 + 0.15**2))
    tolerance = 4 * sd / np.sqrt(1000)
    yield Known("direct - indirect of b v a", expected, float(gap.mean()), tolerance, "Bucher et al. 1997")


# ---------------------------------------------------------------------------------------------- published

BASARAN = "Basaran 2025, J Neurooncol, doi 10.1007/s11060-025-05244-1 (rule 9)"
HR_TOLERANCE, MEDIAN_TOLERANCE = 0.06, 0.25


def _reproduced(name: str) -> Iterator[Known]:
    """What a `published_*` spec gives back beside what the abstract printed: the ratio, and the medians."""
    from bayes_bm.fit import fit
    from bayes_bm.predict import AverageStudy, compare
    from bayes_bm.spec import read_spec

    spec = read_spec(name)
    table = compare(fit(spec, cores=1), who=AverageStudy()).set_index(["estimand", "treatment"])["median"].to_dict()
    for check in spec.external_checks:
        found = float(table[check.estimand, check.treatment])
        if check.estimand == "hazard_ratio":
            label = f"{name}: HR {check.treatment} v {check.reference}"
            yield Known(label, check.value, found, HR_TOLERANCE, BASARAN)
        elif check.estimand == "median" and check.ci_low is not None and check.ci_high is not None:
            width = MEDIAN_TOLERANCE * (check.ci_high - check.ci_low)
            yield Known(f"{name}: median {check.treatment}", check.value, found, width, BASARAN)


def published_quick() -> Iterator[Known]:
    yield from _reproduced("published_os_reresection_vs_resrs")


def published() -> Iterator[Known]:
    yield from _reproduced("published_os_reresection_vs_nonsurgical")
    yield from _reproduced("published_os_extent_of_resection")


# ---------------------------------------------------------------------------------------------- simulated worlds


def recovered() -> Iterator[Known]:
    """A simulated world of the main model, 20 large studies: each parameter within 4 posterior sds of its truth."""
    from bayes_bm.fit import fit
    from bayes_bm.simulation.world import simulate
    from bayes_bm.spec import read_spec

    spec = read_spec("os_reresection_vs_resrs", changes={"covariates": {}})
    world = simulate(spec, seed=2026, studies=20, sizes=(100, 150))
    posterior = fit(world.spec, world.evidence(), cores=1, draws=500, tune=500).posterior
    true = world.truth["parameters"]
    named = {name: (true[name], posterior[name]) for name in ("intercept", "log_shape", "study_sd", "study_shape_sd")}
    named |= {
        f"log_hr[{name}]": (true["log_hr"][name], posterior["log_hr"].sel(treatment=name)) for name in true["log_hr"]
    }
    for name, (value, draws) in named.items():
        yield Known(name, value, float(draws.mean()), 4 * float(draws.std()), "the truth of the simulated world")


GROUPS: tuple[Group, ...] = (
    Group("hazard families", families),
    Group("averages over studies", averages),
    Group("maximum likelihood, R's survreg", survreg),
    Group("nonparametric, R's survfit", survfit),
    Group("reconstruction of drawn curves", reconstruction),
    Group("density of the model", density),
    Group("sampler, closed form", conjugate),
    Group("published, re-resection v re-SRS", published_quick),
    Group("published, others", published, quick=False),
    Group("network, closed form", network, quick=False),
    Group("simulated world", recovered, quick=False),
)
