"""Arms averaged over many points at many times: the compiled density sums them over nodes, the graph one by one.

Value within 1e-10 and gradient within 1e-8, from patients who are all alike to some of whom the worst die at once.
"""

from itertools import product
from unittest.mock import patch

import numpy as np
import pytest

from bayes_bm.inference.compiled.cells.transforms import NODES, WIDEST, nodes_for, pays
from bayes_bm.inference.compiled.nutpie import log_density
from bayes_bm.inference.compiled.packing import pack_problem
from bayes_bm.model.model_inputs import prepare
from tests.inference.test_compiled_density import assert_agree, graph, standard_normals
from tests.model import test_integration_points

ROWS, POINTS = 150, 512


def many_rows() -> dict[str, list[dict]]:
    """Beside the tables' few rows, two arms with patients at many times, some of them seen between two visits."""
    rng = np.random.default_rng(5)
    tables = test_integration_points.tables()
    rows = []
    for study, name, treatment in (("r1", "x", "a"), ("r1", "y", "b")):
        for time in rng.exponential(14.0, ROWS):
            event = int(rng.integers(2))
            row = {"study": study, "arm": name, "treatment": treatment, "time": round(float(time) + 0.01, 3)}
            later = {"time_upper": row["time"] + 2.0} if event and rng.random() < 0.2 else {}
            rows.append({**row, "event": event, **later})
    return {**tables, "patients": [*tables["patients"], *rows]}


@pytest.mark.slow
def test_many_rows_of_many_points_have_the_graphs_density() -> None:
    spec, evidence = test_integration_points.world(many_rows(), points=POINTS)
    inputs = prepare(spec, evidence)
    evaluate, _ = graph(spec, evidence)
    with patch("bayes_bm.inference.compiled.packing.choose_parametrization", standard_normals):
        at, data = pack_problem(inputs)
    widths = []
    for level, slope in product((-34.0, -9.0, 0.0, 3.0), (0.0, 1e-9, 0.3, 2.0)):
        x = at.start + 0.1 * np.random.default_rng(1).standard_normal(at.size)
        x[at.starts["intercept"]] = level
        for name in ("coefficient_age", "coefficient_male"):
            x[at.starts[name]] = slope
        x[at.starts["interaction_age"]] = -0.5 * slope
        wanted = evaluate(x)
        if np.isfinite(wanted[0]) and np.isfinite(wanted[1]).all():
            assert_agree(wanted, log_density(x, data))
            widths.append((level, slope))
    assert len(widths) >= 14, widths


@pytest.mark.slow
def test_nodes_are_taken_where_they_cost_less_and_reach() -> None:
    assert [int(nodes_for(width)) for width in WIDEST] == NODES.tolist()
    assert pays(ROWS, POINTS, NODES[-1])
    assert not pays(8, POINTS, NODES[0])
