"""The answer for the first screen: three plain sentences, one interval in each at most."""

from collections.abc import Sequence
from typing import Any

from bayes_bm.report.material import Answers
from bayes_bm.report.sentences import (
    Row,
    absolute_sentence,
    estimate_text,
    interval_of,
    support_clause,
    time_text,
    verdict,
)
from bayes_bm.report.text import treatment_text
from bayes_bm.spec.endpoints import event_words

FREE = {
    "os": "alive",
    "pfs": "alive without progression",
    "local_control": "without local failure",
    "intracranial_pfs": "alive without intracranial progression",
}
"""What patients without the event are, by endpoint."""


def free_words(endpoint: str) -> str:
    """Return what patients without the event are: `alive`."""
    return FREE.get(endpoint, f"without the event ({endpoint.replace('_', ' ')})")


def plain_sentences(answers: Answers) -> list[str]:
    """Return what is compared and found, patients of 100, and what it rests on: a sentence each."""
    return [_finding(answers), _patients_of_100(answers), f"{support_clause(answers)}."]


def _finding(answers: Answers) -> str:
    rows = [answers.ratio(name) for name in answers.compared]
    return _one_finding(answers, rows[0]) if len(rows) == 1 else _several_findings(answers, rows)


def _one_finding(answers: Answers, row: Row) -> str:
    spec, measure = answers.spec, answers.measure
    event, curve = event_words(spec.endpoint)
    name, reference, direction = treatment_text(row["treatment"]), answers.reference, verdict(spec, row)
    when = f" at {time_text(spec, row['time'])}" if _is_number(row["time"]) else ""
    ratio = estimate_text(spec, row).replace("(", f"({spec.interval.words} interval ", 1)
    found = f"the {measure.words}{when} is {ratio}"
    side = "above" if measure.longer else "below"
    if direction == "prior only":
        return f"The evidence says next to nothing about {name} against {reference}: {found}, which is the prior's."
    if direction == "unclear":
        return (
            f"No clear difference in {curve} between {name} and {reference}: {found}, and {side} 1 would favour {name}."
        )
    what = "time to" if measure.longer else "hazard of"
    return f"The {what} {event} is estimated to be {direction} with {name} than with {reference}: {found}."


def _several_findings(answers: Answers, rows: Sequence[Row]) -> str:
    spec = answers.spec
    event, curve = event_words(spec.endpoint)
    what = f"time to {event}" if answers.measure.longer else f"hazard of {event}"
    openings = {
        "lower": f"the {what} is estimated to be lower with",
        "higher": f"the {what} is estimated to be higher with",
        "longer": f"the {what} is estimated to be longer with",
        "shorter": f"the {what} is estimated to be shorter with",
        "unclear": f"no clear difference in {curve} is seen for",
        "prior only": "the evidence says next to nothing about",
    }
    named = {
        direction: [treatment_text(row["treatment"]) for row in rows if verdict(spec, row) == direction]
        for direction in openings
    }
    parts = [f"{words} {_listed(named[direction])}" for direction, words in openings.items() if named[direction]]
    return f"Against {answers.reference}, {'; '.join(parts)}."


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def of_100(answers: Answers, who: str, estimand: str, name: str, *, time: float | None = None) -> list[float]:
    """Return median and interval of a survival or a difference, as patients of 100."""
    row = answers.row(who, estimand, name, time=answers.time if time is None else time)
    return [100 * end for end in interval_of(answers.spec, row)]


def _patients_of_100(answers: Answers) -> str:
    if not answers.levels:
        return absolute_sentence(answers)
    spec, reference = answers.spec, answers.spec.treatments.reference
    level = f"{of_100(answers, 'new-study', 'survival', reference)[0]:.0f}"
    when = f"{free_words(spec.endpoint)} at {time_text(spec, answers.time)}"
    if len(answers.compared) == 1:
        name = answers.compared[0]
        compared = f"{of_100(answers, 'new-study', 'survival', name)[0]:.0f} with {treatment_text(name)}"
        return (
            f"Of 100 patients about {compared} and {level} with {answers.reference} are {when};"
            f" {difference_range(answers, 'new-study')} ({spec.interval.words} interval)."
        )
    middles = {name: of_100(answers, "new-study", "survival", name)[0] for name in answers.compared}
    low, high = min(middles, key=middles.__getitem__), max(middles, key=middles.__getitem__)
    return (
        f"Of 100 patients about {level} with {answers.reference} are {when}; with the others from {middles[low]:.0f}"
        f" ({treatment_text(low)}) to {middles[high]:.0f} ({treatment_text(high)})."
    )


def difference_range(answers: Answers, who: str) -> str:
    """Return between what numbers of 100 patients the difference of the only comparison may lie."""
    name = answers.compared[0]
    _, low, high = (round(end) for end in of_100(answers, who, "survival_difference", name))
    if high < 0:
        low, high = high, low
    # of two ends on one side the first needs no word for it
    first = f"{abs(low)}" if low * high > 0 else _signed(low)
    return f"the difference may lie between {first} and {_signed(high)} with {treatment_text(name)}"


def _signed(patients: int) -> str:
    return "none" if patients == 0 else f"{abs(patients)} {'more' if patients > 0 else 'fewer'}"


def _is_number(value: Any) -> bool:
    return value is not None and value == value
