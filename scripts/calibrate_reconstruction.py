"""Are draws of reconstructed patients as wide as they should be? Coverage of 90 % ranges over simulated trials.

Two arms a trial (Weibull, log-normal or cured; five ways of censoring; n 25 to 250; a third on a clock of days), each
clicked on and rebuilt; 50 draws. Does their 5 to 95 % range hold the log HR, restricted means and events of the truth?
python scripts/calibrate_reconstruction.py [TRIALS A SETTING] [FIRST SEED] > coverage.csv
"""

import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pandas as pd

import bayes_bm as bb
from bayes_bm.hazards.nonparametric import kaplan_meier, restricted_mean
from bayes_bm.validation.simulation.cox import cox_log_hr
from bayes_bm.validation.simulation.curves import clicked, printed, varied

LEVELS = {"careful": (0.003, (60, 151)), "careless": (0.01, (25, 41))}
INFOS = {"full": ("n", "events", "at_risk"), "risk": ("n", "at_risk"), "n": ("n",)}
CENSORING, DRAWS = ("staggered", "dropout", "cut", "light", "early"), 50
NAMES = ("log_hr", "rmst", "rmst_1", "events", "events_1")


def arm(seed: int, k: int) -> tuple:
    rng = np.random.default_rng([seed, k])
    n = int(np.exp(rng.uniform(np.log(25), np.log(250))))
    time, event = varied([seed, k], n, censoring=CENSORING[seed % 5], clock=1 / 30.4375 if seed % 3 == 0 else 0.0)
    return (time, event) if event.sum() >= 5 else arm(seed + 1_000_000, k)


def numbers(pair: list, horizon: float) -> list[float]:
    (t0, e0), (t1, e1) = pair
    group = np.repeat([0, 1], [len(t0), len(t1)])
    log_hr = cox_log_hr(np.append(t0, t1), np.append(e0, e1), group).log_hr
    return [log_hr, *(restricted_mean(kaplan_meier(t, e), horizon=horizon) for t, e in pair), e0.sum(), e1.sum()]


def covered(task: tuple[int, str, str]) -> dict:
    seed, level, info = task
    (error, clicks), pair, sets = LEVELS[level], [arm(seed, k) for k in (0, 1)], []
    for k, (time, event) in enumerate(pair):
        known = printed(time, event)
        points, axis = int(np.random.default_rng(seed).integers(*clicks)), known["axis_max"]
        curve = clicked(time, event, axis, [seed, k], clicks=points, error=error)
        given = {name: known[name] for name in INFOS[info]}
        draws = bb.reconstruct(curve, axis_max=axis, **given).draw(DRAWS, seed=seed)
        sets.append([(d["time"].to_numpy(), d["event"].to_numpy()) for d in draws])
    horizon = min(time.max() for time, _ in pair)
    truth, found = numbers(pair, horizon), np.array([numbers(list(two), horizon) for two in zip(*sets, strict=True)])
    inside = (truth >= np.quantile(found, 0.05, axis=0) - 1e-9) & (truth <= np.quantile(found, 0.95, axis=0) + 1e-9)
    return {"seed": seed, "level": level, "info": info, **dict(zip(NAMES, inside.astype(int).tolist(), strict=True))}


if __name__ == "__main__":
    trials, first = (int(a) for a in (*sys.argv[1:], *("85", "0")[len(sys.argv) - 1 :]))
    tasks = [(s, level, info) for level in LEVELS for info in INFOS for s in range(first, first + trials)]
    with ProcessPoolExecutor(2) as pool:
        rows = pd.DataFrame(pool.map(covered, tasks, chunksize=3))
    rows.to_csv(sys.stdout, index=False)
    print(rows.groupby(["level", "info"], sort=False).mean(numeric_only=True).drop(columns="seed"), file=sys.stderr)
