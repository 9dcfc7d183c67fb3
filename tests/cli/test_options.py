"""Options that hold numbers, names and TOML are refused by their own name, before any work."""

from pathlib import Path

import pytest

from bayes_bm.cli.parsing import parse_changes, parse_names, parse_pairs, parse_sizes, parse_times
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.reading import read_spec
from tests.builders.commands import call

NUMBERS = [
    ("compare", "--horizon"),
    ("compare", "--times"),
    ("rank", "--horizon"),
    ("rank", "--time"),
    ("predict", "--horizon"),
    ("predict", "--alive-at"),
    ("predict", "--times"),
    ("incidence", "--alive-at"),
    ("standardise", "--times"),
    ("score", "--at"),
    ("score", "--times"),
    ("reconstruct", "--axis-max"),
    ("simulate", "--click-error"),
]
MORE = {"incidence": ["--times", "6"], "standardise": ["--cohort", "c.csv"], "score": ["--cohort", "c.csv"]}
MORE |= {"reconstruct": ["--out", "p.csv", "--n", "9"], "simulate": ["--out", "world"]}


@pytest.mark.parametrize(("command", "option"), NUMBERS)
@pytest.mark.parametrize("text", ["nan", "inf", "-1", "1e308", "", "twelve", "1_0", "\u0663"])
def test_numbers_are_finite_and_within_limits(command, option, text, capsys, tmp_path, monkeypatch) -> None:
    """Said by the name of the option, before the result is even looked for."""
    monkeypatch.chdir(tmp_path)
    subject = "os_systemic" if command == "simulate" else "result.nc"
    more = [part for part in MORE.get(command, []) if (command, option) != ("incidence", "--times")]
    status = call(command, subject, *more, f"{option}={text}")
    said = capsys.readouterr().err
    assert status == 2 and not list(tmp_path.iterdir())
    if option != "--times":
        assert said.startswith(f"bayes-bm: {option}: found {text!r}; allowed: a number a")


@pytest.mark.parametrize(
    ("parse", "said"),
    [
        (lambda: parse_times("6,,12"), "--times: found '6,,12'; allowed: times, such as 6,12,24"),
        (lambda: parse_times("0"), "--times: found '0'; allowed: a number above 0"),
        (lambda: parse_times("nan"), "--times: found 'nan'; allowed: a number above 0 and at most 1e\\+06"),
        (lambda: parse_names("", "--estimand"), "--estimand: found nothing; .* or leave the option out"),
        (lambda: parse_pairs("=1"), "--patient: found '=1'; allowed: name=number"),
        (lambda: parse_pairs("age=1,age=2"), "--patient: found age twice"),
        (lambda: parse_pairs("age=inf"), "--patient: found 'age=inf'"),
        (lambda: parse_pairs(""), "--patient: found nothing"),
        (lambda: parse_sizes("inf,inf"), "--sizes: found 'inf,inf'; allowed: two whole numbers from 1"),
        (lambda: parse_sizes("nan,3"), "--sizes"),
        (lambda: parse_sizes("80,20"), "the smaller first"),
        (lambda: parse_sizes("2.5,3"), "--sizes"),
        (lambda: parse_sizes("1,1e30"), "--sizes"),
        (lambda: parse_changes(["seed"]), "--set: found 'seed'; allowed: key=value"),
        (lambda: parse_changes(["a..b=1"]), "--set"),
        (lambda: parse_changes(["a=1", "a=2"]), "--set: found a twice"),
        (lambda: parse_changes(["a=" + "[" * 500 + "]" * 500]), "--set a: found tables and lists inside each other"),
        (lambda: parse_changes(["a=" + "[" * 10**5]), "--set a: found tables and lists inside each other"),
        (lambda: parse_changes(["a=" + "{b=" * 100 + "1" + "}" * 100]), "--set a: found"),
        (lambda: parse_changes(["a=" + "9" * 10**5]), "--set a: found a number of very many digits"),
        (lambda: parse_changes(["a=[1"]), "--set a: found not valid TOML"),
        (lambda: read_spec("os_systemic", changes={".".join("a" * 10**5): 1}), "found a key of 100000 parts"),
        (lambda: read_spec("x" * 5000), "SPEC: found a name of 5000 letters"),
        (lambda: read_spec(""), "SPEC: found '', no file's name"),
        (lambda: read_spec("/"), "SPEC: found"),
    ],
)
def test_texts_of_options_are_refused_by_name(parse, said) -> None:
    with pytest.raises(InputError, match=said):
        parse()


def test_values_of_set_are_toml_or_bare_words() -> None:
    settings = ["a=1", "b=x.csv", "c=[1, 2]", 'd="t"', "e=/tmp/a b.csv", "f=true", "g = weibull_aft"]
    assert parse_changes(settings) == {
        "a": 1,
        "b": "x.csv",
        "c": [1, 2],
        "d": "t",
        "e": "/tmp/a b.csv",
        "f": True,
        "g": "weibull_aft",
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ["reconstruct", "c.csv", "--out", "p.csv", "--n", "1" + "0" * 30],
        ["fit", "os_systemic", "--out", "r.nc", "--draws", "1" + "0" * 30],
        ["fit", "os_systemic", "--out", "r.nc", "--seed", "1" + "0" * 30],
        ["fit", "os_systemic", "--out", "r.nc", "--cores", "1000000"],
        ["serve", "r.nc", "--port", "99999"],
        ["rank", "r.nc", "--estimand", "rmst", "--time", "6"],
        ["rank", "r.nc", "--horizon", "6"],
    ],
)
def test_whole_numbers_have_an_end_and_options_a_use(arguments, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(*arguments) == 2
    assert arguments[-2] in capsys.readouterr().err and not list(tmp_path.iterdir())


SPEC = Path(__file__).parents[2] / "models" / "os_systemic.toml"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = " + "[" * 500 + "]" * 500, "allowed: at most 20 deep"),
        ("a = " + "[" * 10**5, "allowed: at most 20 deep"),
        (".".join("a" * 10**5) + " = 1", "a key of very many parts"),
        ("[" + ".".join("a" * 10**5) + "]", "a key of very many parts"),
        ("seed = " + "1" * 10**5, "a number of very many digits"),
        ("seed = " + "1" * 30, "a number of 30 digits; allowed: at most 9223372036854775807"),
        ("x" * 10**6 + "y", "1000001 letters"),
        (b"\xff\xfea", "no UTF-8"),
        (b"name = 'M\xfcller'", "no UTF-8"),
        ("a = ", "not valid TOML"),
    ],
)
def test_bombs_in_a_spec_end_in_one_message(tmp_path, text, said) -> None:
    file = tmp_path / "s.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=said):
        read_spec(file)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('endpoint = "os"', 'endpoint = " "', "endpoint"),
        ('name = "os_systemic"', f'name = "{"x" * 300}"', "name"),
        ("horizon = 24.0", "horizon = 1e308", "horizon"),
        ("horizon = 24.0", "horizon = nan", "horizon"),
        (
            "[treatments]",
            "[covariates.time]\nprior = {dist='normal', sd=1.0, why='t'}\n[treatments]",
            "covariates.time: ",
        ),
        (
            "[treatments]",
            "[covariates.'a=b']\nprior = {dist='normal', sd=1.0, why='t'}\n[treatments]",
            "the name 'a=b'",
        ),
        (
            "[treatments]",
            "[covariates.age]\nlower=9\nupper=3\nprior = {dist='normal', sd=1.0, why='t'}\n[treatments]",
            "lower is 9 and upper is 3; allowed: lower below upper",
        ),
        (
            "[treatments]",
            "[sensitivity.slip]\n'prior.log_hr.sd' = 1.0\n[treatments]",
            r"sensitivity\.slip, prior: .* priors",
        ),
    ],
)
def test_values_of_a_spec_that_no_analysis_has_are_refused(tmp_path, old, new, said) -> None:
    text = SPEC.read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "s.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError, match=said):
        read_spec(tmp_path / "s.toml")
