"""Made-up rows that show how each table looks: studies of both treatments, of one, and a printed ratio."""

from collections.abc import Sequence

NOTE = "x_what_this_row_is"
"""Column that no reader reads."""


def example_tables(names: Sequence[str], endpoint: str, *, year: float, later: float) -> dict[str, str]:
    """Return the text of each table by the name of its file; the last name is the reference.

    `year` is the reference time of the spec and `later` a time after it, in the spec's unit.
    """
    first, reference = names[0], names[-1]
    more = [(f"Example {number}", name) for number, name in enumerate(names[1:-1], start=10)]
    arms = [
        _row("Example 1", first, first, endpoint, 60, "table 2", "both arms of one study"),
        _row("Example 1", reference, reference, endpoint, 70, "table 2", "both arms of one study"),
        _row("Example 2", first, first, endpoint, 48, "figure 1", "a series of one arm"),
        _row("Example 3", reference, reference, endpoint, 39, "abstract", "a series of one arm"),
        *(_row(study, name, name, endpoint, 45, "abstract", "a series of one arm") for study, name in more),
    ]
    alone = [("Example 3", reference, 0.7, 39), *((study, name, 0.9, 45) for study, name in more)]
    medians = [
        _row("Example 1", first, endpoint, *_times(year, 1.0, 0.75, 1.35), "", "table 2", "with its interval"),
        _row("Example 1", reference, endpoint, *_times(year, 0.8, 0.6, 1.1), "", "table 2", "with its interval"),
        *(
            _row(study, name, endpoint, *_times(year, factor), "", "", n, "abstract", "with n alone")
            for study, name, factor, n in alone
        ),
    ]
    points = [
        _row("Example 2", first, endpoint, f"{year:g}", 0.55, 0.42, 0.69, "figure 1", "two times show the shape"),
        _row("Example 2", first, endpoint, f"{later:g}", 0.25, 0.14, 0.4, "figure 1", "two times show the shape"),
    ]
    ratio = _row("Example 9", endpoint, first, reference, 0.85, 0.6, 1.2, "text", "a printed ratio without its arms")
    return {
        "arms.csv": _table("study,arm,treatment,endpoint,n,source", arms),
        "medians.csv": _table("study,arm,endpoint,median,ci_low,ci_high,n,source", medians),
        "points.csv": _table("study,arm,endpoint,time,survival,ci_low,ci_high,source", points),
        "hazard_ratios.csv": _table("study,endpoint,treatment,reference,hr,ci_low,ci_high,source", [ratio]),
    }


def _row(*cells: object) -> str:
    """Return a row whose last cell says what it is."""
    return ",".join(str(cell) for cell in (*cells[:-1], f"made up: {cells[-1]}"))


def _times(year: float, *factors: float) -> list[str]:
    return [f"{factor * year:.3g}" for factor in factors]


def _table(columns: str, rows: Sequence[str]) -> str:
    return "\n".join([f"{columns},{NOTE}", *rows]) + "\n"
