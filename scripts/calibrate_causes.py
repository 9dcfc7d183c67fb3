"""Simulation-based calibration of one model of all causes: ranks of the truth among draws, world by world.

python scripts/calibrate_causes.py WORLDS OUT.csv [SEED] [--covariate]

Worlds that OUT.csv has already are not run again: a run that was stopped goes on where it was. With --covariate a
two-valued covariate, known of patients and stated as a share by arms that print numbers, moves the hazard of every
cause and modifies the treatment's effect; smaller worlds, so that one takes as many seconds.
"""

import sys
from collections.abc import Hashable
from dataclasses import dataclass, replace
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
from bayes_bm.spec.causes import Causes, parse_causes

ETA, SIZE = 2.0, 30
NODES = 32
"""Of the rule for 1 - F, in the simulation and in the model: errs by 2e-7 here, where a count errs by 0.09."""
SCALARS = ("intercept", "log_shape", "study_sd", "study_treatment_sd", "study_shape_sd")
HALF = {"study_sd": 0.5, "study_treatment_sd": 0.3, "study_shape_sd": 0.2}


def prior(dist: str, sd: float) -> dict:
    return {"dist": dist, "sd": sd, "why": "calibration"} | ({"mean": 0.0} if dist == "normal" else {})


DOCUMENT: dict[str, Any] = {
    "schema": 1, "name": "calibration", "question": "?", "endpoint": "failure", "reference_time": 12.0,
    "treatments": {"reference": "a", "compare": ["b"]},
    "priors": {"intercept": prior("normal", 1.0), "log_hr": prior("normal", 1.0), "log_shape": prior("normal", 0.3)},
    "effects": {name.removesuffix("_sd"): {"sd": prior("half_normal", sd)} for name, sd in HALF.items()},
    "causes": {"failure": {}, "death": {"endpoint": "death"}},
    "joint": {"first_of_all": "free", "correlation": {"eta": ETA, "why": "calibration"}},
}  # fmt: skip
CENTRE, SLOPES = 0.5, {"coefficient": 0.7, "interaction": 0.5}
"""Of the covariate: its centre, and sds of normal priors."""
SHARES = {"a": (0.25, 0.5, 0.75), "b": (0.625, 0.25, 0.5)}
"""What arms of each treatment state in turn; the model's integration points hold eighths exactly."""
STUDIES = {"p": 3, "f": 3, "o": 2, "k": 2, "d": 2}
"""With patients, 1 - F of failure, survival free of all, and Kaplan-Meier of failure and of death."""
FEWER = {"p": 2, "f": 3, "o": 1, "k": 1, "d": 1}
"""The same with a covariate."""


CHAIN = {False: (300, 400, 8), True: (250, 300, 6)}
"""Tuning, draws and every how many draws one is ranked, without a covariate and with: of 2 chains 100 are."""


def model(covariate: bool) -> Causes:
    if not covariate:
        return parse_causes(DOCUMENT)
    slopes = {"prior": prior("normal", SLOPES["coefficient"]), "interaction": prior("normal", SLOPES["interaction"])}
    kps = {**slopes, "centre": CENTRE}
    return parse_causes({**DOCUMENT, "covariates": {"kps": kps}, "integration": {"points": 16}})


def tables(covariate: bool) -> dict[str, pd.DataFrame]:
    """Studies of two arms, as many of each kind as `STUDIES` or `FEWER` say."""
    said = {"p": ("failure", None), "f": ("failure", "cif_complement"), "o": ("free", None)}
    said |= {"k": ("failure", "km"), "d": ("death", "km")}
    counts = FEWER if covariate else STUDIES
    arms: list[dict[str, Any]] = [
        {"study": f"{name}{j}", "arm": t, "treatment": t, "endpoint": end, "n": SIZE, "measure": measure}
        | ({"share_kps": SHARES[t][j]} if covariate and name != "p" else {})
        for name, (end, measure) in said.items() for j in range(counts[name]) for t in "ab"
    ]  # fmt: skip
    points = [
        {key: arm[key] for key in ("study", "arm", "endpoint")} | {"time": time, "survival": 1.0 - time / 50}
        for arm in arms if arm["study"][0] != "p" for time in (6.0, 15.0)
    ]  # fmt: skip
    people = [
        {**{key: arm[key] for key in ("study", "arm", "treatment")}, "time": 5.0, "event": 1, "cause": cause}
        | ({"kps": place // 2 % 2} if covariate else {})
        for arm in arms if arm["study"][0] == "p"
        for place, cause in enumerate(["failure", "death"] * (SIZE // 2))
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
        data: dict[str, Any] = {name: (("chain", "draw"), np.full((1, 1), value)) for name, value in values.items()}
        data |= {name: (("chain", "draw", dim), value[None, None]) for name, (dim, value) in vectors.items()}
        if inputs.spec.covariates:
            dims = {"coefficient": ("covariate",), "interaction": ("treatment", "effect_modifier")}
            for name, sd in SLOPES.items():
                data[name] = (("chain", "draw", *dims[name]), rng.normal(0, sd, (1, 1, *(1 for _ in dims[name]))))
        found.append(xr.Dataset(data))
    return found, float(rho)


def levels_of(joint, truth: list[xr.Dataset]) -> list[ArmLevels]:
    found = []
    for inputs, posterior in zip(joint.inputs, truth, strict=True):
        draws = read_draws(posterior, inputs.design, inputs.spec, inputs.family)
        found.append(arm_levels(inputs, draws.effects, xp=NUMPY))
    return found


@dataclass(frozen=True)
class Law:
    """H = exp(eta + slope x) (t / t0)^shape of one cause in each arm (arm,), x the covariate from its centre."""

    eta: np.ndarray
    shape: np.ndarray
    slope: np.ndarray

    def at(self, rows: np.ndarray) -> "Law":
        return Law(self.eta[rows], self.shape[rows], self.slope[rows])


def law(levels: ArmLevels, truth: xr.Dataset) -> Law:
    slope = np.zeros(levels.eta.shape[1])
    if "coefficient" in truth:
        slope = truth["coefficient"].item() + truth["interaction"].item() * (levels.treatment == 1)
    return Law(levels.eta[0], np.exp(levels.shape[0][0, :, 0]), slope)


def simulated(joint, truth: list[xr.Dataset], rng: np.random.Generator):
    """The evidence with patients and numbers drawn at the truth; sizes are SIZE, whatever was drawn."""
    levels = levels_of(joint, truth)
    laws = [law(one, own) for one, own in zip(levels, truth, strict=True)]
    evidence, own = joint.evidence, {}
    people = evidence.causes["failure"].patients
    rows = people["arm_row"].to_numpy()
    x = people["kps"].to_numpy(dtype=float) - CENTRE if "kps" in people else np.zeros(len(people))
    waits = rng.exponential(size=(2, len(rows)))
    of_people = zip(waits, (one.at(rows) for one in laws_at(joint, laws)), strict=True)
    times = np.stack([12 * (wait * np.exp(-one.eta - one.slope * x)) ** (1 / one.shape) for wait, one in of_people])
    lost = rng.uniform(6, 40, len(rows))
    for place, (name, one) in enumerate(evidence.causes.items()):
        seen = np.minimum(times.min(axis=0), lost)
        patients = one.patients.assign(time=seen, event=(times[place] == seen).astype("int64"))
        places = one.sequences["arm_row"].to_numpy(dtype=int)
        share = kept(one.sequences, one.arms, [laws[place].at(places)])
        own[name] = replace(one, patients=patients, sequences=counted(one.sequences, share, rng))
    ((arrays, arms),) = joint.incidence
    causes = causes_at(levels, arms, xp=NUMPY)
    log_q, _ = complement_steps(arrays, causes, log_weight=arms.log_weight, xp=NUMPY)
    part, first = evidence.incidence["failure"], evidence.first_of_all
    of_first = zip(laws, joint.first_of_all["points"][1].places, strict=True)
    free = kept(first.sequences, first.arms, [one.at(places) for one, places in of_first])
    return replace(
        evidence, causes=own,
        incidence={"failure": replace(part, sequences=counted(part.sequences, np.exp(log_q[0]), rng))},
        first_of_all=replace(first, sequences=counted(first.sequences, free, rng)),
    )  # fmt: skip


def kept(table: pd.DataFrame, arms: pd.DataFrame, laws: list[Law]) -> np.ndarray:
    """S(end) / S(start) of the first of some causes in the rows of a table, averaged over patients of its arm."""
    places = table["arm_row"].to_numpy(dtype=int)
    high = arms["share_kps"].to_numpy(dtype=float)[places] if "share_kps" in arms else np.full(len(places), CENTRE)
    high = np.nan_to_num(high, nan=CENTRE)

    def free(time: np.ndarray) -> np.ndarray:
        low_free, high_free = (
            np.exp([-np.exp(one.eta + one.slope * (value - CENTRE)) * time**one.shape for one in laws]).prod(axis=0)
            for value in (0, 1)
        )
        return (1 - high) * low_free + high * high_free

    end, start = (table[name].to_numpy(dtype=float) / 12 for name in ("time", "start"))
    return free(end) / free(start)


def laws_at(joint, laws: list[Law]):
    """Laws of the causes in the arms of patients, whose rows are those of the first cause."""
    first = joint.evidence.causes["failure"].arms[["study", "arm"]].apply(tuple, axis=1).tolist()
    for own, one in zip(laws, joint.evidence.causes.values(), strict=True):
        keys = {key: row for row, key in enumerate(one.arms[["study", "arm"]].apply(tuple, axis=1))}
        yield own.at(np.array([keys.get(key, 0) for key in first]))


def counted(table: pd.DataFrame, share: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    return table.assign(size=float(SIZE), ratio=rng.binomial(SIZE, np.clip(share, 0, 1)) / SIZE)


def main(worlds: int, out: str, seed: int = 1, *, covariate: bool = False) -> None:
    """Write ranks of 0 to 100 of every watched number in every world, with its largest R-hat and divergences."""
    from pytensor.compile.sharedvalue import shared

    incidence.NODES = NODES
    causes = model(covariate)
    joint = joint_inputs(causes, select_causes(causes, dict.fromkeys(causes.names, tables(covariate))))
    ((arrays, arms),) = joint.incidence
    ratio, free = shared(np.asarray(arrays.ratio)), shared(np.asarray(joint.first_of_all["points"][0]["ratio"]))
    vars(joint)["incidence"] = ((replace(arrays, ratio=ratio), arms),)
    points, places = joint.first_of_all["points"]
    vars(joint)["first_of_all"] = {"points": ({**points, "ratio": free}, places)}
    # Numba's code takes a minute to make and a fifth of the time of PyTensor's at each call
    density = joint_density(joint, mode="NUMBA")
    rows = pd.read_csv(out).to_dict("records") if Path(out).exists() else []
    tune, draws, thin = CHAIN[covariate]
    settings = causes.first.sampling.model_copy(update={"draws": draws, "tune": tune, "chains": 2, "thin": 1})
    for world in range(len(rows), worlds):
        rng = np.random.default_rng([seed, world])
        truth, rho = drawn_truth(joint, rng)
        plain = joint_inputs(causes, joint.evidence)
        other = joint_inputs(causes, simulated(plain, truth, rng))
        ratio.set_value(np.asarray(other.incidence[0][0].ratio))
        free.set_value(other.first_of_all["points"][0]["ratio"])
        parts = tuple(BoundDensity(pack_problem(inputs, not_centred(inputs))[1]) for inputs in other.inputs)
        whole = JointDensity(other, density.coordinates, parts, density.ties)
        tree = run_nutpie(target(whole), settings, 0.85, seed * 1000 + world, cores=1)
        drawn = tree["posterior"].to_dataset()["x"].transpose("chain", "draw", ...).to_numpy()
        row: dict[Hashable, Any] = {
            "world": world,
            "divergences": int(tree["sample_stats"].to_dataset()["diverging"].sum()),
        }
        watched = {"correlation": (whole.correlations(drawn)[..., 0], rho)}
        vectors = ("log_hr", *(SLOPES if covariate else ()))
        for name, posterior, true in zip(causes.names, whole.posteriors(drawn), truth, strict=True):
            values = {key: posterior[key].to_numpy().reshape(drawn.shape[:2]) for key in (*SCALARS, *vectors)}
            watched |= {f"{name}.{key}": (one, float(true[key].item())) for key, one in values.items()}
        row["rhat"] = max(float(rank_rhat(values)) for values, _ in watched.values())
        row |= {key: int((values[:, ::thin].ravel()[:100] < true).sum()) for key, (values, true) in watched.items()}
        rows.append(row)
        pd.DataFrame(rows).to_csv(out, index=False)


if __name__ == "__main__":
    given = [value for value in sys.argv[1:] if value != "--covariate"]
    main(int(given[0]), given[1], *(int(value) for value in given[2:]), covariate="--covariate" in sys.argv)
