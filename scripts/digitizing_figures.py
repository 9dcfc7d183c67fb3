"""docs/figures/digitizing.png: four figures drawn from simulated patients, what was read, and the patients rebuilt.

python scripts/digitizing_figures.py            the four cases
python scripts/digitizing_figures.py study OUT  a figure of simulated patients under the name of a shipped study, as PDF
"""

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import imread

import bayes_bm as bb
from bayes_bm.hazards.nonparametric import kaplan_meier
from bayes_bm.runtime.files import atomic_write
from bayes_bm.validation.simulation.curves import varied
from bayes_bm.validation.simulation.journal_figures import BLACK_DASHES, FigureStyle, Patients, draw_figure

ARMS: Mapping[str, Patients] = {
    "Re-resection": varied(11, 64, censoring="staggered"),
    "Repeat SRS": varied(12, 90, censoring="dropout"),
}
CASES: Mapping[str, FigureStyle] = {
    "PDF, bands, numbers at risk": FigureStyle(file="pdf", band="filled"),
    "SVG, black and white": FigureStyle(colours=("#000000",) * 3, dashes=BLACK_DASHES, percent=True, marks="|"),
    "PNG, 300 dpi": FigureStyle(file="png", frame="box", grid=True),
    "JPEG, 150 dpi, quality 60": FigureStyle(file="png", dpi=150, legend="outside"),
}
STUDY, ARM = "Vecil 2005", "Surgery after SRS failure"
"""A study of the main question that the shipped evidence knows by its median, 11.1 months of 61 patients."""
COLOURS = ("#0072B2", "#D55E00")


def drawn_case(folder: Path, name: str, style: FigureStyle) -> Path:
    """Return the file of a case; a JPEG is made from the PNG."""
    path = draw_figure(folder / f"figure.{style.file}", ARMS, style)
    if not name.startswith("JPEG"):
        return path
    from PIL import Image

    jpeg = folder / "figure.jpg"
    Image.open(path).convert("RGB").save(jpeg, quality=60)
    return jpeg


def steps(time: np.ndarray, event: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return times and levels of the Kaplan-Meier curve up to the last patient."""
    curve = kaplan_meier(time, event)
    levels = np.array([1.0, *curve.survival])
    return np.array([0.0, *curve.time, time.max()]), np.append(levels, levels[-1])


def cases_figure() -> Figure:
    """Return a page: a row a case with the figure, its overlay, and the curve of the rebuilt patients on the true."""
    page = Figure((15, 3.6 * len(CASES)), layout="constrained")
    grid = page.subplots(len(CASES), 3, width_ratios=(1.3, 1.3, 1))
    with tempfile.TemporaryDirectory() as name:
        for (title, style), (drawn, left, right) in zip(CASES.items(), grid, strict=True):
            folder = Path(name) / title.split(",")[0]
            folder.mkdir()
            read = bb.digitize(drawn_case(folder, title, style))
            drawn.imshow(read.canvas.pixels)
            drawn.set_axis_off()
            drawn.set_title(title, fontsize=10)
            with (folder / "overlay.png").open("wb") as file:
                read.overlay().savefig(file, dpi=130)
            left.imshow(imread(folder / "overlay.png"))
            left.set_axis_off()
            left.set_title(f"what was read: {read.verdict}", fontsize=10)
            read.save(folder / "read")
            rebuilt = bb.reconstruct_all(folder / "read" / "curves.csv", cores=1)
            for place, (time, event) in enumerate(ARMS.values()):
                right.step(*steps(time, event), where="post", color="#bbbbbb", lw=4)
                patients = list(rebuilt.arms.values())[place].patients
                again = steps(patients["time"].to_numpy(), patients["event"].to_numpy())
                right.step(*again, where="post", color=COLOURS[place], lw=1.1)
            right.set(xlabel="months", ylim=(0, 1.02))
            right.set_title("true patients (grey) and rebuilt ones", fontsize=10)
    return page


def study_figure(path: Path) -> Path:
    """Draw 61 simulated patients with the printed median of a shipped study: NOT the patients of that study."""
    rng = np.random.default_rng(2005)
    shape, median = 1.3, 11.1
    death = median * (rng.exponential(size=61) / np.log(2)) ** (1 / shape)
    seen = rng.uniform(10, 48, 61)
    arms = {ARM: (np.minimum(death, seen), (death <= seen).astype(int))}
    style = FigureStyle(file="pdf", legend="inside", percent=True)
    return draw_figure(path, arms, style, title="SIMULATED patients, drawn by bayes_bm: not those of any study")


if __name__ == "__main__":
    if sys.argv[1:2] == ["study"]:
        print(study_figure(Path(sys.argv[2])))
    else:
        with atomic_write(Path("docs/figures/digitizing.png")) as file:
            cases_figure().savefig(file, dpi=80, metadata={"Software": None})
