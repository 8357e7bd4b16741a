"""Plays experiments one after the other on one stack, and again what nobody could judge.

Every trial is isolated: a fresh database, an app of its own. Only the processes around them stay,
and the calibration, since starting and calibrating a stack takes as long as a trial. For the same
reason the first round is bare. A later one is not: there it takes as long as it takes to be sure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from campaign.machine import Campaign
from campaign.model import Calibration, Event, Invariant, Plan
from campaign.player import Performance
from campaign.rig import RigOptions
from campaign.runs import RunFolder
from campaign.shell import Observer, Shell
from campaign.verification.experiment import Experiment, Scope
from campaign.verification.finding import Finding, Played, failed, judge
from campaign.verification.measured import Watcher
from chaos_profiles import CampaignSpec
from chaos_profiles.quantiles import p95_gauge
from reports.view import failure

_TRIES = 2

#: Plays a campaign to its end or to a stop: `Host.play`.
Player = Callable[[Performance], Awaitable[Campaign]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where and how the experiments are played."""

    play: Player
    #: each round's campaign has a folder of its own in it
    folder: Path
    spec: CampaignSpec
    scope: Scope
    options: RigOptions
    #: told of each round's shell, so that somebody can stop it
    on_shell: Callable[[Shell], None] = lambda _: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How it went."""

    #: somebody stopped it; what is missing was not played
    stopped: bool
    #: of the first stack
    calibration: Calibration | None


async def play_all(
    stage: Stage,
    experiments: Sequence[Experiment],
    *,
    on_findings: Callable[[tuple[Finding, ...]], None],
    on_begin: Callable[[Experiment], None] = lambda _: None,
) -> Ended:
    """Play every experiment; what the harness spoilt is played once more, after all others.

    Raises:
        UsageError, HarnessError: see `campaign.player.play`.
    """
    tries: Counter[str] = Counter()
    calibration: Calibration | None = None
    left = list(experiments)
    for number in count(1):
        played = _Round(
            experiments=tuple(left), tries=tries, on_findings=on_findings, on_begin=on_begin
        )
        campaign = await stage.play(_performance(stage, played, number=number))
        calibration = calibration or campaign.calibration
        trouble = failure(campaign)
        if campaign.stopped and not trouble:
            return Ended(stopped=True, calibration=calibration)
        left = played.left(trouble)
        if not left:
            break
    return Ended(stopped=False, calibration=calibration)


class _Round:
    """An observer of one campaign that judges each of its trials as soon as it is over."""

    def __init__(
        self,
        *,
        experiments: tuple[Experiment, ...],
        tries: Counter[str],
        on_findings: Callable[[tuple[Finding, ...]], None],
        on_begin: Callable[[Experiment], None],
    ) -> None:
        self.experiments = experiments
        self.watcher = Watcher()
        self._tries = tries
        self._on_findings = on_findings
        self._on_begin = on_begin
        self._begun = 0
        self._over = 0
        self._again: list[Experiment] = []

    def __call__(self, before: Campaign | None, event: Event, after: Campaign) -> None:
        del before, event
        while self._begun <= after.trial.index:
            self._on_begin(self.experiments[self._begun])
            self._begun += 1
        while self._over < len(after.done):
            self._judge(after)

    def left(self, trouble: str) -> list[Experiment]:
        """Not played yet, and then what is worth a second try.

        The trial in which the harness gave up because of `trouble` has had its try, so that each
        round leaves less to do than there was.
        """
        if self._over < len(self.experiments):
            self._spoil(trouble or "it ended before its last trial")
        return [*self.experiments[self._over :], *self._again]

    def _spoil(self, reason: str) -> None:
        experiment = self.experiments[self._over]
        self._over += 1
        attempt = self._tries[experiment.key] + 1
        self._tell(experiment, (failed(experiment, reason, attempt=attempt),))

    def _judge(self, campaign: Campaign) -> None:
        record = campaign.done[self._over]
        experiment = self.experiments[self._over]
        played = Played(
            record=record,
            seen=self.watcher.of(record.index),
            invariants={invariant.id: invariant for invariant in campaign.invariants},
            timings=campaign.plan.timings,
            attempt=self._tries[experiment.key] + 1,
            bare=campaign.plan.bare,
        )
        self._over += 1
        self._tell(experiment, judge(experiment, played))

    def _tell(self, experiment: Experiment, findings: tuple[Finding, ...]) -> None:
        self._tries[experiment.key] += 1
        self._on_findings(findings)
        unknown = any(finding.unknown for finding in findings)
        if unknown and self._tries[experiment.key] < _TRIES:
            self._again.append(experiment)


def _performance(stage: Stage, played: _Round, *, number: int) -> Performance:
    run = RunFolder(path=stage.folder / f"round-{number}")
    starts = {trial: one.start for trial, one in enumerate(played.experiments) if one.start}
    observers: tuple[Observer, ...] = (played.watcher, played)
    return Performance(
        run=run,
        plan=_plan(stage, played.experiments, run.name, bare=number == 1),
        options=replace(stage.options, starts=starts),
        observers=observers,
        on_shell=stage.on_shell,
        repairs={trial: one.repair for trial, one in enumerate(played.experiments)},
    )


def _plan(stage: Stage, experiments: Sequence[Experiment], name: str, *, bare: bool) -> Plan:
    timings = stage.scope.timings
    spec = replace(
        stage.spec,
        operator="reference",
        mode="isolated",
        profiles=tuple(one.played(timings) for one in experiments),
        timings=timings,
    )
    plan = spec.plan(name)
    return replace(plan, invariants=(*plan.invariants, *_gauges(plan)), bare=bare)


def _gauges(plan: Plan) -> tuple[Invariant, ...]:
    """Beside each latency invariant, so that the room below L is measured."""
    gauges = (p95_gauge(one) for one in plan.invariants)
    return tuple(gauge for gauge in gauges if gauge is not None)
