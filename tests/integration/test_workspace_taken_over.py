"""A workspace that goes on from another campaign's code, and how revisions are found by name."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from campaign.adapters.workspace import GitFailedError, UnknownRevisionError, Workspace
from campaign.errors import NotFoundError
from campaign.origins import find_origin
from tests.runs_kit import played, write_run

_AT = 1_700_000_000.0


@pytest.fixture
def app(tmp_path: Path) -> Path:
    source = tmp_path / "app"
    source.mkdir()
    (source / "main.py").write_text("print('hello')\n")
    return source


@pytest.fixture
async def past(tmp_path: Path, app: Path) -> Workspace:
    """Delivered, edited once, edited again; the first edit is tagged."""
    workspace = Workspace(tmp_path / "runs" / "past")
    await workspace.create(app)
    for text in ("one", "two"):
        (workspace.path / "main.py").write_text(f"print('{text}')\n")
        commit = await workspace.commit_object(text, at=_AT)
        await workspace.adopt(commit.sha)
        if text == "one":
            await workspace.tag("trial-01-missing_index", commit.sha)
    return workspace


async def _journal(runs: Path, name: str) -> None:
    """Make it a campaign that was played."""
    await asyncio.to_thread(write_run, runs, name, played(1, name=name))


async def _edit(workspace: Workspace) -> str:
    revision = await workspace.find("trial-01-missing_index")
    assert revision is not None
    return revision


async def test_it_goes_on_from_the_revision_with_its_history(
    past: Workspace, tmp_path: Path, app: Path
) -> None:
    revision = await _edit(past)
    taken = Workspace(tmp_path / "new")
    await taken.take_over(past.git_dir, revision)
    await taken.take_over(past.git_dir, await past.head())
    assert await taken.create(app) == await past.first() == await taken.first()
    assert await taken.head() == revision
    assert (taken.path / "main.py").read_text() == "print('one')\n"
    (taken.path / "main.py").write_text("print('three')\n")
    commit = await taken.commit_object("three", at=_AT)
    assert commit.parent == revision


async def test_a_revision_that_is_not_in_the_history_is_refused(
    past: Workspace, tmp_path: Path
) -> None:
    with pytest.raises(UnknownRevisionError):
        await Workspace(tmp_path / "new").take_over(past.git_dir, "0" * 40)
    with pytest.raises(GitFailedError):
        await Workspace(tmp_path / "other").take_over(tmp_path / "nowhere", await past.head())


async def test_a_revision_is_found_by_tag_sha_and_beginning(past: Workspace) -> None:
    revision = await _edit(past)
    assert await past.find(revision) == revision
    assert await past.find(revision[:8]) == revision
    for nothing in ("trial-09-nothing", "0000000", "HEAD", "main", "--all", ""):
        assert await past.find(nothing) is None


async def test_the_newest_campaign_that_knows_it_is_the_origin(
    past: Workspace, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    revision = await _edit(past)
    await _journal(runs, "past")
    await _journal(runs, "without_a_workspace")
    origin = await find_origin(runs, revision[:10], campaign=None, target="simulated")
    assert (origin.campaign, origin.revision) == ("past", revision)
    assert origin.first_revision == await past.first()
    assert (origin.trial, origin.snapshot) == (None, None)
    assert origin == await find_origin(runs, revision, campaign="past", target="simulated")


async def test_what_nobody_knows_is_not_found(past: Workspace, tmp_path: Path) -> None:
    await _journal(tmp_path / "runs", "past")
    for campaign in (None, "past"):
        with pytest.raises(NotFoundError, match="no revision abcdef"):
            await find_origin(tmp_path / "runs", "abcdef", campaign=campaign, target="simulated")
    assert await past.head()
