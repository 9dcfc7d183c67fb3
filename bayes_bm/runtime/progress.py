"""How far long work is: loops count here, and whoever watches is told; nobody does unless `watched` says so.

Counts nest: an analysis is one of twelve, and has sampled half of its transitions. The share that is done and the time
left are those of all counts together, so a loop knows nothing of the loops around it. Work in other processes is not
watched: of it the loop that hands it out counts what comes back.
"""

import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol

LEAST_SHARE = 0.02
"""Share of the work (no unit) that must be done before the time left is told: before, it is a guess."""
LEAST_SECONDS = 1.0
"""Seconds of work before which the time left is not told either."""


class Step(Protocol):
    """Tells that `done` of the total is done, or one more where `done` is None; `words` say what.

    `kept` is for what was there already: it cost no time, and says nothing of the time that the rest takes.
    """

    def __call__(self, done: float | None = None, words: str = "", *, kept: bool = False) -> None: ...


@dataclass(eq=False)
class _Count:
    """A loop: what it counts, of how many, how many are done, and how many of these were there before."""

    total: float
    noun: str
    done: float = 0.0
    kept: float = 0.0
    words: str = ""

    def step(self, done: float | None = None, words: str = "", *, kept: bool = False) -> None:
        """Take what a loop tells."""
        new = self.done + 1 if done is None else done
        self.kept += new - self.done if kept else 0.0
        self.done, self.words = min(new, self.total), words

    @property
    def text(self) -> str:
        """What is done in words."""
        return ", ".join(
            filter(None, [f"{self.noun} {self.done:.0f} of {self.total:.0f}" * bool(self.noun), self.words])
        )


@dataclass
class Watch:
    """What a watcher sees: the counts that run, the outermost first, and when the outermost began (s)."""

    clock: Callable[[], float] = time.monotonic
    counts: list[_Count] = field(default_factory=list[_Count])
    began: float = 0.0

    @property
    def share(self) -> float:
        """Return the share that is done, 0 to 1, what was there already aside; 0 where nothing counts."""
        inner = 0.0
        for count in reversed(self.counts):
            fresh = count.total - count.kept
            inner = (count.done - count.kept + inner) / fresh if fresh > 0 else 1.0
        return min(max(inner, 0.0), 1.0)

    @property
    def seconds_left(self) -> float | None:
        """Return the seconds that are left; None while too little is done to tell."""
        share, seconds = self.share, self.clock() - self.began
        if not self.counts or share < LEAST_SHARE or seconds < LEAST_SECONDS:
            return None
        return seconds * (1 - share) / share

    @property
    def text(self) -> str:
        """Return what is done of each count, in words, the outermost first."""
        return "; ".join(text for count in self.counts if (text := count.text))

    @contextmanager
    def count(self, total: float, noun: str) -> Generator[Step]:
        """Count a loop while the block runs."""
        if not self.counts:
            self.began = self.clock()
        self.counts.append(counted := _Count(total, noun))
        try:
            yield counted.step
        finally:
            self.counts.remove(counted)


_watch: ContextVar[Watch | None] = ContextVar("watch", default=None)


def is_watched() -> bool:
    """Return whether anybody is told."""
    return _watch.get() is not None


@contextmanager
def watched(watch: Watch) -> Generator[Watch]:
    """Tell `watch` of all loops that count while the block runs."""
    token = _watch.set(watch)
    try:
        yield watch
    finally:
        _watch.reset(token)


@contextmanager
def counting(total: float, noun: str = "") -> Generator[Step]:
    """Count a loop over `total` of `noun` ("study"); the block calls what it is given as each is done.

    >>> with watched(Watch()) as watch, counting(4, "study") as step:
    ...     step()
    ...     step(words="Smith 2020")
    ...     print(watch.text, watch.share)
    study 2 of 4, Smith 2020 0.5
    """
    watch = _watch.get()
    if watch is None:
        yield lambda done=None, words="", *, kept=False: None
        return
    with watch.count(total, noun) as step:
        yield step


def each[Item](
    items: Iterable[Item], noun: str = "", words: Callable[[Item], str] = lambda item: ""
) -> Generator[Item]:
    """Yield the items, counted; `words` names the one that is worked on.

    >>> list(each("ab", "arm"))
    ['a', 'b']
    """
    every = list(items)
    with counting(len(every), noun) as step:
        for place, item in enumerate(every):
            step(place, words(item))
            yield item


def duration(seconds: float) -> str:
    """Return a time in words.

    >>> duration(8.4), duration(75), duration(5000)
    ('8 s', '1 min 15 s', '1 h 23 min')
    """
    whole = max(round(seconds), 1)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
