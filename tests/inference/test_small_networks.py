"""The gate on what a newcomer has: few studies, which tell next to nothing of the spread between them."""

import numpy as np
import pytest

import bayes_bm as bb
from bayes_bm.evidence.records import Evidence
from bayes_bm.inference.gate import Gate, remedy
from tests.builders import worlds


def failed(divergences: int = 0, rhat: float = 1.0, ess: float = 2000.0, bfmi: float = 0.9) -> Gate:
    rows = tuple(
        {"parameter": name, "rhat": rhat, "ess_bulk": ess, "ess_tail": ess} for name in ("log_hr[b]", "study_sd")
    )
    return Gate(rows, divergences, 8000, bfmi, 0.99, ("failed",))


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        (failed(divergences=34), "leave one effect out (effects.study), or give its sd a prior with less room"),
        (failed(bfmi=0.1), "More draws do not help"),
        (failed(rhat=1.3, ess=20), "Chains are in different places: ask for more warm-up (--tune)"),
        # 1000 x 1.3 x 400 / 200 = 2600
        (failed(rhat=1.012, ess=200), "Ask for more draws: --draws 2600"),
        (failed(rhat=1.011, ess=1000), "Ask for more draws: --draws 1500"),
        (Gate((), 9, 100, 0.9, 0.99, ("failed",)), "Divergences do not go away with more draws"),
    ],
)
def test_a_failed_gate_names_the_remedy_that_fits(gate: Gate, said: str) -> None:
    assert said in remedy(gate, 1000)


def two_studies() -> tuple[bb.Spec, Evidence]:
    """What a newcomer has: two studies of patients, both treatments in each, a level of its own with a spread."""
    rng = np.random.default_rng(11)
    rows = [
        {"study": study, "arm": arm, "treatment": arm, "time": float(time), "event": int(time < 24)}
        for study, arm, mean in [("A", "a", 12.0), ("A", "b", 17.0), ("B", "a", 12.5), ("B", "b", 18.0)]
        for time in np.minimum(rng.exponential(mean, 90), 24.0)
    ]
    spec = worlds.spec(
        treatments={"reference": "a", "compare": ["b"]},
        effects={"study": {"sd": worlds.half_normal(0.5)}},
        sampling={"cores": 1},
    )
    return spec, worlds.evidence(spec, {"patients": rows})


@pytest.mark.slow
def test_two_studies_pass_the_gate_at_the_second_try() -> None:
    """Before, both tries held the levels centred and had dozens of divergences: two studies tell next to nothing of
    the spread of their levels.
    """
    result = bb.fit(*two_studies())
    assert "2 of 2 levels" in result.provenance["centring"]
    assert result.gate.passed
    assert result.gate.divergences <= 8
    assert result.gate.first_try
    assert "at the retry 0 of 2 levels" in result.provenance["centring"]
