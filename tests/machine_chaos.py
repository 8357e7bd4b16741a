"""A world without manners for property tests: any order, twice, never, and at the wrong time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from campaign.machine import Campaign
from campaign.model import (
    ApplyLoad,
    AssertionJudged,
    Command,
    CommandFailed,
    ComponentDown,
    ComponentUp,
    ContinueRequested,
    DataGrown,
    Evaluated,
    Event,
    GatesFinished,
    GrowData,
    LoadApplied,
    PauseRequested,
    PrepareStack,
    Resumed,
    RunGates,
    SessionOutcome,
    StackFailed,
    StackReady,
    StopRequested,
)
from campaign.testing import CALIBRATION, HEALTHY, ScriptedAudit, erring, failing, make_plan
from campaign.testing.world import STARVED
from tests.machine_audit import Look, StepTaken, audit
from tests.machine_kit import Drive


@dataclass(slots=True)
class Chaos:
    """Drives a campaign through whatever it is told, and audits every step."""

    drive: Drive = field(default_factory=lambda: Drive(make_plan(3)))
    #: commands that were not answered yet
    pending: list[Command] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    offered: str = ""
    deployments: int = 0
    next_audit: ScriptedAudit = field(default_factory=ScriptedAudit)

    def __post_init__(self) -> None:
        self.pending.extend(self.drive.commands)

    @property
    def campaign(self) -> Campaign:
        return self.drive.campaign

    def send(self, event: Event) -> None:
        before = self.campaign
        self.drive.send(event)
        self.pending.extend(self.drive.commands)
        self._note(event)
        self._audit(before)

    def _audit(self, before: Campaign) -> None:
        drive = self.drive
        taken = StepTaken(
            before=before, event=drive.journal[-1], after=drive.campaign, commands=drive.commands
        )
        audit(taken, self.looks)

    def _note(self, event: Event) -> None:
        if isinstance(event, LoadApplied):
            self.offered = event.load_id
        if isinstance(event, Evaluated) and event.at == self.campaign.ticked_at:
            statuses = {each.invariant: each.status for each in self.campaign.readings}
            look = Look(
                at=event.at,
                trial=event.trial,
                statuses=statuses,
                full_load=self.offered.endswith("-full"),
            )
            self.looks.append(look)

    # -- moves ----------------------------------------------------------------------------------

    def tick(self, seconds: int, weather: str) -> None:
        for second in range(seconds):
            self.drive.at += 1.0
            self.send(self._look(weather, second))

    def _look(self, weather: str, second: int) -> Evaluated:
        drive, names = self.drive, self.drive.broken
        flapping = weather == "flapping" and second % 2 == 0
        seen = {
            "red": drive.samples(red=names),
            "canary": drive.samples(red=["canary"]),
            "idle": drive.samples(idle=names),
            "swallowed": drive.samples(swallowed=names),
            "blind": (),
        }
        return Evaluated(
            at=drive.at,
            trial=drive.index,
            samples=seen.get("red" if flapping else weather, drive.samples()),
            generator=STARVED if weather == "starved" else HEALTHY,
        )

    def gap(self, seconds: int) -> None:
        self.drive.skip(float(seconds))

    def answer(self, number: int) -> None:
        if self.pending:
            self._answer(self.pending.pop(number % len(self.pending)))

    def drop(self, number: int) -> None:
        if self.pending:
            self.pending.pop(number % len(self.pending))

    def fail(self, number: int) -> None:
        if not self.pending:
            return
        command = self.pending.pop(number % len(self.pending))
        at, trial = self.drive.at, command.trial
        if isinstance(command, PrepareStack):
            self.send(StackFailed(at=at, trial=trial, component="postgres", reason="broken"))
            return
        names = {ApplyLoad: "apply_load", GrowData: "grow_data", RunGates: "run_gates"}
        name = names.get(type(command), "session")
        self.send(
            CommandFailed(at=at, trial=trial, command=name, component="loadgen", reason="broken")
        )

    def _answer(self, command: Command) -> None:
        at, trial = self.drive.at, command.trial
        match command:
            case PrepareStack():
                self.send(
                    StackReady(
                        at=at,
                        trial=trial,
                        revision=command.revision or "r0",
                        invariants=self.drive.plan.invariants,
                        calibration=CALIBRATION,
                    )
                )
            case GrowData():
                self.send(DataGrown(at=at, trial=trial, rows=1, duration_s=1.0))
            case ApplyLoad():
                self.send(LoadApplied(at=at, trial=trial, load_id=command.id))
            case RunGates():
                self._audit_app(command)
            case _:
                pass

    def gates(self, what: str) -> None:
        """What the next audit is going to find."""
        audits = {
            "fail": failing("healthy"),
            "err": erring("healthy"),
            "hang": ScriptedAudit(hangs=True),
        }
        self.next_audit = audits[what]

    def _audit_app(self, command: RunGates) -> None:
        at, trial, audit = self.drive.at, command.trial, command.id
        found, self.next_audit = self.next_audit, ScriptedAudit()
        for result in found.results:
            self.send(AssertionJudged(at=at, trial=trial, audit=audit, result=result))
        if not found.hangs:
            self.send(GatesFinished(at=at, trial=trial, audit=audit))

    def again(self, number: int) -> None:
        """The very same event, once more."""
        journal = self.drive.journal
        self.send(journal[1 + number % (len(journal) - 1)] if len(journal) > 1 else journal[0])

    def act(self, what: str) -> None:
        """The operator's next move, whether it is its turn or not."""
        drive, name = self.drive, f"d{self.deployments}"
        acts: dict[str, Callable[[], None]] = {
            "request": self._request,
            "deployed": lambda: self._finish(name, ok=True),
            "failed": lambda: self._finish(name, ok=False),
            "resolve": lambda: self._via(drive.resolve),
            "end": lambda: self._via(drive.end_session),
            "give up": lambda: self._via(lambda: drive.end_session(SessionOutcome.GAVE_UP)),
        }
        acts[what]()

    def _request(self) -> None:
        self.deployments += 1
        name = f"d{self.deployments}"
        self._via(lambda: self.drive.request_deployment(name, revision=name))

    def _via(self, doing: Callable[[], object]) -> None:
        before = self.campaign
        doing()
        self.pending.extend(self.drive.commands)
        self._audit(before)

    def tell(self, what: str) -> None:
        at, trial = self.drive.at, self.drive.index
        events: dict[str, Event] = {
            "down": ComponentDown(at=at, trial=trial, component="postgres", reason="exited"),
            "up": ComponentUp(at=at, trial=trial, component="postgres"),
            "pause": PauseRequested(at=at),
            "continue": ContinueRequested(at=at),
            "stop": StopRequested(at=at),
            "resume": Resumed(at=at),
        }
        if what == "resume":
            self.pending.clear()  # the process that would have answered is gone
        self.send(events[what])

    def proceed(self, phases: int) -> None:
        """The world and the operator behave, until so many phases have passed."""
        for _ in range(phases):
            entered = self.campaign.phase.kind
            for _ in range(80):
                if self.campaign.phase.kind == entered:
                    self._behave()

    def _behave(self) -> None:
        while self.pending:
            self.answer(0)
        if self.campaign.stopped:
            self.tell("resume")
            return
        self._end_deployments()
        match self.campaign.phase.kind:
            case "repairing":
                for what in ("request", "deployed", "resolve", "end"):
                    self.act(what)
            case "paused":
                self.tell("continue")
            case kind:
                self.tick(1, "red" if kind == "disturbed" else "clear")

    def _end_deployments(self) -> None:
        for deployment in self.campaign.trial.deployments:
            if deployment.ok is None:
                self._finish(deployment.id, ok=True)

    def _finish(self, name: str, *, ok: bool) -> None:
        self._via(lambda: self.drive.finish_deployment(name, revision=name, ok=ok))
