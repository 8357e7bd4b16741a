"""The file tools in the real sandbox, on the app as it is delivered."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from operators import Answer, Toolbox

from campaign.adapters.workspace import Workspace
from campaign.adapters.workspace_shell import WorkspaceShell
from campaign.identity import app_identity
from campaign.model import AccessRefused
from campaign.sandbox import unavailable
from tests.toolbox_kit import ASSIGNMENT, Bench

APP = Path(__file__).parents[2] / "target_apps" / "chat_db_app"


@dataclass(frozen=True, kw_only=True)
class Place:
    workspace: Workspace
    bench: Bench
    tools: Toolbox

    async def edit(self, command: str, path: str, **more: Any) -> Answer:
        asked = {"command": command, "path": path, **more}
        return await self.tools.call("str_replace_based_edit_tool", asked)


@pytest.fixture(name="place", params=["confined", "plain"])
async def make_place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    confined = request.param == "confined"
    if confined and (reason := unavailable(app_identity())):
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="ratchet-tools-") as folder:
        workspace = Workspace(Path(folder))
        os.chmod(folder, 0o755)  # noqa: S103, PTH101 - the sandbox is another user
        await workspace.create(APP)
        bench = Bench()
        equipment = replace(
            bench.equipment, sandbox=WorkspaceShell(workspace.path, confined=confined)
        )
        yield Place(workspace=workspace, bench=bench, tools=Toolbox(equipment, ASSIGNMENT, bench))


async def test_the_app_is_viewed_searched_and_edited(place: Place) -> None:
    before = await place.workspace.present_tree()
    assert "/srv/app/pool.py" in (await place.edit("view", "/srv/app")).text.splitlines()
    found = await place.tools.call("search_files", {"pattern": "^async def", "glob": "pool.py"})
    assert found.text.startswith("/srv/app/pool.py:")
    first = (place.workspace.path / "pool.py").read_text().splitlines()[0]
    edited = await place.edit("str_replace", "pool.py", old_str=first, new_str='"""Changed."""')
    assert not edited.is_error, edited.text
    after = await place.workspace.present_tree()
    assert after != before
    # What is journaled says the same as git does.
    assert '+"""Changed."""' in await place.workspace.diff(before, after)
    assert '+"""Changed."""' in place.bench.actions[-1].diff


async def test_a_link_out_of_the_workspace_leads_nowhere(place: Place) -> None:
    (place.workspace.path / "out").symlink_to(place.workspace.git_dir / "HEAD")
    for path in (
        "out",
        "../workspace.git/HEAD",
        str(place.workspace.git_dir / "HEAD"),
        "/etc/passwd",
    ):
        answer = await place.edit("view", path)
        assert answer.is_error
        assert "outside of /srv/app" in answer.text
    assert sum(isinstance(event, AccessRefused) for event in place.bench.events) == 4


async def test_the_largest_view_of_the_nastiest_text_comes_through_whole(place: Place) -> None:
    line = '\x01"\\\U0001f600é' * 300
    made = await place.edit("create", "nasty", file_text=f"{line}\n" * 200)
    assert not made.is_error, made.text
    shown = await place.edit("view", "nasty")
    assert not shown.is_error, shown.text
    assert "[cut before line" in shown.text
    replaced = await place.edit("create", "nasty", file_text=f"{line}x\n" * 200)
    assert not replaced.is_error, replaced.text


async def test_what_a_person_is_shown_is_told_apart_from_what_is_deployed(place: Place) -> None:
    """A revision and a tree can be compared, as the approval of a deployment does."""
    workspace = place.workspace
    running = await workspace.head()
    assert await workspace.diff(running, await workspace.present_tree()) == ""
    await place.edit("create", "new.py", file_text="")
    shown = await workspace.present_tree()
    assert "new.py" in await workspace.diff(running, shown)
    same = await workspace.commit_object("as shown", at=1.0)
    assert await workspace.diff(shown, same.sha) == ""
    (workspace.path / "new.py").chmod(0o755)
    swapped = await workspace.commit_object("made executable meanwhile", at=2.0)
    assert "new mode" in await workspace.diff(shown, swapped.sha)
