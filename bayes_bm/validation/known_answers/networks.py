"""Known answers of networks, published pools and simulated worlds."""

from collections.abc import Iterator

import numpy as np

from bayes_bm.validation.known_answers.posterior import model_document, model_evidence
from bayes_bm.validation.known_answers.record import Known

NETWORK = (("ab", "b", "a", -0.30, 0.20), ("ac", "c", "a", -0.50, 0.25), ("bc", "c", "b", 0.10, 0.15))


def network() -> Iterator[Known]:
    """A loop of three printed log hazard ratios: generalised least squares, and Bucher's direct less indirect."""
    from bayes_bm.checks.node_splitting import split_world
    from bayes_bm.inference.fit import fit

    rows = [
        {
            "study": study,
            "endpoint": "os",
            "treatment": one,
            "reference": other,
            "hr": float(np.exp(y)),
            "se_log_hr": se,
        }
        for study, one, other, y, se in NETWORK
    ]
    free = {"exchangeable": False}
    document = model_document(
        treatments={"reference": "a", "compare": ["b", "c"]}, effects={"study": free}, hazard={"family": "exponential"}
    )
    spec, evidence = model_evidence(document, {"hazard_ratios": rows})
    posterior = fit(spec, evidence, cores=1).posterior["log_hr"]
    contrast = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 1.0]])
    y, weight = np.array([row[3] for row in NETWORK]), np.array([row[4] ** -2 for row in NETWORK])
    covariance = np.linalg.inv(contrast.T @ (weight[:, None] * contrast))
    mean = covariance @ contrast.T @ (weight * y)
    for column, name in enumerate("bc"):
        sd, draws = float(np.sqrt(covariance[column, column])), posterior.sel(treatment=name).to_numpy()
        tolerance = 4 * sd / np.sqrt(1000)
        yield Known(
            f"log HR of {name} v a", float(mean[column]), float(draws.mean()), tolerance, "generalised least squares"
        )
    split = split_world(spec, evidence, ("b", "a"))
    log_ratios = fit(split.spec, split.evidence, cores=1).posterior["log_hr"]
    gap = (log_ratios.sel(treatment=split.alias) - log_ratios.sel(treatment=split.renamed)).to_numpy().ravel()
    expected, sd = -0.30 - (-0.50 - 0.10), float(np.sqrt(0.20**2 + 0.25**2 + 0.15**2))
    tolerance = 4 * sd / np.sqrt(1000)
    yield Known("direct - indirect of b v a", expected, float(gap.mean()), tolerance, "Bucher et al. 1997")


BASARAN = "Basaran 2025, J Neurooncol, doi 10.1007/s11060-025-05244-1 (docs/decisions.md, 9)"
HR_TOLERANCE = 0.06
"""Largest difference from a printed hazard ratio (decision 9)."""
MEDIAN_TOLERANCE = 0.25
"""Largest difference from a printed median, as a share of its interval's width (decision 9)."""


def _reproduced(name: str) -> Iterator[Known]:
    """What a `published_*` spec gives back beside what the abstract printed: the ratio, and the medians."""
    from bayes_bm.estimands.compare import compare
    from bayes_bm.estimands.who import AverageStudy
    from bayes_bm.inference.fit import fit
    from bayes_bm.spec.reading import read_spec

    spec = read_spec(name)
    table = compare(fit(spec, cores=1), who=AverageStudy()).set_index(["estimand", "treatment"])["median"].to_dict()
    for check in spec.external_checks:
        reproduced = float(table[check.estimand, check.treatment])
        if check.estimand == "hazard_ratio":
            label = f"{name}: HR {check.treatment} v {check.reference}"
            yield Known(label, check.value, reproduced, HR_TOLERANCE, BASARAN)
        elif check.estimand == "median" and check.ci_low is not None and check.ci_high is not None:
            width = MEDIAN_TOLERANCE * (check.ci_high - check.ci_low)
            yield Known(f"{name}: median {check.treatment}", check.value, reproduced, width, BASARAN)


def published_quick() -> Iterator[Known]:
    yield from _reproduced("published_os_reresection_vs_resrs")


def published() -> Iterator[Known]:
    yield from _reproduced("published_os_reresection_vs_nonsurgical")
    yield from _reproduced("published_os_extent_of_resection")


def recovered() -> Iterator[Known]:
    """A simulated world of the main model, 20 large studies: each parameter within 4 posterior sds of its truth."""
    from bayes_bm.inference.fit import fit
    from bayes_bm.spec.reading import read_spec
    from bayes_bm.validation.simulation.world import simulate

    alike = {"covariates": {}, "evidence.prognostic_ratios": [], "prognosis": None, "external_checks": []}
    spec = read_spec("os_reresection_vs_resrs", changes=alike)
    world = simulate(spec, seed=2026, studies=20, sizes=(100, 150))
    posterior = fit(world.spec, world.evidence(), cores=1, draws=500, tune=500).posterior
    true = world.truth["parameters"]
    named = {name: (true[name], posterior[name]) for name in ("intercept", "log_shape", "study_sd", "study_shape_sd")}
    named |= {
        f"log_hr[{name}]": (true["log_hr"][name], posterior["log_hr"].sel(treatment=name)) for name in true["log_hr"]
    }
    for name, (value, draws) in named.items():
        yield Known(name, value, float(draws.mean()), 4 * float(draws.std()), "the truth of the simulated world")
