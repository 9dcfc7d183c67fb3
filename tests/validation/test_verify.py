"""`verify` finds what is known, and says so when it does not."""

import json

import numpy as np
import pytest

from bayes_bm.cli.app import main
from bayes_bm.hazards import FAMILIES
from bayes_bm.validation.known_answers import hazards
from bayes_bm.validation.known_answers import verify as module
from bayes_bm.validation.known_answers.record import Group, Known
from bayes_bm.validation.known_answers.verify import GROUPS, verify

CHEAP = [group for group in GROUPS if group.name.startswith(("hazard", "averages", "maximum", "nonparam", "recon"))]


@pytest.mark.slow
def test_cheap_answers_are_found() -> None:
    table = verify(groups=CHEAP)
    assert table["passed"].all(), table[~table["passed"]].to_string()
    assert len(table) > 80
    assert table["source"].str.len().min() > 0


def test_a_broken_hazard_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Weibull whose hazard forgets its shape fails in density and integral, and nothing else does."""
    right = FAMILIES["weibull"]

    def forgets(log_u, eta, shape, *, xp):
        return right.log_hazard(log_u, eta, shape, xp=xp) - shape[..., 0]

    broken = type(right)(right.name, right.effect, right.shapes, right.log_cum_hazard, forgets, right.inverse)
    monkeypatch.setattr(hazards, "FAMILIES", {**FAMILIES, "weibull": broken})
    table = verify(groups=CHEAP[:1])
    failed = table.loc[~table["passed"], "check"].tolist()
    assert failed == ["weibull: log f(0.4)", "weibull: log f(2.5)", "weibull: H(1.5)"]


def test_a_check_that_stops_has_failed_and_the_others_go_on() -> None:
    def stops():
        yield Known("first", 1.0, 1.0, 0.0, "itself")
        raise ZeroDivisionError("by nothing")

    table = verify(groups=[Group("stops", stops), CHEAP[1]])
    assert table.loc[~table["passed"], "check"].tolist() == ["stopped: ZeroDivisionError: by nothing"]
    assert not Known("no number", 1.0, np.nan, 1.0, "").passed


@pytest.mark.slow
def test_the_command_prints_numbers_and_refuses_where_one_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrong():
        yield Known("one and one", 2.0, 3.0, 0.1, "arithmetic")

    monkeypatch.setattr(module, "GROUPS", (CHEAP[1], Group("sums", wrong), Group("late", wrong, quick=False)))
    with pytest.raises(SystemExit) as done:
        main(["verify", "--quick", "--json"])
    assert done.value.code == 1
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert (document["passed"], document["failed"]) == (False, 1)
    [row] = [row for row in document["rows"] if not row["passed"]]
    assert (row["expected"], row["found"], row["tolerance"], row["source"]) == (2.0, 3.0, 0.1, "arithmetic")
    assert "sums: one and one" in printed.err

    monkeypatch.setattr(module, "GROUPS", (CHEAP[1],))
    with pytest.raises(SystemExit) as done:
        main(["verify"])
    assert done.value.code in (0, None)
    assert "known answers found" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("one_try")
def test_every_known_answer_is_found() -> None:
    """The others; the cheap ones are asked above."""
    table = verify(groups=[group for group in GROUPS if group not in CHEAP])
    assert len(table) > 20
    assert table["passed"].all(), table[~table["passed"]].to_string()
