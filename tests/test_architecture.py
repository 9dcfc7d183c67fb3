"""The direction of the arrows: arrays know no pandas or PyMC, the model no files, and drawing computes nothing."""

import ast
import inspect
import json
import subprocess
import sys
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

import bayes_bm as bb

PACKAGE = Path(__file__).resolve().parents[1] / "bayes_bm"
ARRAYS = (
    "arrays",
    "convergence",
    "gamma_tail",
    "mixture",
    *(
        "hazards",
        "hazards.averaged",
        "hazards.background",
        "hazards.base",
        "hazards.cure",
        "hazards.exponential",
        "hazards.flexible",
        "hazards.gengamma",
    ),
    *("hazards.gompertz", "hazards.loglogistic", "hazards.lognormal", "hazards.mspline", "hazards.piecewise"),
    *("hazards.weibull", "hazards.weibull_aft"),
    "averages",
    "estimands",
    "interpolated",
    "summaries",
    "likelihoods",
    "nonparametric",
    *("density.kernel", "density.polynomials"),
    "scores",
)
# what a part may know of the package, beyond errors: each stands on the ones before it
FOUNDATIONS = {
    "errors": set(),
    "gamma_tail": set(),
    "mixture": set(),
    "arrays": {"gamma_tail", "mixture"},
    "files": {"errors"},
    "many": {"errors", "files"},
    "summaries": set(),
    "averages": {"density.kernel"},
    "nonparametric": {"errors"},
    "hazards.base": {"arrays"},
    "hazards.weibull": {"arrays", "hazards.base"},
    "hazards.gengamma": {"arrays", "hazards.base"},
    "hazards.flexible": {"arrays", "hazards.base"},
    "hazards.mspline": {"hazards.base", "hazards.flexible"},
    "hazards.cure": {"arrays", "hazards.base"},
    "hazards.background": {"arrays", "hazards.base"},
    "tensor": {"arrays", "gamma_tail", "hazards.base", "mixture"},
    "likelihoods": {"arrays", "hazards", "hazards.base"},
    "interpolated": {"density.kernel", "estimands"},
    "estimands": {"arrays", "averages", "hazards", "hazards.base"},
    "priors": set(),
    "laws": {"priors"},
    "tables": {"errors"},
    "spec": {"errors", "hazards", "hazards.base", "priors"},
    "hazards.averaged": {"arrays", "hazards.base"},
    "statements": {"errors", "spec"},
    "integration": {"errors", "evidence", "ratios", "spec", "statements"},
    "missing": {"arrays", "errors", "evidence", "spec", "statements"},
    "case_mix": {"errors", "evidence", "integration", "spec", "statements"},
    "baseline": {"errors", "evidence", "hazards", "hazards.background", "hazards.cure", "spec"},
    "selection": {"errors", "spec", "tables"},
    "weights": {"errors", "selection", "spec", "statements", "summaries"},
    "ratios": {"errors", "spec", "statements", "summaries"},
    "bias": {"errors", "hazards.clocked", "selection", "spec"},
    "evidence": {
        *(
            "bias",
            "clocks",
            "curves.swapped",
            "errors",
            "ratios",
            "reconstruct",
            "selection",
            "spec",
            "statements",
            "tables",
            "weights",
        ),
    },
    "curves.contradictions": {"errors"},
    "curves.reading": {"curves.contradictions", "errors"},
    "curves.bounds": {"curves.drops", "curves.reading"},
    "curves.swapped": {"curves.bounds", "curves.reading", "errors"},
    "curves.verdict": {
        "curves.contradictions",
        "curves.findings",
        "curves.patients",
        "curves.reading",
        "nonparametric",
    },
    "clocks": {"bias", "errors", "hazards", "hazards.clocked", "spec", "statements"},
    "effects": {"bias", "clocks", "evidence", "spec"},
    "observations": {
        *("arrays", "evidence", "hazards", "hazards.base", "integration", "likelihoods", "missing", "ratios", "spec"),
    },
    "model": {
        *("baseline", "clocks", "effects", "evidence", "hazards", "hazards.averaged", "hazards.clocked"),
        *("integration", "likelihoods", "missing", "observations", "priors", "spec", "tensor"),
    },
    "density.kernel": set(),
    "density.polynomials": {"density.kernel"},
    "density.centring": {"effects", "evidence", "priors", "spec"},
    "density.coordinates": {"density.centring", "effects", "priors", "spec"},
    "density.coverage": {"baseline", "evidence", "integration", "missing", "observations", "ratios", "spec"},
    "density.problem": {
        *("baseline", "effects", "evidence", "likelihoods", "observations", "spec"),
        *("density", "density.centring", "density.coordinates", "density.kernel", "density.polynomials"),
    },
    "density.chains": {"density.coordinates", "density.kernel"},
    "density.graph": {"density.chains", "density.kernel"},
    "sampling": {
        *("baseline", "effects", "evidence", "model", "observations", "spec"),
        *("density.centring", "density.chains", "density.coverage", "density.problem"),
    },
    "convergence": set(),
    "gate": {"convergence"},
    "imputation": {"convergence", "errors", "evidence", "gate"},
    "predictor": {"arrays", "effects", "hazards", "hazards.averaged", "likelihoods", "missing", "spec"},
}
# modules that fit, read or work out answers; drawing takes what they made
COMPUTING = (
    *(
        "evidence",
        "model",
        "sampling",
        "predict",
        "estimands",
        "reconstruct",
        "curves.reading",
        "curves.settling",
        "curves.picture",
        "manifest",
        "likelihoods",
        "observations",
    ),
    *("nonparametric", "run", "cli"),
)


@cache
def modules() -> dict[str, Path]:
    """Every module of the package by its name below `bayes_bm`."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


@cache
def imports(path: Path, *, runtime: bool = False) -> frozenset[str]:
    """Full names of what a module imports anywhere in it; `runtime` leaves out what only a type checker reads."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = set()
    for node in ast.walk(tree):
        if runtime and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            skipped |= {id(child) for child in ast.walk(node)}
    names: set[str] = set()
    known = {f"bayes_bm.{name}" for name in modules()}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            below = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= (below & known) or {node.module}
    return frozenset(names)


def of_package(path: Path) -> set[str]:
    return {name.removeprefix("bayes_bm.") for name in imports(path, runtime=True) if name.startswith("bayes_bm.")}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_know_neither_pandas_nor_pymc(name: str) -> None:
    roots = {found.split(".")[0] for found in imports(modules()[name])}
    assert not roots & {"pandas", "pymc", "pytensor", "xarray", "nutpie", "arviz", "matplotlib"}, name


@pytest.mark.parametrize("name", ["model", "sampling", "observations", "effects", "estimands", "likelihoods"])
def test_the_model_knows_nothing_of_files(name: str) -> None:
    path = modules()[name]
    assert not {found.split(".")[0] for found in imports(path)} & {"pathlib", "io", "csv", "tempfile", "shutil"}
    calls = [node.func for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    called = {func.id if isinstance(func, ast.Name) else getattr(func, "attr", "") for func in calls}
    touched = {name for name in called if name.startswith(("read_", "to_csv", "to_netcdf", "write_"))}
    assert not (called & {"open", "Path"} | touched), name


@pytest.mark.parametrize("name", FOUNDATIONS)
def test_a_part_imports_only_what_it_stands_on(name: str) -> None:
    assert of_package(modules()[name]) <= FOUNDATIONS[name], name


def test_drawing_computes_nothing() -> None:
    for name, path in modules().items():
        if name.split(".")[0] == "plots":
            assert not of_package(path) & set(COMPUTING), name
            assert not {found.split(".")[0] for found in imports(path)} & {"pymc", "pytensor", "nutpie"}, name


def test_nothing_imports_the_command_line() -> None:
    assert not [name for name, path in modules().items() if "bayes_bm.cli" in imports(path)]


def test_no_module_is_a_drawer_of_odds_and_ends() -> None:
    forbidden = {"utils", "helpers", "common", "misc", "manager", "handler"}
    assert not [name for name in modules() if set(name.lower().split(".")) & forbidden]


def loaded(code: str) -> set[str]:
    """Top-level modules loaded in a fresh interpreter after running the code."""
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_the_package_and_asking_for_help_stay_fast() -> None:
    heavy = {"pymc", "pytensor", "nutpie", "arviz", "matplotlib", "pandas", "scipy", "xarray"}
    assert not loaded("import bayes_bm") & heavy
    help_text = "from contextlib import redirect_stdout\nimport io\nfrom bayes_bm.cli import main\n"
    asked = (
        "with redirect_stdout(io.StringIO()):\n    try:\n        main(['--help'])\n    except SystemExit:\n        pass"
    )
    assert not loaded(help_text + asked) & heavy


@pytest.mark.slow
def test_a_compiled_fit_imports_nothing_it_does_not_need() -> None:
    """The first posterior waits for imports above all: no PyMC, and no ArviZ with its plots for nutpie."""
    code = "import bayes_bm as bb\nbb.fit(bb.read_spec('published_os_extent_of_resection'), draws=50, tune=50)"
    unneeded = {"pymc", "pytensor", "arviz", "arviz_stats", "matplotlib"}
    assert not loaded(code) & unneeded
    assert "arviz" in loaded(f"{code}\nfrom nutpie.sample import arviz\narviz.from_dict")


@pytest.mark.slow
def test_functions_of_the_package_stay_functions_after_their_modules_are_imported() -> None:
    """`bayes_bm.fit` is a module and `bb.fit` a function; an import of the one must not put it in the other's place."""
    for name in ("fit", "predict", "reconstruct"):
        setattr(bb, name, import_module(f"bayes_bm.{name}"))  # what the import system does
        assert callable(getattr(bb, name))
        assert not inspect.ismodule(getattr(bb, name))


def test_every_public_name_exists() -> None:
    for name in bb.__all__:
        assert getattr(bb, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'fitt'"):
        _ = bb.fitt
