"""Single-arm studies at a weight: every row as if w n patients stood behind it; at 1 nothing changes."""

import json

import numpy as np
import pandas as pd
import pytest

from bayes_bm.runtime.errors import InputError
from tests.builders import small_spec, worlds
from tests.builders.commands import call
from tests.builders.rows import arm, median, point

WEIGHT = {"value": 0.25, "why": "test"}
HALF_SERIES = [
    *({"study": "one", "arm": "x", "treatment": "a", "time": time, "event": 1} for time in (3.0, 8.0)),
    *({"study": "two", "arm": name, "treatment": name, "time": 5.0, "event": 1} for name in "ab"),
]


def tables(factor: float) -> dict:
    """Lone series of sizes `factor` times theirs, beside a study of two treatments."""
    lone = {name: arm(name, "x", "b", n=80 * factor) for name in ("order", "interval", "points", "late")}
    lone["late"]["followup"] = 20.0
    width = np.log(1.5) / np.sqrt(factor)
    return {
        "patients": HALF_SERIES,
        "arms": [*lone.values(), arm("both", "x", "a", n=40), arm("both", "y", "b", n=40)],
        "points": [point("points", "x", 12.0, 0.5)],
        "medians": [
            median("order", "x", 9.0),
            median("interval", "x", 9.0, ci_low=9.0 * np.exp(-width), ci_high=9.0 * np.exp(width)),
            median("late", "x", None),
            *(median("both", name, 9.0) for name in "xy"),
        ],
        "counts": [
            {"study": "points", "arm": "x", "endpoint": "os", "events": 40 * factor, "n": 80 * factor, "time": 3.0}
        ],
    }


@pytest.mark.slow
def test_rows_of_a_single_arm_study_count_as_so_many_patients_fewer() -> None:
    plain = worlds.spec()
    weighted = worlds.evidence(worlds.spec(evidence__single_arm_weight=WEIGHT), tables(1.0))
    smaller = worlds.evidence(plain, tables(0.25))
    for name, columns in (("sequences", ["size"]), ("medians", ["n", "alpha", "sd"]), ("counts", ["events", "n"])):
        found, wanted = (getattr(evidence, name)[columns].astype(float) for evidence in (weighted, smaller))
        lone = getattr(smaller, name)["study"] != "both"
        pd.testing.assert_frame_equal(found[lone], wanted[lone], rtol=1e-12)
        full = getattr(worlds.evidence(plain, tables(1.0)), name)[columns].astype(float)
        pd.testing.assert_frame_equal(found[~lone], full[~lone])
    patients = weighted.patients.groupby("study")["weight"].first().to_dict()
    assert patients == {"one": 0.25, "two": 1.0}
    # who an arm's patients are, and how many were treated, is not in doubt
    assert weighted.arms["n_effective"].tolist() == worlds.evidence(plain, tables(1.0)).arms["n_effective"].tolist()


def test_a_weight_of_one_is_the_spec_and_the_evidence_of_before() -> None:
    plain, stated = worlds.spec(), worlds.spec(evidence__single_arm_weight={"value": 1.0, "why": "another reason"})
    for name in ("sequences", "medians", "patients", "counts"):
        pd.testing.assert_frame_equal(
            getattr(worlds.evidence(plain, tables(1.0)), name), getattr(worlds.evidence(stated, tables(1.0)), name)
        )
    assert "single_arm_weight" not in plain.document()["evidence"]


@pytest.mark.parametrize("wrong", [0.0, 1.2, -1.0])
def test_a_weight_is_above_zero_and_at_most_one(wrong: float) -> None:
    with pytest.raises(InputError, match=f"single_arm_weight is {wrong}; allowed: above 0, at most 1"):
        worlds.spec(evidence__single_arm_weight={"value": wrong, "why": "test"})


@pytest.mark.slow
def test_the_weight_is_set_on_the_command_line(tmp_path, capsys) -> None:
    lone = "".join(f"lone,x,b,{time},1\n" for time in (2, 4, 6))
    small_spec.write_world(tmp_path, {})
    (tmp_path / "ipd.csv").write_text(small_spec.PATIENTS + lone, encoding="utf-8")
    assert call("audit", tmp_path / "small.toml", "--set", "evidence.single_arm_weight=0.5", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    sizes = {(row["study"], row["arm"]): row["size"] for row in rows}
    assert sizes == {("s", "a"): 5.0, ("s", "b"): 5.0, ("lone", "x"): 1.5}
    assert call("audit", tmp_path / "small.toml", "--set", "evidence.single_arm_weight=2") == 2
    assert "single_arm_weight is 2.0; allowed: above 0, at most 1" in capsys.readouterr().err
