"""A master and its workers as child processes."""

from __future__ import annotations

import json
import urllib.error
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from loadgen.testing.processes import Generator, held_port

if TYPE_CHECKING:
    from pathlib import Path


class Master(Generator):
    """The same as a master. Returns when its page answers, whether workers are there or not."""

    label = "master"

    def __init__(self, folder: Path, *, expect_workers: int, **config: Any) -> None:
        self.folder = folder
        self._for_workers = ExitStack()
        self.master_port = config.pop("master_port", None) or self._for_workers.enter_context(
            held_port()
        )
        super().__init__(
            folder,
            app_socket=None,
            role="master",
            master_port=self.master_port,
            expect_workers=expect_workers,
            **config,
        )

    def __exit__(self, *given: object) -> None:
        super().__exit__(*given)
        self._for_workers.close()

    def changes(self) -> list[dict[str, Any]]:
        """Workers that were lost or joined."""
        answer: dict[str, Any] = json.loads(self.ask("/ratchet/changes"))
        changes: list[dict[str, Any]] = answer["changes"]
        return changes

    def is_ready(self) -> bool:
        try:
            return bool(self.ask("/ready", token=None))
        except urllib.error.HTTPError:
            return False

    def workers(self) -> dict[str, dict[str, Any]]:
        """What the status says of each, by name."""
        return {worker["name"]: worker for worker in self.status()["workers"]}

    def playing(self) -> dict[str, int]:
        """How many users each worker with a part in the load has."""
        workers = self.workers().items()
        return {name: each["users"] for name, each in workers if each["state"] == "playing"}


class Worker(Generator):
    """The same as a worker of that master. Returns when it serves its metrics."""

    def __init__(
        self, master: Master, name: str, *, app_socket: Path | None, **config: Any
    ) -> None:
        self.name = self.label = name
        super().__init__(
            master.folder,
            app_socket=app_socket,
            role="worker",
            name=name,
            master_port=master.master_port,
            **config,
        )

    def _serves(self) -> bool:
        try:
            return bool(self.samples())
        except urllib.error.URLError:
            return False
