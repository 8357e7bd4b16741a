from __future__ import annotations

from dataclasses import replace

import pytest
from operators.toolbox.instruments import PastDeployment

from tests.toolbox_kit import DEPLOYED, Bench, Panel, full_toolbox

PAST = PastDeployment(
    id="T001-s1-d1",
    ticket="T001",
    requested_at=1_700_000_000.0,
    revision="0123456789abcdef",
    message="Add an index\n\nIt was missing",
    ok=True,
    reason="",
    diff="--- a/schema.py\n+++ b/schema.py\n",
)


async def listed(*past: PastDeployment, **arguments: int) -> str:
    panel = Panel(answers=[list(past)])
    answer = await full_toolbox(Bench(), panel).call("list_deployments", arguments)
    assert not answer.is_error
    return answer.text


async def test_deployments_are_listed_the_newest_first() -> None:
    later = replace(
        PAST, id="T002-s1-d1", requested_at=1_700_000_100.0, ok=False, reason="no health\nTraceback"
    )
    under_way = replace(PAST, id="T003-s1-d1", requested_at=1_700_000_200.0, ok=None)
    said = r"Add an index\n\nIt was missing"
    assert (await listed(PAST, under_way, later)).splitlines() == [
        f"T003-s1-d1  2023-11-14 22:16:40Z  0123456789ab  under way  {said}",
        f"T002-s1-d1  2023-11-14 22:15:00Z  0123456789ab  failed, rolled back  {said}",
        r"    no health\nTraceback",
        f"T001-s1-d1  2023-11-14 22:13:20Z  0123456789ab  ok  {said}",
        "(3 of 3 deployments, the newest first)",
    ]


async def test_only_so_many_are_shown_and_with_their_diffs_when_asked_for() -> None:
    past = [replace(PAST, id=f"d{n}", requested_at=float(n)) for n in range(20)]
    text = await listed(*past, limit=2, diff=True)
    assert "+++ b/schema.py" in text
    assert text.endswith("(2 of 20 deployments, the newest first)")
    assert text.startswith("d19")
    assert "+++" not in await listed(*past)


@pytest.mark.parametrize(("arguments", "made"), [({"limit": 3}, 0), ({"limit": 3, "diff": 1}, 3)])
async def test_no_more_diffs_are_made_than_are_shown(arguments: dict[str, int], made: int) -> None:
    panel = Panel(answers=[[PAST]])
    await full_toolbox(Bench(), panel).call("list_deployments", arguments)
    assert panel.asked == [("deployments", made)]


async def test_long_diffs_are_cut() -> None:
    past = [replace(PAST, diff="x" * 1_000_000) for _ in range(20)]
    text = await listed(*past, limit=20, diff=True)
    assert len(text) < 31_000
    assert "[cut: the first 6000 of 1000000 characters]" in text


async def test_before_any_deployment_the_app_runs_as_delivered() -> None:
    assert "as it was delivered" in await listed()


async def test_a_deployment_says_that_it_is_healthy() -> None:
    bench = Bench(outcome=replace(DEPLOYED, drained_first=True))
    answer = await full_toolbox(bench, Panel()).call("deploy", {"message": "mend it"})
    assert answer.text.startswith(
        "deployed 0123456789ab in 2.4 s: it is healthy and serves, after the old one had left"
    )


async def test_a_deployment_that_failed_says_why_and_what_to_do() -> None:
    bench = Bench(outcome=replace(DEPLOYED, ok=False, reason="exited with 1\nSyntaxError: invalid"))
    answer = await full_toolbox(bench, Panel()).call("deploy", {"message": "mend it"})
    assert answer.is_error
    assert "exited with 1\nSyntaxError: invalid\n\nIt was rolled back" in answer.text
    assert answer.text.endswith("then deploy again.")
