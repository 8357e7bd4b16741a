"""What a trial's page and a terminal say of the gates."""

from __future__ import annotations

from campaign.display_lines import describe
from campaign.machine import Campaign, fold, step
from campaign.model import AssertionState, Event
from campaign.testing import ScriptedAudit, Simulation, World, finding, make_plan
from reports import history, summarise
from reports.gates import gates
from reports.page import render

FAILED = finding("correct", "pages", AssertionState.FAIL, "page 2 is <b>gone</b>")
ERROR = finding("correct", "needles", AssertionState.ERROR, "TypeError()")
PASSED = finding("functional", "healthy", AssertionState.PASS, "GET /healthz answered 200")


def journal(*results: ScriptedAudit) -> list[Event]:
    events: list[Event] = []
    world = World(plan=make_plan(1), findings=dict(enumerate(results)))
    Simulation(world, events).run()
    return events


def lines(events: list[Event]) -> list[str]:
    said: list[str] = []
    campaign: Campaign | None = None
    for event in events:
        before, campaign = campaign, step(campaign, event).campaign
        said.append(describe(before, event, campaign) or "")
    return said


def test_what_did_not_pass_is_apart_from_what_did() -> None:
    campaign = fold(journal(ScriptedAudit(results=(PASSED, FAILED, ERROR))))
    assert campaign is not None
    seen = gates(campaign.done[0])
    assert [each.result for each in seen.noteworthy] == [FAILED, ERROR]
    assert [each.result for each in seen.passed] == [PASSED]


def test_the_page_shows_gate_name_state_message_and_what_was_expected() -> None:
    details = {"expected": {"pages": 3}, "actual": "2 pages", "left": None}
    failed = finding("correct", "pages", AssertionState.FAIL, "page 2 is <b>gone</b>")
    failed.details.update(details)
    page = render(history(journal(ScriptedAudit(results=(PASSED, failed))), step))
    section = page[page.index("<h3>Gates</h3>") :]
    assert "1 of 2 assertions passed" in section
    assert '<span class="status">fail</span>' in section
    assert "correct <code>pages</code>" in section
    assert "page 2 is &lt;b&gt;gone&lt;/b&gt;" in section
    assert "<dt>expected</dt><dd><code>{&#34;pages&#34;: 3}</code></dd>" in section
    assert "<dt>actual</dt><dd><code>2 pages</code></dd>" in section
    assert "<dt>left</dt>" not in section


def test_a_trial_that_never_came_to_its_gates_has_no_such_section() -> None:
    events = journal(ScriptedAudit())
    assert "<h3>Gates</h3>" not in render(history(events[:40], step))


def test_a_long_detail_is_cut() -> None:
    failed = finding("correct", "pages", AssertionState.FAIL, "too much")
    failed.details["actual"] = "x" * 10_000
    page = render(history(journal(ScriptedAudit(results=(failed,))), step))
    assert "x" * 600 + "…" in page
    assert "x" * 601 not in page


def test_the_summary_names_the_gates_that_cost_the_verdict() -> None:
    campaign = fold(journal(ScriptedAudit(results=(PASSED, FAILED))))
    assert campaign is not None
    (trial,) = summarise(campaign)["trials"]
    assert trial["verdict"] == "unresolved"
    assert trial["reason"] == "correct gate: pages: page 2 is <b>gone</b>"
    assert trial["gates"][1] == {
        "gate": "correct",
        "name": "pages",
        "state": "fail",
        "message": "page 2 is <b>gone</b>",
        "details": {},
    }


def test_a_terminal_is_told_of_the_gates_and_of_each_assertion_that_did_not_pass() -> None:
    said = "\n".join(lines(journal(ScriptedAudit(results=(PASSED, FAILED)))))
    assert "confirmed at full load; back to base load for the gates" in said
    assert "correct gate: pages: fail: page 2 is <b>gone</b>" in said
    assert "1 of 2 assertions passed" in said
    assert "healthy" not in said
