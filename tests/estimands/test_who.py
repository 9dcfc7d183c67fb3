"""Who an answer is about: as a record, or by its name."""

import numpy as np
import pytest

import bayes_bm as bb
from bayes_bm.runtime.errors import InputError
from tests.builders import posteriors, worlds


@pytest.fixture(scope="module")
def result() -> bb.Result:
    spec = worlds.spec()
    rows = [{"study": study, "arm": "x", "treatment": "a", "time": 4.0, "event": 1} for study in ("one", "two")]
    return posteriors.result(spec, worlds.evidence(spec, {"patients": rows}), chains=1, draws=30)


@pytest.mark.parametrize(
    ("name", "who"),
    [
        ("average-study", bb.AverageStudy()),
        ("new-study", bb.NewStudy()),
        ("new-hospital", bb.NewHospital()),
        ("study:two", bb.Study("two")),
    ],
)
def test_a_name_stands_for_its_record(result: bb.Result, name: str, who: bb.Study) -> None:
    for by_name, by_record in (
        (bb.survival(result, [6.0], who=name), bb.survival(result, [6.0], who=who)),
        (bb.hazard_ratio(result, [6.0], who=name), bb.hazard_ratio(result, [6.0], who=who)),
    ):
        np.testing.assert_array_equal(by_name.to_numpy(), by_record.to_numpy())
    assert bb.compare(result, who=name).equals(bb.compare(result, who=who))
    assert bb.Patient({}, on=name) == bb.Patient({}, on=who)


@pytest.mark.parametrize("who", ["new study", 3, {"age": 60}])
def test_what_is_nobody_is_refused_with_all_that_is_allowed(result: bb.Result, who: object) -> None:
    with pytest.raises(InputError, match=r"who: found .*; allowed: average-study, new-study, new-hospital, study:NAME"):
        bb.survival(result, [6.0], who=who)  # pyright: ignore[reportArgumentType]
