"""The review page of a digitised figure: the overlay in the browser, where a person corrects what was read.

The page sends back the same items that `calibration.toml` holds; they are checked as the file is, written to it, and
the figure is read again with them.
"""

import base64
import io
import threading
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from bayes_bm.digitizing.calibration_file import calibration_text, parse_calibration
from bayes_bm.digitizing.digitize import Digitized, digitize
from bayes_bm.digitizing.findings import in_order
from bayes_bm.digitizing.folder import handing_findings, save_figure
from bayes_bm.digitizing.ink import mark_places
from bayes_bm.report.loopback import LoopbackHandler, loopback_server


@dataclass(eq=False)
class ReviewPage:
    """Hold the reading that is reviewed, as it stands after the last save.

    Attributes
    ----------
    read
        The reading.
    folder, study, endpoint, treatments
        Where its files go and what they name, as `Digitized.save` takes them.
    done
        Set when somebody has said that the review is over.
    """

    read: Digitized
    folder: Path
    study: str | None = None
    endpoint: str | None = None
    treatments: Mapping[str, str] = field(default_factory=dict)
    done: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def about(self) -> dict[str, Any]:
        """Return the figure as a picture, the calibration, the lines that were read, and what is asked."""
        read = self.read
        arms = zip(read.reading.arms, read.verdicts, strict=True)
        return {
            "figure": read.figure.name,
            "picture": _data_url(read),
            "width": read.canvas.pixels.shape[1] / read.canvas.scale,
            "height": read.canvas.pixels.shape[0] / read.canvas.scale,
            "calibration": calibration_document(read),
            "verdict": read.verdict,
            "lines": [
                {
                    "name": arm.name,
                    "points": np.round(arm.corners, 3).tolist(),
                    "marks": np.round(mark_places(arm), 3).tolist(),
                    "verdict": verdict.verdict,
                    "reason": verdict.reason,
                }
                for arm, verdict in arms
            ],
            "findings": [
                {
                    "kind": finding.kind,
                    "severity": finding.severity,
                    "message": finding.message,
                    "arm": None if finding.arm is None else read.reading.arms[finding.arm].name,
                }
                for finding in in_order([*read.findings, *handing_findings(read, self.endpoint)])
            ],
        }

    def save(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Read the figure again with the calibration that the page sends, write all files, and return `about`."""
        given = parse_calibration(question, "the page")
        with self._lock:
            read = digitize(self.read.figure, given)
            save_figure(read, self.folder, study=self.study, endpoint=self.endpoint, treatments=self._named(read))
            self.read = read
            return self.about()

    def _named(self, read: Digitized) -> dict[str, str]:
        """Return the treatments of the arms that are still there: an arm may have been renamed or dropped."""
        return {arm: name for arm, name in self.treatments.items() if arm in read}

    def finish(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Say that the review is over."""
        self.done.set()
        return {"done": True}


def calibration_document(read: Digitized) -> dict[str, Any]:
    """Return the calibration of a reading as plain data, key for key what `calibration.toml` holds."""
    return tomllib.loads(calibration_text(read.calibration))


def _data_url(read: Digitized) -> str:
    """Return the figure as a PNG inside an address, so that the page asks for nothing else."""
    from matplotlib.image import imsave

    buffer = io.BytesIO()
    imsave(buffer, read.canvas.pixels, format="png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def review_server(page: ReviewPage, port: int = 0) -> ThreadingHTTPServer:
    """Return a server of the page on the loopback address, not yet running; port 0 takes a free one."""

    class Handler(LoopbackHandler):
        template = "review.html"

        def about(self) -> dict[str, Any]:
            return page.about()

        def questions(self) -> Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]]:
            return {"/save": page.save, "/done": page.finish}

    return loopback_server(Handler, port)
