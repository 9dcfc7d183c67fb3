"""Links between pages and to their headings lead somewhere."""

import re
from functools import partial
from pathlib import Path

import pytest

import bayes_bm as bb
from tests.paths import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("models/*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchor(heading: str) -> str:
    """As a page's renderer makes it: lower case, spaces to hyphens, no other marks."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    lines = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL).splitlines()
    return {anchor(line.lstrip("#")) for line in lines if line.startswith("#")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        path, _, heading = link.partition("#")
        target = page if not path else (page.parent / path).resolve()
        assert target.exists(), link
        assert not heading or heading in anchors(target), link


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
