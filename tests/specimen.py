"""A campaign with one trial of every kind, played by the simulator: what reports are tested on.

Its numbers look like a real campaign's; its strings are as hostile as an operator or an app could
make them. `python -m tests.specimen FOLDER` writes its report there.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from campaign.machine import step
from campaign.model import (
    ActionTaken,
    AssertionResult,
    AssertionState,
    Budget,
    ComponentDown,
    DeploymentFinished,
    DeploymentRequested,
    Event,
    Invariant,
    LoadApplied,
    LoadDimension,
    Plan,
    Profile,
    Sample,
    SessionEnded,
    SessionOutcome,
    Spend,
    StartSession,
    TicketResolved,
)
from campaign.testing import Planned, ScriptedAudit, Simulation, World
from reports import write_report

#: 2025-11-21 09:00 UTC
BEGAN_AT = 1_763_715_600.0
#: the metrics are away for a while, in the middle of the first trial's repair
BLIND = (BEGAN_AT + 27.0, BEGAN_AT + 30.5)
HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
)

INVARIANTS = (
    Invariant(
        id="canary_slow",
        title="Slow canary requests",
        kind="performance",
        unit="ratio",
        value="v",
        limit=0.05,
        samples="s",
        offered="o",
        min_offered=8,
        sources=("loadgen",),
        latency_limit_s=0.1,
    ),
    Invariant(
        id="messages_slow",
        title="Slow message lists",
        kind="performance",
        unit="ratio",
        value="v",
        limit=0.05,
        samples="s",
        offered="o",
        min_offered=8,
        sources=("loadgen",),
        latency_limit_s=0.2,
    ),
    Invariant(
        id="errors",
        title="Failed requests",
        kind="availability",
        unit="ratio",
        value="v",
        limit=0.02,
        samples="s",
        offered="o",
        min_offered=8,
        sources=("loadgen",),
    ),
    Invariant(
        id="idle_in_transaction",
        title="Sessions idle in a transaction",
        kind="resource",
        unit="count",
        value="v",
        limit=5,
        samples="s",
        offered="o",
        min_offered=1,
        sources=("ratchet",),
    ),
    Invariant(
        id="notification_bytes",
        title="Bytes per notification list",
        kind="resource",
        unit="bytes",
        value="v",
        limit=100_000,
        samples="s",
        offered="o",
        min_offered=8,
        sources=("loadgen",),
    ),
    Invariant(
        id="lost_tokens",
        title="Tokens counted wrongly",
        kind="correctness",
        unit="count",
        value="v",
        limit=0,
        samples="s",
        offered="o",
        min_offered=1,
        sources=("ratchet",),
    ),
)

#: what an invariant reads while it holds and while it is violated
LEVELS = {
    "canary_slow": (0.002, 0.71),
    "messages_slow": (0.006, 0.87),
    "errors": (0.0, 0.34),
    "idle_in_transaction": (0.0, 38.0),
    "notification_bytes": (4_600.0, 1_040_000.0),
    "lost_tokens": (0.0, 412.0),
}


def _asserted(gate: str, name: str, state: AssertionState, message: str) -> AssertionResult:
    return AssertionResult(
        gate=gate,
        name=name,
        state=state,
        message=message,
        details={"expected": [1, 2, 3], "actual": [1, 2, 3, HOSTILE], "rate": math.nan},
        duration_s=0.42,
    )


#: of the trial that a deployment resolved, with one assertion that there was nothing to judge by
AUDIT = ScriptedAudit(
    results=(
        _asserted("functional", "healthy", AssertionState.PASS, "GET /healthz answered 200"),
        _asserted("correct", "token_counts_are_exact", AssertionState.PASS, "40 of 40 are"),
        _asserted("correct", "pages_are_complete", AssertionState.SKIPPED, f"no pages {HOSTILE}"),
    )
)


def _dimension(behaviour: str, users: int, rate_hz: float, *, burst: bool = False) -> LoadDimension:
    return LoadDimension(
        behaviour=behaviour,
        users=users,
        rate_hz=rate_hz,
        arrival="burst" if burst else "staggered",
    )


def _profile(name: str, symptom: str, breaks: tuple[str, ...], load: LoadDimension) -> Profile:
    return Profile(
        id=name,
        title=name.replace("_", " "),
        category="query",
        symptom=symptom,
        anti_patterns=(f"models.py:{name}",),
        load=(load,),
        growth={"rows": 10},
        breaks=breaks,
        window_s=15.0,
        ratchet=(replace(load, users=2),),
    )


PROFILES = (
    _profile(
        "missing_index",
        "Message lists crawl as conversations fill up.",
        ("messages_slow", "canary_slow"),
        _dimension("reader", 20, 1.0),
    ),
    _profile(
        "pool_exhaustion",
        "A burst of clients is turned away.",
        ("errors",),
        _dimension("herd", 250, 0.5, burst=True),
    ),
    _profile(
        "streaming_txn",
        "Open streams starve everybody else.",
        ("idle_in_transaction",),
        _dimension("streamer", 40, 0.25),
    ),
    _profile(
        "notification_payload",
        "Notification lists weigh a megabyte.",
        ("nothing",),
        _dimension("notification_reader", 60, 5.0),
    ),
    _profile(
        "counter_race",
        "Token counts drift away from what was sent.",
        ("lost_tokens",),
        _dimension("writer", 30, 5.0),
    ),
)


def plan() -> Plan:
    return Plan(
        campaign="2025-11-21-ladder",
        target="chat_db_app",
        mode="continuous",
        operator="claude",
        seed=7,
        profiles=PROFILES,
        invariants=INVARIANTS,
        base_load=(
            _dimension("canary", 10, 1.0),
            _dimension("reader", 6, 0.5),
            _dimension("writer", 4, 0.5),
        ),
        budget=Budget(wall_s=120.0),
    )


@dataclass(slots=True)
class SpecimenWorld(World):
    """The simulator's world with levels, ramps and noise instead of a flat line."""

    def _sample(self, invariant: Invariant, at: float) -> Sample:
        base = World._sample(self, invariant, at)
        healthy, broken = LEVELS[invariant.id]
        wave = 1 + 0.12 * math.sin(at * 1.7) + 0.07 * math.sin(at * 4.3)
        value = (broken if base.value else healthy) * wave
        offered = 2.0 if self._is_idle(invariant) else 40.0
        if invariant.unit == "count":
            value = float(round(value))
        return replace(base, value=value, samples=offered, offered=offered)

    def _is_idle(self, invariant: Invariant) -> bool:
        behaviours = {dimension.behaviour for dimension in self.load}
        return invariant.id == "notification_bytes" and "notification_reader" not in behaviours


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What one ticket's session does, one line an act."""

    simulation: Simulation
    command: StartSession

    def act(
        self,
        after_s: float,
        tool: str,
        arguments: dict[str, object],
        result: str = "ok",
        **more: bool,
    ) -> Planned:
        def happening(at: float) -> Event:
            return ActionTaken(
                at=at,
                trial=self.command.trial,
                ticket=self.command.ticket.id,
                session=self.command.session,
                tool=tool,
                arguments=arguments,
                result=result,
                is_error=more.get("is_error", False),
                duration_s=0.34,
                edit=more.get("edit", False),
            )

        return (after_s, happening)

    def deploy(
        self, after_s: float, number: int, *, mends: str = "", reason: str = ""
    ) -> tuple[Planned, ...]:
        deployment = f"{self.command.ticket.id}-d{number}"
        revision = f"{self.command.trial:x}{number}c4f7e29ab03d1"

        def requested(at: float) -> Event:
            return DeploymentRequested(
                at=at,
                trial=self.command.trial,
                ticket=self.command.ticket.id,
                session=self.command.session,
                deployment=deployment,
                revision=revision,
                message="Mend what the ticket says",
            )

        def finished(at: float) -> Event:
            if not reason:
                world = self.simulation.world
                world.deploy(deployment, revision, frozenset({mends}), at=at)
            return DeploymentFinished(
                at=at,
                trial=self.command.trial,
                deployment=deployment,
                revision=revision,
                ok=not reason,
                reason=reason,
                duration_s=2.4,
            )

        return ((after_s, requested), (after_s + 2.4, finished))

    def leave(
        self, after_s: float, outcome: SessionOutcome, root_cause: str = ""
    ) -> tuple[Planned, ...]:
        trial, ticket, session = self.command.trial, self.command.ticket.id, self.command.session

        def resolved(at: float) -> Event:
            return TicketResolved(
                at=at, trial=trial, ticket=ticket, session=session, root_cause=root_cause
            )

        def ended(at: float) -> Event:
            return SessionEnded(
                at=at,
                trial=trial,
                ticket=ticket,
                session=session,
                outcome=outcome,
                spend=Spend(turns=14, tokens=48_200, usd=0.37),
            )

        said = ((after_s, resolved),) if root_cause else ()
        return (*said, (after_s + 0.3, ended))


def operator(simulation: Simulation, command: StartSession) -> Sequence[Planned]:
    """Repairs the first, gives up on the second, mends the third at the second attempt."""
    story = Story(simulation=simulation, command=command)
    look = (
        story.act(
            1.5, "query_metrics", {"promql": "sum by (operation) (rate(requests_total[30s]))"}
        ),
        story.act(4.0, "shell", {"command": "grep -rn 'conversation_id' ."}, HOSTILE),
    )
    match command.trial:
        case 0:
            cause = f"No index on messages(conversation_id): every list is a full scan. {HOSTILE}"
            return (
                *look,
                story.act(
                    7.0, "edit_file", {"path": "models.py", "text": "CREATE INDEX"}, edit=True
                ),
                *story.deploy(9.0, 1, mends="missing_index"),
                *story.leave(13.0, SessionOutcome.RESOLVED, cause),
            )
        case 1:
            failure = f"the app did not answer /healthz in 20 s\n{HOSTILE}"
            return (
                *look,
                story.act(6.0, "shell", {"command": "pytest -q"}, "2 failed", is_error=True),
                *story.deploy(8.0, 1, reason=failure),
                *story.leave(18.0, SessionOutcome.GAVE_UP),
            )
        case _:
            mends = simulation.world.plan.profiles[command.trial].id
            return (
                *look,
                story.act(6.0, "edit_file", {"path": "pool.py"}, edit=True),
                *story.deploy(7.0, 1, mends="nothing"),
                story.act(16.0, "edit_file", {"path": "streaming.py"}, edit=True),
                *story.deploy(18.0, 2, mends=mends),
                *story.leave(
                    26.0, SessionOutcome.RESOLVED, "A transaction stays open while streaming."
                ),
            )


def simulation(journal: list[Event]) -> Simulation:
    """A campaign ready to be run, its events going to `journal`."""
    world = SpecimenWorld(plan=plan(), blind=[BLIND], findings={0: AUDIT})
    return Simulation(world, journal, operator=operator, begin_at=BEGAN_AT)


def journal() -> list[Event]:
    """Resolved, unresolved, resolved, immune, and (the generator is lost) inconclusive."""
    events: list[Event] = []
    simulation(events).run(until=math.inf)
    return _lose_the_generator(events)


def _lose_the_generator(events: list[Event]) -> list[Event]:
    """The same journal with the last trial cut short by a fault of the harness."""
    last = len(PROFILES) - 1
    at = next(
        event.at
        for event in events
        if isinstance(event, DeploymentRequested) and event.trial == last
    )
    kept = [event for event in events if event.at < at]
    fault = ComponentDown(at=at, trial=last, component="loadgen", reason="exited with status -9")
    healed = LoadApplied(at=at + 0.4, trial=last, load_id=f"t{last}-heal")
    return [*kept, fault, healed]


if __name__ == "__main__":
    written = write_report(journal(), step, Path(sys.argv[1]))
    sys.stdout.write(f"{written.page}\n")
