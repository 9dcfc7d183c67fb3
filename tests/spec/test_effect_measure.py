"""A time ratio is never called a hazard ratio, and its better side is above 1 (docs/decisions.md, 16 and 17)."""

import math
import re
from dataclasses import replace
from html import unescape
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bayes_bm.checks import direct_indirect, node_splitting
from bayes_bm.checks.reconciliation import reconcile
from bayes_bm.estimands.compare import compare
from bayes_bm.estimands.ranking import rank
from bayes_bm.evidence.audit import audit
from bayes_bm.inference.result import Result
from bayes_bm.report import gather, page
from bayes_bm.report.answers import answer_sentences
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.effect_measure import HAZARD, TIME, contrast_measure
from tests.builders import families, worlds
from tests.builders.worlds import normal

TIMED = ("weibull_aft", "exponential_aft", "lognormal", "loglogistic", "gamma", "gengamma")


def stated(family: str, log_time_ratio: list[float], *, draws: int = 20, **more: Any) -> Result:
    """A posterior of a family whose effects on time are these numbers."""
    spec = families.spec(family, **more)
    result = families.result(spec, families.evidence(spec), draws=draws)
    effect = result.spec.hazard.treatment_effect
    values = np.broadcast_to(log_time_ratio, result.posterior[effect].shape)
    result.posterior[effect] = result.posterior[effect].copy(data=values)
    return result


@pytest.mark.parametrize("family", TIMED)
def test_the_longest_time_ranks_first(family: str) -> None:
    """b stretches time, c shrinks it: ranks b, a, c, as by restricted means."""
    result = stated(family, [0.8, -0.8])
    found = rank(result)
    assert (found.estimand, found.first, found.time) == ("log_time_ratio", "longest time", None)
    assert found.table.set_index("treatment")["mean_rank"].to_dict() == {"b": 1.0, "a": 2.0, "c": 3.0}
    assert found.table.set_index("treatment")["median"].to_dict() == pytest.approx({"b": 0.8, "a": 0.0, "c": -0.8})
    by_mean = rank(result, "rmst").table.set_index("treatment")["mean_rank"].to_dict()
    assert by_mean == {"b": 1.0, "a": 2.0, "c": 3.0}


def test_the_ratio_of_the_other_kind_of_family_is_refused() -> None:
    with pytest.raises(
        InputError, match="estimand: found log_hr; allowed: log_time_ratio, rmst, survival; the effects"
    ):
        rank(stated("lognormal", [0.8, -0.8]), "log_hr")
    with pytest.raises(InputError, match="found log_time_ratio; allowed: log_hr, rmst, survival"):
        rank(stated("weibull", [0.8, -0.8]), "log_time_ratio")


@pytest.mark.parametrize("family", ["lognormal", "gengamma"])
def test_a_contrast_of_accelerated_time_is_a_time_ratio_and_longer_is_better(family: str) -> None:
    result = stated(family, [0.5, -0.5])
    table = direct_indirect.contrast_table(result, direct_indirect.Split(None, None))
    assert not {"hr", "hr_low", "hr_high"} & set(table)
    combined = table[table["source"] == "combined"].set_index(["treatment", "reference"])
    assert combined["time_ratio"].to_dict() == pytest.approx(
        {("b", "a"): math.exp(0.5), ("c", "a"): math.exp(-0.5), ("c", "b"): math.exp(-1.0)}
    )
    assert combined["prob_better"].to_dict() == {("b", "a"): 1.0, ("c", "a"): 0.0, ("c", "b"): 0.0}
    hazards = direct_indirect.contrast_table(stated("weibull", [0.5, -0.5]), direct_indirect.Split(None, None))
    hazards = hazards[hazards["source"] == "combined"].set_index(["treatment", "reference"])
    assert "time_ratio" not in hazards
    assert hazards["prob_better"].to_dict() == {("b", "a"): 0.0, ("c", "a"): 1.0, ("c", "b"): 1.0}


def test_what_a_contrast_is_a_ratio_of() -> None:
    shape = {"priors__treatment_log_shape": normal(0.3)}
    named = {
        "weibull": "hazard ratio",
        "lognormal": "time ratio",
        "weibull+cure": "hazard ratio of the uncured",
        "lognormal+cure": "time ratio of the uncured",
    }
    assert {name: contrast_measure(families.spec(name)).name for name in named} == named
    shaped = {
        "weibull": "hazard ratio at 12 months",
        "weibull+cure": "hazard ratio of the uncured, at 12 months",
        "lognormal": "time ratio of the medians",
        "gamma": "time ratio of the means",
    }
    assert {name: contrast_measure(families.spec(name, **shape)).name for name in shaped} == shaped
    for refused in ("gompertz", "gengamma"):
        with pytest.raises(
            InputError, match=f"hazard.family = {refused}.*allowed: lognormal.*or no treatment_log_shape"
        ):
            contrast_measure(families.spec(refused, **shape))


@pytest.mark.slow
@pytest.mark.parametrize("family", ["gompertz", "gengamma"])
@pytest.mark.usefixtures("undrawn")
def test_a_ratio_that_no_one_number_holds_is_refused_before_any_fit(monkeypatch, family: str) -> None:
    for module, name in ((direct_indirect, "refit"), (node_splitting, "fit")):
        monkeypatch.setattr(module, name, lambda *_, **__: pytest.fail("it must not fit"))
    result = stated(family, [0.5, -0.5], priors__treatment_log_shape=normal(0.3))
    with pytest.raises(InputError, match="where a contrast comes from is one number only there"):
        direct_indirect.contrast_sources(result)
    with pytest.raises(InputError, match=r"priors\.treatment_log_shape"):
        node_splitting.node_splits(result.spec, result.evidence)
    if family == "gompertz":
        # the page asks the same refusal of every family, and averages of a generalised gamma take eleven seconds
        assert "Not worked out" in page.render(gathered(result, None))


def gathered(result: Result, table: pd.DataFrame | None, **more: Any) -> Any:
    found = {"audit": audit(result.spec, result.evidence), "reconciliation": reconcile(result), "contrasts": table}
    return gather.gather(result, **found, **more)


def test_a_split_says_what_it_holds(monkeypatch) -> None:
    monkeypatch.setattr(node_splitting, "_stored_or_fitted", lambda *_: {"rows": [], "model": {}})
    monkeypatch.setattr(node_splitting, "_pairs_to_split", lambda *_: [])
    for family, words in (("lognormal", "time ratio"), ("weibull", "hazard ratio")):
        spec = families.spec(family)
        assert node_splitting.node_splits(spec, families.evidence(spec)).measure == words


@pytest.mark.slow
@pytest.mark.usefixtures("unwritten")
def test_the_page_of_accelerated_time_speaks_of_time_ratios() -> None:
    """Hazard ratios are named only where they are evidence that somebody printed."""
    check = {"estimand": "hazard_ratio", "treatment": "b", "reference": "a", "value": 0.62, "source": "printed"}
    result = stated("lognormal", [0.5, -0.5], external_checks=[check])
    noise = np.random.default_rng(1).normal(0, 0.1, result.posterior["log_time_ratio"].shape)
    result.posterior["log_time_ratio"] = result.posterior["log_time_ratio"] + noise
    table = direct_indirect.contrast_table(result, direct_indirect.Split(result, result))
    html = unescape(page.render(gathered(result, table)))
    text = re.sub(
        r"\s+", " ", re.sub(r"</?[a-zA-Z][^>]*>", " ", re.sub(r"<details>.*?</details>", "", html, flags=re.DOTALL))
    )
    assert "the estimated time to death is longer with b" in text
    assert "P(time ratio > 1)" in text
    assert "Time ratios within studies" in html
    assert "P(HR < 1)" not in html
    named = [text[max(0, at.start() - 40) : at.end() + 12].lower() for at in re.finditer("hazard ratio", text, re.I)]
    evidence = r"printed|effective size|hazard ratio h\d|hazard ratio, b v a 0\.62"
    assert [where for where in named if not re.search(evidence, where)] == []
    shown = compare(result)
    row = shown[(shown["estimand"] == "time_ratio") & (shown["treatment"] == "b")].iloc[0]
    assert f"{row['median']:.2f} ({row['q2_5']:.2f} to {row['q97_5']:.2f})" in text


def test_measures_know_their_better_side() -> None:
    draws = np.array([-1.0, -0.5, 0.5])
    assert HAZARD.prob_better(draws) == pytest.approx(2 / 3)
    assert TIME.prob_better(draws) == pytest.approx(1 / 3)


@pytest.mark.slow
def test_one_treatment_and_the_words_of_its_time_ratio() -> None:
    treatments = {"reference": "a", "compare": ["b"]}
    tables = {
        "patients": worlds.TABLES["patients"],
        "arms": [row for row in worlds.TABLES["arms"] if row["study"] in ("p1", "m1")],
        "medians": [row for row in worlds.TABLES["medians"] if row["study"] == "m1"],
    }
    spec = families.spec("loglogistic", treatments=treatments)
    result = families.result(spec, worlds.evidence(spec, tables))
    for centre, words in ((-0.9, "shorter"), (0.9, "longer")):
        values = 0.01 * result.posterior["log_time_ratio"] + centre
        moved = replace(result, posterior=result.posterior.assign(log_time_ratio=values))
        table = direct_indirect.contrast_table(moved, direct_indirect.Split(moved, moved))
        first, *rest = answer_sentences(moved, contrasts=table)
        assert first.startswith(f"The estimated time to death is {words} with b than with a: time ratio")
        assert "hazard" not in " ".join([first, *rest])
