"""A stored result with a part that is missing, changed or damaged is refused, and the part is named."""

import gc
import json
from collections.abc import Callable
from functools import cache
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import xarray as xr

import bayes_bm as bb
from bayes_bm.evidence.storage import read_stored_evidence, stored_evidence
from bayes_bm.inference.result import Result, read_result
from bayes_bm.inference.stored import ENGINE, SCHEMA, part_digests, required_parameters
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.reading import list_models
from tests.builders import posteriors, worlds
from tests.builders.commands import call
from tests.builders.worlds import normal

Tree = xr.DataTree


def made() -> Result:
    """With a covariate, and digests in the provenance as a fit has them."""
    spec = worlds.spec(covariates={"kps": {"prior": normal(0.5), "centre": 80.0, "scale": 10.0}})
    tables = {kind: rows for kind, rows in worlds.TABLES.items() if kind != "patients"}
    evidence = worlds.evidence(spec, tables)
    result = posteriors.result(spec, evidence)
    result.provenance.update(spec_digest=spec.digest(), evidence_digest=evidence.digest(), seed=7)
    return result


@pytest.fixture(scope="module")
def content(tmp_path_factory) -> bytes:
    return made().save(tmp_path_factory.mktemp("stored") / "r.nc").read_bytes()


@cache
def loaded(content: bytes) -> Tree:
    with xr.open_datatree(content, engine=ENGINE) as opened:
        tree = Tree.from_dict(
            {name: group.to_dataset().load().drop_encoding() for name, group in opened.children.items()}
        )
        tree.attrs = dict(opened.attrs)
        return tree


def changed_tree(content: bytes, change: Callable[[Tree], Tree | None], *, digests: bool = False) -> Tree:
    """The file's groups with one part changed; with `digests` by somebody who writes the parts' digests anew."""
    tree = loaded(content).copy(deep=True)
    tree = change(tree) or tree
    if digests:
        tree.attrs["digests"] = json.dumps(part_digests(tree))
    return tree


def changed(content: bytes, change: Callable[[Tree], Tree | None], *, digests: bool = False) -> bytes:
    """The same as a file."""
    whole: Any = changed_tree(content, change, digests=digests).to_netcdf(engine=ENGINE)
    return bytes(whole)


def group(tree: Tree, name: str, change: Callable[[xr.Dataset], xr.Dataset]) -> Tree:
    tree[name] = Tree(change(tree[name].to_dataset()))
    return tree


def attributed(tree: Tree, name: str, value: Any) -> Tree:
    tree.attrs[name] = value
    return tree


def without(name: str, variable: str) -> Callable[[Tree], Tree]:
    return lambda tree: group(tree, name, lambda dataset: dataset.drop_vars(variable))


def with_draw(value: float) -> Callable[[Tree], Tree]:
    def change(posterior: xr.Dataset) -> xr.Dataset:
        posterior["log_hr"].values[0, 0, 0] = value
        return posterior

    return lambda tree: group(tree, "posterior", change)


def with_text(name: str, text: str) -> Callable[[Tree], Tree]:
    return lambda tree: attributed(tree, name, text)


def with_json(name: str, **values: Any) -> Callable[[Tree], Tree]:
    return lambda tree: attributed(tree, name, json.dumps({**json.loads(tree.attrs[name]), **values}))


def without_attribute(name: str) -> Callable[[Tree], None]:
    return lambda tree: tree.attrs.pop(name) and None


def without_group(name: str) -> Callable[[Tree], Tree]:
    return lambda tree: tree.drop_nodes(name)


def without_key(name: str, key: str) -> Callable[[Tree], Tree]:
    def change(tree: Tree) -> Tree:
        document = json.loads(tree.attrs[name])
        del document[key]
        return attributed(tree, name, json.dumps(document))

    return change


def with_evidence(name: str, text: str) -> Callable[[Tree], Tree]:
    def change(evidence: xr.Dataset) -> xr.Dataset:
        return evidence.assign({name: ((), np.array(text, dtype=object), evidence[name].attrs)})

    return lambda tree: group(tree, "evidence", change)


def another_spec(**values: Any) -> Callable[[Tree], Tree]:
    return with_json("spec", **values)


TREATMENTS = {"reference": "b", "compare": ["a", "c"]}
HAZARD = {"family": "loglogistic"}
DAMAGES: dict[str, tuple[Callable[[Tree], Tree | None], str]] = {
    "posterior gone": (without_group("posterior"), "posterior"),
    "evidence gone": (without_group("evidence"), "evidence"),
    "log_hr gone": (without("posterior", "log_hr"), "posterior, log_hr"),
    "intercept gone": (without("posterior", "intercept"), "posterior, intercept"),
    "log_shape gone": (without("posterior", "log_shape"), "posterior, log_shape"),
    "coefficient gone": (without("posterior", "coefficient"), "posterior, coefficient"),
    "a draw is NaN": (with_draw(np.nan), "posterior, log_hr"),
    "a draw is infinite": (with_draw(np.inf), "posterior, log_hr"),
    "treatments renamed": (
        lambda tree: group(tree, "posterior", lambda ds: ds.assign_coords(treatment=["c", "b"])),
        "posterior, log_hr, treatment",
    ),
    "dims exchanged": (
        lambda tree: group(tree, "posterior", lambda ds: ds.transpose("draw", "chain", ...)),
        "posterior, ",
    ),
    "no draws": (lambda tree: group(tree, "posterior", lambda ds: ds.isel(draw=slice(0))), "posterior, "),
    "arms gone": (without("evidence", "arms"), "evidence"),
    "medians gone": (without("evidence", "medians"), "evidence"),
    "digests gone": (without("evidence", "digests"), "evidence"),
    "arms no JSON": (with_evidence("arms", "{"), "evidence"),
    "arms of other columns": (with_evidence("arms", '{"x": [1]}'), "evidence"),
    "medians of another number": (with_evidence("counts", '{"arm_row": [], "events": [3.0]}'), "evidence"),
    "gate gone": (without_attribute("gate"), "gate"),
    "gate no JSON": (with_text("gate", "{"), "gate"),
    "gate empty": (with_text("gate", "{}"), "gate"),
    "gate with a key more": (with_json("gate", colour="red"), "gate"),
    "gate with a key less": (without_key("gate", "rows"), "gate"),
    "provenance gone": (without_attribute("provenance"), "provenance"),
    "provenance no JSON": (with_text("provenance", "{'"), "provenance"),
    "provenance a list": (with_text("provenance", "[1]"), "provenance"),
    "provenance of other evidence": (with_json("provenance", evidence_digest="0" * 64), "digest of the evidence"),
    "provenance of another spec": (with_json("provenance", spec_digest="0" * 64), "digest of the spec"),
    "spec no JSON": (with_text("spec", "{"), "spec"),
    "spec deep": (with_text("spec", "[" * 100_000), "spec"),
    "spec of another reference": (another_spec(treatments=TREATMENTS), "digest of the spec"),
    "spec of another family": (another_spec(hazard=HAZARD), "spec"),
    "spec of another reference time": (another_spec(reference_time=6.0), "digest of the spec"),
}
"""What is changed, and the place that is named when the digests of the parts were written anew."""
WRITTEN = {"posterior gone", "log_hr gone", "a draw is NaN", "no draws", "arms no JSON", "gate gone", "spec deep"}
"""One of each kind goes through a file; the others are read as if a file had held them, in a tenth of the time."""
NAMED_AS_A_PART = {
    "gate",
    "provenance",
    "spec",
    "posterior",
    "evidence",
}


@pytest.mark.slow
@pytest.mark.parametrize("digests", [False, True], ids=["as damaged", "digests written anew"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damage_is_one_message_that_names_the_part(content: bytes, damage: str, digests: bool) -> None:
    change, place = DAMAGES[damage]
    with pytest.raises(InputError) as refused:
        if digests and damage in WRITTEN:
            read_result(changed(content, change, digests=True), where="r.nc")
        else:
            tree = changed_tree(content, change, digests=digests)
            with patch("bayes_bm.inference.stored.open_tree", lambda content, where: tree):
                read_result(b"", where="r.nc")
    said = str(refused.value)
    named = place if digests else ""
    assert said.startswith(f"r.nc, {named}"), said
    assert said.removeprefix("r.nc, ").startswith((*NAMED_AS_A_PART, "digest")), said
    # a document that is no spec has the messages of specs
    assert place == "spec" or ("found" in said and "allowed" in said)
    assert refused.value.exit_status == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "part"),
    [
        (without_attribute("schema"), "r.nc, schema: found an older result without a schema; allowed: 1"),
        (
            lambda tree: attributed(tree, "schema", SCHEMA + 1),
            "found 2; allowed: 1; a newer bayes-bm",
        ),
        (lambda tree: attributed(tree, "schema", "one"), "r.nc, schema: found one; allowed: 1"),
        (without_attribute("digests"), "r.nc, digests: found"),
        (with_text("digests", "{"), "r.nc, digests: found"),
        (without_attribute("spec"), "not a result of bayes-bm fit"),
    ],
)
def test_a_file_of_another_schema_is_refused_by_name(content: bytes, change: Any, part: str) -> None:
    with pytest.raises(InputError) as refused:
        read_result(changed(content, change), where="r.nc")
    assert part in str(refused.value)


@pytest.mark.slow
def test_an_undamaged_file_is_read(content: bytes) -> None:
    result = read_result(changed(content, lambda tree: None), where="r.nc")
    xr.testing.assert_identical(result.posterior.drop_attrs(), made().posterior.drop_attrs())


@pytest.mark.slow
def test_the_command_line_ends_with_2(content: bytes, tmp_path, capsys) -> None:
    file = tmp_path / "r.nc"
    file.write_bytes(changed(content, with_draw(np.nan)))
    for command in ("compare", "rank", "check"):
        assert call(command, file) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith(f"bayes-bm: {file}, posterior, log_hr: found other values than were written")


@pytest.mark.slow
def test_bytes_changed_at_random_end_in_our_message_or_in_the_same_answer(content: bytes) -> None:
    """Half of them hit what nobody reads; whatever is read is what was written."""
    rng, refused = np.random.default_rng(14), 0
    expected = made().posterior
    # a file that cannot be opened is followed by a search for garbage, which is long where tests before left much
    gc.freeze()
    for attempt in range(30):
        damaged = bytearray(content)
        if attempt % 4 == 0:
            del damaged[int(rng.integers(len(content))) :]
        for place in rng.integers(len(damaged), size=rng.integers(1, 40)) if damaged else ():
            damaged[place] = int(rng.integers(256))
        try:
            result = read_result(bytes(damaged), where="r.nc")
        except InputError:
            refused += 1
        else:
            xr.testing.assert_identical(result.posterior.drop_attrs(), expected.drop_attrs())
    assert refused > 20


@pytest.mark.slow
@pytest.mark.parametrize("model", [path.stem for path in list_models()])
def test_stored_evidence_of_every_shipped_model_keeps_its_digest(model: str) -> None:
    evidence = bb.read_evidence(bb.read_spec(model))
    assert read_stored_evidence(stored_evidence(evidence)).digest() == evidence.digest()


def test_required_parameters_are_those_of_the_spec() -> None:
    spec = made().spec
    assert required_parameters(spec) == {
        "log_hr": ("treatment",),
        "intercept": (),
        "log_shape": (),
        "coefficient": ("covariate",),
    }
