"""The review page by HTTP: what it is sent, what it saves, and nobody but this machine."""

import base64
import io
import json
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import matplotlib.image
import pytest

import bayes_bm as bb
from bayes_bm.digitizing.calibration_file import read_calibration
from bayes_bm.report.review import ReviewPage, review_server
from bayes_bm.validation.simulation.journal_figures import FigureStyle, draw_figure
from tests.digitizing.test_digitize import ARMS


@pytest.fixture
def page(tmp_path: Path) -> Iterator[tuple[ReviewPage, int]]:
    read = bb.digitize(draw_figure(tmp_path / "figure", ARMS, FigureStyle()))
    reviewed = ReviewPage(read, tmp_path / "out", treatments={"Repeat SRS": "re_srs"})
    running = review_server(reviewed)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield reviewed, running.server_address[1]
    running.shutdown()
    running.server_close()


def ask(port: int, path: str, body: Any = None, host: str | None = None) -> tuple[int, Any]:
    connection = HTTPConnection("127.0.0.1", port, timeout=120)
    headers = {"Content-Type": "application/json"} | ({"Host": host} if host else {})
    connection.request("GET" if body is None else "POST", path, None if body is None else json.dumps(body), headers)
    reply = connection.getresponse()
    text = reply.read().decode()
    connection.close()
    return reply.status, json.loads(text) if reply.headers.get_content_type() == "application/json" else text


@pytest.mark.slow
def test_the_page_needs_nothing_else_and_answers_nobody_else(page) -> None:
    _, port = page
    status, text = ask(port, "/")
    assert status == 200
    assert "https://" not in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert ask(port, "/about", host="evil.example")[0] == 403


@pytest.mark.slow
def test_it_shows_the_figure_with_what_was_read(page) -> None:
    reviewed, port = page
    about = ask(port, "/about")[1]
    picture = matplotlib.image.imread(io.BytesIO(base64.b64decode(about["picture"].split(",")[1])), format="png")
    assert picture.shape[:2] == reviewed.read.canvas.pixels.shape[:2]
    assert [line["name"] for line in about["lines"]] == list(ARMS)
    assert about["calibration"]["time"]["ticks"][0]["value"] == 0
    assert about["verdict"] == "exact"
    assert "endpoint_not_named" in [finding["kind"] for finding in about["findings"]]  # what concerns the files too


@pytest.mark.slow
def test_what_is_dragged_renamed_and_dropped_is_saved_into_the_same_file(page) -> None:
    reviewed, port = page
    calibration = ask(port, "/about")[1]["calibration"]
    calibration["arms"][0] |= {"name": "surgery", "from": "given"}
    calibration["arms"][1] |= {"drop": True}
    for tick in calibration["time"]["ticks"]:
        tick["value"] *= 2
    status, about = ask(port, "/save", calibration)
    assert status == 200
    assert [line["name"] for line in about["lines"]] == ["surgery"]
    saved = read_calibration(reviewed.folder / "calibration.toml")
    assert [(arm.name, arm.drop) for arm in saved.arms] == [("surgery", False), ("Repeat SRS", True)]
    assert saved.time is not None
    assert saved.time.source == "given"
    assert (reviewed.folder / "surgery.curve.csv").is_file()


@pytest.mark.slow
def test_what_means_nothing_is_said_in_words_and_nothing_changes(page) -> None:
    reviewed, port = page
    status, answer = ask(port, "/save", {"arms": [{"nam": "a"}]})
    assert (status, "did you mean name?" in answer["error"]) == (400, True)
    assert not reviewed.folder.exists()
    assert ask(port, "/done", {})[0] == 200
    assert reviewed.done.is_set()
