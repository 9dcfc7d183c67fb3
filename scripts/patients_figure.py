"""The figure of `benchmark_patients.py`: CPU seconds of sampling, and memory, against the number of patients."""

import matplotlib.pyplot as plt


def draw(rows: list[dict[str, float]], file: str) -> None:
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    titles = {"sampling": "CPU seconds of sampling", "megabytes": "Megabytes at most"}
    for axis, (name, title) in zip(axes, titles.items(), strict=True):
        for covariates, style in ((0, "o-"), (3, "s--")):
            mine = [row for row in rows if row["covariates"] == covariates]
            label = f"{covariates} covariates" if covariates else "no covariates"
            axis.plot([row["patients"] for row in mine], [row[name] for row in mine], style, label=label)
        axis.set(xlabel="patients, in 100 studies", title=title, xscale="log", yscale="log")
        axis.legend(frameon=False)
    axes[1].set(yscale="linear", ylim=(0, None))
    figure.savefig(file, dpi=150)
