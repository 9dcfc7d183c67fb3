"""Networks: who is held beside whom, what falls apart, and a picture that says so without labels on each other."""

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayes_bm as bb
from bayes_bm.evidence.audit import audit, refusals
from bayes_bm.evidence.network import network, parts_text
from bayes_bm.report.plots.network import areas, network_figure, number_places, places
from tests.builders import worlds
from tests.builders.networks import counts, net

Row = dict[str, Any]


def ratio(study: str, treatment: str, reference: str) -> Row:
    return {
        "study": study, "endpoint": "os", "treatment": treatment, "reference": reference, "hr": 0.8, "se_log_hr": 0.2
    }  # fmt: skip


def test_edges_count_studies_and_nodes_patients() -> None:
    tables = counts(one="ab", two="ab", three="abc", four="d", five="e")
    found = network(*net({**tables, "hazard_ratios": [ratio("six", "e", "d"), ratio("seven", "b", "a")]}))
    edges = found.edges.set_index(["reference", "treatment"])
    assert edges["studies"].to_dict() == {("a", "b"): 4, ("a", "c"): 1, ("b", "c"): 1, ("d", "e"): 1}
    assert edges.loc[("a", "b"), "names"] == "one; seven; three; two"
    nodes = found.nodes.set_index("treatment")
    assert nodes["studies"].to_dict() == {"a": 4, "b": 4, "c": 1, "d": 2, "e": 2, "f": 0}
    assert nodes["patients"].to_dict() == {"a": 30, "b": 60, "c": 30, "d": 40, "e": 50, "f": 0}
    assert nodes["counted"].to_dict() == {"a": 3, "b": 3, "c": 1, "d": 1, "e": 1, "f": 0}
    assert found.several.to_dict("records") == [{"study": "three", "treatments": ("a", "b", "c")}]


def test_parts_are_named_in_the_order_of_the_spec_and_silence_is_no_part() -> None:
    found = network(*net(counts(one="ac", two="be", three="ed")))
    assert found.parts == (("a", "c"), ("b", "d", "e"))
    assert not found.connected
    assert found.nodes["part"].tolist()[:5] == [1, 2, 1, 2, 2]
    assert np.isnan(found.nodes["part"].iloc[5])
    assert network(*net(counts(one="ac", two="be", three="ed", four="cd"))).connected


def test_free_levels_refuse_a_network_in_parts_and_exchangeable_ones_warn_both_naming_the_parts() -> None:
    tables = counts(one="ac", two="be", three="ed")
    free, evidence = net(tables, effects__study={"exchangeable": False})
    assert "not connected: a, c; b, d, e. Needed" in refusals(free, evidence)[0]
    spec, evidence = net(tables)
    assert refusals(spec, evidence) == []
    assert any("not connected (a, c; b, d, e)" in note for note in audit(spec, evidence).notes)
    assert parts_text([("a", "c"), ("b",)]) == "a, c; b"


@pytest.mark.parametrize("seed", range(5))
def test_parts_are_those_of_a_walk_through_the_studies(seed: int) -> None:
    """Against reachability by powers of the adjacency matrix."""
    rng = np.random.default_rng(seed)
    letters = "abcdef"
    studies = {f"s{k}": "".join(rng.choice(list(letters), 2, replace=False)) for k in range(3)}
    found = network(*net(counts(**studies)))
    joined = np.eye(6, dtype=int)
    for pair in studies.values():
        one, other = (letters.index(letter) for letter in pair)
        joined[one, other] = joined[other, one] = 1
    reach = np.linalg.matrix_power(joined, 6) > 0
    used = sorted({letters.index(letter) for pair in studies.values() for letter in pair})
    assert {frozenset(part) for part in found.parts} == {
        frozenset(letters[other] for other in used if reach[one, other]) for one in used
    }


# ------------------------------------------------------------------------------------------------ picture


def test_area_grows_with_patients_and_the_smallest_can_be_seen() -> None:
    found = areas([0, 100, 400])
    assert (found[1] - found[0]) * 4 == pytest.approx(found[2] - found[0])
    assert found[0] > 50
    assert np.ptp(areas([0, 0])) == 0


def test_nodes_stand_clockwise_from_the_top() -> None:
    four = places(4)
    np.testing.assert_allclose(four / np.hypot(*four.T)[:, None], [[0, 1], [1, 0], [0, -1], [-1, 0]], atol=1e-12)
    np.testing.assert_allclose(places(2)[:, 1], 0, atol=1e-12)


def test_numbers_of_crossing_lines_do_not_stand_on_each_other() -> None:
    """Three diameters of a hexagon meet in the middle: their numbers must not."""
    six = places(6)
    spots = np.array(number_places([(six[at], six[at + 3]) for at in range(3)]))
    apart = [np.hypot(*(one - other)) for one, other in itertools.combinations(spots, 2)]
    assert min(apart) > 0.2
    assert number_places([(six[0], six[1])])[0] == pytest.approx(tuple((six[0] + six[1]) / 2))


@pytest.mark.slow
@pytest.mark.parametrize("count", range(2, 13))
def test_labels_neither_overlap_nor_leave_the_picture(count: int) -> None:
    letters = "abcdefghijkl"[:count]
    names = {letter: f"a combination with treatment {letter}" for letter in letters}
    tables = counts(**{f"{one}{other}": one + other for one, other in itertools.combinations(letters, 2)}, all=letters)
    for rows in tables.values():
        for row in rows:
            if "treatment" in row:
                row["treatment"] = names[row["treatment"]]
    compare = [names[letter] for letter in letters[1:]]
    spec = worlds.spec(treatments={"reference": names["a"], "compare": compare})
    drawn = network_figure(network(spec, worlds.evidence(spec, tables)))
    drawn.canvas.draw()
    axes = drawn.axes[0]
    boxes = [text.get_window_extent() for text in axes.texts if "patients" in text.get_text()]
    assert len(boxes) == count
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)
    for box in boxes:
        assert box.x0 >= 0
        assert box.x1 <= drawn.bbox.width
        assert box.y0 >= 0
        assert box.y1 <= drawn.bbox.height


def test_the_picture_says_how_many_studies_and_which_have_many_arms() -> None:
    found = network(*net(counts(one="ab", two="ab", three="abc", four="d")))
    texts = [text.get_text() for text in bb.plot_network(found).texts]
    assert "3 arms: three" in texts
    assert {"3", "1"} <= set(texts)
    assert "f\nno evidence" in texts
    assert "d\n1 study\n40 patients" in texts
    empty = network(*net(counts(one="a", two="b"), compare=["b"]))
    assert "no side-by-side study" in [text.get_text() for text in bb.plot_network(empty).texts]


@pytest.mark.slow
def test_the_order_of_rows_changes_no_table() -> None:
    tables = counts(one="ab", two="bc", three="abc", four="de")
    first = network(*net(tables))
    rng = np.random.default_rng(3)
    again = network(*net({kind: [rows[at] for at in rng.permutation(len(rows))] for kind, rows in tables.items()}))
    for name in ("nodes", "edges", "several"):
        pd.testing.assert_frame_equal(getattr(first, name), getattr(again, name))
    assert first.parts == again.parts
