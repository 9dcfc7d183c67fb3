"""Streams of random numbers: no two stages share one, and none moves by itself."""

import enum
import re
from pathlib import Path

import numpy as np

import bayes_bm
from bayes_bm.runtime.random_stages import RandomStage, random_stream, stage_seeds

ROOM = Path(bayes_bm.__file__).parent


def test_no_two_stages_have_one_number() -> None:
    """`unique` refuses a second name of one number, and the draws of all stages differ."""
    assert enum.unique(RandomStage) is RandomStage
    assert list(RandomStage.__members__.values()) == list(RandomStage)
    draws = np.array([random_stream(1, stage).standard_normal(100) for stage in RandomStage])
    assert np.abs(np.corrcoef(draws) - np.eye(len(draws))).max() < 0.5


def test_the_numbers_of_stages_do_not_move() -> None:
    """The stream of stage k is that of the k-th child of the seed, as numpy spawns it."""
    assert {stage.name: stage.value for stage in RandomStage} == {
        "HOSPITAL_EFFECTS": 14,
        "STUDY_DEVIATIONS": 15,
        "STATED_BASELINE": 16,
        "HOSPITAL_DEVIATIONS": 17,
        "IMPUTED_FITS": 19,
        "RECONCILIATION": 21,
        "REPLICATES": 22,
        "INTEGRATION_POINTS": 23,
        "PREDICTIVE_TESTS": 24,
        "TWO_STAGE_FIT": 25,
        "PRIOR_RESULT": 31,
        "STANDARDISATION": 32,
        "OUTCOMES": 33,
        "STUDY_VARIANCES": 34,
        "FRESH_MIXES": 35,
        "PLANNED_STUDIES": 36,
        "MODEL_PRIOR": 37,
        "PREDICTIVE_DRAWS": 38,
        "CAUSE_HOSPITALS": 39,
    }
    children = np.random.SeedSequence(7).spawn(40)
    for stage in RandomStage:
        expected = np.random.default_rng(children[stage]).random(3)
        np.testing.assert_array_equal(random_stream(7, stage).random(3), expected)
    labelled = children[RandomStage.IMPUTED_FITS].spawn(3)[2]
    seeds = stage_seeds(7, RandomStage.IMPUTED_FITS, 2)
    np.testing.assert_array_equal(seeds.generate_state(2), labelled.generate_state(2))


def test_every_room_takes_its_stream_from_the_stages() -> None:
    """A spawn key written elsewhere could be another stage's."""
    keyed = [path for path in ROOM.rglob("*.py") if re.search(r"spawn_key|\bSTAGE\b", path.read_text(encoding="utf-8"))]
    assert [path.relative_to(ROOM).as_posix() for path in keyed] == ["runtime/random_stages.py"]
