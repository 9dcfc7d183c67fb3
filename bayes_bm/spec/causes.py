"""A spec of several causes: one document, from which each cause's own spec follows (docs/competing-causes.md).

endpoint, treatments, evidence, priors, ...     what all causes share: the keys of an ordinary spec
[causes.NAME]                                   what is another for one cause: its endpoint, hazard, effects, priors
[joint]                                         what ties causes together: correlation, rows of all causes
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from bayes_bm.runtime.errors import InputError, InputErrors
from bayes_bm.runtime.toml_text import parse_toml
from bayes_bm.spec.cause_keys import Cause, Joint, Table
from bayes_bm.spec.defaults import with_defaults
from bayes_bm.spec.document import Spec
from bayes_bm.spec.messages import table_errors
from bayes_bm.spec.patches import named_patch, patched
from bayes_bm.spec.reading import find_spec, parse_spec, text_of
from bayes_bm.spec.record import Record

MOST_CAUSES = 5
"""A joint model of more causes has more correlations than studies tell of."""


@dataclass(frozen=True)
class Causes:
    """Hold a joint model's document and the spec of each cause that follows from it, in the file's order."""

    name: str
    document: Table
    specs: dict[str, Spec]
    after_others: tuple[str, ...]
    joint: Joint

    @property
    def names(self) -> tuple[str, ...]:
        """The causes, in the file's order."""
        return tuple(self.specs)

    @property
    def first(self) -> Spec:
        """The first cause's spec: what all causes share may be read from it."""
        return next(iter(self.specs.values()))

    @property
    def correlated(self) -> bool:
        """Whether levels of studies go together between causes."""
        return self.joint.correlation.stated != 0.0

    def digest(self) -> str:
        """sha256 of the document."""
        return hashlib.sha256(json.dumps(self.document, sort_keys=True).encode()).hexdigest()


def names_causes(name: str | Path) -> bool:
    """Return whether a spec, by path or shipped name, is of several causes; of what cannot be read, no."""
    try:
        file = find_spec(name)
        return "causes" in parse_toml(text_of(file), str(file))
    except InputError:
        return False


def read_causes(
    path: str | Path, *, sensitivity: str | None = None, changes: Mapping[str, Any] | None = None
) -> Causes:
    """Read a spec of several causes, apply one named sensitivity analysis and then changes, and check it.

    Parameters
    ----------
    path : str or Path
        A TOML file with `[causes.NAME]` tables, or the name of a shipped one.
    sensitivity : str, optional
        A sensitivity analysis that the file names.
    changes : mapping of str to value, optional
        New values by dotted key, such as `causes.death.hazard.family`; the value `"none"` removes a key.

    Returns
    -------
    Causes
        The document, and the spec of each cause.

    Raises
    ------
    InputError
        For what is no such file, and for keys that are unknown, missing or wrong: all of a table at once.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> causes = bb.read_causes("local_failure_and_death")
    >>> causes.names, causes.specs["death"].endpoint, causes.joint.correlation.eta
    (('local_failure', 'death'), 'os', 4.0)
    """
    file = find_spec(path)
    document = parse_toml(text_of(file), str(file))
    chosen = {} if sensitivity is None else named_patch(document, sensitivity, str(file))
    changed = patched(patched(document, chosen, where=str(file)), changes or {}, where=str(file))
    causes = parse_causes(changed, where=str(file), file=file)
    for name in document.get("sensitivity", {}) if sensitivity is None else ():
        place = f"{file}, sensitivity.{name}"
        parse_causes(patched(document, named_patch(document, name, str(file)), where=place), where=place, file=file)
    return causes


def parse_causes(document: Mapping[str, Any], *, where: str = "spec", file: Path = Path("causes.toml")) -> Causes:
    """Check a document of several causes; paths in it are relative to the folder of `file`."""
    common = deepcopy(dict(document))
    tables, joint = common.pop("causes", None), common.pop("joint", {})
    for key in ("sensitivity", "sensitivity_words"):
        common.pop(key, None)
    if not isinstance(tables, dict) or not 2 <= len(tables) <= MOST_CAUSES:
        found = f"{len(tables)} cause" if isinstance(tables, dict) and len(tables) == 1 else tables
        allowed = f"two to {MOST_CAUSES} tables [causes.NAME], each the name of a cause"
        raise InputError(f"{where}, causes", found=str(found)[:60], allowed=allowed)
    _check_common(common, where)
    own = {str(name): _record(Cause, table, f"causes.{name}", where) for name, table in cast(Table, tables).items()}
    tied = _record(Joint, joint, "joint", where)
    specs = {
        name: _spec_of(common, name, place, one, where=where, file=file)
        for place, (name, one) in enumerate(own.items())
    }
    after = tuple(name for name, one in own.items() if one.after_others is not None)
    whole = {**with_defaults(common, file), "causes": tables, "joint": joint}
    causes = Causes(specs[next(iter(specs))].name.rpartition(".")[0], whole, specs, after, tied)
    errors = [InputError(where, hint=message) for message in _contradictions(causes)]
    if errors:
        raise errors[0] if len(errors) == 1 else InputErrors(where, errors)
    return causes


def _check_common(common: Table, where: str) -> None:
    for key, hint in {
        "cause": "each [causes.NAME] is one",
        "measure": "in a joint model km informs the hazard of its cause and cif_complement 1 - F: each row as it is",
    }.items():
        if key in common:
            raise InputError(f"{where}, {key}", found="this key beside [causes]", hint=f"leave it out: {hint}")


def _record[R: Record](record: type[R], table: Any, name: str, where: str) -> R:
    try:
        return record.model_validate(table)
    except ValidationError as problem:
        raise table_errors(problem, name, where) from None


def _spec_of(common: Table, name: str, place: int, cause: Cause, *, where: str, file: Path) -> Spec:
    """The spec of one cause: the common keys with its own; a seed of its own, so that no two causes share a stream."""
    own = cause.model_dump(exclude_none=True, exclude={"after_others"})
    filled = with_defaults(common, file)
    document = with_defaults(_merged(common, own), file)
    document |= {"name": f"{filled['name']}.{name}", "cause": name, "measure": "km"}
    document["seed"] = int(common.get("seed", Spec.model_fields["seed"].default)) + place
    return parse_spec(document, where=f"{where}, causes.{name}", folder=str(file.resolve().parent))


def _merged(common: Table, own: Table) -> Table:
    """Tables joined key by key; a prior (which has a `dist`) and whatever is no table is replaced as a whole."""
    merged = deepcopy(common)
    for key, value in own.items():
        there = merged.get(key)
        joined = isinstance(value, dict) and isinstance(there, dict) and "dist" not in value
        merged[key] = _merged(cast(Table, there), cast(Table, value)) if joined else deepcopy(value)
    return merged


def _contradictions(causes: Causes) -> Iterator[str]:
    """Yield what keys of a joint model say against each other."""
    if causes.joint.first_of_all is not None and causes.after_others:
        names = ", ".join(causes.after_others)
        yield (
            f"joint.first_of_all: found beside causes.{names}.after_others; allowed: one of the two (a hazard that goes"
            " on after the others is of an endpoint that does not end with them)"
        )
    if len(causes.after_others) == len(causes.names):
        yield "causes: found after_others in every cause; allowed: in all but one (nothing would compete)"
    if len(set(causes.names) & {"any", "free of all"}):
        yield "causes: found the name any or free of all; allowed: another name"
    yield from _covariates_apart(causes)
    if not causes.correlated:
        return
    for name, spec in causes.specs.items():
        study = spec.effects.study
        if study is None or not study.exchangeable:
            yield f"joint.correlation: causes.{name} has no exchangeable study effects to correlate; say value = 0"
        elif spec.level_df is not None:
            yield f"joint.correlation: causes.{name} has study effects with heavy tails; allowed: normal ones"
    value = causes.joint.correlation.value
    if value is not None and value <= -1 / (len(causes.names) - 1):
        least = -1 / (len(causes.names) - 1)
        yield f"joint.correlation.value: found {value}; allowed: above {least:g} of {len(causes.names)} causes"


def _covariates_apart(causes: Causes) -> Iterator[str]:
    """Yield where a cause says something else of its covariates than what their coefficients are like."""
    own = {"prior", "interaction", "interaction_by"}
    common = {name: term.model_dump(exclude=own) for name, term in causes.first.covariates.items()}
    for cause, spec in causes.specs.items():
        if list(spec.covariates) != list(common):
            yield (
                f"causes.{cause}.covariates: found {', '.join(spec.covariates) or 'none'}, and"
                f" {', '.join(common) or 'none'} in another cause; allowed: the same in all: name them in [covariates]"
            )
            continue
        for name, term in spec.covariates.items():
            apart = [key for key, value in term.model_dump(exclude=own).items() if value != common[name][key]]
            if apart:
                yield (
                    f"causes.{cause}.covariates.{name}.{apart[0]}: found another value than in another cause;"
                    f" allowed: {', '.join(sorted(own))} of each cause, all else in [covariates.{name}]"
                )
