"""The deployments of this supervisor's life and of its former lives, as JSON lines."""

import json
import os
from pathlib import Path
from typing import Any

from campaign.supervisor.wire import DeploymentRequest, DeploymentResult

#: The reason of a deployment that was under way when the supervisor was killed.
INTERRUPTED = "interrupted"


class DeploymentRecords:
    """An append-only file with a line when a deployment begins and one when it is finished.

    Each line is on the disk (fsync) before the method returns. A last line that was cut off by a
    crash is dropped; a deployment that began and has no result is reported as interrupted.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._requests: dict[str, DeploymentRequest] = {}
        self._results: dict[str, DeploymentResult] = {}
        self._load()

    def request(self, deployment: str) -> DeploymentRequest | None:
        return self._requests.get(deployment)

    def result(self, deployment: str) -> DeploymentResult | None:
        return self._results.get(deployment)

    def results(self) -> tuple[DeploymentResult, ...]:
        """Return all finished deployments in the order in which they finished."""
        return tuple(self._results.values())

    def begin(self, request: DeploymentRequest, *, at: float) -> None:
        self._requests[request.id] = request
        self._append({"begun": request.model_dump(), "at": at})

    def finish(self, result: DeploymentResult) -> None:
        self._results[result.id] = result
        self._append({"finished": result.model_dump()})

    def _append(self, entry: dict[str, Any]) -> None:
        with self._path.open("ab") as file:
            file.write(json.dumps(entry).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _load(self) -> None:
        if not self._path.exists():
            return
        begun_at: dict[str, float] = {}
        for entry in self._entries():
            if "begun" in entry:
                request = DeploymentRequest.model_validate(entry["begun"])
                self._requests[request.id] = request
                begun_at[request.id] = entry["at"]
            else:
                result = DeploymentResult.model_validate(entry["finished"])
                self._results[result.id] = result
        for deployment, at in begun_at.items():
            if deployment not in self._results:
                self.finish(_interrupted(self._requests[deployment], at=at))

    def _entries(self) -> list[dict[str, Any]]:
        whole, _, cut_off = self._path.read_bytes().rpartition(b"\n")
        if cut_off:
            with self._path.open("r+b") as file:
                file.truncate(len(whole) + 1 if whole else 0)
        return [json.loads(line) for line in whole.splitlines()]


def _interrupted(request: DeploymentRequest, *, at: float) -> DeploymentResult:
    return DeploymentResult(
        id=request.id,
        revision=request.revision,
        ok=False,
        reason=INTERRUPTED,
        log_tail=(),
        drained_first=False,
        duration_s=0.0,
        started_at=at,
        finished_at=at,
        source_hash=None,
    )
