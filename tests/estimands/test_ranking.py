"""Ranks: every one with its probability, against counting draw by draw; ties are shared, order changes nothing."""

import json
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from bayes_bm.cli.app import main
from bayes_bm.estimands.quantities import rmst, survival
from bayes_bm.estimands.ranking import rank, rank_probabilities, standings, sucra
from bayes_bm.estimands.who import NewHospital, NewStudy
from bayes_bm.inference.result import Result
from bayes_bm.report.plots.ranking import ranks_figure
from bayes_bm.runtime.errors import InputError
from tests.builders import posteriors, worlds
from tests.builders.laws import normal_density


def stated(log_hr: Any, **changes: Any) -> Result:
    spec = worlds.spec(**changes)
    draws = np.asarray(log_hr, dtype=float)[None]
    return posteriors.result(spec, worlds.evidence(spec), chains=1, draws=draws.shape[1], log_hr=draws)


def by_hand(values: np.ndarray) -> np.ndarray:
    """P(rank) by sorting every draw; ties split evenly, as fractions."""
    count = values.shape[1]
    found = [[Fraction(0)] * count for _ in range(count)]
    for draw in values.tolist():
        order = sorted(draw)
        for at, value in enumerate(draw):
            places = [place for place, other in enumerate(order) if other == value]
            for place in places:
                found[at][place] += Fraction(1, len(places) * len(values))
    return np.array([[float(cell) for cell in row] for row in found])


def test_ranks_of_four_draws_by_hand() -> None:
    """a stands at 0. Orders, from the lowest hazard: bac, bca, acb, bac."""
    found = rank(stated([[-1, 1], [-2, -1], [2, 1], [-0.5, 0.5]]))
    table = found.probabilities.pivot(index="treatment", columns="rank", values="probability")
    assert table.loc["a"].tolist() == [0.25, 0.5, 0.25]
    assert table.loc["b"].tolist() == [0.75, 0, 0.25]
    assert table.loc["c"].tolist() == [0, 0.5, 0.5]
    rows = found.table.set_index("treatment")
    assert rows["mean_rank"].to_dict() == {"a": 2.0, "b": 1.5, "c": 2.5}
    assert rows["sucra"].to_dict() == {"a": 0.5, "b": 0.75, "c": 0.25}
    assert rows.loc["b", ["median_rank", "median"]].tolist() == pytest.approx([1.0, -0.75])
    cumulative = found.probabilities.pivot(index="treatment", columns="rank", values="cumulative")
    assert cumulative.loc["b"].tolist() == [0.75, 0.75, 1.0]
    assert found.first == "lowest hazard"


def test_against_sorting_every_draw_with_ties() -> None:
    values = np.random.default_rng(1).integers(0, 4, (300, 6)).astype(float)
    probabilities = rank_probabilities(*standings(values))
    np.testing.assert_allclose(probabilities, by_hand(values), atol=1e-12)
    np.testing.assert_allclose(probabilities.sum(axis=0), 1)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_tied_treatments_share_ranks_whatever_their_order() -> None:
    found = rank_probabilities(*standings(np.zeros((5, 4))))
    np.testing.assert_allclose(found, 0.25)
    np.testing.assert_allclose(sucra(found), 0.5)


@pytest.mark.slow
def test_independent_normals_rank_first_as_the_integral_says() -> None:
    """P(first of three) by quadrature of phi((x - m_k) / s_k) / s_k times the others' upper tails."""
    from scipy import integrate, stats

    mean, sd = np.array([0.0, -0.3, 0.4]), np.array([0.5, 0.2, 1.0])
    draws = np.random.default_rng(2).normal(mean, sd, (200_000, 3))
    first = rank_probabilities(*standings(draws))[:, 0]
    for at in range(3):
        others = [k for k in range(3) if k != at]

        def density(x: float, at: int = at, others: list[int] = others) -> float:
            tails = np.prod([stats.norm.sf(x, mean[k], sd[k]) for k in others])
            return float(normal_density(x, mean[at], sd[at]) * tails)

        assert first[at] == pytest.approx(integrate.quad(density, -8, 8)[0], abs=0.004)


def test_sucra_is_the_mean_rank_rescaled() -> None:
    found = rank(stated(np.random.default_rng(4).normal(0, 1, (50, 2)))).table
    np.testing.assert_allclose(found["sucra"], (3 - found["mean_rank"]) / 2)


def test_interval_of_the_rank_is_its_draws() -> None:
    """b is first in 98 of 100 draws: 95 % of its ranks are 1."""
    often = [[-1.0, 1.0]] * 98 + [[2.0, 1.0]] * 2
    row = rank(stated(often)).table.set_index("treatment").loc["b"]
    assert row[["median_rank", "rank_q2_5", "rank_q97_5"]].tolist() == [1, 1, 1]
    seldom = [[-1.0, 1.0]] * 90 + [[2.0, 1.0]] * 10
    assert rank(stated(seldom)).table.set_index("treatment").loc["b", "rank_q97_5"] == 3


@pytest.mark.parametrize("who", [NewStudy(), NewHospital()])
def test_survival_and_restricted_means_rank_from_the_longest(who: Any) -> None:
    result = stated(np.random.default_rng(5).normal(0, 1, (40, 2)))
    for estimand, values, settings in (
        ("survival", survival(result, [9.0], who=who).isel(time=0), {"time": 9.0}),
        ("rmst", rmst(result, 18.0, who=who), {"horizon": 18.0}),
    ):
        found = rank(result, estimand, who=who, **settings)
        draws = values.to_numpy().reshape(-1, 3)
        first = found.probabilities[found.probabilities["rank"] == 1]["probability"].to_numpy()
        np.testing.assert_allclose(first, by_hand(-draws)[:, 0], atol=1e-12)
        np.testing.assert_allclose(found.table["median"], np.median(draws, axis=0))


@pytest.mark.slow
def test_the_order_of_compare_changes_no_rank() -> None:
    draws = np.random.default_rng(6).normal(0, 1, (60, 2))
    one = rank(stated(draws)).table.set_index("treatment")
    swapped = stated(draws[:, ::-1], treatments={"reference": "a", "compare": ["c", "b"]})
    other = rank(swapped).table.set_index("treatment").loc[list(one.index)]
    numbers = [name for name in one if name != "label"]
    np.testing.assert_array_equal(one[numbers].to_numpy(), other[numbers].to_numpy())


@pytest.mark.slow
def test_what_cannot_be_ranked_is_refused_by_name() -> None:
    result = stated([[0.0, 1.0]] * 4)
    with pytest.raises(InputError, match="estimand: found median; allowed: log_hr, rmst, survival"):
        rank(result, "median")  # type: ignore[arg-type]
    free = stated([[0.0, 1.0]] * 4, effects__study={"exchangeable": False})
    assert rank(free).table["median"].tolist() == pytest.approx([0, 0, 1])  # ratios need no level
    with pytest.raises(InputError, match="free study levels"):
        rank(free, "rmst")


def test_what_was_only_compared_across_studies_is_marked() -> None:
    tables = {
        "arms": [
            {"study": study, "arm": name, "treatment": name, "endpoint": "os", "n": 40}
            for study, name in (("s", "a"), ("s", "b"), ("t", "c"))
        ],
        "medians": [
            {"study": study, "arm": name, "endpoint": "os", "median": 9.0}
            for study, name in (("s", "a"), ("s", "b"), ("t", "c"))
        ],
    }
    spec = worlds.spec()
    result = posteriors.result(spec, worlds.evidence(spec, tables), draws=40)
    labels = rank(result).table.set_index("treatment")["label"]
    assert "no side-by-side study" in labels["c"]
    assert "no side-by-side study" not in labels["a"]


def test_figure_draws_the_probabilities() -> None:
    found = rank(stated([[-1, 1], [-2, -1], [2, 1], [-0.5, 0.5]]))
    drawn = ranks_figure(found)
    assert [bar.get_height() for bar in drawn.axes[1].containers[0]] == [0.75, 0, 0.25]
    assert drawn.axes[1].get_title(loc="left") == "b"


@pytest.mark.slow
def test_command_prints_every_rank_and_never_recommends(tmp_path, capsys) -> None:
    path = stated([[-1, 1], [-2, -1], [2, 1], [-0.5, 0.5]]).save(tmp_path / "r.nc")
    with pytest.raises(SystemExit) as done:
        main(["rank", str(path), "--json", "--figure", str(tmp_path / "r.svg")])
    assert done.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["sucra"] for row in told["rows"]] == [0.5, 0.75, 0.25]
    assert told["probabilities"][3] == {"treatment": "b", "rank": 1, "probability": 0.75, "cumulative": 0.75}
    assert (told["estimand"], told["rank_1"], told["who"]) == ("log_hr", "lowest hazard", "average-study")
    assert "hides" in told["warning"]
    assert (tmp_path / "r.svg").read_text().startswith("<?xml")
    with pytest.raises(SystemExit):
        main(["rank", str(path)])
    shown = capsys.readouterr().out
    assert ["b", "0.75", "0", "0.25"] in [line.split() for line in shown.splitlines()]
    assert "hides" in shown
    assert "best" not in shown
    with pytest.raises(SystemExit) as refused:
        main(["rank", str(path), "--figure", str(tmp_path / "r.doc")])
    assert refused.value.code == 2
