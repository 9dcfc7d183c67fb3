"""Every decision that the repository cites stands in docs/decisions.md, and what that page names exists."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = next(folder for folder in Path(__file__).resolve().parents if (folder / "pyproject.toml").exists())
PAGE = ROOT / "docs" / "decisions.md"
KINDS = {".py", ".md", ".toml", ".html"}
NOT_OURS = {"out", "dist", "build"}
NUMBERS = r"\d+(?:(?:,\s+and\s+|,\s*|\s+and\s+|\s+to\s+|-)\d+)*"
BY_NUMBER = re.compile(rf"(?:\bdecisions?\s+|\bdecisions\.md,\s+)({NUMBERS})", re.IGNORECASE)
BY_ANCHOR = re.compile(r"\bdecisions\.md#([\w-]+)")


def anchor(heading: str) -> str:
    """As a page's renderer makes it: lower case, spaces to hyphens, no other marks."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@cache
def headings() -> list[str]:
    return re.findall(r"^#+ +(.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)


@cache
def decided() -> set[int]:
    """Numbers of the decisions in the page."""
    return {int(found[1]) for heading in headings() if (found := re.match(r"(\d+)\. ", heading))}


def cited(text: str) -> set[int]:
    """Every number in the text that is cited as a decision; 5 to 8, or 5-8, are four of them."""
    found: set[int] = set()
    for numbers in BY_NUMBER.findall(text):
        for low, high in re.findall(r"(\d+)(?:(?:\s+to\s+|-)(\d+))?", numbers):
            found |= set(range(int(low), int(high or low) + 1))
    return found


@cache
def texts() -> dict[Path, str]:
    """Sources and pages of the repository by their files, this one apart; of an environment nothing is looked at."""
    found: list[Path] = []
    for folder, inside, names in ROOT.walk():
        inside[:] = [name for name in inside if name not in NOT_OURS and not name.startswith(".")]
        found += [folder / name for name in names if Path(name).suffix in KINDS and not name.startswith(".")]
    return {path: path.read_text(encoding="utf-8") for path in found if path != Path(__file__).resolve()}


@pytest.mark.slow
def test_every_cited_decision_is_in_the_page() -> None:
    anchors = {anchor(heading) for heading in headings()}
    lost = []
    for path, text in texts().items():
        name = path.relative_to(ROOT)
        lost += [f"{name}: decision {number}" for number in sorted(cited(text) - decided())]
        lost += [f"{name}: #{found}" for found in BY_ANCHOR.findall(text) if found not in anchors]
    assert not lost


def test_decisions_are_numbered_without_a_gap_and_listed_in_the_contents() -> None:
    assert decided() == set(range(1, len(decided()) + 1))
    contents = PAGE.read_text(encoding="utf-8").split("## Contents")[1].split("## Symbols")[0]
    linked = re.findall(r"\[([^]]+)\]\(#([\w-]+)\)", contents)
    assert all(anchor(text) == target for text, target in linked if not text[0].isdigit())
    numbered = [(int(text.split()[0]), target) for text, target in linked if text[0].isdigit()]
    assert [number for number, _ in numbered] == sorted(decided())
    assert all(target.startswith(f"{number}-") for number, target in numbered)


def test_every_test_that_the_page_names_is_in_its_file() -> None:
    written = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")}
    groups = re.findall(r"`(test_\w+\.py)`:?\s((?:\s*`test_\w+`,?)+)", PAGE.read_text(encoding="utf-8"))
    named = [(file, name) for file, names in groups for name in re.findall(r"`(\w+)`", names)]
    assert len(named) > len(decided())
    assert [pair for pair in named if f"def {pair[1]}(" not in written.get(pair[0], "")] == []


def test_every_module_that_the_page_names_exists_with_the_functions_beside_it() -> None:
    page = PAGE.read_text(encoding="utf-8")
    modules = set(re.findall(r"`((?:bayes_bm|scripts)/[\w/.]+)`", page))
    assert len(modules) > len(decided())
    assert sorted(path for path in modules if not (ROOT / path).exists()) == []
    for path, names in re.findall(r"`(bayes_bm/[\w/]+\.py)`\s\((`[^)]*`)\)", page):
        text = (ROOT / path).read_text(encoding="utf-8")
        for name in re.findall(r"`(?:\w+\.)?(\w+)`", names):
            assert re.search(rf"^ *(?:def |class )?{name}\b", text, flags=re.MULTILINE), f"{path}: {name}"


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("rests on decision 7.", {7}),
        ("Decisions 5 to 8 and 13", {5, 6, 7, 8, 13}),
        ("decisions.md, 5-8, 13)", {5, 6, 7, 8, 13}),
        ("(decisions 1, 5, 6)", {1, 5, 6}),
        ("each decision\n    19 is made", {19}),
        ("decisions.toml, 3 rows", set()),
    ],
)
def test_citations_are_read(text: str, numbers: set[int]) -> None:
    assert cited(text) == numbers


# to append to tests/test_decisions.py once cite.py has run on the tree
ABSENT = re.compile(r"\b(?:rules|design|facts|style|contract)\.md|\brules? \d", re.IGNORECASE)


@pytest.mark.slow
def test_nothing_cites_a_page_or_a_rule_that_is_not_here() -> None:
    lines = [(path, line) for path, text in texts().items() for line in text.splitlines()]
    assert [f"{path.relative_to(ROOT)}: {line}" for path, line in lines if ABSENT.search(line)] == []
