"""Whom each process of the app runs as where the container is its sandbox: a user of its own.

Without a process namespace a process can outlive the one that started it. So each start gets a
user that nothing else runs as, and when it has ended, all that is left of that user is ended too,
and its files where everybody may write are removed.
"""

import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

import psutil

from campaign.identity import Identity, launcher

#: One kill reaches everything that is there; what is forked meanwhile falls to the next one. What
#: is killed while it reads a slow disk takes a while to be gone.
_END_TIMEOUT_S = 30.0
_SWEEP_TIMEOUT_S = 5.0
#: before the second sweep, as one is enough most of the time; each pause is longer by as much
_PAUSE_S = 0.01
_LONGEST_PAUSE_S = 0.2

#: Nobody: a number that Debian's policy gives to no user.
_STRANGER = 65_001

#: -1 is every process that it may signal, but itself: by its effective user, all of that user's.
#: Its real and saved ones are nobody's, so that none of these can signal it first. Not before it
#: has no right over us any more.
_END_ALL = """
import os, sys
user, stranger = map(int, sys.argv[1:])
os.setresuid(stranger, user, stranger)
try:
    os.kill(os.getppid(), 0)
except PermissionError:
    os.kill(-1, 9)
"""

_CLEAN_TIMEOUT_S = 60.0
#: Where everybody may write in a container. Folders of others in which he may not make anything
#: are not looked into; his own that nobody may enter are opened first.
_CLEAN = """
cd /
me=$(id -u)
for place in /tmp /dev/shm /dev/mqueue; do
    [ -d "$place" ] || continue
    set -- "$place" -mindepth 1 -type d ! -user "$me" ! -perm -o=w -prune -o -user "$me" -prune
    find "$@" -type d -exec chmod -R u+rwX {} +
    find "$@" -exec rm -rf -- {} +
done
ipcrm --all
exit 0
"""


class NoUserLeftError(OSError):
    """More processes of the app run than there are users for them."""

    def __init__(self) -> None:
        super().__init__("every user that it could run as is taken by a process that still ends")


class Users:
    """One user (the usual case) for all processes, or several, each for one at a time."""

    def __init__(self, identities: Sequence[Identity]) -> None:
        self._free = deque(identities)
        self._is_shared = len(identities) == 1

    def take(self) -> Identity:
        """Raises NoUserLeftError."""
        if not self._free:
            raise NoUserLeftError
        return self._free[0] if self._is_shared else self._free.popleft()

    def give_back(self, identity: Identity) -> None:
        """Its process has ended. What it left behind is ended as well, if it is nobody else's."""
        if self._is_shared:
            return
        end_all(identity)
        remove_files(identity)
        self._free.append(identity)


def end_all(identity: Identity) -> None:
    """Kill every process of that user, as root; blocks for about 10 ms when there is none.

    Raises:
        OSError: some are left, or they are our own.
    """
    if identity.is_ours:
        raise PermissionError("the processes of our own user are not ended")
    deadline, pause_s = time.monotonic() + _END_TIMEOUT_S, 0.0
    while _any_of(identity):
        if time.monotonic() > deadline:
            raise OSError(f"processes of {identity.user} cannot be ended")
        time.sleep(pause_s)
        pause_s = min(pause_s + _PAUSE_S, _LONGEST_PAUSE_S)
        _sweep(identity)


def _sweep(identity: Identity) -> None:
    whom = (str(identity.uid), str(_STRANGER))
    with suppress(subprocess.TimeoutExpired):
        subprocess.run(
            [sys.executable, "-IS", "-c", _END_ALL, *whom],
            check=False,
            capture_output=True,
            timeout=_SWEEP_TIMEOUT_S,
            env={},
            cwd="/",
        )


def remove_files(identity: Identity) -> None:
    """Of what that user left outside of its own folders nothing is found by the next one.

    It runs as that user, none of whose processes may be there; what takes too long is left.
    """
    with suppress(subprocess.TimeoutExpired):
        subprocess.run(
            [*launcher(identity), "/bin/sh", "-c", _CLEAN],
            check=False,
            capture_output=True,
            timeout=_CLEAN_TIMEOUT_S,
            env={"PATH": os.defpath},
            cwd="/",
        )


def _any_of(identity: Identity) -> bool:
    """Whether a process of that user is there; one that only waits to be reaped does not count."""
    return any(
        process.info["uids"] is not None
        and process.info["uids"].real == identity.uid
        and process.info["status"] != psutil.STATUS_ZOMBIE
        for process in psutil.process_iter(["uids", "status"])
    )
