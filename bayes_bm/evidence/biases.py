"""Biases by name: which rows each acts on, and by how much (docs/decisions.md#13-bias; docs/method.md, "Biases").

    eta of an arm, log of a hazard ratio  +=  amount[arm or ratio] x bias

on the scale of the linear predictor: log hazards, or log times under accelerated time. `bias` is a number, or a
parameter with a prior, and every answer is for a study without it. Biases of the clock (immortal time, a shifted
origin) are no terms of the predictor: of stated size they are the arm's `survived_to` and `clock_shift`
(`likelihood_rows.arms_in_use`), with a prior two times of the arm's law (`hazards.modifiers.unknown_clock`), whose
amounts here are 1 or 0.

Amounts are columns `bias_NAME` of the evidence, worked out when it is chosen, so that arms keep theirs where they are
fitted apart (decision 12). They are blank where an arm does not say how much, and count as 0 there.
"""

import re
from collections.abc import Callable

import numpy as np
import pandas as pd

from bayes_bm.evidence.selection import check_acts_on, named_rows
from bayes_bm.hazards.modifiers.unknown_clock import CLOCKS
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.biases import CLOCK_BIASES, Bias, StudyCovariate
from bayes_bm.spec.document import Spec

LESION_UNITS = ("lesion", "cavity")
"""Units of analysis in which an arm counts lesions, not patients."""
SMALL = 20.0
"""Patients at which the term of small studies is 1."""
DECADE = 10.0
"""Years in which a bias of the year has its size: its prior is on the change in a decade (docs/method.md, "Biases")."""


def bias_column(name: str) -> str:
    """Where the amounts of a bias stand in the tables of arms and of hazard ratios."""
    return f"bias_{name}"


def with_amounts(
    spec: Spec, arms: pd.DataFrame, ratios: pd.DataFrame, stated: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Arms and hazard ratios with the amounts of every bias that is a term of the predictor.

    `stated` are all rows of the arms table, those of ratios among them.
    """
    if not spec.modelled_biases:
        return arms, ratios
    several = treatments_by_study(arms, ratios)
    for name, term in spec.modelled_biases.items():
        check_acts_on(name, term, arms, ratios)
        of_arm = AMOUNTS.get(name, _study_covariate)(term, arms, several)
        amount = np.where(chosen_arms(name, term, spec, arms), of_arm, 0.0)
        of_ratio = _small_ratio(term, spec, ratios) if name == "small_study" else np.zeros(len(ratios))
        if isinstance(term, StudyCovariate):
            of_ratio = _regressed_ratio(name, term, spec, ratios, stated)
        arms, ratios = arms.assign(**{bias_column(name): amount}), ratios.assign(**{bias_column(name): of_ratio})
    return arms, ratios


def amounts(spec: Spec, table: pd.DataFrame) -> np.ndarray:
    """What each bias is multiplied by in each row of a table `with_amounts` (row, bias)."""
    names = [bias_column(name) for name in spec.modelled_biases]
    if missing := [name for name in names if name not in table]:
        raise InputError(
            missing[0].replace("_", ".", 1),
            found="evidence that was read without this bias",
            hint="read it again with this spec: bb.read_evidence(spec)",
        )
    return table[names].astype(float).fillna(0.0).to_numpy().reshape(len(table), len(names))


def in_predictor(spec: Spec, amount: np.ndarray) -> np.ndarray:
    """Amounts (row, bias) as the linear predictor has them: none of a clock."""
    return amount * np.array([name not in CLOCKS for name in spec.modelled_biases], dtype=float)


def acts_on(name: str, term: Bias, spec: Spec) -> tuple[str, ...]:
    """Treatments whose arms a bias acts on."""
    if term.treatments is not None:
        return term.treatments
    return spec.treatments.compare if name in ("single_arm", "small_study") else spec.treatments.names


def chosen_arms(name: str, term: Bias, spec: Spec, arms: pd.DataFrame) -> np.ndarray:
    """Arms of the treatments a bias acts on, and where it names arms, those alone (arm,)."""
    mask = arms["treatment"].isin(acts_on(name, term, spec)).to_numpy(dtype=bool)
    return mask & named_rows(arms, term.acts_on).to_numpy(dtype=bool) if term.acts_on else mask


def treatments_by_study(arms: pd.DataFrame, ratios: pd.DataFrame) -> pd.Series:
    """How many treatments the evidence knows of each study."""
    sides = [arms[["study", "treatment"]], ratios[["study", "treatment"]]]
    sides.append(ratios[["study", "reference"]].rename(columns={"reference": "treatment"}))
    return pd.concat(sides).drop_duplicates().groupby("study").size()


# ---------------------------------------------------------------------------------------------- how much


def _single_arm(term: Bias, arms: pd.DataFrame, several: pd.Series) -> np.ndarray:
    """1 in a study of which the evidence knows one treatment alone."""
    return (arms["study"].map(several) == 1).to_numpy(dtype=float)


def _small_study(term: Bias, arms: pd.DataFrame, several: pd.Series) -> np.ndarray:
    """sqrt(20 / n): the sampling error of the arm's log hazard, in that of 20 patients."""
    return np.sqrt(SMALL / arms["n_effective"].to_numpy(dtype=float))


def _small_ratio(term: Bias, spec: Spec, ratios: pd.DataFrame) -> np.ndarray:
    """The same of a log hazard ratio of two equal arms that all died: its standard error is 2 / sqrt(n).

    Its treatment's less its reference's: where the bias acts on both it cancels.
    """
    sides = [ratios[side].isin(acts_on("small_study", term, spec)).astype(float) for side in ("treatment", "reference")]
    chosen = named_rows(ratios, term.acts_on).astype(float) if term.acts_on else 1.0
    return (chosen * (sides[0] - sides[1]) * ratios["se"].astype(float) * np.sqrt(SMALL) / 2).to_numpy(dtype=float)


def _year(term: Bias, arms: pd.DataFrame, several: pd.Series) -> np.ndarray:
    """Decades after the centre."""
    return (arms["year"].to_numpy(dtype=float) - (term.centre or 0.0)) / DECADE


def _mixed_population(term: Bias, arms: pd.DataFrame, several: pd.Series) -> np.ndarray:
    """Share of patients with necrosis, less the centre's."""
    return arms["share_necrosis"].to_numpy(dtype=float) - (term.centre or 0.0)


def _lesions(term: Bias, arms: pd.DataFrame, several: pd.Series) -> np.ndarray:
    """log lesions per patient in arms that count lesions, 0 in those that count patients."""
    per_patient = arms["n_lesions"].to_numpy(dtype=float) / arms["n_patients"].to_numpy(dtype=float)
    return np.where(arms["unit_of_analysis"].isin(LESION_UNITS), np.log(np.maximum(per_patient, 1.0)), 0.0)


def _study_covariate(term: Bias, arms: pd.DataFrame, several: pd.Series) -> np.ndarray:
    """Scales of the column above the centre; blank where the arm does not say."""
    if not isinstance(term, StudyCovariate):
        raise TypeError("a bias without a rule of its amounts")
    return (_column(term.column, arms) - (term.centre or 0.0)) / term.scale


def _column(name: str, arms: pd.DataFrame) -> np.ndarray:
    """Numbers of a column of the arms table, which a user may have made."""
    if not len(arms):
        return np.zeros(0)
    if name not in arms:
        numbers = [str(column) for column in arms if column in STUDY_COLUMNS or OF_USERS.match(str(column))]
        raise InputError(
            "meta_regression, column",
            found=f"{name}, which no arms table has",
            allowed=", ".join(numbers),
            hint="a column of your own starts with x_",
        )
    texts = arms[name].map(lambda cell: np.nan if isinstance(cell, str) and not cell.strip() else cell)
    values = pd.to_numeric(texts, errors="coerce").astype(float)
    wrong = arms[(values.isna() & texts.notna()) | np.isinf(values)]
    if len(wrong):
        row = wrong.iloc[0]
        where = f"arms, study {row['study']}, arm {row['arm']}, column {name}"
        raise InputError(where, found=row[name], allowed="a number, or blank", hint="meta_regression reads this column")
    return values.to_numpy()


OF_USERS = re.compile(r"(x|mean|share)_")
"""Beginning of columns that users add."""
STUDY_COLUMNS = ("year", "followup", "n", "events", "share_necrosis", "survived_to", "clock_shift")
"""Columns of numbers of the arms table that are no covariate's."""


def _regressed_ratio(
    name: str, term: StudyCovariate, spec: Spec, ratios: pd.DataFrame, stated: pd.DataFrame
) -> np.ndarray:
    """The same of a ratio, its treatment's less its reference's: of what the arms table says of the study's arms."""
    if ratios.empty or term.treatments is None:
        return np.zeros(len(ratios))
    of_study = pd.Series(_study_covariate(term, stated, pd.Series(dtype=float)), index=stated["study"].to_numpy())
    amount = of_study.groupby(level=0).mean()
    one, other = (ratios[name].isin(term.treatments).astype(float) for name in ("treatment", "reference"))
    side = one - other
    chosen = named_rows(ratios, term.acts_on).astype(float) if term.acts_on else 1.0
    return np.where(side == 0, 0.0, side * chosen * ratios["study"].map(amount).astype(float)).astype(float)


def _unstated(column: str) -> Callable[[Bias, pd.DataFrame, pd.Series], np.ndarray]:
    """1 where the arm does not say its own: what it states is known."""
    return lambda term, arms, several: arms[column].isna().to_numpy(dtype=float)


AMOUNTS: dict[str, Callable[[Bias, pd.DataFrame, pd.Series], np.ndarray]] = {
    "single_arm": _single_arm,
    "small_study": _small_study,
    "year": _year,
    "mixed_population": _mixed_population,
    "lesions": _lesions,
    **{name: _unstated(column) for name, column in CLOCK_BIASES.items()},
}
"""Amount by arm of each bias that the density knows; NaN where the arm does not say."""


# ---------------------------------------------------------------------------------------------- what informs it

CONTRASTS = "contrasts within studies"
"""Source of a bias that differs between the arms of a study."""
LEVELS = "levels of studies"
"""Source of a bias that differs between studies only, where their levels are exchangeable."""
PRIOR_ONLY = "prior only"
"""Source of a bias that the evidence cannot tell from a treatment effect or a study level."""


def informed_by(name: str, spec: Spec, arms: pd.DataFrame, ratios: pd.DataFrame) -> str:
    """What tells a bias apart from everything else: CONTRASTS, LEVELS (across studies), or PRIOR_ONLY.

    A bias whose amounts are the same in all arms of a treatment cannot be told from that treatment's effect: its prior
    passes into the answer as it stands. Where study levels are free, neither can one that is the same in all arms of a
    study.
    """
    bias_index = list(spec.modelled_biases).index(name)
    amount = np.concatenate([amounts(spec, arms)[:, bias_index], amounts(spec, ratios)[:, bias_index]])
    none = np.zeros(len(ratios))
    effects = [np.concatenate([arms["treatment"] == one, _sides(ratios, one)]) for one in spec.treatments.names]
    levels = [np.concatenate([arms["study"] == one, none]) for one in sorted(set(arms["study"]))]
    if _left(amount, [*effects, *levels]):
        return CONTRASTS
    one_level = [np.concatenate([np.ones(len(arms)), none])]
    return LEVELS if not spec.free_levels and _left(amount, [*effects, *one_level]) else PRIOR_ONLY


def _sides(ratios: pd.DataFrame, treatment: str) -> np.ndarray:
    one, other = ((ratios[side] == treatment).to_numpy(dtype=float) for side in ("treatment", "reference"))
    return one - other


def _left(amount: np.ndarray, explained: list[np.ndarray]) -> bool:
    """Whether anything of the amounts is left once their projection on known columns is taken off."""
    if not len(amount):
        return False
    columns = np.stack(explained, axis=1).astype(float)
    rest = amount - columns @ np.linalg.lstsq(columns, amount, rcond=None)[0]
    return bool(np.abs(rest).max() > 1e-8)
