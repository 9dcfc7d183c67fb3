"""How far long work is: shares, time left, a line of it on a terminal and nothing in a pipe."""

import os
import pty
import subprocess
import sys
from typing import Any

import pytest

from bayes_bm.runtime.parallel import map_fits
from bayes_bm.runtime.progress import Watch, counting, duration, each, is_watched, watched
from bayes_bm.runtime.tasks import Task

SLOW = """
import sys, time
from bayes_bm.cli.printing import show_progress
from bayes_bm.runtime.progress import each
with show_progress("spec") as say:
    say("sampling")
    for study in each(["Smith", "Jones", "Brown"], "study", str):
        time.sleep(0.55)
"""


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_loops_in_loops_give_one_share_and_one_time_left() -> None:
    """One of four analyses and half of the second in 30 s: 3/8, so 50 s are left."""
    clock = Clock()
    with watched(Watch(clock)) as watch, counting(4, "analysis") as outer:
        outer()
        with counting(1000) as inner:
            inner(500, "chains at 50, 50 %")
            clock.now = 30.0
            assert watch.share == pytest.approx(0.375)
            assert watch.seconds_left == pytest.approx(50.0)
            assert watch.text == "analysis 1 of 4; chains at 50, 50 %"
        assert watch.share == pytest.approx(0.25)
    assert watch.counts == [] and watch.seconds_left is None and not is_watched()


def test_what_was_kept_from_before_says_nothing_of_the_time_that_is_left() -> None:
    """8 of 10 were there, one of two took 6 s: 6 s are left."""
    clock = Clock()
    with watched(Watch(clock)) as watch, counting(10) as step:
        for _ in range(8):
            step(kept=True)
        assert watch.seconds_left is None
        step()
        clock.now = 6.0
        assert watch.seconds_left == pytest.approx(6.0)


def test_tasks_count_themselves_and_nothing_is_told_unless_somebody_watches() -> None:
    seen: list[float] = []
    with watched(Watch()) as watch:
        map_fits(lambda given, seeds: given, [Task("a", 1), Task("b", 2)], progress=lambda *_: seen.append(watch.share))
    assert seen == [0.5, 1.0]
    assert [list(each([1, 2])), is_watched()] == [[1, 2], False]
    assert [duration(0.2), duration(59.6), duration(3700)] == ["1 s", "1 min 0 s", "1 h 1 min"]


def terminal_text(command: list[str], **more: Any) -> str:
    """What a command writes on standard error where that is a terminal."""
    mine, theirs = pty.openpty()
    with subprocess.Popen(command, stderr=theirs, stdout=subprocess.DEVNULL, **more) as process:
        os.close(theirs)
        text = b""
        while True:
            try:
                piece = os.read(mine, 4096)
            except OSError:
                break
            if not piece:
                break
            text += piece
    os.close(mine)
    assert process.returncode == 0
    return text.decode()


@pytest.mark.slow
def test_a_terminal_is_told_the_time_left_and_a_pipe_nothing() -> None:
    command = [sys.executable, "-c", SLOW]
    told = terminal_text(command, env=os.environ | {"TERM": "xterm", "COLUMNS": "100"})
    assert "spec: sampling; study 2 of 3, Brown" in told and "67 %, about 1 s left" in told
    piped = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (piped.stdout, piped.stderr) == ("", "")
