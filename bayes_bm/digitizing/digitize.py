"""From the file of a figure to the curves in it: the call behind `bb.digitize` and `bayes-bm digitize`."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayes_bm.digitizing.calibration import GIVEN, Calibration, GivenArm, describe_reading
from bayes_bm.digitizing.calibration_file import read_calibration
from bayes_bm.digitizing.canvas import Canvas
from bayes_bm.digitizing.counting import marks_findings
from bayes_bm.digitizing.figure import ArmLine, FigureReading, Finding, Panel, RiskRow, Verdict
from bayes_bm.digitizing.ink import ArmInk, measure_ink
from bayes_bm.digitizing.limits import faults_named, time_limit
from bayes_bm.digitizing.naming import number_in_name
from bayes_bm.digitizing.sources import read_figure
from bayes_bm.digitizing.verdict import ArmVerdict, coarse_findings, ink_findings, judge_reading, worst_verdict
from bayes_bm.runtime.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHECK_SECONDS = 2.0
"""Longest check of a vector figure against its ink; those of journals take a tenth of a second."""
ENDPOINTS = (
    ("os", r"overall|\bos\b"),
    ("intracranial_pfs", r"intracranial"),
    ("pfs", r"progression|\bpfs\b"),
    ("local_control", r"local"),
)
"""Endpoints by what stands beside the axis of survival."""


@dataclass(frozen=True, eq=False)
class Digitized(Mapping[str, pd.DataFrame]):
    """Hold what was read from one panel of a figure: a mapping from the name of an arm to its curve.

    A curve is a table (time, survival) of corners, from (0, 1); time in the unit of the axis, survival a proportion. Of
    a picture it has a third column, `x_click_error`, the standard deviation of a corner as a share of an axis.

    Attributes
    ----------
    figure
        Path of the file.
    reading
        Everything that was read, in figure units.
    ink
        For each arm, what its line leaves open of the figure.
    verdicts
        For each arm `exact`, `good`, `doubtful` or `refused`, the reason, and a bound of the mean absolute error.
    calibration
        What `calibration.toml` says of the reading.
    canvas
        The figure as a picture.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import matplotlib.figure
    >>> import bayes_bm as bb
    >>> page = matplotlib.figure.Figure()
    >>> axes = page.add_subplot()
    >>> _ = axes.step([0, 3, 7, 10], [1, 0.75, 0.5, 0.5], where="post", label="control")
    >>> _ = axes.set(xlabel="Months", xlim=(0, 12), ylim=(0, 1.05)), axes.legend()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page.savefig(pathlib.Path(folder) / "figure.pdf")
    ...     curves = bb.digitize(pathlib.Path(folder) / "figure.pdf")
    >>> list(curves), curves.verdict, curves.time_unit
    (['control'], 'exact', 'months')
    >>> curves["control"].round(3).to_dict("list")
    {'time': [0.0, 3.0, 3.0, 7.0, 7.0, 10.0], 'survival': [1.0, 1.0, 0.75, 0.75, 0.5, 0.5]}
    """

    figure: Path
    reading: FigureReading
    ink: tuple[ArmInk, ...]
    verdicts: tuple[ArmVerdict, ...]
    calibration: Calibration
    canvas: Canvas = field(repr=False)

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self._curves[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._curves)

    def __len__(self) -> int:
        return len(self._curves)

    @cached_property
    def _curves(self) -> dict[str, pd.DataFrame]:
        return {arm.name: _curve_table(arm, self.panel) for arm in self.reading.arms}

    @property
    def panel(self) -> Panel:
        """Return the axes that were read."""
        if self.reading.panel is None:
            raise ValueError("a reading without axes is no result")
        return self.reading.panel

    @property
    def verdict(self) -> Verdict:
        """Return the worst verdict of all arms."""
        return worst_verdict(self.verdicts)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Return what has to be told, errors first."""
        return self.reading.findings

    @property
    def questions(self) -> tuple[Finding, ...]:
        """Return the findings that somebody has to answer."""
        return tuple(finding for finding in self.findings if finding.severity != "note")

    @property
    def time_unit(self) -> str | None:
        """Return `days`, `weeks`, `months` or `years`; None where no label says it."""
        return self.panel.time_unit

    @property
    def axis_max(self) -> float:
        """Return the time at the right edge of the panel."""
        edge = float(self.panel.time.value(self.panel.box.right))
        return max([edge, *(float(arm.time[-1]) for arm in self.reading.arms)])

    @property
    def endpoint(self) -> str | None:
        """Return the endpoint that the axis of survival names, by the shipped vocabulary; None where it names none."""
        title = self.panel.level.title.lower()
        return next((name for name, pattern in ENDPOINTS if re.search(pattern, title)), None)

    @property
    def ticks(self) -> dict[str, pd.DataFrame]:
        """Return a table (time) of censor marks for each arm that shows any."""
        arms = self.reading.arms
        return {arm.name: pd.DataFrame({"time": np.unique(arm.marks)}) for arm in arms if arm.marks is not None}

    @property
    def at_risk(self) -> dict[str, pd.DataFrame]:
        """Return a table (time, at_risk) for each arm whose numbers are printed, without cells that were not read."""
        return self._rows("at_risk")

    def _rows(self, kind: str) -> dict[str, pd.DataFrame]:
        tables = {}
        for row in self.reading.rows:
            if row.kind == kind and row.arm is not None:
                seen = np.asarray(row.counts) >= 0
                counts = np.asarray(row.counts)[seen].astype(int)
                tables[self.reading.arms[row.arm].name] = pd.DataFrame({"time": row.times[seen], "at_risk": counts})
        return tables

    def patients(self, name: str) -> int | None:
        """Return the number of patients of an arm: at risk at time 0, or in its name (`n = 120`); None elsewhere."""
        table = self.at_risk.get(name)
        if table is not None:
            start = table.loc[table["time"].abs() <= 1e-6 * self.axis_max, "at_risk"]
            if len(start):
                return int(start.iloc[0])
        return number_in_name(name)

    @property
    def table(self) -> pd.DataFrame:
        """Return one row an arm: n, steps, marks, numbers at risk, verdict, bound of the error, reason."""
        marks, at_risk = self.ticks, self.at_risk
        rows = [
            {
                "figure": self.figure.name,
                "arm": arm.name,
                "n": self.patients(arm.name),
                "steps": int((np.diff(arm.survival) < 0).sum()),
                "marks": len(marks[arm.name]) if arm.name in marks else None,
                "at_risk": len(at_risk[arm.name]) if arm.name in at_risk else None,
                "verdict": verdict.verdict,
                "iae_bound": verdict.iae_bound,
                "reason": verdict.reason,
            }
            for arm, verdict in zip(self.reading.arms, self.verdicts, strict=True)
        ]
        return pd.DataFrame(rows)

    def overlay(self) -> "Figure":
        """Return a matplotlib figure of the reading on the figure."""
        from bayes_bm.digitizing.overlay import draw_overlay

        pairs = zip(self.reading.arms, self.verdicts, strict=True)
        words = "; ".join(f"{arm.name}: {verdict.verdict}" for arm, verdict in pairs)
        return draw_overlay(self.canvas, self.reading, f"{self.figure.name}: {words}")

    def save(
        self,
        folder: Path | str,
        *,
        study: str | None = None,
        endpoint: str | None = None,
        treatments: Mapping[str, str] | None = None,
        overlay: bool = True,
    ) -> list[Path]:
        """Write curves, censor marks, numbers at risk, `curves.csv`, `calibration.toml` and `overlay.png`.

        Parameters
        ----------
        folder
            Where they go; all are written or none.
        study
            Name of the study; the name of the file where it is left out.
        endpoint
            Of the curves; where it is left out, what the axis of survival names, else `not_named`.
        treatments
            Treatment of each arm; the name of the arm where it is left out.
        overlay
            Whether `overlay.png` is drawn; programs that nobody watches save half a second a figure without.

        Returns
        -------
        list of Path
            The files; the first is `curves.csv`, which `reconstruct` and a spec take.
        """
        from bayes_bm.digitizing.folder import save_figure

        named = {"study": study, "endpoint": endpoint, "treatments": treatments or {}}
        return save_figure(self, Path(folder), overlay=overlay, **named)


def digitize(
    path: Path | str,
    calibration: Calibration | Path | str | None = None,
    page: int | None = None,
    panel: int | None = None,
) -> Digitized:
    """Read the curves of a published Kaplan-Meier figure.

    Parameters
    ----------
    path
        An SVG or PDF file, read to the file's own precision, or a picture (PNG, JPEG, TIFF), which needs the extra
        `digitize`.
    calibration
        What somebody says about the figure, as a file or a record: it wins over what is read.
    page, panel
        Which page of a PDF and which panel of the page, from 1.

    Returns
    -------
    Digitized
        A mapping from arm to curve, with ticks, numbers at risk, findings and a verdict.

    Raises
    ------
    InputError
        If nothing can be read: what was found and what to give.

    Examples
    --------
    See `Digitized`.
    """
    path = Path(path)
    given = read_calibration(calibration) if isinstance(calibration, Path | str) else calibration
    with faults_named(path):
        return _digitized(path, given, page, panel)


def _digitized(path: Path, given: Calibration | None, page: int | None, panel: int | None) -> Digitized:
    """Return the reading of a figure, checked against its ink."""
    page = page if page is not None else (given.page if given is not None else None)
    panel = panel if panel is not None else (given.panel if given is not None else None)
    source = read_figure(path, given, page, panel)
    reading = source.reading if given is None else _with_given(source.reading, given)
    _require_curves(path, reading)
    with time_limit(float("inf") if reading.pixels else CHECK_SECONDS):
        canvas = source.canvas()
        ink = measure_ink(canvas, reading)
    findings = (*reading.findings, *ink_findings(reading, ink), *coarse_findings(reading), *marks_findings(reading))
    accepted = () if given is None else given.accepted
    reading = replace(reading, findings=_sorted([_accepted(one, reading, accepted) for one in findings]))
    written = _written(reading, given, panel)
    return Digitized(path, reading, ink, judge_reading(reading, ink), written, canvas)


def _curve_table(arm: ArmLine, panel: Panel) -> pd.DataFrame:
    """Return corners (time, survival), and of a picture the error of a corner as a share of an axis."""
    table = pd.DataFrame({"time": arm.time, "survival": arm.survival})
    if arm.error:
        width, height = panel.box.width, panel.box.height
        table["x_click_error"] = round(arm.error / np.sqrt(width * height), 6)
    return table


def _sorted(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    rank = {"error": 0, "question": 1, "note": 2}
    return tuple(sorted(findings, key=lambda finding: rank[finding.severity]))


def _require_curves(path: Path, reading: FigureReading) -> None:
    """Refuse a reading without axes or arms, or with an error that concerns the whole figure."""
    errors = [finding for finding in reading.findings if finding.severity == "error" and finding.arm is None]
    if reading.panel is not None and reading.arms and not errors:
        return
    found = " ".join(finding.message for finding in errors) or "no curve"
    answers = "; ".join(dict.fromkeys(finding.answer for finding in errors if finding.answer))
    hint = f"give in calibration.toml (--calibration): {answers}" if answers else ""
    raise InputError(str(path), found=found.rstrip("."), hint=hint)


def _accepted(finding: Finding, reading: FigureReading, accepted: Sequence[str]) -> Finding:
    """Return a finding as a note where somebody has looked at it and found it right."""
    names = [finding.kind]
    if finding.arm is not None:
        names.append(f"{finding.kind}: {reading.arms[finding.arm].name}")
    if finding.severity == "question" and set(names) & set(accepted):
        return replace(finding, severity="note", message=f"{finding.message} (accepted in the calibration)", answer="")
    return finding


# --- what a person gave -------------------------------------------------------------------------------------------


def _with_given(reading: FigureReading, given: Calibration) -> FigureReading:
    """Return a reading with what readers leave to this module: typed curves and marks, rows, marks that are none."""
    if reading.panel is None:
        return reading
    panel = reading.panel if given.time_unit is None else replace(reading.panel, time_unit=given.time_unit)
    asked = {arm.name: arm for arm in given.arms}
    arms = [_with_typed(arm, asked[arm.name], panel) if arm.name in asked else arm for arm in reading.arms]
    present = {arm.name for arm in arms}
    arms += [_typed_arm(arm, panel) for arm in given.arms if arm.corners and not arm.drop and arm.name not in present]
    if given.marks is False:
        arms = [replace(arm, marks=None) for arm in arms]
    rows = _given_rows(given, arms) if given.rows else reading.rows
    return replace(reading, panel=panel, arms=tuple(arms), rows=rows)


def _with_typed(arm: ArmLine, given: GivenArm, panel: Panel) -> ArmLine:
    typed = _typed_arm(given, panel, width=arm.width) if given.corners else arm
    return typed if given.marks is None else replace(typed, marks=np.array(given.marks))


def _typed_arm(given: GivenArm, panel: Panel, width: float = 1.0) -> ArmLine:
    """Return an arm from its typed corners."""
    time, survival = np.array(given.corners, float).T
    unit = 100.0 if panel.percent else 1.0
    corners = np.column_stack([panel.time.place(time), panel.level.place(survival * unit)])
    marks = None if given.marks is None else np.array(given.marks)
    colour = given.colour if given.colour is not None else (0.0, 0.0, 0.0)
    return ArmLine(given.name, given.source, colour, given.dash or (), width, corners, time, survival, marks)


def _given_rows(given: Calibration, arms: Sequence[ArmLine]) -> tuple[RiskRow, ...]:
    places = {arm.name: place for place, arm in enumerate(arms)}
    return tuple(
        RiskRow(row.kind, places.get(row.arm), row.arm, np.array(row.times), np.array(row.counts), row.source)
        for row in given.rows
    )


def _written(reading: FigureReading, given: Calibration | None, panel: int | None) -> Calibration:
    """Return what `calibration.toml` says: what was read, and of what was given that which no reading shows."""
    described = describe_reading(reading, panel)
    if given is None:
        return described
    asked = {arm.name: arm for arm in given.arms if arm.source == GIVEN}
    arms = [asked.get(arm.name, arm) for arm in described.arms]
    dropped = [arm for arm in given.arms if arm.drop]
    kept_axes = {
        name: getattr(given, name)
        for name in ("time", "level")
        if getattr(given, name) is not None and getattr(given, name).source == GIVEN
    }
    return replace(
        described, arms=(*arms, *dropped), rows=given.rows or described.rows, accepted=given.accepted, **kept_axes
    )
