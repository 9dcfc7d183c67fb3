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
    """Return one message from pydantic's list: unknown keys first, because they usually cause the rest."""
    errors = problem.errors(include_url=False)
    error = next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])
    path = ".".join(str(part) for part in error["loc"] if part not in _DISTS)
    if error["type"] == "extra_forbidden":
        keys = _allowed_keys(error["loc"][:-1])
        matches = difflib.get_close_matches(str(error["loc"][-1]), keys, n=1)
        hint = f"did you mean {matches[0]}?" if matches else ""
        return InputError(f"{where}, {path}", found="an unknown key", allowed=", ".join(keys) or None, hint=hint)
    if error["type"] == "missing":
        return InputError(f"{where}, {path}", found="nothing", hint=f"this key is required{_why_hint(path)}")
    message = error["msg"].removeprefix("Value error, ")
    value = None if error["type"] == "value_error" else repr(error.get("input"))[:80]
    return InputError(f"{where}, {path}" if path else where, found=value, hint=message)


def _why_hint(path: str) -> str:
    return ": every prior and every choice says why" if path.endswith("why") else ""


_DISTS = ("normal", "half_normal", "student_t", "half_student_t", "exponential", "gamma", "log_normal", "uniform")


def _allowed_keys(location: tuple[int | str, ...]) -> list[str]:
    """Return the keys allowed at a place of the document."""
    return sorted(set(_keys_inside(Spec, location)))


def _keys_inside(annotation: Any, location: tuple[int | str, ...]) -> list[str]:
    """Walk annotations along a pydantic location, and return the keys of the records that it ends in."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _keys_of_record(annotation, location)
    members = [member for member in get_args(annotation) if member is not type(None)]
    origin = get_origin(annotation)
    if origin is Annotated:
        return _keys_inside(members[0], location)
    if origin is dict:
        return _keys_inside(members[-1], location[1:])
    if origin is tuple:
        return _keys_inside(members[0], location[1:])
    return _keys_of_union(members, location)


def _keys_of_record(record: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    annotations: dict[int | str, Any] = {
        field.alias or name: field.annotation for name, field in record.model_fields.items()
    }
    if not location:
        return [str(name) for name in annotations if name != "folder"]
    return _keys_inside(annotations[location[0]], location[1:]) if location[0] in annotations else []


def _keys_of_union(members: list[Any], location: tuple[int | str, ...]) -> list[str]:
    """Return keys of all members, or of the one whose tag (`dist`) the location holds."""
    tagged = [member for member in members if location and _tag(member) == location[0]]
    rest = location[1:] if tagged else location
    return [key for member in tagged or members for key in _keys_inside(member, rest)]


def _tag(annotation: Any) -> str | None:
    dist = getattr(annotation, "model_fields", {}).get("dist")
    return get_args(dist.annotation)[0] if dist is not None else None
