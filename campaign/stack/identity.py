"""Who a child process runs as, and which folders that user can enter."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from campaign.stack.errors import MissingProgramError, UnreachableFolderError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A user of this machine; for an ordinary user's harness always that user itself."""

    user: str
    uid: int
    gid: int

    @property
    def is_ours(self) -> bool:
        return self.uid == os.geteuid()


def own_identity() -> Identity:
    entry = pwd.getpwuid(os.geteuid())
    return Identity(user=entry.pw_name, uid=os.geteuid(), gid=os.getegid())


def identity_for(*users: str) -> Identity:
    """The first of `users` that exists, when we are root; else ourselves.

    Raises:
        MissingProgramError: we are root, and none of the users exists.
    """
    if os.geteuid() != 0:
        return own_identity()
    for user in users:
        try:
            entry = pwd.getpwnam(user)
        except KeyError:
            continue
        return Identity(user=user, uid=entry.pw_uid, gid=entry.pw_gid)
    raise MissingProgramError(
        f"this must not run as root, and none of the users {', '.join(users)} exists",
        hint=f"create one (useradd --system {users[0]}) or run ratchet as an ordinary user",
    )


def launcher(identity: Identity, *, death_signal: str, may_gain_privileges: bool) -> list[str]:
    """What to put in front of a command line so that it runs as `identity`.

    setpriv executes the program in its place, so the child's pid is the program's own, and the
    kernel sends it `death_signal` (such as "KILL") when the *thread* that started it ends, however
    it ends: start children from the main thread. Where there is no setpriv (macOS), the child is
    plain, and what a killed harness leaves behind is ended by `cleanup_leftovers` the next time.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        if identity.is_ours:
            return []
        raise MissingProgramError(
            f"setpriv is needed to run as {identity.user}",
            hint="apt-get install util-linux, or run ratchet as an ordinary user",
        )
    command = [setpriv, "--pdeathsig", death_signal]
    if not may_gain_privileges:
        command.append("--no-new-privs")
    if not identity.is_ours:
        command += [f"--reuid={identity.uid}", f"--regid={identity.gid}", "--clear-groups"]
    return [*command, "--"]


def can_enter(identity: Identity, folder: Path) -> bool:
    """Whether `identity` can walk down to `folder`, judged by permission bits.

    Parts that do not exist yet do not count: we create them ourselves.
    """
    if identity.uid == 0:
        return True
    chain = [folder, *folder.parents]
    return all(_may_pass(identity, part.stat()) for part in chain if part.exists())


def private_folder(folder: Path, identity: Identity, *, mode: int = 0o700) -> Path:
    """Create `folder` (its parent exists) for `identity` alone, or take it over if it exists.

    Raises:
        UnreachableFolderError: `identity` cannot walk down to it.
    """
    if not can_enter(identity, folder.parent):
        raise UnreachableFolderError(
            f"user {identity.user} cannot reach {folder}",
            hint="choose a folder whose parents may be entered by everybody (chmod o+x)",
        )
    folder.mkdir(mode=mode, exist_ok=True)
    folder.chmod(mode)
    if not identity.is_ours:
        os.chown(folder, identity.uid, identity.gid)
    return folder


def hand_over(file: Path, identity: Identity, *, mode: int = 0o600) -> Path:
    """Make `file` readable by `identity` (and us) alone."""
    file.chmod(mode)
    if not identity.is_ours:
        os.chown(file, identity.uid, identity.gid)
    return file


def _may_pass(identity: Identity, status: os.stat_result) -> bool:
    if status.st_uid == identity.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == identity.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)
