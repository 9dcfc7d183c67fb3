"""Plots by one call: each takes a result (or the table that it draws) and axes, and returns the axes drawn on.

The tables come from answers and checks, the drawing from `report/plots`, as in the report.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from bayes_bm.checks.reconciliation import reconcile
from bayes_bm.checks.sensitivity import Sensitivity
from bayes_bm.checks.small_studies import Funnel, funnel
from bayes_bm.checks.studies_left_out import LeaveOneOut
from bayes_bm.estimands.patient_curves import patient_curves
from bayes_bm.estimands.quantities import chosen_treatments, survival
from bayes_bm.estimands.ranking import Ranking, rank
from bayes_bm.estimands.who import NewStudy, Who, as_who
from bayes_bm.evidence.audit import audit, follow_up
from bayes_bm.evidence.network import Network, network
from bayes_bm.inference.result import Result
from bayes_bm.report.answers import answer_tables
from bayes_bm.report.figures import forest_label, forest_limits, forest_rows
from bayes_bm.report.gather import (
    CURVE_DRAWS,
    arm_answers,
    curve_table,
    forest_measure,
    numeric_columns,
    overall_answers,
    time_grid,
)
from bayes_bm.report.material import Answers
from bayes_bm.report.plots.curves import survival_axes, treatment_curves
from bayes_bm.report.plots.forest import forest, forest_axes
from bayes_bm.report.plots.funnel import draw_funnel
from bayes_bm.report.plots.leave_one_out import draw_leave_one_out
from bayes_bm.report.plots.network import draw_network
from bayes_bm.report.plots.patient import PatientPanels, draw_patient
from bayes_bm.report.plots.ranking import draw_all_ranks
from bayes_bm.report.plots.sensitivity import draw_sensitivity
from bayes_bm.report.plots.style import legend_below, looks, shown
from bayes_bm.report.sections.small_studies import funnel_label
from bayes_bm.report.text import labelled, labels_of, treatment_text
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.document import Spec
from bayes_bm.spec.effect_measure import measure_of
from bayes_bm.spec.endpoints import event_words
from bayes_bm.spec.reading import as_spec


@labelled
def plot_survival(
    result: Result,
    axes: Axes | None = None,
    *,
    who: Who | str | None = None,
    treatments: Sequence[str] | None = None,
    alive_at: float = 0.0,
    title: str = "",
) -> Axes:
    """Draw survival under each treatment, with bands; dashed and hatched beyond the treatment's follow-up.

    Parameters
    ----------
    result : Result
        A fit, whose spec gives the time unit and the horizon.
    axes : matplotlib.axes.Axes, optional
        Where to draw; by default axes on a figure of their own.
    who : AverageStudy, NewStudy, NewHospital, Study, Patient, or the name of one, optional
        Who is asked about; by default `NewStudy()`.
    treatments : sequence of str, optional
        Treatments to draw; by default all.
    alive_at : float, default 0
        Curves are given alive at this time; the spec's unit, from time 0.
    title : str
        Title of the axes.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on; `.figure.savefig(path, dpi=150)` writes them.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> from bayes_bm.inference.prior_result import prior_result
    >>> result = prior_result(bb.read_spec("published_os_extent_of_resection"), draws=200)  # or bb.fit(spec)
    >>> axes = bb.plot_survival(result, who="average-study")
    >>> axes.get_xlabel(), axes.get_ylabel()
    ('time (months)', 'overall survival (proportion)')
    """
    spec, names = result.spec, chosen_treatments(result, treatments)
    ends = follow_up(spec, result.evidence)
    asked = as_who(who, NewStudy())
    grid = time_grid(spec, ends, start=alive_at)
    drawn = survival(result.thinned(CURVE_DRAWS), grid, who=asked, alive_at=alive_at).sel(treatment=names)
    drawn_on = axes or survival_axes()
    treatment_curves(
        drawn_on,
        curve_table(drawn, spec.interval),
        looks=looks(spec.treatments.names),
        names={name: treatment_text(name) for name in names},
        follow_up_ends=ends,
        unit=spec.time_unit,
        limit=spec.horizon,
        ylabel=f"{event_words(spec.endpoint)[1]} (proportion)",
        alive_at=alive_at,
        title=title,
    )
    if axes is None:
        legend_below(drawn_on, inches=0.55)
    else:
        axes.legend(loc="best")
    return shown(drawn_on, axes)


@dataclass(frozen=True)
class ForestTables:
    """What the rows of a forest plot are made from: the spec, one row an arm, and the overall lines."""

    spec: Spec
    arms: pd.DataFrame
    overall: pd.DataFrame


@labelled
def plot_forest(result: Result, axes: Axes | None = None) -> Axes:
    """Draw each study arm's own median (or survival) beside the printed number, and the treatments' overall below.

    Parameters
    ----------
    result : Result
        A fit.
    axes : matplotlib.axes.Axes, optional
        Where to draw, with room for labels left of them; by default axes on a figure of their own.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on: one line a study arm, marker by patients, hollow diamonds for printed numbers.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> result = bb.fit("published_os_extent_of_resection", draws=200, tune=300)
    >>> axes = bb.plot_forest(result)
    >>> axes.get_xlabel()
    'median overall survival (months, log scale)'
    """
    measure = forest_measure(result)
    answers = Answers(result.spec, answer_tables(result), audit(result.spec, result.evidence))
    arms = arm_answers(result, numeric_columns(reconcile(result)), measure=measure)
    tables = ForestTables(result.spec, arms, overall_answers(answers, measure=measure))
    rows = forest_rows(tables)
    drawn = forest(
        axes or forest_axes(rows),
        rows,
        looks=looks(result.spec.treatments.names),
        xlabel=forest_label(tables),
        xlim=forest_limits(tables, rows),
        log=measure == "median",
        wide=True,
    )
    return shown(drawn, axes)


def plot_network(evidence: Network | Result | Spec | str | Path, axes: Axes | None = None, *, title: str = "") -> Axes:
    """Draw who was compared with whom, by how many studies.

    Nodes stand on a circle in the order of the spec, and their area grows with patients. The number on a line, and its
    width, are the studies that hold both of its ends. A shaded area joins the treatments of studies with three or more.

    Parameters
    ----------
    evidence : Network, Result, Spec, str or Path
        What `bayes_bm.network` gives; or a fit, a spec, a spec's file or a shipped model's name.
    axes : matplotlib.axes.Axes, optional
        Where to draw; by default axes on a figure of their own, 6.6 inches wide.
    title : str
        Title of the axes.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on; `.figure.savefig(path, dpi=150)` writes them.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> axes = bb.plot_network("published_os_extent_of_resection", title="Extent of resection")
    >>> [text.get_text().replace("\\n", ", ") for text in axes.texts]
    ['1', 'subtotal resection, 1 study', 'gross total, resection, 1 study']
    """
    if isinstance(evidence, Network):
        return shown(draw_network(evidence, axes, title=title), axes)
    spec, rows = (evidence.spec, evidence.evidence) if isinstance(evidence, Result) else (as_spec(evidence), None)
    with labels_of(spec):
        return shown(draw_network(network(spec, rows), axes, title=title), axes)


@labelled
def plot_patient(
    result: Result,
    patient: Mapping[str, float] | None = None,
    axes: PatientPanels | None = None,
    *,
    who: Who | str | None = None,
    treatments: Sequence[str] | None = None,
    alive_at: float = 0.0,
    title: str = "",
) -> PatientPanels:
    """Draw one patient's curves with the uncertainty about them, and below what could happen to one such patient.

    Parameters
    ----------
    result : Result
        A fit.
    patient : mapping of str to float, optional
        Covariates by name; what is not given is averaged over.
    axes : PatientPanels, optional
        Axes for `curves` and `outcomes`; by default on a figure of their own, with what a reader must know below.
    who : AverageStudy, NewStudy, NewHospital, Study, or the name of one, optional
        Whose study effects the patient has; by default `NewStudy()`.
    treatments : sequence of str, optional
        Treatments to draw; by default all.
    alive_at : float, default 0
        Curves are given alive at this time; the spec's unit, from time 0.
    title : str
        Title above the curves.

    Returns
    -------
    PatientPanels
        The axes `curves` and `outcomes`; `.curves.figure.savefig(path, dpi=150)` writes them.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> result = bb.fit("published_os_extent_of_resection", draws=200, tune=300)
    >>> panels = bb.plot_patient(result, alive_at=3)
    >>> panels.curves.get_ylabel()
    'survival'
    """
    curves = patient_curves(result, patient or {}, treatments=treatments, alive_at=alive_at, who=who)
    return shown(draw_patient(curves, axes, title=title), axes)


def plot_sensitivity(
    analyses: Sensitivity | pd.DataFrame, axes: Axes | None = None, *, time_unit: str | None = None, title: str = ""
) -> Axes:
    """Draw the main contrast under every analysis, as a difference of restricted means with its ratio beside.

    All families share the scale of restricted means; a hazard ratio and a time ratio do not compare.

    Parameters
    ----------
    analyses : Sensitivity or pandas.DataFrame
        What `bayes_bm.sensitivity` gives, or sensitivity.csv as it was written.
    axes : matplotlib.axes.Axes, optional
        Where to draw, with room for words on both sides; by default axes on a figure of their own.
    time_unit : {"days", "weeks", "months", "years"}, optional
        Unit of time of the spec, which a table alone does not hold.
    title : str
        Title above the lines.

    Returns
    -------
    matplotlib.axes.Axes
        One line an analysis, grouped by kind; hollow and dotted where the convergence gate failed.

    Raises
    ------
    InputError
        For a table without `time_unit`.

    Examples
    --------
    >>> import bayes_bm as bb, pandas as pd
    >>> table = pd.DataFrame({
    ...     "analysis": ["base", "wide"], "kind": ["base", "named"], "family": "weibull",
    ...     "treatment": "srs", "reference": "wbrt", "measure": "hazard ratio", "gate": "passed", "horizon": 24.0,
    ...     "ratio": [0.70, 0.72], "ratio_low": [0.55, 0.52], "ratio_high": [0.90, 0.98], "prob_better": [0.99, 0.97],
    ...     "rmst_difference": [2.1, 1.9], "rmst_low": [0.6, 0.1], "rmst_high": [3.7, 3.9]})
    >>> axes = bb.plot_sensitivity(table, time_unit="months")
    >>> [text.get_text() for text in axes.texts][:3]
    ['base (weibull)', '2.1 (0.6 to 3.7)', 'HR 0.70 (0.55 to 0.90)']
    """
    table, unit = (analyses.table, analyses.time_unit) if isinstance(analyses, Sensitivity) else (analyses, time_unit)
    if unit is None:
        raise InputError("time_unit", found="nothing", allowed="days, weeks, months or years, beside a table")
    return shown(draw_sensitivity(table, axes, time_unit=unit, title=title), axes)


def plot_leave_one_out(
    done: LeaveOneOut | pd.DataFrame, axes: Axes | None = None, *, title: str = "", cause: str | None = None
) -> Axes:
    """Draw the ratio without each study in turn, largest change first, beside what all studies say.

    Parameters
    ----------
    done : LeaveOneOut or pandas.DataFrame
        What `bayes_bm.leave_one_out` gives, or studies.csv as it was written.
    axes : matplotlib.axes.Axes, optional
        Where to draw, with room for words on both sides; by default axes on a figure of their own.
    title : str
        Title above the lines.
    cause : str, optional
        Of several causes whose ratio is drawn; by default the first one's.

    Returns
    -------
    matplotlib.axes.Axes
        One line a row; filled marks come from weights, hollow squares from a fit without the study.

    Examples
    --------
    >>> import bayes_bm as bb, pandas as pd
    >>> studies = pd.DataFrame({
    ...     "study": ["", "Lee 2020", "Ma 2021"], "method": ["", "psis", "refit"],
    ...     "treatment": "srs", "reference": "wbrt", "measure": "hazard ratio",
    ...     "ratio": [0.70, 0.72, 0.61], "ratio_low": [0.55, 0.55, 0.45], "ratio_high": [0.90, 0.95, 0.84],
    ...     "shift": [None, 0.2, -1.1], "elpd": [None, -3.1, -4.2]}).astype({"shift": float, "elpd": float})
    >>> axes = bb.plot_leave_one_out(studies)
    >>> axes.get_xlabel().splitlines()[0]
    'hazard ratio in the average study, SRS against WBRT'
    >>> [text.get_text() for text in axes.texts if text.get_text()[:2] in ("Le", "Ma")]
    ['Ma 2021', 'Lee 2020']
    """
    studies = done.studies if isinstance(done, LeaveOneOut) else done
    if "cause" in studies:
        names = studies["cause"].drop_duplicates().tolist()
        if cause is not None and cause not in names:
            raise InputError("cause", found=cause, allowed=", ".join(names))
        studies = studies[studies["cause"] == (cause or names[0])]
    return shown(draw_leave_one_out(studies, axes, title=title), axes)


@labelled
def plot_funnel(result: Result, axes: Axes | None = None, *, table: Funnel | None = None) -> Axes:
    """Draw the funnel: deviations of study arms and printed ratios from the average study, by standard error.

    Parameters
    ----------
    result : Result
        A fit with exchangeable studies.
    axes : matplotlib.axes.Axes, optional
        Where to draw; by default axes on a figure of their own.
    table : Funnel, optional
        What `bayes_bm.funnel` gives, where it is made already.

    Returns
    -------
    matplotlib.axes.Axes
        A point an arm, hollow a printed ratio; dashed lines hold 95 % of studies where nothing is selected.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> from bayes_bm.inference.prior_result import prior_result
    >>> result = prior_result(bb.read_spec("published_os_extent_of_resection"), draws=200)  # or bb.fit(spec)
    >>> bb.plot_funnel(result).get_xlabel()
    'deviation from the average study (log hazard)'
    """
    made = funnel(result) if table is None else table
    label = funnel_label(longer=measure_of(result.spec).longer)
    drawn = draw_funnel(made.table, made.heterogeneity, axes, looks=looks(result.spec.treatments.names), xlabel=label)
    return shown(drawn, axes)


@labelled
def plot_ranks(ranking: Ranking | Result, axes: Sequence[Axes] | None = None, **asked: Any) -> list[Axes]:
    """Draw a rankogram for each treatment: the probability of every rank, and of that rank or an earlier one.

    Parameters
    ----------
    ranking : Ranking or Result
        What `bayes_bm.rank` gives, or a fit that is ranked with the arguments in `asked`.
    axes : sequence of matplotlib.axes.Axes, optional
        Axes for each treatment; by default three panels a row on a figure of their own.
    **asked
        Arguments of `bayes_bm.rank`, where a fit is given: `estimand`, `who`, `time`, `horizon`.

    Returns
    -------
    list of matplotlib.axes.Axes
        A panel for each treatment, in the order of the ranking's table.

    Raises
    ------
    InputError
        For fewer axes than treatments.

    Notes
    -----
    SUCRA, in each panel, is the surface under the cumulative ranking curve (Salanti, Ades and Ioannidis 2011,
    doi 10.1016/j.jclinepi.2010.03.016).

    Examples
    --------
    >>> import bayes_bm as bb
    >>> from bayes_bm.inference.prior_result import prior_result
    >>> result = prior_result(bb.read_spec("published_os_extent_of_resection"), draws=200)  # or bb.fit(spec)
    >>> sorted(panel.get_title() or panel.get_title(loc="left") for panel in bb.plot_ranks(result))
    ['gross total resection', 'subtotal resection']
    """
    made = rank(ranking, **asked) if isinstance(ranking, Result) else ranking
    if axes is not None and len(axes) < len(made.table):
        raise InputError("axes", found=f"{len(axes)}", allowed=f"{len(made.table)}, one for each treatment")
    return shown(draw_all_ranks(made, axes), axes)
