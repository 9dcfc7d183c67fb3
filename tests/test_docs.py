"""Links between pages and to their headings lead somewhere."""

import re
from pathlib import Path

import pytest

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
