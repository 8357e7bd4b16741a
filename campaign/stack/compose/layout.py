"""What a run has outside of its folder: links to the volumes, one holder of the stack at a time."""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from typing import TYPE_CHECKING

from campaign.stack.errors import StackInUseError
from campaign.stack.log_bound import aside

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from campaign.stack.compose.places import ComposePlaces


def lay_out(run_dir: Path, places: ComposePlaces) -> None:
    """The folders of a run that other containers see are on volumes of their own.

    Done already: nothing is changed.
    """
    name = run_dir.name
    (places.releases / name).mkdir(mode=0o711, exist_ok=True)
    logs = run_dir / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    links = {
        run_dir / "deployments": places.releases / name,
        run_dir / "supervisor": places.app_runs / name / "supervisor",
        logs / "app.log": places.app_runs / name / "app.log",
        logs / "app.log.1": places.app_runs / name / "app.log.1",
        logs / "postgres.log": places.database_log,
        logs / "postgres.log.1": aside(places.database_log),
    }
    for link, target in links.items():
        if not link.is_symlink():
            link.symlink_to(target)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a lock file: one campaign at a time has the stack, whichever container plays it.

    Raises:
        StackInUseError: another one has it.
    """
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StackInUseError(
                "another campaign is being played on this stack",
                hint="wait for it, or stop it: ratchet stop",
            ) from error
        yield


def publish(path: Path, text: str) -> None:
    """All at once, for the group to read."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text)
    new.chmod(0o640)
    new.replace(path)
