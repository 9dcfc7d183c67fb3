"""Shipped points and hazard ratios, after build_evidence.py: build_evidence_ratios.py ../shared/evidence [OUT]"""

import sys
from pathlib import Path

import pandas as pd
from build_evidence import HOME, D, collected_arms, rows_of

# fmt: off


def shipped_point(number: int, mark: dict, arms: list[dict], shipped: dict[tuple, dict]) -> dict | None:
    same = [row for row in arms if (row["study"], row["endpoint"]) == (mark["study"], mark["endpoint"])]
    label = D["landmark_arm"].get(f"{mark['study']} | {mark['arm']}", mark["arm"])
    named = [row for row in same if row["arm_treatment"] == label] or (same if len(same) == 1 else [])
    arm = shipped.get((named[0]["row_id"], named[0]["arm_treatment"])) if named else None
    if arm is None or str(number) in D["left_out_landmarks"]:
        return None
    return {
        "study": arm["study"], "arm": arm["arm"], "endpoint": arm["endpoint"], "time": mark["time_months"],
        **{name: mark[name] for name in ("survival", "ci_low", "ci_high", "n")},
        "use": arm["use"], "overlap_group": arm["overlap_group"], "source": mark["source"] or arm["source"],
        "x_row_id": arm["x_row_id"], "x_landmark": number, "x_arm_printed": mark["arm"],
        "x_locating_phrase": mark["locating_phrase"], "x_note": mark["notes"],
    }


def ratio(number: int, row: dict) -> dict:
    bound = row["p"].startswith("<")
    p = f"{float(row['p'].lstrip('<')):g}" if row["p"] else ""
    adjusted = row["model"] if "multivariable" in row["model"] or "matching" in row["model"] else ""
    return {
        "hr": row["hr"], "ci_low": row["ci_low"], "ci_high": row["ci_high"], "p": p * (not bound),
        "p_below": p * bound, "adjusted_for": adjusted, "x_n": row["n"],
        "source": row["source_url"] or f"abstract, {row['study']}; see x_locating_phrase", "x_row": number,
        "x_year": row["year"], "x_population": row["population"], "x_comparison_printed": row["comparison"],
        "x_reference_printed": row["reference"], "x_endpoint_printed": row["endpoint"], "x_model": row["model"],
        "x_locating_phrase": row["locating_phrase"], "x_note": row["notes"],
    }


def treatment_ratio(number: int, row: dict) -> dict:
    names = ("study", "endpoint", "treatment", "reference", "use")
    return dict(zip(names, D["treatment_hr"][str(number)], strict=True)) | ratio(number, row)


def covariate_ratio(number: int, row: dict) -> dict:
    names = ("covariate", "level", "reference", "endpoint", "use")
    given = dict(zip(names, D["covariate_hr"][str(number)], strict=True)) | ratio(number, row)
    setting = {"setting": row["setting"], "clock": row["time_origin"]}
    return given | {"study": row["study"], "n": given.pop("x_n"), **setting}


if __name__ == "__main__":
    collected, out = Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else HOME
    arms, marks, ratios = (rows_of(collected / f"{name}.csv") for name in ("arms", "landmarks", "hazard_ratios"))
    shipped = {(arm["x_row_id"], arm["arm"]): arm for arm in rows_of(out / "arms.csv")}
    points = [shipped_point(number, mark, collected_arms(arms), shipped) for number, mark in enumerate(marks, start=1)]
    numbered = dict(enumerate(ratios, start=1))
    tables = {"points": [point for point in points if point],
              "hazard_ratios": [treatment_ratio(int(i), numbered[int(i)]) for i in D["treatment_hr"]],
              "covariate_hazard_ratios": [covariate_ratio(int(i), numbered[int(i)]) for i in D["covariate_hr"]]}
    for name, rows in tables.items():
        pd.DataFrame(rows).to_csv(out / f"{name}.csv", index=False, lineterminator="\n")
