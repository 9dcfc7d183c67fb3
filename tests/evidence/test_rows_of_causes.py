"""Evidence of several causes: which rows speak, that an arm speaks once, and what is refused with its reason."""

from functools import partial
from typing import Any

import pytest

from bayes_bm.evidence.causes import read_causes_evidence
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.causes import read_causes
from tests.builders import causes as built
from tests.builders import worlds
from tests.builders.causes import NAMED


def refused(call: Any) -> str:
    with pytest.raises(InputError) as caught:
        call()
    return str(caught.value)


def keys(table: Any) -> list[str]:
    return sorted(set(table["study"]))


@pytest.mark.slow
def test_rows_speak_by_what_they_measure_and_every_cause_knows_their_studies() -> None:
    of = built.causes()
    evidence = built.evidence(of, built.with_patients())
    failure, death = evidence.causes["failure"], evidence.causes["death"]
    assert (keys(failure.sequences), len(death.sequences)) == (["k"], 0)
    assert keys(evidence.incidence["failure"].sequences) == ["f1", "f2"]
    assert keys(evidence.incidence["failure"].counts) == ["f3"]
    first = evidence.first_of_all
    assert (keys(first.sequences), keys(first.medians), keys(first.counts)) == (["a1"], ["a2", "a3"], ["a4"])
    joint = ["a1", "a2", "a3", "a4", "f1", "f2", "f3"]
    assert keys(death.arms) == [*joint, "p"]
    assert keys(failure.arms) == [*joint, "k", "p"]
    assert evidence.set_aside.empty
    places = evidence.arm_rows("death", evidence.incidence["failure"])
    assert death.arms["study"].iloc[places].tolist() == evidence.incidence["failure"].arms["study"].tolist()


@pytest.mark.slow
def test_an_arm_speaks_once() -> None:
    arm = {**NAMED, "study": "p", "arm": "a", "treatment": "a", "n": 12}
    rows = {
        "patients": built.patients(),
        "arms": [
            *built.ARMS,
            {**arm, "measure": "cif_complement"},
            {**arm, "endpoint": "free"},
            {**built.ARMS[1], "endpoint": "death_without"},
            {**built.ARMS[1], "endpoint": "free", "measure": None},
        ],
        "points": [
            *built.ROWS["points"],
            {"study": "p", "arm": "a", "endpoint": "local_control", "time": 12.0, "survival": 0.8},
            {"study": "p", "arm": "a", "endpoint": "free", "time": 12.0, "survival": 0.5},
            {**NAMED, "study": "f1", "endpoint": "death_without", "time": 12.0, "survival": 0.6},
            {**NAMED, "study": "f1", "endpoint": "free", "time": 12.0, "survival": 0.5},
        ],
    }
    aside = built.evidence(built.causes(), rows).set_aside
    said = sorted(zip(aside["study"], aside["reason"], strict=True))
    twice = "rows of one of its causes are used: its patients would count twice"
    assert said == [
        ("f1", "1 - F of another cause of its arm is used: its patients would count twice"),
        ("f1", twice),
        ("p", "its patients are used"),
        ("p", twice),
    ]


@pytest.mark.slow
def test_what_has_no_joint_density_is_refused_with_the_reason() -> None:
    of = built.causes(bias={"single_arm": {"prior": worlds.normal(0.5)}})
    told = refused(partial(built.evidence, of, built.ROWS))
    assert "causes.failure: found bias, beside rows of 1 - F" in told
    two = [{**arm, "overlap_group": "same"} if arm["study"] in ("k", "f1") else arm for arm in built.ARMS]
    told = refused(partial(built.evidence, built.causes(), {**built.ROWS, "arms": two}))
    assert "patients counted twice, in k: x and f1: x" in told


@pytest.mark.slow
def test_a_ratio_of_fine_and_gray_is_refused_with_the_reason() -> None:
    ratio = {"study": "k", "endpoint": "local_control", "treatment": "b", "reference": "a", "hr": 0.7, "se_log_hr": 0.3}
    rows = {**built.ROWS, "hazard_ratios": [{**ratio, "measure": "subdistribution"}]}
    told = refused(partial(built.evidence, built.causes(), rows))
    assert "k, b v a, column measure: found subdistribution, a ratio of Fine and Gray; allowed: cause_specific" in told
    assert "keeps the dead at risk" in told
    rows["hazard_ratios"] = [{**ratio, "measure": "cause_specific"}]
    assert len(built.evidence(built.causes(), rows).causes["failure"].hazard_ratios) == 1


@pytest.mark.slow
def test_shipped_rows_of_cumulative_incidence_speak() -> None:
    evidence = read_causes_evidence(read_causes("local_failure_and_death"))
    rows = evidence.incidence["local_failure"].sequences
    assert keys(rows) == [
        "MD Anderson Cs-131 tile 2025", "Terakedis 2014", "rSRS 2004-2022 series (77 pts, arXivLens)",
    ]  # fmt: skip
    assert (len(rows), len(rows.drop_duplicates(["study", "arm"]))) == (6, 4)
    assert not evidence.set_aside["reason"].str.contains("measure").any()
    # overall survival is of death whatever came before: all of its rows
    assert len(evidence.causes["death"].sequences) == 17


# ------------------------------------------------------------------------------------------------ the spec


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"causes": {"failure": {}}}, "causes: found 1 cause; allowed: two to 5 tables"),
        ({"causes": {"failure": {"endpont": "x"}, "death": {}}}, "causes.failure.endpont: found an unknown key"),
        ({"cause": "death"}, "cause: found this key beside [causes]"),
        ({"measure": "km"}, "measure: found this key beside [causes]"),
        ({"joint": {"correlation": {"why": "x"}}}, "give one of value (0: independent) and eta"),
        ({"joint": {"correlation": {"value": 1.0, "why": "x"}}}, "joint.correlation.value: found 1.0"),
        ({"effects": {}, "joint": {"correlation": {"eta": 1.0, "why": "x"}}}, "no exchangeable study effects"),
        (
            {"causes": {"failure": {"after_others": "x"}, "death": {}}},
            "joint.first_of_all: found beside causes.failure",
        ),
        ({"joint": {}, "causes": {"any": {}, "death": {}}}, "found the name any"),
    ],
)
def test_wrong_keys_are_told(changes: dict[str, Any], told: str) -> None:
    assert told in refused(partial(built.causes, **changes))


def test_each_cause_has_the_common_keys_with_its_own_and_a_seed_of_its_own() -> None:
    of = built.causes(
        causes={"failure": {"priors": {"log_hr": worlds.normal(0.4)}}, "death": {"endpoint": "os"}}, joint={}
    )
    failure, death = of.specs["failure"], of.specs["death"]
    assert (failure.endpoint, death.endpoint, failure.cause, death.measure) == ("local_control", "os", "failure", "km")
    assert (failure.priors.log_hr.sd, death.priors.log_hr.sd) == (0.4, 1.0)
    assert (failure.seed, death.seed, failure.name) == (7, 8, "world.failure")
    assert not of.correlated
