"""Named analyses of a joint model: each is its own spec, fits are kept, and one that fails is a row."""

import pandas as pd
import pytest
import tomlkit

from bayes_bm.checks import joint_sensitivity as module
from bayes_bm.checks.joint_sensitivity import joint_sensitivity
from bayes_bm.runtime.errors import BayesBmError, InputError
from tests.builders import causes as built
from tests.builders import worlds
from tests.builders.joint_results import by_hand

ANALYSES = {
    "sceptical": {"priors.log_hr": worlds.normal(0.35)},
    "tied": {"joint.correlation": {"value": 0.4, "why": "x"}},
}


@pytest.fixture
def spec(tmp_path):
    """The world's spec and its patients as files: a table more costs each analysis of each cause as much again."""
    rows = {"patients": built.patients()}
    document = built.document(
        causes={"failure": {}, "death": {}}, sensitivity=ANALYSES, evidence={kind: f"{kind}.csv" for kind in rows}
    )
    for kind, table in rows.items():
        pd.DataFrame(table).to_csv(tmp_path / f"{kind}.csv", index=False)
    (tmp_path / "world.toml").write_text(tomlkit.dumps(document), encoding="utf-8")
    return tmp_path / "world.toml"


@pytest.mark.slow
def test_each_analysis_is_fitted_once_and_kept(spec, tmp_path, monkeypatch) -> None:
    seen = []
    made = by_hand(draws=4, rows={"patients": built.patients()})

    def fitted(causes, evidence, **sampling):
        seen.append((causes.first.priors.log_hr.sd, causes.joint.correlation.value, sampling))
        return made

    monkeypatch.setattr(module, "fit_causes", fitted)
    # no analysis changes what is read, half a second each time; the test below reads the files
    monkeypatch.setattr(module, "read_causes_evidence", lambda causes: made.evidence)
    table = joint_sensitivity(spec, tmp_path / "out", sampling={"draws": 50})
    assert seen == [(1.0, 0.0, {"draws": 50}), (0.35, 0.0, {"draws": 50}), (1.0, 0.4, {"draws": 50})]
    assert table["analysis"].unique().tolist() == ["base", "sceptical", "tied"] and set(table["state"]) == {"fitted"}
    again = joint_sensitivity(spec, tmp_path / "out", sampling={"draws": 50}, only=["tied"])
    assert len(seen) == 3 and set(again["state"]) == {"kept from before"}
    assert again["analysis"].unique().tolist() == ["base", "tied"]


@pytest.mark.slow
def test_what_fails_is_a_row_and_an_unknown_name_is_refused(spec, tmp_path, monkeypatch) -> None:
    def failing(causes, evidence, **sampling):
        raise BayesBmError("no draws")

    monkeypatch.setattr(module, "fit_causes", failing)
    table = joint_sensitivity(spec, tmp_path / "out", only=["tied"])
    assert table[["analysis", "state", "note"]].to_numpy().tolist() == [
        ["base", "failed", "no draws"], ["tied", "failed", "no draws"],
    ]  # fmt: skip
    with pytest.raises(InputError, match="--only: found nothing_such; allowed: sceptical, tied"):
        joint_sensitivity(spec, tmp_path / "out", only=["nothing_such"])
