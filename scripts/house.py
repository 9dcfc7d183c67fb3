"""The rooms of the package and who stands on whom, from the imports: numbers on the terminal, a map in docs/figures.

python scripts/house.py [--draw docs/figures/house.svg]

A room is a folder of the package's first level. Imports inside functions count, those for a type checker alone do not.
"""

import argparse
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
    short = {name: name.removeprefix(f"{package.name}.") for name in graph.modules if name != package.name}
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


def draw(house: House, path: Path) -> None:
    """Rooms by storey; an arrow leads from a room to one it imports, wider where more files do."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "house"
    from matplotlib import pyplot as plt
    from matplotlib.patches import FancyArrowPatch

    levels = storeys(house)
    place = {
        name: ((at - (len(names) - 1) / 2) * 2.4 + (0.9 if level % 2 else -0.9), level)
        for level, names in enumerate(levels)
        for at, name in enumerate(names)
    }
    figure, axes = plt.subplots(figsize=(7.5, 0.95 * len(levels) + 0.6))
    for (above, below), count in house.counts.items():
        bend = 0.18 * (1 if place[above][0] <= place[below][0] else -1) * (place[above][1] - place[below][1] > 1)
        axes.add_patch(
            FancyArrowPatch(
                (place[above][0], place[above][1] - 0.2),
                (place[below][0], place[below][1] + 0.2),
                arrowstyle="-|>",
                mutation_scale=7,
                linewidth=0.4 + 0.035 * count,
                color="0.65",
                connectionstyle=f"arc3,rad={bend}",
                zorder=1,
            )
        )
    files = {name: sum(room(file) == name for file in house.files) for name in house.rooms}
    for name, (x, y) in place.items():
        box = {"boxstyle": "round,pad=0.35", "facecolor": "#dbe9f6", "edgecolor": "#1f4e79"}
        axes.text(x, y, f"{name}\n{files[name]} files", ha="center", va="center", bbox=box, zorder=2, fontsize=9)
    width = max(abs(x) for x, _ in place.values()) + 1.3
    axes.set(xlim=(-width, width), ylim=(-0.6, len(levels) - 0.4))
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
