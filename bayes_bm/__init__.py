"""Bayesian survival evidence synthesis from published curves and numbers.

    import bayes_bm as bb
    spec = bb.read_spec("os_reresection_vs_resrs")
    result = bb.fit(spec)
    bb.compare(result, who=bb.NewStudy())

Names are loaded when first used: importing the package costs milliseconds, PyMC is imported by a fit.
"""

import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bayes_bm.checks.audit import Audit, audit
    from bayes_bm.checks.battery import Battery, battery
    from bayes_bm.checks.check import Check, check
    from bayes_bm.checks.contrasts import contrast_sources
    from bayes_bm.checks.leave_one_out import LeaveOneOut, leave_one_out
    from bayes_bm.checks.network import Network, network
    from bayes_bm.checks.power import power_scaling
    from bayes_bm.checks.predictive import predictive_bands
    from bayes_bm.checks.prior import prior_predictive
    from bayes_bm.checks.reconcile import reconcile
    from bayes_bm.checks.scoring import Score, score_cohort
    from bayes_bm.checks.sensitivity import Sensitivity, sensitivity
    from bayes_bm.checks.stacking import stacked, stacking
    from bayes_bm.cohort import standardise, survival_table
    from bayes_bm.competing import cumulative_incidence
    from bayes_bm.curves.reading import Curve
    from bayes_bm.errors import BayesBmError, GateRefused, InputError
    from bayes_bm.evidence import Evidence, read_evidence
    from bayes_bm.fit import Result, fit, load
    from bayes_bm.manifest import Reconstructions, reconstruct_all
    from bayes_bm.outcomes import outcome_table, outcomes
    from bayes_bm.plots.leave_one_out import leave_one_out_figure
    from bayes_bm.plots.network import draw_network
    from bayes_bm.plots.ranking import ranks_figure
    from bayes_bm.plots.reconstruction import draw_reconstruction
    from bayes_bm.plots.sensitivity import sensitivity_figure
    from bayes_bm.predict import (
        AverageStudy,
        NewHospital,
        NewStudy,
        Patient,
        Study,
        compare,
        hazard,
        hazard_ratio,
        patient_distance,
        patient_missing,
        predict,
        quantile,
        rmst,
        survival,
        time_ratio,
    )
    from bayes_bm.ranking import Ranking, rank
    from bayes_bm.reconstruct import Reconstruction, reconstruct
    from bayes_bm.report import write_report
    from bayes_bm.simulation.world import World, read_world, simulate
    from bayes_bm.spec import Spec, list_models, read_spec
    from bayes_bm.widening import imputation_summary

__all__ = [
    "Audit",
    "AverageStudy",
    "Battery",
    "BayesBmError",
    "Check",
    "Curve",
    "Evidence",
    "GateRefused",
    "InputError",
    "LeaveOneOut",
    "Network",
    "NewHospital",
    "NewStudy",
    "Patient",
    "Ranking",
    "Reconstruction",
    "Reconstructions",
    "Result",
    "Score",
    "Sensitivity",
    "Spec",
    "Study",
    "World",
    "__version__",
    "audit",
    "battery",
    "check",
    "compare",
    "contrast_sources",
    "cumulative_incidence",
    "draw_network",
    "draw_reconstruction",
    "fit",
    "hazard",
    "hazard_ratio",
    "imputation_summary",
    "leave_one_out",
    "leave_one_out_figure",
    "list_models",
    "load",
    "network",
    "outcome_table",
    "outcomes",
    "patient_distance",
    "patient_missing",
    "power_scaling",
    "predict",
    "predictive_bands",
    "prior_predictive",
    "quantile",
    "rank",
    "ranks_figure",
    "read_evidence",
    "read_spec",
    "read_world",
    "reconcile",
    "reconstruct",
    "reconstruct_all",
    "rmst",
    "score_cohort",
    "sensitivity",
    "sensitivity_figure",
    "simulate",
    "stacked",
    "stacking",
    "standardise",
    "survival",
    "survival_table",
    "time_ratio",
    "write_report",
]

_HOME = {
    **dict.fromkeys(("BayesBmError", "GateRefused", "InputError"), "errors"),
    **dict.fromkeys(("Spec", "list_models", "read_spec"), "spec"),
    **dict.fromkeys(("Evidence", "read_evidence"), "evidence"),
    **dict.fromkeys(("Result", "fit", "load"), "fit"),
    **dict.fromkeys(("AverageStudy", "NewHospital", "NewStudy", "Patient", "Study"), "predict"),
    **dict.fromkeys(
        ("compare", "hazard", "hazard_ratio", "predict", "quantile", "rmst", "survival", "time_ratio"), "predict"
    ),
    "cumulative_incidence": "competing",
    **dict.fromkeys(("patient_distance", "patient_missing"), "predict"),
    **dict.fromkeys(("outcome_table", "outcomes"), "outcomes"),
    **dict.fromkeys(("standardise", "survival_table"), "cohort"),
    "prior_predictive": "checks.prior",
    **dict.fromkeys(("Audit", "audit"), "checks.audit"),
    **dict.fromkeys(("Battery", "battery"), "checks.battery"),
    **dict.fromkeys(("Check", "check"), "checks.check"),
    "contrast_sources": "checks.contrasts",
    **dict.fromkeys(("LeaveOneOut", "leave_one_out"), "checks.leave_one_out"),
    **dict.fromkeys(("Network", "network"), "checks.network"),
    "power_scaling": "checks.power",
    "predictive_bands": "checks.predictive",
    "reconcile": "checks.reconcile",
    **dict.fromkeys(("Score", "score_cohort"), "checks.scoring"),
    **dict.fromkeys(("Sensitivity", "sensitivity"), "checks.sensitivity"),
    **dict.fromkeys(("stacked", "stacking"), "checks.stacking"),
    "Curve": "curves.reading",
    **dict.fromkeys(("Reconstruction", "reconstruct"), "reconstruct"),
    **dict.fromkeys(("Reconstructions", "reconstruct_all"), "manifest"),
    "draw_network": "plots.network",
    "leave_one_out_figure": "plots.leave_one_out",
    **dict.fromkeys(("Ranking", "rank"), "ranking"),
    "ranks_figure": "plots.ranking",
    "draw_reconstruction": "plots.reconstruction",
    "sensitivity_figure": "plots.sensitivity",
    **dict.fromkeys(("World", "read_world", "simulate"), "simulation.world"),
    "write_report": "report",
    "imputation_summary": "widening",
}


try:
    __version__ = version("bayes_bm")
except PackageNotFoundError:
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'bayes_bm' has no attribute {name!r}")
    value = getattr(import_module(f"bayes_bm.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


class _Package(ModuleType):
    """`bb.fit` is the function also after an import of the module `bayes_bm.fit`, which sets the attribute."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
