"""The schema of a spec, what it says of each key, defaults, and every error of a document told at once."""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, TypeAdapter

import bayes_bm as bb
from bayes_bm.runtime.errors import InputError, InputErrors
from bayes_bm.spec.cause_keys import Cause, Joint
from bayes_bm.spec.defaults import with_defaults
from bayes_bm.spec.document import Spec
from bayes_bm.spec.keys import KEYS
from bayes_bm.spec.priors import _Prior
from bayes_bm.spec.reading import list_models, parse_spec, read_spec
from bayes_bm.spec.record import Record
from bayes_bm.spec.schema import node_at, spec_schema, type_words
from tests.builders import worlds
from tests.paths import ROOT

SMALLEST = """schema = 1
endpoint = "os"
evidence.patients = "patients.csv"
treatments.reference = "radiotherapy"
treatments.compare = ["surgery"]
effects.study = {}
"""


def records(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Every record below a class."""
    for record in base.__subclasses__():
        yield record
        yield from records(record)


def test_every_key_has_words_and_an_example() -> None:
    schema = Spec.model_json_schema(by_alias=True)
    nodes = {"Spec": spec_schema(), **schema["$defs"], **spec_schema()["$defs"]}
    keys = {f"{name}.{key}" for name, node in nodes.items() for key in node.get("properties", {})}
    assert set(KEYS) == keys - {"Spec.folder"}


def test_each_example_is_what_its_key_may_be() -> None:
    checked = set()
    for record in [*records(Record), *records(_Prior)]:
        for name, field in record.model_fields.items():
            place = f"{record.__name__}.{field.alias or name}"
            if place in KEYS:
                allowed: Any = Annotated[(field.annotation, *field.metadata, "")]
                TypeAdapter(allowed).validate_python(KEYS[place].example, strict=False)
                checked.add(place)
    Cause.model_validate(KEYS["Spec.causes"].example["death"])
    Joint.model_validate(KEYS["Spec.joint"].example)
    assert checked | {"Spec.causes", "Spec.joint"} == set(KEYS)


def places(value: Any, path: tuple[int | str, ...] = ()) -> Iterator[tuple[int | str, ...]]:
    """Every place of a document; of lists the first item."""
    yield path
    if isinstance(value, dict):
        for name, item in value.items():
            yield from places(item, (*path, name))
    if isinstance(value, list) and value:
        yield from places(value[0], (*path, 0))


@pytest.mark.parametrize("path", list_models(), ids=lambda path: path.stem)
def test_the_schema_knows_every_key_of_the_shipped_specs(path: Path) -> None:
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    document.pop("sensitivity", None)
    assert [place for place in places(document) if node_at(place) is None] == []


def test_the_schema_in_the_docs_is_the_one_of_the_records() -> None:
    """`make docs` writes it."""
    assert json.loads((ROOT / "docs" / "spec.schema.json").read_text(encoding="utf-8")) == spec_schema()
    assert spec_schema()["required"] == ["schema", "endpoint", "treatments"]


def test_the_smallest_spec_is_six_lines_with_defaults_and_their_reasons(tmp_path) -> None:
    file = tmp_path / "os surgery.toml"
    file.write_text(SMALLEST, encoding="utf-8")
    spec = read_spec(file)
    assert (spec.name, spec.question) == ("os_surgery", "os: surgery against radiotherapy")
    assert (spec.reference_time, spec.horizon, spec.hazard.family) == (12.0, 24.0, "weibull")
    assert (spec.priors.intercept.sd, spec.priors.log_hr.sd, spec.priors.log_shape.sd) == (2.0, 1.0, 0.5)
    assert spec.effects.study.sd.sd == 0.5
    assert spec.priors.log_hr.why.startswith("default: ")
    # the spec is whole: nothing is left out of what is stored and hashed
    assert parse_spec(spec.document()).digest() == spec.digest()
    aft = read_spec(file, changes={"hazard.family": "lognormal", "time_unit": "days"})
    assert (aft.priors.log_hr, aft.priors.log_time_ratio.sd, aft.reference_time, aft.horizon) == (None, 1.0, 365.0, 730)


def test_defaults_follow_a_change_of_family_and_leave_what_is_given() -> None:
    given = {**worlds.document(), "hazard": {"family": "gompertz"}}
    first = with_defaults({"schema": 1, "endpoint": "os", "reference_time": 60.0}, Path("x.toml"))
    assert (first["horizon"], sorted(first["priors"])) == (120.0, ["intercept", "log_hr", "log_shape"])
    second = with_defaults({**first, "hazard": {"family": "gompertz"}}, Path("x.toml"))
    assert sorted(second["priors"]) == ["intercept", "log_hr", "slope"]
    filled = with_defaults(given, Path("x.toml"))
    assert filled["priors"]["log_shape"] == worlds.normal(0.3)
    with pytest.raises(InputError, match=r"priors\.log_shape: gompertz has the shape parameters slope; leave it out"):
        parse_spec(filled)


def told(**changes: Any) -> list[str]:
    with pytest.raises(InputErrors) as refusal:
        worlds.spec(**changes)
    return [str(error).removeprefix("spec, ").removeprefix("spec: ") for error in refusal.value.errors]


def test_all_errors_are_told_at_once_with_type_example_and_default() -> None:
    errors = told(
        endpoint=None,
        horizon=-1.0,
        sampling={"drws": 10, "chains": "four"},
        priors__log_shape=worlds.normal(0.3) | {"dist": "norml"},
        hazard={"famly": "weibull"},
    )
    assert errors == [
        'hazard.famly: found an unknown key; did you mean family? (a text, such as family = "weibull";'
        ' default "weibull")',
        "sampling.drws: found an unknown key; did you mean draws? (a whole number at least 1, at most 1e+07,"
        " such as draws = 1000; default 1000)",
        'endpoint: found nothing; this key is required: a text, such as endpoint = "os"',
        "horizon: found -1.0; allowed: a number above 0, at most 1e+06, such as horizon = 24.0; default 24.0",
        'priors.log_shape: found dist = "norml"; allowed: normal, half_normal, student_t, half_student_t,'
        " exponential, gamma, log_normal, uniform; did you mean normal?",
        "sampling.chains: found 'four'; allowed: a whole number at least 1, at most 1e+07, such as chains = 4;"
        " default 4",
    ]


def test_contradictions_are_told_together_and_beside_errors_of_other_tables() -> None:
    broken = {
        "bias": {"year": {"value": 1.0}, "clock_shift": {"value": -1.0}},
        "external_checks": [{"estimand": "median", "treatment": "z", "value": 1.0, "source": "s"}],
    }
    errors = told(**broken)
    assert [error.split(":")[0] for error in errors] == [
        *("bias.year.centre", "bias.clock_shift", "bias.clock_shift.value"),
        "external_checks names 'z'; allowed",
    ]
    # a rule that reads a table in which something is wrong waits until that is mended
    assert [error.split(":")[0] for error in told(**broken, seed=-1)] == [
        "seed",
        *(one.split(":")[0] for one in errors),
    ]
    assert [error.split(":")[0] for error in told(**broken, treatments__refrence="a", horizon=0)] == [
        *("treatments.refrence", "horizon"),
    ]


def test_a_misspelt_key_is_one_error_not_also_a_missing_one() -> None:
    with pytest.raises(InputError, match=r"^spec, treatments\.refrence: found an unknown key; did you mean reference"):
        worlds.spec(treatments={"refrence": "a", "compare": ["b"]})


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (("evidence", "patients"), "a list of texts or { path, time_unit } or a text or { path, time_unit }"),
        (("time_unit",), '"days", "weeks", "months" or "years"'),
        (("priors", "log_hr"), "a prior: dist, its numbers and why"),
        (("covariates", "age", "centre"), "a number"),
        (("evidence", "exclude", 0, "why"), "a text"),
        (("seed",), "a whole number at least 0, at most 9.22337e+18"),
    ],
)
def test_types_are_said_in_words(place, words) -> None:
    assert type_words(node_at(place)) == words


@pytest.mark.slow
def test_a_spec_without_study_levels_says_so_loudly(tmp_path) -> None:
    rows = "".join(f"{study},{arm},{arm},{time},1\n" for study in "st" for arm in "ab" for time in (2, 5))
    (tmp_path / "patients.csv").write_text("study,arm,treatment,time,event\n" + rows, encoding="utf-8")
    text = SMALLEST.replace("radiotherapy", "a").replace("surgery", "b")
    file = tmp_path / "spec.toml"
    file.write_text(text, encoding="utf-8")
    notes = bb.audit(file).notes
    assert notes[0].startswith("The same in all 2 studies, since the spec leaves the table out: treatment effects")
    assert notes[1].startswith("Priors by default, since the spec leaves them out: intercept normal(mean 0, sd 2), ")
    file.write_text(text.replace("effects.study = {}\n", ""), encoding="utf-8")
    assert bb.audit(file).notes[0].startswith("One baseline for all 2 studies: the spec has no [effects.study]")
