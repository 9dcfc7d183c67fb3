"""Specs are data: strict, versioned, hashed; an error names the place and the nearest known key."""

import copy
import tomllib
from pathlib import Path

import pytest

import bayes_bm as bb
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.covariates import Covariate
from bayes_bm.spec.document import Spec
from bayes_bm.spec.patches import patched
from bayes_bm.spec.reading import list_models, parse_spec, read_spec
from tests.builders import worlds

# a whole spec as an example, its reasons elided
CONTRACT = """
schema = 1
name = "os_reresection_vs_resrs"
question = "Overall survival after re-resection against repeat SRS"
endpoint = "os"
time_unit = "months"
reference_time = 12.0
horizon = 24.0                       # restricted mean, and how far curves are drawn
seed = 20251

[evidence]                           # paths relative to the spec; "shipped:recurrent_bm" is the package's own
patients = ["data/ipd.csv"]          # also: arms, points, medians, hazard_ratios, counts, curves
include = { use = ["use", "use_with_care", "subgroup"] }

[treatments]
reference = "re_srs"
compare = ["re_resection"]

[hazard]
family = "weibull"

[effects.study]                      # study_effect
exchangeable = true
sd = { dist = "half_normal", sd = 0.5, why = "..." }
[effects.study_treatment]            # leave a table out to leave the effect out
sd = { dist = "half_normal", sd = 0.3, why = "..." }
[effects.study_shape]
sd = { dist = "half_normal", sd = 0.2, why = "..." }

[priors]
intercept = { dist = "normal", mean = 0.0, sd = 1.0, why = "..." }
log_hr    = { dist = "normal", mean = 0.0, sd = 1.0, why = "..." }
log_shape = { dist = "normal", mean = 0.0, sd = 0.3, why = "..." }

[covariates.kps_10]                  # also: centre, scale (default 0 and 1), unit
prior = { dist = "normal", mean = 0.0, sd = 0.5, why = "..." }

[sampling]
draws = 1000
tune = 1000
chains = 4

[sensitivity.wide_heterogeneity]     # a named patch on this document
"effects.study.sd" = { dist = "half_normal", sd = 1.0, why = "..." }
"""


@pytest.fixture
def contract_file(tmp_path):
    file = tmp_path / "contract.toml"
    file.write_text(CONTRACT, encoding="utf-8")
    return file


def test_the_example_of_the_contract_is_read_as_it_says(contract_file) -> None:
    spec = read_spec(contract_file)
    assert (spec.name, spec.endpoint, spec.time_unit, spec.seed) == ("os_reresection_vs_resrs", "os", "months", 20251)
    assert (spec.reference_time, spec.horizon) == (12.0, 24.0)
    assert spec.treatments.names == ("re_srs", "re_resection")
    assert spec.evidence.patients[0].path == "data/ipd.csv"
    assert spec.evidence.include == {"use": ("use", "use_with_care", "subgroup")}
    assert spec.effects.study is not None
    assert spec.effects.study.exchangeable
    assert spec.effects.study.sd.sd == 0.5
    assert spec.effects.study_treatment.sd.sd == 0.3
    assert spec.effects.study_shape.sd.sd == 0.2
    assert (spec.priors.intercept.sd, spec.priors.log_hr.sd, spec.priors.log_shape.sd) == (1.0, 1.0, 0.3)
    kps = spec.covariates["kps_10"]
    assert (kps.centre, kps.middle, kps.scale, kps.prior.sd) == (None, 0.0, 1.0, 0.5)
    assert (spec.sampling.draws, spec.sampling.tune, spec.sampling.chains) == (1000, 1000, 4)
    assert spec.evidence.effective_share.value == 0.8


def test_a_sensitivity_analysis_is_a_patch_on_the_document(contract_file) -> None:
    wide = read_spec(contract_file, sensitivity="wide_heterogeneity")
    assert wide.effects.study.sd.sd == 1.0
    assert wide.effects.study_treatment.sd.sd == 0.3
    with pytest.raises(InputError, match=r"sensitivity: found narrow; allowed: wide_heterogeneity"):
        read_spec(contract_file, sensitivity="narrow")


def test_changes_reach_dotted_keys_and_none_removes_one(contract_file) -> None:
    changed = read_spec(contract_file, changes={"priors.log_hr.sd": 2.0, "effects.study_treatment": "none"})
    assert changed.priors.log_hr.sd == 2.0
    assert changed.effects.study_treatment is None
    with pytest.raises(InputError, match=r"priors\.log_hrr: found an unknown key.*did you mean log_hr\?"):
        read_spec(contract_file, changes={"priors.log_hrr.sd": 2.0})
    with pytest.raises(InputError, match="name is not a table"):
        patched({"name": "x"}, {"name.first": 1})


def test_the_command_line_changes_come_after_the_sensitivity_patch(contract_file) -> None:
    changes = {"effects.study.sd": worlds.half_normal(0.7)}
    assert read_spec(contract_file, sensitivity="wide_heterogeneity", changes=changes).effects.study.sd.sd == 0.7


@pytest.mark.parametrize(
    ("dotted", "nearest"),
    [
        ("refrence_time", "reference_time"),
        ("evidence__pateints", "patients"),
        ("treatments__comparee", "compare"),
        ("effects__study_tretment", "study_treatment"),
        ("effects__study__exchangable", "exchangeable"),
        ("priors__log_hr__sdd", "sd"),
        ("sampling__drws", "draws"),
        ("hazard__famly", "family"),
    ],
)
def test_an_unknown_key_names_its_place_and_the_nearest_known_one(dotted: str, nearest: str) -> None:
    with pytest.raises(InputError) as refusal:
        worlds.spec(**{dotted: 1})
    assert f"spec, {dotted.replace('__', '.')}: found an unknown key" in str(refusal.value)
    assert f"did you mean {nearest}?" in str(refusal.value)


def test_unknown_keys_of_covariates_and_lists_are_found_too() -> None:
    with pytest.raises(InputError, match=r"covariates\.kps\.center.*did you mean centre\?"):
        worlds.spec(covariates={"kps": {"prior": worlds.normal(1.0), "center": 80.0}})
    with pytest.raises(InputError, match=r"evidence\.exclude\.0\.studdy.*did you mean study\?"):
        worlds.spec(evidence={"exclude": [{"studdy": "x", "study": "y", "why": "t"}]})
    with pytest.raises(InputError, match="folder: found an unknown key"):
        worlds.spec(folder="elsewhere")


STRATUM = {"estimand": "median", "treatment": "b", "value": 5.0, "source": "s"}
"""A published number of a stratum of patients, but for who they are."""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 2}, "schema: found 2; .*1"),
        ({"time_unit": "fortnights"}, 'time_unit: found .fortnights.; allowed: "days", "weeks", "months" or "years"'),
        ({"reference_time": 0.0}, "reference_time: found 0.0; allowed: a number above 0, at most"),
        ({"hazard": {"family": "wiebull"}}, "family 'wiebull' is not known; known: weibull"),
        ({"treatments": {"reference": "a", "compare": ["a", "b"]}}, "a treatment is named twice"),
        ({"treatments": {"reference": "a", "compare": []}}, "compare"),
        ({"effects__study": {}}, "an exchangeable effect needs `sd`"),
        ({"effects__study": {"exchangeable": False, "sd": worlds.half_normal(1.0)}}, "`sd` has no meaning where"),
        ({"priors__log_shape": None}, "give exactly one of log_shape and shape"),
        ({"priors__shape": worlds.half_normal(1.0)}, "give exactly one of log_shape and shape"),
        (
            {"priors__log_shape": None, "priors__shape": worlds.half_normal(1.0)},
            r"priors\.shape is for effects\.study_shape",
        ),
        ({"evidence__effective_share": 1.2}, "effective_share is 1.2; allowed: above 0, at most 1"),
        ({"evidence__exclude": [{"study": "x"}]}, r"exclude\.0\.why: found nothing"),
        ({"name": "a b"}, "name: found 'a b'"),
        (
            {"external_checks": [{"estimand": "hazard_ratio", "treatment": "z", "value": 1.0, "source": "s"}]},
            "external_checks names 'z'; allowed: a, b, c",
        ),
        (
            {"external_checks": [STRATUM | {"patient": {"kps": 1.0}}]},
            "external_checks, patient names 'kps'; allowed: none, for this spec has no covariates",
        ),
        (
            {"external_checks": [STRATUM | {"estimand": "hazard_ratio", "patient": {"kps": 1.0}}]},
            "patient: found beside estimand hazard_ratio; allowed: median, survival",
        ),
        ({"treatments": {"reference": "a", "compare": ["b"], "groups": {"b": ["a"]}}}, "not beside it"),
    ],
)
def test_a_contradiction_is_refused_with_what_is_allowed(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        worlds.spec(**changes)


def test_a_missing_key_is_named() -> None:
    with pytest.raises(InputError, match=r"priors\.intercept: found nothing; this key is required"):
        worlds.spec(priors__intercept=None)


def test_digest_follows_content_and_nothing_else(contract_file, tmp_path) -> None:
    spec = read_spec(contract_file)
    elsewhere = tmp_path / "deeper" / "copy.toml"
    elsewhere.parent.mkdir()
    elsewhere.write_text("# another comment\n" + CONTRACT, encoding="utf-8")
    assert read_spec(elsewhere).digest() == spec.digest()
    assert parse_spec(spec.document()).digest() == spec.digest()
    assert read_spec(contract_file, changes={"priors.log_hr.sd": 1.1}).digest() != spec.digest()
    document = tomllib.loads(CONTRACT)
    shuffled = {name: document[name] for name in reversed(list(document))}
    assert parse_spec(shuffled).digest() == spec.digest()


def test_a_patch_leaves_the_document_it_patches() -> None:
    document = copy.deepcopy(worlds.DOCUMENT)
    patched(document, {"priors.log_hr.sd": 9.0})
    assert document == worlds.DOCUMENT


def test_a_spec_cannot_be_changed_after_reading() -> None:
    with pytest.raises(ValueError, match="frozen"):
        worlds.spec().seed = 3


def test_names_are_found_and_a_near_miss_is_suggested(tmp_path) -> None:
    name = list_models()[0].stem
    assert read_spec(name).name == read_spec(f"models/{name}.toml").name == name
    with pytest.raises(InputError, match=r"did you mean os_systemic\?"):
        read_spec("os_systemc")
    broken = tmp_path / "broken.toml"
    broken.write_text("schema = ", encoding="utf-8")
    with pytest.raises(InputError, match="not valid TOML"):
        read_spec(broken)


def test_groups_merge_treatments_under_the_names_of_the_spec() -> None:
    spec = worlds.spec(treatments={"reference": "a", "compare": ["laser"], "groups": {"laser": ["litt", "litt_srt"]}})
    assert [spec.treatments.merged(name) for name in ("litt", "litt_srt", "a")] == ["laser", "laser", "a"]


def test_free_levels_or_shapes_need_a_baseline_for_absolute_answers() -> None:
    free = {"exchangeable": False}
    assert not worlds.spec().needs_baseline
    assert worlds.spec(effects__study=free).needs_baseline
    assert worlds.spec(effects__study_shape=free).needs_baseline
    baseline = {"intercept": worlds.normal(0.2), "log_shape": worlds.normal(0.1)}
    assert not worlds.spec(effects__study=free, baseline=baseline).needs_baseline


@pytest.mark.slow
def test_a_spec_may_be_given_by_its_file_or_its_name(tmp_path) -> None:
    name = "published_os_extent_of_resection"
    spec = bb.read_spec(name)
    copied = tmp_path / "mine.toml"
    shipped = next(place for place in Path("models").glob("*.toml") if place.stem == name)
    copied.write_text(shipped.read_text())
    for given in (name, copied, str(copied)):
        assert bb.audit(given).contrasts.equals(bb.audit(spec, bb.read_evidence(spec)).contrasts)
        assert bb.network(given).parts == (("str", "gtr"),)
    with pytest.raises(
        InputError, match=r"spec: found dict; allowed: a Spec .*, a TOML file, or the name of a shipped"
    ):
        bb.read_evidence({"name": "x"})  # pyright: ignore[reportArgumentType]


def test_labels_are_words_and_no_part_of_the_model(contract_file, tmp_path) -> None:
    spec = read_spec(contract_file)
    text = contract_file.read_text(encoding="utf-8")
    words = '[sensitivity_words]\nwide_heterogeneity = "centres differ more"\n'
    named = tmp_path / "named.toml"
    named.write_text(text.replace("[sensitivity.", f"{words}\n[sensitivity.", 1), encoding="utf-8")
    assert read_spec(named).sensitivity_words == {"wide_heterogeneity": "centres differ more"}
    assert read_spec(named).digest() == spec.digest()
    named.write_text(named.read_text(encoding="utf-8").replace("\nwide_het", "\nwider_het", 1), encoding="utf-8")
    with pytest.raises(InputError, match="sensitivity_words names 'wider_heterogeneity'; allowed: wide_heterogeneity"):
        read_spec(named)


def test_labels_of_treatments_are_no_part_of_the_model(contract_file, tmp_path) -> None:
    spec = read_spec(contract_file)
    text = contract_file.read_text(encoding="utf-8")
    named = tmp_path / "named.toml"

    def labelled(labels: str) -> Spec:
        named.write_text(text.replace("[hazard]", f"[treatments.labels]\n{labels}\n[hazard]", 1), encoding="utf-8")
        return read_spec(named)

    words = labelled('re_srs = "repeat SRS"')
    assert words.treatments.labels == {"re_srs": "repeat SRS"}
    assert words.digest() == spec.digest() and words.document() != spec.document()
    assert "labels" not in spec.document()["treatments"]
    with pytest.raises(InputError, match="labels: found re_rs; allowed: re_srs, re_resection"):
        labelled('re_rs = "repeat SRS"')
    with pytest.raises(InputError, match="labels: found 're_resection' twice"):
        labelled('re_srs = "re_resection"')


def test_a_covariate_and_its_values_have_words() -> None:
    prior = {"dist": "normal", "mean": 0.0, "sd": 0.5, "why": "as wide as scores of the field"}
    single = Covariate.model_validate(
        {"prior": prior, "label": "number of metastases", "unit": "0 = several metastases, 1 = one"}
    )
    assert single.value_words("single_met", 1.0) == "number of metastases: one"
    assert single.value_words("single_met", 0.5) == "number of metastases: 0.5"
    age = Covariate.model_validate({"prior": prior, "unit": "years"})
    assert age.value_words("mean_age", 61.0) == "mean age: 61 years"
