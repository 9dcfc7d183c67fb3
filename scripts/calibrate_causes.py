"""Simulation-based calibration of one model of all causes: ranks of the truth among draws, world by world.

python scripts/calibrate_causes.py WORLDS OUT.csv [SEED]

Worlds that OUT.csv has already are not run again: a run that was stopped goes on where it was.
"""

import sys
from collections.abc import Hashable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_bm.evidence.causes import select_causes
from bayes_bm.evidence.tables.checking import check_table
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.inference.causes.density import JointDensity, joint_density, joint_inputs, target
from bayes_bm.inference.compiled.nutpie import BoundDensity
from bayes_bm.inference.compiled.packing import pack_problem
from bayes_bm.inference.compiled.parametrization import not_centred
from bayes_bm.inference.convergence import rank_rhat
from bayes_bm.inference.sampling import run_nutpie
from bayes_bm.model.causes import incidence
from bayes_bm.model.causes.incidence import complement_steps
from bayes_bm.model.causes.joint_inputs import ArmLevels, arm_levels, causes_at
from bayes_bm.model.linear_predictor import read_draws
from bayes_bm.spec.causes import parse_causes

ETA, SIZE, THIN = 2.0, 30, 8
NODES = 32
"""Of the rule for 1 - F, in the simulation and in the model: errs by 2e-7 here, where a count errs by 0.09."""
SCALARS = ("intercept", "log_shape", "study_sd", "study_treatment_sd", "study_shape_sd")
HALF = {"study_sd": 0.5, "study_treatment_sd": 0.3, "study_shape_sd": 0.2}


def prior(dist: str, sd: float) -> dict:
    return {"dist": dist, "sd": sd, "why": "calibration"} | ({"mean": 0.0} if dist == "normal" else {})


CAUSES = parse_causes({
    "schema": 1, "name": "calibration", "question": "?", "endpoint": "failure", "reference_time": 12.0,
    "treatments": {"reference": "a", "compare": ["b"]},
    "priors": {"intercept": prior("normal", 1.0), "log_hr": prior("normal", 1.0), "log_shape": prior("normal", 0.3)},
    "effects": {name.removesuffix("_sd"): {"sd": prior("half_normal", sd)} for name, sd in HALF.items()},
    "causes": {"failure": {}, "death": {"endpoint": "death"}},
    "joint": {"first_of_all": "free", "correlation": {"eta": ETA, "why": "calibration"}},
})  # fmt: skip


def tables() -> dict[str, pd.DataFrame]:
    """Studies of two arms: 3 with patients, 3 of 1 - F, 2 of the first of all, 2 of each cause's Kaplan-Meier."""
    kinds = {"p": (3, "failure", None), "f": (3, "failure", "cif_complement"), "o": (2, "free", None)}
    kinds |= {"k": (2, "failure", "km"), "d": (2, "death", "km")}
    arms = [
        {"study": f"{name}{j}", "arm": t, "treatment": t, "endpoint": end, "n": SIZE, "measure": measure}
        for name, (count, end, measure) in kinds.items() for j in range(count) for t in "ab"
    ]  # fmt: skip
    points = [
        {key: arm[key] for key in ("study", "arm", "endpoint")} | {"time": time, "survival": 1.0 - time / 50}
        for arm in arms if arm["study"][0] != "p" for time in (6.0, 15.0)
    ]  # fmt: skip
    people = [
        {**{key: arm[key] for key in ("study", "arm", "treatment")}, "time": 5.0, "event": 1, "cause": cause}
        for arm in arms if arm["study"][0] == "p" for cause in ["failure", "death"] * (SIZE // 2)
    ]  # fmt: skip
    rows = {"arms": arms, "points": points, "patients": people}
    return {kind: check_table(kind, pd.DataFrame(one), where=kind) for kind, one in rows.items()}


def drawn_truth(joint, rng: np.random.Generator) -> tuple[list[xr.Dataset], float]:
    """Parameters of every cause from their priors (chain 1, draw 1), and the correlation of levels."""
    rho, found = 2 * rng.beta(ETA, ETA) - 1, []
    names = sorted({study for inputs in joint.inputs for study in inputs.design.studies})
    first = dict(zip(names, rng.standard_normal(len(names)), strict=True))
    for cause, inputs in enumerate(joint.inputs):
        studies, pairs = inputs.design.studies, len(inputs.design.pairs)
        z = np.array([first[name] for name in studies])
        z = z if cause == 0 else rho * z + np.sqrt(1 - rho**2) * rng.standard_normal(len(z))
        values = {"intercept": rng.normal(0, 1), "log_shape": rng.normal(0, 0.3)}
        values |= {name: abs(rng.normal(0, sd)) for name, sd in HALF.items()}
        vectors = {
            "log_hr": ("treatment", rng.normal(0, 1, 1)),
            "study_effect": ("study", values["study_sd"] * z),
            "study_log_shape": ("study", values["study_shape_sd"] * rng.standard_normal(len(z))),
            "study_treatment_effect": (
                "pair",
                values["study_treatment_sd"] * np.sqrt(0.5) * rng.standard_normal(pairs),
            ),
        }
        data = {name: (("chain", "draw"), np.full((1, 1), value)) for name, value in values.items()}
        data |= {name: (("chain", "draw", dim), value[None, None]) for name, (dim, value) in vectors.items()}
        found.append(xr.Dataset(data))
    return found, float(rho)


def levels_of(joint, truth: list[xr.Dataset]) -> list[ArmLevels]:
    found = []
    for inputs, posterior in zip(joint.inputs, truth, strict=True):
        draws = read_draws(posterior, inputs.design, inputs.spec, inputs.family)
        found.append(arm_levels(inputs, draws.effects, xp=NUMPY))
    return found


def simulated(joint, levels: list[ArmLevels], rng: np.random.Generator):
    """The evidence with patients and numbers drawn at the truth; sizes are SIZE, whatever was drawn."""
    laws = [(one.eta[0], np.exp(one.shape[0][0, :, 0])) for one in levels]
    evidence, own = joint.evidence, {}
    rows = evidence.causes["failure"].patients["arm_row"].to_numpy()
    waits = rng.exponential(size=(2, len(rows)))
    at = zip(waits, laws_at(joint, laws), strict=True)
    times = np.stack([12 * (wait * np.exp(-eta[rows])) ** (1 / shape[rows]) for wait, (eta, shape) in at])
    lost = rng.uniform(6, 40, len(rows))
    for place, (name, one) in enumerate(evidence.causes.items()):
        seen = np.minimum(times.min(axis=0), lost)
        patients = one.patients.assign(time=seen, event=(times[place] == seen).astype("int64"))
        own[name] = replace(
            one, patients=patients, sequences=counted(one.sequences, kept(one.sequences, laws[place]), rng)
        )
    ((arrays, arm_rows),) = joint.incidence
    log_q, _ = complement_steps(arrays, causes_at(levels, arm_rows, xp=NUMPY), xp=NUMPY)
    part = evidence.incidence["failure"]
    first, arm_rows = evidence.first_of_all, joint.first_of_all["points"][1]
    free = np.prod([kept(first.sequences, law, at) for law, at in zip(laws, arm_rows, strict=True)], axis=0)
    return replace(
        evidence, causes=own,
        incidence={"failure": replace(part, sequences=counted(part.sequences, np.exp(log_q[0]), rng))},
        first_of_all=replace(first, sequences=counted(first.sequences, free, rng)),
    )  # fmt: skip


def kept(table: pd.DataFrame, law: tuple[np.ndarray, np.ndarray], at: np.ndarray | None = None) -> np.ndarray:
    """S(end) / S(start) of one cause in the rows of a table, whose arms in this cause are `at`."""
    rows = table["arm_row"].to_numpy(dtype=int) if at is None else at
    end, start = (table[name].to_numpy(dtype=float) / 12 for name in ("time", "start"))
    return np.exp(-np.exp(law[0][rows]) * (end ** law[1][rows] - start ** law[1][rows]))


def laws_at(joint, laws):
    """Laws of the causes in the arms of patients, whose rows are those of the first cause."""
    first = joint.evidence.causes["failure"].arms[["study", "arm"]].apply(tuple, axis=1).tolist()
    for (eta, shape), one in zip(laws, joint.evidence.causes.values(), strict=True):
        keys = {key: row for row, key in enumerate(one.arms[["study", "arm"]].apply(tuple, axis=1))}
        at = np.array([keys.get(key, 0) for key in first])
        yield eta[at], shape[at]


def counted(table: pd.DataFrame, share: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    return table.assign(size=float(SIZE), ratio=rng.binomial(SIZE, np.clip(share, 0, 1)) / SIZE)


def main(worlds: int, out: str, seed: int = 1) -> None:
    """Write ranks of 0 to 100 of every watched number in every world, with its largest R-hat and divergences."""
    from pytensor.compile.sharedvalue import shared

    incidence.NODES = NODES
    joint = joint_inputs(CAUSES, select_causes(CAUSES, dict.fromkeys(CAUSES.names, tables())))
    ((arrays, arm_rows),) = joint.incidence
    ratio, free = shared(np.asarray(arrays.ratio)), shared(np.asarray(joint.first_of_all["points"][0]["ratio"]))
    vars(joint)["incidence"] = ((replace(arrays, ratio=ratio), arm_rows),)
    points, places = joint.first_of_all["points"]
    vars(joint)["first_of_all"] = {"points": ({**points, "ratio": free}, places)}
    # Numba's code takes a minute to make and a fifth of the time of PyTensor's at each call
    density = joint_density(joint, mode="NUMBA")
    rows = pd.read_csv(out).to_dict("records") if Path(out).exists() else []
    settings = CAUSES.first.sampling.model_copy(update={"draws": 400, "tune": 300, "chains": 2, "thin": 1})
    for world in range(len(rows), worlds):
        rng = np.random.default_rng([seed, world])
        truth, rho = drawn_truth(joint, rng)
        plain = joint_inputs(CAUSES, joint.evidence)
        other = joint_inputs(CAUSES, simulated(plain, levels_of(plain, truth), rng))
        ratio.set_value(np.asarray(other.incidence[0][0].ratio))
        free.set_value(other.first_of_all["points"][0]["ratio"])
        parts = tuple(BoundDensity(pack_problem(inputs, not_centred(inputs))[1]) for inputs in other.inputs)
        whole = JointDensity(other, density.coordinates, parts, density.ties)
        tree = run_nutpie(target(whole), settings, 0.85, seed * 1000 + world, cores=1)
        draws = tree["posterior"].to_dataset()["x"].transpose("chain", "draw", ...).to_numpy()
        row: dict[Hashable, Any] = {
            "world": world,
            "divergences": int(tree["sample_stats"].to_dataset()["diverging"].sum()),
        }
        watched = {"correlation": (whole.correlations(draws)[..., 0], rho)}
        for name, posterior, true in zip(CAUSES.names, whole.posteriors(draws), truth, strict=True):
            watched |= {f"{name}.{key}": (posterior[key].to_numpy(), float(true[key].item())) for key in SCALARS}
            watched[f"{name}.log_hr"] = posterior["log_hr"].to_numpy()[..., 0], float(true["log_hr"].item())
        row["rhat"] = max(float(rank_rhat(values)) for values, _ in watched.values())
        row |= {key: int((values[:, ::THIN].ravel()[:100] < true).sum()) for key, (values, true) in watched.items()}
        rows.append(row)
        pd.DataFrame(rows).to_csv(out, index=False)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], *(int(value) for value in sys.argv[3:]))
