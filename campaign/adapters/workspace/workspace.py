"""What a campaign does with the target app's source: commit, adopt, export, reset."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from campaign.adapters.workspace.errors import (
    DivergedError,
    NoWorkspaceError,
    TagTakenError,
    UnreadableFileError,
    WorkspaceError,
)
from campaign.adapters.workspace.files import Bounds, copy_out, publish, remove, write_out
from campaign.adapters.workspace.git import Git
from campaign.adapters.workspace.objects import (
    Commit,
    read_commits,
    read_tree,
    require_commit,
    require_sha,
    resolve,
    write_commit,
    write_tree,
)
from campaign.adapters.workspace.work_tree import OwnTree, WorkTree
from campaign.identity import Identity, app_identity
from campaign.supervisor.tree import revision_hash

_MAIN = "refs/heads/main"
_ORIGIN = "refs/ratchet/origin"
_ABBREVIATED = re.compile(r"[0-9a-f]{4,40}")
_NO_OBJECT = "0" * 40

#: The date of every first commit (2000-01-01): the same source has the same first revision in
#: every campaign.
_FIRST_AT = 946684800.0


class Workspace:
    """The work tree `<run>/workspace` with its history `<run>/workspace.git`.

    Every call may be repeated after a crash. Revisions are full shas of commits.
    """

    def __init__(
        self,
        run_dir: Path,
        *,
        owner: Identity | None = None,
        bounds: Bounds | None = None,
        tree: WorkTree | None = None,
    ) -> None:
        """Nothing is touched yet. `owner` of the files: else the operator's user, or ourselves."""
        self._tree: WorkTree = tree or OwnTree(
            path=run_dir.absolute() / "workspace", owner=owner or app_identity()
        )
        self.path = self._tree.path
        self.git_dir = run_dir.absolute() / "workspace.git"
        self._bounds = bounds or Bounds()
        self._git = Git(self.git_dir)
        self._scratch = self.git_dir / "scratch"
        self._changing = asyncio.Lock()

    async def create(self, source: Path) -> str:
        """Make the work tree a copy of the app in `source`, and its first revision of that.

        Done already: nothing is changed. Compiled files and caches are left out.

        Raises:
            UnfitTreeError: the source itself is too large, or has links out of it.
        """
        async with self._changing:
            await self._init()
            if await resolve(self._git, _MAIN):
                return await self.first()
            tree = await self._tree_of(source)
            revision = await write_commit(
                self._git, tree=tree, parent=None, message="The app as delivered", at=_FIRST_AT
            )
            await self._fill(revision)
            # Last, since it is what says that all was done.
            await self._git.run("update-ref", _MAIN, revision, _NO_OBJECT)
            return revision

    async def take_over(self, history: Path, revision: str) -> None:
        """Instead of `create`: go on from a revision in another workspace's bare repository.

        `history` is an absolute path. Done already: nothing is changed.

        Raises:
            UnknownRevisionError: it is not in that history.
            GitFailedError: there is no such repository.
        """
        async with self._changing:
            await self._init()
            if await resolve(self._git, _MAIN):
                return
            options = ("--quiet", "--no-tags", "--no-write-fetch-head")
            await self._git.run("fetch", *options, str(history), f"+{_MAIN}:{_ORIGIN}")
            await require_commit(self._git, revision)
            await self._fill(revision)
            await self._git.run("update-ref", _MAIN, revision, _NO_OBJECT)

    async def find(self, name: str) -> str | None:
        """The revision in the history that a tag, a full sha or the beginning of one names.

        Raises:
            NoWorkspaceError: see `head`.
        """
        head = await self.head()
        revision = await self.tagged(name)
        if revision is None and _ABBREVIATED.fullmatch(name):
            revision = await resolve(self._git, name)
        if revision is None or not await self._follows(head, on=revision):
            return None
        return revision

    async def commit_object(self, message: str, *, at: float) -> Commit:
        """A commit of the present files on top of `head()`, which nothing refers to yet.

        `adopt` it once it is on record. An unchanged tree gives a commit too, `unchanged`, for it
        may be deployed again.

        Raises:
            UnfitTreeError: too much, a link to the outside, or something that cannot be read.
        """
        async with self._changing:
            head = await self.head()
            tree = await self._present()
            sha = await write_commit(self._git, tree=tree, parent=head, message=message, at=at)
            before = (await read_commits(self._git, "--max-count=1", head))[0]
            return Commit(
                sha=sha,
                tree=tree,
                parent=head,
                message=message,
                at=int(at),
                unchanged=tree == before.tree,
            )

    async def adopt(self, revision: str) -> None:
        """Make `revision` the head; one that is in its history already changes nothing.

        Raises:
            DivergedError: it does not descend from the head.
            UnknownRevisionError: there is no such commit.
        """
        async with self._changing:
            await require_commit(self._git, revision)
            head = await self.head()
            if await self._follows(head, on=revision):
                return
            if not await self._follows(revision, on=head):
                raise DivergedError(f"{revision} does not descend from the head, {head}")
            await self._git.run("update-ref", _MAIN, revision, head)

    async def head(self) -> str:
        """The newest adopted revision.

        Raises:
            NoWorkspaceError: `create` was never called, or never done.
        """
        revision = await resolve(self._git, _MAIN) if self.git_dir.is_dir() else None
        if revision is None:
            raise NoWorkspaceError(f"nothing was created in {self.git_dir}")
        return revision

    async def exists(self) -> bool:
        """Whether `create`, or `take_over`, was done."""
        return self.git_dir.is_dir() and await resolve(self._git, _MAIN) is not None

    async def first(self) -> str:
        """The app as it was delivered."""
        head = await self.head()
        return await self._git.line("rev-list", "--max-parents=0", head)

    async def parent(self, revision: str) -> str | None:
        """What a revision was made from; None for the first."""
        await require_commit(self._git, revision)
        return await resolve(self._git, f"{revision}^")

    async def commits(self) -> list[Commit]:
        """From the first to the head."""
        return await read_commits(self._git, await self.head())

    async def present_tree(self) -> str:
        """The sha of a tree object of the present files: another one when they were edited."""
        async with self._changing:
            return await self._present()

    async def export(self, revision: str, dest: Path) -> Path:
        """Write a revision's files to `dest`, read-only; it is there whole or not at all.

        `dest` exists: nothing is done. Its parent folders are created.

        Raises:
            OutsideLinkError: one of its links leads out of it.
        """
        async with self._changing:
            if not await asyncio.to_thread(dest.exists):
                await require_commit(self._git, revision)
                files = await read_tree(self._git, revision)
                await asyncio.to_thread(publish, dest, files)
            return dest

    async def diff(self, before: str, after: str) -> str:
        """Unified diff between two revisions, or trees; the app's `.gitattributes` do not count."""
        options = ("-r", "-p", "--no-ext-diff", "--no-textconv", "--no-color")
        shas = (require_sha(before), require_sha(after))
        stdout = await self._git.run("diff-tree", *options, *shas, "--")
        return stdout.decode(errors="replace")

    async def tag(self, name: str, revision: str) -> None:
        """Name a revision for good; the same again changes nothing.

        Raises:
            TagTakenError: the name is another revision's.
        """
        await require_commit(self._git, revision)
        tagged = await self.tagged(name)
        if tagged is None:
            await self._git.run("update-ref", f"refs/tags/{name}", revision, _NO_OBJECT)
        elif tagged != revision:
            raise TagTakenError(f"{name} is {tagged}, not {revision}")

    async def tagged(self, name: str) -> str | None:
        """The revision that has this tag."""
        return await resolve(self._git, f"refs/tags/{name}")

    async def reset_to(self, revision: str) -> None:
        """Make the work tree equal to a revision; the head stays, the folder is the same one."""
        async with self._changing:
            await require_commit(self._git, revision)
            await self._fill(revision)

    async def source_hash(self, revision: str) -> str:
        """What the supervisor calls the `source_hash` of this revision, exported."""
        await require_commit(self._git, revision)
        return await asyncio.to_thread(revision_hash, self.git_dir, revision)

    async def _init(self) -> None:
        """Without a template: those of the system bring hooks."""
        self.git_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        options = ("--bare", "--quiet", "--template=", "--initial-branch=main")
        await self._git.run("init", *options)
        await asyncio.to_thread(remove, self._scratch)

    async def _follows(self, revision: str, *, on: str) -> bool:
        return await self._git.answer("merge-base", "--is-ancestor", on, revision) is not None

    async def _present(self) -> str:
        """Files that only their owner may read are opened to us, once."""
        try:
            return await self._tree_of(self.path)
        except UnreadableFileError:
            if not await self._tree.open_up():
                raise
        return await self._tree_of(self.path)

    async def _tree_of(self, folder: Path) -> str:
        async with self._scratch_folder() as scratch:
            copy = scratch / "copy"
            await asyncio.to_thread(copy_out, folder, copy, self._bounds)
            return await write_tree(self._git, copy, index=scratch / "index")

    async def _fill(self, revision: str) -> None:
        files = await read_tree(self._git, revision)
        async with self._scratch_folder() as scratch:
            new = scratch / "new"
            await asyncio.to_thread(write_out, new, files, writable=True)
            try:
                await self._tree.fill(new, trash=scratch / "old")
            except OSError as exc:
                raise WorkspaceError(f"its files cannot be replaced: {exc}") from exc

    @asynccontextmanager
    async def _scratch_folder(self) -> AsyncIterator[Path]:
        """Beside the history: private, and on the work tree's own disk, so that renames work."""
        self._scratch.mkdir(mode=0o700, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=self._scratch))
        try:
            yield folder
        finally:
            await asyncio.to_thread(remove, folder)
