"""Trees and commits as git's objects: written without a work tree, read without a checkout.

Git's checkout and archive would apply the `.gitattributes` of the tree (line endings, ids, files to
leave out); blobs that are written and read one by one come back as they were.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from campaign.adapters.workspace.errors import GitFailedError, UnfitTreeError, UnknownRevisionError
from campaign.adapters.workspace.files import TreeFile, every_path
from campaign.adapters.workspace.git import Git

_SHA = re.compile(r"[0-9a-f]{40}")
_FORMAT = "--format=%H%x1f%T%x1f%P%x1f%at%x1f%B"


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One commit; history is a line, so there is at most one parent."""

    sha: str
    tree: str
    parent: str | None
    message: str
    #: epoch seconds
    at: int
    #: it has the same files as its parent
    unchanged: bool = False


async def write_tree(git: Git, folder: Path, *, index: Path) -> str:
    """The sha of the tree object that holds the files below `folder`, which is ours.

    `index` is a file that does not exist yet, for git to work with.

    Raises:
        UnfitTreeError: git refuses the name of a file.
    """
    paths = [path for path in every_path(folder) if path.is_symlink() or path.is_file()]
    files = [path for path in paths if not path.is_symlink()]
    blobs = dict(zip(files, await _write_blobs(git, folder, files), strict=True))
    for path in paths:
        if path.is_symlink():
            blobs[path] = await _write_link(git, os.fsencode(path.readlink()))
    listing = b"".join(
        b"%b %b\t%b\0" % (_mode(path).encode(), blob.encode(), _relative(path, folder))
        for path, blob in blobs.items()
    )
    environment = {"GIT_INDEX_FILE": str(index)}
    refused = await git.complaints(
        "update-index", "-z", "--index-info", stdin=listing, environment=environment
    )
    if refused:  # git leaves out such names as "git~1", and succeeds
        raise UnfitTreeError(f"git refuses names that mean something to it: {refused}")
    return (await git.run("write-tree", environment=environment)).decode().strip()


async def write_commit(git: Git, *, tree: str, parent: str | None, message: str, at: float) -> str:
    """The sha of a commit that no reference points to yet; `at` is cut to whole seconds."""
    date = f"@{int(at)} +0000"
    text = message.replace("\0", "").encode(errors="replace")
    stdout = await git.run(
        *("commit-tree", tree, *(() if parent is None else ("-p", parent))),
        stdin=text,
        environment={"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date},
    )
    return stdout.decode().strip()


async def read_tree(git: Git, revision: str) -> list[TreeFile]:
    """Every file of a revision, with its content."""
    listing = await git.run("ls-tree", "-r", "-z", "--full-tree", revision)
    lines = [line.split(b"\t", 1) for line in listing.split(b"\0") if line]
    modes = [attributes.decode().split(" ")[0] for attributes, _ in lines]
    blobs = [attributes.split(b" ")[2] for attributes, _ in lines]
    contents = await _read_blobs(git, blobs)
    return [
        TreeFile(path=os.fsdecode(path), mode=mode, content=content)
        for mode, (_, path), content in zip(modes, lines, contents, strict=True)
    ]


async def read_commits(git: Git, *selection: str) -> list[Commit]:
    """The commits that `git log` selects, oldest first."""
    stdout = await git.run("log", "-z", "--reverse", _FORMAT, *selection, "--")
    commits: list[Commit] = []
    trees: dict[str, str] = {}
    for record in stdout.decode(errors="replace").split("\0"):
        if not record:
            continue
        sha, tree, parent, at, message = record.split("\x1f", 4)
        trees[sha] = tree
        commit = Commit(
            sha=sha,
            tree=tree,
            parent=parent or None,
            message=message.rstrip("\n"),
            at=int(at),
            unchanged=trees.get(parent) == tree,
        )
        commits.append(commit)
    return commits


async def require_commit(git: Git, revision: str) -> str:
    """`revision` itself, when it is the full sha of a commit.

    Raises:
        UnknownRevisionError: it is not.
    """
    if not _SHA.fullmatch(revision) or await resolve(git, revision) is None:
        raise UnknownRevisionError(
            f"{revision!r} is not the full sha of a commit of this workspace"
        )
    return revision


async def resolve(git: Git, name: str) -> str | None:
    """The commit that a reference or sha names, if there is one."""
    return await git.answer("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")


def require_sha(text: str) -> str:
    """`text` itself, which git cannot take for an option.

    Raises:
        UnknownRevisionError: it is no full sha.
    """
    if not _SHA.fullmatch(text):
        raise UnknownRevisionError(f"{text!r} is not a full sha")
    return text


async def _write_blobs(git: Git, folder: Path, files: list[Path]) -> list[str]:
    """No filter is applied; names are quoted as C would, which leaves no character special."""
    names = (_relative(path, folder) for path in files)
    lines = b"".join(b'"%b"\n' % b"".join(b"\\%03o" % byte for byte in name) for name in names)
    stdout = await git.run(
        "hash-object", "-w", "--no-filters", "--stdin-paths", stdin=lines, cwd=folder
    )
    return stdout.decode().split()


async def _write_link(git: Git, target: bytes) -> str:
    return await git.line("hash-object", "-w", "--stdin", stdin=target)


async def _read_blobs(git: Git, blobs: list[bytes]) -> list[bytes]:
    """`cat-file --batch` answers each with `<sha> blob <size>`, the content, and a newline."""
    stdout = await git.run("cat-file", "--batch", stdin=b"".join(b"%b\n" % blob for blob in blobs))
    contents: list[bytes] = []
    position = 0
    for blob in blobs:
        end = stdout.index(b"\n", position)
        header = stdout[position:end].split(b" ")
        if header[:2] != [blob, b"blob"]:
            raise GitFailedError(f"object {blob.decode()} is missing from the history")
        start, size = end + 1, int(header[2])
        contents.append(stdout[start : start + size])
        position = start + size + 1
    return contents


def _mode(path: Path) -> str:
    if path.is_symlink():
        return "120000"
    return "100755" if os.access(path, os.X_OK) else "100644"


def _relative(path: Path, folder: Path) -> bytes:
    return os.fsencode(path.relative_to(folder))
