"""Links between pages and to their headings lead somewhere."""

import re
from functools import partial
from pathlib import Path

import pytest

import bayes_bm as bb
from scripts import document_reference
from tests.paths import ROOT

BUILT = ROOT / "docs" / "build"
SITE = sorted(page for page in ROOT.glob("docs/**/*.md") if BUILT not in page.parents)
PAGES = sorted([*ROOT.glob("*.md"), *SITE, *ROOT.glob("models/*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")
CALL = re.compile(r"bayes-bm ([a-z][a-z-]+)([^`\n#]*)")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def anchor(heading: str) -> str:
    """As a page's renderer makes it: lower case, spaces to hyphens, no other marks."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    lines = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL).splitlines()
    return {anchor(line.lstrip("#")) for line in lines if line.startswith("#")}


def shelved(page: Path) -> set[Path]:
    """Pages that the tables of contents of a page list."""
    lists = re.findall(r"```\{toctree\}\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    names = [line for text in lists for line in text.splitlines() if line and not line.startswith(":")]
    return {page.parent / f"{name}.md" for name in names}


def test_every_page_stands_on_a_shelf() -> None:
    contents = [ROOT / "docs" / "index.md", ROOT / "docs" / "how-to" / "index.md"]
    assert {page for listed in map(shelved, contents) for page in listed} | {contents[0]} == set(SITE)


def test_the_reference_is_what_its_script_writes() -> None:
    for name, text in document_reference.pages().items():
        written = (ROOT / "docs" / "reference" / f"{name}.md").read_text(encoding="utf-8")
        assert written == text, f"docs/reference/{name}.md is of other code: make docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        path, _, heading = link.partition("#")
        target = page if not path else (page.parent / path).resolve()
        assert target.exists(), link
        assert not heading or heading in anchors(target), link


def commands() -> dict[str, set[str]]:
    """Options of each command, from its reference, which another test holds against the program."""
    sections = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8").split("\n## ")[1:]
    return {section.partition("\n")[0]: set(OPTION.findall(section)) for section in sections}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_of_a_page_exist(page: Path) -> None:
    known = commands()
    for command, rest in CALL.findall(page.read_text(encoding="utf-8")):
        assert command in known, command
        assert set(OPTION.findall(rest)) <= known[command], f"bayes-bm {command}{rest}"


def test_the_readme_names_every_command() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in commands() if f"bayes-bm {name}" not in text] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=lambda page: page.name)
def test_names_of_the_library_in_a_page_are_public(page: Path) -> None:
    named = set(re.findall(r"\bbb\.(\w+)", page.read_text(encoding="utf-8")))
    assert named <= {*dir(bb), "__version__"}


def test_an_anchor_drops_commas_and_keeps_words() -> None:
    assert anchor(" Biases, by name") == "biases-by-name"
    assert anchor(" Evidence, one latent hazard") in anchors(ROOT / "docs" / "method.md")


def test_the_map_shows_every_room() -> None:
    drawn = (ROOT / "docs" / "figures" / "house.svg").read_text(encoding="utf-8")
    rooms = [path.parent.name for path in (ROOT / "bayes_bm").glob("*/__init__.py")]
    assert len(rooms) == 14
    assert [room for room in rooms if f"{room} (" not in drawn] == []
    assert "docs/figures/house.svg" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_python_of_the_readme_runs(tmp_path, monkeypatch) -> None:
    """With few draws, which change no call."""
    [block] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bb, "fit", partial(bb.fit, draws=10, tune=30, chains=1))
    names: dict = {}
    exec(block, names)
    assert names["rec"].patients["event"].sum() == 10
    assert (tmp_path / "survival.png").stat().st_size > 10_000


def test_who_cites_names_this_version() -> None:
    assert f"version: {bb.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
