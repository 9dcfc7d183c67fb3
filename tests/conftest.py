"""Shared fixtures. `shared` is the folder of known answers beside the clone; tests that need it skip where it is
absent.
"""

import gc
import os
import signal
import sys
from collections.abc import Iterator
from html import escape
from importlib import import_module
from pathlib import Path
from typing import Any

# many tiny matrices: BLAS threads competing for two cores cost more than they give; set before numpy is imported
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# PyTensor notes where each variable of a graph was made, a quarter of the time of making one; set before it is imported
os.environ.setdefault("PYTENSOR_FLAGS", "traceback__limit=0")

import pytest
from hypothesis import settings

from tests.paths import SHARED

# the same examples at each run of one state of the tests, so that what passed here passes in a clean clone;
# `make explore` looks for new ones, and what it finds becomes an @example
settings.register_profile("repeatable", derandomize=True)
settings.register_profile("exploring", derandomize=False, print_blob=True)
settings.load_profile("repeatable")

# a shell's background job ignores Ctrl-C, and so would every command that a test stops
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


ASKED_FOR = ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname")
HERE = (None, "", "127.0.0.1", "::1", "localhost")
_elsewhere: list[str] = []


def _watch(event: str, arguments: tuple) -> None:
    """Note every machine but this one that Python in this process, or in one forked from it, asks for."""
    if event in ASKED_FOR:
        place = arguments[1] if event in ASKED_FOR[:3] else arguments[0]
        host = place[0] if isinstance(place, tuple) else place
        name = host.decode() if isinstance(host, bytes) else host
        # a path is a socket of this machine, and no machine is called .invalid
        if name not in HERE and "/" not in str(name) and not str(name).endswith(".invalid"):
            _elsewhere.append(f"{event} {name}")


sys.addaudithook(_watch)


@pytest.fixture(autouse=True)
def nobody_elsewhere_is_asked() -> Iterator[None]:
    """No command, page or fit opens a connection beyond this machine (tests/builders/connections.py: children)."""
    _elsewhere.clear()
    yield
    assert not _elsewhere


OBJECTS = 300_000
"""Made before garbage is searched for, 2,000 by default: a graph has a million objects that stay while a test runs, and
the search took a quarter of its time. Half a gigabyte at most lies about.
"""
gc.set_threshold(OBJECTS, 10, 100)


def pytest_collection_finish() -> None:
    """Leave what was imported out of every search for garbage from here on: it stays until the end."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Leave what a file's tests keep, graphs and posteriors, out of every later search for garbage."""
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
        gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first, so that no worker is left with one when the others have ended."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip("the shared folder of known answers is not beside this clone")
    return SHARED


@pytest.fixture
def unwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    """For pages whose figures are made, and not written: in place of each stands an SVG with its label alone."""
    # a test that writes no page need not wait for matplotlib
    from bayes_bm.report import figures

    monkeypatch.setattr(figures, "svg", lambda drawn, *, title: f'<svg role="img" aria-label="{escape(title)}"></svg>')


@pytest.fixture
def undrawn(unwritten: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """For pages of which words alone are read: no figure is made either.

    Drawing is four fifths of what a page costs; the tests of the report's figures look at what is drawn.
    """
    from matplotlib.figure import Figure

    from bayes_bm.report import figures
    from bayes_bm.report.sections import first_screen

    for module in (figures, first_screen):
        for name in [name for name in vars(module) if name.endswith("_figure") and is_plot(vars(module)[name])]:
            monkeypatch.setattr(module, name, lambda *_, **__: Figure())


def is_plot(function: Any) -> bool:
    """Whether a name of a module of the report is a function of `report.plots`, which draws."""
    return getattr(function, "__module__", "").startswith("bayes_bm.report.plots.")


@pytest.fixture
def one_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """For fits of few draws whose numbers alone are asked: where the gate fails, a second try takes twice as long.

    The gate and its retry have tests of their own (`tests/inference/test_fit.py`).
    """
    # a test that fits nothing need not wait for the sampler
    from bayes_bm.inference import gated_sampling

    def sampled(*given: Any, **named: Any) -> gated_sampling.Run:
        return gated_sampling.sample_with_retry(*given, **(named | {"retry": False}))

    monkeypatch.setattr(import_module("bayes_bm.inference.fit"), "sample_with_retry", sampled)
