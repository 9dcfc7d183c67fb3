"""Sensitivity analyses: fits are kept and taken up again, failures are rows, families start from one belief."""

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import stats

import bayes_bm as bb
from bayes_bm.checks import sensitivity as checked
from bayes_bm.checks.family_priors import NAMED_ONLY, SPREAD, of_family
from bayes_bm.checks.kept_fits import analysis_key, analysis_model
from bayes_bm.checks.sensitivity import BASE, COLUMNS, analyses, saved_with, sensitivity
from bayes_bm.cli import app
from bayes_bm.estimands.compare import compare
from bayes_bm.estimands.who import AverageStudy, NewStudy
from bayes_bm.evidence.reading import read_evidence
from bayes_bm.evidence.records import Evidence
from bayes_bm.hazards import FAMILIES
from bayes_bm.hazards.family import inverse
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.inference.log_likelihood import pointwise_log_likelihood
from bayes_bm.inference.result import Result, load
from bayes_bm.report import pipeline
from bayes_bm.report.pipeline import make_report
from bayes_bm.report.plots.sensitivity import sensitivity_figure
from bayes_bm.report.sections.analyses import AnalysesSection, analyses_section
from bayes_bm.report.text import ratio_estimate
from bayes_bm.runtime.errors import GateRefused, InputError
from bayes_bm.runtime.parallel import map_fits
from bayes_bm.spec.document import Spec
from bayes_bm.spec.reading import parse_spec, read_spec, shipped
from tests.builders import families, posteriors, small_spec, worlds
from tests.builders.worlds import half_normal, normal

SPEC = f"""{small_spec.SPEC}[sampling]
draws = 500
tune = 300
chains = 4
[sensitivity.sceptical]
"priors.log_hr.sd" = 0.2
[sensitivity.swapped]
"treatments.reference" = "b"
"treatments.compare" = ["a"]
[sensitivity.fewer]
"evidence.exclude" = [{{ study = "t", why = "test" }}]
[sensitivity.wrong]
"evidence.exclude" = [{{ study = "s", why = "test" }}, {{ study = "t", why = "test" }}]
"""
ROWS = "".join(
    f"{study},{arm},{arm},{time},{event}\n"
    for study, late in (("s", 0), ("t", 1))
    for arm in "ab"
    for time, event in ((2 + late, 1), (5, 1), (7 + late, 0), (11, 1), (16, 0))
)


def written(folder: Path) -> Path:
    (folder / "ipd.csv").write_text(f"study,arm,treatment,time,event\n{ROWS}", encoding="utf-8")
    (folder / "small.toml").write_text(SPEC, encoding="utf-8")
    return folder / "small.toml"


@pytest.fixture
def small(tmp_path) -> Path:
    return written(tmp_path)


@pytest.fixture
def fitted(monkeypatch) -> list[Spec]:
    return fits_at_random(monkeypatch)


def fits_at_random(monkeypatch: pytest.MonkeyPatch) -> list[Spec]:
    """A fit that takes no time: a posterior at random for any family; what was asked for is listed."""
    asked: list[Spec] = []

    def fit(spec: Spec, evidence: Any, *, say: Any) -> Result:
        asked.append(spec)
        say("sampling")
        found = families.result(spec, evidence, draws=20)
        gate = posteriors.PASSED
        if spec.hazard.family == "gamma":
            gate = replace(gate, reasons=("R-hat of log_time_ratio[b] is 1.5",))
        if spec.hazard.family == "gompertz":
            raise RuntimeError("no finite start")
        known = {"seconds_to_compile": 1.0, "seconds_to_sample": 2.5}
        return replace(
            found, stored_log_likelihood=pointwise_log_likelihood(found.predictors), gate=gate, provenance=known
        )

    monkeypatch.setattr(checked, "fit", fit)
    monkeypatch.setattr(checked, "refit", fit)
    monkeypatch.setattr(checked, "read_evidence", read_once)
    return asked


READ: dict[tuple[str, bytes], Evidence] = {}
"""Evidence of the small spec by what a spec says and the bytes of its table: every call reads the base anew."""


def read_once(spec: Spec) -> Evidence:
    table = Path(spec.folder) / "ipd.csv"
    key = spec.digest(), table.read_bytes() if table.is_file() else b""
    if key not in READ:
        READ[key] = read_evidence(spec)
    return READ[key]


FEW = ("lognormal", "gamma", "gompertz")


@pytest.fixture(scope="module")
def few(tmp_path_factory) -> tuple[bb.Sensitivity, Path]:
    """Every named analysis and three families of the small spec, and their folder: made once, four seconds."""
    folder = tmp_path_factory.mktemp("few")
    with pytest.MonkeyPatch.context() as patched:
        fits_at_random(patched)
        return sensitivity(read_spec(written(folder)), folder / "out", families=FEW), folder / "out"


@pytest.fixture(scope="module")
def base_alone(tmp_path_factory) -> tuple[bb.Sensitivity, Path]:
    """The base analysis of the small spec, and its folder."""
    folder = tmp_path_factory.mktemp("base")
    with pytest.MonkeyPatch.context() as patched:
        fits_at_random(patched)
        return sensitivity(read_spec(written(folder)), folder / "out", families=[], only=[]), folder / "out"


def rows_of(table: pd.DataFrame) -> dict[str, dict[Any, Any]]:
    return {row["analysis"]: row for row in table.to_dict("records")}


# ------------------------------------------------------------------------------------------------ which


def test_the_base_each_name_and_each_family_in_turn(small) -> None:
    spec = read_spec(small)
    names = [found.name for found in analyses(spec)]
    assert names == [BASE, "sceptical", "swapped", "fewer", "wrong", *(set_of_families(spec))]
    assert analyses(spec, families=NAMED_ONLY)[-1].spec(spec).hazard.family == "weibull_mixture"
    crossed = analyses(spec, families=["weibull", "lognormal"], only=["sceptical+lognormal"], cross=True)
    assert [found.name for found in crossed] == [BASE, "sceptical+lognormal"]
    found = crossed[1].spec(spec)
    assert (found.hazard.family, found.priors.log_time_ratio.sd) == ("lognormal", 0.2)


def set_of_families(spec: Spec) -> list[str]:
    return [name for name in FAMILIES if name not in (spec.hazard.family, *NAMED_ONLY)]


def test_what_is_not_known_is_refused_with_what_is(small, tmp_path) -> None:
    spec = read_spec(small)
    with pytest.raises(InputError, match="--families: found log_normal; allowed: weibull, exponential"):
        analyses(spec, families=["log_normal"])
    with pytest.raises(InputError, match="--only: found nothing; allowed: base, sceptical"):
        analyses(spec, only=["nothing"])
    with pytest.raises(InputError, match="--treatment: found a; allowed: b"):
        sensitivity(spec, tmp_path / "out", treatment="a")


def test_a_family_stands_apart_from_a_named_analysis_of_its_name() -> None:
    spec = worlds.spec(sensitivity={"lognormal": {"priors.log_hr.sd": 0.5}})
    assert [found.name for found in analyses(spec, families=["lognormal"])] == [BASE, "lognormal", "family_lognormal"]


# ------------------------------------------------------------------------------------------------ rows


@pytest.mark.slow
def test_rows_hold_the_answers_of_their_fits(few) -> None:
    done, out = few
    rows = rows_of(done.table)
    assert list(done.table) == list(COLUMNS)
    assert (done.fitted, done.kept, done.failed) == (6, 0, 2)
    base, timed, swapped = rows[BASE], rows["lognormal"], rows["swapped"]
    result = load(out / base["file"])
    ratio = compare(result, who=AverageStudy()).set_index("estimand").loc["hazard_ratio"]
    new = compare(result, who=NewStudy(), times=[12.0]).set_index("estimand")
    assert base["measure"] == "hazard ratio"
    assert [base[name] for name in ("ratio", "ratio_low", "ratio_high", "prob_better")] == pytest.approx(
        ratio[["median", "q2_5", "q97_5", "prob_better"]].tolist()
    )
    for what, name in (("rmst", "rmst"), ("survival", "survival")):
        expected = new.loc[f"{what}_difference", ["median", "q2_5", "q97_5"]].tolist()
        assert [base[f"{name}_{end}"] for end in ("difference", "low", "high")] == pytest.approx(expected)
    assert (timed["measure"], timed["gate"], timed["seconds"]) == ("time ratio", "passed", 3.5)
    # another reference, the same question: b against a
    turned = load(out / swapped["file"]).posterior["log_hr"].to_numpy()
    assert swapped["ratio"] == pytest.approx(np.median(np.exp(-turned)))
    assert (swapped["treatment"], swapped["reference"]) == ("b", "a")


@pytest.mark.slow
def test_what_fails_is_a_row_and_stops_nothing(few) -> None:
    rows = rows_of(few[0].table)
    assert (
        "not fitted: small: the audit refuses before any fit: no usable evidence on os for a" in rows["wrong"]["note"]
    )
    assert rows["gompertz"]["note"] == "the fit failed (RuntimeError: no finite start)"
    assert pd.isna(rows["gompertz"]["ratio"])
    assert rows["gamma"]["gate"] == "failed"
    assert "the gate failed: R-hat of log_time_ratio[b] is 1.5" in rows["gamma"]["note"]
    assert np.isfinite(rows["gamma"]["ratio"])


@pytest.mark.slow
def test_leave_one_out_is_compared_on_the_same_data_only(few) -> None:
    rows = rows_of(few[0].table)
    assert rows[BASE]["loo"].startswith("base")
    assert rows["fewer"]["loo"].startswith("not comparable: other data")
    assert pd.isna(rows["fewer"]["elpd_difference"])
    assert rows["lognormal"]["loo"].startswith("comparable")
    assert rows["lognormal"]["elpd_difference"] == pytest.approx(rows["lognormal"]["elpd"] - rows[BASE]["elpd"])
    assert rows["swapped"]["loo"].startswith("comparable")


def test_elpd_differences_pair_the_rows() -> None:
    """Differences 1, 2, 3: sum 6, se sqrt(3) x sd 1."""
    base = {"kind": "base", "pointwise": [-1.0, -2.0, -3.0], "evidence": "e", "high_k": 0}
    other = {"kind": "family", "pointwise": [0.0, 0.0, 0.0], "evidence": "e", "high_k": 1}
    first, second = checked._with_base([base, other])
    assert (first["elpd"], second["elpd_difference"]) == (-6.0, 6.0)
    assert second["elpd_difference_se"] == pytest.approx(np.sqrt(3))
    assert second["loo"] == "comparable; 1 of 3 rows have Pareto k above 0.7"


def test_loo_of_a_conjugate_model_is_its_exact_one() -> None:
    """y_i ~ N(mu, 1), flat prior: left out, y_i ~ N(mean of the others, 1 + 1 / (n - 1))."""
    rng = np.random.default_rng(2)
    y = rng.normal(0, 1, 12)
    mu = y.mean() + rng.normal(0, 1 / np.sqrt(12), (4, 4000))
    result = posteriors.result(worlds.spec(), worlds.evidence(worlds.spec()))
    terms = stats.norm.logpdf(y, mu[..., None], 1.0)
    given = replace(result, stored_log_likelihood=result.posterior[[]].assign(y=(("chain", "draw", "row"), terms)))
    exact = [stats.norm.logpdf(y[i], np.delete(y, i).mean(), np.sqrt(1 + 1 / 11)) for i in range(12)]
    assert checked._row_densities(given)["pointwise"] == pytest.approx(exact, abs=0.02)


# ------------------------------------------------------------------------------------------------ kept


@pytest.mark.slow
def test_a_second_call_fits_nothing_and_says_so(small, tmp_path, fitted, few) -> None:
    spec, out = read_spec(small), tmp_path / "out"
    shutil.copytree(few[1], out)
    first = sensitivity(spec, out, families=["lognormal"], only=["lognormal"])
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    said: list[str] = []
    again = sensitivity(spec, out, families=["lognormal"], only=["lognormal"], say=said.append)
    assert not fitted
    assert (again.fitted, again.kept, again.changed) == (0, 2, False)
    assert again.told == "nothing to do: all 2 analyses were kept from before"
    assert said == ["1 of 2, base: kept from before, gate passed", "2 of 2, lognormal: kept from before, gate passed"]
    pd.testing.assert_frame_equal(again.table, first.table)
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_an_interrupted_call_is_taken_up_where_it_stopped(small, tmp_path, fitted, monkeypatch) -> None:
    spec, out, whole = read_spec(small), tmp_path / "out", checked.fit

    def stopped(found: Spec, evidence: Any, **settings: Any) -> Result:
        if len(fitted) == 1:
            raise KeyboardInterrupt
        return whole(found, evidence, **settings)

    monkeypatch.setattr(checked, "fit", stopped)
    monkeypatch.setattr(checked, "refit", stopped)
    with pytest.raises(KeyboardInterrupt):
        sensitivity(spec, out, families=["lognormal"], only=["lognormal"])
    assert not (out / "sensitivity.csv").exists()
    monkeypatch.setattr(checked, "fit", whole)
    monkeypatch.setattr(checked, "refit", whole)
    done = sensitivity(spec, out, families=["lognormal"], only=["lognormal"])
    assert (done.fitted, done.kept) == (1, 1)


@pytest.mark.slow
def test_a_fit_without_its_numbers_is_read_not_made_again(small, tmp_path, fitted, base_alone) -> None:
    spec, out, first = read_spec(small), tmp_path / "out", base_alone[0]
    shutil.copytree(base_alone[1], out)
    for path in (out / "fits").glob("*.json"):
        path.unlink()
    again = sensitivity(spec, out, families=[], only=[])
    assert (len(fitted), again.kept) == (0, 1)
    pd.testing.assert_frame_equal(again.table, first.table)


@pytest.mark.slow
@pytest.mark.parametrize("change", ["prior", "data", "sampling"])
def test_a_changed_spec_is_fitted_anew(small, tmp_path, fitted, base_alone, change: str) -> None:
    out, only = tmp_path / "out", ["sceptical"] if change == "prior" else []
    shutil.copytree(base_alone[1], out)
    assert sensitivity(read_spec(small), out, families=[], only=only).fitted == len(only)
    settings = {"draws": 600} if change == "sampling" else {}
    if change == "prior":
        small.write_text(
            SPEC.replace('intercept = { dist = "normal", sd = 1.0', 'intercept = { dist = "normal", sd = 2.0')
        )
    if change == "data":
        (tmp_path / "ipd.csv").write_text(f"study,arm,treatment,time,event\n{ROWS}t,b,b,9,1\n")
    assert sensitivity(read_spec(small), out, families=[], only=only, sampling=settings).fitted == 1 + len(only)
    assert fitted[-1].sampling.draws == (600 if change == "sampling" else 500)


@pytest.mark.slow
def test_a_new_named_analysis_leaves_the_others_kept(small, tmp_path, fitted, few) -> None:
    shutil.copytree(few[1], tmp_path / "out")
    small.write_text(f'{SPEC}[sensitivity.more]\n"priors.log_hr.sd" = 3.0\n')
    done = sensitivity(read_spec(small), tmp_path / "out", families=[], only=["sceptical", "more"])
    assert (done.fitted, done.kept, len(fitted)) == (1, 2, 1)


# ------------------------------------------------------------------------------------------------ command, report


def call(*arguments: Any) -> int:
    with pytest.raises(SystemExit) as done:
        app.main([str(argument) for argument in arguments])
    return int(done.value.code or 0)


@pytest.mark.slow
def test_command_writes_table_and_picture_and_tells_what_it_did(small, tmp_path, fitted, capsys) -> None:
    out = tmp_path / "out"
    asked = ("sensitivity", small, "--out", out, "--families", "lognormal,gamma", "--only", "lognormal,gamma,wrong")
    assert call(*asked, "--json") == 0
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert [row["analysis"] for row in told["rows"]] == [BASE, "wrong", "lognormal", "gamma"]
    assert (told["fitted"], told["kept"], told["failed"]) == (3, 0, 1)
    assert "3 fitted, 0 kept from before, 1 could not be fitted" in said.err
    kept = pd.read_csv(out / "sensitivity.csv")
    assert kept["ratio"].dropna().tolist() == pytest.approx([row["ratio"] for row in told["rows"] if row["ratio"]])
    assert Image.open(out / "sensitivity.png").size[0] > 800
    assert call(*asked) == 0
    shown = capsys.readouterr()
    assert "time ratio" in shown.out
    assert not list(out.rglob(".*"))
    assert call("sensitivity", small, "--out", out, "--only", "narrow") == 2
    assert "--only: found narrow; allowed: base, sceptical" in capsys.readouterr().err


@pytest.mark.slow
def test_the_report_shows_a_table_of_its_own_model_only(small, tmp_path, fitted, monkeypatch) -> None:
    """What a page is given follows from its folder; pages are written in tests/report."""
    out = tmp_path / "out"
    sensitivity(read_spec(small), out, families=["lognormal"], only=["lognormal"], sampling={"draws": 50})
    spec = read_spec(small)
    result = families.result(spec, read_evidence(spec), draws=20)
    assert saved_with(result, tmp_path) is None
    monkeypatch.setattr(
        pipeline, "check", lambda result: SimpleNamespace(reconciliation=None, battery=None, parameters=None)
    )
    monkeypatch.setattr(pipeline, "answer_sentences", lambda *args, **kwargs: ())
    monkeypatch.setattr(pipeline, "_contrast_table", lambda *args: None)
    given: list[dict[str, pd.DataFrame]] = []
    monkeypatch.setattr(pipeline, "write_report", lambda *args, elsewhere, **kwargs: given.append(elsewhere))

    def section(folder: Path) -> AnalysesSection:
        make_report(result, folder / "report.html", tables={"new-study": pd.DataFrame()}, allow_red=True)
        data = SimpleNamespace(spec=spec, elsewhere=given[-1])
        return analyses_section(cast(Any, SimpleNamespace(data=data, figure=lambda *args, **kwargs: None)))

    shown = section(out).families
    table = saved_with(result, out)
    assert table is not None and shown is not None and "Families of the hazard" in str(shown)
    row = table.set_index("analysis").loc["lognormal"]
    assert ratio_estimate([row[name] for name in ("ratio", "ratio_low", "ratio_high")]) in str(shown)
    elsewhere = section(tmp_path)
    assert elsewhere.families is None and elsewhere.command == "bayes-bm run small --out small --sensitivity all"
    other = parse_spec({**spec.document(), "horizon": 18.0}, folder=spec.folder)
    assert saved_with(families.result(other, read_evidence(other)), out) is None


@pytest.mark.parametrize("path", sorted((shipped("models") / "sensitivity").glob("*/sensitivity.csv")), ids=str)
def test_shipped_analyses_are_of_the_shipped_model(path) -> None:
    """Where a model or its evidence has changed: bayes-bm sensitivity NAME --out DIR --families FAMILY, and copy."""
    spec, table = read_spec(path.parent.name), pd.read_csv(path)
    assert table["analysis"].tolist() == [BASE, *spec.sensitivity]
    assert table["model"].iloc[0] == analysis_model(spec, read_evidence(spec))
    assert (table["gate"] == "passed").all()


def test_a_model_is_known_again_on_another_processor() -> None:
    """Whose logarithms differ in the last bit; a fit that is kept here is of these bits."""
    spec = worlds.spec()
    here = worlds.evidence(spec)
    medians = here.medians.assign(sd=here.medians["sd"] * (1 + 3e-16))
    there, other = replace(here, medians=medians), replace(here, medians=medians.assign(sd=medians["sd"] * 1.001))
    assert analysis_key(spec, here) != analysis_key(spec, there)
    assert analysis_model(spec, here) == analysis_model(spec, there) != analysis_model(spec, other)


@pytest.mark.slow
def test_run_keeps_every_named_analysis_beside_the_answer(small, tmp_path, fitted, monkeypatch) -> None:
    spec, told = read_spec(small), []
    result = families.result(spec, read_evidence(spec), draws=20)
    monkeypatch.setattr(pipeline, "fit", lambda *args, **kwargs: result)
    monkeypatch.setattr(pipeline, "answer_tables", lambda result: {"new-study": pd.DataFrame({"a": [1.0]})})
    monkeypatch.setattr(pipeline, "predict", lambda *args, **kwargs: pd.DataFrame({"a": [1.0]}))
    report = pipeline.WrittenReport(tmp_path / "report.html", ())
    monkeypatch.setattr(pipeline, "make_report", lambda *args, **kwargs: told.append(kwargs) or report)
    files = pipeline.run_spec(spec, tmp_path, sampling={"draws": 20}, analyses=True, allow_failed_gate=True).files
    assert tmp_path / "sensitivity" / "sensitivity.csv" in files and len(told) == 1
    table = saved_with(result, tmp_path)
    assert table is not None and table["analysis"].tolist() == ["base", *spec.sensitivity]


@pytest.mark.slow
def test_the_picture_draws_what_the_table_says(few) -> None:
    table = few[0].table
    [axes] = sensitivity_figure(table, time_unit="months", title="question").axes
    drawn = {
        float(line.get_xdata()[0])
        for line in axes.lines
        if len(line.get_xdata()) == 1 and line.get_linestyle() == "None"
    }
    assert sorted(drawn) == pytest.approx(sorted(set(table["rmst_difference"].dropna())))
    words = [text.get_text() for text in axes.texts]
    assert "not fitted" in words
    assert any(word.startswith("time ratio ") for word in words)
    assert any(word.startswith("HR ") for word in words)
    assert any("Hollow, dotted: the convergence gate failed." in word for word in words)


# ------------------------------------------------------------------------------------------------ families


def median_at_centres(spec: Spec) -> float:
    """Prior-centre median survival of the reference, in months; of a flexible family under a constant hazard."""
    family = FAMILIES[spec.hazard.family]
    shape = np.array([getattr(spec.priors, name).mean for name in family.shapes])
    if family.flexible:
        return spec.reference_time * np.log(2) * np.exp(-spec.priors.intercept.mean)
    log_u = inverse(family, np.array(np.log(np.log(2))), np.array(spec.priors.intercept.mean), shape, xp=NUMPY)
    return float(spec.reference_time * np.exp(log_u))


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "weibull"])
def test_families_start_from_one_belief(name: str) -> None:
    base = worlds.spec(priors__intercept=normal(0.8, mean=0.2), priors__log_hr=normal(0.6, mean=-0.3))
    found = of_family(base, name)
    effect = getattr(found.priors, found.hazard.treatment_effect)
    timed = FAMILIES[name].effect == "time"
    assert (effect.mean, effect.sd) == pytest.approx((0.3 if timed else -0.3, 0.6))
    assert found.priors.intercept.sd == 0.8
    assert effect.why == ("carried over from log_hr of weibull (there: test)" if timed else "test")
    if timed or FAMILIES[name].flexible or name == "exponential":
        assert median_at_centres(found) == pytest.approx(median_at_centres(base))
    else:
        assert found.priors.intercept.mean == 0.2  # log H(t0) in all of them
    assert parse_spec(found.document()) == found.model_copy(update={"folder": "."})
    back = of_family(found, "weibull")
    assert back.priors.intercept.mean == pytest.approx(0.2)
    assert back.priors.log_hr.mean == pytest.approx(-0.3)


OTHERS = {"gengamma": [0.5], "weibull_mixture": [0.0, 0.0, 0.0]}
"""Shapes after the first at their prior centres."""


def spread(name: str, value: float) -> float:
    """sd of log T at a value of the family's shape parameter, by the trapezoid over the logit of its quantiles."""
    family = FAMILIES[name]
    logit = np.linspace(-45, 45, 2001)
    # H = -log(1 - p), and p (1 - p) d logit is dp
    log_cum, weight = np.log(np.logaddexp(0, logit)), np.exp(-np.logaddexp(0, logit) - np.logaddexp(0, -logit))
    shape = np.array([value, *OTHERS.get(name, [])])
    log_t = inverse(
        family, log_cum, np.zeros(logit.shape), np.broadcast_to(shape, (*logit.shape, len(shape))), xp=NUMPY
    )
    mean = np.average(log_t, weights=weight)
    return float(np.sqrt(np.average((log_t - mean) ** 2, weights=weight)))


@pytest.mark.parametrize("name", ["weibull_aft", "lognormal", "loglogistic", "gamma", "gengamma", "weibull_mixture"])
@pytest.mark.parametrize("log_shape", [0.0, 0.2])
def test_the_spread_of_log_times_has_one_prior_in_all_families(name: str, log_shape: float) -> None:
    _, shift, scale = SPREAD[name]
    near = 0.01 if name in ("gamma", "weibull_mixture") else 2e-3  # linear in log shape about 1 there
    assert np.log(spread(name, shift + scale * log_shape)) == pytest.approx(
        np.log(spread("weibull", log_shape)), abs=near
    )


def test_effects_on_shapes_move_with_the_shape() -> None:
    base = worlds.spec(priors__treatment_log_shape=normal(0.3, mean=0.1))
    logs = of_family(base, "lognormal")
    assert logs.effects.study_shape.sd.sd == 0.2
    assert logs.priors.treatment_log_shape.mean == pytest.approx(-0.1)  # a longer tail is a smaller shape
    slopes = of_family(base, "gompertz")
    assert slopes.effects.study_shape.sd.sd == pytest.approx(0.2 * np.log(4) / 1.5)
    bare = of_family(base, "exponential")
    assert bare.effects.study_shape is None
    assert bare.priors.treatment_log_shape is None
    assert of_family(base, "mspline").priors.smooth_sd.sd == 1.0


def test_coefficients_of_covariates_are_mirrored() -> None:
    base = worlds.spec(covariates={"kps": {"prior": normal(0.5, mean=-0.7), "centre": 80.0}})
    assert of_family(base, "lognormal").covariates["kps"].prior.mean == pytest.approx(0.7)
    assert of_family(base, "gompertz").covariates["kps"].prior.mean == -0.7


def test_a_prior_on_one_side_of_zero_has_no_mirror_image() -> None:
    with pytest.raises(InputError, match="found half_normal; allowed: normal, student_t or uniform"):
        of_family(worlds.spec(priors__log_hr=half_normal(1.0)), "lognormal")


@pytest.mark.slow
def test_a_ratio_without_followup_refuses_families_without_proportional_hazards(tmp_path, fitted) -> None:
    ratio = {"study": "h", "endpoint": "os", "treatment": "b", "reference": "a", "hr": 0.7, "se_log_hr": 0.2}
    pd.DataFrame([ratio]).to_csv(tmp_path / "ratios.csv", index=False)
    document = worlds.document(treatments={"reference": "a", "compare": ["b"]}, effects={})
    document["evidence"] = {"hazard_ratios": ["ratios.csv"]}
    spec = parse_spec(document, folder=str(tmp_path))
    rows = rows_of(sensitivity(spec, tmp_path / "out", families=["exponential", "lognormal"]).table)
    assert rows["exponential"]["gate"] == "passed"
    assert "column followup: found nothing, beside hazard.family = lognormal" in rows["lognormal"]["note"]


# ------------------------------------------------------------------------------------------------ for real


def through_pickle(work: Any, tasks: Any, *, cores: int, **given: Any) -> Any:
    """What processes are given, in this one: two others would import and load compiled code for 14 seconds.

    That processes give what one gives is in tests/runtime/test_parallel.py.
    """
    assert cores == 2
    return map_fits(*pickle.loads(pickle.dumps((work, tasks))), cores=1, **given)


@pytest.mark.slow
def test_a_tiny_world_under_real_fits(small, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(checked, "map_fits", through_pickle)
    out = tmp_path / "out"
    asked = ("sensitivity", small, "--out", out, "--families", "lognormal", "--only", "lognormal,sceptical")
    assert call(*asked, "--draws", 400, "--cores", 2, "--json") == 0
    rows = {row["analysis"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    assert list(rows) == [BASE, "sceptical", "lognormal"]
    assert abs(np.log(rows["sceptical"]["ratio"])) < abs(np.log(rows[BASE]["ratio"]))
    assert rows["lognormal"]["measure"] == "time ratio"
    # ten patients an arm: restricted means of both families agree within a month
    assert rows["lognormal"]["rmst_difference"] == pytest.approx(rows[BASE]["rmst_difference"], abs=1.5)
    assert rows["lognormal"]["loo"].startswith("comparable")
    assert call(*asked, "--draws", 400, "--cores", 2, "--json") == 0
    assert "nothing to do: all 3 analyses were kept from before" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("broken", ["fit cut", "fit cut, numbers gone", "numbers cut", "numbers no numbers"])
def test_what_is_broken_among_the_kept_is_made_anew(small, tmp_path, fitted, base_alone, broken: str) -> None:
    """Before, a cut fit was "nothing to do", or could not be read for ever."""
    spec, out, first = read_spec(small), tmp_path / "out", base_alone[0]
    shutil.copytree(base_alone[1], out)
    [fit_file], [numbers] = (out / "fits").glob("*.nc"), (out / "fits").glob("*.json")
    if broken.startswith("fit"):
        fit_file.write_bytes(fit_file.read_bytes()[:2000])
    if broken.endswith("gone"):
        numbers.unlink()
    if broken.startswith("numbers"):
        numbers.write_text('{"gate": ' if broken == "numbers cut" else "[1]", encoding="utf-8")
    again = sensitivity(spec, out, families=[], only=[])
    made_anew = 1 if broken.startswith("fit") else 0
    assert (len(fitted), again.fitted, again.kept) == (made_anew, made_anew, 1 - made_anew)
    pd.testing.assert_frame_equal(again.table.drop(columns="seconds"), first.table.drop(columns="seconds"))
    assert sensitivity(spec, out, families=[], only=[]).kept == 1


def test_a_call_in_which_every_analysis_failed_is_refused() -> None:
    table = pd.DataFrame({"note": ["not fitted: no evidence"]})
    lost = bb.Sensitivity("s", table, fitted=0, kept=0, failed=1, time_unit="months", changed=True)
    with pytest.raises(GateRefused, match="all 1 analyses failed: not fitted: no evidence"):
        lost.require_some()
    bb.Sensitivity("s", table, fitted=1, kept=0, failed=1, time_unit="months", changed=True).require_some()
