from collections.abc import Sequence
from dataclasses import replace

from campaign.supervisor.machine import STOPPED, step
from campaign.supervisor.model import (
    BackingOff,
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
    Probed,
    Publish,
    Quit,
    Release,
    Requested,
    RestartAfter,
    RestartDue,
    Serving,
    StopRequested,
    Unlisten,
    Unprepared,
)
from campaign.supervisor.restarts import RestartPolicy
from campaign.supervisor.status import status_of
from campaign.supervisor.wire import DeploymentRequest, ExitRecord, Status

POLICY = RestartPolicy(limit=2, window_s=60.0, first_delay_s=1.0)


def request(name: str) -> DeploymentRequest:
    return DeploymentRequest(id=name, revision=f"rev-{name}", source=f"/src/{name}")


def release(name: str) -> Release:
    return Release(
        deployment=name,
        revision=f"rev-{name}",
        source=f"/src/{name}",
        source_hash=f"hash-{name}",
        environment="/env",
    )


def requested(name: str) -> Event:
    return Requested(at=0.0, request=request(name))


def prepared(name: str) -> Event:
    return Prepared(at=0.0, release=release(name))


def probed(process: int, *, ok: bool = True, at: float = 1.0) -> Event:
    return Probed(at=at, process=process, ok=ok)


def exited(process: int, *, starved: bool = False, at: float = 2.0, reason: str = "broke") -> Event:
    record = ExitRecord(at=at, deployment="?", code=1, signal=None, expected=False)
    return Exited(at=at, process=process, exit=record, reason=reason, starved=starved)


class Told:
    """A machine and everything it has commanded, told one event after another."""

    def __init__(self, *events: Event) -> None:
        self.machine = Machine(service=Idle(since=0.0))
        self.last: Sequence[Command] = ()
        for event in events:
            self.tell(event)

    def tell(self, event: Event) -> Sequence[Command]:
        taken = step(self.machine, event, policy=POLICY)
        self.machine, self.last = taken.machine, taken.commands
        return self.last

    def status(self) -> Status:
        return status_of(self.machine, pid=7, unhealthy_after=2)


def serving(name: str = "a") -> Told:
    return Told(requested(name), prepared(name), probed(1))


def test_a_first_deployment_is_prepared_probed_and_published() -> None:
    told = Told()
    assert told.tell(requested("a")) == (Prepare(request=request("a")),)
    assert told.tell(prepared("a")) == (
        Listen(listener=1),
        Launch(process=1, release=release("a"), listener=1, patient=True),
    )
    assert told.status().state == "starting"
    assert told.tell(probed(1)) == (
        Publish(listener=1),
        Conclude(deployment="a", reason=None, process=1, source_hash="hash-a"),
    )
    assert told.status().state == "running"
    assert told.status().deployment == "a"


def test_the_new_socket_is_public_before_the_old_process_is_drained() -> None:
    told = serving()
    told.tell(requested("b"))
    told.tell(prepared("b"))
    assert told.status().deployment == "a"
    assert told.tell(probed(2)) == (
        Publish(listener=2),
        Forward(listener=1, process=1),
        Drain(process=1),
        Conclude(deployment="b", reason=None, process=2, source_hash="hash-b"),
    )
    assert told.tell(exited(1)) == ()
    assert told.status().deployment == "b"


def test_a_source_that_cannot_be_prepared_changes_nothing() -> None:
    told = serving()
    told.tell(requested("b"))
    assert told.tell(Unprepared(at=0.0, deployment="b", reason="no wheel")) == (
        Conclude(deployment="b", reason="no wheel"),
    )
    assert (told.status().deployment, told.status().rollout) == ("a", None)


def test_a_new_process_that_dies_leaves_the_old_one_alone() -> None:
    told = serving()
    told.tell(requested("b"))
    told.tell(prepared("b"))
    assert told.tell(exited(2, reason="syntax error")) == (
        Unlisten(listener=2),
        Conclude(deployment="b", reason="syntax error", process=2, source_hash="hash-b"),
    )
    assert told.status().deployment == "a"


def test_a_new_process_that_is_given_up_is_killed() -> None:
    told = serving()
    told.tell(requested("b"))
    told.tell(prepared("b"))
    event = GivenUp(at=9.0, process=2, reason="not healthy", starved=False)
    assert told.tell(event)[0] == Kill(process=2)
    assert told.tell(exited(2)) == ()
    assert isinstance(told.machine.service, Serving)


def test_a_failed_first_deployment_leaves_nothing_running() -> None:
    told = Told(requested("a"), prepared("a"), exited(1, starved=True))
    assert isinstance(told.last[-1], Conclude)
    assert told.status().state == "stopped"


def starved() -> Told:
    return Told(
        requested("a"), prepared("a"), probed(1), requested("b"), prepared("b"),
        exited(2, starved=True),
    )  # fmt: skip


def test_without_a_connection_clients_queue_at_the_new_socket_and_the_old_one_is_drained() -> None:
    told = starved()
    assert told.last == (
        Publish(listener=2),
        Forward(listener=1, process=1),
        Drain(process=1),
    )
    assert told.status().state == "starting"
    assert told.tell(exited(1)) == (
        Launch(process=3, release=release("b"), listener=2, patient=True),
    )
    assert told.tell(probed(3)) == (
        Conclude(deployment="b", reason=None, drained_first=True, process=3, source_hash="hash-b"),
    )
    assert told.status().deployment == "b"


def test_a_second_failure_starts_the_former_source_where_clients_wait() -> None:
    told = starved()
    told.tell(exited(1))
    assert told.tell(exited(3, starved=True, reason="again")) == (
        Launch(process=4, release=release("a"), listener=2, patient=False),
        Conclude(
            deployment="b", reason="again", drained_first=True, process=3, source_hash="hash-b"
        ),
    )
    assert told.status().state == "starting"
    told.tell(probed(4))
    assert (told.status().state, told.status().deployment) == ("running", "a")


def test_an_app_that_dies_is_restarted_at_once_then_later_then_not_at_all() -> None:
    told = serving()
    assert told.tell(exited(1, at=10.0)) == (RestartAfter(delay_s=0.0, listener=1, restarts=1),)
    assert told.tell(RestartDue(at=10.0, listener=1, restarts=1)) == (
        Launch(process=2, release=release("a"), listener=1, patient=False),
    )
    assert told.tell(exited(2, at=11.0)) == (RestartAfter(delay_s=1.0, listener=1, restarts=2),)
    assert isinstance(told.machine.service, BackingOff)
    told.tell(RestartDue(at=12.0, listener=1, restarts=2))
    assert told.tell(exited(3, at=13.0)) == ()
    assert isinstance(told.machine.service, Crashed)
    assert told.status().state == "crashed"
    assert told.status().restarts == 2


def test_deaths_long_ago_do_not_count() -> None:
    told = serving()
    for death, at in enumerate((10.0, 100.0, 200.0, 300.0), start=1):
        assert told.tell(exited(death, at=at)) == (
            RestartAfter(delay_s=0.0, listener=1, restarts=death),
        )
        told.tell(RestartDue(at=at, listener=1, restarts=death))


def test_a_deployment_gets_out_of_a_crash_and_serves_who_waits() -> None:
    told = serving()
    for death in (1, 2, 3):
        told.tell(exited(death))
        told.tell(RestartDue(at=2.0, listener=1, restarts=death))
    told.tell(requested("b"))
    told.tell(prepared("b"))
    process = told.machine.next_process - 1
    commands = told.tell(probed(process))
    assert commands[:2] == (Publish(listener=2), Forward(listener=1, process=None))
    assert told.status().state == "running"


def test_an_app_that_dies_while_its_successor_starts_is_restarted_meanwhile() -> None:
    told = serving()
    told.tell(requested("b"))
    told.tell(prepared("b"))
    told.tell(exited(1))
    assert told.tell(RestartDue(at=2.0, listener=1, restarts=1)) == (
        Launch(process=3, release=release("a"), listener=1, patient=False),
    )
    assert told.tell(probed(2))[2] == Drain(process=3)


def test_a_restart_that_is_no_longer_wanted_does_not_happen() -> None:
    told = serving()
    told.tell(exited(1))
    assert told.tell(RestartDue(at=2.0, listener=1, restarts=9)) == ()
    told.tell(RestartDue(at=2.0, listener=1, restarts=1))
    assert told.tell(RestartDue(at=2.0, listener=1, restarts=1)) == ()


def test_failed_probes_make_it_unhealthy_and_one_good_one_healthy() -> None:
    told = serving()
    told.tell(probed(1, ok=False))
    assert told.status().healthy
    told.tell(probed(1, ok=False))
    assert not told.status().healthy
    assert told.status().state == "running"
    assert told.tell(probed(1)) == ()
    assert told.status().healthy


def test_stopping_drains_the_service_and_fails_what_is_under_way() -> None:
    told = serving()
    told.tell(requested("b"))
    told.tell(prepared("b"))
    assert told.tell(StopRequested(at=5.0)) == (
        Drain(process=1),
        Kill(process=2),
        Conclude(deployment="b", reason=STOPPED, source_hash="hash-b"),
        Quit(),
    )
    assert told.tell(exited(1)) == ()
    assert told.tell(StopRequested(at=6.0)) == ()


def test_stopping_concludes_a_deployment_in_every_phase() -> None:
    preparing = serving()
    preparing.tell(requested("b"))
    clearing = starved()
    retrying = starved()
    retrying.tell(exited(1))
    for told in (preparing, clearing, retrying):
        commands = told.tell(StopRequested(at=5.0))
        conclusions = [each for each in commands if isinstance(each, Conclude)]
        assert [each.deployment for each in conclusions] == ["b"]
        assert commands[-1] == Quit()


def test_events_of_unknown_processes_change_nothing() -> None:
    told = serving()
    before = told.machine
    late = GivenUp(at=1.0, process=99, reason="late", starved=True)
    for event in (probed(99), late, exited(99)):
        assert told.tell(event) == ()
    assert replace(told.machine, last_exit=None) == before
