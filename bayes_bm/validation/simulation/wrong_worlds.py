"""Worlds in which an assumption of the model is wrong, by name: what is changed, and where.

Those that strike one study take the largest that fits, side by side where there is a choice: an error that can be seen
at all should be seen there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.document import Spec
from bayes_bm.spec.priors import Normal
from bayes_bm.validation.simulation.printing import Rows, StudiedArm
from bayes_bm.validation.simulation.truth import Truth

WEEKS_PER_MONTH = 365.25 / 12 / 7
IMMORTAL = 1 / 4
"""Reference times that patients of compared treatments had to survive to be counted."""
GUARANTEE = 1 / 3
"""Reference times in which nobody dies in the study of the guarantee period."""
MILD = 0.35
"""Difference in log shape by which hazards are not proportional."""
CROSSING = 0.8
"""Difference in log shape by which hazards cross."""
VARIED = 0.7
"""Distance of each study's log shape from zero, up or down."""
EARLY = 0.57
"""Share of every time of an arm that is left where its level is broken: a median of 1.7 in place of 3.0."""
STEEP = 2.0
"""What the shape of an arm is multiplied by where its shape is broken."""
INFORMED = 0.4
"""Share of deaths that are lost before they happen."""
CONFOUNDED = 0.4
"""By how much the share of every other covariate differs between the levels that a crude ratio compares."""

Arms = list[StudiedArm]


@dataclass(frozen=True)
class Wrong:
    """`truth` changes parameters and effects, `patients` what happens to them, `rows` what is printed at last."""

    name: str
    text: str
    truth: Callable[[Truth, np.random.Generator], Truth] | None = None
    patients: Callable[[Spec, Arms, np.random.Generator, "Redraw"], Arms] | None = None
    rows: Callable[[Spec, Arms, Rows], Rows] | None = None


Redraw = Callable[[StudiedArm, float], StudiedArm]
"""The same arm with fresh patients who all survived to a time."""


# ---------------------------------------------------------------------------------------------- truth


def _treatment_shape(truth: Truth, log_shape_difference: float, **fixed: float) -> Truth:
    """Compared treatments differ from the reference in shape: hazards are not proportional."""
    posterior, effect = truth.result.posterior, truth.spec.hazard.treatment_effect
    if truth.spec.hazard.varies is None:
        raise InputError("wrong", found=f"family {truth.spec.hazard.family}", allowed="a family with a shape parameter")
    changed = posterior.assign(treatment_log_shape=posterior[effect] * 0 + log_shape_difference)
    changed = changed.assign({name: changed[name] * 0 + value for name, value in fixed.items()})
    prior = Normal(dist="normal", mean=log_shape_difference, sd=1.0, why="a wrong world: treatments differ in shape")
    spec = truth.spec.model_copy(update={"priors": truth.spec.priors.model_copy(update={"treatment_log_shape": prior})})
    return replace(truth, result=replace(truth.result, posterior=changed, spec=spec))


def _non_proportional(truth: Truth, rng: np.random.Generator) -> Truth:
    return _treatment_shape(truth, MILD)


def _crossing(truth: Truth, rng: np.random.Generator) -> Truth:
    return _treatment_shape(truth, CROSSING, **{truth.spec.hazard.treatment_effect: 0.0})


def _heterogeneous(truth: Truth, rng: np.random.Generator) -> Truth:
    signs = rng.permutation(np.resize([-1.0, 1.0], len(truth.shape)))
    return replace(truth, shape={study: VARIED * sign for study, sign in zip(truth.shape, signs.tolist(), strict=True)})


# ---------------------------------------------------------------------------------------------- patients


def _immortal(spec: Spec, arms: Arms, rng: np.random.Generator, redraw: Redraw) -> Arms:
    survived, reference = IMMORTAL * spec.reference_time, spec.treatments.reference
    return [redraw(arm, survived) if arm.plan.treatment != reference else arm for arm in arms]


def _guarantee(spec: Spec, arms: Arms, rng: np.random.Generator, redraw: Redraw) -> Arms:
    study = _largest(arms, "patients", "guarantee_period")
    survived = GUARANTEE * spec.reference_time
    return [redraw(arm, survived) if arm.plan.study == study else arm for arm in arms]


def _one_arm_level(spec: Spec, arms: Arms, rng: np.random.Generator, redraw: Redraw) -> Arms:
    return _one_arm(spec, arms, "one_arm_level", lambda time: EARLY * time)


def _one_arm_shape(spec: Spec, arms: Arms, rng: np.random.Generator, redraw: Redraw) -> Arms:
    reference_time = spec.reference_time
    return _one_arm(spec, arms, "one_arm_shape", lambda time: reference_time * (time / reference_time) ** (1 / STEEP))


def _one_arm(spec: Spec, arms: Arms, name: str, change: Callable[[pd.Series], pd.Series]) -> Arms:
    """Change every time of the compared arm of the largest study with patients of two treatments."""
    study = _largest(arms, "patients", name, side_by_side=True)
    compared = max(arm.plan.treatment for arm in arms if arm.plan.study == study and _is_compared(spec, arm))
    return [
        replace(arm, patients=arm.patients.assign(time=np.maximum(change(arm.patients["time"]).round(2), 0.01)))
        if (arm.plan.study, arm.plan.treatment) == (study, compared)
        else arm
        for arm in arms
    ]


def _is_compared(spec: Spec, arm: StudiedArm) -> bool:
    return arm.plan.treatment != spec.treatments.reference


def _informative(spec: Spec, arms: Arms, rng: np.random.Generator, redraw: Redraw) -> Arms:
    return [replace(arm, patients=_lost_before_death(arm.patients, rng)) for arm in arms]


def _lost_before_death(patients: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """A share of those who would have died are lost in the last third of their time, and count as censored."""
    lost = (patients["event"] == 1) & (rng.random(len(patients)) < INFORMED)
    earlier = np.maximum((patients["time"] * rng.uniform(2 / 3, 1, len(patients))).round(2), 0.01)
    return patients.assign(
        time=np.where(lost, earlier, patients["time"]), event=np.where(lost, 0, patients["event"]).astype(int)
    )


# ---------------------------------------------------------------------------------------------- rows


def _swapped(spec: Spec, arms: Arms, rows: Rows) -> Rows:
    study = _largest(arms, None, "swapped_arms", side_by_side=True)
    held = sorted({arm.plan.treatment for arm in arms if arm.plan.study == study})
    other = dict(zip(held, reversed(held), strict=True))
    return {
        kind: [_relabelled(row, other) if row["study"] == study else row for row in table]
        for kind, table in rows.items()
    }


def _relabelled(row: Mapping[str, Any], other: Mapping[str, str]) -> dict[str, Any]:
    return {**row, **{side: other[row[side]] for side in ("treatment", "reference") if side in row}}


TIMES = ("time", "median", "ci_low", "ci_high", "followup")


def _weeks(spec: Spec, arms: Arms, rows: Rows) -> Rows:
    study = _largest(arms, "patients", "wrong_units")

    def longer(kind: str, row: Mapping[str, Any]) -> dict[str, Any]:
        times = [name for name in TIMES if name in row and not (kind == "points" and name.startswith("ci_"))]
        return {**row, **{name: row[name] * WEEKS_PER_MONTH for name in times if row[name] is not None}}

    return {
        kind: [longer(kind, row) if row["study"] == study else row for row in table] for kind, table in rows.items()
    }


def _ratio_turned(spec: Spec, arms: Arms, rows: Rows) -> Rows:
    struck = _struck_ratio(rows, "ratio_turned")
    return _replaced(rows, RATIOS, struck, {"hr": 1 / struck["hr"]})


def _crude_ratio(spec: Spec, arms: Arms, rows: Rows) -> Rows:
    """To first order a crude log ratio holds those of the other covariates, as far as their shares differ."""
    struck = _struck_ratio(rows, "crude_ratio")
    others = [row for row in rows[RATIOS] if row["study"] == struck["study"] and row is not struck]
    return _replaced(rows, RATIOS, struck, {"hr": struck["hr"] * np.prod([row["hr"] for row in others]) ** CONFOUNDED})


def _share_turned(spec: Spec, arms: Arms, rows: Rows) -> Rows:
    struck = _struck_share(rows, "share_turned")
    shares = {name: struck[name] for name in _share_columns(struck)}
    name = max(shares, key=lambda column: abs(shares[column] - 0.5))
    return _replaced(rows, "arms", struck, {name: 1 - shares[name]})


def _replaced(rows: Rows, kind: str, struck: Mapping[str, Any], changed: Mapping[str, Any]) -> Rows:
    return {**rows, kind: [{**row, **changed} if row is struck else row for row in rows[kind]]}


RATIOS = "prognostic_ratios"


def _struck_ratio(rows: Rows, name: str) -> Mapping[str, Any]:
    """The adjusted ratio farthest from 1 of the study with most patients: where an error can be seen at all."""
    ratios = rows.get(RATIOS, [])
    if not ratios:
        needed = "a spec with covariates and [prognosis], and studies that print ratios"
        raise InputError(f"wrong = {name}", found="no ratio of a covariate in this world", allowed=needed)
    return max(ratios, key=lambda row: (row["n"], row["study"], abs(np.log(row["hr"]))))


def _struck_share(rows: Rows, name: str) -> Mapping[str, Any]:
    """The arm with most patients of those that print a share."""
    printing = [row for row in rows.get("arms", []) if _share_columns(row)]
    if not printing:
        needed = "a spec with a two-valued covariate, and arms that print shares"
        raise InputError(f"wrong = {name}", found="no arm prints a share in this world", allowed=needed)
    return max(printing, key=lambda row: (row["n"], row["study"], row["arm"]))


def _share_columns(row: Mapping[str, Any]) -> list[str]:
    return [name for name in row if name.startswith("share_")]


def _largest(arms: Sequence[StudiedArm], kind: str | None, name: str, *, side_by_side: bool = False) -> str:
    """The study with most patients of a kind (the first kind where several do), side by side where asked."""
    order = [kind] if kind else ["patients", "points", "medians", "hazard_ratios", "counts"]
    for wanted in order:
        plans = [arm.plan for arm in arms if arm.plan.kind == wanted]
        size = {
            study: [plan.n for plan in plans if plan.study == study] for study in dict.fromkeys(p.study for p in plans)
        }
        fits = {study: sum(ns) for study, ns in size.items() if len(ns) > 1 or not side_by_side}
        if fits:
            return max(fits, key=lambda study: (fits[study], study))
    needed = f"a study with {kind or 'two arms'}"
    raise InputError(f"wrong = {name}", found="no such study in this world", allowed=needed, hint="change the mix")


WRONG: Mapping[str, Wrong] = {
    world.name: world
    for world in (
        Wrong(
            "immortal_time",
            "compared treatments count only who survived a quarter of the reference time, unsaid",
            patients=_immortal,
        ),
        Wrong(
            "non_proportional_hazards", f"compared treatments differ in log shape by {MILD}", truth=_non_proportional
        ),
        Wrong(
            "informative_censoring",
            f"{INFORMED:.0%} of deaths are lost in the last third of their time",
            patients=_informative,
        ),
        Wrong("heterogeneous_shapes", f"log shapes of studies are +{VARIED} or -{VARIED}", truth=_heterogeneous),
        Wrong("swapped_arms", "the largest side-by-side study has its treatments exchanged", rows=_swapped),
        Wrong("wrong_units", "the largest study with patients gives weeks as if they were months", rows=_weeks),
        Wrong(
            "guarantee_period",
            "in the largest study with patients nobody dies in the first third of the reference time",
            patients=_guarantee,
        ),
        Wrong(
            "one_arm_level",
            f"in the largest study with patients of both, the compared arm's times are {EARLY} of what they are",
            patients=_one_arm_level,
        ),
        Wrong(
            "one_arm_shape",
            f"in the largest study with patients of both, the compared arm's shape is {STEEP:g} times what it is",
            patients=_one_arm_shape,
        ),
        Wrong("crossing_hazards", f"log HR 0 at the reference time, log shapes differ by {CROSSING}", truth=_crossing),
        Wrong(
            "ratio_turned",
            "the largest study with ratios of covariates has the one farthest from 1 the wrong way round",
            rows=_ratio_turned,
        ),
        Wrong(
            "share_turned",
            "the largest arm that prints shares has the one farthest from a half for the other level",
            rows=_share_turned,
        ),
        Wrong(
            "crude_ratio",
            f"the ratio that `ratio_turned` strikes is crude: shares of other covariates differ by {CONFOUNDED} between"
            " its levels",
            rows=_crude_ratio,
        ),
    )
}


def wrong_world(name: str) -> Wrong:
    if name not in WRONG:
        raise InputError("wrong", found=name, allowed=", ".join(WRONG))
    return WRONG[name]


MIXED = ("ratio_turned", "share_turned", "crude_ratio")
"""Those that need printed ratios of covariates, or printed shares."""


def struck_study(name: str, arms: Sequence[StudiedArm], rows: Rows) -> str | None:
    """The study that a wrong world strikes alone; None where it strikes all. `rows` are those before it strikes."""
    if name in MIXED:
        return str((_struck_share if name == "share_turned" else _struck_ratio)(rows, name)["study"])
    where: dict[str, tuple[str | None, bool]] = {
        "swapped_arms": (None, True),
        "wrong_units": ("patients", False),
        "guarantee_period": ("patients", False),
        "one_arm_level": ("patients", True),
        "one_arm_shape": ("patients", True),
    }
    if name not in where:
        return None
    kind, side_by_side = where[name]
    return _largest(arms, kind, name, side_by_side=side_by_side)
