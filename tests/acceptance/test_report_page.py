"""The report in a real browser: nothing fetched, nothing broken, readable at every size."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from campaign.machine import step
from reports import write_report
from tests import specimen

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ARGUMENTS = (
    "--no-sandbox",  # containers run the tests as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_DESKTOP = (1280, 900)
_PHONE = (390, 844)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if program is None:
        pytest.skip(f"no browser is installed: none of {', '.join(_BROWSERS)} is on PATH")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=list(_ARGUMENTS))
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The written page. RATCHET_SCREENSHOTS names a folder to look at it, and at the pictures."""
    folder = os.environ.get("RATCHET_SCREENSHOTS")
    place = Path(folder) if folder else tmp_path_factory.mktemp("report")
    return write_report(specimen.journal(), step, place).page


@dataclass(slots=True)
class Visit:
    """A page in a window, and what went on behind it."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    browser: Browser
    report: Path

    def open(self, size: tuple[int, int], *, dark: bool = False, fragment: str = "") -> Visit:
        """The report, loaded; closed with the browser."""
        context = self.browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        visit = Visit(page=context.new_page())
        visit.page.on("console", lambda message: visit.complaints.append(message.text))
        visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        visit.page.on("request", lambda request: visit.requests.append(request.url))
        visit.page.goto(f"{self.report.as_uri()}{fragment}")
        return visit


@pytest.fixture
def window(browser: Browser, report: Path) -> Window:
    return Window(browser=browser, report=report)


def _unfold(page: Page) -> None:
    """Open everything and bring each chart into view, so that all are drawn."""
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    for figure in page.locator("figure.chart").all():
        figure.scroll_into_view_if_needed()
        figure.locator("canvas").wait_for()
    page.evaluate("scrollTo(0, 0)")


#: the colours found on a chart's canvas, as "r,g,b"
_COLOURS = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const seen = new Set();
  for (let i = 0; i < data.length; i += 4)
    if (data[i + 3] === 255) seen.add(`${data[i]},${data[i + 1]},${data[i + 2]}`);
  return [...seen];
}"""


def _rgb(page: Page, variable: str) -> str:
    """A colour of the style sheet as the canvas has it."""
    value = page.evaluate(
        "name => getComputedStyle(document.documentElement).getPropertyValue(name).trim()", variable
    )
    return ",".join(str(int(value[i : i + 2], 16)) for i in (1, 3, 5))


def test_the_page_opens_from_a_file_without_a_complaint_or_a_request(window: Window) -> None:
    visit = window.open(_DESKTOP)
    _unfold(visit.page)

    assert visit.complaints == []
    assert [window.report.as_uri()] == visit.requests


def test_what_the_operator_wrote_did_not_run(window: Window) -> None:
    page = window.open(_DESKTOP, fragment="#trial-1").page

    assert page.title() == "2025-11-21-ladder · Ratchet"
    assert specimen.HOSTILE in page.locator("#trial-1 blockquote").inner_text()


def test_the_table_has_every_trial_with_its_verdict(window: Window) -> None:
    rows = window.open(_DESKTOP).page.locator(".verdicts tbody tr")

    verdicts = [row.locator(".badge").inner_text() for row in rows.all()]

    assert verdicts == [
        "✓ resolved",
        "✗ unresolved",
        "✓ resolved",
        "◆ immune",
        "? inconclusive",
    ]
    assert "missing_index" in rows.first.inner_text()


def test_every_trial_draws_a_chart_of_each_invariant(window: Window) -> None:
    page = window.open(_DESKTOP).page
    _unfold(page)

    drawn = page.locator("figure.chart canvas").count()

    assert len(specimen.PROFILES) * len(specimen.INVARIANTS) == drawn


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_violated_chart_shows_the_violation_and_its_markers(
    window: Window, *, dark: bool
) -> None:
    page = window.open(_DESKTOP, dark=dark, fragment="#trial-1").page
    figure = page.locator("#trial-1 figure.chart").first
    figure.locator("canvas").wait_for()

    seen = set(figure.locator("canvas").evaluate(_COLOURS))

    for meaning in ("--series", "--bad", "--bad-soft", "--doubt", "--good", "--calm"):
        assert _rgb(page, meaning) in seen, meaning


def test_a_chart_tells_the_value_under_the_pointer(window: Window) -> None:
    page = window.open(_DESKTOP, fragment="#trial-1").page
    figure = page.locator("#trial-1 figure.chart").first
    figure.locator("canvas").wait_for()

    figure.locator(".u-over").hover(position={"x": 320, "y": 40})

    assert "violated" in figure.locator("output").inner_text()


def test_a_link_in_the_table_unfolds_its_trial(window: Window) -> None:
    page = window.open(_DESKTOP).page
    assert page.locator("#trial-4").get_attribute("open") is None

    page.locator(".verdicts a[href='#trial-4']").first.click()

    page.locator("#trial-4[open]").wait_for()


@pytest.mark.parametrize("size", [_PHONE, _DESKTOP], ids=["phone", "desktop"])
def test_nothing_sticks_out_sideways(window: Window, size: tuple[int, int]) -> None:
    page = window.open(size).page
    _unfold(page)

    assert size[0] == page.evaluate("document.documentElement.scrollWidth")


@pytest.mark.parametrize(
    ("name", "size", "dark"),
    [("desktop", _DESKTOP, False), ("phone", _PHONE, False), ("dark", _DESKTOP, True)],
)
def test_pictures_are_taken_for_people_to_look_at(
    window: Window, name: str, size: tuple[int, int], *, dark: bool
) -> None:
    page = window.open(size, dark=dark).page
    _unfold(page)
    picture = window.report.parent / f"{name}.png"

    page.screenshot(path=picture, full_page=True)

    assert picture.stat().st_size > 50_000
