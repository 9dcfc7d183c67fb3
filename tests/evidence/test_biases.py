"""Biases by name: off is the model without, on is the model moved by a known amount, and answers are free of it."""

import copy
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bayes_bm.checks.direct_indirect import keep_studies
from bayes_bm.checks.family_priors import of_family
from bayes_bm.estimands.compare import compare
from bayes_bm.estimands.labels import prior_and_posterior
from bayes_bm.estimands.quantities import survival
from bayes_bm.estimands.who import AverageStudy, Study
from bayes_bm.evidence import biases
from bayes_bm.evidence.audit import audit, bias_rows
from bayes_bm.inference.fit import fit
from bayes_bm.inference.log_likelihood import pointwise_log_likelihood
from bayes_bm.inference.prior_result import prior_result
from bayes_bm.inference.result import load
from bayes_bm.model.design import make_design
from bayes_bm.model.pymc_graph.build import build_model
from bayes_bm.runtime.errors import InputError
from bayes_bm.validation.simulation.world import simulate
from tests.builders import graphs, posteriors, worlds
from tests.builders.graphs import log_density, model_of, random_point, values
from tests.builders.worlds import normal

WHY = {"why": "test"}
TABLES = copy.deepcopy(worlds.TABLES)
for row in TABLES["arms"]:
    stated = {
        "s1": {"year": 2001, "share_necrosis": 0.25},
        "m1": {"year": 2019, "share_necrosis": 0.5},
        "l1": {"year": 2015},
    }
    row.update(stated.get(row["study"], {}))
ON: dict[str, dict[str, Any]] = {
    "single_arm": {},
    "small_study": {},
    "year": {"centre": 2020},
    "mixed_population": {},
    "lesions": {},
}


def world(**terms: dict[str, Any]):
    spec = worlds.spec(bias={name: {**ON[name], **term} for name, term in terms.items()})
    return spec, worlds.evidence(spec, TABLES)


def by_arm(spec: Any, evidence: Any) -> dict[tuple[str, str], list[float]]:
    keys = zip(evidence.arms["study"], evidence.arms["arm"], strict=True)
    return dict(zip(keys, make_design(spec, evidence).arm_bias.tolist(), strict=True))


# ------------------------------------------------------------------------------------------------ which rows, how much


def test_amounts_are_those_worked_out_by_hand() -> None:
    spec, evidence = world(**{name: {"value": {"value": 0.1, **WHY}} for name in ON})
    found = by_arm(spec, evidence)
    # s1 holds a and c, c1 and p1 a and b; b and c are compared
    assert [key[0] for key, row in sorted(found.items()) if row[0]] == ["l1", "m2", "m3", "m4", "s2"]
    assert found["m1", "x"][0] == 0
    assert found["s2", "x"][1] == pytest.approx(np.sqrt(20 / 25))
    assert found["m1", "x"][1] == 0
    # 36 lesions of 30 patients weigh 36 / (1 + 0.2 * 0.3)
    assert found["l1", "x"][1] == pytest.approx(np.sqrt(20 / (36 / 1.06)))
    assert found["s1", "x"][2] == pytest.approx(-1.9)
    assert found["m1", "x"][2] == pytest.approx(-0.1)
    assert found["s2", "x"][2] == 0
    assert (found["s1", "y"][3], found["m1", "x"][3], found["m2", "x"][3]) == (0.25, 0.5, 0.0)
    assert found["l1", "x"][4] == pytest.approx(np.log(1.2))
    assert sum(row[4] != 0 for row in found.values()) == 1
    ratios = make_design(spec, evidence).hr_bias
    table = evidence.hazard_ratios
    assert (ratios[:, [0, 2, 3, 4]] == 0).all()
    # b v a and c v a move by 2 se / sqrt(n) in units of 20 patients; c v b is between two of the compared
    against_a = (table["reference"] == "a").to_numpy()
    assert ratios[against_a, 1] == pytest.approx(table["se"][against_a].to_numpy(float) * np.sqrt(20) / 2)
    assert (ratios[~against_a, 1] == 0).all()


def test_treatments_and_arms_may_be_named() -> None:
    spec, evidence = world(
        single_arm={"value": {"value": 0.1, **WHY}, "treatments": ["a", "c"]},
        year={"value": {"value": 0.1, **WHY}, "acts_on": [{"study": "s1", "arm": "y", **WHY}]},
    )
    found = by_arm(spec, evidence)
    assert [key[0] for key, row in sorted(found.items()) if row[0]] == ["m1", "m3", "m4"]
    assert [key for key, row in found.items() if row[1]] == [("s1", "y")]


def test_arms_keep_their_amounts_where_they_are_fitted_apart() -> None:
    spec, evidence = world(single_arm={"prior": normal(0.3)})
    inside = keep_studies(evidence, studies={"s1"}, treatments={"c"})
    assert make_design(spec, inside).arm_bias.tolist() == [[0.0]]


# ------------------------------------------------------------------------------------------------ the density


@pytest.mark.slow
def test_a_bias_of_zero_is_the_model_without_it_exactly() -> None:
    plain = worlds.spec()
    point = random_point(model_of(plain, worlds.evidence(plain, TABLES)), 3)
    without = values(plain, worlds.evidence(plain, TABLES), point)
    assert values(*world(**{name: {"value": {"value": 0.0, **WHY}} for name in ON}), point) == without
    zero = {f"bias_{name}": np.array(0.0) for name in ON}
    found = values(*world(**{name: {"prior": normal(0.3)} for name in ON}), point | zero)
    assert found[0] == without[0]
    assert found[1] - without[1] == pytest.approx(5 * (-0.5 * np.log(2 * np.pi) - np.log(0.3)), abs=1e-9)


@pytest.mark.slow
def test_a_fixed_bias_is_the_same_number_drawn_and_a_shift_of_the_level() -> None:
    plain = worlds.spec()
    point = random_point(model_of(plain, worlds.evidence(plain, TABLES)), 3)
    fixed = values(*world(single_arm={"value": {"value": -0.4, **WHY}}), point)
    drawn = values(*world(single_arm={"prior": normal(0.3)}), point | {"bias_single_arm": np.array(-0.4)})
    assert drawn[0] == pytest.approx(fixed[0], abs=1e-10)
    everywhere = [{"study": row["study"], **WHY} for row in TABLES["arms"]]
    of_all = {"acts_on": everywhere, "treatments": ["a", "b", "c"], "value": {"value": -2.0, **WHY}, "centre": 2010}
    dated = copy.deepcopy(TABLES)
    for row in dated["arms"]:
        row["year"] = 2012
    spec = worlds.spec(bias={"year": of_all})
    # every arm is 0.2 decades after the centre: eta falls by 0.4, as if the intercept did
    moved = {**point, "intercept": point["intercept"] - 0.4}
    assert values(spec, worlds.evidence(spec, dated), point)[0] == pytest.approx(
        values(plain, worlds.evidence(plain, dated), moved)[0], abs=1e-9
    )


@pytest.mark.slow
def test_numpy_and_the_graph_agree_term_by_term() -> None:
    spec, evidence = world(**{name: {"prior": normal(0.3)} for name in ON})
    found = posteriors.result(spec, evidence, bias=[-0.4, 0.3, 0.2, 0.5, -0.6])
    model = build_model(spec, evidence)
    terms = pointwise_log_likelihood(found.predictors)
    posterior, shape = found.posterior.isel(chain=0, draw=0), found.inputs.design
    point = graphs.start(model)
    for name in point:
        plain = name.removesuffix("_log__")
        if plain in posterior:
            value = posterior[plain].to_numpy()
            point[name] = np.log(value) if name.endswith("_log__") else value
    for name, sd in (("study_effect", "study_sd"), ("study_log_shape", "study_shape_sd")):
        point[f"{name}_standard"] = (posterior[name] / posterior[sd]).to_numpy()
    scaled = (posterior["study_treatment_effect"] / posterior["study_treatment_sd"]).to_numpy()
    point["study_treatment_effect_standard"] = np.linalg.solve(shape.pair_factor, scaled)
    for name in ON:
        point[f"bias_{name}"] = posterior["bias"].sel(bias_term=name).to_numpy()
    whole = float(sum(terms[name].isel(chain=0, draw=0).sum() for name in terms))
    assert log_density(model, point, variables=model.observed_RVs) == pytest.approx(whole, abs=1e-8)


def test_answers_are_for_a_study_without_the_bias() -> None:
    spec, evidence = world(single_arm={"value": {"value": -0.4, **WHY}}, year={"prior": normal(0.3)})
    plain = worlds.spec()
    on = posteriors.result(spec, evidence)
    off = posteriors.result(plain, worlds.evidence(plain, TABLES))
    for who in (AverageStudy(), Study("m2")):
        for name in ("study_treatment_effect", "study_effect", "log_hr", "intercept"):
            off.posterior[name] = on.posterior[name]
        one, other = survival(on, [12.0], who=who), survival(off, [12.0], who=who)
        assert one.to_numpy() == pytest.approx(other.to_numpy(), abs=1e-12)
    # the arm's own law, which its printed numbers speak about, has it
    eta = on.predictors.at_centres.eta - on.predictors.draws.bias @ on.inputs.design.arm_bias.T
    assert np.abs(on.predictors.at_centres.eta - eta).max() > 0.3


# ------------------------------------------------------------------------------------------------ recovery


def simulated(bias_size: float, *, seed: int = 3) -> dict[str, list[dict[str, Any]]]:
    """Patients of eight studies with both arms and eight with b alone, whose log hazard is moved; exponential."""
    rng = np.random.default_rng(seed)
    rows = []
    for study in range(16):
        for treatment in "ab" if study < 8 else "b":
            level = -0.5 * (treatment == "b") + (bias_size if study >= 8 else 0.0) + 0.1 * rng.standard_normal()
            time = 12 * rng.exponential(np.exp(-level), 150)
            for value in time:
                known = {"time": min(value, 36.0), "event": int(value < 36)}
                rows.append({"study": f"{study:02d}", "arm": treatment, "treatment": treatment, **known})
    return {"patients": rows}


@pytest.mark.slow
def test_a_known_bias_is_recovered_and_the_answer_is_free_of_it() -> None:
    tables = simulated(-0.6)
    changes = {"treatments": {"reference": "a", "compare": ["b"]}, "sampling": {"draws": 500, "tune": 500, "chains": 2}}
    changes["effects"] = {"study": {"sd": worlds.half_normal(0.3)}}
    spec = worlds.spec(**changes, bias={"single_arm": {"prior": normal(1.0)}})
    found = fit(spec, worlds.evidence(spec, tables), cores=1)
    size = found.posterior["bias"].sel(bias_term="single_arm")
    # sampling error of 8 x 150 events against as many, beside a spread of 0.1 between 8 studies on either side
    assert float(size.mean()) == pytest.approx(-0.6, abs=3 * 0.08)
    assert 0.03 < float(size.std()) < 0.15
    effect = found.posterior["log_hr"].sel(treatment="b")
    assert float(effect.mean()) == pytest.approx(-0.5, abs=3 * 0.06)
    assert bias_rows(spec, found.evidence)["source"].tolist() == [biases.LEVELS]


# ------------------------------------------------------------------------------------------------ what is said


def test_prior_only_where_treatments_explain_it() -> None:
    alone = {
        "arms": [
            {"study": name, "arm": "x", "treatment": treatment, "endpoint": "os", "n": 30, "year": year}
            for name, treatment, year in (("m", "a", 2000), ("n", "a", 2000), ("o", "b", 2010), ("p", "b", 2010))
        ],
        "medians": [{"study": name, "arm": "x", "endpoint": "os", "median": 9.0} for name in "mnop"],
    }
    terms = {"single_arm": {"prior": normal(0.3)}, "year": {"prior": normal(0.1), "centre": 2020}}
    spec = worlds.spec(treatments={"reference": "a", "compare": ["b"]}, bias=terms)
    evidence = worlds.evidence(spec, alone)
    assert bias_rows(spec, evidence)["source"].tolist() == [biases.PRIOR_ONLY, biases.PRIOR_ONLY]
    apart = copy.deepcopy(alone)
    apart["arms"][1]["year"] = 2005
    assert bias_rows(spec, worlds.evidence(spec, apart))["source"].tolist() == [biases.PRIOR_ONLY, biases.LEVELS]
    said = [note for note in audit(spec, evidence).notes if note.startswith("Bias")]
    assert said[0] == (
        "Bias single_arm, prior normal(mean 0, sd 0.3): acts on arms of o; p. Informed by: prior only."
        " Answers are for a study without it."
    )


@pytest.mark.slow
def test_what_informs_a_bias_depends_on_free_levels() -> None:
    for exchangeable, source in ((True, biases.LEVELS), (False, biases.PRIOR_ONLY)):
        level = {"sd": worlds.half_normal(0.5)} if exchangeable else {"exchangeable": False}
        spec = worlds.spec(effects__study=level, bias={"year": {"prior": normal(0.3), "centre": 2020}})
        assert bias_rows(spec, worlds.evidence(spec, TABLES))["source"].tolist() == [source]
    spec, evidence = world(small_study={"prior": normal(0.3)})
    assert bias_rows(spec, evidence)["source"].tolist() == [biases.CONTRASTS]
    assert bias_rows(spec, evidence)["ratios"].tolist() == [3]


@pytest.mark.slow
def test_prior_and_posterior_stand_together_and_are_stored(tmp_path) -> None:
    spec, evidence = world(single_arm={"prior": normal(0.3)}, year={"value": {"value": 0.1, **WHY}})
    found = posteriors.result(spec, evidence)
    rows = {row["parameter"]: row for row in prior_and_posterior(found)}
    assert rows["bias[single_arm]"]["prior_sd"] == pytest.approx(0.3)
    assert "bias[year]" not in rows
    again = load(found.save(tmp_path / "r.nc"))
    assert np.array_equal(again.predictors.draws.bias, found.predictors.draws.bias)
    assert np.array_equal(again.inputs.design.arm_bias, found.inputs.design.arm_bias)
    drawn = prior_result(spec, draws=4000).posterior["bias"].sel(bias_term="single_arm")
    assert float(drawn.std()) == pytest.approx(0.3, rel=0.05)


def test_a_family_of_times_has_the_mirror_image() -> None:
    spec, _ = world(single_arm={"prior": normal(0.3, mean=-0.2)}, year={"value": {"value": 0.1, **WHY}})
    other = of_family(spec, "lognormal").modelled_biases
    assert (other["single_arm"].prior.mean, other["single_arm"].prior.sd) == (0.2, 0.3)
    assert other["year"].value.value == -0.1


# ------------------------------------------------------------------------------------------------ clocks


@pytest.mark.slow
def test_a_clock_of_a_treatment_moves_all_its_arms_that_do_not_say_theirs() -> None:
    given = {"value": {"value": 2.0, **WHY}, "treatments": ["a"]}
    spec = worlds.spec(bias={"immortal_time": given})
    arms = worlds.evidence(spec, TABLES).arms
    assert (arms.loc[arms["treatment"] == "a", "entry"] == 2.0).all()
    plain = worlds.evidence(worlds.spec(), TABLES).arms
    assert (arms["entry"] == plain["entry"])[(arms["treatment"] != "a").to_numpy()].all()
    # b says its own in some arms; those stay, and only named ones are refused
    of_b = worlds.evidence(worlds.spec(bias={"immortal_time": {**given, "treatments": ["b"]}}), TABLES).arms
    found = dict(zip(of_b["study"] + of_b["arm"], of_b["survived_to"], strict=True))
    assert (found["s2x"], found["p1y"], found["l1x"], found["m1x"]) == (
        2.0,
        3.0,
        2.0,
        pytest.approx(np.nan, nan_ok=True),
    )


@pytest.mark.slow
def test_a_clock_that_is_stated_in_the_spec_is_that_of_the_table() -> None:
    chosen = [{"study": "m1", **WHY}, {"study": "c1", "arm": "x", **WHY}]
    for name, column in (("immortal_time", "survived_to"), ("clock_shift", "clock_shift")):
        spec = worlds.spec(bias={name: {"value": {"value": 2.0, **WHY}, "acts_on": chosen}})
        written = copy.deepcopy(TABLES)
        for row in written["arms"]:
            if row["study"] == "m1" or (row["study"], row["arm"]) == ("c1", "x"):
                row[column] = 2.0
        plain = worlds.spec()
        point = random_point(model_of(plain, worlds.evidence(plain, TABLES)), 3)
        found = values(spec, worlds.evidence(spec, TABLES), point)
        assert found == values(plain, worlds.evidence(plain, written), point)
        assert found != values(plain, worlds.evidence(plain, TABLES), point)


# ------------------------------------------------------------------------------------------------ refusals

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"single_arm": {}}, "exactly one of prior"),
    ({"single_arm": {"prior": normal(1.0), "value": {"value": 1.0, **WHY}}}, "found both"),
    ({"year": {"prior": normal(1.0)}}, "bias.year.centre"),
    ({"single_arm": {"prior": normal(1.0), "centre": 1.0}}, "bias.single_arm.centre"),
    ({"single_arm": {"prior": normal(1.0), "treatments": ["d"]}}, "found d; allowed: a, b, c"),
    ({"immortal_time": {"value": {"value": 1.0, **WHY}}}, "bias.immortal_time: give treatments or acts_on"),
    (
        {"clock_shift": {"prior": normal(1.0), "acts_on": [{"study": "m1", **WHY}]}},
        "a prior on times of 0 or more",
    ),
    ({"clock_shift": {"value": {"value": -1.0, **WHY}, "acts_on": [{"study": "m1", **WHY}]}}, "found -1.0"),
    (
        {"clock_shift": {"value": {"value": 1.0, **WHY}, "acts_on": [{"study": "m2", **WHY}]}},
        "whose clock_shift is 1.5",
    ),
    ({"single_arm": {"prior": normal(1.0), "acts_on": [{"study": "zz", **WHY}]}}, "zz, of which nothing is in use"),
    ({"single_arms": {"prior": normal(1.0)}}, "did you mean single_arm?"),
]


@pytest.mark.parametrize(("terms", "words"), REFUSED)
def test_what_cannot_be_is_refused_with_what_can(terms: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        spec = worlds.spec(bias=terms)
        worlds.evidence(spec, TABLES)
    assert words in str(caught.value)


def test_evidence_read_without_the_bias_is_refused() -> None:
    spec, _ = world(single_arm={"prior": normal(0.3)})
    with pytest.raises(InputError, match="read without this bias"):
        make_design(spec, worlds.evidence(worlds.spec(), TABLES))


def test_worlds_with_biases_are_not_built() -> None:
    spec, _ = world(single_arm={"prior": normal(0.3)})
    with pytest.raises(InputError, match="such worlds are not built"):
        simulate(spec)


@pytest.mark.slow
def test_compare_takes_a_result_with_biases() -> None:
    spec, evidence = world(small_study={"prior": normal(0.3)})
    found = compare(posteriors.result(spec, evidence))
    assert isinstance(found, pd.DataFrame) and "log_hazard_ratio" in set(found["estimand"])
