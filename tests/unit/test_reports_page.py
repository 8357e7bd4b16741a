"""The page as a file: whole, self-contained, and not to be taken over by what it shows."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from campaign.machine import step
from campaign.model import Event
from reports import history, write_report
from reports.page import render
from tests import specimen


class _Seen(HTMLParser):
    """What a browser would make of it, roughly."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.data: dict[str | None, str] = {}
        self._script: str | None = None
        self._in_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = dict(attrs)
        self._in_script = tag == "script"
        self._script = found.get("id")
        self.handlers += [name for name in found if name.startswith("on")]
        self.addresses += [found[name] or "" for name in ("src", "href") if name in found]

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.data[self._script] = data
            self._in_script = False


@pytest.fixture(scope="module")
def journal() -> list[Event]:
    return specimen.journal()


@pytest.fixture(scope="module")
def page(journal: list[Event]) -> str:
    return render(history(journal, step))


@pytest.fixture(scope="module")
def seen(page: str) -> _Seen:
    parser = _Seen()
    parser.feed(page)
    return parser


def test_hostile_strings_are_text(page: str, seen: _Seen) -> None:
    assert seen.tags.count("script") == 3
    assert "img" not in seen.tags
    assert seen.handlers == []
    assert "&lt;/script&gt;&lt;script&gt;" in page


def test_the_page_fetches_nothing(seen: _Seen) -> None:
    assert all(re.match(r"#trial-\d+$|data:,$", address) for address in seen.addresses)


def test_only_our_own_scripts_may_run(page: str) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)

    assert policy is not None
    assert "default-src &#39;none&#39;" in policy.group(1)
    assert policy.group(1).count("sha256-") == 2
    assert "script-src &#39;unsafe-inline&#39;" not in policy.group(1)


def test_the_series_are_embedded_as_json(seen: _Seen) -> None:
    series = json.loads(seen.data["series"])

    assert len(series) == 5
    assert {"span", "times", "lines", "markers"} == set(series[0])
    assert all(len(line["values"]) == len(series[0]["times"]) for line in series[0]["lines"])


def test_a_verdict_is_a_word_not_only_a_colour(page: str) -> None:
    for verdict in ("resolved", "unresolved", "immune", "inconclusive"):
        assert re.search(rf"</span> {verdict}</span>", page)


def test_a_report_is_made_of_a_campaign_at_any_moment(journal: list[Event]) -> None:
    """After each of the first events, and at intervals later on."""
    for count in [*range(1, 60), *range(60, len(journal), 40)]:
        assert "</html>" in render(history(journal[:count], step))


def test_a_campaign_under_way_says_so_and_shows_what_is_to_come(journal: list[Event]) -> None:
    page = render(history(journal[:30], step))

    assert "This campaign is running" in page
    assert "not begun" in page
    assert 'title="unknown">—</span>' in page


def test_writing_twice_replaces_both_files_and_leaves_nothing_beside_them(
    journal: list[Event], tmp_path: Path
) -> None:
    write_report(journal[:50], step, tmp_path / "report")
    written = write_report(journal, step, tmp_path / "report")

    assert sorted(p.name for p in written.page.parent.iterdir()) == ["index.html", "summary.json"]
    assert json.loads(written.summary.read_text())["state"] == "finished"
