"""The answer to "what runs now?", from the machine's state. Pure."""

from campaign.supervisor.model import (
    BackingOff,
    Crashed,
    Idle,
    Machine,
    Preparing,
    Rollout,
    Serving,
)
from campaign.supervisor.wire import State, Status


def status_of(machine: Machine, *, pid: int | None, unhealthy_after: int) -> Status:
    """Return the status; ``pid`` is that of the serving process.

    An app that failed ``unhealthy_after`` probes in a row is not healthy. It is not restarted for
    that: to find out why it hangs, and to mend it, is the operator's job.
    """
    service = machine.service
    release = None if isinstance(service, Idle) else service.release
    return Status(
        state=_state(machine),
        deployment=release.deployment if release else None,
        revision=release.revision if release else None,
        pid=pid,
        source_hash=release.source_hash if release else None,
        restarts=0 if isinstance(service, Idle) else service.restarts,
        since=service.since,
        last_exit=machine.last_exit,
        healthy=isinstance(service, Serving)
        and service.ready
        and service.failures < unhealthy_after,
        rollout=None if machine.rollout is None else rollout_id(machine.rollout),
    )


def rollout_id(rollout: Rollout) -> str:
    """Return the deployment's id."""
    if isinstance(rollout, Preparing):
        return rollout.request.id
    return rollout.release.deployment


def _state(machine: Machine) -> State:
    match machine.service:
        case Idle():
            return "stopped" if machine.rollout is None else "starting"
        case Serving(ready=True):
            return "running"
        case Serving() | BackingOff():
            return "starting"
        case Crashed():
            return "crashed"
