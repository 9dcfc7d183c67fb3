"""Random figures of other programs for the stress set: lifelines, and R's survminer, ggplot2 and base graphics."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayes_bm.validation.simulation.journal_figures import PALETTES, Patients, tick_step

R_PROGRAMS = ("survminer", "ggplot2", "base")
PROGRAMS = ("matplotlib", "lifelines", *R_PROGRAMS)
DEVICES = {"svg": ("svg", "svglite"), "pdf": ("pdf", "cairo_pdf"), "png": ("png",)}
"""R's devices of each kind of file."""
DEGRADED = ("quality", "smaller", "screen", "copied", "scan")
"""Ways in which a picture becomes a poor JPEG, those of the shared figures."""


@dataclass(frozen=True)
class RandomFigure:
    """Hold the patients of a figure, the program that draws it, its file, and how its style is seeded.

    A figure that becomes a JPEG is drawn as PNG first.
    """

    seed: int
    program: str
    file: str
    arms: Mapping[str, Patients]
    degraded: bool = False

    @property
    def end(self) -> float:
        """Return the last tick: R's and lifelines' axes end there."""
        last = max(float(time.max()) for time, _ in self.arms.values())
        step = tick_step(last)
        return float(step * np.ceil(last / step))

    def name(self, folder: Path) -> Path:
        return folder / f"figure_{self.seed}.{self.file}"


def programs() -> tuple[str, ...]:
    """Return the programs that are here: R's where its packages are (Debian: r-cran-survminer, r-cran-svglite)."""
    if shutil.which("Rscript") is None:
        return PROGRAMS[:2]
    asked = 'quit(status = !all(sapply(c("survminer", "svglite"), requireNamespace, quietly = TRUE)))'
    here = subprocess.run(["Rscript", "-e", asked], capture_output=True).returncode == 0
    return PROGRAMS if here else PROGRAMS[:2]


def draw_by_lifelines(figure: RandomFigure, folder: Path) -> Path:
    """Draw a figure with lifelines as its users do: `plot_survival_function` and `add_at_risk_counts`."""
    import matplotlib as mpl
    from lifelines import KaplanMeierFitter, plotting
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    plotting.int = lambda count: int(np.ravel(count)[0])  # type: ignore[attr-defined]  # numpy 2.5 refuses its int(array)
    rng = np.random.default_rng([figure.seed, 7])
    settings: dict[Any, Any] = {
        "svg.fonttype": str(rng.choice(["path", "none"])), "pdf.fonttype": int(rng.choice([3, 42])),
        "font.size": float(rng.choice([8, 10])), "svg.hashsalt": str(figure.seed),
    }  # fmt: skip
    colours = PALETTES[int(rng.integers(len(PALETTES)))]
    with mpl.rc_context(settings):
        page = Figure((float(rng.uniform(4.5, 7)), float(rng.uniform(3.5, 5))))
        FigureCanvasAgg(page)
        axes = page.add_subplot()
        bands, censors, table = rng.uniform() < 0.6, rng.uniform() < 0.7, rng.uniform() < 0.6
        style = {"marker": str(rng.choice(["+", "|"])), "ms": float(rng.choice([6, 8])), "mew": 1.0}
        fitters = []
        for place, (name, (time, event)) in enumerate(figure.arms.items()):
            fitters.append(KaplanMeierFitter().fit(time, event, label=name))
            fitters[-1].plot_survival_function(ax=axes, ci_show=bands, show_censors=censors, censor_styles=style,
                                               color=colours[place])  # fmt: skip
        axes.set(xlim=(0, figure.end), ylim=(0, 1.02), xlabel="Time (months)", ylabel="Overall survival")
        axes.set_xticks(np.arange(0, figure.end + 1e-9, tick_step(figure.end)))
        if rng.uniform() < 0.3:
            axes.grid(alpha=0.4)
        if table:
            rows = [["At risk"], None][int(rng.integers(2))]
            plotting.add_at_risk_counts(*fitters, ax=axes, fig=page, rows_to_show=rows)
        path = figure.name(folder)
        page.savefig(path, dpi=int(rng.choice([150, 200, 300])), bbox_inches="tight")
    return path


def draw_by_r(figures: Sequence[RandomFigure], folder: Path) -> None:
    """Draw figures by R, all in one call."""
    if not figures:
        return
    pd.DataFrame([_job(figure) for figure in figures]).to_csv(folder / "jobs.csv", index=False)
    for figure in figures:
        parts = [pd.DataFrame({"arm": name, "time": time, "event": event})
                 for name, (time, event) in figure.arms.items()]  # fmt: skip
        pd.concat(parts).to_csv(folder / f"{figure.seed}.csv", index=False)
    script = Path(__file__).with_name("benchmark_figures.R")
    subprocess.run(["Rscript", str(script), str(folder)], check=True, stdout=subprocess.DEVNULL)


def _job(figure: RandomFigure) -> dict[str, Any]:
    """Return what `benchmark_figures.R` is told of a figure."""
    rng = np.random.default_rng([figure.seed, 7])

    def said(share: float) -> str:
        return "TRUE" if rng.uniform() < share else "FALSE"

    shares = {"band": 0.35, "steps": 0.3, "bar": 0.4, "censor": 0.85, "inside": 0.35, "titled": 0.4, "percent": 0.4,
              "table": 0.6, "text": 0.6, "coloured": 0.4, "clean": 0.4, "cumcensor": 0.2, "median": 0.25, "pval": 0.2,
              "inner": 0.2, "gap": 0.4, "black": 0.2}  # fmt: skip
    job: dict[str, Any] = {name: said(share) for name, share in shares.items()}
    if job["black"] == "TRUE":
        job["band"] = "FALSE"
    table = figure.program != "ggplot2" and job["table"] == "TRUE"
    return job | {
        "seed": figure.seed, "program": figure.program, "device": str(rng.choice(DEVICES[figure.file])),
        "file": figure.name(Path()).name, "end": figure.end, "step": tick_step(figure.end),
        "width": round(rng.uniform(5, 8), 2), "height": round(rng.uniform(3.5, 5) + 1.5 * table, 2),
        "dpi": int(rng.choice([150, 200, 300])), "line": float(rng.choice([0.5, 0.8, 1.0])),
        "palette": int(rng.integers(1, 7)), "theme": int(rng.integers(1, 6)),
        "side": str(rng.choice(["top", "right", "bottom"])), "las": int(rng.choice([0, 1])),
        "bty": str(rng.choice(["o", "l", "n"])),
    }  # fmt: skip


def degrade(path: Path, seed: int) -> str:
    """Write the poor JPEG of a PNG beside it; return in which way it is poor."""
    from PIL import Image, ImageFilter

    rng = np.random.default_rng([seed, 11])
    way = str(rng.choice(DEGRADED))
    picture = Image.open(path)
    dots = float(picture.info.get("dpi", (200.0, 200.0))[0])
    picture = picture.convert("RGB")

    def scaled(image: Image.Image, factor: float) -> Image.Image:
        size = (round(image.width * factor), round(image.height * factor))
        return image.resize(size, Image.Resampling.LANCZOS)

    if way == "smaller":
        picture = scaled(picture, 0.8).filter(ImageFilter.GaussianBlur(0.9))
    elif way == "screen":
        picture = scaled(picture, min(150.0 / dots, 1.0))
    elif way == "copied":
        picture = scaled(scaled(picture, 0.55), 0.73 / 0.55).filter(ImageFilter.GaussianBlur(0.6))
    elif way == "scan":
        picture = scaled(picture, min(200.0 / dots, 1.0))
        paper = (250, 246, 236)
        sheet = Image.new("RGB", (picture.width + 80, picture.height + 80), paper)
        sheet.paste(picture, (40, 40))
        sheet = sheet.rotate(float(rng.choice([-0.5, 0.5])), Image.Resampling.BICUBIC, fillcolor=paper)
        image = np.minimum(np.asarray(sheet, float), paper)
        shade = np.linspace(1.0, 0.95, image.shape[1])[None, :, None]
        noisy = image * shade + rng.normal(0.0, 3.0, (*image.shape[:2], 1))
        picture = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.6))
    picture.save(path.with_suffix(".jpg"), quality=70)
    return way
