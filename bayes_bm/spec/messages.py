"""Pydantic's errors as one message that teaches."""

import difflib
from typing import Annotated, Any, get_args, get_origin

from pydantic import (
    BaseModel,
    ValidationError,
)

from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.document import Spec


def teach(problem: ValidationError, where: str) -> InputError:
    """One message from pydantic's list: unknown keys first, because they usually cause the rest."""
    errors = problem.errors(include_url=False)
    error = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    path = ".".join(str(part) for part in error["loc"] if part not in _DISTS)
    if error["type"] == "extra_forbidden":
        key, known = str(error["loc"][-1]), _known_keys(error["loc"][:-1])
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {near[0]}?" if near else ""
        return InputError(f"{where}, {path}", found="an unknown key", allowed=", ".join(known) or None, hint=hint)
    if error["type"] == "missing":
        return InputError(f"{where}, {path}", found="nothing", hint=f"this key is required{_why_hint(path)}")
    message = error["msg"].removeprefix("Value error, ")
    found = None if error["type"] == "value_error" else repr(error.get("input"))[:80]
    return InputError(f"{where}, {path}" if path else where, found=found, hint=message)


def _why_hint(path: str) -> str:
    return ": every prior and every choice says why" if path.endswith("why") else ""


_DISTS = ("normal", "half_normal", "student_t", "half_student_t", "exponential", "gamma", "log_normal", "uniform")


def _known_keys(loc: tuple) -> list[str]:
    """Keys allowed at a place of the document."""
    return sorted(set(_fields_at(Spec, loc)))


def _fields_at(annotation: Any, loc: tuple) -> list[str]:
    """Walk annotations along a pydantic location; a tagged union puts its tag into the location."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        named = {field.alias or name: field.annotation for name, field in annotation.model_fields.items()}
        if not loc:
            return [name for name in named if name != "folder"]
        return _fields_at(named[loc[0]], loc[1:]) if loc[0] in named else []
    arguments = [argument for argument in get_args(annotation) if argument is not type(None)]
    if get_origin(annotation) in (dict, tuple):
        return _fields_at(arguments[-1] if get_origin(annotation) is dict else arguments[0], loc[1:])
    if get_origin(annotation) is Annotated:
        return _fields_at(arguments[0], loc)
    tagged = [member for member in arguments if loc and _tag(member) == loc[0]]
    return [key for member in tagged or arguments for key in _fields_at(member, loc[1:] if tagged else loc)]


def _tag(annotation: Any) -> str | None:
    dist = getattr(annotation, "model_fields", {}).get("dist")
    return get_args(dist.annotation)[0] if dist is not None else None
