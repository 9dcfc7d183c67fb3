"""Known answers of densities and conjugate posteriors."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import special, stats

from bayes_bm.validation.known_answers.r_survival import T0
from bayes_bm.validation.known_answers.record import Known


def model_document(**more: Any) -> dict[str, Any]:
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


def model_evidence(document: Mapping[str, Any], tables: Mapping[str, list[dict]]) -> tuple[Any, Any]:
    from bayes_bm.evidence.reading import select
    from bayes_bm.evidence.tables.checking import check_table
    from bayes_bm.spec.reading import parse_spec

    spec = parse_spec(document, where="verify")
    return spec, select(
        spec, {kind: check_table(kind, pd.DataFrame(rows), where=kind) for kind, rows in tables.items()}
    )


def density() -> Iterator[Known]:
    """The model's log density at one point beside the sum of scipy's laws: patients, a count, a median, a ratio.

    Twice: PyMC's graph, and the compiled density that is sampled, with its gradient beside differences of the sum.
    """
    from bayes_bm.inference.compiled.nutpie import log_density
    from bayes_bm.inference.compiled.packing import pack_problem
    from bayes_bm.model.model_inputs import prepare
    from bayes_bm.model.pymc_graph.build import build_model

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
    spec, evidence = model_evidence(
        model_document(
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
    source = "scipy.stats, see docs/decisions.md, 5 to 8"
    expected = _by_scipy(**point)
    graph = build_model(spec, evidence).compile_logp(mode="FAST_COMPILE")
    graph_value = graph({name: np.array([value] if name == "log_hr" else value) for name, value in point.items()})
    yield Known("log density, every kind of evidence", expected, float(graph_value), 1e-7, source)
    layout, data = pack_problem(prepare(spec, evidence))
    x = np.zeros(len(point))
    x[[layout.starts[name] for name in point]] = list(point.values())
    value, gradient = log_density(x, data)
    yield Known("the same, as sampled", expected, value, 1e-7, source)
    for name, here in point.items():
        ends = [_by_scipy(**(point | {name: here + step})) for step in (-1e-4, 1e-4)]
        yield Known(
            f"its derivative by {name}", (ends[1] - ends[0]) / 2e-4, float(gradient[layout.starts[name]]), 1e-5, source
        )


def _by_scipy(intercept: float, log_hr: float, log_shape: float) -> float:
    """The log density of the tables of `density`."""
    k = np.exp(log_shape)
    distributions: list[Any] = [
        stats.weibull_min(k, scale=T0 * np.exp(-eta / k)) for eta in (intercept, intercept + log_hr)
    ]
    a, b = distributions[0], distributions[1]
    beta: Any = stats.beta(16.5, 16.5)
    normal: Any = stats.norm
    total = normal.logpdf([intercept, log_hr]).sum() + normal.logpdf(log_shape, 0, 0.3)
    total += a.logpdf(4.0) + a.logsf(15.0) + b.logpdf([9.0, 22.0]).sum()
    total += normal.logpdf(np.log(11.0), np.log(a.median()), np.log(15.125 / 8) / (2 * normal.ppf(0.975)))
    total += beta.logpdf(b.cdf(14.0)) + b.logpdf(14.0)
    # survival at 6 and 12 of 0.8 x 40: 24 of 32, then 16 of 0.8 x 40 x 0.75
    total += stats.binom.logpmf(24, 32, a.sf(6.0))
    size, alive, p = 24.0, 24.0 * 0.5 / 0.75, a.sf(12.0) / a.sf(6.0)
    total += special.gammaln(size + 1) - special.gammaln(alive + 1) - special.gammaln(size - alive + 1)
    total += alive * np.log(p) + (size - alive) * np.log1p(-p)
    total += stats.binom.logpmf(17, 40, b.cdf(9.0)) + normal.logpdf(np.log(0.7), log_hr, 0.2)
    return float(total)


def conjugate() -> Iterator[Known]:
    """Exponential survival under a flat prior: the rate is Gamma(deaths, time), its log has digamma and trigamma."""
    from bayes_bm.inference.fit import fit

    rng = np.random.default_rng(5)
    rows = [
        {"study": "s", "arm": arm, "treatment": arm, "time": round(float(time), 3), "event": int(patient_index % 4 > 0)}
        for arm, scale in (("a", 10.0), ("b", 16.0))
        for patient_index, time in enumerate(rng.exponential(scale, 60) + 0.01)
    ]
    spec, evidence = model_evidence(model_document(), {"patients": rows})
    posterior = fit(spec, evidence, cores=1).posterior
    log_rates = {}
    for arm in ("a", "b"):
        arm_rows = [row for row in rows if row["arm"] == arm]
        dead, units = sum(row["event"] for row in arm_rows), sum(row["time"] for row in arm_rows) / T0
        log_rates[arm] = float(special.digamma(dead) - np.log(units)), float(special.polygamma(1, dead))
    level, ratio = posterior["intercept"].to_numpy().ravel(), posterior["log_hr"].to_numpy().ravel()
    source = "log of Gamma(deaths, time at risk), closed form"
    expected = {
        "log rate": (log_rates["a"][0], np.sqrt(log_rates["a"][1]), level),
        "log hazard ratio": (
            log_rates["b"][0] - log_rates["a"][0],
            np.sqrt(log_rates["a"][1] + log_rates["b"][1]),
            ratio,
        ),
    }
    for name, (mean, sd, draws) in expected.items():
        # four Monte Carlo errors of 1,000 effective draws
        yield Known(f"sampler, {name}: mean", mean, float(draws.mean()), 4 * sd / np.sqrt(1000), source)
        yield Known(f"sampler, {name}: sd", float(sd), float(draws.std(ddof=1)), 4 * sd / np.sqrt(2 * 1000), source)
