"""Who a child process runs as: by role when we are root, else always as ourselves."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from campaign.errors import RatchetError

if TYPE_CHECKING:
    from pathlib import Path

#: the app and the operator's commands
APP_USER = "daemon"
DATABASE_USER = "postgres"
PROMETHEUS_USER = "prometheus"
LOADGEN_USER = "nobody"

_FALLBACK_USER = "nobody"


class IdentityError(RatchetError):
    """As root, there is nobody to hand a child over to, or no setpriv to do it with."""

    exit_code = 2


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
    uid = os.geteuid()
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:  # as in a container that was started with any user id
        user = str(uid)
    return Identity(user=user, uid=uid, gid=os.getegid())


def app_identity() -> Identity:
    """Whom the app and the operator's commands run as."""
    return identity_for(APP_USER)


def identity_for(user: str) -> Identity:
    """`user`, or nobody if it does not exist, when we are root; else ourselves.

    Raises:
        IdentityError: we are root, and neither exists.
    """
    if os.geteuid() != 0:
        return own_identity()
    users = tuple(dict.fromkeys((user, _FALLBACK_USER)))
    for name in users:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Identity(user=name, uid=entry.pw_uid, gid=entry.pw_gid)
    raise IdentityError(
        f"this must not run as root, and none of the users {', '.join(users)} exists",
        hint=f"create one (useradd --system {user}) or run ratchet as an ordinary user",
    )


def launcher(
    identity: Identity, *, death_signal: str = "KILL", may_gain_privileges: bool = False
) -> list[str]:
    """What to put in front of a command line so that it runs as `identity`.

    setpriv executes the program in its place, so the child's pid is the program's own, and the
    kernel sends it `death_signal` when the *thread* that started it ends, however it ends: start
    children from the main thread. Where there is no setpriv (macOS), the child is plain, and what
    a killed harness leaves behind is ended by `cleanup_leftovers` the next time.

    Raises:
        IdentityError: there is no setpriv, and `identity` is not ours.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        if identity.is_ours:
            return []
        raise IdentityError(
            f"setpriv is needed to run as {identity.user}",
            hint="apt-get install util-linux, or run ratchet as an ordinary user",
        )
    command = [setpriv, f"--pdeathsig={death_signal}"]
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


def _may_pass(identity: Identity, status: os.stat_result) -> bool:
    if status.st_uid == identity.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == identity.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)
