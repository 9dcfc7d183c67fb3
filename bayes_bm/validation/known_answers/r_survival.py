"""Known answers of R's survival: survreg, survfit, and a curve rebuilt."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize

from bayes_bm.hazards import FAMILIES, Family, nonparametric
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.model import likelihoods
from bayes_bm.validation.known_answers.record import Known
from bayes_bm.validation.simulation.cox import cox_log_hr

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


def reconstruction() -> Iterator[Known]:
    """Simulated patients, drawn as a vector figure and rebuilt from the drawing: events and times are theirs."""
    from bayes_bm.reconstruction.reconstruct import reconstruct
    from bayes_bm.validation.simulation.curves import drawn, printed, varied

    for seed, (n, censoring) in enumerate(((40, "staggered"), (90, "dropout"), (150, "cut"))):
        time, event = varied(seed, n, censoring=censoring)
        printed_numbers = printed(time, event)
        rec = reconstruct(drawn(time, event, printed_numbers["axis_max"]), **printed_numbers)
        rebuilt = rec.patients.sort_values(["time", "event"])
        truth = pd.DataFrame({"time": time, "event": event}).sort_values(["time", "event"])
        name, source = f"{n} patients, {censoring}", "the simulated patients"
        yield Known(f"{name}: n", n, len(rebuilt), 0, source)
        yield Known(f"{name}: events", int(event.sum()), int(rebuilt["event"].sum()), 0, source)
        gap = np.abs(rebuilt["time"].to_numpy() - truth["time"].to_numpy()) if len(rebuilt) == n else np.array([np.inf])
        yield Known(f"{name}: largest error of a time", 0.0, float(gap.max()), 1e-6, source)
