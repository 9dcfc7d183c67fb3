"""Pydantic's errors as messages that teach: every error of a document, each with type, example and default."""

import difflib
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from pydantic import ValidationError

from bayes_bm.runtime.errors import InputError, InputErrors
from bayes_bm.spec.document import Spec
from bayes_bm.spec.record import Contradictions
from bayes_bm.spec.schema import alternatives, keys_at, node_at, toml_text, type_words

MOST_SHOWN = 20
"""Errors that are told; a document with more is another kind of file."""


def teach(document: Mapping[str, Any], problem: ValidationError, where: str) -> InputError:
    """Return everything that is wrong with a document, unknown keys first, because they often cause the rest."""
    faults = _all_faults(document, problem)
    unknown = [fault for fault in faults if _is_unknown(fault)]
    others = [fault for fault in faults if not _is_unknown(fault) and not _follows_from(fault, unknown)]
    errors = [error for fault in [*unknown, *others] for error in _told(fault, where)][:MOST_SHOWN]
    return errors[0] if len(errors) == 1 else InputErrors(where, errors)


def table_errors(problem: ValidationError, name: str, where: str) -> InputError:
    """Return everything that is wrong with a table of a spec that has a record of its own, such as `causes.death`."""
    faults = [{**error, "loc": (*name.split("."), *error["loc"])} for error in problem.errors(include_url=False)]
    errors = [error for fault in faults for error in _told(fault, where)][:MOST_SHOWN]
    return errors[0] if len(errors) == 1 else InputErrors(where, errors)


Fault = Mapping[str, Any]
"""One of pydantic's errors: `type`, `loc`, `msg`, `input`, `ctx`."""


def _all_faults(document: Mapping[str, Any], problem: ValidationError) -> list[Fault]:
    """Return the faults of a document, and those that pydantic finds only where what is wrong is taken out."""
    faults: list[Fault] = []
    rest = deepcopy(dict(document))
    while True:
        places = {fault["loc"] for fault in faults}
        fresh = [fault for error in problem.errors(include_url=False) if (fault := _outside(error, places)) is not None]
        faults += fresh
        removed = [_take_out(rest, fault["loc"]) for fault in fresh]
        if not any(removed):
            return faults
        try:
            Spec.model_validate(rest)
        except ValidationError as another:
            problem = another
        else:
            return faults


def _outside(error: Any, places: set[tuple[int | str, ...]]) -> Fault | None:
    """Return a fault that no earlier one explains; of contradictions those of tables where nothing was taken out."""
    if error["loc"] in places:
        return None
    found = _contradictions(error)
    if found is None or not places:
        return error
    touched = {str(place[0]) for place in places if place}
    kept = [one for one in found.found if not touched & set(one.tables)]
    return {**error, "ctx": {"error": Contradictions(kept)}} if kept else None


def _contradictions(error: Fault) -> Contradictions | None:
    reason = error.get("ctx", {}).get("error")
    return reason if isinstance(reason, Contradictions) else None


def _take_out(document: dict[str, Any], location: tuple[int | str, ...]) -> bool:
    """Remove what stands at a place, or the list that holds it; say whether there was anything."""
    table, holder, last = document, None, ""
    for part in location:
        if isinstance(part, int):
            break
        if part in table:
            holder, last = table, part
            if not isinstance(table[part], dict):
                break
            table = table[part]
        elif part in _DISTS:
            continue
        else:
            return False
    if holder is None:
        return False
    del holder[last]
    return True


def _is_unknown(fault: Fault) -> bool:
    return fault["type"] == "extra_forbidden"


def _follows_from(fault: Fault, unknown: list[Fault]) -> bool:
    """Whether a key is missing because it was misspelt beside."""
    here = fault["loc"][:-1]
    beside = [str(other["loc"][-1]) for other in unknown if other["loc"][:-1] == here]
    missing = fault["type"] == "missing"
    return missing and any(_nearest(key, keys_at(here)) == [str(fault["loc"][-1])] for key in beside)


def _nearest(key: str, keys: list[str]) -> list[str]:
    return difflib.get_close_matches(key, keys, n=1)


_DISTS = ("normal", "half_normal", "student_t", "half_student_t", "exponential", "gamma", "log_normal", "uniform")


def _told(fault: Fault, where: str) -> Iterator[InputError]:
    """Yield one message of a fault, or one of each contradiction that it holds."""
    location: tuple[int | str, ...] = fault["loc"]
    path = ".".join(str(part) for part in location if part not in _DISTS)
    place = f"{where}, {path}" if path else where
    found = _contradictions(fault)
    if found is not None:
        yield from (InputError(where, hint=one.message) for one in found.found)
    elif _is_unknown(fault):
        keys = keys_at(location[:-1])
        matches = _nearest(str(location[-1]), keys)
        hint = f"did you mean {matches[0]}? ({_facts((*location[:-1], matches[0]))})" if matches else ""
        yield InputError(place, found="an unknown key", allowed=None if matches else ", ".join(keys) or None, hint=hint)
    elif fault["type"] == "missing":
        why = "every prior and every choice says why, " if path.endswith("why") else ""
        yield InputError(place, found="nothing", hint=f"this key is required: {why}{_facts(location)}")
    elif fault["type"] == "value_error":
        yield InputError(place, hint=fault["msg"].removeprefix("Value error, "))
    else:
        yield _wrong_value(fault, place)


def _wrong_value(fault: Fault, place: str) -> InputError:
    """Return the message of a value that is not what its key may be."""
    if fault["type"] == "union_tag_invalid":
        tag, kinds = fault["ctx"]["tag"], str(fault["ctx"]["expected_tags"]).replace("'", "").split(", ")
        matches = _nearest(tag, kinds)
        hint = f"did you mean {matches[0]}?" if matches else ""
        return InputError(place, found=f'dist = "{tag}"'[:80], allowed=", ".join(kinds), hint=hint)
    facts = _facts(fault["loc"])
    if fault["type"] == "finite_number":
        facts = facts.replace("a number", "a finite number", 1)
    allowed = facts or fault["msg"].removeprefix("Input should be ")
    return InputError(place, found=repr(fault.get("input"))[:80], allowed=allowed)


def _facts(location: tuple[int | str, ...]) -> str:
    """Return what a key may be, an example and its default: `a number above 0, such as horizon = 24.0; default 24`."""
    node = node_at(location)
    if node is None:
        return ""
    key = next((str(part) for part in reversed(location) if isinstance(part, str)), "")
    examples = node.get("examples") or [example for part in alternatives(node) for example in part.get("examples", [])]
    example = f", such as {key} = {toml_text(examples[0])}" if examples else ""
    default = node.get("default")
    plain = isinstance(default, str | int | float)
    return f"{type_words(node)}{example}" + (f"; default {toml_text(default)}" if plain else "")
