"""The rooms of the package and who stands on whom, from the imports: numbers on the terminal, a map in docs/figures.

python scripts/house.py [--draw docs/figures/house.svg]

A room is a folder of the package's first level. Imports inside functions count, those for a type checker alone do not.
"""

import argparse
import ast
import textwrap
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[1]
LONGEST = 450
"""Lines of a file that need no defence at its top."""

Arrows = Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class House:
    """`files` and `room_arrows`: who imports whom; `counts`: imports from one room to another; `lines` of each file."""

    rooms: tuple[str, ...]
    files: Arrows
    room_arrows: Arrows
    counts: Mapping[tuple[str, str], int]
    lines: Mapping[str, int]


def read_imports(package: Path = ROOT / "bayes_bm") -> House:
    """The graph of imports of a package that can be imported."""
    graph = grimp.build_graph(package.name, exclude_type_checking_imports=True)
    # `python -m` comes in by a door that is no room
    outside = {package.name, f"{package.name}.__main__"}
    short = {name: name.removeprefix(f"{package.name}.") for name in graph.modules - outside}
    files = {
        name: frozenset(short[found] for found in graph.find_modules_directly_imported_by(full) if found in short)
        for full, name in short.items()
    }
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for name, imported in files.items():
        for other in imported:
            if room(name) != room(other):
                counts[room(name), room(other)] += 1
    rooms = tuple(sorted({room(name) for name in files}))
    arrows = {name: frozenset(other for one, other in counts if one == name) for name in rooms}
    lines = {name: len(_path(package, name).read_text(encoding="utf-8").splitlines()) for name in files}
    return House(rooms, files, arrows, counts, lines)


def room(name: str) -> str:
    return name.split(".")[0]


def _path(package: Path, name: str) -> Path:
    stem = package.joinpath(*name.split("."))
    return stem / "__init__.py" if stem.is_dir() else stem.with_suffix(".py")


def storeys(house: House) -> list[list[str]]:
    """Rooms from the ground up: each stands one above the highest room that it imports."""
    height: dict[str, int] = {}

    def of(name: str) -> int:
        if name not in height:
            height[name] = 1 + max((of(below) for below in house.room_arrows[name]), default=-1)
        return height[name]

    tops = [of(name) for name in house.rooms]
    return [[name for name in house.rooms if height[name] == level] for level in range(max(tops) + 1)]


def circles(arrows: Arrows) -> list[tuple[str, ...]]:
    """Groups of names that import each other, directly or through others."""
    reach = {name: set(_reached(arrows, name)) for name in arrows}
    groups = {tuple(sorted(other for other in reach[name] if name in reach[other])) for name in arrows}
    return sorted(group for group in groups if group)


def _reached(arrows: Arrows, start: str) -> Iterator[str]:
    seen, waiting = set(), [start]
    while waiting:
        for other in arrows[waiting.pop()]:
            if other not in seen:
                seen.add(other)
                waiting.append(other)
                yield other


def report(house: House) -> str:
    """What the house looks like, in lines."""
    levels = storeys(house)
    longest = sorted(house.lines.items(), key=lambda item: -item[1])[:8]
    rows = [f"  {level + 1}  {', '.join(names)}" for level, names in reversed(list(enumerate(levels)))]
    return "\n".join(
        [
            f"{len(house.rooms)} rooms, {len(levels)} storeys (scripts stand on top), {len(house.files)} files,"
            f" {len(house.counts)} arrows between rooms",
            *rows,
            f"circles of files: {circles(house.files) or 'none'}; of rooms: {circles(house.room_arrows) or 'none'}",
            "longest files: " + ", ".join(f"{name} {lines}" for name, lines in longest),
        ]
    )


def needed(house: House) -> list[tuple[str, str]]:
    """Arrows that no chain of other arrows stands for: from a room to those that its other rooms do not lead to."""
    reach = {name: set(_reached(house.room_arrows, name)) for name in house.rooms}
    return [
        (above, below)
        for above, imported in house.room_arrows.items()
        for below in sorted(imported)
        if not any(below in reach[other] for other in imported - {below})
    ]


def purpose(name: str, package: Path = ROOT / "bayes_bm") -> str:
    """The first sentence of a room's docstring."""
    text = ast.get_docstring(ast.parse((package / name / "__init__.py").read_text(encoding="utf-8"))) or ""
    return text.split("\n\n")[0].replace("\n", " ").rstrip(".")


def draw(house: House, path: Path) -> None:
    """Rooms by storey with what each is for; an arrow leads from a room to one that it stands on directly."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.hashsalt": "house", "svg.fonttype": "none"})
    from matplotlib import pyplot as plt
    from matplotlib.patches import FancyArrowPatch, Rectangle

    levels = storeys(house)
    wide, high = 4.6, 1.0
    place = {
        name: ((at - (len(names) - 1) / 2) * (wide + 0.5), level * 1.55)
        for level, names in enumerate(levels)
        for at, name in enumerate(names)
    }
    half = (wide + 0.5) / 2 * max(len(names) for names in levels)
    figure, axes = plt.subplots(figsize=(1.74 * half, 1.12 * len(levels)))
    for above, below in needed(house):
        (x, y), (to_x, to_y) = place[above], place[below]
        ends = (x, y - high / 2), (to_x, to_y + high / 2)
        axes.add_patch(
            FancyArrowPatch(*ends, arrowstyle="-|>", mutation_scale=11, color="#4d4d4d", shrinkA=0, shrinkB=0)
        )
    files = {name: sum(room(file) == name for file in house.files) for name in house.rooms}
    for name, (x, y) in place.items():
        box = Rectangle((x - wide / 2, y - high / 2), wide, high, facecolor="#e8f0f8", edgecolor="#1f4e79")
        axes.add_patch(box)
        axes.text(x, y + 0.3, f"{name} ({files[name]} files)", ha="center", va="center", fontsize=10, weight="bold")
        words = "\n".join(textwrap.wrap(purpose(name), 46)[:3])
        axes.text(x, y - 0.14, words, ha="center", va="center", fontsize=7.5)
    axes.set(xlim=(-half, half), ylim=(-0.7, place[levels[-1][0]][1] + 0.7))
    axes.axis("off")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draw", type=Path, help="write the map to this file")
    given, house = parser.parse_args(), read_imports()
    print(report(house))
    if given.draw:
        draw(house, given.draw)


if __name__ == "__main__":
    main()
