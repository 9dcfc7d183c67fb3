"""What was found later, after the other two: build_evidence_more.py ../shared/evidence [OUT]."""

import sys
from pathlib import Path

import pandas as pd
from build_evidence import HOME, D, rows_of

RENAMED = {"share_kps70plus": "share_kps70"}


def later_arms(rows: list[dict]) -> list[dict]:
    renamed = [{RENAMED.get(name, name): value for name, value in row.items()} for row in rows]
    return [row | D["more_rows"][row["x_row_id"]] for row in renamed if row["x_row_id"] in D["more_rows"]]


def of_arm(rows: list[dict], arms: dict[str, dict]) -> list[dict]:
    shared = ("study", "arm", "endpoint", "use", "overlap_group")
    kept = [row for row in rows if row["x_row_id"] in D["more_rows"]]
    return [row | {name: arms[row["x_row_id"]][name] for name in shared} for row in kept]


def with_case_mix(arms: list[dict], printed: list[dict]) -> list[dict]:
    """Shares of prognosis/case_mix.csv, and a size of 0 beside those that were a condition of the series."""
    shares = {tuple(place): printed[int(number) - 1]["value"] for number, place in D["case_mix"].items()}
    chosen = {(row, f"n_{name[6:]}"): "0" for name, rows in D["by_selection"].items() for row in rows}
    cells = shares | chosen
    blank = dict.fromkeys(sorted({column for _, column in cells}), "")
    said = [{column: value for (row, column), value in cells.items() if row == arm["x_row_id"]} for arm in arms]
    return [blank | arm | cell for arm, cell in zip(arms, said, strict=True)]


def prognostic_ratio(number: str, row: dict) -> dict:
    said = {"use": "use", "population": "same"} | D["prognostic"][number]
    exact, bound = (row["p"].lstrip("<") * (row["p"].startswith("<") == below) for below in (False, True))
    printed = {"p": exact * (not row["ci_low"]), "p_below": bound * (not row["ci_low"])}
    return {
        "study": row["study"],
        "covariate": said["covariate"],
        "endpoint": row["endpoint"],
        **{name: said.get(name, "") for name in ("level", "reference", "per")},
        **{name: row[name] for name in ("hr", "ci_low", "ci_high")},
        **printed,
        **{name: row[name] for name in ("n", "events", "adjusted_for")},
        "population": said["population"],
        "model": "adjusted",
        "use": said["use"],
        "source": row["source"],
        "x_row": number,
        "x_decision": said.get("x_decision", ""),
        "x_level": row["level"],
        **{f"x_{name}": row[name] for name in ("clock", "setting", "locating_phrase", "note")},
    }


def decade(age: str) -> str:
    return f"{int(float(age)) // 10 * 10}-{int(float(age)) // 10 * 10 + 9}"


def patient(row: dict) -> dict:
    """Months to one digit and coarse covariates: nobody needs more, and no day of anybody's life is told."""
    return {
        **{name: row[name] for name in ("study", "arm", "treatment")},
        "time": f"{float(row['time']):.1f}",
        "event": row["event"],
        "entry": f"{float(row['entry_if_4_mri']):.1f}",
        "use": row["use"],
        "x_age": decade(row["age"]),
        "x_histology": row["histology"] if row["histology"] in D["patients"]["histologies"] else "other",
        "x_single_lesion": int(row["n_lesions"] == "1"),
        "x_source": "OpenBTAI METS, Ocana-Tienda 2023, doi:10.1038/s41597-023-02123-0, CC BY 4.0",
    }


def patients(rows: list[dict]) -> list[dict]:
    rule = D["patients"]
    first = [row for row in rows if row["first_of_treatment"] == "1" and row["use"] == rule["use"]]
    named = [row for row in first if row["treatment"] in rule["treatments"]]
    return [patient(row) for row in named if rule["left_out"].get(row["patient"]) != row["treatment"]]


if __name__ == "__main__":
    collected, out = Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else HOME
    later = {name: rows_of(collected / "more" / f"{name}.csv") for name in ("arms", "medians", "points", "patients")}
    arms = later_arms(later["arms"])
    by_row = {arm["x_row_id"]: arm for arm in arms}
    mixes = rows_of(collected / "prognosis" / "case_mix.csv")
    tables = {"arms": with_case_mix(rows_of(out / "arms.csv") + arms, mixes)}
    for name in ("medians", "points"):
        tables[name] = rows_of(out / f"{name}.csv") + of_arm(later[name], by_row)
    tables["patients"] = patients(later["patients"])
    ratios = rows_of(collected / "prognosis" / "prognostic_hazard_ratios.csv")
    tables["prognostic_ratios"] = [prognostic_ratio(number, ratios[int(number) - 1]) for number in D["prognostic"]]
    for name, rows in tables.items():
        pd.DataFrame(rows).to_csv(out / f"{name}.csv", index=False, lineterminator="\n")
