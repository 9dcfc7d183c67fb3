"""Evidence: each rule with a tiny table and numbers by hand; nothing counts twice, nothing is lost without a word."""

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bayes_bm.evidence.hazard_ratios import se_range_of_p
from bayes_bm.evidence.reading import read_evidence
from bayes_bm.evidence.records import Evidence
from bayes_bm.model.pymc_graph.build import build_model
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.reading import parse_spec
from tests.builders import graphs, worlds
from tests.builders.graphs import log_density
from tests.builders.worlds import normal
from tests.witness import slow_twin

Row = dict[str, Any]
FREE = {"exchangeable": False}


def arm(study: str, name: str, treatment: str, n: float | None = 40, **more: Any) -> Row:
    return {"study": study, "arm": name, "treatment": treatment, "endpoint": "os", "n": n, **more}


def patient(study: str, name: str, treatment: str, time: float, event: int = 1, **more: Any) -> Row:
    return {"study": study, "arm": name, "treatment": treatment, "time": time, "event": event, **more}


def point(study: str, name: str, time: float, survival: float, **more: Any) -> Row:
    return {"study": study, "arm": name, "endpoint": "os", "time": time, "survival": survival, **more}


def median(study: str, name: str, value: float | None, **more: Any) -> Row:
    return {"study": study, "arm": name, "endpoint": "os", "median": value, **more}


def count(study: str, name: str, events: int, n: int, time: float | None = None) -> Row:
    return {"study": study, "arm": name, "endpoint": "os", "events": events, "n": n, "time": time}


def ratio(study: str, treatment: str, reference: str, hr: float, **more: Any) -> Row:
    return {"study": study, "endpoint": "os", "treatment": treatment, "reference": reference, "hr": hr, **more}


def selected(tables: dict[str, list[Row]], **changes: Any) -> Evidence:
    return worlds.evidence(worlds.spec(**changes), tables)


def reasons(evidence: Evidence) -> list[str]:
    return [
        f"{row['kind']} {row['study']} {row['arm']}: {row['reason']}" for row in evidence.set_aside.to_dict("records")
    ]


def write(folder: Path, name: str, rows: list[Row]) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(folder / name, index=False)
    return name


def read(folder: Path, **changes: Any) -> Evidence:
    return read_evidence(parse_spec(worlds.document(**changes), folder=str(folder)))


# --------------------------------------------------------------------------------- decision 1: counted once


def test_patients_stand_before_points_before_a_median_before_a_count() -> None:
    everything = {
        "patients": [patient("s", "p", "a", 5.0)],
        "arms": [arm("s", name, "a") for name in ("p", "q", "r", "t")],
        "points": [point("s", name, 12.0, 0.4) for name in ("p", "q")],
        "medians": [median("s", name, 9.0) for name in ("p", "r")],
        "counts": [count("s", name, 20, 40, 12.0) for name in ("p", "q", "r", "t")],
    }
    found = selected(everything)
    kept = {name: found.tables()[name]["arm"].tolist() for name in ("patients", "sequences", "medians", "counts")}
    assert kept == {"patients": ["p"], "sequences": ["q"], "medians": ["r"], "counts": ["t"]}
    assert reasons(found) == [
        "points s p: its patients are used",
        "medians s p: its patients are used",
        *(f"counts s {name}: its patients, points or median are used" for name in "pqr"),
    ]


def test_a_median_joins_the_points_of_its_arm_as_one_half() -> None:
    """S(6) = 0.8, median 10, S(24) = 0.1 of 40: ratios 0.8, 0.5 / 0.8, 0.1 / 0.5 among 0.8 x 40, 32 and 20."""
    tables = {
        "arms": [arm("s", "x", "a")],
        "points": [point("s", "x", 24.0, 0.1), point("s", "x", 6.0, 0.8)],
        "medians": [median("s", "x", 10.0)],
    }
    steps = selected(tables).sequences
    assert steps["time"].tolist() == [6.0, 10.0, 24.0]
    assert steps["start"].tolist() == [0.0, 6.0, 10.0]
    np.testing.assert_allclose(steps["ratio"], [0.8, 0.625, 0.2])
    np.testing.assert_allclose(steps["size"], [0.8 * 40, 0.8 * 40 * 0.8, 0.8 * 40 * 0.5])
    assert steps["kind"].tolist() == ["point", "median", "point"]


def test_a_joined_median_without_any_weight_is_said_to_be_set_aside() -> None:
    tables = {
        "arms": [arm("s", "x", "a", None)],
        "points": [point("s", "x", 6.0, 0.6, ci_low=0.4, ci_high=0.75)],
        "medians": [median("s", "x", 9.0, ci_low=7.0, ci_high=12.0)],
    }
    found = selected(tables)
    assert found.sequences["time"].tolist() == [6.0]
    assert any(reason.startswith("medians s x: no n, and ") for reason in reasons(found))


def test_a_hazard_ratio_beside_absolute_evidence_on_both_arms_is_not_used_twice() -> None:
    tables = {
        "arms": [arm("s", "x", "a"), arm("s", "y", "b"), arm("t", "x", "a")],
        "medians": [median("s", "x", 9.0), median("s", "y", 11.0), median("t", "x", 8.0)],
        "hazard_ratios": [ratio("s", "b", "a", 0.7, se_log_hr=0.2), ratio("t", "b", "a", 0.6, se_log_hr=0.3)],
    }
    found = selected(tables)
    assert found.hazard_ratios["study"].tolist() == ["t"]
    assert reasons(found) == ["hazard_ratios s b v a: both its arms have absolute evidence; see evidence.allow_overlap"]
    allowed = selected(tables, evidence__allow_overlap=[{"study": "s", "why": "test"}])
    assert allowed.hazard_ratios["study"].tolist() == ["s", "t"]


def test_a_row_without_n_or_interval_has_no_weight_and_is_listed() -> None:
    tables = {
        "arms": [arm("s", "x", "a", None), arm("t", "x", "b")],
        "points": [point("s", "x", 12.0, 0.4)],
        "medians": [median("t", "x", 9.0)],
    }
    found = selected(tables)
    assert found.sequences.empty
    assert reasons(found) == ["points s x: neither n nor an interval is printed, so it has no weight"]


# --------------------------------------------------------------------------------- decision 2: flags and overlap


def test_a_row_without_a_flag_has_its_arms_flag() -> None:
    tables = {
        "arms": [arm("s", "x", "a", use="duplicate"), arm("t", "x", "a", use="use")],
        "medians": [median("s", "x", 9.0), median("t", "x", 9.0)],
    }
    found = selected(tables, evidence__include={"use": ["use"]})
    assert found.medians["study"].tolist() == ["t"]
    assert reasons(found) == ["medians s x: not in evidence.include (use = duplicate)"]


def test_a_rows_own_flag_stands_before_its_arms() -> None:
    tables = {"arms": [arm("s", "x", "a", use="duplicate")], "medians": [median("s", "x", 9.0, use="use")]}
    found = selected(tables, evidence__include={"use": ["use"]})
    assert found.medians[["study", "n"]].to_numpy().tolist() == [["s", 40.0]]


def test_flags_of_patients_without_an_arms_row_are_honoured() -> None:
    rows = [patient("s", "x", "a", 3.0, use="care"), patient("t", "x", "a", 4.0, use="no")]
    found = selected({"patients": rows}, evidence__include={"use": ["care"]})
    assert found.patients["study"].tolist() == ["s"]


def test_include_may_name_a_column_of_the_arms_table() -> None:
    tables = {
        "arms": [arm("s", "x", "a", year=2010), arm("t", "x", "b", year=2020)],
        "points": [point("s", "x", 6.0, 0.5, n=30), point("t", "x", 6.0, 0.5, n=30)],
    }
    found = selected(tables, evidence__include={"year": [2020]})
    assert found.sequences["study"].tolist() == ["t"]
    assert reasons(found) == ["points s x: not in evidence.include (use = use)"]
    with pytest.raises(InputError, match=r"evidence\.include\.decade: found no such column"):
        selected(tables, evidence__include={"decade": [2020]})


def test_also_brings_a_row_in_and_exclude_takes_one_out_with_its_reason() -> None:
    tables = {
        "arms": [arm(study, "x", "a", use=use) for study, use in (("s", "weak"), ("t", "use"), ("u", "use"))],
        "medians": [median(study, "x", 9.0) for study in "stu"],
    }
    found = selected(
        tables,
        evidence__include={"use": ["use"]},
        evidence__also=[{"study": "s", "why": "asked for"}],
        evidence__exclude=[{"study": "u", "arm": "x", "why": "read twice"}],
    )
    assert found.medians["study"].tolist() == ["s", "t"]
    assert reasons(found) == ["medians u x: left out by the spec: read twice"]


@pytest.mark.parametrize(
    "tables",
    [
        {
            "arms": [arm("s", "x", "a", overlap_group="g"), arm("t", "x", "a", overlap_group="g")],
            "medians": [median("s", "x", 9.0), median("t", "x", 10.0)],
        },
        {"patients": [patient(study, "x", "a", 3.0, overlap_group="g") for study in "st"]},
        {
            "arms": [arm("s", "x", "a"), arm("t", "x", "a")],
            "medians": [median("s", "x", 9.0, overlap_group="g"), median("t", "x", 10.0, overlap_group="g")],
        },
        {"hazard_ratios": [ratio(study, "b", "a", 0.5, se_log_hr=0.2, overlap_group="g") for study in "st"]},
        {
            "hazard_ratios": [ratio("s", "b", "a", 0.5, se_log_hr=0.2, overlap_group="g")],
            "patients": [patient("t", "x", "a", 3.0, overlap_group="g")],
        },
    ],
    ids=["arms", "patients", "rows of medians", "two ratios", "a ratio and patients"],
)
def test_two_members_of_an_overlap_group_are_refused(tables: dict[str, list[Row]]) -> None:
    with pytest.raises(
        InputError, match=r"overlap_group 'g'.*patients counted twice.*hint|overlap_group 'g'.*counted twice"
    ):
        selected(tables)
    kind = "medians" if "medians" in tables else "hazard_ratios" if "hazard_ratios" in tables else "patients"
    one = selected(tables, evidence__exclude=[{"study": "t", "why": "the same patients"}])
    assert set(one.tables()[kind]["study"]) == {"s"}


def test_subgroups_may_stand_together_but_not_beside_their_parent() -> None:
    rows = [
        arm("s", "young", "a", use="subgroup", overlap_group="g"),
        arm("s", "old", "a", use="subgroup", overlap_group="g"),
    ]
    medians = [median("s", "young", 12.0), median("s", "old", 8.0)]
    assert len(selected({"arms": rows, "medians": medians}).medians) == 2
    with pytest.raises(InputError, match=r"counted twice, in s: young .* and s: all"):
        selected(
            {
                "arms": [*rows, arm("s", "all", "a", overlap_group="g")],
                "medians": [*medians, median("s", "all", 10.0)],
            }
        )


def test_rows_without_their_arm_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"medians, row 1, column arm: found 's \| z \| os'; .*did you mean 's \| x \| os'"
    ):
        selected({"arms": [arm("s", "x", "a")], "medians": [median("s", "z", 9.0)]})


# --------------------------------------------------------------------------------- decisions 3 and 4


def test_treatments_not_in_the_spec_and_other_endpoints_are_left_out() -> None:
    tables = {
        "arms": [arm("s", "x", "a"), arm("s", "y", "zz"), {**arm("t", "x", "b"), "endpoint": "pfs"}],
        "medians": [median("s", "x", 9.0), median("s", "y", 9.0), {**median("t", "x", 9.0), "endpoint": "pfs"}],
    }
    assert selected(tables).medians[["study", "arm"]].to_numpy().tolist() == [["s", "x"]]


def test_groups_merge_treatments_under_one_name() -> None:
    tables = {
        "arms": [arm("s", "x", "litt"), arm("t", "x", "a")],
        "medians": [median("s", "x", 9.0), median("t", "x", 9.0)],
        "hazard_ratios": [ratio("h", "litt_srt", "a", 0.7, se_log_hr=0.3)],
    }
    merged = {"reference": "a", "compare": ["laser"], "groups": {"laser": ["litt", "litt_srt"]}}
    found = selected(tables, treatments=merged)
    assert found.arms["treatment"].tolist() == ["laser", "a"]
    assert found.hazard_ratios["treatment"].tolist() == ["laser"]


def test_rows_of_two_measures_need_a_choice_and_the_others_are_listed() -> None:
    tables = {
        "arms": [arm("s", "x", "a", measure="km"), arm("t", "x", "a", measure="crude"), arm("u", "x", "b")],
        "points": [point(study, "x", 12.0, 0.4) for study in "stu"],
    }
    with pytest.raises(InputError, match="measure: found rows of crude, km; allowed: one of them"):
        selected(tables)
    found = selected(tables, measure="km")
    assert found.sequences["study"].tolist() == ["s", "u"]
    assert reasons(found) == ["points t x: its measure is not km"]


def test_rows_of_another_measure_keep_no_hazard_ratio_out() -> None:
    tables = {
        "arms": [arm("s", "x", "a", measure="crude"), arm("s", "y", "b", measure="crude")],
        "points": [point("s", "x", 6.0, 0.5), point("s", "y", 6.0, 0.6)],
        "hazard_ratios": [ratio("s", "b", "a", 0.7, se_log_hr=0.2)],
    }
    assert selected(tables, measure="km").hazard_ratios["study"].tolist() == ["s"]


# --------------------------------------------------------------------------------- decisions 5 to 8


def test_points_weigh_by_interval_n_and_lesions() -> None:
    """Decisions 5 and 13 (docs/decisions.md): n = 36 lesions of 30 patients, icc 0.3: 36 / 1.06; all died: share 1; an
    interval: Greenwood.
    """
    tables = {
        "arms": [
            arm("l", "x", "b", 36, unit_of_analysis="lesion", n_lesions=36, n_patients=30),
            arm("d", "x", "a", 30, events=30),
            arm("i", "x", "a", 100),
        ],
        "points": [
            point("l", "x", 12.0, 0.7),
            point("d", "x", 12.0, 0.7),
            point("i", "x", 12.0, 0.5, ci_low=0.4, ci_high=0.625),
        ],
    }
    size = selected(tables).sequences.set_index("study")["size"]
    assert size["l"] == pytest.approx(0.8 * 36 / (1 + 0.2 * 0.3))
    assert size["d"] == pytest.approx(30)
    variance = (math.log(0.625 / 0.4) / (2 * 1.959963985)) ** 2
    assert size["i"] == pytest.approx(0.5 / (0.5 * variance), rel=1e-6)
    smaller = selected(tables, evidence__effective_share=0.5, evidence__icc=1.0).sequences.set_index("study")["size"]
    assert smaller["l"] == pytest.approx(0.5 * 30)


def test_medians_have_the_law_their_printing_allows() -> None:
    tables = {
        "arms": [arm(study, "x", "a", 48, followup=20.0) for study in ("n", "i", "l", "r")],
        "medians": [
            median("n", "x", 20.2),
            median("i", "x", 9.5, ci_low=6.3, ci_high=15.0, ci_level=0.9),
            median("l", "x", 27.2, ci_low=16.1),
            median("r", "x", None),
        ],
    }
    found = selected(tables).medians.set_index("study")
    assert found["law"].to_dict() == {"i": "interval", "l": "interval", "n": "order", "r": "not_reached"}
    assert found.loc["n", "alpha"] == found.loc["r", "alpha"] == pytest.approx((0.8 * 48 + 1) / 2)
    assert found.loc["i", "sd"] == pytest.approx(math.log(15.0 / 6.3) / (2 * 1.6448536), rel=1e-6)
    assert found.loc["l", "sd"] == pytest.approx(math.log(27.2 / 16.1) / 1.959964, rel=1e-6)
    assert found.loc["r", "time"] == 20.0


def test_a_median_not_reached_needs_its_follow_up() -> None:
    tables = {"arms": [arm("r", "x", "a")], "medians": [median("r", "x", None, ci_low=8.0)]}
    with pytest.raises(InputError, match=r"medians, study r, arm x: found a median not reached; .*`followup`"):
        selected(tables)


def test_hazard_ratios_take_their_standard_error_from_what_is_printed() -> None:
    rows = [
        ratio("1", "b", "a", 0.7, ci_low=0.5, ci_high=0.98),
        ratio("2", "b", "a", 0.7, se_log_hr=0.2),
        ratio("3", "b", "a", 0.7, p=0.03),
        ratio("4", "b", "a", 0.7, p_below=0.001),
    ]
    found = selected({"hazard_ratios": rows}).hazard_ratios
    assert found["log_hr"].tolist() == pytest.approx([math.log(0.7)] * 4)
    expected = [math.log(0.98 / 0.5) / 3.919928, 0.2, -math.log(0.7) / 2.170090, -math.log(0.7) / 3.290527]
    assert found["se"].tolist() == pytest.approx(expected, rel=1e-6)


def test_ratios_of_one_study_covary_by_the_shared_arm() -> None:
    """cov = se_reference^2; without it, from the third contrast: (v1 + v2 - v3) / 2."""
    stated = [ratio("h", t, "a", 0.8, se_log_hr=se, se_reference=0.1) for t, se in (("b", 0.2), ("c", 0.25))]
    cholesky = selected({"hazard_ratios": stated}).hr_cholesky
    np.testing.assert_allclose(cholesky @ cholesky.T, [[0.04, 0.01], [0.01, 0.0625]])
    third = [{**row, "se_reference": None} for row in stated] + [ratio("h", "c", "b", 1.0, se_log_hr=0.25)]
    found = selected({"hazard_ratios": third})
    assert found.hazard_ratios[["treatment", "reference"]].to_numpy().tolist() == [["b", "a"], ["c", "a"]]
    covariance = (0.04 + 0.0625 - 0.0625) / 2
    np.testing.assert_allclose(found.hr_cholesky @ found.hr_cholesky.T, [[0.04, covariance], [covariance, 0.0625]])
    with pytest.raises(
        InputError, match="hazard_ratios, study h, arms of a: found two contrasts share a; give se_reference"
    ):
        selected({"hazard_ratios": third[:2]})


def test_a_chain_of_ratios_covaries_with_the_opposite_sign() -> None:
    """b v a and c v b share b, once as treatment and once as reference: the covariance is minus its variance."""
    rows = [ratio("h", "b", "a", 0.8, se_log_hr=0.3), ratio("h", "c", "b", 0.9, se_log_hr=0.3, se_reference=0.1)]
    cholesky = selected({"hazard_ratios": rows}).hr_cholesky
    assert (cholesky @ cholesky.T)[0, 1] == pytest.approx(-0.01)


def test_one_contrast_printed_twice_is_refused_whatever_the_order() -> None:
    rows = [ratio("h", "b", "a", 0.5, p=0.01, adjusted_for="age"), ratio("h", "b", "a", 0.9, p=0.4)]
    for order in (rows, rows[::-1]):
        with pytest.raises(InputError, match="hazard_ratios, study h: found 2 rows between a and b; allowed: one"):
            selected({"hazard_ratios": order})


LOOP_NAMES = [dict(zip("PSF", names, strict=True)) for names in itertools.permutations("bcd")]


@pytest.mark.parametrize("names", LOOP_NAMES, ids=lambda names: "".join(names.values()))
def test_every_contrast_of_a_loop_counts_whatever_the_names(names: dict[str, str]) -> None:
    """0.80 and 0.90 against a, 0.89 between them: logs that agree within rounding, by least squares over all three.

    The roundings are 0.005 / hr, so weights are hr^2; the constrained estimate is worked out by hand.
    """
    first, second = names["P"], names["S"]
    rows = [
        ratio("h", first, "a", 0.80, se_log_hr=0.10),
        ratio("h", second, "a", 0.90, se_log_hr=0.10),
        ratio("h", first, second, 0.89, se_log_hr=0.09),
    ]
    evidence = selected({"hazard_ratios": rows}, treatments={"reference": "a", "compare": list("bcd")})
    table, covariance = evidence.hazard_ratios, evidence.hr_cholesky @ evidence.hr_cholesky.T
    signs = np.array(
        [[(row.treatment == name) - (row.reference == name) for name in (first, second)] for row in table.itertuples()],
        dtype=float,
    )
    both = np.linalg.solve(signs, table["log_hr"].to_numpy())
    opening = math.log(0.89) - math.log(0.80) + math.log(0.90)
    variance = np.array([0.80, 0.90, 0.89]) ** -2.0
    shift = opening / variance.sum() * variance
    assert both == pytest.approx([math.log(0.80) + shift[0], math.log(0.90) - shift[1]], abs=1e-12)
    inverse = np.linalg.inv(signs)
    shared = (0.01 + 0.01 - 0.0081) / 2
    np.testing.assert_allclose(inverse @ covariance @ inverse.T, [[0.01, shared], [shared, 0.01]], atol=1e-12)


def test_a_loop_that_is_open_is_refused_with_its_numbers() -> None:
    rows = [
        ratio("h", "b", "a", 0.80, se_log_hr=0.10),
        ratio("h", "c", "a", 0.90, se_log_hr=0.10),
        ratio("h", "b", "c", 0.95, se_log_hr=0.09),
    ]
    said = r"study h: found ratios of a loop that do not agree: b v a 0\.8 \(the others say 0\.855\)"
    for order in (rows, rows[::-1]):
        with pytest.raises(InputError, match=said):
            selected({"hazard_ratios": order})


@pytest.mark.slow
def test_a_p_near_one_is_refused_or_read_from_the_events() -> None:
    """hr 1.01 with p 0.80: 1.005 with .795 to 1.015 with .805 are se of 0.019 to 0.060."""
    least, largest = se_range_of_p(1.01, 0.80)
    assert (least, largest) == (pytest.approx(0.0192, abs=2e-4), pytest.approx(0.0603, abs=2e-4))
    near = [ratio("h", "b", "a", 1.01, p=0.80)]
    with pytest.raises(
        InputError, match=r"study h, b v a: found hr 1\.01 with p 0\.8 alone: rounding leaves .* 0\.019 and"
    ):
        selected({"hazard_ratios": near})
    arms = [
        {"study": "h", "arm": name, "treatment": name, "endpoint": "os", "n": 100, "events": events}
        for name, events in (("a", 40), ("b", 60))
    ]
    assert selected({"hazard_ratios": near, "arms": arms}).hazard_ratios["se"].tolist() == [0.2]
    # far from one the p alone is enough, and an interval is taken whatever p is
    clear = selected({"hazard_ratios": [ratio("h", "b", "a", 0.5, p=0.01)]})
    assert clear.hazard_ratios["se"][0] == pytest.approx(math.log(2) / 2.5758, rel=1e-4)
    with_interval = [ratio("h", "b", "a", 1.01, p=0.80, ci_low=0.8, ci_high=1.275)]
    assert selected({"hazard_ratios": with_interval}).hazard_ratios["se"][0] == pytest.approx(0.1189, abs=1e-4)


def test_a_hazard_ratio_beside_an_effect_on_shape_needs_its_followup() -> None:
    """Decision 7: its counterpart is an average over follow-up, and log_hr at t0 would be another number."""
    shaped = {"priors__treatment_log_shape": normal(0.3)}
    with pytest.raises(InputError, match=r"column followup: found nothing, beside priors\.treatment_log_shape"):
        selected({"hazard_ratios": [ratio("h", "b", "a", 0.5, p=0.01)]}, **shaped)
    found = selected({"hazard_ratios": [ratio("h", "b", "a", 0.5, p=0.01, followup=30.0)]}, **shaped)
    assert found.hazard_ratios["followup"].tolist() == [30.0]
    cured = {"hazard__cure": True, "priors__logit_cure": normal(1.0)}
    with pytest.raises(InputError, match=r"found nothing, beside hazard\.cure = true"):
        selected({"hazard_ratios": [ratio("h", "b", "a", 0.5, p=0.01)]}, **cured)


def test_a_ratio_over_followup_needs_a_level_of_its_study() -> None:
    shaped = {"priors__treatment_log_shape": normal(0.3), "effects__study": FREE}
    with pytest.raises(InputError, match="found a study without arms, so without a level"):
        selected({"hazard_ratios": [ratio("h", "b", "a", 0.5, p=0.01, followup=30.0)]}, **shaped)


def test_counts_without_a_time_need_free_levels_and_no_dated_row_beside_them() -> None:
    tables = {
        "arms": [arm("s", "x", "a"), arm("s", "y", "b")],
        "counts": [count("s", "x", 5, 40), count("s", "y", 9, 40)],
    }
    with pytest.raises(InputError, match=r"counts, study s, arm x, column time: found empty; .*exchangeable = false"):
        selected(tables)
    assert len(selected(tables, effects__study=FREE).counts) == 2
    beside = {"arms": tables["arms"], "counts": tables["counts"][:1], "points": [point("s", "y", 6.0, 0.5)]}
    with pytest.raises(InputError, match="beside rows of the study that have a time"):
        selected(beside, effects__study=FREE)


# --------------------------------------------------------------------------------- decision 13: clocks and lesions


def test_clocks_move_to_the_models_and_entry_is_the_later_of_two() -> None:
    tables = {
        "arms": [arm("s", "x", "a", 3, survived_to=3.0, clock_shift=2.0), arm("t", "x", "b", survived_to=1.0)],
        "patients": [
            patient("s", "x", "a", 5.0),
            patient("s", "x", "a", 9.0, entry=4.0),
            patient("s", "x", "a", 6.0, time_upper=8.0, entry=6.0),
        ],
        "points": [point("t", "x", 12.0, 0.4)],
    }
    found = selected(tables)
    assert found.arms[["shift", "entry"]].to_numpy().tolist() == [[2.0, 5.0], [0.0, 1.0]]
    assert found.patients["time"].tolist() == [7.0, 8.0, 11.0]
    assert found.patients["entry"].tolist() == [5.0, 8.0, 6.0]
    assert found.patients["time_upper"].iloc[1] == 10.0
    assert found.sequences["start"].tolist() == [1.0]


def test_an_event_before_entry_or_survived_to_is_refused() -> None:
    late = {"arms": [arm("s", "x", "a", 1, survived_to=3.0)], "patients": [patient("s", "x", "a", 2.0)]}
    with pytest.raises(InputError, match="patients, study s, arm x: found time 2 not after entry 3"):
        selected(late)
    early = {"arms": [arm("s", "x", "a", survived_to=3.0)], "points": [point("s", "x", 3.0, 0.9)]}
    with pytest.raises(InputError, match="found survival at 3; allowed: times after survived_to = 3"):
        selected(early)
    with pytest.raises(InputError, match="medians, study s, arm x: found 2; allowed: above survived_to, 3"):
        selected({"arms": early["arms"], "medians": [median("s", "x", 2.0)]})


def test_an_interval_may_begin_at_time_zero() -> None:
    found = selected({"patients": [patient("s", "x", "a", 0.0, time_upper=6.0)]})
    assert found.patients[["time", "time_upper"]].to_numpy().tolist() == [[0.0, 6.0]]


def test_counted_lesions_are_divided_by_their_design_effect() -> None:
    arms = [arm("s", "x", "a", 60, unit_of_analysis="lesion", n_lesions=60, n_patients=30), arm("s", "y", "b", 60)]
    found = selected({"arms": arms, "counts": [count("s", name, 26, 60, 9.0) for name in "xy"]}).counts
    assert found["events"].tolist() == pytest.approx([26 / 1.3, 26])
    assert found["n"].tolist() == pytest.approx([60 / 1.3, 60])


# ------------------------------------------------------------------------------------- units


@pytest.mark.slow
def test_a_table_in_weeks_is_read_in_months(tmp_path) -> None:
    """52 weeks are 52 x 7 / 30.4375 months: a table whose weeks were taken for months would be wrong fourfold."""
    rows = [patient("s", "x", "a", 52.0, entry=4.0), patient("s", "x", "a", 26.0, time_upper=30.0)]
    write(tmp_path, "ipd.csv", rows)
    write(tmp_path, "arms.csv", [arm("t", "x", "b", survived_to=8.0, clock_shift=2.0, followup=100.0)])
    write(tmp_path, "points.csv", [point("t", "x", 52.0, 0.4)])
    write(tmp_path, "medians.csv", [median("t", "x", 40.0, ci_low=30.0, ci_high=50.0)])
    kinds = {"patients": "ipd.csv", "arms": "arms.csv", "points": "points.csv", "medians": "medians.csv"}
    sources = {kind: [{"path": file, "time_unit": "weeks"}] for kind, file in kinds.items()}
    found = read(tmp_path, evidence=sources)
    month = 7 / (365.25 / 12)
    assert found.patients["time"].tolist() == pytest.approx([26 * month, 52 * month])
    assert found.patients["time_upper"].iloc[0] == pytest.approx(30 * month)
    assert found.patients["entry"].iloc[1] == pytest.approx(4 * month)
    assert found.sequences["time"].tolist() == pytest.approx([(40 + 2) * month, (52 + 2) * month])
    assert found.sequences["start"].iloc[0] == pytest.approx((8 + 2) * month)
    assert 52 * month == pytest.approx(11.959, abs=1e-3)
    plain = read(tmp_path, evidence={kind: [file] for kind, file in kinds.items()})
    assert plain.patients["time"].tolist() == [26.0, 52.0]


def test_counts_and_the_specs_own_unit_convert_too(tmp_path) -> None:
    write(tmp_path, "arms.csv", [arm("t", "x", "b")])
    write(tmp_path, "counts.csv", [count("t", "x", 9, 40, 1.0)])
    sources = {"arms": "arms.csv", "counts": [{"path": "counts.csv", "time_unit": "years"}]}
    assert read(tmp_path, evidence=sources).counts["time"].tolist() == [12.0]
    assert read(tmp_path, evidence=sources, time_unit="days").counts["time"].tolist() == [365.25]


# ------------------------------------------------------------------------------------- order never matters


def shuffled(seed: int) -> dict[str, list[Row]]:
    rng = np.random.default_rng(seed)
    return {kind: [rows[at] for at in rng.permutation(len(rows))] for kind, rows in worlds.TABLES.items()}


@pytest.mark.slow
def test_order_of_rows_changes_neither_digest_nor_density() -> None:
    spec = worlds.spec()
    first = worlds.evidence(spec)
    model = build_model(spec, first)
    point_at = {name: np.asarray(value) + 0.1 for name, value in graphs.start(model).items()}
    density = log_density(model, point_at)
    other = worlds.evidence(spec, shuffled(1))
    assert other.digest() == first.digest()
    again = log_density(build_model(spec, other), point_at)
    assert again == pytest.approx(density, rel=1e-12)


@pytest.mark.slow
def test_order_of_files_changes_nothing_and_any_number_changes_the_digest(tmp_path) -> None:
    rows = worlds.TABLES["patients"]
    for half, name in ((rows[:2], "1.csv"), (rows[2:], "2.csv")):
        write(tmp_path, name, half)
    write(tmp_path, "changed.csv", [{**rows[0], "time": 3.6}, rows[1]])
    digest = {
        files: read(tmp_path, evidence={"patients": list(files)}).digest()
        for files in (("1.csv", "2.csv"), ("2.csv", "1.csv"), ("changed.csv", "2.csv"))
    }
    assert digest["1.csv", "2.csv"] == digest["2.csv", "1.csv"] != digest["changed.csv", "2.csv"]


def test_digest_sees_the_covariance_of_ratios() -> None:
    by = {
        se: selected(
            {"hazard_ratios": [ratio("h", t, "a", 0.8, se_log_hr=0.2, se_reference=se) for t in "bc"]}
        ).digest()
        for se in (0.10, 0.15)
    }
    assert by[0.10] != by[0.15]


# ------------------------------------------------------------------------------------- curves


@pytest.fixture
def curves(tmp_path) -> Path:
    """Two arms of four: drops of a quarter at 2, 4, 6 and 8 (weeks for the second)."""
    steps = pd.DataFrame({"time": [0, 2, 2, 4, 4, 6, 6, 8, 8], "survival": [1, 1, 0.75, 0.75, 0.5, 0.5, 0.25, 0.25, 0]})
    steps.to_csv(tmp_path / "curve.csv", index=False)
    rows = [
        {"study": "s", "arm": "x", "treatment": "a", "endpoint": "os", "curve": "curve.csv", "n": 4, "time_unit": None},
        {
            "study": "s",
            "arm": "y",
            "treatment": "b",
            "endpoint": "os",
            "curve": "curve.csv",
            "n": 4,
            "time_unit": "weeks",
        },
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "curves.csv", index=False)
    return tmp_path


@pytest.mark.slow
def test_registered_curves_become_patients_in_the_specs_unit_with_their_digest(curves) -> None:
    found = read(curves, evidence={"curves": "curves.csv"})
    by_arm = dict(list(found.patients.groupby("arm")))
    np.testing.assert_allclose(by_arm["x"]["time"], [2, 4, 6, 8], rtol=1e-6)
    np.testing.assert_allclose(by_arm["y"]["time"], np.array([2, 4, 6, 8]) * 7 / 30.4375, rtol=1e-6)
    assert found.patients["event"].tolist() == [1] * 8
    assert len(found.digests["curve:s/x:curve"]) == 64
    before = found.digest()
    with (curves / "curve.csv").open("a", encoding="utf-8") as file:
        file.write("9,0\n")
    assert (
        read(curves, evidence={"curves": "curves.csv"}).digests["curve:s/x:curve"] != found.digests["curve:s/x:curve"]
    )
    assert before == found.digest()


def test_a_unit_given_for_the_curves_file_holds_where_a_row_has_none(curves) -> None:
    found = read(curves, evidence={"curves": [{"path": "curves.csv", "time_unit": "years"}]})
    times = {name: rows["time"].tolist() for name, rows in found.patients.groupby("arm")}
    assert times["x"] == pytest.approx([24, 48, 72, 96], rel=1e-6)
    assert times["y"][0] == pytest.approx(2 * 7 / 30.4375, rel=1e-6)


def test_a_curve_that_is_refused_is_named_by_study_and_arm(curves) -> None:
    pd.read_csv(curves / "curves.csv").assign(n=[4, np.nan]).to_csv(curves / "curves.csv", index=False)
    with pytest.raises(InputError, match="curves, study s, arm y, n: found nothing; allowed: the number of patients"):
        read(curves, evidence={"curves": "curves.csv"})


@pytest.mark.slow
def test_the_arms_table_says_how_many_patients_a_curve_has_where_the_figure_does_not(curves) -> None:
    pd.read_csv(curves / "curves.csv").assign(n=[4, np.nan]).to_csv(curves / "curves.csv", index=False)
    row = {"study": "s", "arm": "y", "treatment": "b", "endpoint": "os", "n": 8}
    given = {"curves": "curves.csv", "arms": "arms.csv"}
    write(curves, "arms.csv", [row])
    assert read(curves, evidence=given).patients.groupby("arm").size().to_dict() == {"x": 4, "y": 8}
    write(curves, "arms.csv", [{**row, "unit_of_analysis": "lesion"}])
    with pytest.raises(InputError, match="arm y, n: found nothing"):
        read(curves, evidence=given)


@pytest.mark.slow
def test_a_flagged_curve_is_left_out_and_an_arm_in_two_tables_refused(curves) -> None:
    table = pd.read_csv(curves / "curves.csv").assign(use=["use", "duplicate"])
    table.to_csv(curves / "curves.csv", index=False)
    found = read(curves, evidence={"curves": "curves.csv", "include": {"use": ["use"]}})
    assert set(found.patients["arm"]) == {"x"}
    write(curves, "ipd.csv", [patient("s", "x", "a", 2.0)])
    with pytest.raises(InputError, match="curves, study s, arm x: found patients of this arm in a patients table too"):
        read(curves, evidence={"curves": "curves.csv", "patients": "ipd.csv"})


# ------------------------------------------------------------------------------------- errors teach


def test_a_missing_file_is_named_with_what_lies_beside_it(tmp_path) -> None:
    write(tmp_path, "patients.csv", [patient("s", "x", "a", 2.0)])
    with pytest.raises(
        InputError, match=r"patient\.csv: found no such file; allowed: a CSV file; did you mean 'patients\.csv'"
    ):
        read(tmp_path, evidence={"patients": "patient.csv"})
    with pytest.raises(
        InputError, match=r"evidence\.arms: found 'shipped:recurent', no shipped tables; allowed: shipped:recurrent_bm"
    ):
        read(tmp_path, evidence={"arms": "shipped:recurent"})
    with pytest.raises(InputError, match=r"registry\.csv: found no such file; allowed: a CSV file"):
        read(tmp_path, evidence={"registry": "shipped:recurrent_bm"})
    with pytest.raises(InputError, match="found a file named twice"):
        read(tmp_path, evidence={"patients": ["patients.csv", "./patients.csv"]})


def test_the_wrong_cell_is_named_by_file_row_column_found_and_allowed(tmp_path) -> None:
    write(tmp_path, "arms.csv", [arm("s", "x", "a")])
    write(tmp_path, "points.csv", [point("s", "x", 6.0, 0.5), point("s", "x", 12.0, 41.0)])
    with pytest.raises(InputError) as refusal:
        read(tmp_path, evidence={"arms": "arms.csv", "points": "points.csv"})
    text = str(refusal.value)
    for part in ("points.csv, row 2 (line 3), column survival", "found 41", "at least 0 and at most 1", "write 0.41"):
        assert part in text


def test_covariates_of_the_spec_must_be_in_the_patients_and_complete() -> None:
    covariates = {"kps": {"prior": normal(0.5)}}
    with pytest.raises(InputError, match="patients, column kps: found no such column"):
        selected({"patients": [patient("s", "x", "a", 2.0)]}, covariates=covariates)
    gap = [patient("s", "x", "a", 2.0, kps=80.0), patient("s", "x", "a", 3.0, kps=None)]
    with pytest.raises(InputError, match="patients, study s, arm x, column kps: found 1 empty cells"):
        selected({"patients": gap}, covariates=covariates)


def test_an_arm_has_one_treatment() -> None:
    with pytest.raises(InputError, match="row 2, column treatment: found 'b'; allowed: 'a', as in the first row"):
        selected({"patients": [patient("s", "x", "a", 2.0), patient("s", "x", "b", 3.0)]})
    with pytest.raises(InputError, match="the arms table disagrees"):
        selected({"arms": [arm("s", "x", "b")], "patients": [patient("s", "x", "a", 2.0)]})


def test_points_and_median_that_cross_are_refused() -> None:
    tables = {"arms": [arm("s", "x", "a")], "points": [point("s", "x", 12.0, 0.7)], "medians": [median("s", "x", 9.0)]}
    with pytest.raises(
        InputError, match=r"found S\(9\) = 0\.5, S\(12\) = 0\.7; allowed: survival that falls with time"
    ):
        selected(tables)


# ------------------------------------------------------------------------------------- against the witness


def test_sizes_and_shares_of_the_world_are_the_witness_s() -> None:
    spec = worlds.spec()
    found = worlds.evidence(spec).sequences
    document = {**worlds.document(), "evidence": {"icc": 0.3}}
    for (study, name), rows in slow_twin.point_sequences(worlds.TABLES).items():
        steps = [(float(p), float(m)) for p, m in slow_twin.point_sizes(document, worlds.TABLES, rows)]
        mine = found[(found["study"] == study) & (found["arm"] == name)]
        np.testing.assert_allclose(mine[["ratio", "size"]].to_numpy(), steps, rtol=1e-12)
