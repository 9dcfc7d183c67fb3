"""Files made to take for ever, or all memory, and faults of a reader end in one message that names the file."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import bayes_bm as bb
from bayes_bm.digitizing import digitize as digitizing
from bayes_bm.digitizing import sources
from bayes_bm.digitizing.limits import check_time, time_limit, untimed
from bayes_bm.runtime.errors import InputError
from tests.builders.commands import call
from tests.digitizing import svg_figures as svg

BANDS = '<path d="M60 50L360 100V240L60 190Z" fill="#c00000" fill-opacity="0.01"/>'


def many_curves(count: int) -> str:
    """Return a figure of many random curves of one colour."""
    rng = np.random.default_rng(1)
    curves = (svg.corners(np.sort(rng.uniform(0, 30, 9)), np.sort(rng.uniform(0, 1, 9))[::-1], 30.0)
              for _ in range(count))  # fmt: skip
    return svg.figure(svg.ARMS + "".join(svg.line(curve, svg.RED) for curve in curves))


@pytest.mark.slow
def test_a_page_of_too_many_curves_is_refused_by_name(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "curves.svg"
    path.write_text(many_curves(400))
    monkeypatch.setattr(sources, "VECTOR_SECONDS", 0.1)
    with pytest.raises(InputError, match=r"curves.svg: found too many \w+; allowed: what is read in 0.1 s; cut"):
        bb.digitize(path)


@pytest.mark.slow
def test_too_many_bands_are_refused_by_name(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "bands.svg"
    path.write_text(svg.figure(svg.ARMS + 500 * BANDS))
    monkeypatch.setattr(digitizing, "CHECK_SECONDS", 0.1)
    with pytest.raises(InputError, match=r"bands.svg: found too many lines and bands; allowed: what is read in 0.1 s"):
        bb.digitize(path)


@pytest.mark.slow
def test_a_fault_of_a_reader_is_a_refusal_by_name(tmp_path: Path, monkeypatch, capsys) -> None:
    path = tmp_path / "figure.svg"
    path.write_text(svg.figure(svg.ARMS))

    def fail(*_: object) -> None:
        raise IndexError("index 3 is out of bounds")

    monkeypatch.setattr(digitizing, "measure_ink", fail)
    assert call("digitize", path, "--out", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert f"{path}: found a figure at which the reader fails (IndexError: index 3 is out of bounds)" in said
    assert "Traceback" not in said and not (tmp_path / "out").exists()
    monkeypatch.setenv("BAYES_BM_TRACEBACK", "1")
    with pytest.raises(IndexError):
        bb.digitize(path)


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
import time
import bayes_bm as bb
from bayes_bm.digitizing import sources
sources.VECTOR_SECONDS = 1.0
for path in sys.argv[1:]:
    start = time.process_time()
    try:
        bb.digitize(path)
    except bb.InputError as problem:
        print(time.process_time() - start < 8, str(problem).startswith(path))
"""


@pytest.mark.slow
def test_hostile_files_end_within_ten_seconds_and_one_gigabyte_of_addresses(tmp_path: Path) -> None:
    """With a limit of one second for vectors in place of three, so within eight."""
    pytest.importorskip("cv2")
    image = pytest.importorskip("PIL.Image")
    files = [tmp_path / name for name in ("curves.svg", "white.png")]
    files[0].write_text(many_curves(2000))
    image.new("RGB", (9000, 6600), "white").save(files[1])  # the largest picture that is opened: 59 million pixels
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *map(str, files)],
        capture_output=True,
        text=True,
        env={"OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.stdout.splitlines() == ["True True"] * 2, done.stderr[-2000:]


def test_the_limit_leaves_out_what_is_untimed() -> None:
    def work(seconds: float) -> None:
        start = time.thread_time()
        while time.thread_time() - start < seconds:
            pass

    with time_limit(0.05):
        with untimed():
            work(0.1)
        check_time("lines")
        work(0.06)
        with pytest.raises(InputError, match="too many lines"):
            check_time("lines")
    check_time("lines")
