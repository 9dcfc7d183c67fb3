"""The section of planned studies: shown where a table of this model lies beside the result, else absent."""

import pandas as pd
import pytest

from bayes_bm.checks.kept_fits import analysis_model
from bayes_bm.report.sections.planning import planning_section, saved_plan
from bayes_bm.report.templating import render_template
from bayes_bm.updates.plan import Plan
from tests.builders import posteriors, worlds


@pytest.mark.slow
def test_a_plan_is_read_back_beside_its_result_and_of_no_other_model(tmp_path) -> None:
    spec = worlds.spec(effects={})
    result = posteriors.result(spec, worlds.evidence(spec))
    row = {"design": "trial", "treatment": "b", "reference": "a", "studies": 1, "width_now": 1.25, "width_mcse": 0.01}
    more = {"prob_excludes_1": 0.4, "prob_better_by_margin": 0.3, "prob_worse_by_margin": 0.0, "prob_mcse": 0.05}
    last = {"expected_gain": 0.2, "gain_mcse": 0.01, "method": "weights", "pareto_k": 0.3}
    rows = [{**row, **more, **last, "n": n, "expected_width": width} for n, width in ((60, 0.9), (120, 0.62))]
    plan = Plan(pd.DataFrame(rows), pd.DataFrame(), "months", 0.9, ("120 would halve it.",))
    assert saved_plan(result, tmp_path) is None
    model = analysis_model(result.spec, result.evidence)
    for digest, read in ((model, True), ("another", False)):
        plan.kept(digest).to_csv(tmp_path / "plan.csv", index=False)
        assert (saved_plan(result, tmp_path) is not None) is read
    plan.kept(model).to_csv(tmp_path / "plan.csv", index=False)
    table = saved_plan(result, tmp_path)
    assert table is not None
    section = planning_section(table)
    assert section.sentences == ["120 would halve it."]
    page = render_template("sections/planning.html.jinja", content=section)
    assert "1.25, 0.62" in page and "<svg" in page and page.count("<li>") == 1
