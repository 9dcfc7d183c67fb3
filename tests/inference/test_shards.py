"""A model in parts of its patients: on threads and on a real cluster of Dask it is the whole model to rounding."""

import pickle
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from bayes_bm.inference.compiled.formulas import FILES
from bayes_bm.inference.compiled.nutpie import log_density
from bayes_bm.inference.compiled.packing import pack_problem
from bayes_bm.inference.fit import fit
from bayes_bm.inference.shards import Answer, cut, sharded_density
from bayes_bm.model.model_inputs import ModelInputs, prepare
from bayes_bm.runtime.errors import InputError
from tests.builders import families, structures, worlds
from tests.builders.machines import end, machines
from tests.builders.structures import points, world
from tests.model import test_integration_points, test_missing_covariates

WORLDS: dict[str, Any] = {
    "covariates": lambda: world(structures.STRUCTURES["covariates"]),
    "averaged, mspline": lambda: test_integration_points.world(**families.changes("mspline")),
    "covariates that patients lack": test_missing_covariates.world,
}


def assert_same(whole: Answer, summed: Answer) -> None:
    """Value to 1e-12, relative; gradient to 1e-10 of its largest part."""
    assert summed[0] == pytest.approx(whole[0], rel=1e-12)
    np.testing.assert_allclose(summed[1], whole[1], rtol=1e-10, atol=1e-10 * np.abs(whole[1]).max())


def whole_answers(inputs: ModelInputs) -> list[tuple[np.ndarray, Answer]]:
    """Points, and the density of the whole model there."""
    at, data = pack_problem(inputs)
    return [(x, log_density(x, data)) for x in [*points(at)][:3]]


@pytest.mark.slow
@pytest.mark.parametrize("name", WORLDS)
def test_parts_on_threads_add_up_to_the_whole(name: str) -> None:
    inputs = prepare(*WORLDS[name]())
    model = cut(inputs, 2)
    assert len(model.parts) == 2
    rows = [sum(len(arrays["arm_row"]) for arrays in part.inputs.kinds.values()) for part in model.parts]
    assert min(rows) > 0 and sum(rows) == len(inputs.evidence.patients)
    with sharded_density(pickle.loads(pickle.dumps(model))) as density:
        for x, whole in whole_answers(inputs):
            assert_same(whole, density(x))


@pytest.mark.slow
def test_a_fit_in_parts_is_the_fit_and_what_goes_wrong_in_it_is_told(monkeypatch) -> None:
    spec, evidence = world(structures.STRUCTURES["covariates"])
    short: dict[str, Any] = {"draws": 10, "tune": 10, "chains": 2, "seed": 1}
    whole, parts = fit(spec, evidence, **short), fit(spec, evidence, shards=2, **short)
    # the same walk, as long as rounding has not grown
    np.testing.assert_allclose(parts.posterior["log_hr"], whole.posterior["log_hr"], rtol=1e-6, atol=1e-6)
    monkeypatch.setattr("bayes_bm.inference.shards.Shard.__call__", lambda shard, x: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fit(spec, evidence, shards=2, **short)


def test_what_cannot_be_cut_is_refused() -> None:
    spec, evidence = worlds.spec(), worlds.evidence(worlds.spec())
    with pytest.raises(InputError, match="shards: found 0; allowed: 1 or more"):
        fit(spec, evidence, shards=0)
    inputs = prepare(spec, evidence)
    with patch.dict(FILES):
        FILES.pop("weibull")
        with pytest.raises(InputError, match="shards: found 2 for a model that is not compiled: the family is weibull"):
            cut(inputs, 2)


@pytest.mark.slow
def test_a_cluster_gives_the_density_of_one_process_with_a_worker_killed_in_the_middle(tmp_path: Path) -> None:
    """Parts of the worker that is gone are made anew on the other one."""
    inputs = prepare(*WORLDS["covariates"]())
    answers = whole_answers(inputs)
    with machines(2, tmp_path) as cluster, sharded_density(cut(inputs, 2), cluster.address) as density:
        for x, whole in answers:
            assert_same(whole, density(x))
        end(cluster.workers[:1])
        for x, whole in answers:
            assert_same(whole, density(x))
