"""What printed numbers and a curve can have against each other: one name each, and what gives way.

The order in which things give way: n never; the curve if drawn; then numbers at risk; then the total of events; then
ticks. Clicks are less than printed whole numbers: those pull a clicked line by up to 0.03 of survival (or five click
errors), and beyond that give way in the same order. What is certain is converted, with a line that says from what to
what; what is likely is said and the data are left alone; what cannot be is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bayes_bm.runtime.errors import InputError


@dataclass(frozen=True)
class Contradiction:
    """What a name means, and what is done about it."""

    meaning: str
    gives_way: str


CONTRADICTIONS: Mapping[str, Contradiction] = {
    "at_risk_above_curve": Contradiction(
        "more are at risk at a printed time than the fall of the curve leaves of those at risk before",
        "the row, this one or the one before, without which the others agree best with the curve",
    ),
    "at_risk_after_events": Contradiction(
        "numbers at risk count time > t, where at risk means time >= t",
        "drawn curve, two rows or more say so and none the opposite: the table is read as time > t; else only said",
    ),
    "at_risk_rises": Contradiction(
        "a number at risk is larger than the one before",
        "the one row without which the table falls and agrees with the curve; refused where two rows could be wrong",
    ),
    "at_risk_zero_at_end": Contradiction(
        "nobody is at risk at a time at which the curve still goes on above 0",
        "the row: a curve that ends at that very time has it read as time > t, one that goes on leaves it out",
    ),
    "coarse_points": Contradiction(
        "points too few, or at round times with rounded survival: published rates rather than a curve",
        "refused below 10 points that are no corners of steps; else only said, and the verdict is doubtful",
    ),
    "n_against_at_risk": Contradiction(
        "n is not the number at risk at time 0, or a later number is larger than n", "nothing: refused"
    ),
    "percent": Contradiction(
        "survival in percent where a proportion is meant",
        "largest value within 90 to 110: divided by 100; refused otherwise",
    ),
    "rising_curve": Contradiction("the curve rises: a cumulative incidence, or time reversed", "nothing: refused"),
    "starts_above_one": Contradiction(
        "the curve starts above a survival of 1 by more than clicks err",
        "drawn curve that is then made of whole patients: divided by its start; else kept within the axes and said",
    ),
    "starts_late": Contradiction(
        "the curve starts after time 0, or below 1 at time 0",
        "nothing: survival is taken as 1 from time 0 to the first point, and that is said",
    ),
    "swapped_arms": Contradiction(
        "the numbers at risk disagree with the arm's own curve and agree with that of the study's other arm",
        "nothing: two arms together are refused; one arm alone is told that its table may be the other arm's",
    ),
    "time_unit": Contradiction(
        "curve, axis and at-risk table are in different units of time",
        "table misfits before and fits after, and one ratio of units holds within 2 %: the table is converted to the "
        "curve's unit; else said where the curve can still be used, and refused where not",
    ),
    "too_few_events": Contradiction(
        "the printed total of events is below the least that curve and numbers at risk allow", "the total"
    ),
    "too_many_events": Contradiction(
        "the printed total of events is above the most that curve and numbers at risk allow", "the total"
    ),
    "too_many_ticks": Contradiction("there are more censor marks than patients", "nothing: refused"),
}


def refusal(name: str, where: str, *, value: object, allowed: object, hint: str = "") -> InputError:
    """Return the error of an input that cannot be meant: an `InputError` that ends with the contradiction's name."""
    assert name in CONTRADICTIONS, name
    return InputError(where, found=value, allowed=allowed, hint=f"{hint} [{name}]".strip())
