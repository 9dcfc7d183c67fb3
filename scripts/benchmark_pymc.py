"""The world of the speed benchmark as a PyMC model written by hand: vectorised, H(t) by hand, effects non-centred."""

from typing import Any

import numpy as np


def pymc_model(data: dict[str, Any]) -> Any:
    import pymc as pm
    import pytensor.tensor as pt

    study, pair, arm = data["study"] - 1, data["pair"] - 1, data["arm"] - 1
    with pm.Model() as model:
        log_hr, intercept = pm.Normal("log_hr", 0, 1), pm.Normal("intercept", 0, 1)
        log_shape = pm.Normal("log_shape", 0, 0.3)
        sds = {"study_sd": 0.5, "study_treatment_sd": 0.3, "study_shape_sd": 0.2}
        sizes = (data["J"], data["P"], data["J"])
        effects: list[Any] = [
            pm.HalfNormal(name, sd) * pm.Normal(f"{name}_standard", shape=size)
            for (name, sd), size in zip(sds.items(), sizes, strict=True)
        ]
        level, deviation, shape = effects
        log_k: Any = log_shape + shape[study]
        of_arm: Any = intercept + level[study] + data["treated"] * (log_hr + deviation[pair])
        eta = of_arm[arm]
        if data["K"]:
            coefficient = pm.Normal("coefficient", 0, 0.5, shape=data["K"])
            eta = eta + pt.sum(data["x"] * coefficient, axis=1)
        k: Any = pt.exp(log_k)
        log_cum = eta + k[arm] * data["log_u"]
        terms: Any = data["event"] * (log_k[arm] + log_cum) - pt.exp(log_cum)
        pm.Potential("patients", terms.sum())
    return model


def pymc_sample(model: Any, seed: int) -> Any:
    """PyMC's own sampler."""
    import pymc as pm

    counts: dict[str, Any] = {"draws": 1000, "tune": 1000, "chains": 4}
    found = pm.sample(model=model, **counts, nuts_sampler="pymc", random_seed=seed, progressbar=False)
    return found["posterior"]


def nutpie_sample(compiled: Any, seed: int) -> Any:
    """nutpie as it comes."""
    import nutpie

    return nutpie.sample(compiled, draws=1000, tune=1000, chains=4, seed=seed, progress_bar=False)["posterior"]


def kept(posterior: Any) -> dict[str, np.ndarray]:
    """Draws of what the gate watches."""
    return {
        name: values.to_numpy() for name, values in posterior.data_vars.items() if not str(name).endswith("_standard")
    }
