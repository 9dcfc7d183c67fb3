"""Who runs in the speed benchmark on 776 patients: ours, hand-written Stan, hand-written PyMC."""

from functools import partial
from typing import Any

from benchmark_pymc import kept, nutpie_sample, pymc_model, pymc_sample
from benchmark_rates import Contender, Draws, timed
from benchmark_rival import Stan, rival_data
from benchmark_world import world

import bayes_bm as bb
from bayes_bm.inference import samplers
from bayes_bm.inference.gate import watched_parameters
from bayes_bm.model.model_inputs import prepare

CENTRINGS = {"non-centred": (0, 0, 0), "levels centred": (1, 0, 0), "centred": (1, 1, 1)}


def watched(posterior: Any) -> Draws:
    return {str(name): values.to_numpy() for name, values in watched_parameters(posterior).data_vars.items()}


def ours(covariates: int, seeds: int) -> list[Contender]:
    spec, evidence = world(776, covariates=covariates)
    sample = samplers.sampler(prepare(spec, evidence), print)
    alone = partial(timed, partial(sample, spec.sampling.target_accept), lambda groups: watched(groups[0]))
    whole = partial(timed, lambda seed: bb.fit(spec, evidence, seed=seed), lambda result: watched(result.posterior))
    return [Contender("ours, sampling alone", alone, seeds), Contender("ours, whole fit", whole, seeds)]


def by_stan(stan: Stan, covariates: int, seeds: int) -> list[Contender]:
    data = rival_data(776, covariates)
    settings = {"num_samples": 1000, "num_warmup": 1000, "delta": 0.8}
    return [
        Contender(f"Stan, {said}, {how}", partial(_stan, stan, program, data, centred, settings), seeds)
        for program, said in (("sums", "sums by arm"), ("vectorised", "vectorised"))
        for how, centred in CENTRINGS.items()
    ]


def _stan(stan: Stan, program: str, data: Any, centred: Any, settings: Any, seed: int) -> tuple[Draws, float]:
    return stan(program, data, centred, seed, **settings)


def by_pymc(covariates: int, seeds: int) -> list[Contender]:
    import nutpie

    model = pymc_model(rival_data(776, covariates))
    fast = partial(timed, partial(nutpie_sample, nutpie.compile_pymc_model(model)), kept)
    slow = partial(timed, partial(pymc_sample, model), kept)
    return [Contender("PyMC graph, nutpie", fast, seeds), Contender("PyMC graph, PyMC's sampler", slow, min(seeds, 3))]
