"""Fit a shipped question, compare, and ask what the next hospital may see.

python scripts/compare_treatments.py
"""

import bayes_bm as bb


def main() -> None:
    spec = bb.read_spec("os_reresection_vs_resrs")
    evidence = bb.read_evidence(spec)
    print("\n".join(bb.audit(spec, evidence).notes), end="\n\n")

    result = bb.fit(spec, evidence)
    result.require_gate()

    # the population average is not one hospital's forecast (docs/decisions.md#14-new-study-new-hospital): ask both
    for who in (bb.NewStudy(), bb.NewHospital()):
        table = bb.compare(result, who=who, times=[12.0])
        shown = table[table["estimand"].isin(["hazard_ratio", "survival_difference", "rmst_difference"])]
        print(who.name)
        print(
            shown[["estimand", "time", "median", "q2_5", "q97_5", "prob_better"]].round(2).to_string(index=False),
            end="\n\n",
        )

    gain = bb.rmst(result, 24.0, who=bb.NewHospital())
    months = gain.sel(treatment="re_resection") - gain.sel(treatment="re_srs")
    print(f"P(re-resection gains more than 2 months of 24 at the next hospital) = {float((months > 2).mean()):.2f}")


if __name__ == "__main__":
    main()
