"""Splits of nodes: which can be split, and direct and indirect estimates against inverse-variance weighting by hand.

A network of printed hazard ratios with fixed effects is a linear normal model, so its posterior is known exactly.
"""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bayes_bm.checks import node_splitting
from bayes_bm.checks.deviance import deviance
from bayes_bm.checks.node_splitting import (
    comparisons,
    fit_quality,
    node_splits,
    split_rows,
    split_world,
    unrelated_world,
)
from bayes_bm.cli.app import main
from bayes_bm.evidence.records import Evidence
from bayes_bm.inference.log_likelihood import pointwise_log_likelihood
from bayes_bm.runtime.errors import GateRefused, InputError
from bayes_bm.spec.document import Spec
from tests.builders import posteriors, worlds
from tests.builders.networks import FIXED, FREE, LOOP, VAGUE, counts, exact, net, ratios

Row = dict[str, Any]


# ------------------------------------------------------------------------------------------------ which


def split_of(**studies: str) -> dict[str, bool]:
    table = comparisons(*net(counts(**studies)))
    return {row["reference"] + row["treatment"]: row["split"] for row in table.to_dict("records")}


def test_a_loop_of_three_studies_splits_everywhere() -> None:
    assert split_of(one="ab", two="bc", three="ac") == {"ab": True, "ac": True, "bc": True}


def test_a_loop_inside_one_study_cannot_disagree_with_itself() -> None:
    assert split_of(one="abc") == {"ab": False, "ac": False, "bc": False}
    assert split_of(one="abc", two="abc", three="ab") == {"ab": False, "ac": False, "bc": False}


def test_a_line_has_nothing_to_split() -> None:
    assert split_of(one="ab", two="bc", three="bc") == {"ab": False, "bc": False}


def test_a_three_armed_study_lends_its_third_side_only() -> None:
    """abc and ab: leaving out what holds both leaves a path only where the other studies make one."""
    assert split_of(one="abc", two="ac", three="cb") == {"ab": True, "ac": False, "bc": False}
    assert split_of(one="abc", two="ad", three="db") == {
        "ab": True,
        "ac": False,
        "bc": False,
        "ad": True,
        "bd": True,
    }


def test_why_not_is_said_and_a_pair_that_cannot_be_split_is_refused() -> None:
    spec, evidence = net(counts(one="abc", two="ac", three="cb"), **FREE)
    table = comparisons(spec, evidence).set_index(["reference", "treatment"])
    assert table.loc[("a", "c"), "why"] == "no path between them without the studies that hold both"
    with pytest.raises(InputError, match="found c v a; allowed: b v a; no path between them"):
        node_splits(spec, evidence, pairs=[("c", "a")])
    with pytest.raises(InputError, match="no study holds both"):
        node_splits(spec, evidence, pairs=[("a", "f")])
    with pytest.raises(GateRefused, match="no comparison can be split"):
        node_splits(*net(counts(one="abc"), **FREE))


# ------------------------------------------------------------------------------------------------ numbers


def bucher(rows: list[Row]) -> tuple[float, float]:
    """Inverse-variance mean and variance of log ratios."""
    y = np.array([np.log(row["hr"]) for row in rows])
    weight = np.array([row["se_log_hr"] ** -2 for row in rows])
    return float(weight @ y / weight.sum()), float(1 / weight.sum())


@pytest.mark.parametrize("compare", [["b", "c"], ["c", "b"]])
def test_direct_and_indirect_are_those_of_bucher(compare: list[str]) -> None:
    """a v b: direct by weighting ab1 and ab2; indirect is ac less bc (Bucher et al. 1997)."""
    spec, evidence = ratios(LOOP, compare, **VAGUE)
    changed, relabelled, one, alias = split_world(spec, evidence, ("b", "a"))
    mean, covariance = exact(changed, relabelled)
    names = list(mean)
    direct, variance = bucher(LOOP[:2])
    assert (one, alias) == ("b", "b (beside a)")
    assert mean[alias] == pytest.approx(direct, abs=1e-6)
    assert covariance[names.index(alias), names.index(alias)] == pytest.approx(variance, rel=1e-5)
    assert mean["b"] == pytest.approx(-0.50 - 0.10, abs=1e-6)
    assert covariance[names.index("b"), names.index("b")] == pytest.approx(0.25**2 + 0.15**2, rel=1e-5)
    assert covariance[names.index("b"), names.index(alias)] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("compare", [["b", "c"], ["c", "b"]])
def test_a_pair_without_the_reference_splits_the_later_name_whatever_the_order(compare: list[str]) -> None:
    spec, evidence = ratios(LOOP, compare, **VAGUE)
    for pair in (("c", "b"), ("b", "c")):
        changed, relabelled, one, alias = split_world(spec, evidence, pair)
        mean, _ = exact(changed, relabelled)
        assert (one, alias) == ("c", "c (beside b)")
        assert mean[alias] - mean["b"] == pytest.approx(0.10, abs=1e-6)
        assert mean["c"] - mean["b"] == pytest.approx(-0.50 - bucher(LOOP[:2])[0], abs=1e-6)


def test_a_pair_known_from_its_own_studies_alone_keeps_one_name() -> None:
    """Where every study of b is one beside a, nothing is left under the old name (and it would not be split)."""
    spec, evidence = ratios(LOOP[:3], ["b", "c"])
    changed, relabelled, _, alias = split_world(spec, evidence, ("b", "a"))
    assert changed.treatments.compare == ("c", alias)
    assert set(relabelled.treatments) == {"a", "c", alias}


def test_a_split_moves_no_number_of_the_evidence() -> None:
    spec = worlds.spec()
    evidence = worlds.evidence(spec)
    _, changed, _, alias = split_world(spec, evidence, ("b", "a"))
    for kind, table in evidence.tables().items():
        sides = [side for side in ("treatment", "reference") if side in table]
        pd.testing.assert_frame_equal(changed.tables()[kind].drop(columns=sides), table.drop(columns=sides))
    arms = changed.arms
    assert set(arms.loc[arms["treatment"] == alias, "study"]) == {"p1", "c1"}
    assert set(arms.loc[arms["treatment"] == "b", "study"]) == {"s2", "m2", "l1"}
    assert changed.hazard_ratios["treatment"].tolist() == [alias, alias, "c", "c", "c"]
    assert changed.hazard_ratios["reference"].tolist() == ["a", "a", "a", "b", "b"]


def test_rows_of_a_split_from_stated_draws() -> None:
    spec, evidence = ratios(LOOP, ["b", "c"])
    changed, relabelled, one, alias = split_world(spec, evidence, ("c", "b"))
    rng = np.random.default_rng(1)
    draws = rng.normal([-0.2, -0.5, 0.1], [0.1, 0.2, 0.3], (2, 500, 3))  # b, c, c beside b
    result = posteriors.result(changed, relabelled, draws=500, log_hr=draws)
    rows = {row["source"]: row for row in split_rows(result, ("c", "b"), one, alias)}
    flat = draws.reshape(-1, 3)
    assert rows["direct"]["mean"] == pytest.approx((flat[:, 2] - flat[:, 0]).mean())
    assert rows["indirect"]["sd"] == pytest.approx((flat[:, 1] - flat[:, 0]).std(ddof=1))
    apart = flat[:, 2] - flat[:, 1]
    assert rows["difference"]["mean"] == pytest.approx(apart.mean())
    assert rows["difference"]["p"] == pytest.approx(2 * min((apart > 0).mean(), (apart < 0).mean()))
    assert rows["direct"]["p"] is None


def test_unrelated_mean_effects_give_every_contrast_its_own_estimate() -> None:
    """b v a by ab1 and ab2, c v a by ac, c v b by bc: nothing is shared."""
    spec, evidence = unrelated_world(*ratios(LOOP, ["b", "c"], **VAGUE))
    mean, covariance = exact(spec, evidence)
    assert mean == pytest.approx({"b v a": bucher(LOOP[:2])[0], "c v a": -0.5, "c v b": 0.1}, abs=1e-5)
    np.testing.assert_allclose(covariance, np.diag([bucher(LOOP[:2])[1], 0.25**2, 0.15**2]), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("compare", [list("bcdef"), list("fdcbe")])
def test_in_a_study_with_many_arms_unrelated_effects_are_against_its_first(compare: list[str]) -> None:
    spec, evidence = unrelated_world(*net(counts(one="bcd", two="ac"), compare, **FREE))
    arms = evidence.arms.set_index(["study", "arm"])["treatment"]
    assert arms.to_dict() == {
        ("one", "b"): "a",
        ("one", "c"): "c v b",
        ("one", "d"): "d v b",
        ("two", "a"): "a",
        ("two", "c"): "c v a",
    }
    assert spec.treatments.names == ("a", "c v a", "c v b", "d v b")


def test_effective_parameters_of_a_linear_model_are_a_trace() -> None:
    """p_D = tr(X' W X cov), whatever the draws; with the exact posterior it is the number of contrasts."""
    spec, evidence = ratios(LOOP, ["b", "c"], **VAGUE)
    mean, covariance = exact(spec, evidence)
    draws = np.random.default_rng(2).multivariate_normal(list(mean.values()), covariance, (2, 3000))
    result = posteriors.result(spec, evidence, draws=3000, log_hr=draws)
    result = node_splitting.replace(result, stored_log_likelihood=pointwise_log_likelihood(result.predictors))
    found = fit_quality(result)
    x = np.array([[1, 0], [1, 0], [0, 1], [-1, 1]], dtype=float)
    weight = np.diag([row["se_log_hr"] ** -2.0 for row in LOOP])
    spread = np.cov(draws.reshape(-1, 2).T, bias=True)
    assert found["p_d"] == pytest.approx(np.trace(x.T @ weight @ x @ spread), rel=1e-9)
    assert found["p_d"] == pytest.approx(2, abs=0.1)
    table = deviance(result)
    own = np.diag(weight) * np.einsum("ij,jk,ik->i", x, spread, x)
    by_study = {row["study"]: 0.0 for row in LOOP}
    for row, share in zip(LOOP, own, strict=True):
        by_study[row["study"]] += share
    assert dict(zip(table["study"], table["leverage"], strict=True)) == pytest.approx(by_study, rel=1e-8)
    assert table["deviance"].sum() + table["leverage"].sum() == pytest.approx(found["dic"], rel=1e-12)
    y, centre = evidence.hazard_ratios["log_hr"].to_numpy(), draws.reshape(-1, 2).mean(axis=0)
    residual = y - x @ centre
    normalising = sum(np.log(2 * np.pi * row["se_log_hr"] ** 2) for row in LOOP)
    assert found["dic"] == pytest.approx(residual @ weight @ residual + normalising + 2 * found["p_d"], rel=1e-9)


# ------------------------------------------------------------------------------------------------ fits


def stated_fit(asked: list):
    """A fit that draws from the exact posterior."""

    def fit(spec: Spec, evidence: Evidence, *, say: Any, **sampling: Any):
        asked.append((spec.treatments.names, sampling))
        mean, covariance = exact(spec, evidence)
        draws = np.random.default_rng(3).multivariate_normal(list(mean.values()), covariance, (2, 4000))
        result = posteriors.result(spec, evidence, draws=4000, log_hr=draws)
        return node_splitting.replace(result, stored_log_likelihood=pointwise_log_likelihood(result.predictors))

    return fit


@pytest.mark.slow
def test_the_whole_table_and_that_kept_fits_are_not_redone(monkeypatch, tmp_path) -> None:
    asked: list = []
    monkeypatch.setattr(node_splitting, "fit", stated_fit(asked))
    spec, evidence = ratios(LOOP, ["b", "c"], **VAGUE)
    said: list[str] = []
    found = node_splits(spec, evidence, folder=tmp_path, sampling={"draws": 10}, progress=said.append)
    assert [len(names) for names, _ in asked] == [3, 4, 4, 4, 4]
    assert asked[0][1] == {"draws": 10}
    table = found.table.set_index(["reference", "treatment", "source"])
    assert table.loc[("a", "b", "direct"), "mean"] == pytest.approx(bucher(LOOP[:2])[0], abs=0.02)
    assert table.loc[("a", "b", "indirect"), "mean"] == pytest.approx(-0.6, abs=0.02)
    z = (bucher(LOOP[:2])[0] + 0.6) / np.sqrt(bucher(LOOP[:2])[1] + 0.25**2 + 0.15**2)
    from scipy import stats

    # one loop: every split of it asks the same question
    for pair in (("a", "b"), ("a", "c"), ("b", "c")):
        assert table.loc[(*pair, "difference"), "p"] == pytest.approx(2 * stats.norm.sf(z), abs=0.03)
    network, _ = exact(spec, evidence)
    assert table.loc[("b", "c", "network"), "mean"] == pytest.approx(network["c"] - network["b"], abs=0.02)
    assert found.models["model"].tolist() == ["consistent", "split", "split", "split", "unrelated"]
    assert found.models["p_d"].tolist() == pytest.approx([2, 3, 3, 3, 3], abs=0.1)
    assert table.loc[("a", "b", "direct"), "studies"] == 2
    again = node_splits(spec, evidence, folder=tmp_path, sampling={"draws": 10}, progress=said.append)
    assert len(asked) == 5
    pd.testing.assert_frame_equal(again.table, found.table)
    assert said[-1] == "fit 5 of 5, unrelated: kept from before"
    node_splits(spec, evidence, folder=tmp_path, sampling={"draws": 11}, pairs=[("a", "b")], unrelated=False)
    assert len(asked) == 7


@pytest.mark.slow
def test_command_writes_its_tables_and_tells_what_it_found(monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setattr(node_splitting, "fit", stated_fit([]))
    document = worlds.document(treatments={"reference": "a", "compare": ["b", "c"]}, **{**FIXED, **VAGUE})
    document["evidence"] = {"hazard_ratios": ["ratios.csv"]}
    pd.DataFrame(LOOP).to_csv(tmp_path / "ratios.csv", index=False)
    (tmp_path / "spec.toml").write_text(_toml(document))
    with pytest.raises(SystemExit) as done:
        main(["split", str(tmp_path / "spec.toml"), "--out", str(tmp_path / "out"), "--json"])
    assert done.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert {row["source"] for row in told["rows"]} == {"direct", "indirect", "difference", "network"}
    assert [row["split"] for row in told["comparisons"]] == [True, True, True]
    kept = pd.read_csv(tmp_path / "out" / "splits.csv")
    assert len(kept) == 12
    assert kept["mean"].tolist() == pytest.approx([row["mean"] for row in told["rows"]])
    assert len(pd.read_csv(tmp_path / "out" / "models.csv")) == 5
    with pytest.raises(SystemExit) as refused:
        main(["split", str(tmp_path / "spec.toml"), "--out", str(tmp_path / "out"), "--compare", "b:z"])
    assert refused.value.code == 2


def _toml(document: Row) -> str:
    """A document of plain tables as TOML; JSON's scalars and lists are TOML's."""

    def value(found: Any) -> str:
        if isinstance(found, dict):
            return "{ " + ", ".join(f"{key} = {value(item)}" for key, item in found.items()) + " }"
        return json.dumps(found)

    return "\n".join(f"{key} = {value(found)}" for key, found in document.items())
