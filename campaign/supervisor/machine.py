"""What the supervisor does next: a function of its state and of what happened. Pure.

See `model` for the words. An event about a process that no longer matters changes nothing but
the record of the last exit.
"""

from dataclasses import replace
from typing import assert_never

from campaign.supervisor.model import (
    BackingOff,
    Clearing,
    Command,
    Conclude,
    Crashed,
    Drain,
    Event,
    Exited,
    Forward,
    GivenUp,
    Idle,
    Kill,
    Launch,
    Listen,
    Machine,
    Prepare,
    Prepared,
    Preparing,
    Probed,
    Probing,
    Publish,
    Quit,
    Release,
    Requested,
    RestartAfter,
    RestartDue,
    Retrying,
    Serving,
    Step,
    StopRequested,
    Unlisten,
    Unprepared,
)
from campaign.supervisor.restarts import RestartPolicy

#: The reason of a deployment that was under way when the supervisor was asked to stop.
STOPPED = "the supervisor was stopped"


def step(machine: Machine, event: Event, *, policy: RestartPolicy) -> Step:
    """Return the next state and the commands to carry out, in order."""
    if machine.stopping:
        return Step(machine=machine)
    match event:
        case Requested():
            rollout = Preparing(request=event.request)
            return _then(replace(machine, rollout=rollout), Prepare(request=event.request))
        case Prepared():
            return _probe(machine, event.release)
        case Unprepared():
            conclusion = Conclude(deployment=event.deployment, reason=event.reason)
            return _then(replace(machine, rollout=None), conclusion)
        case Probed():
            return _probed(machine, event)
        case GivenUp():
            return _given_up(machine, event)
        case Exited():
            return _exited(machine, event, policy)
        case RestartDue():
            return _restart(machine, event)
        case StopRequested():
            return _stop(machine)
        case _:
            assert_never(event)


def _then(machine: Machine, *commands: Command) -> Step:
    return Step(machine=machine, commands=commands)


def _probe(machine: Machine, release: Release) -> Step:
    """Start the new process beside the service."""
    process, listener = machine.next_process, machine.next_listener
    return _then(
        replace(
            machine,
            rollout=Probing(release=release, process=process, listener=listener),
            next_process=process + 1,
            next_listener=listener + 1,
        ),
        Listen(listener=listener),
        Launch(process=process, release=release, listener=listener, patient=True),
    )


def _probed(machine: Machine, event: Probed) -> Step:
    rollout, service = machine.rollout, machine.service
    if isinstance(rollout, Probing | Retrying) and rollout.process == event.process:
        return _hand_over(machine, rollout, at=event.at) if event.ok else _then(machine)
    if not isinstance(service, Serving) or service.process != event.process:
        return _then(machine)
    if event.ok:
        since = service.since if service.ready else event.at
        return _then(replace(machine, service=_healthy(service, since=since)))
    return _then(replace(machine, service=replace(service, failures=service.failures + 1)))


def _healthy(service: Serving, *, since: float) -> Serving:
    return replace(service, ready=True, failures=0, since=since)


def _hand_over(machine: Machine, rollout: Probing | Retrying, *, at: float) -> Step:
    """Let the new process serve. A Retrying one already has the public listener."""
    release = rollout.release
    drained_first = isinstance(rollout, Retrying)
    service = Serving(
        release=release, process=rollout.process, listener=rollout.listener, since=at, ready=True
    )
    return _then(
        replace(machine, service=service, rollout=None),
        *(() if drained_first else _supersede(machine, rollout.listener)),
        Conclude(
            deployment=release.deployment,
            reason=None,
            drained_first=drained_first,
            process=rollout.process,
            source_hash=release.source_hash,
        ),
    )


def _supersede(machine: Machine, listener: int) -> tuple[Command, ...]:
    """Make ``listener`` public and see off whatever served before."""
    publish = Publish(listener=listener)
    match machine.service:
        case Idle():
            return (publish,)
        case Serving(process=process, listener=former):
            return (publish, Forward(listener=former, process=process), Drain(process=process))
        case BackingOff(listener=former) | Crashed(listener=former):
            return (publish, Forward(listener=former, process=None))
        case _:
            assert_never(machine.service)


def _given_up(machine: Machine, event: GivenUp) -> Step:
    rollout = machine.rollout
    if not isinstance(rollout, Probing | Retrying) or rollout.process != event.process:
        return _then(machine)
    failed = _failed(machine, rollout, event)
    return replace(failed, commands=(Kill(process=event.process), *failed.commands))


def _exited(machine: Machine, event: Exited, policy: RestartPolicy) -> Step:
    machine = replace(machine, last_exit=event.exit)
    match machine.rollout:
        case (Probing() | Retrying()) as rollout if rollout.process == event.process:
            return _failed(machine, rollout, event)
        case Clearing() as rollout if rollout.leaving == event.process:
            return _retry(machine, rollout)
        case _:
            pass
    service = machine.service
    if isinstance(service, Serving) and service.process == event.process:
        return _died(machine, service, policy, at=event.at)
    return _then(machine)


def _failed(machine: Machine, rollout: Probing | Retrying, event: GivenUp | Exited) -> Step:
    """The new process did not come up: make room for it once, or go back."""
    if isinstance(rollout, Retrying):
        return _go_back(machine, rollout, event)
    if event.starved and isinstance(machine.service, Serving):
        return _clear(machine, rollout, machine.service, at=event.at)
    return _then(
        replace(machine, rollout=None),
        Unlisten(listener=rollout.listener),
        _failure(rollout, event, drained_first=False),
    )


def _failure(
    rollout: Probing | Retrying, event: GivenUp | Exited, *, drained_first: bool
) -> Conclude:
    return Conclude(
        deployment=rollout.release.deployment,
        reason=event.reason,
        drained_first=drained_first,
        process=event.process,
        source_hash=rollout.release.source_hash,
    )


def _clear(machine: Machine, rollout: Probing, service: Serving, *, at: float) -> Step:
    """Let clients queue at the new listener while the old process gives its connections back."""
    clearing = Clearing(
        release=rollout.release,
        listener=rollout.listener,
        former=service.release,
        leaving=service.process,
    )
    return _then(
        replace(machine, service=Idle(since=at), rollout=clearing),
        *_supersede(machine, rollout.listener),
    )


def _retry(machine: Machine, rollout: Clearing) -> Step:
    process = machine.next_process
    retrying = Retrying(
        release=rollout.release,
        process=process,
        listener=rollout.listener,
        former=rollout.former,
    )
    return _then(
        replace(machine, rollout=retrying, next_process=process + 1),
        Launch(process=process, release=rollout.release, listener=rollout.listener, patient=True),
    )


def _go_back(machine: Machine, rollout: Retrying, event: GivenUp | Exited) -> Step:
    """Start the former source again, on the listener at which clients wait."""
    process = machine.next_process
    service = Serving(
        release=rollout.former,
        process=process,
        listener=rollout.listener,
        since=event.at,
        ready=False,
    )
    return _then(
        replace(machine, service=service, rollout=None, next_process=process + 1),
        Launch(process=process, release=rollout.former, listener=rollout.listener, patient=False),
        _failure(rollout, event, drained_first=True),
    )


def _died(machine: Machine, service: Serving, policy: RestartPolicy, *, at: float) -> Step:
    exits = policy.recent((*service.exits, at), at=at)
    delay_s = policy.delay_s(exits)
    if delay_s is None:
        crashed = Crashed(
            release=service.release,
            listener=service.listener,
            since=at,
            restarts=service.restarts,
        )
        return _then(replace(machine, service=crashed))
    waiting = BackingOff(
        release=service.release,
        listener=service.listener,
        since=at,
        exits=exits,
        restarts=service.restarts + 1,
    )
    return _then(
        replace(machine, service=waiting),
        RestartAfter(delay_s=delay_s, listener=waiting.listener, restarts=waiting.restarts),
    )


def _restart(machine: Machine, event: RestartDue) -> Step:
    waiting = machine.service
    if not isinstance(waiting, BackingOff):
        return _then(machine)
    if (waiting.listener, waiting.restarts) != (event.listener, event.restarts):
        return _then(machine)
    process = machine.next_process
    service = Serving(
        release=waiting.release,
        process=process,
        listener=waiting.listener,
        since=event.at,
        ready=False,
        exits=waiting.exits,
        restarts=waiting.restarts,
    )
    return _then(
        replace(machine, service=service, next_process=process + 1),
        Launch(process=process, release=waiting.release, listener=waiting.listener, patient=False),
    )


def _stop(machine: Machine) -> Step:
    """Drain the service, end everything else."""
    commands: list[Command] = []
    if isinstance(machine.service, Serving):
        commands.append(Drain(process=machine.service.process))
    match machine.rollout:
        case None:
            pass
        case Preparing(request=request):
            commands.append(Conclude(deployment=request.id, reason=STOPPED))
        case Clearing(release=release):
            commands.append(_unfinished(release))
        case Probing(release=release, process=process) | Retrying(release=release, process=process):
            commands += [Kill(process=process), _unfinished(release)]
        case _:
            assert_never(machine.rollout)
    stopped = replace(machine, rollout=None, stopping=True)
    return _then(stopped, *commands, Quit())


def _unfinished(release: Release) -> Conclude:
    return Conclude(deployment=release.deployment, reason=STOPPED, source_hash=release.source_hash)
