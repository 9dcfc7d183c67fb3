"""What the report's words and decisions mean, on the page itself: whoever is sent a report has nothing else."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup, escape

from bayes_bm.report.text import treatment_text, treatment_words
from bayes_bm.spec.document import Spec

DECISIONS = {
    1: "Within a study, an arm and an endpoint only the richest evidence counts: patients, else survival at times, else"
    " a median, else a count. A ratio of two arms is set aside where both arms count already.",
    2: "Of series that share patients, and of a series and its subgroups, only one counts.",
    3: "The spec decides which treatments and endpoints are read.",
    4: "Kaplan-Meier estimates, cumulative incidences and crude shares are not mixed.",
    5: "Survival printed at times is a chain of conditional binomials, whose sizes are the effective patients.",
    6: "A median printed with n alone is an order statistic; with an interval it is normal on the log scale.",
    7: "A printed hazard ratio is normal on the log scale about the study's own ratio; a crude one is held against the"
    " average over the study's patients.",
    8: "A count of events by a time is binomial.",
    9: "A reproduction feeds the numbers of one published analysis back into the model: the same patients twice.",
    10: "Every treatment of a study has a deviation of its own, so no answer depends on the choice of the reference.",
    11: "Where each study has a free level, only comparisons inside studies count, and survival itself needs a stated"
    " baseline.",
    12: "Every contrast is fitted within studies, across studies and from all of them, and the first two are compared.",
    13: "Immortal time, an earlier clock and lesions in place of patients are corrected where arms state them.",
    14: "A new study is the average over the population of studies; a new hospital is one study not seen yet.",
    15: "Survival of somebody alive at a time is a ratio of averages: survivors are more often in good hospitals.",
    16: "P(better) is the share of posterior draws in which a treatment is better.",
    17: "A parameter whose posterior sd is at least 0.9 of its prior's is labelled prior only: the evidence said"
    " next to nothing.",
    18: "A posterior counts only where chains agree (R-hat), are long enough (effective size), and did not diverge.",
    19: "Patients behind curves are drawn several times and each set is fitted: not knowing them widens intervals.",
    20: "The whole chain is tested in simulated worlds whose truth is known.",
    21: "Censoring that depends on prognosis and immortal time behind a lone median leave no trace in the evidence; a"
    " named analysis takes the place of a check.",
    22: "One command does everything for a spec; tables of other commands are shown where they are of the same model.",
    23: "An arm without its patients' covariates is the average over its case mix, printed or not.",
    24: "A published adjusted ratio of a covariate informs that covariate's coefficient.",
    25: "Levels of studies may have heavy tails.",
    26: "A treatment effect may wane; answers that rest on it are marked.",
    27: "Treatments of one class may borrow from each other.",
    28: "Several causes may be one model, whose levels of a study may go together.",
}
"""Decisions of docs/decisions.md by number, in a sentence or two."""

WORDS = {
    "average study": "The study in the middle: all deviations of studies are zero.",
    "new study": "The average over the population of studies; its interval is the uncertainty of that average.",
    "one new hospital": "A study that was not seen yet; its interval (a prediction interval) holds what one place may"
    " see.",
    "hazard ratio": "How many times as likely the event is at each moment, for alike patients: below 1 fewer events.",
    "time ratio": "How many times as long patients live without the event: above 1 longer.",
    "interval": "A posterior interval with equal tails.",
    "effective patients": "Patients with a known course that a printed number is worth.",
    "restricted mean": "The mean time without the event up to the last time of the curves.",
    "within, across, combined": "A comparison from studies that hold both treatments, from all others, from all.",
    "prior only": "The evidence hardly moved this number: it is what was assumed before.",
    "extrapolated": "Beyond the last time that any row of that treatment speaks about.",
    "reconciliation": "Every printed number beside what the fitted model would print again.",
    "case mix": "Shares and means of covariates among the patients of an arm.",
}
"""Words of the report, each with its meaning."""

CITED = re.compile(r"docs/decisions\.md(?:#[\w-]+)?, (\d+)|\bdecision (\d+)\b")
"""How texts of the program cite a decision."""


@dataclass(frozen=True)
class Explanations:
    """What the section of words shows: terms, decisions by number, names of files in words."""

    words: dict[str, str]
    decisions: dict[int, str]
    spec: str


def explanations(spec: Spec) -> Explanations:
    """Return every word and decision with its meaning."""
    return Explanations(WORDS, DECISIONS, spec.name)


@dataclass(frozen=True)
class Names:
    """Treatments and covariates of a spec in words, wherever a text of the program has them as names of tables."""

    words: Mapping[str, str]
    spec: Spec | None = None

    def told(self, text: str) -> str:
        """Return text in which names are words, and a covariate's values what they are called.

        >>> Names({"re_srs": "re-SRS"}).told("re_srs, log_hr[re_srs]")
        're-SRS, log_hr[re_srs]'
        """
        if not self.words:
            return text
        for pattern in (VALUE_PAIR, VALUE):
            text = pattern.sub(self._values, text)
        named = "|".join(map(re.escape, sorted(self.words, key=len, reverse=True)))
        return re.sub(rf"(?<![\w.\[\-/])(?:{named})(?![\w\]/=]|\.\w)", lambda match: self.words[match[0]], text)

    def _values(self, match: re.Match[str]) -> str:
        """`single_met 0 v 1` and `single_met = 1` in words, where the name is a covariate's."""
        name, *values = match.groups()
        term = None if self.spec is None else self.spec.covariates.get(name)
        if term is None:
            return match[0]
        said = [term.value_words(name, float(value)).partition(": ")[2] for value in values]
        return f"{term.words(name)}: {' v '.join(said)}"


NUMBER = r"(-?\d+(?:\.\d+)?)"
VALUE_PAIR = re.compile(rf"\b([A-Za-z]\w*) {NUMBER} v {NUMBER}\b")
VALUE = re.compile(rf"\b([A-Za-z]\w*) = {NUMBER}\b")


def names_of(spec: Spec) -> Names:
    """Return the treatments and covariates of a spec whose words are not their names."""
    words = treatment_words(spec)
    words |= {name: term.words(name) for name, term in spec.covariates.items()}
    first = {name[:1].upper() + name[1:]: shown[:1].upper() + shown[1:] for name, shown in words.items()}
    return Names({name: shown for name, shown in {**first, **words}.items() if name != shown}, spec)


NAMELESS = Names({})


def linked(text: str, names: Names = NAMELESS) -> Markup:
    """Return text as markup: names as words, each decision that is cited a link to its explanation on the page.

    >>> linked("levels are < free (docs/decisions.md, 11)")
    Markup('levels are &lt; free (<a href="#decision-11">decision 11</a>)')
    """
    return Markup(CITED.sub(_link, str(escape(names.told(text)))))


def _link(match: re.Match[str]) -> str:
    number = match[1] or match[2]
    return f'<a href="#decision-{number}">decision {number}</a>' if int(number) in DECISIONS else match[0]


PARAMETERS = {
    "intercept": "level of the average study (log cumulative hazard at {time})",
    "log_shape": "shape of the hazard (log)",
    "study_sd": "spread of levels between studies (sd)",
    "study_treatment_sd": "spread of treatment effects between studies (sd)",
    "study_shape_sd": "spread of shapes between studies (sd)",
    "prognosis_sd": "spread of covariates' ratios between studies (sd)",
    "transport_sd": "doubt whether covariates' ratios carry over (sd)",
    "transport": "what another setting adds to the log ratio of {entry}",
    "log_hr": "log hazard ratio of {entry} against {reference}",
    "log_time_ratio": "log time ratio of {entry} against {reference}",
    "coefficient": "log ratio of {entry}",
    "interaction": "what {entry} adds to a treatment effect",
    "case_mix_mean": "typical mix of an arm: {entry}",
    "case_mix_sd": "spread of mixes between arms (sd): {entry}",
    "case_mix_by_treatment": "how arms of {entry}",
    "bias": "bias: {entry}",
}
"""Parameters in words; `entry` is the treatment or covariate in brackets."""


def parameter_words(spec: Spec, parameter: str) -> str:
    """Return a parameter in words, `log hazard ratio of re-resection against re-SRS`; one that has none as it is."""
    name, _, inside = parameter.removesuffix("]").partition("[")
    words = PARAMETERS.get(name)
    if words is None:
        return parameter
    entries = [
        spec.covariates[entry].words(entry) if entry in spec.covariates else treatment_text(entry)
        for entry in inside.split(", ")
    ]
    shown = " differ in ".join(entries) if name == "case_mix_by_treatment" else ", ".join(entries)
    reference = treatment_text(spec.treatments.reference)
    return words.format(entry=shown, time=f"{spec.reference_time:g} {spec.time_unit}", reference=reference)
