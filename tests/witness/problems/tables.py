"""Problems with published answers, their data outside the project: tables written into a folder of the caller's.

    python -m tests.witness.problems.tables diabetes_cloglog PROBLEMS FOLDER

PROBLEMS holds a folder of raw data for each problem; FOLDER then holds `spec.toml` and the tables it names.
"""

import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

HERE = Path(__file__).resolve().parent
Tables = Mapping[str, pd.DataFrame]


def _arm_rows(counts: pd.DataFrame, endpoint: str) -> Tables:
    """One arm a treatment of a study: `counts` has study, treatment, events, n and time."""
    rows = counts.assign(arm=counts["treatment"], endpoint=endpoint)
    return {
        "arms": rows[["study", "arm", "treatment", "endpoint", "n"]],
        "counts": rows[["study", "arm", "endpoint", "events", "n", "time"]],
    }


def diabetes(raw: Path) -> Tables:
    counts = pd.read_csv(raw / "diabetes.csv").rename(columns={"time_years": "time"})
    return _arm_rows(counts, "diabetes")


def copd(raw: Path) -> Tables:
    counts = pd.read_csv(raw / "counts.csv").rename(columns={"deaths": "events"}).assign(time=None)
    names = {"comparator": "reference"}
    ratios = pd.read_csv(raw / "hazard_ratios.csv").rename(columns=names).assign(endpoint="os")
    # e^x is stored in full, so that its logarithm is the printed one
    ratios = ratios.assign(hr=ratios["log_hr"].map(lambda x: 2.718281828459045**x))
    return {
        **_arm_rows(counts, "os"),
        "hazard_ratios": ratios[["study", "endpoint", "treatment", "reference", "hr", "se_log_hr"]],
    }


NDMM_STATED = {
    "age_mean": "mean_age",
    "age_sd": "sd_age",
    "iss_stage3": "share_iss_stage3",
    "response_cr_vgpr": "share_response_cr_vgpr",
    "male": "share_male",
}


def ndmm(raw: Path) -> Tables:
    """Three trials of patients with covariates; of two, patients rebuilt from curves and arms that state theirs.

    Times are months in the files and stay months.
    """
    patients = pd.concat([pd.read_csv(raw / "ndmm_ipd.csv"), pd.read_csv(raw / "ndmm_agd.csv")], ignore_index=True)
    patients = patients.rename(columns={"trt": "treatment", "eventtime": "time", "status": "event"})
    patients = patients.assign(arm=patients["treatment"])
    stated = pd.read_csv(raw / "ndmm_agd_covs.csv").rename(columns={"trt": "treatment", "sample_size": "n"})
    stated = stated.rename(columns=NDMM_STATED).assign(arm=stated["treatment"], endpoint="pfs")
    covariates = ["age", "iss_stage3", "response_cr_vgpr", "male"]
    return {
        "patients": patients[["study", "arm", "treatment", "time", "event", *covariates]],
        "arms": stated[["study", "arm", "treatment", "endpoint", "n", *NDMM_STATED.values()]],
    }


def cetux(raw: Path) -> Tables:
    """A trial of two arms, a registry of its control's like, the population's mortality; years."""
    patients = pd.read_csv(raw / "cetux.csv").rename(columns={"treat": "treatment", "years": "time", "d": "event"})
    patients = patients.assign(study="Bonner 2006", arm=patients["treatment"])
    registry = pd.read_csv(raw / "cetux_seer.csv").rename(columns={"treat": "treatment", "r": "alive"})
    registry = registry.assign(study="SEER", arm="registry", endpoint="os")
    arm = ["study", "arm", "treatment", "endpoint"]
    return {
        "patients": patients[["study", "arm", "treatment", "time", "event"]],
        "arms": registry[arm].drop_duplicates().assign(n=None),
        "registry": registry[["study", "arm", "endpoint", "start", "stop", "n", "alive"]],
        "background": pd.read_csv(raw / "cetux_bh.csv"),
    }


def breast(raw: Path) -> Tables:
    """One study, three groups; days as years of 365, as flexsurv does."""
    rows = pd.read_csv(raw / "bc.csv")
    named = {"study": "bc", "arm": rows["group"], "treatment": rows["group"], "time": rows["time_days"] / 365}
    return {"patients": pd.DataFrame({**named, "event": rows["event"]})}


PROBLEMS: Mapping[str, Callable[[Path], Tables]] = {
    "diabetes_cloglog": diabetes,
    "copd_woods2010": copd,
    "ndmm": ndmm,
    "cetux": cetux,
    "breast_bc": breast,
}


def write(name: str, problems: Path, folder: Path) -> Path:
    """Spec and tables of a problem in `folder`; the spec's path."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, table in PROBLEMS[name](problems / name).items():
        table.to_csv(folder / f"{kind}.csv", index=False)
    return Path(shutil.copy(HERE / name / "spec.toml", folder / "spec.toml"))


if __name__ == "__main__":
    print(write(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
