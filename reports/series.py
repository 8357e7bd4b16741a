"""Events to series: one pass over the journal gives what every trial's page is drawn from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from campaign.model import (
    Evaluated,
    Event,
    LoadApplied,
    LoadVector,
    Profile,
    Reading,
    Status,
    TrialRecord,
)
from reports.view import CampaignView, StepFunction, phase_name, trials


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One phase of a trial, in epoch seconds."""

    name: str
    since: float
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """From `at` (epoch seconds) on, the generator offers `load`."""

    load_id: str
    at: float
    load: LoadVector


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What one evaluation said of every invariant, as the machine judged it then."""

    at: float
    readings: tuple[Reading, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialHistory:
    """One trial: its record and all that was seen while it was played."""

    record: TrialRecord
    profile: Profile
    spans: tuple[Span, ...]
    offers: tuple[Offer, ...]
    judgements: tuple[Judgement, ...]
    #: everything else that happened, in order
    events: tuple[Event, ...]

    @property
    def until(self) -> float:
        """The end of the last thing known of the trial, epoch seconds."""
        return max([self.record.started_at, *(span.until for span in self.spans)])

    def readings_of(self, invariant: str) -> tuple[Reading, ...]:
        return tuple(
            reading
            for judgement in self.judgements
            for reading in judgement.readings
            if reading.invariant == invariant
        )

    def was_violated(self, invariant: str) -> bool:
        """In the ticket, or seen above its limit in any evaluation."""
        seen = (reading.status is Status.VIOLATED for reading in self.readings_of(invariant))
        return invariant in self.record.violated or any(seen)

    def offered(self, suffix: str) -> LoadVector | None:
        """The load offered under the trial's `suffix` ("baseline", "full"); None: never was."""
        wanted = f"t{self.record.index}-{suffix}"
        return next((offer.load for offer in self.offers if offer.load_id == wanted), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A whole campaign, over or not."""

    campaign: CampaignView
    trials: tuple[TrialHistory, ...]


def history(events: Iterable[Event], step: StepFunction) -> History:
    """Fold a journal's events; the journal may still be growing.

    Raises:
        ValueError: there are no events.
    """
    recorder = _Recorder()
    campaign: CampaignView | None = None
    for event in events:
        before, campaign = campaign, step(campaign, event).campaign
        recorder.see(before, event, campaign)
    if campaign is None:
        raise ValueError("the journal is empty: there is nothing to report yet")
    return recorder.history(campaign)


@dataclass(slots=True, kw_only=True)
class _Notes:
    """What is gathered of one trial on the way."""

    phases: list[Span] = field(default_factory=list)
    offers: list[Offer] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


class _Recorder:
    def __init__(self) -> None:
        self._notes: dict[int, _Notes] = {}
        self._open: Span | None = None
        self._open_trial = 0

    def see(self, before: CampaignView | None, event: Event, after: CampaignView) -> None:
        self._see_phase(after)
        trial = getattr(event, "trial", after.trial.index)
        if isinstance(event, Evaluated):
            self._see_judgement(before, event, after)
            return
        self._of(trial).events.append(event)
        if isinstance(event, LoadApplied) and before is not None and trial == before.trial.index:
            offer = Offer(load_id=event.load_id, at=event.at, load=before.load)
            self._of(trial).offers.append(offer)

    def _of(self, trial: int) -> _Notes:
        return self._notes.setdefault(trial, _Notes())

    def _see_phase(self, after: CampaignView) -> None:
        name, trial = phase_name(after), after.trial.index
        if self._open is not None and (self._open.name, self._open_trial) == (name, trial):
            return
        self._close_phase(after.at)
        self._open = Span(name=name, since=after.at, until=after.at)
        self._open_trial = trial

    def _close_phase(self, at: float) -> None:
        if self._open is None or self._open.name == "finished":
            return
        span = Span(name=self._open.name, since=self._open.since, until=at)
        self._of(self._open_trial).phases.append(span)

    def _see_judgement(
        self, before: CampaignView | None, event: Evaluated, after: CampaignView
    ) -> None:
        """The machine makes new readings only when it judged; late samples leave the old ones."""
        if before is None or after.readings is before.readings or not after.readings:
            return
        judgement = Judgement(at=event.at, readings=after.readings)
        self._of(event.trial).judgements.append(judgement)

    def history(self, campaign: CampaignView) -> History:
        self._close_phase(campaign.at)
        histories = tuple(self._trial(campaign, record) for record in trials(campaign))
        return History(campaign=campaign, trials=histories)

    def _trial(self, campaign: CampaignView, record: TrialRecord) -> TrialHistory:
        notes = self._of(record.index)
        return TrialHistory(
            record=record,
            profile=campaign.plan.profiles[record.index],
            spans=tuple(notes.phases),
            offers=tuple(notes.offers),
            judgements=tuple(notes.judgements),
            events=tuple(notes.events),
        )
