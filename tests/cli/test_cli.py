"""The command line: one JSON document and nothing else on standard output, one message and a status for every error."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
from typer.main import get_command

import bayes_bm as bb
from bayes_bm.cli.app import COMMANDS, app, main
from bayes_bm.inference.log_likelihood import pointwise_log_likelihood
from bayes_bm.inference.result import Result, load
from bayes_bm.runtime.progress import Step, Watch, watched
from tests.builders import posteriors, small_spec, worlds
from tests.builders.worlds import normal

COMPARE_KEYS = {
    *("estimand", "treatment", "reference", "time", "mean", "sd", "median"),
    *("q5", "q95", "q2_5", "q97_5", "prob_better", "label"),
}
ESTIMANDS = {
    *("hazard_ratio", "log_hazard_ratio", "survival", "survival_difference"),
    *("median", "median_difference", "rmst", "rmst_difference"),
}


class Said(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def run(capsys) -> Callable[..., Said]:
    def call(*arguments: Any) -> Said:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ending:
            main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return Said(int(ending.value.code or 0), printed.out, printed.err)

    return call


def assert_refused(said: Said, status: int, *parts: str) -> None:
    """The status, one line on standard error that holds the parts, no traceback, nothing on standard output."""
    assert said.status == status, said.err
    assert said.out == ""
    message = said.err.strip().splitlines()[-1]
    assert message.startswith("bayes-bm: ")
    assert "Traceback" not in said.err
    for part in parts:
        assert part in message


def made(**more: Any) -> Result:
    spec = worlds.spec(covariates={"kps": {"prior": normal(0.5), "centre": 80.0, "scale": 10.0}})
    tables = {kind: rows for kind, rows in worlds.TABLES.items() if kind != "patients"}
    result = posteriors.result(spec, worlds.evidence(spec, tables), **more)
    return replace(result, stored_log_likelihood=pointwise_log_likelihood(result.predictors), provenance={"seed": 7})


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    return made().save(tmp_path_factory.mktemp("results") / "result.nc")


@pytest.fixture(scope="module")
def failed(tmp_path_factory) -> Path:
    gate = replace(posteriors.PASSED, reasons=("R-hat of log_hr[b] is 1.500",))
    return made(gate=gate).save(tmp_path_factory.mktemp("results") / "failed.nc")


SPEC = f"""{small_spec.SPEC}[sampling]
draws = 500
tune = 300
chains = 4
[sensitivity.sceptical]
"priors.log_hr.sd" = 0.2
"""
STEPS = pd.DataFrame({"time": [0, 2, 2, 4, 4, 6, 6, 8, 8], "survival": [1, 1, 0.75, 0.75, 0.5, 0.5, 0.25, 0.25, 0]})
PATIENTS = small_spec.PATIENTS


@pytest.fixture
def small(tmp_path) -> Path:
    (tmp_path / "ipd.csv").write_text(PATIENTS, encoding="utf-8")
    (tmp_path / "small.toml").write_text(SPEC, encoding="utf-8")
    return tmp_path / "small.toml"


# ------------------------------------------------------------------------------------------------ documents


@pytest.mark.slow
def test_compare_prints_the_document_of_the_contract(run, file) -> None:
    said = run("compare", file, "--times", "6,12", "--horizon", "24", "--json")
    assert said.status == 0
    assert said.document["who"] == "average-study"
    rows = said.document["rows"]
    assert all(row.keys() == COMPARE_KEYS for row in rows)
    assert {row["estimand"] for row in rows} == ESTIMANDS
    errors = said.document["monte_carlo_errors"]
    assert [row["estimand"] for row in errors] == [row["estimand"] for row in rows]
    assert all(0 < error["mcse_median"] < row["sd"] for row, error in zip(rows, errors, strict=True))
    assert {row["treatment"] for row in rows if row["reference"] is None} == {"a", "b", "c"}
    assert {row["reference"] for row in rows} == {None, "a"}
    for row in rows:
        assert (row["prob_better"] is None) == (row["reference"] is None)
    [ratio] = [row for row in rows if row["estimand"] == "hazard_ratio" and row["treatment"] == "b"]
    assert ratio["time"] is None
    log_hr = load(file).posterior["log_hr"].sel(treatment="b").to_numpy().ravel()
    assert ratio["prob_better"] == pytest.approx((log_hr < 0).mean())
    assert {row["time"] for row in rows if row["estimand"] == "rmst"} == {24.0}


@pytest.mark.slow
def test_compare_takes_who_and_reference(run, file) -> None:
    said = run("compare", file, "--who", "new-study", "--reference", "b", "--times", "6", "--json").document
    assert said["who"] == "new-study"
    [row] = [r for r in said["rows"] if r["estimand"] == "hazard_ratio" and r["treatment"] == "a"]
    assert (row["reference"], row["time"]) == ("b", 6.0)
    assert run("compare", file, "--who", "study:s1", "--times", "6", "--json").document["who"] == "study:s1"


@pytest.mark.slow
def test_predict_prints_rows_by_patient(run, file, tmp_path) -> None:
    said = run(
        "predict", file, "--patient", "kps=70", "--treatment", "a,b", "--times", "6,12", "--alive-at", "3", "--json"
    )
    rows = said.document["rows"]
    assert {"patient", "treatment", "estimand", "time", "mean", "sd", "median", "q5", "q95"} <= rows[0].keys()
    assert {row["treatment"] for row in rows} == {"a", "b"}
    assert said.document["alive_at"] == 3.0
    errors = said.document["monte_carlo_errors"]
    assert [error["estimand"] for error in errors] == [row["estimand"] for row in rows]
    assert all(0 < error["mcse_median"] < row["sd"] for row, error in zip(rows, errors, strict=True))
    pd.DataFrame({"patient": ["one", "two"], "kps": [70, None]}).to_csv(tmp_path / "many.csv", index=False)
    many = run("predict", file, "--patients", tmp_path / "many.csv", "--treatment", "a,b", "--times", "6,12", "--json")
    assert {row["patient"] for row in many.document["rows"]} == {"one", "two"}


@pytest.mark.slow
def test_audit_check_and_models_print_one_document(run, file, small) -> None:
    document = run("audit", small, "--json").document
    assert [row["kind"] for row in document["rows"]] == ["patients", "patients"]
    checked = run("check", file, "--json")
    assert {"gate", "reconciliation", "parameters"} <= json.loads(checked.out).keys()
    assert len(run("models", "--json").document["models"]) >= 12


def test_reconstruct_prints_its_diagnostics_and_writes_patients(run, tmp_path) -> None:
    curve = pd.DataFrame({"time": [0, 2, 2, 4, 4, 6, 6, 8, 8], "survival": [1, 1, 0.75, 0.75, 0.5, 0.5, 0.25, 0.25, 0]})
    curve.to_csv(tmp_path / "curve.csv", index=False)
    out = tmp_path / "patients.csv"
    document = run("reconstruct", tmp_path / "curve.csv", "--n", 4, "--out", out, "--json").document
    assert (document["n"], document["events"]) == (4, 4)
    assert pd.read_csv(out)["time"].tolist() == pytest.approx([2, 4, 6, 8], rel=1e-6)


@pytest.mark.slow
def test_reconstruct_says_its_verdict_and_writes_a_figure_and_draws(run, tmp_path) -> None:
    STEPS.to_csv(tmp_path / "curve.csv", index=False)
    out = {name: tmp_path / name for name in ("patients.csv", "figure.png", "draws.csv")}
    more = ("--figure", out["figure.png"], "--draws", 3, "--draws-out", out["draws.csv"])
    document = run(
        "reconstruct", tmp_path / "curve.csv", "--n", 4, "--out", out["patients.csv"], *more, "--json"
    ).document
    assert document["verdict"] == "exact"
    assert document["diagnostics"][-1]["note"] == f"exact: {document['reason']}"
    assert pd.read_csv(out["draws.csv"]).groupby("draw").size().tolist() == [4, 4, 4]
    assert out["figure.png"].read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def manifest(tmp_path) -> Path:
    """Two arms of one curve, the second with a file that is missing."""
    STEPS.to_csv(tmp_path / "curve.csv", index=False)
    rows = [
        {"study": "s", "arm": arm, "treatment": arm, "endpoint": "os", "curve": curve, "n": 4}
        for arm, curve in (("a", "curve.csv"), ("b", "none.csv"))
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "curves.csv", index=False)
    return tmp_path / "curves.csv"


@pytest.mark.slow
def test_reconstruct_many_curves_names_the_refused_and_writes_the_others(run, manifest, tmp_path) -> None:
    out = tmp_path / "out"
    said = run("reconstruct", "--manifest", manifest, "--out", out, "--cores", 1, "--figures", "--json")
    assert said.status == 2
    assert "1 of 2 arms refused: found study s, arm b, os" in said.err
    assert "2 of 2" not in said.err
    assert [row["verdict"] for row in said.document["rows"]] == ["exact", "refused"]
    assert sorted(path.name for path in out.iterdir()) == [
        "diagnostics.csv",
        "patients.csv",
        "s-a-os.png",
        "summary.csv",
    ]
    assert pd.read_csv(out / "patients.csv")["time"].tolist() == pytest.approx([2, 4, 6, 8], rel=1e-6)
    (tmp_path / "none.csv").write_bytes((tmp_path / "curve.csv").read_bytes())
    said = run("reconstruct", "--manifest", manifest, "--out", out, "--cores", 1)
    assert said.status == 0
    assert said.out.count("exact") >= 2


def test_one_curve_and_a_manifest_exclude_each_other(run, manifest, tmp_path) -> None:
    curve, out = tmp_path / "curve.csv", tmp_path / "out"
    both = "CURVE.csv, --manifest: found {}; allowed: one curve, or a manifest of many"
    assert_refused(run("reconstruct", curve, "--manifest", manifest, "--out", out), 2, both.format("both"))
    assert_refused(run("reconstruct", "--out", out), 2, both.format("neither"))
    assert_refused(run("reconstruct", "--manifest", manifest, "--n", 4, "--out", out), 2, "--n: found 4", "column")
    assert_refused(run("reconstruct", curve, "--figures", "--out", out), 2, "--figures", "only with --manifest")
    assert_refused(run("reconstruct", curve, "--n", 4, "--draws", 2, "--out", out), 2, "--draws, --draws-out")
    assert_refused(run("reconstruct", "--manifest", manifest, "--out", curve), 2, "a file; allowed: a folder")
    assert not out.exists()


@pytest.mark.slow
def test_tables_for_people_go_to_standard_output_too(run, file, small) -> None:
    said = run("compare", file).out
    assert "hazard ratio" in said and "median (95 %)" in said and "Monte Carlo error, at most: hazard ratio " in said
    # ratios and medians are read without a fold on a terminal of 80 columns; a label may stand beyond
    rows = [line.rstrip() for line in said.splitlines() if line.startswith(("hazard ratio", "median "))]
    assert (
        len(rows) > 4
        and max(len(row.removesuffix("prior only").removesuffix("extrapolated").rstrip()) for row in rows) <= 80
    )
    assert "evidence in use" in run("audit", small).out


# ------------------------------------------------------------------------------------------------ help

GROUP: Any = get_command(app)
EXAMPLES = {example.split()[1]: example for example in COMMANDS.values()}


def test_every_command_has_an_example() -> None:
    assert list(EXAMPLES) == list(GROUP.commands)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_help_of_a_command_ends_with_an_example_that_can_be_typed(run, name) -> None:
    said = run(name, "--help")
    assert said.status == 0
    last = said.out.strip().splitlines()[-1].strip()
    assert last == f"Example: {EXAMPLES[name]}"
    program, command, *arguments = last.removeprefix("Example: ").split()
    assert (program, command) == ("bayes-bm", name)
    # parsing refuses unknown options, missing ones and values of the wrong type; nothing is run
    context = GROUP.commands[name].make_context(name, arguments)
    assert not context.args


@pytest.mark.parametrize(
    "options", [("--draws", "--tune", "--chains", "--seed"), ("--set",)], ids=["sampling", "changes of a spec"]
)
def test_commands_that_fit_have_the_options_of_their_records(options) -> None:
    for name in ("fit", "run", "split", "sensitivity"):
        known = [option for parameter in GROUP.commands[name].params for option in parameter.opts]
        assert [option for option in known if option in options] == list(options)


def test_version_is_said_and_nothing_else(run) -> None:
    said = run("--version")
    assert (said.status, said.out) == (0, f"bayes-bm {bb.__version__}\n")


@pytest.mark.slow
def test_a_shell_completes_commands() -> None:
    assert {"--install-completion", "--show-completion"} <= {
        option for parameter in GROUP.params for option in parameter.opts
    }
    asked = {"_BAYES_BM_COMPLETE": "complete_bash", "COMP_WORDS": "bayes-bm pre", "COMP_CWORD": "1"}
    script = "import sys\nsys.argv[0] = 'bayes-bm'\nfrom bayes_bm.cli.app import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, **asked}, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["predict"]


# ------------------------------------------------------------------------------------------------ refusals


@pytest.mark.slow
def test_wrong_calls_are_status_2_with_one_message(run, file, small) -> None:
    assert_refused(run("compare", file, "--who", "hospital"), 2, "--who: found hospital", "study:NAME")
    assert_refused(run("compare", file, "--reference", "z"), 2, "treatment: found z; allowed: a, b, c")
    assert_refused(run("compare", file, "--times", "6,,12"), 2, "--times: found '6,,12'", "6,12,24")
    assert_refused(run("compare", file, "--horizon", "0"), 2, "--horizon: found '0'; allowed: a number above 0")
    assert_refused(run("predict", file, "--times", "3", "--alive-at", "6"), 2, "at or after alive_at = 6")
    assert_refused(run("predict", file, "--patient", "age=61"), 2, "patient, age: found an unknown covariate", "kps")
    assert_refused(run("predict", file, "--patient", "kps"), 2, "--patient: found 'kps'", "name=number")
    assert_refused(run("audit", small, "--set", "priors.log_hr.sdd=1"), 2, "did you mean sd?")
    assert_refused(run("audit", small, "--set", "priors"), 2, "--set: found 'priors'", "key=value")
    assert_refused(run("audit", small, "--sensitivity", "wide"), 2, "found wide; allowed: sceptical")
    assert_refused(run("audit", "no_such_model"), 2, "no_such_model: found no such file")
    assert_refused(run("compare", small), 2, "not a result of bayes-bm fit")
    assert_refused(run("compare", "none.nc"), 2, "none.nc: found no such file")


def test_an_unknown_option_or_command_is_status_2(run, file) -> None:
    for arguments in (("compare", file, "--tims", "6"), ("comparee", file), ("fit", "os_systemic")):
        said = run(*arguments)
        assert said.status == 2
        assert said.out == ""
        assert "Traceback" not in said.err


def test_wrong_tables_are_status_2_and_leave_nothing_behind(run, small) -> None:
    (small.parent / "ipd.csv").write_text(PATIENTS.replace("s,b,b,5,1", "s,b,b,-5,1"), encoding="utf-8")
    before = sorted(small.parent.iterdir())
    for arguments in (
        ("audit", small),
        ("fit", small, "--out", small.parent / "deep" / "r.nc"),
        ("run", small, "--out", small.parent / "out"),
    ):
        assert_refused(
            run(*arguments, *(["--json"] if arguments[0] == "audit" else [])),
            2,
            "ipd.csv, row 7 (line 8), column time",
            "found -5",
        )
    assert sorted(small.parent.iterdir()) == before


@pytest.mark.slow
def test_no_evidence_is_status_1_and_leaves_nothing_behind(run, tmp_path) -> None:
    for arguments in (
        ("fit", "os_extent_of_resection", "--out", tmp_path / "r.nc"),
        ("run", "os_extent_of_resection", "--out", tmp_path / "out"),
    ):
        said = run(*arguments)
        assert_refused(
            said, 1, "os_extent_of_resection: the audit refuses before any fit: no usable evidence", "Needed:"
        )
    said = run("audit", "os_extent_of_resection", "--json")
    assert said.status == 1
    assert said.document["refusals"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_failed_gate_refuses_answers_until_allowed_by_name(run, failed, tmp_path) -> None:
    for arguments in (("compare", failed), ("predict", failed), ("report", failed, "--out", tmp_path / "report.html")):
        assert_refused(run(*arguments), 1, "the convergence gate failed: R-hat of log_hr[b] is 1.500")
    assert list(tmp_path.iterdir()) == []
    allowed = run("compare", failed, "--times", "6", "--allow-failed-gate", "--json")
    assert allowed.status == 0
    assert allowed.document["gate"] == "failed"
    assert "R-hat of log_hr[b] is 1.500" in allowed.err


@pytest.mark.slow
def test_a_red_row_is_status_1(run, tmp_path) -> None:
    spec = worlds.spec()
    rows = {"study": "s", "arm": "x", "endpoint": "os"}
    tables = {"arms": [{**rows, "treatment": "a", "n": 40}], "medians": [{**rows, "median": 40.0}]}
    red = posteriors.result(spec, worlds.evidence(spec, tables), draws=2000, intercept=1.0).save(tmp_path / "red.nc")
    said = run("check", red, "--json")
    assert said.status == 1
    assert "rows of evidence are red" in said.err
    assert any(row["status"] == "red" for row in said.document["reconciliation"])


def test_output_that_cannot_be_written_is_status_2(run, tmp_path) -> None:
    pd.DataFrame({"time": [0, 2, 2], "survival": [1, 1, 0]}).to_csv(tmp_path / "curve.csv", index=False)
    assert_refused(
        run("reconstruct", tmp_path / "curve.csv", "--n", 1, "--out", tmp_path), 2, "found a folder; allowed: a file"
    )
    blocked = tmp_path / "curve.csv" / "patients.csv"
    said = run("reconstruct", tmp_path / "curve.csv", "--n", 1, "--out", blocked)
    assert_refused(said, 2, "a file; allowed: a folder there")
    assert [path.name for path in tmp_path.iterdir()] == ["curve.csv"]


# ------------------------------------------------------------------------------------------------ the whole chain


class Remembering(Watch):
    """Keeps every count, the finished too."""

    def __init__(self) -> None:
        super().__init__()
        self.all_counts: list[Any] = []

    @contextmanager
    def count(self, total: float, noun: str) -> Generator[Step]:
        with super().count(total, noun) as step:
            self.all_counts.append(self.counts[-1])
            yield step


@pytest.mark.slow
def test_fit_prints_gate_and_provenance_and_honours_its_options(run, small) -> None:
    out = small.parent / "r.nc"
    with watched(Remembering()) as watch:
        said = run("fit", small, "--out", out, "--draws", 600, "--seed", 3, "--set", "priors.log_hr.sd=0.5", "--json")
    assert said.status == 0
    assert any(count.words.startswith("chains at ") and 0 < count.done <= count.total for count in watch.all_counts)
    assert said.document["gate"] == "passed"
    assert (said.document["provenance"]["draws"], said.document["provenance"]["seed"]) == (600, 3)
    assert "sampling" not in said.err
    assert load(out).spec.priors.log_hr.sd == 0.5
    sceptical = run("fit", small, "--out", out, "--sensitivity", "sceptical", "--json").document
    assert load(out).spec.priors.log_hr.sd == 0.2
    assert sceptical["provenance"]["spec_digest"] == load(out).spec.digest()


@pytest.mark.slow
def test_a_fit_that_did_not_converge_is_written_with_status_1(run, small) -> None:
    """Decision 18 (docs/decisions.md): twelve draws a chain cannot have an effective size of 400."""
    out = small.parent / "r.nc"
    said = run("fit", small, "--out", out, "--draws", 12, "--set", "sampling.thin=1", "--json")
    assert said.status == 1
    assert said.document["gate"] == "failed"
    assert "the convergence gate failed: " in said.err
    assert load(out).gate.first_try
    allowed = run(
        "fit", small, "--out", out, "--draws", 12, "--set", "sampling.thin=1", "--allow-failed-gate", "--json"
    )
    assert allowed.status == 0


@pytest.mark.slow
def test_run_makes_one_folder_with_everything(run, small) -> None:
    out = small.parent / "out"
    said = run("run", small, "--out", out, "--json")
    assert said.status == 0, said.err
    assert {path.name for path in out.iterdir()} >= {"result.nc", "compare.csv", "patient.csv", "report.html"}
    assert said.document["gate"] == "passed"
    table = pd.read_csv(out / "compare.csv")
    assert set(table["who"]) == {"average-study", "new-study", "new-hospital"}
    again = load(out / "result.nc").posterior["log_hr"].to_numpy().ravel()
    row = table[(table["estimand"] == "log_hazard_ratio") & (table["who"] == "average-study")].iloc[0]
    assert row["mean"] == pytest.approx(again.mean(), rel=1e-9)
