"""The report says what its tables say: numbers parsed back from the page, words chosen by numbers, one closed file."""

import ast
import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from jinja2 import UndefinedError

from bayes_bm.checks.direct_indirect import Split, contrast_table
from bayes_bm.checks.reconciliation import reconcile
from bayes_bm.checks.sensitivity import COLUMNS
from bayes_bm.estimands.compare import compare
from bayes_bm.estimands.predict import predict
from bayes_bm.estimands.ranking import rank
from bayes_bm.estimands.who import AverageStudy, NewHospital, NewStudy
from bayes_bm.evidence.audit import NO_SIDE_BY_SIDE, audit
from bayes_bm.inference.gate import Gate
from bayes_bm.inference.result import Result
from bayes_bm.model.design import make_design
from bayes_bm.report import answers, figures, gather, page, sentences, write
from bayes_bm.report.material import Answers
from bayes_bm.report.sections import answer
from bayes_bm.report.sections.analyses import SENSITIVITY
from bayes_bm.report.sections.diagnostics import ElsewhereTable
from bayes_bm.report.sections.evidence import STATUS
from bayes_bm.report.sections.findings import findings_section
from bayes_bm.report.tables import Cell, Column, make_table, plain
from bayes_bm.report.templating import environment, render_template
from bayes_bm.runtime.errors import GateRefused
from tests.builders import worlds
from tests.paths import ROOT

CHAINS, DRAWS = 2, 20
GATE = Gate(
    rows=({"parameter": "log_hr[b]", "rhat": 1.004, "ess_bulk": 812.0, "ess_tail": 945.0},),
    divergences=0,
    draws=CHAINS * DRAWS,
    min_bfmi=0.9,
    target_accept=0.9,
    reasons=(),
)
FAILED_GATE = replace(GATE, reasons=("R-hat of log_hr[b] is 1.070 (allowed: below 1.01)",))


def made_up_posterior(of, evidence, *, log_hr=-0.4, seed=1):
    """Draws by hand, of the names and shapes that a fit gives."""
    rng, shape = np.random.default_rng(seed), make_design(of, evidence)

    def noise(mean, sd, **coords):
        sizes = tuple(len(values) for values in coords.values())
        values = mean + sd * rng.standard_normal((CHAINS, DRAWS, *sizes))
        return xr.DataArray(values, dims=("chain", "draw", *coords), coords=coords)

    found = {
        "intercept": noise(-0.3, 0.15),
        "log_hr": noise(log_hr, 0.1, treatment=list(of.treatments.compare)),
        "log_shape": noise(0.05, 0.05),
        "study_sd": abs(noise(0.3, 0.05)),
        "study_treatment_sd": abs(noise(0.2, 0.05)),
        "study_shape_sd": abs(noise(0.1, 0.03)),
        "study_effect": noise(0, 0.3, study=list(shape.studies)),
        "study_treatment_effect": noise(0, 0.2, study_treatment=shape.pair_labels),
        "study_log_shape": noise(0, 0.1, study=list(shape.studies)),
    }
    if of.covariates:
        drawn = noise(0.0, 0.5, covariate=list(of.covariates))
        # as wide as its prior, whatever was drawn: the evidence says nothing of it
        found["coefficient"] = 0.5 * drawn / drawn.std()
    return xr.Dataset(found).assign_coords(chain=range(CHAINS), draw=range(DRAWS))


def made_up(*, tables=worlds.TABLES, gate=GATE, log_hr=-0.4, **changes):
    of = worlds.spec(**changes)
    evidence = worlds.evidence(of, tables)
    nothing = xr.Dataset()
    provenance = {
        "made": "2026-01-02T03:04:05Z",
        "seed": 7,
        "versions": {"pymc": "6.4.0"},
        "files": {"arms.csv": "ab12"},
    }
    posterior = made_up_posterior(of, evidence, log_hr=log_hr)
    return Result(of, evidence, posterior, nothing, nothing, nothing, gate, provenance)


def contrasts_of(result, *, within=None, across=None):
    return contrast_table(result, Split(within_fit=within, across_fit=across))


def gathered(result, **changes):
    given = {
        "audit": audit(result.spec, result.evidence),
        "reconciliation": reconcile(result),
        "contrasts": contrasts_of(result),
    }
    return gather.gather(result, **{**given, **changes})


ONE = {"treatments": {"reference": "a", "compare": ["b"]}}
TWO_ARMS = {
    kind: [row for row in rows if row.get("treatment") != "c" and (row["study"], row.get("arm")) != ("s1", "y")]
    for kind, rows in worlds.TABLES.items()
}
TWO_ARMS["points"] = [row for row in TWO_ARMS["points"] if (row["study"], row["arm"]) != ("s1", "y")]
TWO_ARMS["medians"] = [row for row in TWO_ARMS["medians"] if row["study"] not in ("m3", "m4")]
TWO_ARMS["hazard_ratios"] = [row for row in worlds.TABLES["hazard_ratios"] if row["study"] == "h1"]


SMALL = {
    "patients": worlds.TABLES["patients"],
    "arms": [row for row in worlds.TABLES["arms"] if row["study"] in ("p1", "m1")],
    "medians": [row for row in worlds.TABLES["medians"] if row["study"] == "m1"],
}


@cache
def two_arms(log_hr=-0.4):
    return made_up(tables=TWO_ARMS, log_hr=log_hr, **ONE)


@cache
def small():
    return made_up(tables=SMALL, **ONE)


@cache
def small_material():
    return gathered(small())


def reproduction():
    return replace(small(), spec=small().spec.model_copy(update={"reproduction": True}))


@cache
def world():
    """Every kind of evidence, three treatments, a covariate that no data inform, a user's text that is markup."""
    covariate = {"prior": worlds.normal(0.5), "unit": "1 = yes", "centre": 0.5}
    tables = {**worlds.TABLES, "patients": [{**row, "fit": 1.0} for row in worlds.TABLES["patients"]]}
    return made_up(
        tables=tables,
        covariates={"fit": covariate},
        question="Is <b>a</b> & b the same?",
        evidence={"exclude": [{"study": "m4", "why": "its clock is not known"}]},
        cannot_say=["Whether <script>alert(1)</script> matters."],
        sensitivity={"wide": {"effects.study.sd": worlds.half_normal(1.0)}},
        external_checks=[
            {"estimand": "hazard_ratio", "treatment": "b", "reference": "a", "value": 0.62, "source": "Pooled 2025"},
            {
                "estimand": "median",
                "treatment": "a",
                "value": 12.5,
                "ci_low": 10.0,
                "ci_high": 15.0,
                "source": "Pooled",
            },
            {"estimand": "survival", "treatment": "b", "value": 0.5, "source": "Class I", "patient": {"fit": 1.0}},
        ],
    )


@cache
def material():
    return gathered(world(), patient={"fit": 1.0}, alive_at=3.0, elsewhere={SENSITIVITY: analyses_table()})


def analyses_table(**ratios):
    """As `bayes-bm sensitivity` leaves it: the base, a named analysis that turns it, a family."""
    kinds = {"base": "base", "wide": "named", "lognormal": "family"}
    ratios = {"base": (0.67, 0.5, 0.9), "wide": (1.12, 0.7123, 1.5), "lognormal": (1.4, 1.1, 1.9), **ratios}
    measures = {name: "time ratio" if name == "lognormal" else "hazard ratio" for name in ratios}
    rows = [
        {
            "analysis": name,
            "kind": kinds.get(name, "named"),
            "family": "weibull",
            "treatment": "b",
            "reference": "a",
            "measure": measures[name],
            "gate": "passed",
            "note": "",
            **dict(zip(("ratio", "ratio_low", "ratio_high"), ratio, strict=True)),
            "prob_better": 0.3,
            "survival_difference": 0.1,
            "survival_low": -0.05,
            "survival_high": 0.2,
            "horizon": 24.0,
            "rmst_difference": 1.0,
            "rmst_low": -1.0,
            "rmst_high": 3.0,
        }
        for name, ratio in ratios.items()
    ]
    return pd.DataFrame(rows).reindex(columns=list(COLUMNS))


@cache
def html():
    return page.render(material())


class Page(HTMLParser):
    """Sections, tables and text of a page; complains about a tag that closes nothing or stays open."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tables, self.attributes, self.words, self.paths = [], [], [], [], 0
        self.feed(text)
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag != "meta":
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)
        if "td" in self.open or "th" in self.open:
            self.tables[-1][-1][-1] += data

    def table(self, head):
        """Rows under the table whose first row holds `head`."""
        return next(table[1:] for table in self.tables if head in [cell.replace("\u00a0", " ") for cell in table[0]])


@cache
def parsed():
    return Page(html())


def numbers_in(text):
    return [float(found.replace("−", "-")) for found in re.findall(r"−?\d+(?:\.\d+)?", text)]


# ---- one closed file


@pytest.mark.slow
def test_the_page_is_well_formed_and_named():
    assert html().startswith("<!DOCTYPE html>\n<html ")
    assert ("html", "lang", "en") in parsed().attributes
    assert len(re.findall(r"<h3>(.*?)</h3>", html())) == 18
    levels = [int(level) for level in re.findall(r"<h([1-4])", html())]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def headings(text):
    return re.findall(r"<h[23][^>]*>(.*?)</h[23]>", text)


@pytest.mark.slow
def test_the_page_asks_for_nothing():
    for tag, name, value in parsed().attributes:
        assert tag not in ("script", "link", "iframe", "img", "object")
        if name in ("src", "href", "xlink:href"):
            # a source is asked for where a reader follows it, never by the page
            inside = ("#", "data:text/csv", "data:image/svg+xml", "https://doi.org/") if tag == "a" else ("#",)
            assert value.startswith(inside), (tag, name, value[:80])
        assert not name.startswith("on")
    assert "@import" not in html()
    assert not re.search(r"url\((?!#)", html())


@pytest.mark.slow
def test_no_two_elements_share_an_id():
    ids = [value for _, name, value in parsed().attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_a_users_text_is_text():
    assert "<script>alert" not in html()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html()
    assert "Is <b>a</b> & b the same?" in "".join(parsed().words)
    row, columns = {"x": "a < b", "y": Cell("c & d", "strong")}, [plain("x", "x"), Column("y", lambda row: row["y"])]
    made = ElsewhereTable("e", make_table([row], columns))
    cells = re.findall("<t[dh].*</t[dh]>", render_template("elsewhere.html.jinja", made=made))[-2:]
    assert cells == ['<th scope="row">a &lt; b</th>', "<td><strong>c &amp; d</strong></td>"]


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_a_template_that_misspells_a_name_is_refused():
    with pytest.raises(UndefinedError, match="no attribute"):
        render_template("elsewhere.html.jinja", made=figures.PageFigure("<svg></svg>"))
    parts = page.page_parts(material())
    assert {section.template for part in parts for section in part.sections} <= set(environment().list_templates())


def imported_at_once(name, seen):
    """Modules of the package that importing one imports, those in functions and for types alone left out."""
    place = ROOT.joinpath(*name.split("."))
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    if name in seen or not file.is_file():
        return
    seen[name] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        seen[name] |= set(found)
        for module in found:
            for parts in range(1, module.count(".") + 2):
                imported_at_once(".".join(module.split(".")[:parts]), seen)


@pytest.mark.slow
def test_templates_are_read_only_where_a_page_is_written():
    seen = {}
    for name in ("bayes_bm", "bayes_bm.cli", "bayes_bm.cli.app", "bayes_bm.report", "bayes_bm.report.pipeline"):
        imported_at_once(name, seen)
    assert {"bayes_bm.report.write", "bayes_bm.report.figures"} <= set(seen)
    assert [name for name, imports in seen.items() if "jinja2" in imports] == []


@pytest.mark.slow
def test_the_same_material_gives_the_same_bytes():
    draw = figures.Drawing(small_material())
    assert figures.panel_figures(draw) == figures.panel_figures(draw)


def test_without_curves_nothing_is_said_of_reconstruction():
    assert "econstruction uncertainty" not in html()
    assert "rebuilt from curves" not in html()


def test_no_folder_of_this_machine_is_on_the_page(tmp_path):
    assert str(tmp_path.parent) not in html()
    assert "/work" not in html()


# ---- numbers


@pytest.mark.parametrize(("who", "column"), [(AverageStudy(), 1), (NewStudy(), 3), (NewHospital(), 5)])
def test_the_table_of_answers_is_compare(who, column):
    table = compare(world(), who=who)
    cells = [(row[0], *numbers_in(row[column])) for row in parsed().table("average study") if len(row) > 1]
    shown = [found for found in cells if len(found) == 4]
    for row in table.to_dict("records"):
        if row["estimand"] in ("survival", "survival_difference"):
            exact = [row["median"], row["q2_5"], row["q97_5"]]
            mine = [found for found in shown if found[0] == f"{row['treatment']}, at {row['time']:g} months"]
            assert any(np.allclose(found[1:], exact, atol=0.0051) for found in mine), (row, mine)


def test_every_answer_that_is_extrapolated_says_so():
    rows = [row for row in parsed().table("average study") if len(row) > 1]
    marked = {row[0] for row in rows if "extrapolated" in row[-1]}
    table = compare(world(), who=NewStudy())
    late = table[table["label"].str.contains("extrapolated") & (table["estimand"] == "survival")]
    assert len(late)
    assert {f"{row['treatment']}, at {row['time']:g} months" for row in late.to_dict("records")} <= marked


def test_the_headline_carries_its_monte_carlo_errors():
    answers = material().answers
    row = answers.ratio("b")
    largest = max(row[f"mcse_{name}"] for name in ("median", "q2_5", "q97_5"))
    clause = sentences.ratio_clause(row, answers.spec)
    assert f"; Monte Carlo error {largest:.1g}), P(HR < 1)" in clause
    assert clause.endswith(f"(Monte Carlo error {row['mcse_prob_better']:.1g})")
    cells = [cell for cell in parsed().table("average study") if len(cell) > 1 and cell[0] == "b"]
    assert len(cells) == 3 and all(cell[-2] for cell in cells)
    # tables of before know no errors, and nothing is said of them
    old = {name: value for name, value in row.items() if not str(name).startswith("mcse")}
    assert "Monte Carlo" not in sentences.ratio_clause(old, answers.spec)


def test_reconciliation_is_shown_row_by_row():
    table = material().reconciliation
    rows = parsed().table("reconstructed")
    assert [row[3] for row in rows] == list(table["quantity"])
    assert [row[0] for row in rows] == [STATUS[status] for status in table["status"]]
    for row, exact in zip(rows, table.to_dict("records"), strict=True):
        if exact["quantity"] == "S(12)" and exact["kind"] == "points":
            assert numbers_in(row[4])[0] == pytest.approx(exact["printed"], abs=0.0051)
            wanted = [exact["predicted"], exact["predicted_low"], exact["predicted_high"]]
            assert numbers_in(row[6]) == pytest.approx(wanted, abs=0.0051)


def test_the_published_number_stands_beside_ours_with_the_ratio():
    rows = parsed().table("published")
    ours = compare(world()).query("estimand == 'hazard_ratio' and treatment == 'b'")["median"].iloc[0]
    assert rows[0][1] == "0.62"
    assert numbers_in(rows[0][2])[0] == pytest.approx(ours, abs=0.0051)
    assert float(rows[0][3]) == pytest.approx(ours / 0.62, abs=0.0051)
    assert numbers_in(rows[1][1]) == [12.5, 10.0, 15.0]


def test_the_patients_table_is_predict():
    asked = {"alive_at": 3.0, "times": [6.0, 12.0, 24.0], "who": NewStudy()}
    table = predict(world(), {"fit": 1.0}, **asked)
    rows = [row for row in parsed().table("median (95 %)") if len(row) > 1]
    assert len(rows) == len(table)
    exact = table[(table["estimand"] == "survival") & (table["treatment"] == "b") & (table["time"] == 12)].iloc[0]
    shown = next(row for row in rows if row[0] == "b, at 12 months")
    assert numbers_in(shown[1]) == pytest.approx([exact["median"], exact["q2_5"], exact["q97_5"]], abs=0.0051)
    assert "prior only: fit" in shown[1]


def test_the_forest_shows_each_arms_own_curve_and_its_printed_number():
    arms = material().arms
    assert set(arms["measure"]) <= {"median", "survival"}
    printed = arms.set_index(["study", "arm"])["printed"]
    if material().arms["measure"].iloc[0] == "survival":
        assert printed["s1", "x"] == pytest.approx(0.655)
    rows = figures.forest_rows(material())
    assert (rows["kind"] == "arm").sum() == len(world().evidence.arms)
    assert (rows["kind"] == "average").sum() == 3


def test_arm_medians_solve_the_arms_own_curve():
    result = world()
    medians = gather.arm_medians(result)
    from bayes_bm.checks.replicates import arm_curves

    for arm in range(medians.shape[1]):
        at = float(medians[0, arm])
        value = arm_curves(result, [at]).isel(chain=0, draw=0, arm_row=arm).item()
        assert value == pytest.approx(0.5, abs=1e-8)


def test_observed_patients_are_kaplan_meier_on_the_printed_clock():
    patients = pd.DataFrame(
        {"time": [4.0, 6.0, 8.0], "event": [1, 0, 1], "time_upper": np.nan, "entry": 0.0, "weight": 1.0}
    )
    seen = gather.observed_patients(patients, shift=2.0, horizon=12.0)
    assert seen.steps["time"].tolist() == [0.0, 2.0, 6.0, 6.0]
    assert seen.steps["survival"].tolist() == pytest.approx([1, 2 / 3, 0, 0])
    assert seen.ticks["time"].tolist() == [4.0]
    assert seen.at_risk.set_index("time")["at_risk"][4.0] == 2


def test_printed_numbers_of_an_arm_stand_on_its_panel():
    arms = world().evidence.arms
    seen = material().observed[int(np.flatnonzero(arms["study"] == "m2")[0])].printed
    assert seen.to_dict("records")[0] == pytest.approx(
        {"time": 9.5, "survival": 0.5, "low": np.nan, "high": np.nan, "time_low": 6.3, "time_high": 15.0}, nan_ok=True
    )
    both = material().observed[int(np.flatnonzero((arms["study"] == "s1") & (arms["arm"] == "x"))[0])].printed
    assert both["time"].tolist() == pytest.approx([12.0, 14.2, 24.0])
    assert both["survival"].tolist() == pytest.approx([0.655, 0.5, 0.276])


def test_curves_are_quantiles_of_the_draws():
    values = xr.DataArray(
        np.arange(2 * 50 * 2 * 3, dtype=float).reshape(2, 50, 2, 3),
        dims=("chain", "draw", "treatment", "time"),
        coords={"treatment": ["a", "b"], "time": [1.0, 2.0, 3.0]},
    )
    table = gather.curve_table(values).set_index(["treatment", "time"])
    draws = values.sel(treatment="b", time=2.0).values.ravel()
    assert table.loc[("b", 2.0)].tolist() == pytest.approx(np.quantile(draws, [0.5, 0.025, 0.975]).tolist())
    difference = gather.difference_table(values)
    assert set(difference["treatment"]) == {"b"}
    assert difference[["median", "low", "high"]].to_numpy() == pytest.approx(np.full((3, 3), 3.0))


def test_ranks_of_equal_chains_fill_every_bin_alike():
    draws = np.stack([np.arange(0, 1600, 2), np.arange(1, 1600, 2)]).astype(float)
    table = gather.rank_tables(xr.Dataset({"x": (("chain", "draw"), draws)}))["x"]
    assert table["count"].tolist() == [40] * 40
    assert (table["expected"] == 40).all()
    assert (table["low"] < 40).all()


# ---- words


def ratio_row(low, median, high, *, better=0.9, label="", time=None):
    numbers = {"median": median, "q2_5": low, "q97_5": high, "prob_better": better}
    return {
        "estimand": "hazard_ratio",
        "treatment": "re_x",
        "reference": "non_y",
        "time": time,
        "label": label,
        **numbers,
    }


LOWER = "The estimated hazard of death is lower with re-x than with non-y"
UNCLEAR = "No clear difference in overall survival between re-x and non-y"


@pytest.mark.parametrize(
    ("row", "starts", "holds"),
    [
        (ratio_row(0.5, 0.65, 0.82), LOWER, "0.65 (95 % interval 0.50 to 0.82), P(HR < 1) = 0.90"),
        (ratio_row(0.5, 0.65, 0.82, better=0.9999), LOWER, "P(HR < 1) > 0.99"),
        (ratio_row(1.1, 1.4, 1.9, better=0.004), "The estimated hazard of death is higher", "P(HR < 1) < 0.01"),
        (ratio_row(0.6, 0.8, 1.1, better=0.93), UNCLEAR, "P(HR < 1) = 0.93; the interval includes 1"),
        (ratio_row(0.6, 0.8, 0.9992), LOWER, "0.60 to 0.999"),
        (ratio_row(0.6, 0.8, 1.0), UNCLEAR, "the interval includes 1"),
        (
            ratio_row(0.2, 0.5, 0.9, label="extrapolated; prior only"),
            "The evidence says next to nothing",
            "the prior's",
        ),
        (ratio_row(0.5, 0.7, 0.9, time=12.0), LOWER, "hazard ratio at 12 months in the average study"),
    ],
)
def test_the_first_sentence_follows_the_interval(row, starts, holds):
    sentence = sentences.contrast_sentence(row, worlds.spec())
    assert sentence.startswith(starts)
    assert holds in sentence


def test_the_event_follows_the_endpoint():
    row = ratio_row(0.5, 0.65, 0.82)
    assert "local failure is lower" in sentences.contrast_sentence(row, worlds.spec(endpoint="local_control"))
    assert "an event (time off drug)" in sentences.contrast_sentence(row, worlds.spec(endpoint="time_off_drug"))


def test_several_treatments_are_grouped_by_what_their_intervals_say():
    rows = [ratio_row(0.5, 0.6, 0.8), {**ratio_row(0.7, 0.9, 1.2), "treatment": "litt"}]
    sentence = sentences.several_sentence(rows, worlds.spec())
    assert "lower with re-x 0.60 (0.50 to 0.80)" in sentence
    assert "no clear difference in overall survival for LITT 0.90 (0.70 to 1.20)" in sentence
    assert "higher" not in sentence


FORBIDDEN = ("recommend", "should", "superior", "better than", "proves", "significant", "causes", "benefit")


@pytest.mark.slow
@pytest.mark.parametrize("log_hr", [-0.6, 0.0, 0.6])
def test_the_answer_claims_nothing_that_it_may_not(log_hr):
    moved = small().posterior.assign(log_hr=small().posterior["log_hr"] * 0.1 + log_hr)
    sentences = answers.answer_sentences(replace(small(), posterior=moved))
    assert len(sentences) == 3
    assert not [word for word in FORBIDDEN if word in " ".join(sentences).lower()]


@pytest.mark.slow
def test_the_second_sentence_has_the_numbers_of_a_study_and_of_a_hospital():
    result = two_arms()
    sentence = answers.answer_sentences(result)[1]
    for who in (NewStudy(), NewHospital()):
        table = compare(result, who=who)
        row = table[(table["estimand"] == "survival_difference") & (table["time"] == 12)].iloc[0].to_dict()
        assert sentences.estimate_text(result.spec, row) in sentence
        mean = table[table["estimand"] == "rmst_difference"].iloc[0].to_dict()
        assert sentences.estimate_text(result.spec, mean) in sentence


@pytest.mark.slow
def test_a_model_without_study_effects_claims_no_average_over_studies():
    bare = {f"effects__{name}": None for name in ("study", "study_treatment", "study_shape")}
    result = made_up(tables=SMALL, **ONE, **bare)
    hidden = ["study_sd", "study_treatment_sd", "study_shape_sd", "study_effect", "study_log_shape"]
    result = replace(result, posterior=result.posterior.drop_vars([*hidden, "study_treatment_effect"]))
    first, _, sentence, *_ = answers.answer_sentences(result)
    assert first.startswith("One baseline for all")
    assert "nothing varies between studies" in sentence
    assert "averaged over studies" not in sentence
    assert "in one new hospital" not in sentence


@pytest.mark.slow
def test_an_extrapolated_answer_is_marked_in_the_sentence():
    result = replace(small(), spec=small().spec.model_copy(update={"horizon": 60.0}))
    assert "the restricted mean to 60 months (extrapolated) differs" in answers.answer_sentences(result)[1]


def support(result, contrasts):
    tables = answers.answer_tables(result)
    return sentences.support_sentence(Answers(result.spec, tables, audit(result.spec, result.evidence), contrasts))


def source(name, studies, hr, low, high):
    log = {"median": np.log(hr), "q2_5": np.log(low), "q97_5": np.log(high)}
    numbers = {"hr": hr, "hr_low": low, "hr_high": high, "mean": np.log(hr), "sd": 0.1, "prob_better": 0.5}
    return {"treatment": "b", "reference": "a", "source": name, "studies": studies, "note": "", **numbers, **log}


@pytest.mark.slow
def test_the_third_sentence_names_the_printed_numbers_that_strain_the_model():
    """A median of 1.7 under a model's 3.0 was amber in a table and in no sentence."""
    rows = pd.DataFrame(
        {
            "study": ["m", "s1", "n"],
            "arm": ["x", "y", "z"],
            "quantity": ["median", "survival at 12", "median"],
            "printed": [1.7, 0.4, 9.0],
            "predicted": [3.0, 0.41, 8.8],
            "predicted_low": [2.3, 0.3, 6.0],
            "predicted_high": [3.9, 0.5, 12.0],
            "p": [0.037, 0.9, 0.6],
            "status": ["amber", "green", "green"],
        }
    )
    result = two_arms()
    said = answers.answer_sentences(result, reconciled=rows)[2]
    strain = (
        "The model strains against 1 printed number: m, x: median 1.7 printed, 3 (2.3 to 3.9) by the model, p = 0.037."
    )
    assert said.endswith(strain)
    quiet = answers.answer_sentences(result, reconciled=rows.assign(status="green"))[2]
    assert "strains" not in quiet and quiet == answers.answer_sentences(result)[2]
    many = pd.concat([rows.iloc[:1]] * 5, ignore_index=True)
    assert answers.answer_sentences(result, reconciled=many)[2].endswith("p = 0.037; and 2 more.")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ratio", "said"), [((1.1, 0.8, 1.5), "do not clearly disagree"), ((2.0, 1.3, 3.0), "disagree: the interval")]
)
def test_the_third_sentence_sets_within_against_across(ratio, said):
    rows = [
        source("within", 3, 0.7, 0.5, 0.9),
        source("across", 9, 0.6, 0.4, 0.8),
        source("discrepancy", 3, *ratio),
    ]
    sentence = support(two_arms(), pd.DataFrame(rows))
    assert (
        "held both side by side (hazard ratio within studies 0.70 (0.50 to 0.90), across 0.60 (0.40 to 0.80))"
        in sentence
    )
    assert said in sentence


@pytest.mark.slow
def test_an_answer_that_is_mostly_across_is_labelled_so():
    """Precisions 1 / 0.3^2 within and 1 / 0.1^2 across: 90 % across."""
    result, rng = two_arms(), np.random.default_rng(1)

    def other(sd):
        noise = rng.normal(size=result.posterior["log_hr"].shape)
        log_hr = result.posterior["log_hr"].copy(data=-0.3 + sd * (noise - noise.mean()) / noise.std())
        return replace(result, posterior=result.posterior.assign(log_hr=log_hr))

    table = contrasts_of(result, within=other(0.3), across=other(0.1))
    note = table.loc[table["source"] == "combined", "note"].item()
    assert note == "mostly across studies (90 % of the precision)"
    assert f"the answer is {note}, where {sentences.CHANCE} it" in support(result, table)
    turned = contrasts_of(result, within=other(0.1), across=other(0.3))
    assert turned.loc[turned["source"] == "combined", "note"].item().startswith("mostly within studies")
    assert "the answer is mostly" not in support(result, turned)


@pytest.mark.slow
def test_ranks_and_network_stand_on_the_page_as_they_were_worked_out(request):
    rows = {row[0]: row for row in parsed().table("SUCRA")}
    found = rank(world())
    for row in found.table.to_dict("records"):
        shown = rows[row["treatment"]]
        assert numbers_in(shown[1]) == [pytest.approx(row[name], abs=0.005) for name in ("median", "q2_5", "q97_5")]
        assert numbers_in(shown[2]) == [row[name] for name in ("median_rank", "rank_q2_5", "rank_q97_5")]
        assert float(shown[5]) == pytest.approx(row["sucra"], abs=0.005)
    assert found.warning in " ".join(parsed().words)
    assert "best treatment" not in html()
    assert 'aria-label="Network of treatments"' in html()
    spoken = re.findall(r'<svg [^>]*aria-label="([^"]*)"', html())
    assert [label for label in spoken if "log_" in label or "[" in label] == []
    assert "Prior and posterior: log hazard ratio of b against a" in spoken
    assert "Contrasts without the reference" in html()  # h3 and h4 print c against b
    assert [row for table in parsed().tables for row in table if row == ["c v b"]] == [["c v b"]]
    request.getfixturevalue("undrawn")
    assert "Ranks" not in page.render(small_material())


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_without_a_study_side_by_side_there_is_no_number_within():
    studies = ("m1", "m2")
    alone = {kind: [row for row in worlds.TABLES[kind] if row["study"] in studies] for kind in ("arms", "medians")}
    result = made_up(tables=alone, **ONE)
    of = gathered(result)
    sentence = sentences.support_sentence(of.answers)
    assert NO_SIDE_BY_SIDE in sentence
    assert "across studies only" in sentence
    rows = {row[0]: row for row in Page(page.render(of)).table("mean log")}
    assert rows["within studies"][2] == NO_SIDE_BY_SIDE
    assert not numbers_in(" ".join(rows["within studies"][3:]))


def test_indirect_evidence_within_studies_is_not_called_side_by_side():
    row = {**source("within", 0, 0.7, 0.5, 0.9), "note": "indirect, through studies with other arms"}
    result = world()
    of = Answers(result.spec, {}, audit(result.spec, result.evidence), pd.DataFrame([row]))
    assert of.source("b", "within") is None


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_a_reproduction_is_labelled_everywhere():
    result = reproduction()
    assert answers.answer_sentences(result)[0] == "Reproduction: the same patients twice."
    of = replace(small_material(), result=result, answers=replace(small_material().answers, spec=result.spec))
    text = page.render(of)
    assert all("reproduction" in heading for heading in headings(text))
    assert "adds no evidence" in sentences.support_sentence(of.answers)
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", text)
    assert captions and all(caption.startswith("[reproduction]") for caption in captions)


def test_a_failed_gate_refuses_and_leaves_nothing(tmp_path):
    result = replace(world(), gate=FAILED_GATE)
    with pytest.raises(GateRefused, match="R-hat of log_hr"):
        written(result, tmp_path / "report.html")
    assert not list(tmp_path.iterdir())


def written(result, path, **changes):
    return write.write_report(
        result,
        path,
        audit=audit(result.spec, result.evidence),
        reconciliation=reconcile(result),
        contrasts=contrasts_of(result),
        **changes,
    )


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_a_failed_gate_that_is_allowed_is_said_everywhere(tmp_path):
    result = replace(small(), gate=FAILED_GATE)
    text = written(result, tmp_path / "report.html", allow_failed_gate=True).read_text(encoding="utf-8")
    assert text.count('role="alert"') == 1
    assert sentences.FAILED in text
    assert "R-hat of log_hr[b] is 1.070" in text
    assert all("gate failed" in heading for heading in headings(text))
    assert all(caption.startswith("[gate failed") for caption in re.findall(r"<figcaption>(.*?)</figcaption>", text))
    assert all("gate failed" in label for label in re.findall(r'<svg [^>]*aria-label="([^"]*)"', text))
    assert answers.answer_sentences(result)[0] == sentences.FAILED


def test_red_rows_are_said_at_the_top_unless_a_reproduction_shows_them():
    result = small()
    red = reconcile(result).assign(status="red")
    assert "contradict" in write.red_rows(result, red)[0]
    again = reproduction()
    assert write.red_rows(again, red) == ()


def test_the_patient_is_named_with_what_only_the_prior_knows():
    patient = material().patient
    told = " ".join(sentences.patient_sentences(world().spec, patient, prior_only=["coefficient[fit]"]))
    assert told.startswith("A patient with fit: yes; alive")
    assert "alive at 3 months" in told
    assert "Prior only: no evidence here informs the coefficient of fit" in told
    assert "Prior only" not in " ".join(sentences.patient_sentences(world().spec, patient, prior_only=[]))


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_without_levels_only_ratios_are_answered():
    free = {"effects__study": {"exchangeable": False}, "priors__log_hr": worlds.normal(1.0)}
    result = made_up(tables=SMALL, **ONE, **free)
    result = replace(result, posterior=result.posterior.drop_vars(["intercept", "study_sd"]))
    of = gathered(result, patient={})
    assert of.curves is None
    assert "Survival itself is not answered" in answers.answer_sentences(result)[1]
    assert Page(page.render(of)).table("average study")


# ---- what must be on the page


@pytest.mark.parametrize(
    "text",
    [
        "Whether <script>alert(1)</script> matters.",
        "bayes-bm check world.nc --leave-one-out study",
        "1.12 (0.71 to 1.50)",
        "pymc 6.4.0",
        "ab12",
        "seed",
        "It recommends no treatment",
        "normal(mean 0, sd 1)",
        "prior only",
        "Averages are over studies like those in the audit",
    ],
)
def test_the_page_says(text):
    assert text in "".join(parsed().words)


def test_what_was_set_aside_is_listed_with_its_reason():
    aside = world().evidence.set_aside
    assert len(aside)
    assert [row[3] for row in parsed().table("reason")] == list(aside["reason"])


def test_the_gate_table_is_the_gates():
    row = parsed().table("R-hat (below 1.01)")[0]
    assert row == ["log hazard ratio of b against a", "log_hr[b]", "1.004", "812", "945"]


@pytest.mark.slow
def test_given_tables_are_used_and_not_made_again(monkeypatch):
    result = small()
    tables = answers.answer_tables(result)
    monkeypatch.setattr(answers, "compare", lambda *args, **kwargs: pytest.fail("made again"))
    assert len(answers.answer_sentences(result, tables=tables)) == 3


def test_a_published_stratum_stands_beside_our_answer_for_such_patients():
    """The fourth column of the table is predict's own row for patients with fit = 1."""
    data = material()
    mine = data.strata[2]
    assert data.strata[:2] == [None, None] and mine is not None
    row = answer.stratum_row(data, data.spec.external_checks[2], mine)
    assert row["quantity"] == "survival at 12 months, b, patients with fit: yes"
    whole = predict(data.result, {"fit": 1.0}, times=[data.spec.reference_time], estimands=["survival"])
    said = whole[(whole.treatment == "b") & whole.reference.isna()].iloc[0]
    assert mine["median"] == pytest.approx(said["median"], rel=1e-12)
    assert row["ours"] == f"{said['median']:.2f} ({said['q2_5']:.2f} to {said['q97_5']:.2f})"
    assert row["ratio"] == f"{said['median'] / 0.5:.2f}" and "patients with fit: yes" in html()


@pytest.mark.slow
def test_the_summary_of_findings_says_patients_of_100_and_leaves_certainty_blank():
    data = material()
    table = findings_section(data).table
    heads = [head.text for head in table.heads]
    cells = dict(zip(heads, (cell.text for cell in table.rows[0].cells), strict=True))
    name = data.spec.treatments.compare[0]
    row = data.answers.row("new-study", "survival", name, time=data.answers.time)
    assert cells["of 100, treatment"].split()[0] == f"{100 * row['median']:.0f}"
    assert cells["certainty"] == "" and "Certainty is for the reader to judge" in html()
