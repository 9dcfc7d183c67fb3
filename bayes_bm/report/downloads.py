"""Links that a page carries inside itself: the numbers behind a figure as CSV, the figure as SVG."""

import base64
import re
from dataclasses import dataclass
from urllib.parse import quote

import pandas as pd

from bayes_bm.runtime.spreadsheets import defuse

PLAIN = ",:;()/"
"""What stands in the data of a URI as it is (RFC 3986): a page has thousands of commas, else three letters each."""


@dataclass(frozen=True)
class Download:
    """A file inside the page: the name it is saved under, its words, and its data as a URI."""

    file: str
    words: str
    href: str


def csv_download(table: pd.DataFrame, name: str, words: str = "numbers (CSV)") -> Download:
    """Return a table as a file of comma-separated values, its numbers to six significant figures.

    >>> csv_download(pd.DataFrame({"time": [0.5], "of_100": [97.25]}), "alive").href
    'data:text/csv;charset=utf-8,time,of_100%0A0.5,97.25%0A'
    """
    text = defuse(table).to_csv(index=False, float_format="%.6g", lineterminator="\n")
    return Download(f"{file_name(name)}.csv", words, f"data:text/csv;charset=utf-8,{quote(text, safe=PLAIN)}")


def svg_download(drawing: str, name: str, words: str = "figure (SVG)") -> Download:
    """Return an `<svg>` element as a file of its own."""
    encoded = base64.b64encode(drawing.encode()).decode()
    return Download(f"{file_name(name)}.svg", words, f"data:image/svg+xml;base64,{encoded}")


def file_name(title: str) -> str:
    """Return a title as the stem of a file: lower case, words joined by underscores.

    >>> file_name("New study: difference A − B")
    'new_study_difference_a_b'
    """
    return re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")[:60] or "figure"
