"""Let numba compile what the package compiles, once: a minute that every process of the tests would wait for at once.

    python scripts/compile_ahead.py [models | curves]

`make test` runs both halves at once, each on a core, and types after the shorter one, `curves`. What is compiled is
kept beside the files (or in NUMBA_CACHE_DIR) until they change.
"""

import sys
from importlib import import_module

import numpy as np
import pandas as pd

import bayes_bm as bb
from bayes_bm.checks.family_priors import of_family
from bayes_bm.digitizing.raster.cutting import Samples, fitted_steps
from bayes_bm.digitizing.raster.fitting import StepCost, refine
from bayes_bm.estimands import interpolation, level_averages, tabulated_patients
from bayes_bm.estimands.gauss_rule import gauss_rule
from bayes_bm.inference.compiled.cells.mixtures import mixed_rows
from bayes_bm.inference.compiled.formulas import FILES, formula_address
from bayes_bm.inference.prior_result import prior_result
from bayes_bm.runtime.compiling import fewer_searches

PATIENTS = [{"kps70": float(at % 2), "extracranial_controlled": 1.0} for at in range(40)]
"""As many as are read off a table of curves."""


def answers() -> None:
    """Ask for averages over studies, many patients at once, and a cohort, of a model with covariates."""
    spec = bb.read_spec("os_reresection_vs_resrs")
    result = prior_result(spec, draws=20)
    for who in (bb.NewStudy(), bb.NewHospital()):
        bb.compare(result, who=who)
    bb.predict(result, PATIENTS, times=[12.0], who=bb.NewStudy())
    bb.survival_table(result, PATIENTS, [12.0])
    bb.standardise(result, PATIENTS, [12.0])


def density() -> None:
    """Sample a little of a model with printed numbers alone: a Weibull, and a family that has a formula of its own."""
    spec = bb.read_spec("published_os_extent_of_resection")
    for family in ("weibull", "gompertz"):
        bb.fit(of_family(spec, family), draws=10, tune=10, chains=1)


def stages() -> None:
    """Import what models compile when they first ask for it: stages that some have, and every family's formula."""
    for name in ("mixes", "common_factor", "lacking", "ratios", "waning"):
        import_module(f"bayes_bm.inference.compiled.cells.{name}")
    for family in FILES:
        formula_address(family)


def curves() -> None:
    """Rebuild the patients of clicks, and draw others."""
    times = np.linspace(0, 12, 40)
    clicks = pd.DataFrame({"time": times, "survival": np.exp(-times / 11.3)})
    counts = pd.DataFrame({"time": [0, 6], "at_risk": [30, 16]})
    bb.reconstruct(clicks, n=30, at_risk=counts, axis_max=12).draw(1)


def picture() -> None:
    """Cut the edges of ink into steps, and fit a step line to them."""
    places, sides = np.repeat(np.arange(20.0), 2) + 0.5, np.tile([-1, 1], 20)
    samples = Samples(places, np.where(places < 10, 5.0, 8.0), np.ones(40), sides, 2.0)
    fitted_steps(samples, samples.weight, 16.0, np.full(20, 0.4))
    refine(samples, np.array([9.0]), np.array([5.0, 8.0]), StepCost(0.2, 16.0, np.full(20, 0.4)))


def averages() -> None:
    """Average over what patients lack: rules of few nodes, tables of levels, series, and mixtures of patients."""
    nodes, shares = gauss_rule(np.linspace(-1, 1, 60)[None, None], np.full(60, 1 / 60))
    low, tables = level_averages.offset_tables(np.ones((1, 1)), nodes, shares, np.zeros(1), np.ones(1))
    level_averages.add_tabulated(np.zeros((1, 1, 1)), tables, low, np.zeros((1, 1, 1)), np.zeros((1, 1)), 1.0)
    interpolation._evaluate_series(np.zeros((1, 1, 1, 3)), np.zeros((1, 1)))
    tabulated_patients._average_hazard(np.zeros((1, 1, 3, 2)), np.zeros((1, 1, 2)), np.ones((1, 1, 2)))
    mixed_rows(np.zeros(1, np.int64), np.zeros((1, 2)), np.zeros((2, 1)))


HALVES = {"models": (density, stages), "curves": (picture, curves, averages, answers)}
"""No function of one half is compiled by the other, whose file would be written twice."""


if __name__ == "__main__":
    with fewer_searches():
        for half in sys.argv[1:] or HALVES:
            for compile_its_functions in HALVES[half]:
                compile_its_functions()
