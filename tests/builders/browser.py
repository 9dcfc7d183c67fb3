"""A real Chromium for tests of pages, and what axe-core finds in them.

    with browser.opened(width=380) as page:
        page.goto(address)
        assert browser.axe_findings(page) == []

The browser is the system's: nothing is downloaded. Tests that use it are `slow` and carry `browser.needed`.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import pytest

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
needed = pytest.mark.skipif(not CHROMIUM, reason="no Chromium")
"""Skips a test where no Chromium is installed."""
AXE_CORE = "axe.min.js"


@contextmanager
def opened(
    *, width: int = 1280, height: int = 900, scheme: Literal["light", "dark"] = "light", scripts: bool = True
) -> Iterator[Any]:
    """Yield a page of Playwright in headless Chromium; with `scripts=False` as where a reader has switched them off."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, java_script_enabled=scripts
        )
        try:
            yield context.new_page()
        finally:
            chromium.close()


def axe_findings(page: Any) -> list[str]:
    """Return what axe-core objects to on an open page, all of its rules: `rule: help: first element`, a line each.

    axe-core is the copy inside the package axe-playwright-python.
    """
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {rule['help']}: {rule['nodes'][0]['html'][:160]}" for rule in found]
