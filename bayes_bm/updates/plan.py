"""What would settle it: designs of future studies, simulated from the posterior and read back by importance weights.

For each future a posterior draw is the truth; it gets study effects of its own, the study is simulated, and every
posterior draw is weighed by the density of what the study prints, the study's effects integrated out (`proposals`).
Where those weights are too uneven (Pareto k above 0.7), the studies' quadratics take the place of their likelihoods
(two stages), and where these weights are uneven too, the answers are updated as normals. Each row says how often.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayes_bm.checks.pareto_smoothing import HIGH_K, pareto_smoothed
from bayes_bm.checks.study_likelihood import require_population
from bayes_bm.estimands.who import NewStudy, Who, as_who
from bayes_bm.inference.result import Result
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.progress import each
from bayes_bm.runtime.random_stages import RandomStage, random_stream
from bayes_bm.runtime.types import Array, Progress
from bayes_bm.updates.answers import Answers, read_answers
from bayes_bm.updates.curve_of import KnownStudy, known_study
from bayes_bm.updates.designs import Design, check_designs, planned_studies
from bayes_bm.updates.future_study import FutureStudy, Numbers, future_study
from bayes_bm.updates.proposals import find_site, log_weight_by_likelihood, log_weight_by_site
from bayes_bm.updates.updated import LIKELIHOOD, METHODS, TWO_STAGE, Updated, normal_update, weighted_update
from bayes_bm.updates.value import parts_of_value

FUTURES = 100
"""Studies simulated of each design and size: a probability of a half is then known to 0.05."""
DRAWS = 2000
"""Posterior draws that are weighed."""
FEW_STUDIES = 3
"""Studies of a design whose likelihoods are computed; of more the noise of their effects adds up, and quadratics do."""
SIZES = (0.5, 1.0, 2.0)
"""How many times the patients (or, of several studies, the studies) of each design."""
MARGIN = 0.9
"""Ratio of hazards (its inverse, of times) beyond which a treatment is better by a margin."""
SETTLED = 0.95
"""Posterior probability of better by the margin that counts as settled."""
COLUMNS = (
    *("design", "treatment", "reference", "n", "studies", "width_now", "expected_width", "width_mcse"),
    *("prob_excludes_1", "prob_better_by_margin", "prob_worse_by_margin", "prob_mcse"),
    *("expected_gain", "gain_mcse", "method", "pareto_k", "share_by_weights", "futures"),
)


@dataclass(frozen=True)
class Plan:
    """Hold what each design is expected to settle, and what any knowledge would be worth.

    Attributes
    ----------
    table : pandas.DataFrame
        A row a design, size and contrast: n (patients), studies; width_now and expected_width of the interval of
        the log ratio; prob_excludes_1; prob_better_by_margin and prob_worse_by_margin, that the posterior probability
        of a ratio beyond the margin exceeds 0.95; expected_gain, the utility gained by deciding with the study; Monte
        Carlo errors; the most frequent method (weights, two-stage, normal), the median pareto_k of the futures and the
        share of them updated by weights of the likelihood.
    value : pandas.DataFrame
        Expected gain, per patient, of knowing everything and of knowing parts of the parameters: part, gain.
    utility : str
        What is gained, in words.

    Examples
    --------
    >>> import pandas as pd
    >>> import bayes_bm as bb
    >>> table = pd.DataFrame({"design": ["trial", "trial"], "n": [60, 120]})
    >>> planned = bb.Plan(table, pd.DataFrame(), "months", 0.9, ("A trial would halve the interval.",))
    >>> planned.kept("digest")["sentence"].notna().tolist()
    [True, False]
    """

    table: pd.DataFrame
    value: pd.DataFrame
    utility: str
    margin: float
    sentences: tuple[str, ...]

    def kept(self, model: str) -> pd.DataFrame:
        """Return the table with the sentence of each design in its first row, and a digest of the model behind it."""
        first = ~self.table.duplicated("design")
        sentence = pd.Series(pd.NA, index=self.table.index, dtype=object)
        sentence[first] = list(self.sentences)
        return self.table.assign(sentence=sentence, model=model)


def plan(
    result: Result,
    designs: Sequence[Design | Mapping[str, Any]],
    *,
    sizes: Sequence[float] = SIZES,
    futures: int = FUTURES,
    margin: float = MARGIN,
    horizon: float | None = None,
    who: Who | str | None = None,
    seed: int | None = None,
    say: Progress = lambda stage: None,
    where: str = "designs",
) -> Plan:
    """Return what future studies would settle: width of intervals, probabilities, and time gained, against their size.

    Parameters
    ----------
    result : Result
        A fit whose studies are a sample from a population of studies.
    designs : sequence of Design or mapping
        `name`, `arms` (patients by treatment) or `curve_of`, and what `updates.designs.Design` says.
    sizes : sequence of float
        Each design is tried at so many times its patients, or its studies where it has several.
    futures : int
        Studies simulated of each design and size.
    margin : float
        A treatment is better by the margin where its hazard ratio is below it (time ratio above its inverse).
    horizon : float, optional
        The utility is the restricted mean to this time; by default the spec's horizon.
    who : Who or str, optional
        In whom: by default `NewStudy()`.
    seed : int, optional
        By default the spec's.
    say : callable, optional
        Is called with a line of text as each design is done.
    where : str
        What a message about a design names as its place.

    Returns
    -------
    Plan
        The table, the value of knowing, and a sentence a design.

    Raises
    ------
    InputError
        For designs that the result does not know, and for free study levels or shapes, of which no new study is drawn.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> result = bb.fit(bb.read_spec("published_os_extent_of_resection"), draws=200, tune=300)
    >>> trial = {"name": "trial", "arms": {"gtr": 100, "str": 100}, "followup": 24}
    >>> planned = bb.plan(result, [trial], sizes=[1], futures=20)
    >>> bool(planned.table["expected_width"][0] < planned.table["width_now"][0])
    True
    """
    _check_call(result, sizes, futures, margin)
    chosen = check_designs(result, designs, where)
    thin = result.thinned(DRAWS)
    asked = as_who(who, NewStudy())
    answers = read_answers(thin, asked, horizon)
    rows: list[dict[str, Any]] = []
    planned = [
        (number, design.scaled(factor))
        for number, design in enumerate(chosen)
        for factor in ((1.0,) if design.curve_of else sizes)
    ]
    for number, scaled in each(planned, "plan"):
        rng = random_stream(result.spec.seed if seed is None else seed, RandomStage.PLANNED_STUDIES, number)
        updates = simulated_updates(thin, scaled, answers, futures, rng)
        rows += list(_rows(scaled, answers, updates, margin, thin))
        say(f"{scaled.name}, {rows[-1]['n']} patients: {rows[-1]['method']}")
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    value = parts_of_value(thin, answers.utility)
    return Plan(table, value, answers.words, margin, tuple(_sentences(table, answers)))


def _check_call(result: Result, sizes: Sequence[float], futures: int, margin: float) -> None:
    require_population(result)
    result.require_one_target("plan", differ="patients", hint="result.of_imputation(1)")
    if not sizes or not all(0.01 <= size <= 100 for size in sizes):
        raise InputError("sizes", found=", ".join(map(str, sizes)) or "nothing", allowed="numbers from 0.01 to 100")
    if not 10 <= futures <= 10_000:
        raise InputError("futures", found=futures, allowed="10 to 10000")
    if not 0 < margin <= 1:
        raise InputError("margin", found=margin, allowed="above 0, at most 1 (a hazard ratio)")


# ---------------------------------------------------------------------------------------------- one design


def simulated_updates(
    result: Result, design: Design, answers: Answers, futures: int, rng: np.random.Generator
) -> list[Updated]:
    """Return what the answers become in each simulated future of one design."""
    samples = answers.log_ratio.shape[0]
    places = rng.integers(samples, size=futures)
    if design.curve_of is not None:
        known = known_study(result, design)
        return [_replaced(known, numbers, answers) for numbers in known.simulated(places, rng)]
    studies = _distinct_studies(result, design, rng)
    drawn = [_drawn(study, places, rng) for study in studies]
    return [_one_future(studies, [one[future] for one in drawn], answers, rng) for future in range(futures)]


def _distinct_studies(result: Result, design: Design, rng: np.random.Generator) -> list[FutureStudy]:
    """Return every planned study; those of the same arms share how they are read."""
    planned = planned_studies(design)
    made = {arms: future_study(result, design, arms, rng) for arms in dict.fromkeys(planned)}
    return [made[arms] for arms in planned]


Drawn = tuple[Numbers, Array]


def _drawn(study: FutureStudy, places: Array, rng: np.random.Generator) -> list[Drawn]:
    """Numbers of each future with the coordinates they were drawn at."""
    scores = rng.standard_normal((len(places), study.factor.shape[2]))
    coordinates = np.einsum("sck,sk->sc", study.factor[places], scores)
    about_mean = coordinates + (study.base - study.base.mean(axis=0))[places]
    return list(zip(study.simulated(places, coordinates, rng), about_mean, strict=True))


def _one_future(
    studies: Sequence[FutureStudy], drawn: Sequence[Drawn], answers: Answers, rng: np.random.Generator
) -> Updated:
    sites = [(study, find_site(study, *one)) for study, one in zip(studies, drawn, strict=True)]
    k = np.inf
    if len(studies) <= FEW_STUDIES:
        by_likelihood = sum(
            log_weight_by_likelihood(study, numbers, site, rng)
            for (study, site), (numbers, _) in zip(sites, drawn, strict=True)
        )
        smooth, k = pareto_smoothed(np.asarray(by_likelihood))
        if k <= HIGH_K:
            return weighted_update(answers, smooth, k, LIKELIHOOD)
    smooth, other_k = pareto_smoothed(np.sum([log_weight_by_site(*site) for site in sites], axis=0))
    if other_k <= HIGH_K:
        return weighted_update(answers, smooth, other_k, TWO_STAGE)
    return normal_update(answers, sites, min(k, other_k))


def _replaced(known: KnownStudy, numbers: Numbers, answers: Answers) -> Updated:
    smooth, k = pareto_smoothed(known.log_weight(numbers))
    return weighted_update(answers, smooth, k, LIKELIHOOD)


# ---------------------------------------------------------------------------------------------- rows


def _rows(
    design: Design, answers: Answers, updates: Sequence[Updated], margin: float, result: Result
) -> list[dict[str, Any]]:
    interval = np.array([[one.low, one.high] for one in updates])
    width, count = interval[:, 1] - interval[:, 0], len(updates)
    better = np.array([one.beyond(np.log(margin)) for one in updates])
    # against the treatment that is best now: its mean, over futures, is what it is now
    best = int(answers.utility.mean(axis=0).argmax())
    gains = np.array([one.utility.max() - one.utility[best] for one in updates])
    ks = np.array([one.k for one in updates])
    methods = [one.method for one in updates]
    excludes = (interval[:, 0] > 0) | (interval[:, 1] < 0)
    now = answers.width_now
    known = known_size(result, design)
    named = {"design": design.name, "n": known, "studies": len(planned_studies(design)) if design.arms else 1}
    shared = {
        "expected_gain": float(gains.mean()),
        "gain_mcse": _mcse(gains),
        "method": max(METHODS, key=methods.count),
        "pareto_k": float(np.median(ks)),
        "share_by_weights": methods.count(LIKELIHOOD) / count,
        "futures": count,
    }
    return [
        {
            **named,
            "treatment": treatment,
            "reference": answers.reference,
            "width_now": float(now[place]),
            "expected_width": float(width[:, place].mean()),
            "width_mcse": _mcse(width[:, place]),
            "prob_excludes_1": float(excludes[:, place].mean()),
            "prob_better_by_margin": float(np.mean(better[:, 0, place] > SETTLED)),
            "prob_worse_by_margin": float(np.mean(better[:, 1, place] > SETTLED)),
            "prob_mcse": _mcse(excludes[:, place].astype(float)),
            **shared,
        }
        for place, treatment in enumerate(answers.treatments)
    ]


def _mcse(values: Array) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def known_size(result: Result, design: Design) -> int:
    """Return the patients of a design, or of the study of which a curve would be had."""
    if design.curve_of is None:
        return design.patients
    arms = result.evidence.arms
    return round(float(arms.loc[arms["study"] == design.curve_of, "n_effective"].sum()))


def _sentences(table: pd.DataFrame, answers: Answers) -> list[str]:
    """Return what each design of the first contrast would do, at its own size where that was tried."""
    first = table[table["treatment"] == answers.treatments[0]]
    return [_sentence(name, group, answers) for name, group in first.groupby("design", sort=False)]


def _sentence(name: Any, group: pd.DataFrame, answers: Answers) -> str:
    row = group.iloc[len(group) // 2]
    narrower = round(100 * (1 - row["expected_width"] / row["width_now"]))
    change = f"narrow by {narrower} %" if narrower > 0 else "stay as wide as it is"
    size = f"{row['n']} patients" + (f" in {row['studies']} studies" if row["studies"] > 1 else "")
    halves = group[group["expected_width"] <= 0.5 * group["width_now"]]
    half = f"; about {halves['n'].iloc[0]} would halve it" if len(halves) else "; no size tried would halve it"
    return (
        f"{name} ({size}): the {answers.level.words} interval of the log {answers.measure} would be expected to"
        f" {change} ({row['width_now']:.2f} to {row['expected_width']:.2f}){half}; it would exclude 1"
        f" with probability {row['prob_excludes_1']:.2f}, and deciding with it gains {row['expected_gain']:.2f}"
        f" {answers.unit} a patient."
    )
