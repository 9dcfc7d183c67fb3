"""What import-linter does not hold: the size of the house, the speed of import, public names, who reads files."""

import ast
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import bayes_bm as bb
from scripts import house
from tests.paths import ROOT

PACKAGE = ROOT / "bayes_bm"


@cache
def modules() -> dict[str, Path]:
    """Every module of the package by its name below `bayes_bm`."""
    names = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        names[".".join(part for part in parts if part != "__init__")] = path
    return names


@pytest.mark.slow
def test_the_house_has_few_rooms_and_storeys_no_circle_and_short_files() -> None:
    graph = house.read_imports(PACKAGE)
    assert len(graph.rooms) <= 15
    assert len(house.storeys(graph)) <= 10
    assert house.circles(graph.files) == []
    assert house.circles(graph.room_arrows) == []
    assert not {name for name, lines in graph.lines.items() if lines > house.LONGEST}


@pytest.mark.parametrize("name", [name for name in modules() if name.split(".")[0] in ("model", "estimands")])
def test_model_and_estimands_know_nothing_of_files(name: str) -> None:
    tree = ast.parse(modules()[name].read_text(encoding="utf-8"))
    imported = {
        (alias.name if isinstance(node, ast.Import) else node.module or "").split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert not imported & {"pathlib", "io", "csv", "tempfile", "shutil"}
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    called = {func.id if isinstance(func, ast.Name) else getattr(func, "attr", "") for func in calls}
    touched = {
        name for name in called if name.startswith(("read_csv", "read_parquet", "to_csv", "to_netcdf", "write_"))
    }
    assert not (called & {"open", "Path"} | touched), name


def test_no_module_is_a_drawer_of_odds_and_ends() -> None:
    forbidden = {"utils", "helpers", "common", "misc", "manager", "handler"}
    assert not [name for name in modules() if set(name.lower().split(".")) & forbidden]


def test_no_room_bears_the_name_of_a_public_function() -> None:
    assert not {name.split(".")[0] for name in modules()} & set(bb.__all__)


def loaded(code: str) -> set[str]:
    """Top-level modules loaded in a fresh interpreter after running the code."""
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.slow
def test_importing_the_package_and_asking_for_help_stay_fast() -> None:
    heavy = {"pymc", "pytensor", "nutpie", "arviz", "matplotlib", "numpy", "pandas", "scipy", "xarray"}
    assert not loaded("import bayes_bm") & heavy
    help_text = "from contextlib import redirect_stdout\nimport io\nfrom bayes_bm.cli.app import main\n"
    asked = (
        "with redirect_stdout(io.StringIO()):\n    try:\n        main(['--help'])\n    except SystemExit:\n        pass"
    )
    assert not loaded(help_text + asked) & heavy


@pytest.mark.slow
def test_a_compiled_fit_imports_nothing_it_does_not_need() -> None:
    """The first posterior waits for imports above all: no PyMC, and no ArviZ with its plots for nutpie."""
    fitted = "import bayes_bm as bb\nbb.fit(bb.read_spec('published_os_extent_of_resection'), draws=50, tune=50)"
    unneeded = {"pymc", "pytensor", "arviz", "arviz_stats", "matplotlib", "scipy.stats", "scipy.optimize"}
    free = f"import sys\nassert not {unneeded} & set(sys.modules), sorted(sys.modules)"
    assert "arviz" in loaded(f"{fitted}\n{free}\nfrom nutpie.sample import arviz\narviz.from_dict")


def test_every_public_name_exists() -> None:
    for name in bb.__all__:
        assert getattr(bb, name) is not None
    with pytest.raises(AttributeError, match="attribute fitt"):
        _ = bb.fitt  # pyright: ignore
