"""Where campaigns are kept: one folder each below `runs/`."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from campaign.errors import BusyError, NotFoundError, UsageError
from campaign.identity import app_identity, can_enter
from campaign.run_holder import run_holder

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")

#: for root, whose home the app's user cannot enter
_SYSTEM_RUNS = Path("/var/lib/ratchet/runs")


def runs_root() -> Path:
    """`RATCHET_RUNS`, or `runs` in the current folder if the app's user can get there."""
    if given := os.environ.get("RATCHET_RUNS"):
        return Path(given).absolute()
    here = Path("runs").absolute()
    return here if can_enter(app_identity(), here) else _SYSTEM_RUNS


def require_unused(run: RunFolder) -> None:
    """Raises BusyError when a process plays it now."""
    pid = run_holder(run.path)
    if pid is not None:
        raise BusyError(
            f"campaign {run.name} is being played by pid {pid}",
            hint=f"follow it with `ratchet watch {run.name}`, or end it with `ratchet stop`",
        )


def require_reachable(run: RunFolder) -> None:
    """Raises UsageError when the app could not read its own source there."""
    if not can_enter(app_identity(), run.path):
        raise UsageError(
            f"the user that the app runs as cannot enter {run.path}",
            hint="choose another folder with --runs, such as /var/lib/ratchet/runs",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFolder:
    """The folder of one campaign."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def journal(self) -> Path | str:
        """Where its journal is: this folder, or the URL of a Postgres database."""
        return self.journal_url.read_text() if self.journal_url.exists() else self.path

    @property
    def journal_file(self) -> Path:
        return self.path / "journal.db"

    @property
    def journal_url(self) -> Path:
        """Holds the URL, for a journal that is not in this folder; may hold a password."""
        return self.path / "journal.url"

    @property
    def webhook(self) -> Path:
        """Where its notices go, for whoever resumes it; may hold a secret."""
        return self.path / "webhook.json"

    @property
    def webhook_cursor(self) -> Path:
        """Which of them were acknowledged."""
        return self.path / "webhook.cursor.json"

    @property
    def deployments(self) -> Path:
        return self.path / "deployments"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def report(self) -> Path:
        return self.path / "report"

    @property
    def rules(self) -> Path:
        return self.path / "rules"

    @property
    def ledger(self) -> Path:
        return self.path / "ledger.jsonl"

    @property
    def app_document(self) -> Path:
        """The OpenAPI document of the app as it was delivered."""
        return self.path / "openapi.json"

    @property
    def snapshots(self) -> Path:
        """The states that its trials started in; can be removed to make room."""
        return self.path / "snapshots.db"

    @property
    def history(self) -> Path:
        """The workspace's bare repository, as git can be told from anywhere."""
        return self.path.absolute() / "workspace.git"

    @property
    def stack_record(self) -> Path:
        """What its stack has outside of this folder; there once a stack was started."""
        return self.path / "stack.json"

    @property
    def deployment_records(self) -> Path:
        """The supervisor's own."""
        return self.path / "supervisor" / "deployments.jsonl"

    @property
    def exists(self) -> bool:
        return self.journal_file.exists() or self.journal_url.exists()


def api_file(run: RunFolder) -> Path:
    """Where the process that plays the campaign says how to reach it."""
    return run.path / "api.json"


def new_name(target: str) -> str:
    """The time and the target: sorts by age, and is unlikely to be taken."""
    stamp = datetime.now(tz=UTC).strftime("%Y%m%d-%H%M%S")
    return f"{stamp}-{target.replace('_', '-')}"


def new_run(root: Path, name: str) -> RunFolder:
    """The folder for a new campaign; it is not made yet.

    Raises:
        UsageError: a bad name, or one that is taken.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be a campaign's name",
            hint="use up to 63 of a-z, 0-9, '-' and '_', starting with a letter or digit",
        )
    run = RunFolder(path=root / name)
    if run.exists:
        raise UsageError(
            f"campaign {name} exists already in {root}",
            hint=f"take it up with `ratchet resume {name}`, or choose another --name",
        )
    return run


def find_run(root: Path, name: str | None) -> RunFolder:
    """The campaign of this name; the newest one when none is given.

    Raises:
        NotFoundError: there is no such campaign.
    """
    known = list_runs(root)
    if name is None:
        if not known:
            raise NotFoundError(
                f"there is no campaign in {root}", hint="start one with `ratchet run`"
            )
        return known[0]
    for run in known:
        if run.name == name:
            return run
    names = ", ".join(run.name for run in known[:5]) or "none"
    raise NotFoundError(f"there is no campaign {name} in {root}", hint=f"the latest are: {names}")


def list_runs(root: Path) -> list[RunFolder]:
    """Those that were written to last come first."""
    runs = [RunFolder(path=folder) for folder in root.glob("*") if folder.is_dir()]
    return sorted((run for run in runs if run.exists), key=_written_at, reverse=True)


def _written_at(run: RunFolder) -> float:
    """What is written lies beside the journal's file at first; a reader leaves an empty one there.

    0 for what has just vanished.
    """
    file = run.journal_file
    files = (file, file.with_name(f"{file.name}-wal"), run.journal_url)
    states = [file.stat() for file in files if file.exists()]
    return max((state.st_mtime for state in states if state.st_size), default=0.0)
