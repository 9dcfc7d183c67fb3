"""The review page in real Chromium: ticks and arms are dragged, renamed and dropped, and the file holds what was done.

A second page on the same address holds the review page in a frame and acts on it as a hand would: pointer events on the
drawn handles, typing, clicks. Skipped where no Chromium is installed.
"""

import csv
import subprocess
import threading
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

import bayes_bm as bb
from bayes_bm.digitizing.calibration_file import read_calibration
from bayes_bm.report.review import ReviewPage, review_server
from bayes_bm.validation.simulation.journal_figures import FigureStyle, draw_figure
from tests.builders import browser
from tests.digitizing.test_digitize import ARMS

HAND = Path(__file__).with_name("review_hand.html").read_bytes()


@pytest.mark.slow
@browser.needed
def test_what_a_hand_does_in_the_browser_is_in_the_file(tmp_path: Path) -> None:
    read = bb.digitize(draw_figure(tmp_path / "figure", ARMS, FigureStyle()))
    page = ReviewPage(read, tmp_path / "out")
    running = review_server(page)
    handler: Any = running.RequestHandlerClass

    class WithHand(handler):
        def do_GET(self) -> None:
            if self.path == "/hand":
                self._send(HTTPStatus.OK, HAND, "text/html; charset=utf-8")
            else:
                super().do_GET()

        def send_header(self, keyword: str, value: str) -> None:
            # the frame needs a source; the page itself keeps its policy
            if not (self.path == "/hand" and keyword == "Content-Security-Policy"):
                super().send_header(keyword, value)

    running.RequestHandlerClass = WithHand
    threading.Thread(target=running.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{running.server_address[1]}/hand"
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    # `--dump-dom` would end the browser when the page is loaded, before the hand has moved
    command = [browser.CHROMIUM, *options, "--remote-debugging-port=0", address]
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert page.done.wait(120)
    finally:
        started.terminate()
        started.wait(30)
        running.shutdown()
        running.server_close()
    saved = read_calibration(tmp_path / "out" / "calibration.toml")
    assert [(arm.name, arm.drop) for arm in saved.arms] == [("surgery", False), ("Repeat SRS", True)]
    printed = read.calibration.rows
    assert [(row.arm, row.times, row.counts, row.source) for row in saved.rows] == [
        ("surgery", printed[0].times, (61, *printed[0].counts[1:]), "given"),
        ("Repeat SRS", printed[0].times, (45, 33, *(-1 for _ in printed[0].times[2:])), "given"),
    ]
    with (tmp_path / "out" / "curves.csv").open() as file:
        assert [row["n"] for row in csv.DictReader(file)] == ["61"]
    assert saved.time is not None
    assert saved.time.source == "given"
    before = read.calibration.time
    assert before is not None
    moved = saved.time.ticks[1].place - before.ticks[1].place
    assert moved > 5  # forty pixels of the screen, in units of the figure
