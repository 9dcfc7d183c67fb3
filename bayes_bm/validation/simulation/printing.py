"""What is printed of a synthetic arm: worked out from its patients, as a paper does, or drawn from the likelihoods.

From patients the whole chain is tried: Kaplan-Meier medians and survival with intervals on the log(-log) scale, Cox's
hazard ratio, crude counts. From the likelihoods (docs/decisions.md, 5-8) every row has exactly the law that the model
says it has, which is what simulation-based calibration needs (decision 20).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from bayes_bm.evidence import summary_statistics
from bayes_bm.hazards import nonparametric
from bayes_bm.hazards.nonparametric import StepCurve, kaplan_meier
from bayes_bm.spec.document import Spec
from bayes_bm.validation.simulation.cox import cox_log_hr
from bayes_bm.validation.simulation.mixed_arms import ArmCurve, PrintedMix, arm_curve
from bayes_bm.validation.simulation.patients import two_valued
from bayes_bm.validation.simulation.plan import ArmPlan
from bayes_bm.validation.simulation.truth import Truth

Row = dict[str, Any]
Rows = dict[str, list[Row]]
POINTS = (0.5, 1.0, 2.0)
"""Times at which survival is printed, in reference times."""
EARLIER = (0.25, 0.125, 0.0625)
"""And where too few are left by then."""
FEWEST = 5
"""Survival is printed while so many are at risk."""
Z = float(stats.norm.ppf(0.975))
NOT_ESTIMABLE = 5.0  # standard error of a log hazard ratio: with one death in an arm it is near 1, at infinity millions
LEVEL = 0.95


@dataclass(frozen=True)
class StudiedArm:
    """An arm with its patients: time, event and covariates, a row each."""

    plan: ArmPlan
    patients: pd.DataFrame

    @property
    def curve(self) -> StepCurve:
        return kaplan_meier(self.patients["time"], self.patients["event"])

    @property
    def median_follow_up(self) -> float:
        """Median of the reverse Kaplan-Meier estimate; the last time seen where it is not reached."""
        time, event = self.patients["time"], self.patients["event"]
        median = nonparametric.quantile(kaplan_meier(time, 1 - event))
        return float(median) if np.isfinite(median) else float(time.max())


def arm_row(spec: Spec, plan: ArmPlan, **more: Any) -> Row:
    named = {"study": plan.study, "arm": plan.arm, "treatment": plan.treatment, "endpoint": spec.endpoint}
    return {**named, "n": plan.n, **more}


def _key(spec: Spec, plan: ArmPlan) -> Row:
    return {"study": plan.study, "arm": plan.arm, "endpoint": spec.endpoint}


# ---------------------------------------------------------------------------------------------- from patients


def printed(spec: Spec, arms: Sequence[StudiedArm]) -> Rows:
    """Rows of every table. An arm known from printed numbers states its covariates; ratios are of like patients."""
    rows: Rows = {}
    for arm in arms:
        kind = arm.plan.kind
        if kind == "hazard_ratios":
            continue
        row = arm_row(spec, arm.plan, events=int(arm.patients["event"].sum()), followup=round(arm.median_follow_up, 2))
        case_mix = {} if kind == "patients" else stated(spec, arm.patients)
        rows.setdefault("arms", []).append({**row, **case_mix})
        rows.setdefault(kind, []).extend(_PRINTED[kind](spec, arm))
    for study in _by_study(arms, "hazard_ratios"):
        rows.setdefault("hazard_ratios", []).extend(_ratio(spec, study))
    return rows


def _by_study(arms: Sequence[Any], kind: str) -> list[list[Any]]:
    kind_arms = [arm for arm in arms if arm.plan.kind == kind]
    return [
        [arm for arm in kind_arms if arm.plan.study == study]
        for study in dict.fromkeys(arm.plan.study for arm in kind_arms)
    ]


def stated(spec: Spec, patients: pd.DataFrame) -> Row:
    """share_NAME of a two-valued covariate, mean_NAME and sd_NAME of another, as printed in a table of patients."""
    summary: Row = {}
    for name, term in spec.covariates.items():
        values = patients[name]
        if two_valued(term):
            summary[f"share_{name}"] = round(float(values.mean()), 4)
        else:
            summary |= {f"mean_{name}": round(float(values.mean()), 4), f"sd_{name}": round(float(values.std()), 4)}
    return summary


def some_covariates(spec: Spec, arms: Sequence[Row], probability: float, rng: np.random.Generator) -> list[Row]:
    """Arms rows of which each prints each covariate with a probability."""
    kept = []
    for arm in arms:
        left_out = {name for name in spec.covariates if rng.random() >= probability}
        columns = {f"{word}_{name}" for word in ("share", "mean", "sd") for name in left_out}
        kept.append({column: value for column, value in arm.items() if column not in columns})
    return kept


def _patients(spec: Spec, arm: StudiedArm) -> Iterator[Row]:
    named = {"study": arm.plan.study, "arm": arm.plan.arm, "treatment": arm.plan.treatment}
    for row in arm.patients.to_dict("records"):
        yield {**named, **{str(name): value for name, value in row.items()}}


def _points(spec: Spec, arm: StudiedArm) -> Iterator[Row]:
    curve = arm.curve
    t0, times = spec.reference_time, arm.patients["time"]
    shown = [multiple * t0 for multiple in POINTS if nonparametric.at_risk(times, multiple * t0) >= FEWEST]
    # where nearly everybody has died before the first, the latest earlier one at which enough are left
    earlier = [multiple * t0 for multiple in EARLIER if nonparametric.at_risk(times, multiple * t0) >= FEWEST]
    for time in shown or earlier[:1] or [EARLIER[-1] * t0]:
        survival = round(float(curve(time)), 4)
        yield {**_key(spec, arm.plan), "time": time, "survival": survival, "n": arm.plan.n} | (
            _interval_at(curve, time, survival) if arm.plan.interval else {}
        )


def _interval_at(curve: StepCurve, time: float, survival: float) -> Row:
    """Interval on the log(-log) scale with Greenwood's variance; none where everybody or nobody is left."""
    step = int(np.searchsorted(curve.time, time, side="right")) - 1
    if step < 0 or not 0 < survival < 1 or not 0 < curve.survival[step] < 1:
        return {}
    s, se = curve.survival[step], curve.se[step]
    half = Z * se / (s * -np.log(s))
    low, high = (s ** np.exp(sign * half) for sign in (1, -1))
    return {"ci_low": min(round(float(low), 4), survival), "ci_high": max(round(float(high), 4), survival)}


def _medians(spec: Spec, arm: StudiedArm) -> Iterator[Row]:
    curve = arm.curve
    median = nonparametric.quantile(curve)
    row = {**_key(spec, arm.plan), "median": median if np.isfinite(median) else None, "n": arm.plan.n}
    yield row | (_interval_of_median(curve, median) if arm.plan.interval and np.isfinite(median) else {})


def _interval_of_median(curve: StepCurve, median: float) -> Row:
    """Brookmeyer and Crowley: times at which the interval of S on the log(-log) scale holds one half."""
    estimable = (curve.survival > 0) & (curve.survival < 1) & (curve.se > 0)
    s = np.where(estimable, curve.survival, 0.5)
    half = Z * np.where(estimable, curve.se, 1.0) / (s * -np.log(s))
    low = np.where(estimable, s ** np.exp(half), curve.survival)
    high = np.where(estimable, s ** np.exp(-half), curve.survival)
    first, last = curve.time[low <= 0.5], curve.time[high <= 0.5]
    lower = min(float(first[0]), median) if len(first) else median
    if not len(last):
        # an upper limit that is not reached is left blank; a lower limit at the median would have no width
        return {"ci_low": lower} if lower < median else {}
    upper = float(last[0])
    return {"ci_low": lower, "ci_high": upper} if lower < upper else {}


def _counts(spec: Spec, arm: StudiedArm) -> Iterator[Row]:
    time = spec.reference_time
    dead = int(((arm.patients["time"] <= time) & (arm.patients["event"] == 1)).sum())
    yield {**_key(spec, arm.plan), "events": dead, "n": arm.plan.n, "time": time}


_PRINTED = {"patients": _patients, "points": _points, "medians": _medians, "counts": _counts}


def _ratio(spec: Spec, study: Sequence[StudiedArm]) -> Iterator[Row]:
    """Cox's hazard ratio of the second arm against the first, the reference, with its interval.

    Nothing where it is infinite, as when nobody dies in one arm: no paper prints that.
    """
    other, one = study
    time, event = (np.concatenate([arm.patients[name] for arm in study]) for name in ("time", "event"))
    group = np.repeat([0, 1], [len(other.patients), len(one.patients)])
    cox = cox_log_hr(time, event, group)
    if cox.se > NOT_ESTIMABLE:
        return
    hr, half = np.exp(cox.log_hr), Z * cox.se
    named = {"study": one.plan.study, "endpoint": spec.endpoint}
    named |= {"treatment": one.plan.treatment, "reference": other.plan.treatment}
    limits = {"ci_low": hr * np.exp(-half), "ci_high": hr * np.exp(half)}
    more = {"adjusted_for": "; ".join(spec.covariates)} if spec.covariates else {}
    printed = {k: float(v) for k, v in limits.items()}
    yield {**named, "hr": float(hr), **printed, "followup": one.plan.follow_up, **more}


# ---------------------------------------------------------------------------------------------- from the likelihoods


def whole_share(spec: Spec, n: int) -> int:
    """The next n of which the effective share is a whole number, so that the binomials of decision 5 are exact."""
    a = spec.evidence.effective_share.value
    return next((m for m in range(n, n + 100) if abs(a * m - round(a * m)) < 1e-9), n)


def drawn(
    spec: Spec,
    truth: Truth,
    arms: Sequence[StudiedArm],
    rng: np.random.Generator,
    mixes: Mapping[tuple[str, str], PrintedMix] | None = None,
) -> Rows:
    """Rows of every table, each from the law of decisions 5 to 8 under the truth; patients as they are.

    Arms known from printed numbers are averaged over their mix, by study and arm, and print of it what it says; without
    one they state no covariates and stand at their centres, as the law has it.
    """
    rows: Rows = {}
    for arm in arms:
        mix = None if mixes is None else mixes[arm.plan.key]
        if arm.plan.kind != "hazard_ratios":
            # points that are drawn know no follow-up (decision 5); a median that is not reached needs it
            followup = None if arm.plan.kind == "points" else arm.plan.follow_up
            columns = {} if mix is None else mix.columns
            rows.setdefault("arms", []).append(arm_row(spec, arm.plan, followup=followup, **columns))
        if arm.plan.kind == "patients":
            rows.setdefault("patients", []).extend(_patients(spec, arm))
        elif arm.plan.kind in _DRAWN:
            curve = arm_curve(truth, arm.plan, None if mix is None else mix.laws)
            rows.setdefault(arm.plan.kind, []).extend(_DRAWN[arm.plan.kind](spec, curve, arm.plan, rng))
    for study in _by_study(arms, "hazard_ratios"):
        rows.setdefault("hazard_ratios", []).append(_drawn_ratio(spec, truth, study, rng))
    return rows


def _drawn_points(spec: Spec, curve: ArmCurve, plan: ArmPlan, rng: np.random.Generator) -> Iterator[Row]:
    """Decision 5 with n only: y_1 of a n, y_2 of y_1, and so on, so that every size m_k = a n S_(k-1) is whole."""
    alive = whole = round(spec.evidence.effective_share.value * plan.n)
    previous_dead = 0.0
    for time in (multiple * spec.reference_time for multiple in POINTS):
        dead = curve.dead_by(time)
        alive = int(rng.binomial(alive, (1 - dead) / (1 - previous_dead)))
        yield {**_key(spec, plan), "time": time, "survival": alive / whole, "n": plan.n}
        if alive == 0:
            return
        previous_dead = dead


def _drawn_medians(spec: Spec, curve: ArmCurve, plan: ArmPlan, rng: np.random.Generator) -> Iterator[Row]:
    """Decision 6: normal on the log, with the sd of an exponential curve of n; or F(m) ~ Beta, blank beyond
    follow-up.
    """
    n, row = plan.n, _key(spec, plan)
    if plan.interval:
        sd = 1 / (np.log(2) * np.sqrt(spec.evidence.effective_share.value * n))
        median = curve.time_of(0.5) * np.exp(sd * rng.standard_normal())
        half = np.exp(Z * sd)
        yield {**row, "median": median, "ci_low": median / half, "ci_high": median * half, "n": n}
        return
    alpha = summary_statistics.beta_size(n, spec.evidence.effective_share.value)
    median = curve.time_of(float(rng.beta(alpha, alpha)))
    yield {**row, "median": median if median <= plan.follow_up else None, "n": n}


def _drawn_counts(spec: Spec, curve: ArmCurve, plan: ArmPlan, rng: np.random.Generator) -> Iterator[Row]:
    dead = rng.binomial(plan.n, curve.dead_by(spec.reference_time))
    yield {**_key(spec, plan), "events": int(dead), "n": plan.n, "time": spec.reference_time}


_DRAWN = {"points": _drawn_points, "medians": _drawn_medians, "counts": _drawn_counts}


def _drawn_ratio(spec: Spec, truth: Truth, study: Sequence[StudiedArm], rng: np.random.Generator) -> Row:
    """Decision 7: normal on the log with variance 4 / (two thirds of everybody), about the study's own ratio."""
    other, one = (arm.plan for arm in study)
    mean = truth.arm(one.study, one.treatment)[0] - truth.arm(other.study, other.treatment)[0]
    se = float(np.sqrt(4 / (2 / 3 * (one.n + other.n))))
    named = {"study": one.study, "endpoint": spec.endpoint, "treatment": one.treatment, "reference": other.treatment}
    more = {"adjusted_for": "; ".join(spec.covariates)} if spec.case_mixes else {}
    return {**named, "hr": float(np.exp(mean + se * rng.standard_normal())), "se_log_hr": se, **more}


# ---------------------------------------------------------------------------------------------- ratios of covariates


def prognostic_ratios(
    spec: Spec, truth: Truth, studies: int, sizes: tuple[int, int], rng: np.random.Generator
) -> dict[str, list[Row]]:
    """Adjusted ratios of one scale of every covariate from so many studies (decision 24); none without [prognosis].

    The standard error is that of a ratio between equal halves, of whom two thirds have died.
    """
    if spec.prognosis is None or not spec.covariates:
        return {}
    draws, names = truth.result.predictors.draws, list(spec.covariates)
    rows: list[Row] = []
    for study in range(studies):
        n = round(np.exp(rng.uniform(*np.log(sizes))))
        outside = spec.prognosis.transport_sd is not None and study % 2 == 1
        se = float(np.sqrt(4 / (2 / 3 * n)))
        mean = draws.coefficient[0] + outside * draws.transport[0]
        log_hr = mean + draws.prognosis_sd[0] * rng.standard_normal(len(names)) + se * rng.standard_normal(len(names))
        for name, value in zip(names, log_hr, strict=True):
            named = {"study": f"prognosis {study + 1}", "covariate": name, "endpoint": spec.endpoint}
            setting = "external" if outside else "same"
            rows.append(
                {**named, "hr": float(np.exp(value)), "se_log_hr": se, "per": spec.covariates[name].scale}
                | {"n": n, "population": setting, "adjusted_for": "; ".join(names)}
            )
    return {"prognostic_ratios": rows} if rows else {}
