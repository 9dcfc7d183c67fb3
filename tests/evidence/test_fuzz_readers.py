"""Readers of everything that people give raise no exception but ours (long runs: scripts/fuzz_readers.py)."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders.bad_inputs import READERS, mutated


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_mutated_inputs_are_read_or_refused(name, tmp_path, seed) -> None:
    data = mutated(READERS[name].good, random.Random(seed))
    outcome = READERS[name].outcome(data, tmp_path)
    assert not outcome.startswith("fault"), (outcome, data)


@pytest.mark.parametrize("name", [name for name in READERS if name not in ("spec", "set", "names")])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(name, tmp_path, data) -> None:
    outcome = READERS[name].outcome(data, tmp_path)
    assert not outcome.startswith("fault"), outcome


@pytest.mark.parametrize("name", READERS)
def test_good_inputs_are_read(name, tmp_path) -> None:
    for data in READERS[name].good:
        assert READERS[name].outcome(data, tmp_path) == "read: "
