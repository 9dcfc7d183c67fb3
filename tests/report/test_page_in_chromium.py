"""The patient page in real Chromium, by mouse and by keyboard, at two sizes: its numbers are those of `predict`."""

import re
import threading
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest

from bayes_bm.estimands.predict import predict
from bayes_bm.report.server import PatientPage, server
from tests.builders import browser
from tests.builders.patients import made

pytestmark = [pytest.mark.slow, browser.needed]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    page = PatientPage(made(draws=20))
    page.warm()
    running = server(page)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_address[1]}/"
    running.shutdown()
    running.server_close()


@pytest.fixture(scope="module")
def chromium(address: str) -> Iterator[Any]:
    """One browser for all tests; each opens the page anew."""
    with browser.opened() as page:
        yield page


def counts(covariates: dict[str, float], treatment: str = "b", time: float = 12.0) -> str:
    table = predict(made(draws=20), covariates, times=[time])
    row = table[(table["estimand"] == "survival") & (table["treatment"] == treatment)].iloc[0]
    middle, low, high = (f"{100 * row[name]:.0f}" for name in ("median", "q2_5", "q97_5"))
    return f"{middle} with {treatment} ({low} to {high})"


def alone(covariates: dict[str, float]) -> str:
    """Of one treatment, which then names the level."""
    return counts(covariates, time=6.0).replace("(", "(95\u00a0% interval ")


def opened(page: Any, address: str, *, width: int = 1280, fragment: str = "") -> Any:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto("about:blank")
    page.goto(f"{address}#{fragment}" if fragment else address)
    page.wait_for_selector("#icons svg")
    return page


def says(page: Any, text: str) -> None:
    page.locator("#headline").get_by_text(text).wait_for(timeout=5000)


@pytest.mark.parametrize("width", [1280, 380])
def test_choices_and_sliders_answer_with_the_numbers_of_predict(chromium, address: str, width: int) -> None:
    page = opened(chromium, address, width=width)
    says(page, counts({}))
    page.get_by_label("yes", exact=True).first.check()
    says(page, counts({"good": 1.0}))
    page.get_by_label("age, years, slider").first.fill("70")
    says(page, counts({"good": 1.0, "age": 70.0}))
    assert page.get_by_label("age, years; blank: not known").first.input_value() == "70"
    page.get_by_label("Time, months", exact=True).fill("6,5")
    says(page, counts({"good": 1.0, "age": 70.0}, time=6.5))
    drawn = page.locator("#icons svg").nth(1).locator("g[data-state^=alive]").count()
    assert f"{drawn} with b" in counts({"good": 1.0, "age": 70.0}, time=6.5)
    # nothing is cut at the side
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # heads of columns are hidden on a telephone, where each cell names its own
    seen = "[...document.querySelectorAll('#answer *')].filter(one => innerWidth > 640 || !one.closest('thead'))"
    beyond = f"{seen}.filter(one => one.getBoundingClientRect().right > innerWidth + 1)"
    assert page.evaluate(f"{beyond}.length") == 0
    if width < 500:
        assert browser.axe_findings(page) == []


def test_keyboard_alone(chromium, address: str) -> None:
    page = opened(chromium, address)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the answer"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.type") == "range"
    page.keyboard.press("End")
    says(page, counts({"age": 110.0}))
    assert "Beyond the evidence" in page.locator("#a-age-range").inner_text()
    for _ in range(3):
        page.keyboard.press("Tab")
    # into the choice: not known, then no, then yes
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    says(page, counts({"age": 110.0, "good": 1.0}))
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_text("Patient B.").first.wait_for()
    assert page.locator("#curves svg text", has_text="Patient B").count() == 1
    assert page.evaluate("document.querySelector('#lead').getAttribute('aria-live')") == "polite"


def test_settings_stand_in_the_fragment_and_come_back(chromium, address: str) -> None:
    asked: list[str] = []
    page = opened(chromium, address, fragment="a=age:70;good:1&b=age:50&time=6&without=a")
    page.on("request", lambda request: asked.append(request.url))
    says(page, alone({"age": 70.0, "good": 1.0}))
    says(page, alone({"age": 50.0}))
    assert page.locator("#icons svg").count() == 2
    page.get_by_label("no", exact=True).nth(1).check()
    says(page, alone({"age": 50.0, "good": 0.0}))
    assert (
        page.evaluate("location.hash")
        .replace("%3A", ":")
        .replace("%3B", ";")
        .endswith("b=age:50;good:0&without=a&time=6")
    )
    # the fragment is never sent, and nothing is kept
    assert asked and not any("age" in url for url in asked)
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]


def test_files_to_take_along(chromium, address: str, tmp_path) -> None:
    page = opened(chromium, address, fragment="a=age:70")
    says(page, counts({"age": 70.0}))
    with page.expect_download() as handed:
        page.get_by_role("button", name="Numbers (CSV)").click()
    handed.value.save_as(tmp_path / "numbers.csv")
    table = pd.read_csv(tmp_path / "numbers.csv")
    row = table[(table["estimand"] == "rmst_difference") & (table["treatment"] == "b")].iloc[0]
    truth = predict(made(draws=20), {"age": 70.0}, times=[12.0])
    assert row["median"] == pytest.approx(truth[truth["estimand"] == "rmst_difference"].iloc[0]["median"], abs=0.002)
    with page.expect_download() as handed:
        page.get_by_role("button", name="Figure (PNG)").click()
    handed.value.save_as(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert (tmp_path / "figure.png").stat().st_size > 20_000
    assert "recommends no treatment" in page.locator("#letter").input_value()


def test_an_error_is_said_and_the_old_answer_is_faint(chromium, address: str) -> None:
    page = opened(chromium, address)
    page.get_by_label("age, years; blank: not known").first.fill("7")
    page.get_by_text("patient, age: found 7.0; allowed: 18 to 110 years").wait_for()
    assert "stale" in page.locator("#answer").get_attribute("class")
    page.get_by_role("button", name="age: not known").first.click()
    says(page, counts({}))
    assert page.locator("#error").inner_text() == ""
    assert not re.search("stale", page.locator("#answer").get_attribute("class") or "")


def test_dark_mode_has_its_colours(chromium, address: str) -> None:
    chromium.emulate_media(color_scheme="dark")
    page = opened(chromium, address, fragment="b=")
    says(page, "Patient B.")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 27)"
    assert page.locator("#curves svg polyline[stroke='#56B4E9']").count() > 0
    # told apart by dash too
    dashes = page.locator("#curves svg polyline[stroke-width='2.6']").evaluate_all(
        "lines => [...new Set(lines.map(line => line.getAttribute('stroke-dasharray')))]"
    )
    assert dashes == ["", "9 5"]
    assert browser.axe_findings(page) == []
    chromium.emulate_media(color_scheme="light")
