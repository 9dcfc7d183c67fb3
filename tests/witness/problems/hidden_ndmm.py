"""Multiple myeloma with the covariates of one study hidden: how far the answers move, and how much wider they are.

Case mixes over the arms of `ndmm` (docs/problems-ndmm.md), Weibull: all print their covariates, or Jackson 2019 prints
none. Times of rebuilt patients are rounded to months, and patients alike are one row with a weight. Age is left out
unless asked for: an arm then has 320 kinds of patients, not 8.
Call: python -m tests.witness.problems.hidden_ndmm PROBLEMS FOLDER [age]
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import bayes_bm as bb
from bayes_bm.evidence.reading import select
from bayes_bm.evidence.tables.checking import check_table
from tests.witness.problems.tables import PROBLEMS, write

HIDDEN = "Jackson2019"
SHARES = ("iss_stage3", "response_cr_vgpr", "male")
SAMPLING = {"chains": 2, "draws": 700, "tune": 300, "thin": 1, "target_accept": 0.8, "cores": 1}


def prior(dist: str, sd: float, mean: float | None = None) -> dict:
    """A prior as a spec has it."""
    return {"dist": dist, "sd": sd, "why": "wide"} | ({} if mean is None else {"mean": mean})


MIXES = {name: {"mean": prior("normal", 1.5, 0.0), "sd": prior("half_normal", 1.0)} for name in SHARES}
AGE = {"mean": prior("normal", 10.0, 60.0), "sd": prior("half_normal", 5.0), "within_sd": prior("half_normal", 12.0)}


def spec(path: Path, *, age: bool) -> bb.Spec:
    """The vignette's model with mixes in place of integration points."""
    changes = {f"covariates.{name}.case_mix": mix for name, mix in {**MIXES, **({"age": AGE} if age else {})}.items()}
    changes |= {f"covariates.{name}.kind": "two_valued" for name in SHARES}
    of_age = {"covariates.age.kind": "continuous", "covariates.age.margin": "normal"}
    changes |= {**(of_age if age else {"covariates.age": "none"}), "sensitivity": {}}
    return bb.read_spec(path, changes={**changes, "sampling": SAMPLING})


def tables(problems: Path, *, hidden: bool) -> dict[str, pd.DataFrame]:
    """Tables of the problem, alike patients together; with `hidden` one study's arms print no covariate."""
    made: Any = PROBLEMS["ndmm"](problems / "ndmm")
    patients, arms = made["patients"], made["arms"]
    known, rebuilt = patients[patients["age"].notna()], patients[patients["age"].isna()]
    months = rebuilt.assign(time=np.maximum(rebuilt["time"].round(), 0.5), weight=1.0)
    alike = months.groupby(["study", "arm", "treatment", "time", "event"], as_index=False)["weight"].sum()
    columns = [name for name in arms if name.startswith(("mean_", "sd_", "share_"))]
    if hidden:
        arms.loc[arms["study"] == HIDDEN, columns] = np.nan
    return {"patients": pd.concat([known.assign(weight=1.0), alike], ignore_index=True), "arms": arms}


def rows(result: bb.Result, name: str) -> pd.DataFrame:
    """Mean and sd of each log hazard ratio, coefficient, interaction, and of what the hidden study's arms are like."""
    posterior, found = result.posterior, {}
    for variable in ("log_hr", "coefficient", "interaction", "case_mix"):
        means, sds = (getattr(posterior[variable], moment)(("chain", "draw")).to_series() for moment in ("mean", "std"))
        for label in means.index:
            found[f"{variable} {label}"] = (means[label], sds[label])
    return pd.DataFrame.from_dict(found, orient="index", columns=[f"{name} mean", f"{name} sd"])


if __name__ == "__main__":
    problems, folder = Path(sys.argv[1]), Path(sys.argv[2])
    model, columns = spec(write("ndmm", problems, folder), age="age" in sys.argv[3:]), []
    for asked in (False, True):
        checked = {kind: check_table(kind, table, where=kind) for kind, table in tables(problems, hidden=asked).items()}
        result = bb.fit(model, select(model, checked), seed=1)
        print(result.gate.state, *result.gate.reasons, result.provenance["density"], flush=True)
        columns.append(rows(result, "hidden" if asked else "printed"))
    print(pd.concat(columns, axis=1).round(3).to_string())
