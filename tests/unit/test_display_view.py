"""The live display's picture, and which display a stream gets."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from campaign.display import LiveDisplay, PlainDisplay, display_for
from campaign.display_view import draw
from campaign.machine import Campaign, fold, step
from campaign.model import Event
from tests import specimen


@pytest.fixture(scope="module")
def journal() -> list[Event]:
    return specimen.journal()


def _after(journal: list[Event], seconds: float) -> Campaign:
    campaign = fold([event for event in journal if event.at < specimen.BEGAN_AT + seconds])
    assert campaign is not None
    return campaign


def _picture(campaign: Campaign, *, now: float | None = None, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width, record=True)
    console.print(draw(campaign, ["0:01  something"], now=now or campaign.at))
    return console.export_text()


def test_a_ticket_under_repair_is_seen_whole(journal: list[Event]) -> None:
    picture = _picture(_after(journal, 25), now=specimen.BEGAN_AT + 25.2)

    for part in (
        "2025-11-21-ladder",
        "claude on chat_db_app, continuous  0:25",
        "trial 1 of 5  missing_index  repairing for 0:10",
        "T001 session 1 at work",
        "deployment 1 01c4f7e2 under way",
        "0:01  something",
    ):
        assert part in picture


def test_every_invariant_that_is_judged_has_its_value_limit_and_status(
    journal: list[Event],
) -> None:
    lines = _picture(_after(journal, 25)).splitlines()
    names = [name for name in specimen.LEVELS if name != "notification_bytes"]
    row = {name: next(line for line in lines if f" {name} " in line) for name in names}

    assert all(word in row["messages_slow"] for word in ("%", "5 %", "violated"))
    assert all(word in row["errors"] for word in ("0 %", "2 %", "held"))


def test_what_is_not_judged_shows_no_number(journal: list[Event]) -> None:
    idle = _picture(_after(journal, 25))
    blind = _after(journal, specimen.BLIND[1] - specimen.BEGAN_AT - 0.1)

    blind_row = next(line for line in _picture(blind).splitlines() if " errors " in line)

    assert ("notification_bytes" in idle, "1 idle" in idle) == (False, True)
    assert ("—" in blind_row, "unknown" in blind_row) == (True, True)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_it_is_drawn_at_any_moment_and_width(journal: list[Event], width: int) -> None:
    for seconds in range(1, 260, 9):
        picture = _picture(_after(journal, seconds), width=width)

        assert max(len(line) for line in picture.splitlines()) <= width


def test_markup_in_foreign_text_is_text(journal: list[Event]) -> None:
    campaign = _after(journal, 40)
    deployment = replace(
        campaign.trial.deployments[0], ok=False, reason="[bold]boo[/bold] [link=http://x]y"
    )

    picture = _picture(campaign.with_trial(deployments=(deployment,)))

    assert "[bold]boo" in picture


def test_a_stream_that_is_no_terminal_gets_plain_lines(journal: list[Event]) -> None:
    stream = io.StringIO()
    campaign: Campaign | None = None

    with display_for(stream) as display:
        assert isinstance(display, PlainDisplay)
        for event in journal:
            before, campaign = campaign, step(campaign, event).campaign
            display(before, event, campaign)

    lines = stream.getvalue().splitlines()
    assert "trial 1/5 missing_index started" in lines[0]
    assert "campaign finished" in lines[-1]
    assert "\x1b" not in stream.getvalue()


def test_the_live_display_leaves_the_last_state_on_the_terminal(journal: list[Event]) -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=120, height=50)
    campaign: Campaign | None = None

    with LiveDisplay(console, now=lambda: 0.0) as display:
        for event in journal:
            before, campaign = campaign, step(campaign, event).campaign
            display(before, event, campaign)

    assert "campaign finished: 2 resolved" in stream.getvalue()
