"""What was found later: series, case mixes and single patients, each number against where it was collected."""

import tomllib

import numpy as np
import pandas as pd
import pytest

from bayes_bm.evidence.audit import audit
from bayes_bm.evidence.reading import read_evidence
from bayes_bm.evidence.tables.reading import read_table
from bayes_bm.spec.reading import read_spec
from tests.paths import ROOT

FOLDER = ROOT / "bayes_bm" / "data" / "recurrent_bm"


@pytest.fixture(scope="module")
def shipped() -> dict[str, pd.DataFrame]:
    return {kind: read_table(kind, FOLDER / f"{kind}.csv") for kind in ("arms", "points", "medians")}


@pytest.fixture(scope="module")
def decisions() -> dict:
    return tomllib.loads((FOLDER / "decisions.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def later(shared) -> dict[str, pd.DataFrame]:
    names = ("arms", "medians", "points", "patients")
    return {name: pd.read_csv(shared / "evidence" / "more" / f"{name}.csv") for name in names}


def test_every_row_found_later_is_shipped_or_left_out_with_a_reason(shipped, later, decisions):
    kept, out = decisions["more_rows"], decisions["left_out_more"]
    assert sorted([*kept, *out]) == sorted(later["arms"].x_row_id) and all(out.values())
    assert set(shipped["arms"].x_row_id[shipped["arms"].x_row_id.str.startswith("new:")]) == set(kept)


@pytest.mark.parametrize("kind", ["arms", "medians", "points"])
def test_numbers_found_later_are_the_collected_ones(shipped, later, decisions, kind):
    mine, key = shipped[kind], ["x_row_id"] if kind != "points" else ["x_row_id", "time"]
    mine = mine[mine.x_row_id.str.startswith("new:")].set_index(key).sort_index()
    theirs = later[kind][later[kind].x_row_id.isin(decisions["more_rows"])].set_index(key).sort_index()
    assert mine.index.tolist() == theirs.index.tolist()
    printed = {"arms": ("n", "events", "year", "followup", "share_nsclc", "share_prior_wbrt", "share_melanoma")}
    numbers = printed | {"medians": ("median", "ci_low", "ci_high", "n"), "points": ("survival", "n")}
    for column in numbers[kind]:
        np.testing.assert_array_equal(
            pd.to_numeric(mine[column]).to_numpy(dtype=float), theirs[column].to_numpy(dtype=float), err_msg=column
        )


def _median(shipped, study: str, arm: str) -> list[float | None]:
    row = shipped["medians"].query("study == @study and arm == @arm and endpoint == 'os'").iloc[0]
    return [None if np.isnan(value) else float(value) for value in row[["median", "ci_low", "ci_high", "n"]]]


def test_the_later_series_read_by_eye(shipped):
    assert _median(shipped, "Hessler 2022", "Surgical resection of pretreated, recurrent BM") == [
        11.1,
        8.4,
        13.6,
        107,
    ]
    assert _median(shipped, "Hulsbergen 2021", "Craniotomy for locally recurrent BM") == [13.8, None, None, 180]
    assert _median(shipped, "Kurtz 2014", "Salvage SRS after prior brain RT") == [11.7, 8.1, 13.0, 106]
    assert _median(shipped, "McTyre 2020", "All with distant failure") == [7.2, 6.4, 8.2, 921]
    points = shipped["points"]
    kano = points[(points.study == "Kano 2009") & (points.endpoint == "os")]
    assert list(zip(kano.time, kano.survival, strict=True)) == [(6.0, 0.65), (12.0, 0.30), (24.0, 0.16)]
    arms = shipped["arms"].set_index(["study", "arm", "endpoint"])
    assert arms.loc[("Kano 2009", "Surgery after SRS failure", "os"), ["n", "events"]].tolist() == [58, 50]
    suzuki = points[points.study == "Suzuki 2018"].set_index("arm")
    assert suzuki.survival.to_dict() == {
        "SRS": 0.58,
        "Repeat WBI": 0.21,
        "Chemotherapy only": 0.50,
        "Observation": 0.05,
    }
    parent = shipped["arms"][(shipped["arms"].study == "Suzuki 2018") & (shipped["arms"].arm == "All, any management")]
    assert parent["use"].tolist() == ["duplicate"]


def test_case_mixes_are_the_printed_shares_of_functional_status(shipped, shared, decisions):
    arms = shipped["arms"].query("endpoint == 'os' and use != 'external_prior'").set_index("study")
    kps = arms.share_kps70.dropna()
    assert kps.to_dict() == {
        "Schackert 2013": 0.70, "Mitsuya 2020": 0.44, "Telera 2013": 0.75, "Truong 2006": 1.0, "Kano 2009": 0.90,
        "Vecil 2005": 0.85,
    }  # fmt: skip
    assert arms.share_extracranial_controlled.dropna().to_dict() == {"Mitsuya 2020": 1.0, "Truong 2006": 1.0}
    printed = pd.read_csv(shared / "evidence" / "prognosis" / "case_mix.csv")
    for number, (row, column) in decisions["case_mix"].items():
        line, arm = printed.iloc[int(number) - 1], shipped["arms"].set_index("x_row_id").loc[row]
        assert (line.study, float(line.value), line.n) == (arm.study, arm[column], arm.n)


def test_shares_that_a_series_took_on_purpose_inform_no_other(shipped):
    arms = shipped["arms"]
    for name, studies in {
        "extracranial_controlled": {"Mitsuya 2020", "Truong 2006"},
        "single_met": {"Al-Zabin 2010", "Caballero 2012", "Salvage GKS for distant recurrence (PMID 22146846)"},
    }.items():
        rows = arms[arms[f"n_{name}"] == 0]
        assert set(rows.study) == studies and set(rows[f"share_{name}"]) <= {0.0, 1.0}
    whole = arms[(arms.study == "Caballero 2012") & (arms.arm == "Salvage SRS, all")]
    assert whole.share_single_met.item() == 0.245 and np.isnan(whole.n_single_met.item())


PROGNOSTIC = [
    ("Kurtz 2014", "age", "per 1", "same", 1.04, 1.01, 1.07),
    ("Kurtz 2014", "extracranial_controlled", "1 v 0", "same", 0.46, 0.27, 0.78),
    ("Kurtz 2014", "interval_over_6_months", "0 v 1", "same", 2.46, 1.47, 4.09),
    ("Shen 2016", "kps70", "1 v 0", "same", 0.37, 0.15, 0.90),
    ("Shen 2016", "extracranial_controlled", "1 v 0", "same", 0.35, 0.13, 0.94),
    ("CITVPA", "age", "per 1", "external", 1.01, 1.005, 1.015),
    ("CITVPA", "extracranial_controlled", "0 v 1", "external", 1.287, 1.154, 1.437),
    ("CITVPA", "single_met", "0 v 1", "external", 1.193, 1.047, 1.360),
    ("Seoul", "single_met", "0 v 1", "external", 1.46, None, None),
    ("Johns Hopkins", "kps70", "0 v 1", "external", 2.40, None, None),
]


def test_prognostic_ratios_read_by_eye():
    rows = read_table("prognostic_ratios", FOLDER / "prognostic_ratios.csv")
    for row, expected in zip(rows.itertuples(), PROGNOSTIC, strict=True):
        compared = f"per {row.per:g}" if np.isnan(row.level) else f"{row.level:g} v {row.reference:g}"
        limits = [None if np.isnan(limit) else limit for limit in (row.ci_low, row.ci_high)]
        assert row.study.startswith(expected[0])
        assert (expected[0], row.covariate, compared, row.population, row.hr, *limits) == expected
    assert rows.p.dropna().tolist() == [0.046] and rows.p_below.dropna().tolist() == [0.001]
    assert (rows.model == "adjusted").all() and (rows.endpoint == "os").all()


def test_every_printed_prognostic_ratio_is_used_or_left_out_with_a_reason(shared, decisions):
    printed = pd.read_csv(shared / "evidence" / "prognosis" / "prognostic_hazard_ratios.csv")
    kept, out = decisions["prognostic"], decisions["left_out_prognostic"]
    with_ratio = {str(place + 1) for place in np.flatnonzero(printed.hr.notna())}
    assert set(kept) | set(out) == with_ratio and not set(kept) & set(out) and all(out.values())
    rows = read_table("prognostic_ratios", FOLDER / "prognostic_ratios.csv")
    lines = printed.iloc[[int(number) - 1 for number in kept]]
    for column in ("hr", "ci_low", "ci_high", "n"):
        np.testing.assert_array_equal(rows[column].to_numpy(dtype=float), lines[column].to_numpy(dtype=float))
    assert (lines.model == "multivariable").all()


@pytest.mark.slow
def test_the_patients_covariates_of_the_main_question_rest_on_evidence():
    spec = read_spec("os_reresection_vs_resrs")
    found = audit(spec, read_evidence(spec)).coefficients.set_index("covariate")
    assert found.source.isin(["published ratios", "across-study data"]).all()
    assert found.ratios.to_dict() == {
        "kps70": 2, "extracranial_controlled": 3, "single_met": 2, "interval_over_6_months": 1,
    }  # fmt: skip


def test_single_patients_stand_once_with_late_entry_and_nothing_that_names_them(later):
    patients = read_table("patients", FOLDER / "patients.csv")
    assert patients.groupby("treatment").size().to_dict() == {"re_srs": 14, "srs_after_wbrt": 19, "srs_distant": 6}
    assert (patients.event == 1).all() and (patients.entry < patients.time).all()
    assert patients.groupby("treatment").entry.agg(lambda entry: (entry > 0).sum()).to_dict() == {
        "re_srs": 2, "srs_after_wbrt": 10, "srs_distant": 2,
    }  # fmt: skip
    first = later["patients"].query("first_of_treatment == 1 and use == 'use_with_care'")
    courses = first[first.treatment.isin(["re_srs", "srs_after_wbrt", "srs_distant"])]
    courses = courses[~((courses.patient == "P42") & (courses.treatment == "srs_after_wbrt"))]
    assert not courses.patient.duplicated().any()
    np.testing.assert_allclose(sorted(patients.time), sorted(courses.time), atol=0.051)
    np.testing.assert_allclose(sorted(patients.entry), sorted(courses.entry_if_4_mri), atol=0.051)
    np.testing.assert_allclose(patients.time, patients.time.round(1))
    columns = {"study", "arm", "treatment", "time", "event", "entry", "use", "x_age", "x_histology", "x_single_lesion"}
    assert columns | {"x_source"} == set(pd.read_csv(FOLDER / "patients.csv").columns)
    assert patients.x_source.str.contains("CC BY 4.0").all()
