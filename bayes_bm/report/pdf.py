"""The report as PDF, printed by a headless Chromium where one is installed: the whole, and its one page alone."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pypdfium2

from bayes_bm.runtime.errors import InputError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "microsoft-edge", "msedge")
"""Commands of browsers that print by themselves."""
ONE_PAGE = "one-page"
"""Fragment of the report's address that shows its first screen alone, and the name of that PDF."""
ZOOMS = (1.0, 0.92, 0.84, 0.76, 0.68, 0.6)
"""Sizes of print that are tried until the page fits on one side; at 0.6 small print has 5 points."""
SECONDS = 180
"""Longest time of one print."""


def browser() -> str:
    """Return the command of an installed browser. Raises `InputError` where there is none."""
    for name in BROWSERS:
        if (path := shutil.which(name)) is not None:
            return path
    raise InputError(
        "--pdf",
        found="no Chromium, Chrome or Edge",
        allowed=f"one of {', '.join(BROWSERS)} on the PATH",
        hint="install one, or print report.html from any browser (its one-page view ends in #one-page)",
    )


def write_pdfs(report: Path) -> list[Path]:
    """Print a report beside itself: the whole as NAME.pdf, its first screen on one side of A4 as NAME-one-page.pdf."""
    whole = report.with_suffix(".pdf")
    with tempfile.TemporaryDirectory() as folder:
        _print(browser(), report.resolve().as_uri(), whole, Path(folder))
    return [whole, print_one_page(report, report.with_name(f"{report.stem}-{ONE_PAGE}.pdf"))]


def print_one_page(report: Path, out: Path) -> Path:
    """Print a report's first screen, smaller until it fits on one side."""
    text, command = report.read_text(encoding="utf-8"), browser()
    with tempfile.TemporaryDirectory() as folder:
        for zoom in ZOOMS:
            sized = Path(folder) / "report.html"
            sized.write_text(text.replace("<body ", f'<body style="zoom: {zoom}" ', 1), encoding="utf-8")
            _print(command, f"{sized.as_uri()}#{ONE_PAGE}", out, Path(folder))
            if pages(out) == 1:
                break
    return out


def pages(pdf: Path) -> int:
    """Return the number of pages of a PDF."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        return len(document)
    finally:
        document.close()


def _print(command: str, address: str, out: Path, folder: Path) -> None:
    """Print one address; the file appears whole or not at all."""
    made = folder / "print.pdf"
    made.unlink(missing_ok=True)
    options = ["--headless=new", "--disable-gpu", "--no-first-run", "--no-pdf-header-footer"]
    # Chromium does not start its sandbox for root, as whom containers run
    options += ["--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else []
    options += [f"--user-data-dir={folder / 'profile'}", f"--print-to-pdf={made}"]
    try:
        done = subprocess.run([command, *options, address], capture_output=True, text=True, timeout=SECONDS)
        said = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
    except subprocess.TimeoutExpired:
        said = [f"nothing after {SECONDS} s"]
    if not made.is_file():
        raise InputError("--pdf", found=f"{Path(command).name} printed nothing ({said[0]})", hint="print it by hand")
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(made, out)
