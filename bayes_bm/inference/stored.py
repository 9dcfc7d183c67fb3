"""What a stored result must hold, checked once when it is read: nobody answers from a file with a part missing.

Every part has a digest in the file, so that a part that is gone, changed or damaged is named. Digests can be written
anew by whoever changes a file; so what must agree is compared as well: spec and evidence with the provenance, draws
with the spec.
"""

import hashlib
import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import xarray as xr

from bayes_bm.evidence.records import Evidence
from bayes_bm.runtime.errors import BayesBmError, InputError
from bayes_bm.spec.document import Spec

ENGINE: Literal["netcdf4"] = "netcdf4"
"""h5netcdf, in Python, takes eight times as long for the many small variables of a result."""
SCHEMA = 1
"""Of the file; a change in what variables mean gets the next number."""
ANEW = "make it again: bayes-bm fit SPEC --out RESULT.nc"
TEXTS = ("spec", "provenance", "gate", "gate_state")
"""Attributes of the file."""
GROUPS = ("posterior", "evidence")
"""Groups that every result has."""


@contextmanager
def readable(where: str) -> Generator[None]:
    """Turn whatever goes wrong while a part is read into one message: the libraries below have their own errors."""
    try:
        yield
    except BayesBmError:
        raise
    except Exception as problem:
        described = f"what cannot be read ({type(problem).__name__}: {str(problem)[:200]})"
        raise InputError(where, found=described, allowed="what bayes-bm fit writes", hint=ANEW) from None


def add_digests(tree: xr.DataTree) -> None:
    """Write the schema and the digests of all parts into the attributes of the tree."""
    tree.attrs |= {"schema": SCHEMA, "digests": json.dumps(part_digests(tree))}


def part_digests(tree: xr.DataTree) -> dict[str, str]:
    """Return a digest of every text, variable and coordinate, by its place."""
    texts = {name: _digest(str(tree.attrs.get(name)).encode()) for name in TEXTS}
    variables = {
        f"{group}, {name}": _variable_digest(variable)
        for group, node in tree.children.items()
        for name, variable in node.to_dataset().variables.items()
    }
    return texts | variables


def _digest(*parts: bytes) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part)
    return whole.hexdigest()[:24]


def _variable_digest(variable: xr.Variable) -> str:
    """Of dimensions, type, attributes and values."""
    values = np.asarray(variable.values)
    notes = {str(name): value for name, value in variable.attrs.items() if isinstance(value, str)}
    described = json.dumps([list(map(str, variable.dims)), list(values.shape), sorted(notes.items())])
    if values.dtype.kind in "biuf":
        return _digest(described.encode(), values.dtype.str.encode(), np.ascontiguousarray(values).tobytes())
    return _digest(described.encode(), json.dumps([str(value) for value in values.ravel()]).encode())


def read_tree(content: bytes, where: str) -> xr.DataTree:
    """Return the groups of a file of this schema. Raises `InputError` for another file, schema or a damaged part."""
    tree = open_tree(content, where)
    if "causes" in tree.attrs:
        hint = (
            "compare, incidence, report, diff and rerun answer from it; other checks read one endpoint's density, in"
            " Python that of one cause: bb.load_causes(FILE).results[NAME]"
        )
        raise InputError(where, found="a joint model of several causes", allowed="a result of one endpoint", hint=hint)
    if "spec" not in tree.attrs or not isinstance(tree.attrs["spec"], str):
        raise InputError(where, found="not a result of bayes-bm fit (no spec)", allowed=f"a result of schema {SCHEMA}")
    _check_schema(tree, where)
    with readable(f"{where}, digests"):
        written = dict(json.loads(tree.attrs["digests"]))
        _check_parts(written, part_digests(tree), where)
    for name in GROUPS:
        if name not in tree.children:
            raise InputError(f"{where}, {name}", found="no such group", allowed="the group that was written", hint=ANEW)
    return tree


def tree_bytes(tree: xr.DataTree) -> bytes:
    """Return the bytes of a file with these groups and attributes."""
    content: Any = tree.to_netcdf(engine=ENGINE)
    return bytes(content)


def open_tree(content: bytes, where: str) -> xr.DataTree:
    """Return the groups and attributes of a file, whatever it holds. Raises `InputError` for what is no such file."""
    try:
        with xr.open_datatree(content, engine=ENGINE) as opened:
            # of a tree, load() leaves coordinates without an index in the file
            tree = xr.DataTree.from_dict(
                {name: group.to_dataset().load().drop_encoding() for name, group in opened.children.items()}
            )
            tree.attrs = dict(opened.attrs)
            return tree
    except Exception as problem:
        found = f"not a result of bayes-bm fit ({str(problem)[:200]})"
    raise InputError(where, found=found, allowed="a whole file that bayes-bm fit wrote", hint=ANEW)


def _check_schema(tree: xr.DataTree, where: str) -> None:
    found = tree.attrs.get("schema")
    number = int(found) if isinstance(found, int | np.integer) else None
    if number == SCHEMA:
        return
    older = "an older result without a schema" if found is None else found
    hint = f"rules of the model have changed since: {ANEW}" if number is None or number < SCHEMA else "a newer bayes-bm"
    raise InputError(f"{where}, schema", found=older, allowed=SCHEMA, hint=hint)


def _check_parts(written: Mapping[str, str], found: Mapping[str, str], where: str) -> None:
    """Name the first part that is gone, added or changed."""
    for place in sorted(written.keys() | found.keys(), key=lambda place: (place not in written, place)):
        if written.get(place) == found.get(place):
            continue
        what = "nothing" if place not in found else "a part that was not written" if place not in written else None
        changed = "other values than were written: the file is damaged or was changed"
        raise InputError(f"{where}, {place}", found=what or changed, allowed="what was written", hint=ANEW)


def check_agreement(
    spec: Spec, evidence: Evidence, posterior: xr.Dataset, provenance: Mapping[str, Any], where: str
) -> None:
    """Refuse parts that are whole each, and not of one another."""
    digests = {"spec_digest": spec.digest(), "evidence_digest": evidence.digest()}
    for name, digest in digests.items():
        said = provenance.get(name)
        if said is not None and said != digest:
            part = name.removesuffix("_digest")
            found = f"{digest[:12]}, and the provenance says {str(said)[:12]}"
            allowed = f"the {part} that was fitted"
            raise InputError(f"{where}, digest of the {part}", found=found, allowed=allowed, hint=ANEW)
    _check_draws(spec, posterior, where)


def _check_draws(spec: Spec, posterior: xr.Dataset, where: str) -> None:
    """Every parameter that the spec always has, on its dimensions and labels, and every draw a finite number."""
    labels = {"treatment": list(spec.treatments.compare), "covariate": list(spec.covariates)}
    for name, dims in required_parameters(spec).items():
        place = f"{where}, posterior, {name}"
        if name not in posterior:
            raise InputError(place, found="no such variable", allowed=f"a parameter of {spec.hazard.family}", hint=ANEW)
        found = posterior[name].dims
        if found[:2] != ("chain", "draw") or found[2:] != dims or 0 in posterior[name].shape:
            shape = ", ".join(f"{dim} {size}" for dim, size in posterior[name].sizes.items())
            raise InputError(place, found=shape, allowed=", ".join(("chain", "draw", *dims)), hint=ANEW)
        for dim in dims:
            named = [str(label) for label in posterior[dim].values] if dim in posterior.coords else []
            if named != labels[dim]:
                found_labels, allowed = ", ".join(named) or "no labels", ", ".join(labels[dim])
                raise InputError(f"{place}, {dim}", found=found_labels, allowed=allowed, hint=ANEW)
    for name, variable in posterior.data_vars.items():
        if variable.dtype.kind not in "fiub" or not np.isfinite(variable.values).all():
            place = f"{where}, posterior, {name}"
            raise InputError(place, found="draws that are no finite numbers", allowed="finite draws", hint=ANEW)


def required_parameters(spec: Spec) -> dict[str, tuple[str, ...]]:
    """Return the parameters that every posterior of a spec has, and their dimensions after chain and draw."""
    names: dict[str, tuple[str, ...]] = {spec.hazard.treatment_effect: ("treatment",)}
    if not spec.free_levels:
        names["intercept"] = ()
    if not spec.free_shapes:
        names |= dict.fromkeys(spec.hazard.shapes, ())
    if spec.covariates:
        names["coefficient"] = ("covariate",)
    return names
