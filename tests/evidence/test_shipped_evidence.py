"""The shipped evidence: what must be there, by hand, and every number against the collected ones, both ways."""

import re
import runpy
import sys
import tomllib

import numpy as np
import pandas as pd
import pytest

from bayes_bm.evidence.tables.links import check_links, check_vocabulary, overlapping_rows
from bayes_bm.evidence.tables.reading import read_table
from bayes_bm.evidence.tables.vocabulary import SHIPPED_VOCABULARY
from tests.paths import ROOT

FOLDER = ROOT / "bayes_bm" / "data" / "recurrent_bm"
KINDS = ("arms", "points", "medians", "hazard_ratios", "covariate_hazard_ratios")
USABLE = ("use", "use_with_care", "subgroup")


@pytest.fixture(scope="module")
def shipped() -> dict[str, pd.DataFrame]:
    return {kind: read_table(kind, FOLDER / f"{kind}.csv") for kind in KINDS}


@pytest.fixture(scope="module")
def decisions() -> dict:
    return tomllib.loads((FOLDER / "decisions.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def collected(shared, decisions) -> dict[str, pd.DataFrame]:
    """The collected tables, with studies under the labels that the notes identify."""
    tables = {name: pd.read_csv(shared / "evidence" / f"{name}.csv") for name in ("arms", "landmarks", "hazard_ratios")}
    tables["arms"]["row_id"] = tables["arms"]["row_id"].astype(int).astype(str)
    return {name: table.replace({"study": decisions["label"]}) for name, table in tables.items()}


@pytest.fixture(scope="module")
def first(shipped) -> dict[str, pd.DataFrame]:
    """The shipped rows that come from the first collection, without those found later."""
    later = {"arms", "points", "medians"}
    return {
        kind: table[~table.x_row_id.str.startswith("new:")].reset_index(drop=True) if kind in later else table
        for kind, table in shipped.items()
    }


# --------------------------------------------------------------------------- by hand, without the collected tables


def test_tables_are_sound_and_keep_to_the_vocabulary(shipped):
    for kind, table in shipped.items():
        check_vocabulary(table, where=kind)
        assert table["use"].notna().all() and table["source"].notna().all(), kind
    check_links(shipped)
    assert {kind: len(table) for kind, table in shipped.items()} == {
        "arms": 226,
        "points": 95,
        "medians": 158,
        "hazard_ratios": 7,
        "covariate_hazard_ratios": 54,
    }
    assert set(shipped["arms"]["treatment"]) == set(SHIPPED_VOCABULARY.treatments)


def _median(shipped, study: str, arm: str, endpoint: str = "os") -> list[float]:
    table = shipped["medians"]
    row = table[(table.study == study) & (table.arm == arm) & (table.endpoint == endpoint)].iloc[0]
    return [None if np.isnan(v) else float(v) for v in row[["median", "ci_low", "ci_high", "n", "ci_level"]]]


@pytest.mark.parametrize(
    ("study", "arm", "endpoint", "expected"),
    [
        ("Mitsuya 2020", "Salvage surgery after stereotactic irradiation", "os", [20.2, None, None, 48, 0.95]),
        ("Schackert 2013", "Re-operation of recurrent BM", "os", [7.5, None, None, 67, 0.95]),
        ("Rana 2017", "Salvage SRS2", "os", [22.0, None, None, 28, 0.95]),
        ("Terakedis 2014", "Second SRS to same lesion", "os", [8.3, None, None, 37, 0.95]),
        ("Ozgen 2013", "Repeat WBRT", "os", [3.0, 1.82, 4.118, 28, 0.95]),
        ("Grabowski 2022", "Planned LITT + SRT", "local_control", [29.8, None, None, 21, 0.95]),
        ("Grabowski 2022", "Repeat SRT alone (biopsy-proven)", "local_control", [3.7, None, None, 9, 0.95]),
        ("Sujijantarat 2020", "Bevacizumab for RN", "pfs", [2.0, None, None, 13, 0.95]),
        ("Sankey 2022", "Medical management (steroids) for RN", "pfs", [7.06, None, None, 15, 0.95]),
        ("Brastianos 2023 pembrolizumab", "Pembrolizumab, cohort B, recurrent and progressive BM", "os",
         [8.1, 5.3, 9.6, 48, 0.90]),
        ("PATRICIA 2023", "Pertuzumab + high-dose trastuzumab", "os", [27.2, 16.1, None, 39, 0.95]),
        ("NIBIT-M2 2021", "Ipilimumab + nivolumab", "os", [29.2, None, None, 27, 0.95]),
        ("DESTINY-Breast01 BM subgroup", "Trastuzumab deruxtecan", "pfs", [18.1, 6.7, None, 24, 0.95]),
        ("PMC9519668 single BM surgery 2011-2018", "STR", "os", [8.0, 6.2, 9.8, 135, 0.95]),
    ],
)  # fmt: skip
def test_medians_read_by_eye(shipped, study, arm, endpoint, expected):
    assert _median(shipped, study, arm, endpoint) == expected


@pytest.mark.parametrize(
    ("study", "arm", "endpoint", "number", "per_month"),
    [
        ("Rao 2014", "LITT", "pfs", 37, 4.345),
        ("QUARTZ 2016", "Optimal supportive care (dexamethasone)", "os", 8.5, 4.345),
        ("Ro 2012 LEAP Korea", "Lapatinib + capecitabine", "os", 48.9, 4.345),
        ("Ro 2012 LEAP Korea", "Lapatinib + capecitabine", "pfs", 18.7, 4.345),
        ("Konstantinou 2013 ipilimumab EAP", "Ipilimumab", "os", 101, 30.44),
        ("Chan 2023", "LITT for RN", "os", 2.6, 1 / 12),
    ],
)
def test_weeks_days_and_years_became_months(shipped, study, arm, endpoint, number, per_month):
    assert _median(shipped, study, arm, endpoint)[0] == pytest.approx(number / per_month, abs=0.05)


def test_survival_at_26_weeks_is_at_six_months_of_4_345_weeks(shipped):
    points = shipped["points"]
    rows = points[points.study == "Ahluwalia 2018 LAASR"].sort_values("endpoint", ascending=False)
    assert rows[["endpoint", "time", "survival", "n"]].to_numpy().tolist() == [
        ["os", 5.98, 0.72, 42.0],
        ["local_control", 5.98, 0.74, 27.0],
    ]
    assert pytest.approx(26 / 4.345, abs=0.005) == 5.98


def test_the_pooled_paper_is_one_pseudo_study_per_comparison_and_never_evidence(shipped):
    arms, medians, ratios = (shipped[kind] for kind in ("arms", "medians", "hazard_ratios"))
    of = {"arms": arms[arms.study.str.startswith("Basaran")], "ratios": ratios[ratios.study.str.startswith("Basaran")]}
    assert {frame["use"].unique().item() for frame in of.values()} == {"target_or_check"}
    assert of["arms"]["n"].isna().all()
    expected = {
        "Basaran 2025: re-resection v non-surgical": {"re_resection", "non_surgical"},
        "Basaran 2025: re-resection v re-SRS": {"re_resection", "re_srs"},
        "Basaran 2025: GTR v STR": {"gtr", "str"},
        "Basaran 2025: adjuvant re-irradiation": {"re_resection_re_rt", "re_resection"},
        "Basaran 2025: local PFS": {"re_resection", "re_resection_re_rt", "re_srs"},
    }
    assert {study: set(rows.treatment) for study, rows in of["arms"].groupby("study")} == expected
    printed = medians[medians.study.str.startswith("Basaran")].merge(arms, on=["study", "arm", "endpoint"])
    table = {
        (row.study[14:], row.treatment): (row.median, row.ci_low, row.ci_high)
        for row in printed.fillna({"ci_low": 0, "ci_high": 0}).itertuples()
    }
    assert table == {
        ("re-resection v non-surgical", "re_resection"): (14.74, 11.68, 17.80),
        ("re-resection v non-surgical", "non_surgical"): (10.34, 8.59, 12.08),
        ("re-resection v re-SRS", "re_resection"): (14.74, 10.51, 18.98),
        ("re-resection v re-SRS", "re_srs"): (10.97, 9.10, 12.84),
        ("GTR v STR", "gtr"): (23.97, 15.95, 31.99),
        ("GTR v STR", "str"): (7.06, 5.21, 8.90),
        ("local PFS", "re_resection"): (43.23, 0, 0),
        ("local PFS", "re_resection_re_rt"): (29.92, 0, 0),
        ("local PFS", "re_srs"): (15.79, 0, 0),
    }
    columns = ["study", "endpoint", "treatment", "reference", "hr", "p_below"]
    assert [tuple(row) for row in of["ratios"][columns].itertuples(index=False)] == [
        ("Basaran 2025: re-resection v non-surgical", "os", "re_resection", "non_surgical", 0.664, 0.001),
        ("Basaran 2025: re-resection v re-SRS", "os", "re_resection", "re_srs", 0.62, 0.001),
        ("Basaran 2025: GTR v STR", "os", "gtr", "str", 0.400, 0.0001),
        ("Basaran 2025: local PFS", "local_control", "re_resection", "re_resection_re_rt", 0.529, 0.001),
        ("Basaran 2025: local PFS", "local_control", "re_srs", "re_resection", 3.031, 0.001),
    ]
    assert of["ratios"]["x_note"].fillna("").str.contains("direction inferred").tolist() == [False] * 3 + [True] * 2


def test_the_first_line_anchors_are_kept_as_such(shipped):
    ratios = shipped["hazard_ratios"].iloc[5:]
    columns = ["study", "endpoint", "treatment", "reference", "hr", "ci_low", "ci_high", "p", "use"]
    assert ratios[columns].fillna(0).to_numpy().tolist() == [
        ["PMC9519668 single BM surgery 2011-2018", "os", "gtr", "str", 0.66, 0, 0, 0.003, "external_prior"],
        ["NIBIT-M2 2021", "os", "immunotherapy", "chemotherapy", 0.44, 0.22, 0.87, 0.017, "external_prior"],
    ]
    arms = shipped["arms"].set_index(["study", "arm"])
    quartz = arms.loc[("QUARTZ 2016", "Optimal supportive care (dexamethasone)")]
    assert [quartz[c] for c in ("treatment", "n", "use")] == ["supportive_care", 269, "external_prior"]


def test_pooled_reviews_are_targets_only(shipped):
    arms = shipped["arms"]
    pooled = arms["x_overlap_printed"].fillna("").str.startswith("POOLED")
    assert (arms.loc[pooled, "use"] == "target_or_check").all()
    assert set(
        arms.loc[arms["use"] == "target_or_check", "study"].str.replace(r"[:(].*", "", regex=True).str.strip()
    ) == {
        *("Basaran 2025", "rSRS meta-analysis 2022", "Almeida 2025 LITT systematic review"),
        *("de Franca 2020 meta-analysis LITT vs SRS", "RN resection meta-analysis PMC12987881"),
    }


NECROSIS = {
    "Ahluwalia 2018 LAASR": [19 / 42, 19 / 42],
    "Bastos 2020": [31 / 82],
    "Grabowski 2022": [0, 0, 0],
    "Hong 2019": [18 / 34, 18 / 34, 15 / 41, 15 / 41],
    "Jagannathan 2010": [5 / 15],
    "Kano 2009": [0, 0],
    "Salvage surgery series 2014-2024, 49 cases (authors not shown)": [0],
    "Mitsuya 2020": [0.13],
    "Narloch 2017": [0, 1],
    "Telera 2013": [7 / 16],
    "Truong 2006": [4 / 32],
    "Vecil 2005": [6 / 74],
    "Bevacizumab after WBRT failure phase II (ASCO abstract 2070)": [0, 0],
}


def test_share_of_necrosis(shipped):
    arms = shipped["arms"]
    stated = arms[arms.share_necrosis.notna()]
    mixed = stated[
        (stated["use"] != "RN_not_tumour") & (stated["use"] != "target_or_check") | (stated.study == "Narloch 2017")
    ]
    assert {study: rows.tolist() for study, rows in mixed.groupby("study")["share_necrosis"]} == {
        study: pytest.approx(values, abs=5e-5) for study, values in NECROSIS.items()
    }
    assert (arms.loc[arms["use"] == "RN_not_tumour", "share_necrosis"] == 1).all()


def test_the_readme_counts_what_is_there(shipped):
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    files = {name: int(n) for name, n in re.findall(r"^\| `(\w+)\.csv` \|.*\| (\d+) \|$", readme, re.M)}
    later = {kind: len(read_table(kind, FOLDER / f"{kind}.csv")) for kind in ("patients", "prognostic_ratios")}
    assert files == {kind: len(table) for kind, table in shipped.items()} | later
    flags = {name: int(n) for name, n in re.findall(r"^\| `(\w+)` \|.*\| (\d+) \|$", readme, re.M)}
    assert flags == shipped["arms"]["use"].value_counts().to_dict()


def test_no_length_of_immortal_time_or_clock_shift_is_made_up(shipped):
    assert shipped["arms"][["survived_to", "clock_shift"]].isna().all(axis=None)


def test_measures_differ_only_in_local_control(shipped):
    arms = shipped["arms"]
    assert set(arms.loc[arms.endpoint != "local_control", "measure"]) == {"km"}
    local = arms[arms.endpoint == "local_control"]
    named = {m: set(rows.x_row_id) for m, rows in local.groupby("measure")}
    assert named["cif_complement"] == {"23", "60", "133", "134", "248", "landmarks:29", "landmarks:72"}
    assert named["crude"] == {"29", "37"}
    assert set(local.loc[local.measure.isna(), "x_row_id"]) == {"58", "84", "97", "121", "126"}


def _selected(shipped, treatments: set[str], endpoint: str) -> pd.DataFrame:
    arms = shipped["arms"].reset_index(drop=True)
    return arms[arms.treatment.isin(treatments) & (arms.endpoint == endpoint) & arms["use"].isin(USABLE)]


def test_the_main_question_finds_its_studies(shipped):
    arms = _selected(shipped, {"re_resection", "re_srs"}, "os")
    assert overlapping_rows(arms) == []
    assert {t: sorted(rows.study) for t, rows in arms.groupby("treatment")} == {
        "re_resection": sorted(
            [
                "Schackert 2013",
                "Mitsuya 2020",
                "Telera 2013",
                "Kano 2009",
                "Vecil 2005",
                "Truong 2006",
                "Jagannathan 2010",
                "Hong 2019",
                "Al-Zabin 2010",
                "Hessler 2022",
                "Hulsbergen 2021",
                "Salvage surgery series 2014-2024, 49 cases (authors not shown)",
            ]
        ),
        "re_srs": sorted(
            [
                "Moreau 2018",
                "Balermpas 2018",
                "Terakedis 2014",
                "Rana 2017",
                "Minniti 2016",
                "Jablonska 2021",
            ]
        ),
    }


def test_side_by_side_studies(shipped):
    arms = shipped["arms"]
    arms = arms[arms["use"].isin([*USABLE, "RN_not_tumour"])]
    pairs = arms.groupby(["study", "endpoint"])["treatment"].agg(lambda t: tuple(sorted(set(t))))
    assert {key: value for key, value in pairs.items() if len(value) > 1} == {
        ("Grabowski 2022", "local_control"): ("litt", "litt_srt", "re_srs"),
        ("Hong 2019", "os"): ("litt", "re_resection"),
        ("Hong 2019", "pfs"): ("litt", "re_resection"),
        ("Salvage surgery series 2014-2024, 49 cases (authors not shown)", "os"): ("re_resection", "resection"),
        ("Suzuki 2018", "os"): ("chemotherapy", "re_wbrt", "srs_after_wbrt", "supportive_care"),
        ("Sankey 2022", "os"): ("litt", "medical"),
        ("Sankey 2022", "pfs"): ("litt", "medical"),
        ("Sujijantarat 2020", "os"): ("bevacizumab", "litt"),
        ("Sujijantarat 2020", "pfs"): ("bevacizumab", "litt"),
        ("rSRS 2004-2022 series (77 pts, arXivLens)", "local_control"): ("re_resection_re_rt", "re_srs"),
    }


@pytest.mark.slow
def test_overlap_within_the_rows_one_may_use(shipped):
    arms = shipped["arms"][shipped["arms"]["use"].isin(USABLE)].reset_index(drop=True)
    pairs = [(arms.arm[i], arms.arm[j]) for i, j in overlapping_rows(arms)]
    caballero = [pair for pair in pairs if pair[0].startswith("Salvage SRS")]
    assert len(caballero) == 8
    assert ("Salvage SRS, single BM treated", "Salvage SRS, 2-3 BM treated") not in caballero
    assert ("Salvage SRS, multiple BM treated", "Salvage SRS, 2-3 BM treated") in caballero
    assert [pair for pair in pairs if pair[0].startswith("Salvage GKS")] == [
        ("Salvage GKS, all", "Salvage GKS, single distant recurrence"),
        ("Salvage GKS, all", "Salvage GKS, multiple distant recurrences"),
    ]
    mctyre = [pair for pair in pairs if "distant failure" in pair[0] or "BMV" in pair[0]]
    assert len(mctyre) == 3 and len(pairs) == 8 + 2 + 3
    everything = shipped["arms"].reset_index(drop=True)
    groups = {everything.overlap_group[i] for i, _ in overlapping_rows(everything)}
    assert {"rSRS 2004-2022", "HER2CLIMB tucatinib", "HER2CLIMB placebo", "MSK Cs-131", "LAANTERN registry"} <= groups


# -------------------------------------------------------------------------------- against the collected tables

# Shipped column <- collected column. Every numeric column of the shipped arms is here or in DERIVED.
SAME_NAME = (
    *(
        "year",
        "n_patients",
        "n_lesions",
        "share_male",
        "share_kps70",
        "share_nsclc",
        "share_lung_any",
        "share_breast",
    ),
    *("share_melanoma", "share_renal", "share_gi", "share_other", "share_single_met", "share_primary_controlled"),
    *("share_gtr", "share_prior_wbrt", "share_prior_srs", "share_prior_surgery"),
)
CARRIED = {
    **{name: name for name in SAME_NAME if name != "share_kps70"},
    "share_extracranial": "share_extracranial_disease",
    "followup": "followup_median_months",
    "mean_volume_cc": "volume_cc_mean",
    "x_n_deaths": "n_deaths",
    "x_n_local_failures": "n_local_failures",
    "x_range_low": "range_low_months",
    "x_range_high": "range_high_months",
    "x_kps": "kps_value",
    "x_median_volume_cc": "volume_cc_median",
    "x_median_diameter_cm": "diameter_cm_median",
    "x_interval_months": "interval_first_treatment_to_recurrence_months",
}
CASE_MIX = {"share_kps70", "share_extracranial_controlled", "n_extracranial_controlled", "n_single_met"}
"""From the tables of prognosis, not of the collected arms."""
DERIVED = {"n", "events", "mean_age", "x_median_age", "share_necrosis", "survived_to", "clock_shift", "ci_level"}
LEFT_OUT_ENDPOINTS = {"radiographic response", "none (response only)", "none (RN only)", "TTP", "distant control"}
# Printed intervals that are shipped otherwise, with what stands in their place.
INTERVALS = {
    "69": (11.0, 14.8),
    "70": (5.9, 9.4),
    "71": (3.8, 5.3),
    "172": (None, None),
    "195": (6.7, None),
    "204": (5.3, 9.6),
    "205": (4.5, 18.7),
}
SIZES = {"31": 462, "37": 27, "248": 90}


def _numbers(values: pd.Series) -> np.ndarray:
    return pd.to_numeric(values).to_numpy(dtype=float)


def _pairs(shipped, collected) -> pd.DataFrame:
    """Shipped arms beside the collected rows they come from; collected columns end in _c."""
    return shipped["arms"].merge(collected["arms"].add_suffix("_c"), left_on="x_row_id", right_on="row_id_c")


def test_every_collected_arm_is_shipped_once_or_left_out_for_a_listed_reason(first, collected, decisions):
    kept = first["arms"]["x_row_id"]
    ids = collected["arms"]["row_id"]
    own = kept[~kept.isin(ids)]
    named = ["hazard_ratios:4"] * 2 + [f"landmarks:{i}" for i in (1, 2, 3, 29, 65, 66, 67, 72)] + ["strata:20"]
    assert sorted(own) == sorted(named)
    assert not kept[kept.isin(ids)].duplicated().any()
    out = collected["arms"][~ids.isin(kept)]
    assert len(out) == 65
    of_endpoint, of_class = (
        out.endpoint.isin(LEFT_OUT_ENDPOINTS),
        out.treatment_class.isin(decisions["left_out_classes"]),
    )
    assert set(out[~of_endpoint & ~of_class].row_id) == {"13", "14", "25"}
    assert set(out[of_class].use_flag) <= {"external_prior", "weak", "RN_not_tumour"}
    assert set(out[out.use_flag.isin(USABLE)].row_id) == {"13", "14", "25"}
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    listed = re.search(r"## Left out(.*?)\n## ", readme, re.S).group(1)  # type: ignore[union-attr]
    numbers = {
        str(i)
        for low, high in re.findall(r"\b(\d+)(?:-(\d+))?\b", " ".join(re.findall(r"rows? ([\d, -]+)", listed)))
        for i in range(int(low), int(high or low) + 1)
    }
    assert numbers == set(out.row_id)


def test_every_number_of_an_arm_is_the_collected_one(shipped, first, collected):
    pairs = _pairs(first, collected)
    assert len(pairs) == len(first["arms"]) - 11
    for column, origin in CARRIED.items():
        np.testing.assert_array_equal(_numbers(pairs[column]), _numbers(pairs[f"{origin}_c"]), err_msg=column)
    numeric = {c for c in shipped["arms"] if pd.to_numeric(shipped["arms"][c], errors="coerce").notna().any()}
    assert numeric - {"x_row_id"} <= set(CARRIED) | DERIVED | CASE_MIX


def test_names_flags_and_printed_words_of_an_arm_are_the_collected_ones(shipped, collected, decisions):
    pairs = _pairs(shipped, collected)
    flags = pairs.x_row_id.map(decisions["use_of_row"]).fillna(pairs.use_flag_c)
    assert pairs.use.tolist() == flags.tolist()
    words = {"arm": "arm_treatment", "time_origin": "time_origin", "x_endpoint_printed": "endpoint"}
    words |= {"x_treatment_printed": "treatment_class", "x_unit_printed": "unit_of_analysis", "x_setting": "setting"}
    words |= {"x_note": "notes", "x_locating_phrase": "locating_phrase", "x_overlap_printed": "overlap_group"}
    for column, origin in words.items():
        assert pairs[column].fillna("").tolist() == pairs[f"{origin}_c"].fillna("").tolist(), column
    addressed = pairs[pairs.source_url_c.notna()]
    assert len(addressed) > 100 and addressed.source.tolist() == addressed.source_url_c.tolist()
    renamed = pairs[pairs.study != pairs.study_c]
    assert set(renamed.study_c) == {"Basaran 2025 (pooled IPD meta-analysis)"} and len(renamed) == 9


ENDPOINTS = {
    "OS": {"os"},
    "PFS": {"pfs"},
    "local control": {"local_control"},
    "local PFS": {"local_control", "pfs"},
    "intracranial PFS": {"intracranial_pfs"},
    "distant+local intracranial PFS": {"intracranial_pfs"},
}
TREATMENTS = {
    "re-resection": {"re_resection", "gtr", "str", "resection"},
    "repeat SRS": {"re_srs"},
    "non-surgical": {"non_surgical"},
    "re-resection + re-SRS": {"re_resection_re_rt"},
    "LITT": {"litt"},
    "LITT + SRT": {"litt_srt"},
    "salvage SRS (after WBRT)": {"srs_after_wbrt"},
    "salvage SRS": {"srs_after_wbrt"},
    "salvage SRS (distant)": {"srs_distant"},
    "salvage WBRT": {"re_wbrt"},
    "salvage brachytherapy": {"brachytherapy"},
    "re-resection + brachytherapy": {"re_resection_brachytherapy"},
    "mixed salvage": {"mixed_salvage"},
    "first resection": {"gtr", "str"},
    "systemic therapy": {"targeted", "immunotherapy"},
    "systemic therapy: chemotherapy": {"chemotherapy"},
    "systemic therapy: HER2-targeted": {"targeted"},
    "systemic therapy: BRAF-targeted": {"targeted"},
    "systemic therapy: TKI": {"targeted"},
    "systemic therapy: immunotherapy": {"immunotherapy"},
    "systemic therapy: anti-VEGF": {"bevacizumab"},
    "bevacizumab": {"bevacizumab"},
    "medical management": {"medical"},
    "best supportive care": {"supportive_care"},
    "hyperbaric oxygen": {"hyperbaric_oxygen"},
}


def test_endpoints_and_treatments_are_mapped_as_said(first):
    arms = first["arms"]
    for printed, names in ENDPOINTS.items():
        assert set(arms.loc[arms.x_endpoint_printed == printed, "endpoint"]) == names, printed
    for printed, names in TREATMENTS.items():
        assert set(arms.loc[arms.x_treatment_printed == printed, "treatment"]) == names, printed
    assert set(arms.x_endpoint_printed) == set(ENDPOINTS) and set(arms.x_treatment_printed) == set(TREATMENTS)
    local_as_pfs = arms[(arms.x_endpoint_printed == "local PFS") & (arms.endpoint == "pfs")]
    assert set(local_as_pfs.x_row_id) == {"44", "45", "48", "49", "75"}
    assert set(arms.loc[arms.treatment == "resection", "x_row_id"]) == {"153", "154"}
    extent = arms[arms.treatment.isin(["gtr", "str"])]
    assert dict(zip(extent.x_row_id, extent.treatment, strict=True)) == {
        "5": "gtr",
        "6": "str",
        "72": "gtr",
        "73": "str",
    }
    drugs = arms[arms.x_treatment_printed == "systemic therapy"].groupby("treatment")["x_row_id"].agg(set)
    assert drugs.to_dict() == {"targeted": {"88", "89", "90", "93"}, "immunotherapy": {"91", "92"}}


def test_sizes_events_and_ages_follow_the_unit_and_the_statistic(shipped, collected):
    for row in _pairs(shipped, collected).itertuples():
        by_lesion = row.unit_of_analysis_c in ("lesion", "cavity")
        size = SIZES.get(row.x_row_id, row.n_lesions_c if by_lesion else row.n_patients_c)
        np.testing.assert_equal(row.n, float(size), err_msg=row.x_row_id)
        counted = {"os": row.n_deaths_c, "local_control": row.n_local_failures_c}.get(row.endpoint, np.nan)
        np.testing.assert_equal(row.events, float(counted), err_msg=row.x_row_id)
        is_mean = str(row.age_stat_c).startswith("mean")
        ages = (row.mean_age, float(row.x_median_age or np.nan))
        np.testing.assert_equal(ages, (row.age_years_c, np.nan) if is_mean else (np.nan, row.age_years_c))


@pytest.mark.slow
def test_medians_both_ways(shipped, first, collected):
    medians = first["medians"].set_index("x_row_id").drop(index="strata:20")
    kept = collected["arms"][collected["arms"].row_id.isin(shipped["arms"].x_row_id)].set_index("row_id")
    printed = kept[kept.median_months.notna()]
    assert set(medians.index) == set(printed.index)
    limits = {i: (row.ci_low_months, row.ci_high_months) for i, row in printed.iterrows()}
    limits |= {i: tuple(np.nan if v is None else v for v in values) for i, values in INTERVALS.items()}
    arms = shipped["arms"].set_index("x_row_id")
    for i, row in medians.iterrows():
        assert row["median"] == printed.median_months[i], i
        np.testing.assert_equal((row.ci_low, row.ci_high), limits[i], err_msg=i)
        assert row.ci_level == (0.9 if i in ("204", "205") else 0.95)
        for name in ("study", "arm", "endpoint", "n", "use", "overlap_group"):
            np.testing.assert_equal(row[name], arms.loc[i, name], err_msg=f"{i} {name}")


LEFT_OUT_LANDMARKS = {17, *range(45, 51), *range(52, 60), 71, *range(75, 82), 85, 86, 90, 92}


def test_points_both_ways(shipped, first, collected):
    points = first["points"].assign(row=first["points"]["x_landmark"].astype(int)).set_index("row")
    marks = collected["landmarks"].assign(row=range(1, len(collected["landmarks"]) + 1)).set_index("row")
    assert set(marks.index) - set(points.index) == LEFT_OUT_LANDMARKS
    assert points.index.is_unique
    marks = marks.loc[points.index]
    same = {"time": "time_months", "survival": "survival", "ci_low": "ci_low", "ci_high": "ci_high", "n": "n"}
    for column, origin in same.items():
        np.testing.assert_array_equal(points[column].to_numpy(), marks[origin].to_numpy(dtype=float), err_msg=column)
    assert points["x_arm_printed"].tolist() == marks["arm"].tolist()
    arms = shipped["arms"].set_index(["study", "arm", "endpoint"])
    for i, row in points.iterrows():
        arm = arms.loc[(row.study, row.arm, row.endpoint)]
        assert arm["x_row_id"] == row.x_row_id and arm["x_endpoint_printed"] == marks.endpoint[i], i
        assert (row["use"], row["overlap_group"] or "") == (arm["use"], arm["overlap_group"] or "")
        if row.study[:7] != "Basaran":
            assert row.study == marks.study[i], i


def test_arms_columns_of_survival_are_all_points(shipped, collected):
    points = shipped["points"]
    found = {(i, t): s for i, t, s in zip(points.x_row_id, points.time, points.survival, strict=True)}
    kept = collected["arms"][collected["arms"].row_id.isin(shipped["arms"].x_row_id)]
    said = {
        (row.row_id, 5.98 if row.row_id in ("36", "37") else float(month)): getattr(row, f"surv{month}")
        for row in kept.itertuples()
        for month in (6, 12, 18, 24, 36)
        if pd.notna(getattr(row, f"surv{month}"))
    }
    assert len(said) > 50 and {key: found.get(key) for key in said} == said


def test_labels_of_landmarks_lead_to_the_right_arm_where_there_are_several(shipped):
    points = shipped["points"]
    chosen = points[["study", "x_arm_printed", "arm"]].drop_duplicates().set_index(["study", "x_arm_printed"])["arm"]
    assert chosen["Hong 2019", "LITT"] == "LITT (16 tumour + 18 RN)"
    assert chosen["Hong 2019", "Craniotomy"] == "Craniotomy (26 tumour + 15 RN)"
    assert chosen["Almeida 2025 LITT systematic review", "LITT pooled"] == "LITT (pooled)"
    for study in ("rSRS 2004-2022 series (77 pts, arXivLens)", "NIBIT-M2 2021", "NIVOREN BM 2019 (GETUG-AFU 26)"):
        same = chosen[study]
        assert same.tolist() == same.index.tolist() and len(same) >= 2


def test_hazard_ratios_both_ways(shipped, collected):
    ours = pd.concat([shipped["hazard_ratios"], shipped["covariate_hazard_ratios"]])
    ours = ours.assign(row=ours["x_row"].astype(int)).set_index("row").sort_index()
    theirs = collected["hazard_ratios"].assign(row=range(1, len(collected["hazard_ratios"]) + 1)).set_index("row")
    assert set(theirs.index) - set(ours.index) == {4} and np.isnan(theirs.hr[4])
    assert ours.index.is_unique
    theirs = theirs.loc[ours.index]
    for column in ("hr", "ci_low", "ci_high"):
        np.testing.assert_array_equal(ours[column].to_numpy(), theirs[column].to_numpy(dtype=float), err_msg=column)
    p = theirs["p"].fillna("").astype(str)
    exact, bound = p.where(~p.str.startswith("<"), ""), p.where(p.str.startswith("<"), "").str.lstrip("<")
    np.testing.assert_array_equal(ours["p"].to_numpy(), _numbers(exact.replace("", np.nan)))
    np.testing.assert_array_equal(ours["p_below"].to_numpy(), _numbers(bound.replace("", np.nan)))
    sizes = _numbers(ours["n"].where(ours["n"].notna(), ours["x_n"]))
    np.testing.assert_array_equal(sizes, theirs["n"].to_numpy(dtype=float))
    words = {"x_comparison_printed": "comparison", "x_reference_printed": "reference", "x_endpoint_printed": "endpoint"}
    for column, origin in {**words, "x_model": "model", "x_note": "notes"}.items():
        assert ours[column].fillna("").tolist() == theirs[origin].fillna("").tolist(), column
    np.testing.assert_array_equal(_numbers(ours["x_year"]), theirs["year"].to_numpy(dtype=float))
    covariate = ours["covariate"].notna()
    for column, origin in {"setting": "setting", "clock": "time_origin"}.items():
        assert ours.loc[covariate, column].tolist() == theirs.loc[covariate, origin].tolist(), column
    same = ~ours.study.str.startswith("Basaran")
    assert ours.study[same].tolist() == theirs.study[same].tolist()


RATIO_ENDPOINTS = {
    "CNS death": "cns_death",
    "OS": "os",
    "OS at 3 months": "os_at_3_months",
    "OS at 6 months": "os_at_6_months",
    "PFS": "pfs",
    "death": "os",
    "intracranial PFS": "intracranial_pfs",
    "local failure": "local_control",
    "local failure (cumulative incidence)": "local_control",
    "non-CNS death": "non_cns_death",
    "progression": "progression",
    "systemic PFS": "systemic_pfs",
}
RATIO_USES = {
    "ATTAIN 2022": ["external_prior"] * 2,
    "BEACON BM subgroup 2017": ["external_prior"],
    "Farris 2017": ["use"] * 2,
    "GPA meta-analysis after WBRT 2024": ["external_prior"] * 4,
    "HER2CLIMB BM subgroups": ["use_with_care", "weak", "external_prior", "external_prior", "weak", "weak"],
    "Jiang 2020": ["use_with_care"] * 4,
    "Lucas competing-risk SRS after WBRT": ["use_with_care"] * 7,
    "MD Anderson Cs-131 tile 2025": ["use_with_care"] * 3,
    "Moreau 2018": ["use"] * 2,
    "Multiple BM surgery + SRS v SRS alone 2011-2022 (734 pts)": ["external_prior"] * 2,
    "NALA CNS subgroup 2021": ["external_prior"],
    "NIBIT-M2 2021": ["external_prior"],
    "NIVOREN BM 2019 (GETUG-AFU 26)": ["weak"],
    "QUARTZ 2016": ["external_prior"],
    "Jablonska 2021": ["use", "do_not_pool", "do_not_pool"],
    "Repeat SRS >=3 courses (PMID 28327948)": ["weak"] * 4,
    "Reveendran 2026 Leeds SRS multistate": ["external_prior"] * 2,
    "Shen 2016": ["use_with_care"] * 3,
    "Steroids + ICI meta-analysis (PMC8328028)": ["target_or_check"] * 3,
    "Systemic therapy after RT, 1-3 BM (PMID 29237923)": ["do_not_pool"],
    "iBMV Japan (PMID 31140039)": ["external_prior"],
}


def test_covariate_ratios_have_their_endpoint_and_flag(shipped):
    rows = shipped["covariate_hazard_ratios"]
    assert rows["endpoint"].tolist() == [RATIO_ENDPOINTS[name] for name in rows["x_endpoint_printed"]]
    assert {study: group["use"].tolist() for study, group in rows.groupby("study")} == RATIO_USES


def test_covariate_ratios_say_what_was_compared(shipped):
    rows = shipped["covariate_hazard_ratios"]
    said = {(row.x_row): (row.level, row.reference) for row in rows.itertuples()}
    # digits printed in the comparison stand in the level, so that no threshold or direction is lost or swapped
    for row in rows.itertuples():
        printed = re.findall(r"\d+(?:\.\d+)?", str(row.x_comparison_printed))
        kept = re.findall(r"\d+(?:\.\d+)?", f"{row.level} {row.covariate}")
        assert set(printed) <= set(kept) or row.x_row in ("8", "43"), (row.x_row, row.x_comparison_printed, row.level)
    assert said["26"] == ("0-1", ">= 2") and said["39"] == ("male", "female") and said["41"] == ("present", "none")
    assert said["9"][0] == "absent at BM diagnosis" and said["13"] == ("subtotal", "gross total")


@pytest.mark.slow
def test_the_tables_are_what_the_script_makes(shared, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    for script in ("build_evidence", "build_evidence_ratios", "build_evidence_more"):
        monkeypatch.setattr(sys, "argv", [script, str(shared / "evidence"), str(tmp_path)])
        runpy.run_path(str(ROOT / "scripts" / f"{script}.py"), run_name="__main__")
    for kind in (*KINDS, "patients", "prognostic_ratios"):
        assert (tmp_path / f"{kind}.csv").read_bytes() == (FOLDER / f"{kind}.csv").read_bytes(), kind
