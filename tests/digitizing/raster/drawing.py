"""Kaplan-Meier figures drawn by matplotlib from simulated patients, and their true curves: what a picture must show."""

import io
from dataclasses import dataclass, field

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Patients:
    """Hold one arm: times and events (1 = event)."""

    name: str
    time: NDArray[np.float64]
    event: NDArray[np.int64]


@dataclass(frozen=True)
class Style:
    """Hold how a figure is drawn."""

    dpi: int = 200
    size: tuple[float, float] = (6.0, 4.5)
    colours: tuple[str, ...] = ("#1f77b4", "#d62728")
    dashes: tuple[str, ...] = ("-", "-")
    width: float = 1.5
    mark: str = "+"
    percent: bool = False
    grid: bool = False
    legend: str = "upper right"
    band: bool = False
    table: bool = False
    end: float = 40.0
    extra: dict[str, float] = field(default_factory=dict)


def simulate(name: str, number: int, median: float, seed: int) -> Patients:
    """Return an arm with exponential times and censoring between 15 and 45."""
    random = np.random.default_rng(seed)
    time = random.exponential(median / np.log(2), number)
    censoring = random.uniform(15.0, 45.0, number)
    return Patients(name, np.round(np.minimum(time, censoring), 2) + 0.01, (time <= censoring).astype(int))


def kaplan_meier(arm: Patients) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return times and survival just after them, of distinct event times."""
    times = np.unique(arm.time[arm.event == 1])
    at_risk = np.array([(arm.time >= time).sum() for time in times])
    deaths = np.array([((arm.time == time) & (arm.event == 1)).sum() for time in times])
    return times, np.cumprod(1.0 - deaths / at_risk)


def _steps(arm: Patients, end: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    times, survival = kaplan_meier(arm)
    last = min(float(arm.time.max()), end)
    inside = times <= last
    times, survival = times[inside], survival[inside]
    return np.r_[0.0, times, last], np.r_[1.0, survival, survival[-1] if len(survival) else 1.0]


def draw(arms: list[Patients], style: Style) -> Pixels:
    """Return the figure as bytes (rows, columns, 3)."""
    unit = 100.0 if style.percent else 1.0
    figure, axes = plt.subplots(figsize=style.size, dpi=style.dpi)
    for arm, colour, dash in zip(arms, style.colours, style.dashes, strict=False):
        time, survival = _steps(arm, style.end)
        axes.step(time, unit * survival, where="post", color=colour, linestyle=dash, lw=style.width, label=arm.name)
        if style.band:
            low, high = np.clip(survival - 0.08, 0, 1), np.clip(survival + 0.08, 0, 1)
            axes.fill_between(time, unit * low, unit * high, step="post", color=colour, alpha=0.2, lw=0)
        if style.mark:
            gone = np.unique(arm.time[(arm.event == 0) & (arm.time <= style.end)])
            height = survival[np.searchsorted(time, gone, side="right") - 1]
            axes.plot(gone, unit * height, style.mark, color=colour, ms=7, mew=1.0)
    axes.set_xlim(0, style.end)
    axes.set_ylim(0, 1.03 * unit)
    axes.set_xlabel("Time (months)")
    axes.set_ylabel("Survival (%)" if style.percent else "Survival")
    if style.grid:
        axes.grid(True, color="#d8d8d8")
    if style.legend:
        axes.legend(loc=style.legend)
    if style.table:
        _table(axes, arms, np.arange(0, style.end + 1, 10))
    figure.tight_layout()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=style.dpi)
    plt.close(figure)
    return np.array(Image.open(buffer).convert("RGB"))


def _table(axes: plt.Axes, arms: list[Patients], times: NDArray[np.float64]) -> None:
    axes.text(-0.08, -0.26, "Number at risk", transform=axes.transAxes)
    for row, arm in enumerate(arms):
        height = -0.34 - 0.08 * row
        axes.text(-0.08, height, arm.name, transform=axes.transAxes, ha="right")
        for time in times:
            count = int((arm.time >= time).sum())
            axes.text(time / times[-1] if times[-1] else 0.0, height, str(count), transform=axes.transAxes, ha="center")


def jpeg(pixels: Pixels, quality: int = 60) -> Pixels:
    """Return the picture after a pass through JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="JPEG", quality=quality)
    return np.array(Image.open(buffer).convert("RGB"))


def turned(pixels: Pixels, degrees: float) -> Pixels:
    """Return the picture turned against the clock on a larger sheet of white paper."""
    image = Image.fromarray(pixels).rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=(255, 255, 255))
    return np.array(image)


def error(arm: Patients, time: NDArray[np.float64], survival: NDArray[np.float64], end: float) -> float:
    """Return the mean absolute vertical distance between a read curve and the arm's Kaplan-Meier curve."""
    times, truth = kaplan_meier(arm)
    last = min(float(arm.time.max()), end)
    grid = np.unique(np.clip(np.r_[0.0, times, time, last], 0.0, last))
    middle, length = (grid[1:] + grid[:-1]) / 2, np.diff(grid)
    true = np.r_[1.0, truth][np.searchsorted(times, middle, side="right")]
    read = survival[np.clip(np.searchsorted(time, middle, side="right") - 1, 0, None)]
    return float((np.abs(true - read) * length).sum() / last)


def matched(one: NDArray[np.float64], two: NDArray[np.float64], reach: float) -> int:
    """Return the largest number of pairs of sorted places no further apart than `reach`."""
    first, second, pairs = 0, 0, 0
    while first < len(one) and second < len(two):
        if abs(one[first] - two[second]) <= reach:
            first, second, pairs = first + 1, second + 1, pairs + 1
        elif one[first] < two[second]:
            first += 1
        else:
            second += 1
    return pairs


ARMS = [simulate("Control", 60, 9.0, 1), simulate("Treated", 70, 18.0, 2)]
"""The arms of the plain picture."""
