"""Draw docs/figures/patient-page.png: the patient page of a result in Chromium.

python scripts/picture_page.py RESULT.nc [docs/figures/patient-page.png]
"""

import sys
import threading

from PIL import Image

import bayes_bm as bb
from bayes_bm.report.server import PatientPage, server
from tests.builders import browser

SETTINGS = "a=kps70:1;single_met:1;extracranial_controlled:1;interval_over_6_months:1&b=kps70:0"
"""Two patients of the shipped model os_reresection_vs_resrs."""


def picture(result: str, path: str) -> None:
    """Write the first screen of the page."""
    page = PatientPage(bb.load(result))
    page.warm()
    running = server(page)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    with browser.opened(width=1240, height=960) as tab:
        tab.goto(f"http://127.0.0.1:{running.server_address[1]}/#{SETTINGS}")
        tab.wait_for_selector("#icons svg")
        tab.screenshot(path=path)
    running.shutdown()
    # a quarter of the bytes, no change that is seen
    Image.open(path).convert("RGB").quantize(128).save(path, optimize=True)


if __name__ == "__main__":
    picture(sys.argv[1], (sys.argv[2:] or ["docs/figures/patient-page.png"])[0])
