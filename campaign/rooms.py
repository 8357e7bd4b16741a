"""Where an operator works: sandboxes of ours, or a container of the compose stack."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from operators import Sandbox
from operators.toolbox.instruments import Shells

from campaign.adapters.workspace import Workspace
from campaign.adapters.workspace_shell import WorkspaceShell
from campaign.runs import RunFolder
from campaign.shell_service.client import RemoteSandbox, RemoteShells
from campaign.shell_service.work_tree import SharedTree, TreeOfOne
from campaign.stack import APP_ROLE, ComposePlaces, shell_places


def workspace_of(run: RunFolder) -> Workspace:
    """Nothing is touched yet."""
    places = shell_places()
    return Workspace(run.path, tree=None if places is None else _tree(places))


def errands_in(workspace: Path, *, confined: bool) -> Sandbox:
    """For the commands that tools are made of; `confined` is of those of our own machine."""
    places = shell_places()
    if places is None:
        return WorkspaceShell(workspace, confined=confined)
    return RemoteSandbox(socket=places.shell_socket)


def shells_elsewhere(python_environment: Path) -> Shells | None:
    """None: they are children of ours."""
    places = shell_places()
    if places is None:
        return None
    database = f"postgresql://{APP_ROLE}@/{APP_ROLE}?host={places.database_sockets}"
    return RemoteShells(
        socket=places.shell_socket,
        python_environment=python_environment,
        environment={"DATABASE_URL": database},
    )


@asynccontextmanager
async def holding(run: RunFolder, workspace: Workspace) -> AsyncIterator[None]:
    """While the campaign has its work tree, with the files that it left there.

    Raises:
        PortError: another campaign has it, or its files cannot be put there.
    """
    places = shell_places()
    if places is None:
        yield
        return
    one = TreeOfOne(tree=_tree(places), place=places.work_place)
    async with one.held(run.path.absolute()) as has_its_files:
        if not has_its_files and await workspace.exists():
            await workspace.reset_to(await workspace.head())
        yield


def _tree(places: ComposePlaces) -> SharedTree:
    return SharedTree(path=places.work_tree, sandbox=RemoteSandbox(socket=places.shell_socket))
