"""The way to the supervisor: deploy a revision, and how each deployment ended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path

from campaign.model import DeploymentFinished, DeploymentOutcome, DeploymentRequested, Event
from campaign.ports import PortError
from campaign.supervisor.client import ConflictError, SupervisorClient, SupervisorError
from campaign.supervisor.wire import DeploymentRequest, DeploymentResult

_BUSY_POLL_S = 0.2


class Deployments:
    """Asks a running supervisor."""

    def __init__(self, control_socket: Path) -> None:
        self._socket = control_socket

    async def deploy(self, deployment: str, revision: str, source: Path) -> DeploymentOutcome:
        """Wait until `source` serves or is known not to; waits for its turn behind another one.

        Raises:
            PortError: the supervisor cannot be reached.
        """
        request = DeploymentRequest(id=deployment, revision=revision, source=str(source))
        try:
            async with SupervisorClient(self._socket) as supervisor:
                return _told(await self._in_turn(supervisor, request))
        except SupervisorError as error:
            raise PortError("supervisor", str(error)) from error

    async def results(self) -> tuple[DeploymentResult, ...]:
        """Every deployment that has ended.

        Raises:
            PortError: the supervisor cannot be reached.
        """
        try:
            async with SupervisorClient(self._socket) as supervisor:
                return await supervisor.deployments()
        except SupervisorError as error:
            raise PortError("supervisor", str(error)) from error

    async def _in_turn(
        self, supervisor: SupervisorClient, request: DeploymentRequest
    ) -> DeploymentResult:
        """A conflict while nothing is under way is either over by now, or for good."""
        was_idle = False
        while True:
            try:
                return await supervisor.deploy(request)
            except ConflictError:
                if was_idle:
                    raise
            was_idle = (await supervisor.status()).rollout is None
            await asyncio.sleep(0 if was_idle else _BUSY_POLL_S)


def _told(result: DeploymentResult) -> DeploymentOutcome:
    reason = result.reason or ""
    if reason and result.log_tail:
        reason = "\n".join((reason, *result.log_tail[-20:]))
    return DeploymentOutcome(
        ok=result.ok,
        reason=reason,
        duration_s=result.duration_s,
        drained_first=result.drained_first,
        source_hash=result.source_hash or "",
    )


def unfinished(
    events: Sequence[Event], results: Iterable[DeploymentResult], *, at: float
) -> list[DeploymentFinished]:
    """How each deployment ended that the journal saw requested only, by the supervisor's results.

    One that the supervisor never heard of, or had not finished, did not happen: it is what runs
    that counts, and a restarted supervisor runs what the journal says.
    """
    ended = {event.deployment for event in events if isinstance(event, DeploymentFinished)}
    known = {result.id: result for result in results}
    return [
        _finished(event, known.get(event.deployment), at=at)
        for event in events
        if isinstance(event, DeploymentRequested) and event.deployment not in ended
    ]


def _finished(
    event: DeploymentRequested, result: DeploymentResult | None, *, at: float
) -> DeploymentFinished:
    return DeploymentFinished(
        at=at,
        trial=event.trial,
        deployment=event.deployment,
        revision=event.revision,
        ok=result is not None and result.ok,
        reason="interrupted by a crash" if result is None else result.reason or "",
        duration_s=0.0 if result is None else result.duration_s,
        drained_first=result is not None and result.drained_first,
        source_hash="" if result is None else result.source_hash or "",
    )
