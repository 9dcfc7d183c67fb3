"""The first screen says what `compare` says, named analyses stand as numbers, axe-core has nothing against the page."""

import re
from dataclasses import replace
from functools import cache
from urllib.parse import unquote

import numpy as np
import pytest

from bayes_bm.checks.replicates import arm_curves
from bayes_bm.estimands.compare import compare
from bayes_bm.estimands.who import NewHospital, NewStudy
from bayes_bm.report import figures, page, pdf
from bayes_bm.report.explanations import DECISIONS, linked, names_of, parameter_words
from bayes_bm.report.plain_sentences import plain_sentences
from bayes_bm.report.sections import analyses, first_screen
from bayes_bm.report.sections.diagnostics import informed_text
from bayes_bm.report.sections.studies import source_cell
from bayes_bm.report.sections.treatments import asked_table
from bayes_bm.report.server import PatientPage
from bayes_bm.report.text import treatment_text
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.reading import read_spec
from tests.builders import browser
from tests.paths import ROOT
from tests.report.test_report import analyses_table, gathered, material, two_arms


@cache
def two_arm_material():
    return gathered(two_arms(), elsewhere={"sensitivity": analyses_table(other=(0.9, 0.5, 1.3))})


@cache
def two_arm_page():
    return page.render(two_arm_material())


def row_of(table, estimand, treatment, time=None):
    rows = table[(table["estimand"] == estimand) & (table["treatment"] == treatment)]
    return (rows if time is None else rows[rows["time"] == time]).iloc[0].to_dict()


@pytest.mark.slow
def test_sentences_pages_and_figures_say_the_labels_of_treatments(request):
    assert "with b and " in two_arm_page()  # kept for all tests of this file, so with its figures
    request.getfixturevalue("undrawn")
    result = two_arms()
    treatments = result.spec.treatments.model_copy(update={"labels": {"b": "second operation"}})
    named = replace(result, spec=result.spec.model_copy(update={"treatments": treatments}))
    text = page.render(gathered(named))
    for words in (" with b and ", ">b</th>", "b v a"):
        assert words in two_arm_page() and words not in text
        assert words.replace("b", "second operation", 1) in text
    about = PatientPage(named).about()
    assert [one["label"] for one in about["treatments"]] == ["a", "second operation"]
    assert treatment_text("b") == "b"


# ---- three sentences


def test_the_three_sentences_have_the_numbers_of_compare():
    answers = two_arm_material().answers
    finding, patients, support = plain_sentences(answers)
    ratio, new = compare(two_arms()), compare(two_arms(), who=NewStudy())
    hazard = row_of(ratio, "hazard_ratio", "b")
    assert f"{hazard['median']:.2f} (95 % interval {hazard['q2_5']:.2f} to {hazard['q97_5']:.2f})" in finding
    alive = {name: 100 * row_of(new, "survival", name, 12.0)["median"] for name in ("a", "b")}
    assert f"about {alive['b']:.0f} with b and {alive['a']:.0f} with a are alive at 12 months" in patients
    difference = row_of(new, "survival_difference", "b", 12.0)
    low, high = (round(100 * difference[name]) for name in ("q2_5", "q97_5"))
    assert 0 < low < high
    assert f"the difference may lie between {low} and {high} more with b (95 % interval)" in patients
    assert support.startswith("It rests on ")


@pytest.mark.parametrize(("log_hr", "said"), [(-0.9, "lower with b than with a"), (0.9, "higher with b"), (0.0, "No")])
def test_the_first_sentence_claims_what_its_interval_carries(log_hr, said):
    answers = two_arm_material().answers
    result = two_arms()
    moved = result.posterior["log_hr"] - result.posterior["log_hr"].mean() + log_hr
    result = replace(result, posterior=result.posterior.assign(log_hr=moved))
    tables = {**answers.tables, "average-study": compare(result)}
    finding = plain_sentences(replace(answers, tables=tables))[0]
    assert said in finding
    assert ("would favour b" in finding) == (log_hr == 0.0)


@pytest.mark.parametrize(
    ("ends", "said"),
    [((-0.14, 0.17), "14 fewer and 17 more"), ((-0.31, -0.12), "12 and 31 fewer"), ((-0.1, 0.0), "10 fewer and none")],
)
def test_the_difference_is_said_as_patients(ends, said):
    answers = two_arm_material().answers
    table = answers.tables["new-study"].copy()
    mask = table["estimand"] == "survival_difference"
    table.loc[mask, ["q2_5", "q97_5"]] = ends
    moved = replace(answers, tables={**answers.tables, "new-study": table})
    assert f"between {said} with b" in plain_sentences(moved)[1]


# ---- the figure and its numbers


def test_contrasts_beside_the_curves_are_those_of_compare():
    ratios, differences = first_screen.contrast_blocks(two_arm_material())
    hazard = row_of(compare(two_arms()), "hazard_ratio", "b")
    assert ratios.rows.iloc[-1][["median", "low", "high"]].tolist() == [hazard[n] for n in ("median", "q2_5", "q97_5")]
    for who, names in ((NewStudy(), ("low", "high")), (NewHospital(), ("wider_low", "wider_high"))):
        table = compare(two_arms(), who=who)
        for time, row in zip(two_arms().spec.answer_times, differences.rows.to_dict("records"), strict=True):
            exact = row_of(table, "survival_difference", "b", time)
            assert [row[name] for name in names] == pytest.approx([100 * exact[end] for end in ("q2_5", "q97_5")])


@pytest.mark.slow
def test_several_treatments_have_a_ratio_each():
    (block,) = first_screen.contrast_blocks(material())
    assert block.rows["label"].tolist() == ["b", "c"] and block.label.startswith("hazard ratio against a")
    assert "Against a" in plain_sentences(material().answers)[0]


def test_nobody_is_at_risk_after_the_last_time_that_an_arm_speaks_about():
    """Single patients are counted; an arm known from numbers counts its size times its own survival until its last."""
    data = two_arm_material()
    table, arms, audited = data.at_risk, data.result.evidence.arms, data.answers.audit.rows
    curves = arm_curves(data.result.thinned(200), [1e-6, 12.0]).mean(("chain", "draw")).transpose("arm_row", "time")
    for treatment in ("a", "b"):
        wanted = np.zeros(2)
        for row, arm in enumerate(arms.to_dict("records")):
            mine = audited[(audited["study"] == arm["study"]) & (audited["arm"] == arm["arm"])]
            seen = data.observed[row].at_risk
            if arm["treatment"] != treatment:
                continue
            if seen is not None:
                wanted += seen.set_index("time")["at_risk"].reindex([0.0, 12.0], fill_value=0.0).to_numpy()
            else:
                spoken = np.array([0.0, 12.0]) <= mine["until"].max()
                wanted += np.where(spoken, mine["size"].max() * curves.to_numpy()[row], 0.0)
        shown = table[(table["treatment"] == treatment) & table["time"].isin([0.0, 12.0])]
        assert shown["at_risk"].to_numpy() == pytest.approx(wanted)
        assert shown["at_risk"].iloc[0] > shown["at_risk"].iloc[1]


@pytest.mark.slow
def test_a_figure_carries_its_numbers():
    links = first_screen.first_screen(figures.Drawing(two_arm_material())).plots[0].downloads
    assert [link.file for link in links] == [
        *("answer_curves.csv", "answer_numbers_at_risk.csv", "answer_contrasts.csv", "answer.svg"),
    ]
    lines = unquote(links[0].href.partition(",")[2]).splitlines()
    curves = two_arm_material().curves.survival
    assert lines[0] == "treatment,time,median,low,high" and len(lines) == len(curves) + 1
    assert float(lines[5].split(",")[2]) == pytest.approx(curves["median"].iloc[4], rel=1e-5)


# ---- named analyses


@pytest.mark.slow
def test_analyses_that_turn_the_answer_stand_first():
    data = two_arm_material()
    rows = analyses.numbered(data.elsewhere["sensitivity"], "named")
    assert [(row["analysis"], row["change"]) for row in rows] == [
        ("wide", analyses.TURNED),
        ("other", analyses.BLURRED),
    ]
    family = analyses.numbered(data.elsewhere["sensitivity"], "family")[0]
    assert family["change"] == ""  # a time ratio of 1.4 is the same side as a hazard ratio of 0.67
    assert analyses.analysis_sentences(data) == [
        "Over 2 named analyses the hazard ratio runs from 0.90 (other) to 1.12 (wide).",
        "1 of them puts it on the other side of 1: wide 1.12.",
        "The interval includes 1 in all of them.",
    ]
    trust = first_screen.first_screen(figures.Drawing(data)).trust
    assert [line.level for line in trust if line.section == "analyses"] == ["doubt"]


def test_an_analysis_says_what_it_is():
    spec = material().spec
    assert analyses.analysis_words(spec, "wide") == spec.sensitivity["wide"]["effects.study.sd"]["why"]
    named = spec.model_copy(update={"sensitivity_words": {"wide": "centres differ more"}})
    assert analyses.analysis_words(named, "wide") == "centres differ more"


# ---- words


def test_every_decision_that_is_cited_is_explained_and_exists():
    headings = re.findall(r"^## (\d+)\. ", (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(DECISIONS) <= {int(number) for number in headings}
    unknown = f"a (docs/decisions.md, {99}) b"
    assert linked(unknown) == unknown
    text = two_arm_page()
    assert set(re.findall(r'href="#(decision-\d+)"', text)) <= set(re.findall(r'id="(decision-\d+)"', text))
    assert not re.search(r"\brule \d", text)
    assert not re.search(r"docs/decisions\.md(, |#)\d", text)


def test_parameters_have_words():
    spec = material().spec
    assert parameter_words(spec, "log_hr[b]") == "log hazard ratio of b against a"
    assert parameter_words(spec, "coefficient[fit]") == "log ratio of fit"
    assert parameter_words(spec, "some_new_thing[x]") == "some_new_thing[x]"


# ---- a real browser


@pytest.mark.slow
@browser.needed
def test_axe_core_has_nothing_against_the_report(tmp_path):
    file = tmp_path / "report.html"
    file.write_text(two_arm_page(), encoding="utf-8")
    with browser.opened(width=380) as opened:
        opened.goto(file.as_uri())
        opened.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert browser.axe_findings(opened) == []
        assert opened.evaluate("document.documentElement.scrollWidth") <= 380
        opened.emulate_media(color_scheme="dark")
        opened.goto(f"{file.as_uri()}#one-page")
        assert browser.axe_findings(opened) == []
        assert opened.locator("#section-provenance").is_hidden()
        opened.locator("a.brief").focus()
        opened.keyboard.press("Enter")
        assert opened.locator("#section-provenance").is_visible()


@pytest.mark.slow
@browser.needed
def test_the_page_for_the_clinic_is_one_side(tmp_path):
    """Five more reasons make it longer than a side at its usual size; it is printed smaller."""
    text = two_arm_page()
    reason = re.findall(r'<li class="doubt">.*?</li>', text, re.DOTALL)[0]
    report = tmp_path / "report.html"
    report.write_text(text.replace(reason, reason * 6, 1), encoding="utf-8")
    printed = pdf.print_one_page(report, tmp_path / "one.pdf")
    assert pdf.pages(printed) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"report.html", "one.pdf"}


def test_without_a_browser_the_message_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"--pdf: found no Chromium, Chrome or Edge; .* print report.html"):
        pdf.browser()


def test_names_of_tables_are_words_in_every_text_and_code_stays_code():
    names = names_of(read_spec("os_reresection_vs_resrs"))
    assert names.told("re_resection v re_srs") == "re-resection v repeat SRS"
    assert names.told("case_mix_by_treatment[re_srs, kps70]") == "case_mix_by_treatment[re_srs, kps70]"
    assert names.told("single_met 0 v 1") == "number of metastases: several metastases v one"
    assert names.told("Kps70 in Lee") == "Performance status in Lee"
    assert names.told("kps70 = 1") == "performance status: KPS 70 or more (or ECOG 0-1)"
    assert linked("the coefficient of kps70", names) == "the coefficient of performance status"


@pytest.mark.parametrize(
    ("prior", "evidence", "said"), [(0.13, 0.04, "the prior decides"), (0.13, 0.2, "evidence and prior")]
)
def test_a_prior_that_decides_is_said_in_the_table_too(prior, evidence, said):
    row = {"prior_only": False, "prior_sensitivity": prior, "likelihood_sensitivity": evidence}
    assert informed_text(row) == said
    assert informed_text({**row, "prior_only": True}) == "prior only"


def test_a_patient_stands_beside_all_patients():
    rows = compare(two_arms(), who=NewStudy())
    shown = asked_table(two_arms().spec, rows, rows)
    assert shown.heads[-1].text == "all patients, a new study"
    assert all(row.cells[1].text == row.cells[-1].text for row in shown.rows)


@pytest.mark.slow
def test_a_source_is_a_link_where_it_is_one():
    assert (
        source_cell("https://a.org/articles/10.3389/fonc.2017.00279/full").level
        == "https://doi.org/10.3389/fonc.2017.00279"
    )
    plain_address = source_cell("https://pmc.ncbi.nlm.nih.gov/articles/PMC5886580")
    assert (plain_address.text, plain_address.kind) == ("pmc.ncbi.nlm.nih.gov/articles/PMC5886580", "link")
    assert source_cell("abstract, Minniti 2016").kind == "plain"
    assert source_cell("javascript:alert(1)").kind == "plain"
