"""Shipped points and hazard ratios, after build_evidence.py: build_evidence_ratios.py ../shared/evidence [OUT]"""

import sys
from pathlib import Path

import pandas as pd
from build_evidence import HOME, D, collected_arms, rows_of

# fmt: off
BETWEEN = ("study", "endpoint", "treatment", "reference", "use")
COVARIATE = ("covariate", "level", "reference", "endpoint", "use")


def shipped_point(number: int, mark: dict, arms: list[dict], shipped: dict[tuple, dict]) -> dict | None:
    same = [row for row in arms if (row["study"], row["endpoint"]) == (mark["study"], mark["endpoint"])]
    label = D["landmark_arm"].get(f"{mark['study']} | {mark['arm']}", mark["arm"])
    named = [row for row in same if row["arm_treatment"] == label] or same * (len(same) == 1)
    arm = shipped.get((named[0]["row_id"], named[0]["arm_treatment"])) if named else None
    if arm is None or str(number) in D["left_out_landmarks"]:
        return None
    return {
        **{name: arm[name] for name in ("study", "arm", "endpoint")}, "time": mark["time_months"],
        **{name: mark[name] for name in ("survival", "ci_low", "ci_high", "n")},
        **{name: arm[name] for name in ("use", "overlap_group")}, "source": mark["source"] or arm["source"],
        "x_row_id": arm["x_row_id"], "x_landmark": number, "x_locating_phrase": mark["locating_phrase"],
        "x_arm_printed": mark["arm"], "x_note": mark["notes"],
    }


def ratio(number: str, row: dict) -> dict:
    p, bound = f"{float(row['p'].lstrip('<')):g}" if row["p"] else "", row["p"].startswith("<")
    adjusted = row["model"] if "multivariable" in row["model"] or "matching" in row["model"] else ""
    return {
        **{name: row[name] for name in ("hr", "ci_low", "ci_high")}, "p": p * (not bound), "p_below": p * bound,
        "adjusted_for": adjusted, "x_n": row["n"],
        "source": row["source_url"] or f"abstract, {row['study']}; see x_locating_phrase", "x_row": number,
        **{f"x_{name}": row[name] for name in ("year", "population", "model", "locating_phrase")},
        "x_note": row["notes"], **{f"x_{name}_printed": row[name] for name in ("comparison", "reference", "endpoint")},
    }


def covariate_ratio(number: str, row: dict) -> dict:
    setting = {"study": row["study"], "setting": row["setting"], "clock": row["time_origin"], "n": row["n"]}
    return {name: value for name, value in ratio(number, row).items() if name != "x_n"} | setting


if __name__ == "__main__":
    collected, out = Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else HOME
    arms, marks, ratios = (rows_of(collected / f"{name}.csv") for name in ("arms", "landmarks", "hazard_ratios"))
    shipped = {(arm["x_row_id"], arm["arm"]): arm for arm in rows_of(out / "arms.csv")}
    points = (shipped_point(number, mark, collected_arms(arms), shipped) for number, mark in enumerate(marks, start=1))
    of = {str(number): row for number, row in enumerate(ratios, start=1)}
    tables = {"points": [point for point in points if point],
              "hazard_ratios": [dict(zip(BETWEEN, names, strict=True)) | ratio(i, of[i])
                                for i, names in D["treatment_hr"].items()],
              "covariate_hazard_ratios": [dict(zip(COVARIATE, names, strict=True)) | covariate_ratio(i, of[i])
                                          for i, names in D["covariate_hr"].items()]}
    for name, rows in tables.items():
        pd.DataFrame(rows).to_csv(out / f"{name}.csv", index=False, lineterminator="\n")
