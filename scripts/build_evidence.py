"""Shipped arms and medians from the collected ones: build_evidence.py ../shared/evidence [OUT]."""

import sys
import tomllib
from pathlib import Path

import pandas as pd

HOME = Path(__file__).resolve().parents[1] / "bayes_bm" / "data" / "recurrent_bm"
D = tomllib.loads((HOME / "decisions.toml").read_text(encoding="utf-8"))
# fmt: off


def rows_of(path: Path) -> list:
    text = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    text = text.replace(r"^(\d+)\.0$", r"\1", regex=True)
    return text.replace({"study": D["label"]} if "study" in text else {}).to_dict("records")


def collected_arms(rows: list[dict]) -> list[dict]:
    by_id, blank = {row["row_id"]: row for row in rows}, dict.fromkeys(rows[0], "")
    named = [{name: by_id[str(extra["like"])][name] for name in D["copied"]} | extra for extra in D["arm"]]
    return rows + [blank | {name: str(value) for name, value in row.items()} | {"notes": row["note"]} for row in named]


def shipped_arm(row: dict) -> dict | None:
    i, unit = row["row_id"], row["unit_of_analysis"].split(" (")[0]
    endpoint = D["endpoint_of_row"].get(i, D["endpoints"].get(row["endpoint"]))
    treatment = D["treatment_of_row"].get(i, D["treatments"].get(row["treatment_class"]))
    if i in D["left_out_rows"] or not endpoint or not treatment:
        return None
    counted = {"os": "n_deaths", "local_control": "n_local_failures"}.get(endpoint, "")
    size, mean = "n_lesions" if unit in ("lesion", "cavity") else "n_patients", row["age_stat"].startswith("mean")
    measure = D["measure_of_row"].get(i, ["km", "presumed"]) if endpoint == "local_control" else ["km", ""]
    overlap, necrosis = next((o for o in D["overlap"] if i in map(str, o["rows"])), {}), D["share_necrosis"].get(i)
    source = row["source_url"] or (row["doi"] and f"doi:{row['doi']}") or (row["pmid"] and f"PMID {row['pmid']}")
    return {
        "study": D["study_of_row"].get(i, row["study"]), "arm": row["arm_treatment"], "treatment": treatment,
        "endpoint": endpoint, "n": D["n_of_row"].get(i, row[size]), "events": row.get(counted, ""),
        "unit_of_analysis": unit, "use": D["use_of_row"].get(i, row["use_flag"]),
        "overlap_group": overlap.get("group", ""),
        "measure": measure[0], "x_measure_basis": measure[1], "x_decision": D["note_of_row"].get(i, ""),
        "share_necrosis": round(necrosis[0] / necrosis[1], 4) if necrosis else "", "mean_age": row["age_years"] * mean,
        **{new: row[old] for new, old in D["columns"].items()}, "x_median_age": row["age_years"] * (not mean),
        **{f"x_overlap_{name}": overlap.get(name, "") for name in ("role", "parent", "split")},
        "source": source or f"abstract, {row['study']}; see x_locating_phrase",
    }


def shipped_median(row: dict, arm: dict) -> dict:
    names = ("study", "arm", "endpoint", "n", "use", "overlap_group", "source", "x_row_id", "x_locating_phrase")
    printed = {name: row[f"{name}_months"] for name in ("median", "ci_low", "ci_high")}
    return {name: arm[name] for name in names} | printed | D["median_of_row"].get(row["row_id"], {})


if __name__ == "__main__":
    collected, out = Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else HOME
    kept = [(row, arm) for row in collected_arms(rows_of(collected / "arms.csv")) if (arm := shipped_arm(row))]
    medians = [shipped_median(row, arm) for row, arm in kept if row["median_months"]]
    for name, rows in {"arms": [arm for _, arm in kept], "medians": medians}.items():
        pd.DataFrame(rows).to_csv(out / f"{name}.csv", index=False, lineterminator="\n")
